"""Several corpora become one run: who trains, who is tested, and what is written of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from embedcache.errors import SerError, UsageError
from embedcache.store.reader import CacheReader
from heads.analysis.leaderboard import leaderboard
from heads.experiment import run_heads
from heads.labels import LabelConfig
from heads.report.bias import bias
from heads.results import Run
from heads.train.prepare import prepare
from heads.train.run import train_runs
from tests.heads.boards import board_text

NAMES = ("manifest:one", "manifest:two", "manifest:three")
TOGETHER = "+".join(NAMES)


@pytest.fixture(scope="module")
def config(run_config, corpora_dir):
    """A quick configuration on three corpora; keywords replace its parts."""

    def make(**changes):
        parts = {"corpus": ",".join(NAMES), "cache": None, "cache_dir": corpora_dir, "folds": None}
        return run_config(**parts | {"protocol": "cross-corpus"} | changes)

    return make


@pytest.fixture(scope="module")
def crossed(config, tmp_path_factory):
    """Folder of a run in which each corpus tests once."""
    return next(run_heads(config(heads=("attention",)), tmp_path_factory.mktemp("crossed")))


@pytest.fixture(scope="module")
def tested(config, tmp_path_factory):
    """Folder of a run that trains on two corpora and tests on the third."""
    changed = config(corpus="manifest:three,manifest:one", test_corpus="manifest:two")
    return next(run_heads(changed, tmp_path_factory.mktemp("tested")))


def corpus_of(name):
    return name.split("/")[0]


def test_each_corpus_is_tested_by_models_of_the_others(crossed, read_results):
    results = read_results(crossed)
    table = pd.read_csv(crossed / "predictions.csv")
    tested = table.groupby("fold")["id"].agg(lambda ids: sorted({corpus_of(x) for x in ids}))
    assert tested.tolist() == [[name] for name in NAMES]
    assert results["protocol"]["corpora"] == [
        {"train": [other for other in NAMES if other != name], "test": [name]} for name in NAMES
    ]
    assert (results["protocol"]["folds"], results["protocol"]["speaker_overlap"]) == (3, 0)
    for val, test in zip(
        *(results["protocol"][f"{x}_speakers"] for x in ("val", "test")), strict=True
    ):
        assert val and not set(val) & set(test)


def test_a_model_is_standardised_by_the_training_corpora_alone(crossed, read_results, corpora_dir):
    """The fingerprint of who trained, and of whose frames they are."""
    from safetensors.torch import load_file

    results, weights = read_results(crossed), load_file(crossed / "model.safetensors")
    readers = {
        name: CacheReader(corpora_dir / f"{name.replace(':', '-')}/logmel-0") for name in NAMES
    }
    for fold, name in enumerate(NAMES):
        validate = set(results["protocol"]["val_speakers"][fold])
        own = [
            reader.frames(u.id, 1)
            for other, reader in readers.items()
            for u in reader.utterances
            if other != name and u.speaker not in validate
        ]
        found = weights[f"fold{fold}.seed0.standardise.mean"]
        np.testing.assert_allclose(found, np.concatenate(own).mean(axis=0), atol=1e-5)


def test_ids_name_their_corpus_and_are_those_of_the_runs_utterances(crossed):
    run = Run(crossed)
    for _, table in run.predictions.groupby("seed"):
        assert table["id"].tolist() == list(run.utterances)
        assert len(set(table["id"])) == len(table) == 12 * (4 + 5 + 6)
    for name, utterance in run.utterances.items():
        assert utterance.extra["corpus"] == corpus_of(name)
        assert utterance.speaker.split("/")[0] == corpus_of(name).removeprefix("manifest:")


def test_the_corpus_block_counts_each_corpus(crossed, read_results):
    corpus = read_results(crossed)["corpus"]
    assert corpus["name"] == TOGETHER
    assert (corpus["utterances"], corpus["speakers"], corpus["tested"]) == (180, 15, 180)
    assert corpus["agreement"] is None
    for name, speakers in zip(NAMES, (4, 5, 6), strict=True):
        part = corpus["parts"][name]
        counts = {k: part[k] for k in ("utterances", "tested", "speakers", "missing")}
        assert counts == {"utterances": 12 * speakers, "tested": 12 * speakers,
                          "speakers": speakers, "missing": 0}  # fmt: skip
        assert part["classes"] == dict.fromkeys(("angry", "happy", "sad"), 4 * speakers)
        assert part["agreement"]["utterances"] == 12 * speakers


def test_what_is_planted_in_all_corpora_is_learned_across_them(crossed, read_results):
    """Their centers are the same, so models carry over: chance is a third."""
    assert read_results(crossed)["metrics"]["ua"]["mean"] > 0.5


def test_test_corpora_are_tested_and_nothing_else(tested, read_results, corpora_dir):
    results, run = read_results(tested), Run(tested)
    assert {corpus_of(name) for name in run.predictions["id"]} == {"manifest:two"}
    assert results["protocol"]["name"] == "cross-corpus"
    assert results["protocol"]["corpora"] == [
        {"train": ["manifest:three", "manifest:one"], "test": ["manifest:two"]}
    ]
    assert (results["corpus"]["tested"], results["corpus"]["utterances"]) == (60, 180)
    assert results["corpus"]["parts"]["manifest:one"]["tested"] == 0
    assert tested.name.startswith(
        "manifest-three+manifest-one-to-manifest-two-logmel-mlp-cross-corpus-"
    )
    ua = results["metrics"]["ua"]
    assert ua["mean"] > 0.4 and ua["ci95"] is not None
    assert (ua["std_folds"], ua["reasons"]) == (
        None,
        {"std_folds": "fewer than two folds define it"},
    )


def test_nobody_is_untested_where_only_some_are_to_test(config, caplog):
    prepare(config(test_corpus="manifest:three", corpus="manifest:one,manifest:two"))
    assert "stand in no test fold" not in caplog.text


def test_the_leaderboard_says_what_trains_and_what_tests(crossed, tested):
    board = leaderboard([Run(path).results for path in (crossed, tested)], "ua")
    rows = board.set_index("run")["corpus"]
    assert rows[crossed.name] == TOGETHER
    assert rows[tested.name] == "manifest:three+manifest:one to manifest:two"
    text = board_text([crossed], "manifest:two,manifest:one,manifest:three", form="md")
    assert f"corpus {TOGETHER}" in text and "0 of 15" in text
    with pytest.raises(UsageError, match="none of the 1 runs in .* fits --corpus manifest:two"):
        board_text([crossed], "manifest:two")


def test_bias_goes_by_corpus(crossed):
    record, text = bias(Run(crossed), ["corpus", "session"])
    groups = record["groups"]["corpus"]
    assert {name: g["speakers"] for name, g in groups.items()} == dict(
        zip(NAMES, (4, 5, 6), strict=True)
    )
    assert {g["by"] for g in record["gaps"]} == {"corpus", "session"}
    assert "one/session0" in record["groups"]["session"]
    assert "manifest:one - manifest:three" in text


def test_recordings_that_two_corpora_share_are_counted(crossed, read_results):
    """The planted corpora's contents have the same names: those of the smaller are in others."""
    assert read_results(crossed)["protocol"]["content_overlap"] == 12 * 5


@pytest.mark.parametrize("protocol", ["speaker", "session", "random"])
def test_other_protocols_pool_the_corpora(config, protocol):
    data = prepare(config(protocol=protocol))
    tested = np.concatenate([fold.test for fold in data.folds])
    np.testing.assert_array_equal(np.sort(tested), np.arange(180))
    assert "corpora" not in data.protocol
    if protocol == "session":
        assert len(data.folds) == 2 + 3 + 3  # each corpus's own sessions, of two speakers
    else:
        mixed = [{u.extra["corpus"] for i, u in enumerate(data.utterances) if i in set(fold.test)}
                 for fold in data.folds]  # fmt: skip
        assert all(len(corpora) > 1 for corpora in mixed)


def test_published_folds_of_corpora_must_be_the_same(config, tmp_path, plant, write_cache):
    utterances, frames = plant(speakers=4)
    for name, tests in (("one", 2), ("two", 2), ("three", 4)):
        of = [replace(u, speaker=f"{name}/{u.speaker}") for u in utterances]
        told = [replace(u, folds={str(f): "test" if int(u.id[1]) % tests == f else "train"
                                  for f in range(tests)}) for u in of]  # fmt: skip
        write_cache(tmp_path / f"manifest-{name}/c", told, frames, corpus=f"manifest:{name}")
    changed = config(cache_dir=tmp_path, protocol="official", corpus="manifest:one,manifest:two")
    assert [len(fold.test) for fold in prepare(changed).folds] == [48, 48]
    text = "the corpora have other folds .*one has 2, manifest:three has 4.; pool those that have"
    with pytest.raises(UsageError, match=text):
        prepare(replace(changed, corpus="manifest:one,manifest:three"))


# Classes


def write_two(folder, plant, write_cache, relabel):
    utterances, frames = plant(speakers=4)
    for name in ("one", "two"):
        of = [replace(u, speaker=f"{name}/{u.speaker}") for u in utterances]
        if name == "two":
            of = [replace(u, label=relabel.get(u.label, u.label)) for u in of]
        write_cache(folder / f"manifest-{name}/c", of, frames, corpus=f"manifest:{name}")
    return folder


def test_classes_that_are_not_shared_are_left_out_and_counted(
    config, tmp_path, plant, write_cache, caplog
):
    folder = write_two(tmp_path, plant, write_cache, {"sad": "bored"})
    changed = config(cache_dir=folder, corpus="manifest:one,manifest:two")
    data = prepare(changed)
    assert data.targets.names == ("angry", "happy")
    assert {u.label for u in data.utterances} == {"angry", "happy"}
    counts = {"sad": {"manifest:one": 16}, "bored": {"manifest:two": 16}}
    assert data.protocol["classes_left_out"] == counts
    assert (
        "classes that training and test do not both have are left out: "
        "bored (16 of manifest:two), sad (16 of manifest:one)" in caplog.text
    )
    assert "32 of 96 utterances left out: no label of a class" in caplog.text
    mapped = prepare(replace(changed, labels=LabelConfig(rename={"bored": "sad"})))
    assert mapped.targets.names == ("angry", "happy", "sad")
    assert "classes_left_out" not in mapped.protocol


def test_pooled_classes_stay_and_who_lacks_them_is_said(
    config, tmp_path, plant, write_cache, caplog
):
    folder = write_two(tmp_path, plant, write_cache, {"sad": "bored"})
    data = prepare(config(cache_dir=folder, corpus="manifest:one,manifest:two", protocol="speaker"))
    assert data.targets.names == ("angry", "bored", "happy", "sad")
    assert "manifest:one has no utterance of bored" in caplog.text
    assert "manifest:two has no utterance of sad" in caplog.text


def test_corpora_without_a_class_in_common_are_refused(config, tmp_path, plant, write_cache):
    folder = write_two(tmp_path, plant, write_cache, {"sad": "x", "happy": "y", "angry": "z"})
    text = "share no class, .*: manifest:one has angry, happy, sad; manifest:two has x, y, z; renam"
    with pytest.raises(SerError, match=text):
        prepare(config(cache_dir=folder, corpus="manifest:one,manifest:two"))


def test_a_label_set_of_one_corpus_is_for_all(config, tmp_path, plant, write_cache):
    utterances, frames = plant(speakers=4)
    of = [replace(u, speaker=f"b/{u.speaker}", label=u.label.replace("sad", "excited"))
          for u in utterances]  # fmt: skip
    write_cache(tmp_path / "iemocap/c", utterances, frames, corpus="iemocap")
    write_cache(tmp_path / "folder-b/c", of, frames, corpus="folder:b")
    changed = config(
        cache_dir=tmp_path, corpus="iemocap", test_corpus="folder:b", seeds=1,
        labels=LabelConfig(label_set="iemocap-4"), settings={"epochs": "1"},
    )  # fmt: skip
    run = next(train_runs(changed))
    assert run.results["corpus"]["labels"] == ["angry", "happy"]
    assert run.results["training"]["label_set_version"] == 1
    assert run.results["corpus"]["parts"]["folder:b"]["classes"] == {"angry": 16, "happy": 32}


# Names


def test_the_same_corpora_make_the_same_run(config):
    quick = {"seeds": 1, "settings": {"epochs": "1"}}
    ids = [next(train_runs(config(**quick | changes))).results["run_id"]
           for changes in ({}, {}, {"corpus": "manifest:one,manifest:two"},
                           {"corpus": "manifest:one", "test_corpus": "manifest:two"},
                           {"corpus": "manifest:two", "test_corpus": "manifest:one"},
                           {"protocol": "speaker"})]  # fmt: skip
    assert ids[0] == ids[1]
    assert len(set(ids)) == 5


def test_many_corpora_are_counted_in_the_folders_name(run_config):
    from heads.train.corpora import folder_name

    many = ",".join(f"emobox:corpus{n}" for n in range(9))
    assert folder_name(run_config(corpus=many)) == "9-corpora"
    assert folder_name(run_config(corpus="tess", test_corpus=many)) == "tess-to-9-corpora"


# Messages


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"corpus": ","}, "--corpus is empty; see `ser corpora`"),
        ({"corpus": "manifest:one,manifest:one"}, "--corpus: manifest:one is named twice; name"),
        (
            {"test_corpus": "manifest:two"},
            "--corpus and --test-corpus: manifest:two is named twice; name each corpus once",
        ),
        ({"corpus": "manifest:one,manifest:four"}, "no cache of manifest:four in .*; make it with"),
        ({"corpus": "manifest:one"}, "there is one corpus, manifest:one; name several, as in"),
        ({"folds": 5}, "--folds 5: the protocol 'cross-corpus' has one fold for each corpus, so"),
        ({"labels": LabelConfig(label_set="iemocap-4")}, "unknown label set 'iemocap-4'"),
        ({"encoder": "lld"}, "no cache of manifest:one with encoder lld in"),
    ],
)
def test_what_cannot_be_is_said(config, changes, text):
    with pytest.raises(UsageError, match=text):
        prepare(config(**changes))


def test_test_corpora_and_another_protocol_are_refused(config):
    text = "--test-corpus manifest:two says who is tested, and so does --protocol random; leave"
    with pytest.raises(UsageError, match=text):
        config(corpus="manifest:one", test_corpus="manifest:two", protocol="random")


def test_caches_may_be_named_in_any_order(config, corpora_dir):
    paths = [corpora_dir / f"{name.replace(':', '-')}/logmel-0" for name in NAMES]
    named = prepare(config(cache=paths[::-1], cache_dir="nowhere"))
    assert [u.id for u in named.utterances] == [u.id for u in prepare(config()).utterances]
    some = prepare(config(cache=paths[1]))
    assert str(some.reader.path) == ",".join(map(str, paths))


def test_caches_that_are_too_many_are_named(config, corpora_dir, planted, write_cache, tmp_path):
    other = write_cache(tmp_path / "other", *planted)
    text = f"--cache {other} holds manifest:planted, not manifest:one or manifest:two or manifest:"
    with pytest.raises(UsageError, match=text):
        prepare(config(cache=[other]))
    twin = write_cache(tmp_path / "twin", *planted, corpus="manifest:one")
    again = corpora_dir / "manifest-one/logmel-0"
    with pytest.raises(UsageError, match=f"{again} and {twin} both hold manifest:one; name"):
        prepare(config(cache=[again, twin]))


def test_views_of_test_corpora_are_not_read(tmp_path, config, plant, write_cache):
    utterances, frames = plant(speakers=4)
    for name in ("one", "two"):
        of = [replace(u, speaker=f"{name}/{u.speaker}") for u in utterances]
        views = [replace(u, view="noise=20") for u in of]
        moved = {v.name: frames[v.id] + 1 for v in views}
        write_cache(
            tmp_path / f"manifest-{name}/c",
            [*of, *views],
            frames | moved,
            corpus=f"manifest:{name}",
        )
    data = prepare(config(cache_dir=tmp_path, corpus="manifest:one", test_corpus="manifest:two"))
    (fold,) = data.folds
    untested = {data.utterances[i].id for i in (*fold.train, *fold.val)}
    assert {view.id for view in data.views} == untested
    assert [data.utterances[i].id for i in data.view_of] == [view.id for view in data.views]
