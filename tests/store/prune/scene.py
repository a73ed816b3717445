"""What a prune is asked for, and what it leaves."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from embedcache.request import ExtractConfig
from embedcache.store.cache import read_meta
from embedcache.store.prune import PruneConfig
from embedcache.store.reader import CacheReader
from embedcache.store.references import Reference
from tests.material import REPOSITORY

GONE = "s0"  # the clips of one speaker leave the corpus


def take_away(config: ExtractConfig) -> None:
    for folder in config.root.glob(f"*/{GONE}"):
        shutil.move(folder, config.root.parent / f"{folder.parent.name}-{GONE}")


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
