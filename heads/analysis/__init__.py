"""Analyses: table in, table out."""
