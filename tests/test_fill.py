"""Filling shards: what a worker elsewhere is given."""

from __future__ import annotations

import pickle

from embedcache.extract import extract
from embedcache.fill import Job
from embedcache.request import ExtractConfig, identify_contents, requested_utterances
from embedcache.store.cache import read_meta


def test_a_job_survives_the_way_to_another_process(config: ExtractConfig) -> None:
    folder = extract(config).folder
    contents, _ = identify_contents(requested_utterances(config, generate=False)[0], config)
    by_id = {content.id: content for content in contents.values()}
    job = Job(folder=folder, meta=read_meta(folder), contents=by_id, config=config)
    assert len(job.contents) == 12
    assert pickle.loads(pickle.dumps(job)) == job
