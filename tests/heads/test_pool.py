"""Caches of several corpora, read as one: nothing is lost, mixed up or silently unlike."""

from __future__ import annotations

import logging
import pickle
from dataclasses import replace

import numpy as np
import pytest

from embedcache.errors import UsageError
from embedcache.store.cache import read_meta, write_meta
from embedcache.store.reader import CacheReader
from heads.data import load_frames
from heads.pool import PooledReader, corpora_of

NAMES = ("one", "two", "three")


def caches(folder):
    return [folder / f"manifest-{name}/logmel-0" for name in NAMES]


def open_pool(folder):
    return PooledReader([CacheReader(path) for path in caches(folder)])


@pytest.fixture(scope="module")
def pool(corpora_dir):
    return open_pool(corpora_dir)


def test_every_utterance_is_there_once_with_its_corpus(pool):
    assert len(pool.utterances) == 12 * (4 + 5 + 6)
    assert len({u.id for u in pool.utterances}) == len(pool.utterances)
    counts = [corpora_of(pool.utterances, pool).count(f"manifest:{name}") for name in NAMES]
    assert counts == [48, 60, 72]
    assert pool.meta.corpus == "manifest:one+manifest:two+manifest:three"


def test_each_utterance_keeps_all_that_its_corpus_knows(pool, corpora_dir):
    of_corpora = [u for path in caches(corpora_dir) for u in CacheReader(path).utterances]
    for pooled, own in zip(pool.utterances, of_corpora, strict=True):
        corpus = pooled.extra["corpus"]
        home = corpus.removeprefix("manifest:")
        assert pooled.id == f"{corpus}/{own.id}"
        assert pooled.session == f"{home}/{own.session}"
        restored = replace(
            pooled,
            id=own.id,
            session=own.session,
            extra={k: v for k, v in pooled.extra.items() if k != "corpus"},
        )
        assert restored == own


def test_frames_are_those_of_the_utterances_own_cache(pool, corpora_dir):
    loaded = load_frames(pool, pool.utterances, ["0", "last"])
    own = []
    for path in caches(corpora_dir):
        reader = CacheReader(path)
        own += list(load_frames(reader, reader.utterances, ["0", "last"]).arrays)
        assert pool.layer("last") == reader.layer("last") == 1
    assert loaded.lengths.tolist() == [len(array) for array in own]
    for a, b in zip(loaded.arrays, own, strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_recording_has_one_content_in_all_corpora(pool):
    """The planted corpora's contents are named after their clips, which have the same names."""
    first, second = (pool.content_id(f"manifest:{name}/s0-00") for name in ("one", "two"))
    assert first == second != pool.content_id("manifest:one/s0-01")


def test_views_and_what_is_missing_belong_to_their_corpus(tmp_path, plant, write_cache):
    utterances, frames = plant(speakers=2)
    views = [replace(u, view="noise=20") for u in utterances[:2]]
    shown = {**frames, views[0].name: frames[views[0].id] + 1}
    del shown[utterances[5].id]
    readers = [
        CacheReader(write_cache(tmp_path / "a", [*utterances, *views], shown, corpus="folder:a")),
        CacheReader(write_cache(tmp_path / "b", utterances, frames, corpus="folder:b")),
    ]
    pool = PooledReader(readers)
    assert [u.id for u in pool.missing] == [f"folder:a/{utterances[5].id}"]
    assert [u.name for u in pool.views] == [f"folder:a/{views[0].name}"]
    assert [u.name for u in pool.missing_views] == [f"folder:a/{views[1].name}"]
    (view,) = pool.views
    assert pool.frame_count(view.id, view.view) == frames[views[0].id].shape[1]
    np.testing.assert_array_equal(pool.frames(view.id, 1, view.view), frames[views[0].id][1] + 1)


def test_it_can_be_sent_to_another_process(pool):
    again = pickle.loads(pickle.dumps(pool))
    assert again.utterances == pool.utterances
    name = pool.utterances[-1].id
    np.testing.assert_array_equal(again.frames(name, 0), pool.frames(name, 0))


def test_sessions_of_the_same_actors_are_the_same(tmp_path, plant, write_cache):
    """RAVDESS's songs are by the actors of its speech, who speak and sing the same statements."""
    utterances, frames = plant(speakers=2)
    told = [replace(u, sentence="01") for u in utterances]
    names = ("ravdess", "ravdess_song", "emobox:ravdess", "tess")
    pool = PooledReader(
        [CacheReader(write_cache(tmp_path / n[:9], told, frames, corpus=n)) for n in names]
    )
    sentences = {u.extra["corpus"]: u.sentence for u in pool.utterances}
    assert sentences == {**dict.fromkeys(names, "ravdess/01"), "tess": "tess/01"}


# Caches that do not fit


def edit(path, dim=None, **parts):
    meta = read_meta(path)
    changed = replace(meta.parts, **parts)
    write_meta(path, replace(meta, parts=changed, dim=dim or meta.dim))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"family": "lld"}, "family logmel and lld"),
        ({"config": {"mels": 40}}, r"config \{\} and \{'mels': 40\}"),
        ({"weights": "abc"}, "weights  and abc"),
        ({"layers": ("0", "2")}, r"layers \('0', '1'\) and \('0', '2'\)"),
        ({"conditioning": {"trim": {}}}, r"conditioning \{\} and \{'trim': \{\}\}"),
        ({"dim": 6}, "dim 5 and 6"),
    ],
)
def test_other_frames_are_refused_with_what_differs(tmp_path, write_corpora, changes, told):
    folder = write_corpora(tmp_path)
    edit(caches(folder)[1], **changes)
    text = rf"the caches .*one/logmel-0 and .*two/logmel-0 hold other frames \({told}\); give"
    with pytest.raises(UsageError, match=text):
        open_pool(folder)


def test_other_precision_is_said(tmp_path, write_corpora, caplog):
    folder = write_corpora(tmp_path)
    with caplog.at_level(logging.WARNING):
        open_pool(folder)
        assert not caplog.records
        edit(caches(folder)[2], compute_dtype="bfloat16")
        open_pool(folder)
    assert "differ in precision: compute_dtype float32 and bfloat16" in caplog.text
