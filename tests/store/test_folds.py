"""Caches by the checkpoints of all folds: found as a set by their folder, or one by its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from embedcache.errors import SerError, UsageError
from embedcache.seen import CACHE_FILE, FoldOf, Seen, write_cache_record
from embedcache.store.cache import Meta, cache_folder, find_caches, in_order_of_folds, write_meta
from embedcache.store.key import KeyParts, cache_key

CORPUS = "manifest:planted"
Write = Callable[..., Path]


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def write(cache_dir: Path) -> Write:
    """Write what `find_caches` looks at of a cache."""

    def make(encoder: str, fold: FoldOf | None = None, layers: tuple[str, ...] = ("2",)) -> Path:
        parts = KeyParts(
            family="huggingface", config={}, weights=encoder, layers=layers,
            compute_dtype="float32", conditioning={}, max_seconds=60.0, rate_hz=16_000,
            store_dtype="float16",
        )  # fmt: skip
        folder = cache_folder(cache_dir, CORPUS, encoder, cache_key(parts))
        meta = Meta(
            corpus=CORPUS, key=cache_key(parts), parts=parts, encoder_id=encoder, trained=True,
            dim=4, frame_hz=50.0, last="2", versions={},
        )  # fmt: skip
        write_meta(folder, meta)
        if fold:
            write_cache_record(folder, Seen(corpora=(CORPUS,), fold=fold))
        return folder

    return make


def fold_of(name: str, number: int, count: int) -> FoldOf:
    return FoldOf(name=name, fold=number, count=count, protocol=f"--corpus {CORPUS}")


def write_set(
    write: Write, folder: Path | str, count: int = 3, layers: tuple[str, ...] = ("2",)
) -> list[Path]:
    """Caches by the checkpoints of a folder, in the order of folds; not written in it."""
    name = Path(folder).name
    numbers = random.Random(1).sample(range(count), count)
    found = {k: write(str(Path(folder) / f"fold{k}"), fold_of(name, k, count), layers)
             for k in numbers}  # fmt: skip
    return [found[k] for k in range(count)]


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("count", [1, 2, 11])
def test_a_folder_of_folds_finds_all_its_caches_in_order(
    tmp_path: Path, cache_dir: Path, write: Write, count: int, there: bool
) -> None:
    """Whether or not the checkpoints themselves are on this machine."""
    folder = tmp_path / "checkpoints/x"
    if there:
        folder.mkdir(parents=True)
    caches = write_set(write, folder, count)
    for name in (folder, f"{folder}/", f"folder:{folder}", f"{folder.parent}/./x", None):
        assert find_caches(cache_dir, CORPUS, name and str(name)) == caches


@pytest.mark.parametrize("there", [False, True])
def test_folders_may_be_named_from_here_or_in_full(
    tmp_path: Path, cache_dir: Path, write: Write, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    if there:
        for k in range(3):
            Path(f"checkpoints/x/fold{k}").mkdir(parents=True)
    caches = write_set(write, "checkpoints/x")
    for name in ("checkpoints/x", "checkpoints/x/", "./checkpoints/x", f"{tmp_path}/checkpoints/x"):
        assert find_caches(cache_dir, CORPUS, name) == caches
        assert find_caches(cache_dir, CORPUS, f"{name}/fold1") == caches[1:2]


def test_one_fold_is_found_by_its_own_folder(tmp_path: Path, cache_dir: Path, write: Write) -> None:
    caches = write_set(write, tmp_path / "x")
    for k, cache in enumerate(caches):
        assert find_caches(cache_dir, CORPUS, str(tmp_path / f"x/fold{k}")) == [cache]


def test_other_encoders_are_told_from_a_set(tmp_path: Path, cache_dir: Path, write: Write) -> None:
    plain = write("lld")
    caches = write_set(write, tmp_path / "x")
    other = write_set(write, tmp_path / "y", count=2)
    assert find_caches(cache_dir, CORPUS, "lld") == [plain]
    assert find_caches(cache_dir, CORPUS, str(tmp_path / "x")) == caches
    assert find_caches(cache_dir, CORPUS, str(tmp_path / "y")) == other
    with pytest.raises(UsageError, match="3 caches of .* fit; name one with --cache or --enc") as e:
        find_caches(cache_dir, CORPUS, None)
    assert all(str(path) in str(e.value) for path in (plain, *caches, *other))
    with pytest.raises(UsageError, match=f"no cache of .* with encoder {tmp_path}/z in .*there ar"):
        find_caches(cache_dir, CORPUS, str(tmp_path / "z"))


def test_a_cache_that_is_missing_from_the_set_is_named(
    tmp_path: Path, cache_dir: Path, write: Write
) -> None:
    name = str(tmp_path / "x")
    for k in (0, 2):
        write(f"{name}/fold{k}", fold_of("x", k, 5))
    words = (
        "is by one of 5 checkpoints, one for each fold, and no cache is by that of fold 1, 3, 4; "
        "extract with the folder that holds all of them, or name one cache with --cache"
    )
    with pytest.raises(UsageError, match=words):
        find_caches(cache_dir, CORPUS, name)
    with pytest.raises(UsageError, match=words):
        find_caches(cache_dir, CORPUS, None)
    assert len(find_caches(cache_dir, CORPUS, f"{name}/fold2")) == 1


def test_a_fold_that_has_two_caches_is_said(tmp_path: Path, cache_dir: Path, write: Write) -> None:
    caches = write_set(write, tmp_path / "x")
    twin = write(str(tmp_path / "x/fold1"), fold_of("x", 1, 3), layers=("1",))
    with pytest.raises(UsageError, match=f"both hold {CORPUS}; name one with --cache"):
        find_caches(cache_dir, CORPUS, str(tmp_path / "x"))
    with pytest.raises(UsageError, match="2 caches of manifest:planted fit; name one with --cache"):
        find_caches(cache_dir, CORPUS, str(tmp_path / "x/fold1"))
    assert in_order_of_folds([caches[2], twin, caches[0]]) == [caches[0], twin, caches[2]]


def test_caches_may_be_named_in_any_order(tmp_path: Path, write: Write) -> None:
    caches = write_set(write, tmp_path / "x", 6)
    for seed in range(5):
        shuffled = random.Random(seed).sample(caches, len(caches))
        assert in_order_of_folds(shuffled) == caches
    assert in_order_of_folds([*caches, caches[0]]) == caches, "one that is named twice is one"


def test_caches_that_are_no_set_are_named(tmp_path: Path, write: Write) -> None:
    first, second, _ = write_set(write, tmp_path / "x")
    foreign = write_set(write, tmp_path / "y")[1]
    plain, other = write("lld"), write("logmel")
    for pair in ((first, foreign), (foreign, first), (first, plain), (plain, other)):
        words = f"{pair[0]} and {pair[1]} both hold {CORPUS}; name one with --cache"
        with pytest.raises(UsageError, match=words):
            in_order_of_folds(pair)
    with pytest.raises(UsageError, match=f"{first} and {plain} both hold"):
        in_order_of_folds((first, second, plain))
    with pytest.raises(UsageError, match=f"{plain} and {first} both hold"):
        in_order_of_folds((plain, first, second))


def test_what_an_encoder_has_seen_must_be_legible(
    tmp_path: Path, cache_dir: Path, write: Write
) -> None:
    caches = write_set(write, tmp_path / "x")
    file = caches[1] / CACHE_FILE
    file.write_bytes(file.read_bytes()[:-20])
    for read in (
        lambda: find_caches(cache_dir, CORPUS, str(tmp_path / "x")),
        lambda: in_order_of_folds(caches),
    ):
        with pytest.raises(SerError, match=f"{file} is damaged"):
            read()
