"""A shard that was pruned stays pruned."""

from __future__ import annotations

from pathlib import Path

from embedcache.store.tombstones import bury, finish_burials


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
