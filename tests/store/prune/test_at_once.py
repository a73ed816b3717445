"""Who extracts, reads or checks while another process prunes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedcache.errors import SerError
from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.cache import write_utterances
from embedcache.store.claims import Claims
from embedcache.store.inventory import take_inventory
from embedcache.store.prune import prune
from embedcache.store.reader import CacheReader
from embedcache.store.tombstones import bury, half_buried
from embedcache.store.verify import verify
from tests.store.prune.scene import asked, bring_back, frames, process, take_away, total


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
            take_away(config)
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
