"""Whole caches go where they are named or no run refers to them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from embedcache.errors import SerError, UsageError
from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.cache import read_meta
from embedcache.store.prune import PruneConfig, prune
from tests.store.prune.scene import asked, files, refer, size, total


def test_unused_caches_go_and_used_ones_stay_wherever_they_lie(
    config: ExtractConfig, tmp_path: Path
) -> None:
    used, unused = extract(config).folder, extract(replace(config, encoder="mfcc")).folder
    by_path = extract(replace(config, store_dtype="float32")).folder
    references = [refer(used), refer(by_path, key="older", paths=(by_path.resolve(),))]
    shutil.move(config.cache_dir, tmp_path / "moved")
    moved = [tmp_path / "moved" / "folder" / f.name for f in (used, unused, by_path)]
    references[1] = replace(references[1], paths=(moved[2].resolve(),))
    before = files(moved[0]) | files(moved[2])
    freed = size(moved[1]) + (moved[1] / "meta.json").stat().st_size
    config = replace(config, cache_dir=tmp_path / "moved")
    assert total(prune(asked(config, unused=True), references)) == freed
    assert not moved[1].exists()
    assert files(moved[0]) | files(moved[2]) == before


def test_only_the_corpus_that_is_named(config: ExtractConfig) -> None:
    mine = extract(config).folder
    other = extract(replace(config, corpus="folder:other")).folder
    prune(asked(config, unused=True, corpus="folder:other"), [])
    assert mine.is_dir() and not other.exists()


def test_a_named_cache_goes_whole_unless_a_run_refers_to_it(config: ExtractConfig) -> None:
    folder = extract(config).folder
    before = files(folder)
    with pytest.raises(UsageError, match=r"nothing was freed: the run results/a and 1 more refer"):
        prune(asked(config, paths=[folder]), [refer(folder, "results/a"), refer(folder)])
    assert files(folder) == before
    assert total(prune(asked(config, paths=[folder]), [])) == sum(map(len, before.values()))
    assert not folder.exists()


def test_nothing_goes_where_one_of_several_stays(config: ExtractConfig) -> None:
    one, other = extract(config).folder, extract(replace(config, encoder="mfcc")).folder
    with pytest.raises(UsageError, match="stays, and nothing was freed"):
        prune(asked(config, paths=[one, other]), [refer(other)])
    assert one.is_dir()
    prune(asked(config, paths=[one, other], force=True), [refer(other)])
    assert not one.exists() and not other.exists()


def test_a_damaged_cache_is_known_by_its_name(config: ExtractConfig) -> None:
    folder = extract(config).folder
    reference = refer(folder)
    (folder / "meta.json").write_text("{")
    with pytest.raises(UsageError, match="the run results/a-run refers to it"):
        prune(asked(config, paths=[folder]), [reference])
    prune(asked(config, paths=[folder]), [replace(reference, key="another")])
    assert not folder.exists()


def test_what_is_no_cache_or_no_folder_is_a_sentence(config: ExtractConfig) -> None:
    with pytest.raises(UsageError, match="is no cache: it holds no meta.json"):
        prune(asked(config, paths=[config.root]), [])
    with pytest.raises(UsageError, match=r"no cache in .*cache; see"):
        prune(asked(config), [])
    extract(config)
    with pytest.raises(UsageError, match=r"no cache of urdu in .*cache; see"):
        prune(asked(config, corpus="urdu"), [])
    for changes, option in (({"unused": True}, "--unused"), ({"corpus": "urdu"}, "--corpus")):
        with pytest.raises(UsageError, match=f"{option} with x: give either it or caches' paths"):
            PruneConfig(paths=[Path("x")], **changes)  # type: ignore[arg-type]


def test_the_command_asks_the_runs(config: ExtractConfig, tmp_path: Path) -> None:
    """`heads.results` tells which caches runs refer to."""
    from heads.results import read_references

    folder = extract(config).folder
    run = tmp_path / "results" / "a-run"
    run.mkdir(parents=True)
    meta = read_meta(folder)
    record = {"corpus": {"name": meta.corpus}, "cache": {"path": "cache/x", "key": meta.key}}
    (run / "results.json").write_text(json.dumps(record))
    (reference,) = read_references(tmp_path / "results", required=True)
    assert (reference.run, reference.key, reference.corpus) == (run, meta.key, "folder")
    assert (tmp_path / "cache" / "x").resolve() in reference.paths
    with pytest.raises(UsageError, match=f"the run {run} refers to it"):
        prune(asked(config, paths=[folder]), [reference])
    assert read_references(tmp_path / "nowhere", required=False) == []
    with pytest.raises(UsageError, match="there is no such folder, so nobody knows which caches"):
        read_references(tmp_path / "nowhere", required=True)
    pooled = {"corpus": {"name": "folder+urdu"}, "cache": {"path": "cache/a,cache/b", "key": "k"}}
    (run / "results.json").write_text(json.dumps(pooled))
    found = read_references(tmp_path / "results", required=True)
    assert {one.corpus for one in found} == {"folder", "urdu"}
    assert {p.name for one in found for p in one.paths} == {"a", "b"}
    for text in ("{", "[]", '{"cache": {"path": "x"}, "corpus": {"name": "x"}}'):
        (run / "results.json").write_text(text)
        with pytest.raises(SerError, match=r"results.json is damaged .* which cache it needs"):
            read_references(tmp_path / "results", required=True)
