"""A run's cache is found again wherever it is, and nothing else is taken for it."""

from __future__ import annotations

import json
import shutil

import pytest

from embedcache.errors import SerError, UsageError
from embedcache.store.reader import CacheReader
from heads.experiment import run_heads
from heads.folded import FoldedReader
from heads.pool import PooledReader
from heads.results import Run
from heads.run_cache import listed, of_fold, one_encoder, open_cache
from heads.train.prepare import prepare
from tests.heads.fold_caches import save_folds


def moved(run, tmp_path, **cache):
    """A copy of a run that says something else of its cache."""
    folder = shutil.copytree(run, tmp_path / "results" / "copy")
    file = folder / "results.json"
    record = json.loads(file.read_text())
    record["cache"] |= cache
    file.write_text(json.dumps(record))
    return Run(folder)


@pytest.fixture(scope="module")
def folded(tmp_path_factory, planted, run_config):
    """A run on checkpoints that were made fold by fold, in another order than the folds'."""
    places = tmp_path_factory.mktemp("folded")
    config = run_config()
    paths = save_folds(places / "cache", planted[0], prepare(config).folds, (2, 0, 3, 1))
    return next(run_heads(run_config(cache=paths), places / "results"))


def test_the_cache_that_a_run_names_is_opened(hard_run, planted_cache):
    reader = open_cache(Run(hard_run))
    assert isinstance(reader, CacheReader)
    assert reader.path.resolve() == planted_cache.resolve()
    assert one_encoder(Run(hard_run), reader) is of_fold(Run(hard_run), reader, 3) is reader


def test_a_relative_cache_is_found_beside_the_results(
    hard_run, planted_cache, tmp_path, monkeypatch
):
    shutil.copytree(planted_cache, tmp_path / "cache" / "moved")
    run = moved(hard_run, tmp_path, path="cache/moved")
    monkeypatch.chdir("/")
    assert open_cache(run).path == tmp_path / "cache" / "moved"


def test_a_cache_that_is_gone_is_said_and_may_be_named(hard_run, planted_cache, tmp_path):
    run = moved(hard_run, tmp_path, path="/nowhere/logmel-0")
    text = (
        f"{run.id} was trained on the cache /nowhere/logmel-0, which is not there any more; say "
        "with --cache where it is, or make it again with `ser extract --encoder logmel`"
    )
    with pytest.raises(UsageError, match=text):
        open_cache(run)
    assert open_cache(run, [planted_cache]).path == planted_cache


def test_another_cache_under_the_path_is_not_taken_for_it(hard_run, planted, tmp_path, write_cache):
    other = write_cache(tmp_path / "other", *planted, weights="others")
    key = CacheReader(other).meta.key
    text = (
        f"{other} holds manifest:planted with the key {key}, and .* was trained on "
        "manifest:planted with the key [0-9a-f]+; name that cache with --cache, or train"
    )
    with pytest.raises(UsageError, match=text):
        open_cache(Run(hard_run), [other])


def test_frames_that_were_pruned_are_counted(hard_run, planted, tmp_path, write_cache):
    utterances, frames = planted
    fewer = {name: array for name, array in frames.items() if name not in ("s0-00", "s4-01")}
    folder = write_cache(tmp_path / "fewer", utterances, fewer)
    text = r"fewer lacks the frames of 2 of 96 utterances of .*, first 's0-00'; the same `ser extr"
    with pytest.raises(SerError, match=text):
        open_cache(Run(hard_run), [folder])


def test_several_corpora_are_opened_as_one(corpora_dir, run_config, tmp_path):
    names = "manifest:one,manifest:two"
    paths = sorted(corpora_dir.glob("manifest-*/*"))
    one, _, two = paths
    config = run_config(corpus=names, cache=None, cache_dir=corpora_dir)
    run = Run(next(run_heads(config, tmp_path)))
    reader = open_cache(run)
    assert isinstance(reader, PooledReader)
    assert reader.meta.corpus == "manifest:one+manifest:two"
    assert {u.id for u in reader.utterances} == set(run.utterances)
    assert open_cache(run, [two, one]).meta.corpus == reader.meta.corpus  # in any order
    with pytest.raises(UsageError, match="was trained on 2 caches, and --cache names 1; name each"):
        open_cache(run, [one])
    text = "was trained on manifest:one, manifest:two, and --cache names no cache of manifest:two; "
    with pytest.raises(UsageError, match=text):
        open_cache(run, [one, one])


def test_each_fold_has_the_checkpoint_that_served_it(folded):
    run = Run(folded)
    reader = open_cache(run)
    assert isinstance(reader, FoldedReader)
    served = [of_fold(run, reader, fold).meta.encoder_id for fold in range(4)]
    # Checkpoint k left fold (2, 0, 3, 1)[k] untouched.
    assert served == [f"checkpoints/x/fold{k}" for k in (1, 3, 0, 2)]


def test_frames_of_several_checkpoints_are_not_in_one_space(folded):
    run = Run(folded)
    text = "was trained on 4 checkpoints, one for each fold, whose frames are not in one space"
    with pytest.raises(UsageError, match=text):
        one_encoder(run, open_cache(run))


def test_a_run_that_does_not_say_which_checkpoint_served_is_asked_in_vain(folded, tmp_path):
    run = moved(folded, tmp_path, encoder=Run(folded).results["cache"]["encoder"] | {"seen": None})
    text = "does not say which of 4 checkpoints has served fold 2; train the head again"
    with pytest.raises(UsageError, match=text):
        of_fold(run, open_cache(run), 2)


def test_a_run_without_utterances_is_said(hard_run, tmp_path):
    run = moved(hard_run, tmp_path)
    (run.path / "utterances.jsonl").write_text("")
    with pytest.raises(SerError, match=f"{run.path} lists no utterance; train the head again"):
        listed(run)
