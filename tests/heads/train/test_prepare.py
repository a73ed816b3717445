"""A cache, labels and a protocol become utterances, targets and folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embedcache.errors import SerError, UsageError
from heads.labels import LabelConfig
from heads.train.prepare import prepare


def test_everyone_with_frames_and_a_target_is_there(run_config, planted):
    data = prepare(run_config())
    assert data.utterances == planted[0]
    assert data.targets.names == ("angry", "happy", "sad")
    roles = [data.role(name) for name in ("train", "val", "test")]
    np.testing.assert_array_equal(sum(map(np.asarray, roles), np.zeros((4, 96), int)), 1)
    for fold, row in zip(data.folds, data.role("val"), strict=True):
        np.testing.assert_array_equal(np.flatnonzero(row), fold.val)


def test_positions_are_those_of_the_kept(run_config, caplog):
    """Dropped utterances shift nobody's target."""
    data = prepare(run_config(labels=LabelConfig(drop=frozenset({"happy"}))))
    assert len(data.utterances) == len(data.targets.values) == 64
    for utterance, row in zip(data.utterances, data.targets.values, strict=True):
        assert data.targets.names[row.argmax()] == utterance.label
    assert "32 of 96 utterances left out: no label of a class" in caplog.text


def test_folds_hold_labels_and_genders_in_equal_shares(run_config):
    data = prepare(run_config())
    for fold in data.folds:
        genders = [data.utterances[i].gender for i in fold.test]
        assert genders.count("female") == genders.count("male")


def test_the_order_of_classes_is_the_corpus_own(tmp_path, run_config, plant, write_cache):
    utterances, frames = plant()
    cache = write_cache(tmp_path / "cache", utterances, frames, corpus="ravdess")
    data = prepare(run_config(cache=cache, corpus="ravdess"))
    assert data.targets.names == ("happy", "sad", "angry")


def test_a_cache_is_found_by_its_corpus(tmp_path, run_config, plant, write_cache):
    folder = tmp_path / "manifest-planted/logmel-0"
    write_cache(folder, *plant())
    assert prepare(run_config(cache=None, cache_dir=tmp_path)).reader.path == folder


def test_an_incomplete_cache_is_said_and_used(tmp_path, run_config, plant, write_cache, caplog):
    utterances, frames = plant()
    lost = [utterance.id for utterance in utterances[::12]]
    rest = {name: array for name, array in frames.items() if name not in lost}
    cache = write_cache(tmp_path / "cache", utterances, rest)
    data = prepare(run_config(cache=cache))
    assert [u.id for u in data.utterances] == list(rest)
    assert f"{cache} lacks the frames of 8 of 96 utterances; `ser extract` again" in caplog.text


def test_an_empty_cache_is_an_error(tmp_path, run_config, plant, write_cache):
    utterances, _ = plant(speakers=2)
    cache = write_cache(tmp_path / "cache", utterances, {})
    with pytest.raises(SerError, match="holds no utterance yet; run `ser extract` to its end"):
        prepare(run_config(cache=cache))


def test_the_cache_must_be_of_the_corpus(run_config, planted_cache):
    text = f"--cache {planted_cache} holds manifest:planted, not manifest:other"
    with pytest.raises(UsageError, match=text):
        prepare(run_config(corpus="manifest:other"))


def test_utterances_beyond_the_published_folds_are_counted(
    run_config, plant, write_cache, tmp_path, caplog
):
    utterances, frames = plant()
    folds = [f"planted/s{s}" for s in range(6)]  # of eight speakers
    listed = [
        replace(u, folds={name: "test" if u.speaker == name else "train" for name in folds})
        if u.speaker in folds
        else u
        for u in utterances
    ]
    cache = write_cache(tmp_path / "cache", listed, frames)
    prepare(run_config(cache=cache, protocol="official", folds=None))
    assert "24 of 96 utterances stand in no test fold" in caplog.text
