"""Engines: how the shards of an extraction are mapped onto workers. One module per engine.

An engine plug-in defines `run(job, shards, encoder, tick)`: it fills the shards, in any order and
on any worker, calls `tick()` once per clip, and yields for each shard the number of its rows and
their seconds of audio. A job can be pickled; a worker elsewhere loads the encoder by its request.
"""
