"""Engines: how the shards of an extraction are mapped onto workers. One module per engine.

An engine plug-in defines `run(shards, work)`, which calls `work(shard)` once for each shard, in any
order and on any worker, and yields what it returns.
"""
