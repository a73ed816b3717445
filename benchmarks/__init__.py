"""Benchmarks: each prints what it measures, on what machine, beside its peers or its target."""
