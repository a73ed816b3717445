"""Shards that nothing lists go for good, and all that is wanted stays."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.cache import read_meta
from embedcache.store.inventory import take_inventory
from embedcache.store.prune import prune
from embedcache.store.reader import CacheReader
from embedcache.store.verify import describe_faults, verify
from tests.material import noise
from tests.store.prune.scene import GONE, asked, bring_back, files, frames, refer, same, size, total


def test_shards_of_clips_that_left_go_and_nothing_else(config: ExtractConfig, left: Path) -> None:
    before, bytes_before, shards = frames(left), size(left), len(list(left.glob("shards/*.h5")))
    text = prune(asked(config), [])
    assert "2 shards with 2 clips that nothing lists" in text
    assert total(text) == bytes_before - size(left) > 0
    assert len(list(left.glob("shards/*.h5"))) == shards - 2
    assert same(frames(left), before)
    assert not list(verify(left))
    assert "still to come" not in describe_faults(left)[0]
    assert not take_inventory(left).pending


def test_without_yes_nothing_changes_and_the_total_is_that_of_yes(
    config: ExtractConfig, left: Path
) -> None:
    (left / "shards" / "8888-00000.xxh3").write_text("x")
    before = files(config.cache_dir)
    text = prune(asked(config, yes=False), [])
    assert files(config.cache_dir) == before
    assert "would free" in text and text.endswith("would be freed; --yes frees it")
    assert total(prune(asked(config), [])) == total(text) > 0
    nothing = prune(asked(config), [])
    assert nothing == "0 bytes (0.0 MB) freed"


def test_after_a_prune_nothing_that_is_wanted_is_encoded_again(
    config: ExtractConfig, left: Path
) -> None:
    prune(asked(config), [])
    before = files(left)
    again = extract(config)
    assert (again.encoded, again.pending) == (0, 0)
    assert files(left) == before


def test_contents_that_come_back_are_encoded_again_in_shards_of_their_own(
    config: ExtractConfig, left: Path
) -> None:
    plans = sorted(left.glob("plans/*.json"))
    prune(asked(config), [])
    bring_back(config)
    again = extract(config)
    assert (again.encoded, again.skips, again.pending) == (2, [], 0)
    assert len(CacheReader(left).utterances) == 12
    assert len(sorted(left.glob("plans/*.json"))) == len(plans) + 1
    assert not list(verify(left))
    alone = extract(replace(config, cache_dir=config.cache_dir.parent / "alone")).folder
    assert same(frames(left), frames(alone))


def test_a_shard_without_its_checksum_file_is_pruned_too(config: ExtractConfig, left: Path) -> None:
    names = {s.stem for s in left.glob("shards/*.h5")}
    for checksum in left.glob("shards/*.xxh3"):
        checksum.unlink()
    prune(asked(config), [])
    gone = names - {s.stem for s in left.glob("shards/*.h5")}
    assert {s.stem for s in left.glob("shards/*.pruned")} == gone
    assert len(gone) == 2


def test_plans_that_nobody_needs_are_given_up(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An extraction was stopped, and the clips left the corpus before it went on."""
    monkeypatch.setattr("embedcache.engines.local.run", lambda *_: iter(()))
    folder = extract(config).folder
    monkeypatch.undo()
    for old in config.root.glob(f"*/{GONE}"):
        shutil.rmtree(old)
    assert extract(config).encoded == 10
    assert len(take_inventory(folder).pending) == 2
    assert "plans of 2 shards that nothing lists, never written" in prune(asked(config), [])
    assert not take_inventory(folder).pending
    assert "still to come" not in describe_faults(folder)[0]
    assert extract(config).fidelity is not None  # which waits for all that is to come


def test_a_shard_with_one_wanted_row_stays(config: ExtractConfig) -> None:
    folder = extract(replace(config, shard_mb=64)).folder
    shutil.rmtree(config.root / "sad")
    extract(config)
    assert len(CacheReader(folder).utterances) == 6
    assert total(prune(asked(config), [])) == 0
    assert len(frames(folder)) == 6


def test_views_are_listed_and_stay(config: ExtractConfig) -> None:
    folder = extract(replace(config, views=("noise=20",))).folder
    extract(config)  # which asks for no views, and leaves them in the list
    before = frames(folder)
    assert len(before) == 24
    assert total(prune(asked(config), [])) == 0
    assert same(frames(folder), before)


def test_a_final_failure_of_a_listed_clip_stays_known(config: ExtractConfig) -> None:
    (config.root / "sad" / "empty.wav").write_bytes(b"")
    folder = extract(config).folder
    before = files(folder)
    assert total(prune(asked(config), [])) == 0
    assert files(folder) == before


def test_a_cache_without_a_list_keeps_its_shards(config: ExtractConfig) -> None:
    """As an extraction leaves it that was killed before it listed anything."""
    folder = extract(config).folder
    (folder / "utterances.jsonl").unlink()
    before = files(folder)
    assert total(prune(asked(config), [])) == 0
    assert files(folder) == before


@pytest.mark.parametrize("damage", ["plans/0000.json", "utterances.jsonl", "shards/0000-00001.h5"])
def test_a_damaged_cache_keeps_its_shards_and_stops_nothing(
    config: ExtractConfig, left: Path, damage: str
) -> None:
    other = extract(replace(config, encoder="mfcc")).folder
    (left / damage).write_bytes(b"{ half a")
    (other / "shards" / "8888-00000.xxh3").write_text("stray")
    before = files(left)
    text = prune(asked(config), [])
    assert f"kept: the shards of {left}: " in text and "damaged" in text
    assert files(left) == before
    assert not (other / "shards" / "8888-00000.xxh3").exists()


def test_a_run_keeps_the_shards_of_its_cache_unless_forced(
    config: ExtractConfig, left: Path
) -> None:
    before = files(left)
    text = prune(asked(config), [refer(left)])
    assert "the run results/a-run refers to this cache; --force frees them" in text
    assert (total(text), files(left)) == (0, before)
    text = prune(asked(config), [refer(left, "results/b", corpus="another")])
    assert "2 shards with 2 clips" in text  # another corpus's cache may have the same key


def test_force_frees_what_a_run_refers_to(config: ExtractConfig, left: Path) -> None:
    assert total(prune(asked(config, force=True), [refer(left)])) > 0
    assert not list(verify(left))


def test_fidelity_stays_with_the_rows_that_it_was_measured_on(
    config: ExtractConfig, left: Path
) -> None:
    before = read_meta(left).fidelity
    assert before and before["rows"] == 12
    prune(asked(config), [])
    assert read_meta(left).fidelity == {**before, "rows": 10}


def test_as_many_new_rows_as_were_pruned_are_not_taken_for_the_old(
    config: ExtractConfig, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prune(asked(config), [])
    for n in range(2):
        soundfile.write(config.root / "sad" / f"new{n}.wav", noise(0.4, 90 + n), 16_000)
    measured = []

    def measure(reader: object, contents: object, rows: int, *_: object) -> None:
        measured.append(rows)

    monkeypatch.setattr("embedcache.extract.measure_fidelity", measure)
    extract(config)
    assert measured == [12]


def test_a_fidelity_of_other_rows_is_dropped(config: ExtractConfig, left: Path) -> None:
    text = (left / "meta.json").read_text()
    (left / "meta.json").write_text(text.replace('"rows": 12', '"rows": 7'))
    prune(asked(config), [])
    assert read_meta(left).fidelity is None
