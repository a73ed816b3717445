"""Folds are told: the shares that were reached, what is shared, what a corpus lacks."""

from __future__ import annotations

import logging
from dataclasses import replace

import pandas as pd
import pytest

from embedcache.errors import SerError, UsageError
from heads.analysis.leaderboard import leaderboard
from heads.experiment import run_heads
from heads.labels import LabelConfig
from heads.report.bias import bias
from heads.results import Run
from heads.train.prepare import prepare
from heads.train.run import train_runs
from tests.heads.boards import board_text

SHARES = {"folds": None, "test_share": 0.2, "val_share": 0.2}


@pytest.fixture(scope="module")
def sentences(tmp_path_factory, plant, write_cache):
    """The planted corpus, in which everyone speaks four sentences."""
    utterances, frames = plant()
    told = [replace(u, sentence=f"t{int(u.id[-2:]) // 3}") for u in utterances]
    return write_cache(tmp_path_factory.mktemp("sentences"), told, frames)


@pytest.fixture(scope="module")
def one_split(run_config, tmp_path_factory):
    """Folder of a run with one split in place of folds."""
    config = run_config(heads=("attention",), **SHARES)
    return next(run_heads(config, tmp_path_factory.mktemp("split")))


def write_with(tmp_path, planted, write_cache, change):
    utterances, frames = planted
    return write_cache(tmp_path / "cache", list(map(change, utterances)), frames)


# One split


def test_one_split_is_a_run_with_the_shares_that_it_reached(one_split, read_results):
    results, run = read_results(one_split), Run(one_split)
    protocol = results["protocol"]
    assert (protocol["name"], protocol["folds"], protocol["speaker_overlap"]) == ("speaker", 1, 0)
    assert protocol["split"] == {
        "asked": {"test": 0.2, "val": 0.2},
        "reached": {"train": 0.5, "val": 0.25, "test": 0.25},  # of eight speakers, two each
    }
    (tested,), (held_out,) = protocol["test_speakers"], protocol["val_speakers"]
    assert (len(tested), len(held_out), set(tested) & set(held_out)) == (2, 2, set())
    assert set(run.predictions["speaker"]) == set(tested)
    assert set(run.utterances) == set(run.predictions["id"])
    assert (results["corpus"]["utterances"], results["corpus"]["tested"]) == (96, 24)
    assert set(pd.read_csv(one_split / "history.csv")["fold"]) == {0}


def test_what_one_split_leaves_undefined_has_a_reason(one_split, read_results):
    ua = read_results(one_split)["metrics"]["ua"]
    assert ua["mean"] == ua["fold_mean"]
    assert ua["std_folds"] is None
    assert ua["reasons"] == {"std_folds": "fewer than two folds define it"}
    low, high = ua["ci95"]  # over two speakers: wide, and there
    assert low < ua["mean"] < high


def test_the_shares_are_said_and_nobody_is_called_untested(run_config, caplog):
    with caplog.at_level(logging.INFO):
        prepare(run_config(**SHARES))
    assert (
        "one split of 96 utterances: train 50.0 %, val 25.0 %, test 25.0 % "
        "(asked for: test 20.0 %, val 20.0 %; a speaker is not divisible)"
    ) in caplog.text
    assert "stand in no test fold" not in caplog.text


def test_reports_work_with_one_split(one_split, hard_run):
    board = leaderboard([Run(path).results for path in (one_split, hard_run)], "ua")
    protocols = board.set_index("run")["protocol"]
    assert protocols[one_split.name] == "speaker, one split (test 25 %)"
    assert protocols[hard_run.name] == "speaker"
    text = board_text([one_split, hard_run], form="md")
    assert text.count("protocol speaker\n") == text.count("one split (test 25 %)\n") == 1
    assert "0 of 2" in text and "0 of 8" in text
    record, table = bias(Run(one_split), ["gender", "speaker"])
    assert sum(g["n"] for g in record["groups"]["gender"].values()) == 24
    assert "too small to be compared" in table


@pytest.mark.parametrize("protocol", ["random", "session"])
def test_other_protocols_make_one_split_too(run_config, protocol):
    data = prepare(run_config(protocol=protocol, **SHARES))
    (fold,) = data.folds
    reached = data.protocol["split"]["reached"]
    assert reached["test"] == len(fold.test) / 96
    assert reached["test"] == pytest.approx(0.2, abs=0.01 if protocol == "random" else 0.06)


def test_another_share_is_another_run(run_config, one_split):
    ids = [
        next(train_runs(run_config(heads=("attention",), seeds=1, settings={"epochs": "1"}, **x)))
        for x in (SHARES, SHARES | {"test_share": 0.4}, {})
    ]
    assert len({run.results["run_id"] for run in ids}) == 3


# Sentences and speakers


def test_no_sentence_trains_that_is_tested_and_shared_speakers_are_shown(
    run_config, sentences, tmp_path, read_results, caplog
):
    config = run_config(cache=sentences, protocol="sentence", seeds=1, settings={"epochs": "2"})
    folder = next(run_heads(config, tmp_path))
    protocol, utterances = read_results(folder)["protocol"], Run(folder).utterances
    assert (protocol["sentence_overlap"], protocol["speaker_overlap"]) == (0, 8)
    assert (protocol["folds"], protocol["speaker_disjoint"]) == (4, False)
    tested = Run(folder).predictions.groupby("fold")["id"]
    assert [{utterances[x].sentence for x in ids} for _, ids in tested] == [
        {utterances[ids.iloc[0]].sentence} for _, ids in tested
    ]
    assert "protocol sentence: 8 of 8 tested speakers also train or validate" in caplog.text
    row = next(line for line in board_text([folder], form="md").split("\n") if "8 of 8" in line)
    assert "speakers shared" in row


def test_speaker_folds_share_sentences_and_say_how_many(run_config, sentences, planted_cache):
    assert prepare(run_config(cache=sentences)).protocol["sentence_overlap"] == 4
    assert prepare(run_config(cache=planted_cache)).protocol["sentence_overlap"] is None


def test_one_speaker_is_left_out_at_a_time(run_config):
    quick = {"seeds": 1, "settings": {"epochs": "1"}}
    run = next(train_runs(run_config(folds="speakers", **quick)))
    protocol = run.results["protocol"]
    assert protocol["test_speakers"] == [[f"planted/s{s}"] for s in range(8)]
    assert (protocol["folds"], protocol["speaker_overlap"]) == (8, 0)
    for test, val in zip(protocol["test_speakers"], protocol["val_speakers"], strict=True):
        assert val and not set(test) & set(val)


def test_shared_and_unknown_speakers_are_said(run_config, tmp_path, planted, write_cache, caplog):
    prepare(run_config())
    assert "protocol" not in caplog.text
    prepare(run_config(protocol="random"))
    assert "protocol random: 8 of 8 tested speakers also train or validate" in caplog.text
    cache = write_with(tmp_path, planted, write_cache, lambda u: replace(u, speaker=None))
    prepare(run_config(cache=cache, protocol="random"))
    assert "protocol random: speakers are not known, so they may be shared" in caplog.text


# What a corpus lacks


def test_a_corpus_without_folds_is_sent_to_emobox_where_that_has_it(
    run_config, tmp_path, planted, write_cache
):
    cache = write_cache(tmp_path / "cache", *planted, corpus="cremad")
    text = "cremad has no published folds; EmoBox has: extract --corpus emobox:cremad, or use 'sp"
    with pytest.raises(UsageError, match=text):
        prepare(run_config(cache=cache, corpus="cremad", protocol="official", folds=None))
    with pytest.raises(UsageError, match="manifest:planted has no published folds; use 'speaker'"):
        prepare(run_config(protocol="official", folds=None))


def test_the_number_of_published_folds_is_the_corpus_own(
    run_config, tmp_path, planted, write_cache
):
    def in_six_folds(u):
        own = int(u.id[1]) % 6
        return replace(u, folds={str(f): "test" if f == own else "train" for f in range(6)})

    cache = write_with(tmp_path, planted, write_cache, in_six_folds)
    text = "--folds 5: the protocol 'official' has the corpus's own folds, so their number is 6; le"
    with pytest.raises(UsageError, match=text):
        prepare(run_config(cache=cache, protocol="official", folds=5))
    for folds in (None, 6):
        assert len(prepare(run_config(cache=cache, protocol="official", folds=folds)).folds) == 6


def test_a_published_validation_part_that_is_left_out_is_said(
    run_config, tmp_path, planted, write_cache
):
    """Training data must not step in for it silently: the number would not be the published one."""
    roles = {"angry": "train", "happy": "train", "sad": "val"}

    def with_roles(u):
        role = "train" if u.speaker.endswith("0") else roles[u.label]
        role = "test" if u.speaker.endswith(("6", "7")) else role
        return replace(u, folds={"official": role})

    cache = write_with(tmp_path, planted, write_cache, with_roles)
    config = run_config(cache=cache, protocol="official", folds=None)
    assert len(prepare(config).folds[0].val) == 20
    text = (
        "the validation part of fold official is empty, for none of its utterances has frames and"
    )
    with pytest.raises(UsageError, match=text):
        prepare(replace(config, labels=LabelConfig(drop=frozenset({"sad"}))))


def test_a_class_that_a_fold_does_not_train_is_named(run_config, tmp_path, planted, write_cache):
    def odd(u):
        return replace(u, label="odd") if u.speaker == "planted/s3" else u

    cache = write_with(tmp_path, planted, write_cache, odd)
    with pytest.raises(SerError, match=r"fold 3 has no training utterance of odd; give fewer"):
        next(train_runs(run_config(cache=cache, folds="speakers")))


def test_one_speaker_only_and_more_folds_than_speakers(run_config, tmp_path, plant, write_cache):
    alone = write_cache(tmp_path / "alone", *plant(speakers=1))
    with pytest.raises(UsageError, match="--protocol speaker: there is 1 speaker, and it takes 3"):
        prepare(run_config(cache=alone))
    with pytest.raises(UsageError, match="--folds 9: there are 8 speakers; give at most 8, or"):
        prepare(run_config(folds=9))


def test_without_a_number_few_speakers_make_few_folds(run_config, tmp_path, plant, write_cache):
    four = write_cache(tmp_path / "four", *plant(speakers=4))
    assert len(prepare(run_config(cache=four, folds=None)).folds) == 4
    assert len(prepare(run_config(folds=None)).folds) == 5


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"test_share": 0.2}, "--test 0.2: give --val too, as in --test 0.15 --val 0.15"),
        ({"test_share": 0.2, "val_share": 0.9}, "nothing is left to train on"),
        ({"test_share": 0.2, "val_share": 0.2, "folds": 5}, "--folds 5 --test 0.2 --val 0.2: give"),
        (
            {"test_share": 0.2, "val_share": 0.2, "protocol": "cross-corpus"},
            "says itself who is te",
        ),
    ],
)
def test_shares_that_cannot_be_are_said(run_config, changes, text):
    with pytest.raises(UsageError, match=text):
        prepare(run_config(**{"folds": None} | changes))
