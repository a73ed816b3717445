"""Caches by the checkpoints of all folds, read as one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from embedcache.errors import UsageError
from embedcache.seen import FoldOf
from embedcache.store.cache import read_meta, write_meta
from embedcache.store.reader import CacheReader
from heads.folded import FoldedReader
from heads.train.prepare import prepare
from tests.heads.fold_caches import remembered, save_folds, save_memory, seen_of


@pytest.fixture(scope="module")
def folds(run_config):
    return prepare(run_config()).folds


def open_all(paths):
    return FoldedReader([CacheReader(path) for path in paths])


def test_what_is_the_same_in_all_is_told_once(tmp_path, planted, folds):
    paths = save_folds(tmp_path, planted[0], folds)
    reader = open_all(paths)
    metas = [one.meta for one in reader.readers]
    assert reader.utterances == planted[0]
    assert (reader.missing, reader.views, reader.missing_views) == ([], [], [])
    assert reader.path == ",".join(map(str, paths))
    assert reader.meta.encoder_id == "checkpoints/x"
    assert reader.meta.key.split("+") == [meta.key for meta in metas]
    assert len({meta.key for meta in metas}) == 4
    assert (reader.meta.layers, reader.meta.dim) == (metas[0].layers, metas[0].dim)
    assert [reader.layer(name) for name in ("0", "1", "last")] == [0, 1, 1]
    for one in planted[0][::7]:
        assert reader.content_id(one.id) == reader.readers[2].content_id(one.id)
    with pytest.raises(UsageError, match="layer '7' is not in .*, which holds 0, 1"):
        reader.layer("7")


def test_who_lacks_frames_in_one_cache_is_missing_in_all(tmp_path, planted, folds, caplog):
    """In the corpus's order, views too; whichever cache lacks them."""
    views = [replace(u, view="noise=20") for u in planted[0]]
    everyone = [*planted[0], *views]
    paths = save_folds(tmp_path, everyone, folds)
    lost = {0: ["s0-01"], 1: ["s0-01", "s1-02"], 3: ["s5-00", views[4].name]}
    for k, names in lost.items():
        frames = {n: f for n, f in remembered(everyone, [], seed=k).items() if n not in names}
        (tmp_path / f"x-fold{k}-0/shards/0000-00000.h5").unlink()
        place = FoldOf(name="x", fold=k, count=4, protocol="")
        save_memory(paths[k], everyone, [], encoder=f"checkpoints/x/fold{k}",
                    seen=seen_of([], fold=place), frames=frames)  # fmt: skip
    reader = open_all(paths)
    gone = ["s0-01", "s1-02", "s5-00"]
    assert [u.id for u in reader.utterances] == [u.id for u in planted[0] if u.id not in gone]
    assert sorted(u.id for u in reader.missing) == gone
    assert [v.name for v in reader.missing_views] == [views[4].name]
    assert [v.name for v in reader.views] == [v.name for i, v in enumerate(views) if i != 4]


CHANGES = {
    "conditioning": {"trim": {"top_db": 60.0}},
    "layers": ("0", "2"),
    "store_dtype": "float16",
    "max_seconds": 30.0,
    "config": {"hidden_act": "relu"},
}


@pytest.mark.parametrize("name", CHANGES)
def test_caches_that_differ_in_more_than_weights_are_refused(tmp_path, planted, folds, name):
    paths = save_folds(tmp_path, planted[0], folds)
    meta = read_meta(paths[2])
    write_meta(paths[2], replace(meta, parts=replace(meta.parts, **{name: CHANGES[name]})))
    was = getattr(meta.parts, name)
    text = (
        f"the caches {paths[0]} and {paths[2]} are of checkpoints of one protocol's folds, but "
        f"differ in more than weights ({name} {was} and {CHANGES[name]}); extract all of them "
        "with the same options"
    )
    with pytest.raises(UsageError) as error:
        open_all(paths)
    assert str(error.value) == text


def test_several_corpora_cannot_be_read_fold_by_fold(
    tmp_path, planted, folds, run_config, write_cache
):
    paths = save_folds(tmp_path, planted[0], folds)
    other = write_cache(tmp_path / "other", *planted, corpus="manifest:other")
    text = "checkpoints that were made fold by fold are of one corpus's folds; give one --corpus"
    with pytest.raises(UsageError, match=text):
        prepare(run_config(cache=[*paths, other], corpus="manifest:planted,manifest:other"))


def test_they_are_found_by_the_folder_of_all_checkpoints(tmp_path, planted, folds, run_config):
    paths = save_folds(tmp_path / "manifest-planted", planted[0], folds)
    save_folds(tmp_path / "manifest-planted", planted[0], folds, name="y")
    config = run_config(cache=None, cache_dir=tmp_path, encoder="checkpoints/x")
    data = prepare(config)
    assert isinstance(data.reader, FoldedReader)
    assert [one.path for one in data.reader.readers] == paths
    alone = prepare(replace(config, encoder="checkpoints/x/fold3", allow_leakage=True))
    assert alone.reader.path == paths[3]
