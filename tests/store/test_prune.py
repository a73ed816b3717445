"""What is pruned is gone for good, and all that is wanted stays; real kills, real processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from embedcache.errors import SerError, UsageError
from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.cache import read_meta, write_utterances
from embedcache.store.claims import Claims, extracting, nobody_extracts
from embedcache.store.inventory import take_inventory
from embedcache.store.prune import PruneConfig, prune
from embedcache.store.reader import CacheReader
from embedcache.store.references import Reference
from embedcache.store.tombstones import bury, finish_burials, half_buried
from embedcache.store.verify import describe_faults, verify
from tests.material import REPOSITORY, noise

GONE = "s0"  # the clips of one speaker leave the corpus


@pytest.fixture
def config(config: ExtractConfig) -> ExtractConfig:
    """Each clip in a shard of its own."""
    return replace(config, shard_mb=1e-6)


@pytest.fixture
def left(config: ExtractConfig) -> Path:
    """A cache that holds the clips of a speaker who has left the corpus, in shards of their own."""
    extract(config)
    for folder in config.root.glob(f"*/{GONE}"):
        shutil.move(folder, config.root.parent / f"{folder.parent.name}-{GONE}")
    return extract(config).folder


def bring_back(config: ExtractConfig) -> None:
    for folder in config.root.parent.glob(f"*-{GONE}"):
        shutil.move(folder, config.root / folder.name.partition("-")[0] / GONE)


def asked(config: ExtractConfig, **changes: object) -> PruneConfig:
    return PruneConfig(**{"cache_dir": config.cache_dir, "yes": True, **changes})  # type: ignore[arg-type]


def total(text: str) -> int:
    return int(text.splitlines()[-1].split()[0])


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def size(folder: Path) -> int:
    """Bytes of all files but the description, whose numbers may get shorter."""
    return sum(len(data) for name, data in files(folder).items() if name != "meta.json")


def refer(folder: Path, run: str = "results/a-run", **changes: object) -> Reference:
    meta = read_meta(folder)
    return Reference(**{"run": Path(run), "key": meta.key, "corpus": meta.corpus, "paths": (),
                        **changes})  # type: ignore[arg-type]  # fmt: skip


def frames(folder: Path) -> dict[str, np.ndarray]:
    reader = CacheReader(folder)
    return {u.name: reader.frames(u.id, 0, u.view).copy() for u in
            (*reader.utterances, *reader.views)}  # fmt: skip


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@contextmanager
def process(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Another process that has said that it is ready, and goes on when it is spoken to."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=REPOSITORY,
    ) as other:  # fmt: skip
        assert other.stdout is not None and other.stdout.readline().strip() == "ready"
        yield other
        other.kill()


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


def test_leftovers_of_killed_processes_go_and_those_of_living_ones_stay(
    config: ExtractConfig, left: Path
) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom embedcache.atomic import _temporary\n"
        "with _temporary(Path(sys.argv[1]) / 'x') as path:\n"
        "    path.write_bytes(b'x' * 1000)\n    print('ready', flush=True)\n    sys.stdin.read()"
    )
    users = [refer(left)]  # of no account here: no run can refer to these
    with process(code, left / "shards") as living, process(code, left / "plans") as killed:
        killed.kill()
        killed.wait()
        assert total(prune(asked(config), users)) == 1000
        assert len(list(left.rglob(".tmp-*"))) == 1
        living.kill()
        living.wait()
        assert "1 file of processes that were killed" in prune(asked(config), users)
    assert not list(left.rglob(".tmp-*"))


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


def test_a_prune_that_was_cut_short_is_completed(config: ExtractConfig, left: Path) -> None:
    """Whatever is done of the steps: the checksum is renamed, then the shard goes."""
    whole = files(left)
    prune(asked(config), [])
    pruned = {name.removesuffix(".pruned") for name in files(left) if name.endswith(".pruned")}
    after = files(left)
    for name in pruned:  # its shard did not go any more
        (left / f"{name}.h5").write_bytes(whole[f"{name}.h5"])
    assert len(half_buried(left)) == 2
    assert not list(verify(left)) and not take_inventory(left).pending
    assert len(take_inventory(left).rows) == 10
    shutil.copytree(left, config.cache_dir.parent / "kept")
    assert total(prune(asked(config), [])) > 0
    assert files(left) == after
    shutil.rmtree(left)
    shutil.copytree(config.cache_dir.parent / "kept", left)
    assert extract(config).encoded == 0
    assert files(left) == after


def test_a_shard_without_its_checksum_file_is_pruned_too(config: ExtractConfig, left: Path) -> None:
    names = {s.stem for s in left.glob("shards/*.h5")}
    for checksum in left.glob("shards/*.xxh3"):
        checksum.unlink()
    prune(asked(config), [])
    gone = names - {s.stem for s in left.glob("shards/*.h5")}
    assert {s.stem for s in left.glob("shards/*.pruned")} == gone
    assert len(gone) == 2


def test_killed_at_any_moment_the_next_one_ends_with_the_same(
    config: ExtractConfig, tmp_path: Path
) -> None:
    """A prune that is killed after each file that it touches."""
    kill = (
        "import os, sys, pathlib\nfrom embedcache.store.prune import PruneConfig, prune\n"
        "left = [int(sys.argv[2])]\n"
        "def count(event, arguments):\n"
        "    if event in ('os.rename', 'os.remove', 'open') and 'folder' in str(arguments[0]):\n"
        "        left[0] -= event != 'open' or 'w' in str(arguments[1]) or 'x' in "
        "str(arguments[1])\n"
        "        if left[0] < 0: os._exit(9)\n"
        "sys.addaudithook(count)\n"
        "prune(PruneConfig(cache_dir=pathlib.Path(sys.argv[1]), yes=True), [])\n"
    )
    extract(config)
    for folder in config.root.glob(f"*/{GONE}"):
        shutil.rmtree(folder)
    source = extract(config).folder
    wanted = frames(source)
    shutil.copytree(config.cache_dir, tmp_path / "whole")
    prune(asked(config), [])
    expected = files(source)
    cut_short = 0
    for steps in range(12):
        cache_dir = tmp_path / f"cut{steps}"
        shutil.copytree(tmp_path / "whole", cache_dir)
        done = subprocess.run([sys.executable, "-c", kill, str(cache_dir), str(steps)],
                              cwd=REPOSITORY, check=False)  # fmt: skip
        folder = cache_dir / "folder" / source.name
        cut_short += done.returncode == 9
        assert not list(verify(folder)) and not take_inventory(folder).pending
        assert same(frames(folder), wanted)
        prune(asked(config, cache_dir=cache_dir), [])
        ours = {name: data for name, data in files(folder).items() if name != "meta.json"}
        assert ours == {name: data for name, data in expected.items() if name != "meta.json"}
        if done.returncode == 0:
            break
    assert cut_short >= 4 and done.returncode == 0


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


def test_a_shard_that_another_process_is_filling_is_not_given_up(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedcache.engines.local.run", lambda *_: iter(()))
    folder = extract(config).folder
    reader = CacheReader(folder)
    write_utterances(folder, [(u, reader.content_id(u.id)) for u in reader.missing[:3]])
    pending = [shard.name for shard in take_inventory(folder).pending]
    with Claims(folder) as filling:
        assert filling.take(pending[-1])
        prune(asked(config), [])
        assert pending[-1] in [shard.name for shard in take_inventory(folder).pending]
    prune(asked(config), [])
    assert len(take_inventory(folder).pending) < len(pending)


def test_a_filler_passes_over_what_was_given_up(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It learnt of its shards before they were pruned."""
    from embedcache.engines import local

    run = local.run

    def run_after_a_prune(job: object, shards: object, *rest: object) -> object:
        bury(job.folder, shards[0].name)  # type: ignore[attr-defined,index]
        return run(job, shards, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("embedcache.engines.local.run", run_after_a_prune)
    done = extract(config)
    assert done.encoded < 12
    assert not half_buried(done.folder) and not list(verify(done.folder))
    monkeypatch.undo()
    assert extract(config).encoded == 12 - done.encoded
    assert len(CacheReader(done.folder).utterances) == 12


def test_a_cache_that_is_being_filled_is_not_removed(config: ExtractConfig) -> None:
    folder = extract(config).folder
    code = (
        "import sys\nfrom pathlib import Path\nfrom embedcache.store.claims import extracting\n"
        "with extracting(Path(sys.argv[1])):\n"
        "    print('ready', flush=True)\n    sys.stdin.read()"
    )
    with process(code, folder) as other:
        assert f"kept: {folder}: another process extracts into it" in prune(
            asked(config, unused=True), []
        )
        with pytest.raises(SerError, match="another process extracts into it; let it end first"):
            prune(asked(config, paths=[folder]), [])
        assert not list(verify(folder))
        other.kill()
        other.wait()
        assert total(prune(asked(config, unused=True), [])) > 0
    assert not folder.exists()


def test_whoever_extracts_into_a_cache_that_is_gone_says_so(config: ExtractConfig) -> None:
    folder = extract(config).folder
    with nobody_extracts(folder) as free:
        assert free
        shutil.rmtree(folder)
    with pytest.raises(SerError, match="was pruned meanwhile; run the same"), extracting(folder):
        pass
    with nobody_extracts(folder) as free:
        assert free


def test_two_may_extract_at_once(config: ExtractConfig) -> None:
    folder = extract(config).folder
    with extracting(folder), extracting(folder), nobody_extracts(folder) as free:
        assert not free
    with nobody_extracts(folder) as free:
        assert free


def test_extracting_while_pruning_again_and_again(config: ExtractConfig) -> None:
    """Clips come and go, and one process prunes all the time: nothing that is listed is lost."""
    extract(config)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from embedcache.store.prune import PruneConfig, prune\nprint('ready', flush=True)\n"
        "while True: prune(PruneConfig(cache_dir=Path(sys.argv[1]), yes=True), [])"
    )
    with process(code, config.cache_dir) as other:
        for _ in range(6):
            for folder in config.root.glob(f"*/{GONE}"):
                shutil.move(folder, config.root.parent / f"{folder.parent.name}-{GONE}")
            assert extract(config).skips == []
            bring_back(config)
            done = extract(config)
            assert (done.skips, done.pending) == ([], 0)
            assert len(frames(done.folder)) == 12
        assert other.poll() is None
    assert not list(verify(done.folder))


def test_an_open_reader_keeps_what_it_has(config: ExtractConfig, left: Path) -> None:
    reader = CacheReader(left)
    lost = [s for s, shard in enumerate(reader._shards)]
    before = [np.array(reader._rows_of[s].values) for s in lost]
    prune(asked(config), [])
    for s, array in zip(lost, before, strict=True):
        np.testing.assert_array_equal(reader._rows_of[s].values, array)


def test_burials_are_finished_once(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "0000-00000.h5").write_bytes(b"x")
    bury(tmp_path, "0000-00000")
    bury(tmp_path, "0000-00001")  # was never written
    (tmp_path / "shards" / "0000-00000.h5").write_bytes(b"x")
    finish_burials(tmp_path)
    finish_burials(tmp_path)
    names = {p.name for p in (tmp_path / "shards").iterdir()}
    assert names == {"0000-00000.pruned", "0000-00001.pruned"}


def test_a_removal_that_was_killed_leaves_no_cache(config: ExtractConfig) -> None:
    """Under its name it is whole or gone; the next prune removes the rest."""
    folder = extract(config).folder
    code = (
        "import os, sys, shutil\nfrom pathlib import Path\nimport embedcache.atomic as atomic\n"
        "atomic._remove = lambda path: os._exit(9)\natomic.remove_folder(Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=REPOSITORY, check=False)
    assert done.returncode == 9 and not folder.exists()
    assert list(config.cache_dir.glob("folder/.tmp-*/meta.json"))
    from embedcache.store.cache import list_caches

    assert list_caches(config.cache_dir) == []
    assert total(prune(asked(config), [])) > 0
    assert not list(config.cache_dir.glob("folder/.tmp-*"))


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


def test_a_reader_that_opens_meanwhile_sees_what_is_left(config: ExtractConfig, left: Path) -> None:
    """A shard is listed, and gone when it is opened: as is a link that leads nowhere."""
    (left / "shards" / "0009-00000.h5").symlink_to("nowhere.h5")
    assert len(frames(left)) == 10


def test_an_inventory_that_is_taken_meanwhile_has_no_ghosts(
    config: ExtractConfig, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embedcache.store.shard import read_shard

    def read_after_a_prune(path: Path, key: str) -> object:
        monkeypatch.undo()
        prune(asked(config), [])
        return read_shard(path, key)

    rows = len(take_inventory(left).rows)
    monkeypatch.setattr("embedcache.store.inventory.read_shard", read_after_a_prune)
    state = take_inventory(left)
    assert (rows, len(state.rows), state.pending) == (12, 10, [])


def test_a_check_that_runs_meanwhile_finds_no_fault(
    config: ExtractConfig, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embedcache.store.shard import file_digest

    def digest_after_a_prune(path: Path) -> str:
        prune(asked(config), [])
        return file_digest(path)

    monkeypatch.setattr("embedcache.store.verify.file_digest", digest_after_a_prune)
    assert not list(verify(left))
    monkeypatch.undo()
    gone = sorted(left.glob("shards/*.h5"))[0]

    def digest_of_nothing(path: Path) -> str:
        gone.unlink(missing_ok=True)  # by hand, and without a tombstone
        return file_digest(path)

    monkeypatch.setattr("embedcache.store.verify.file_digest", digest_of_nothing)
    assert (gone, "it was removed while it was checked") in list(verify(left))
