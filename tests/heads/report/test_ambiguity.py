"""A run becomes its ambiguity record, and tables for people."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from embedcache.corpora import read_corpus
from embedcache.errors import SerError, UsageError
from embedcache.utterance import Utterance
from heads.plots import to_png
from heads.plots.agreement import plot_agreement
from heads.plots.tau import plot_tau
from heads.report.ambiguity import ambiguity
from heads.report.ambiguity_text import render, shorten
from heads.results import Run
from tests.material import real_data

LABELS = ("angry", "happy", "sad")
PARTS = ("agreement", "ambiguous", "label_agreement", "by_entropy", "trends", "tau", "held_out",
         "disagreements")  # fmt: skip
NO_VOTES = "no tested clip has annotators' votes"


@pytest.fixture
def run(hard_run):
    return Run(hard_run)


@pytest.fixture
def edited(hard_run, tmp_path):
    """A copy of a run whose files may be changed."""
    return shutil.copytree(hard_run, tmp_path / "copy")


def edit_utterances(folder, change):
    """Change each record of `utterances.jsonl`; None leaves it out."""
    file = folder / "utterances.jsonl"
    records = [change(json.loads(line)) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(record) + "\n" for record in records if record))
    return Run(folder)


def words(text):
    """The text without its line ends."""
    return " ".join(text.split())


def edit_results(folder, part, **changes):
    file = folder / "results.json"
    results = json.loads(file.read_text())
    results[part] |= changes
    file.write_text(json.dumps(results))
    return Run(folder)


def edit_predictions(folder, change):
    table = pd.read_csv(folder / "predictions.csv", dtype={"id": str, "speaker": str})
    change(table).to_csv(folder / "predictions.csv", index=False)
    return Run(folder)


# The record


@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_the_record_has_every_part_and_no_nan(hard_run, soft_run, labels):
    run = Run({"hard": hard_run, "soft": soft_run}[labels])
    record, _ = ambiguity(run)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert (record["run_id"], record["votes"], record["reason"]) == (run.id, True, None)
    assert all(record[part] for part in PARTS)
    assert record["labels"] == labels
    clips = record["clips"]
    assert sum(row["n"] for row in record["agreement"]) == clips
    assert sum(row["n"] for row in record["by_entropy"]) == clips
    assert record["annotators"]["clips"] == clips == run.results["corpus"]["tested"]


def test_soft_labels_have_the_metrics_of_the_run(soft_run):
    run = Run(soft_run)
    record, _ = ambiguity(run)
    spread = run.results["tau_spread"]
    assert {name: record["tau"][name] for name in spread} == pytest.approx(spread)
    metrics = run.results["metrics"]
    assert record["held_out"][0]["ua"] == pytest.approx(metrics["ua"]["mean"], abs=1e-6)
    assert record["held_out"][0]["ua_ci95"] == pytest.approx(metrics["ua"]["ci95"], abs=1e-6)
    bins = record["by_entropy"]
    mean = sum(row["n"] * row["js"] for row in bins) / record["clips"]
    assert mean == pytest.approx(metrics["js"]["mean"], abs=1e-6)
    ties = run.results["corpus"]["majority_ties"]
    assert record["held_out"][0]["n"] == record["clips"] - ties
    assert record["label_errors"]["clips"] == record["clips"] - ties


def test_hard_labels_are_compared_with_the_votes(run, planted):
    record, _ = ambiguity(run)
    clear = [
        (u.label, winners[0])
        for u in planted[0]
        if len(winners := [x for x, n in u.votes.items() if n == max(u.votes.values())]) == 1
    ]
    assert record["label_agreement"]["n"] == len(clear)
    assert record["label_agreement"]["same"] == sum(label == heard for label, heard in clear)
    metrics = run.results["metrics"]
    assert record["held_out"][0]["wa"] == pytest.approx(metrics["wa"]["mean"])
    assert record["tau"]["defined"] > 0  # against the votes, which hard labels lack in the metrics


def test_lists_of_clips_say_where_they_are(edited):
    def change(record):
        return record | {"path": f"/corpus/{record['id']}.wav", "start_s": 1.5, "end_s": 4.0}

    record, text = ambiguity(edit_utterances(edited, change), top=3)
    assert len(record["disagreements"]) == 3
    clip = record["disagreements"][0]
    assert clip["path"] == f"/corpus/{clip['id']}.wav"
    assert (clip["start_s"], clip["end_s"]) == (1.5, 4.0)
    assert sum(clip["annotated"].values()) == pytest.approx(1)
    assert sum(clip["predicted"].values()) == pytest.approx(1, abs=1e-5)
    assert f"{clip['id']}.wav 1.50 to 4.00 s" in text
    assert "(paths are below /corpus)" in text


def test_whole_files_have_no_bounds(run):
    record, _ = ambiguity(run)
    assert {clip["start_s"] for clip in record["disagreements"]} == {None}


def test_flipped_labels_are_suspected(edited):
    """The model is told the truth with noise; every eighth label is another one."""
    rng = np.random.default_rng(0)

    def change(table):
        names = sorted(set(table["id"]))
        truth = table[[f"true_{x}" for x in LABELS]].to_numpy()
        sure = truth + rng.uniform(0, 0.2, truth.shape)
        table[[f"pred_{x}" for x in LABELS]] = sure / sure.sum(axis=1, keepdims=True)
        flipped = table["id"].isin(names[::8]).to_numpy()
        given = np.where(flipped[:, None], np.roll(truth, 1, axis=1), truth)
        table[[f"true_{x}" for x in LABELS]] = given
        return table

    run = edit_predictions(edited, change)
    record, text = ambiguity(run, 20)
    found = record["label_errors"]
    assert found["suspected"] == 12
    assert {clip["id"] for clip in found["ranked"]} == set(sorted(run.utterances)[::8])
    for clip in found["ranked"]:
        assert clip["suggested"] == run.utterances[clip["id"]].label
        assert clip["margin"] < 0 < clip["p_suggested"]
    assert found["share"] == pytest.approx(1 / 8, abs=0.03)
    assert found["heard"]["n"] == 12
    more = [
        run.utterances[clip["id"]].votes.get(clip["suggested"], 0)
        > run.utterances[clip["id"]].votes.get(clip["given"], 0)
        for clip in found["ranked"]
    ]
    assert found["heard"]["as_suggested"] == sum(more) > 6  # annotators side with the model
    assert "Suspected label errors: 12 of 96 clips; estimated share of wrong labels 12." in words(
        text
    )


# What is missing


def test_without_votes_label_errors_are_left(edited):
    record, text = ambiguity(edit_utterances(edited, lambda r: r | {"votes": {}}))
    assert (record["votes"], record["reason"]) == (False, NO_VOTES)
    assert {record[part] for part in PARTS} == {None}
    assert record["label_errors"]["clips"] == 96
    assert record["label_errors"]["heard"] is None
    assert f"Nothing can be said of agreement: {NO_VOTES}." in words(text)
    assert "Suspected label errors" in text


def test_votes_for_some_clips_only(edited):
    def change(record):
        votes = {"s0": {}, "s1": {"sad": 1.0}}.get(record["id"][:2], record["votes"])
        return record | {"votes": votes}

    record, text = ambiguity(edit_utterances(edited, change))
    assert record["annotators"] == {
        "clips": 72, "without_votes": 12, "one_vote": 12, "least": 4, "most": 5,
    }  # fmt: skip
    assert sum(row["n"] for row in record["agreement"]) == 72
    assert "72 of 96 clips have 4 to 5 votes each" in words(text)
    assert "12 have no votes and do not count. 12 have one vote and do not count." in words(text)


def test_one_annotator_everywhere(edited):
    record, _ = ambiguity(edit_utterances(edited, lambda r: r | {"votes": {"sad": 1}}))
    assert record["votes"] is False
    assert record["reason"].startswith("no tested clip has votes of two annotators")


def test_everybody_agrees(edited):
    record, text = ambiguity(edit_utterances(edited, lambda r: r | {"votes": {r["label"]: 4}}))
    assert record["ambiguous"] == {
        "told": "no emotion has more than half of the votes", "n": 0, "share": 0.0,
    }  # fmt: skip
    assert len(record["by_entropy"]) == 1
    assert "Accuracy has no trend: vote entropy is the same on all clips." in words(text)
    assert "96 of 96 clips have 4 votes each" in text


def test_all_tied(edited):
    votes = {"angry": 1, "sad": 1}
    record, _ = ambiguity(edit_utterances(edited, lambda r: r | {"votes": votes}))
    assert [row["n"] for row in record["agreement"]] == [0, 0, 0, 0, 96]
    assert record["agreement"][0]["wa"] is None
    assert record["label_agreement"] == {"n": 0, "same": 0, "share": None}
    assert record["held_out"][1]["n"] == 96  # a half agrees
    assert record["held_out"][2]["reason"] == "no clip is left"


def test_shares_in_place_of_counts_are_told(edited):
    votes = {"angry": 0.7, "sad": 0.3}
    record, text = ambiguity(edit_utterances(edited, lambda r: r | {"votes": votes}))
    assert record["annotators"]["most"] is None
    assert "96 of 96 clips have shares of votes" in text


@pytest.mark.parametrize(
    ("speaker", "reason"), [("x", "one speaker"), ("", "96 of 96 clips name no speaker")]
)
def test_without_speakers_there_is_no_interval(edited, speaker, reason):
    run = edit_predictions(edited, lambda table: table.assign(speaker=speaker))
    record, text = ambiguity(run)
    assert record["reasons"]["ci95"] == reason
    intervals = [row["wa_ci95"] for row in record["agreement"] + record["by_entropy"]]
    intervals += [row["change_ci95"] for row in record["held_out"]]
    intervals += [row["ci95"] for row in record["trends"].values()]
    assert set(intervals) == {None}
    assert f"without an interval: {reason}" in words(text)


def test_another_column_with_votes(edited):
    run = edit_results(edited, "training", votes="crowd")
    assert ambiguity(run)[0]["reason"] == NO_VOTES
    run = edit_utterances(edited, lambda r: r | {"extra": {"crowd": "sad=2;angry=1"}})
    record, _ = ambiguity(run)
    assert record["agreement"][1]["n"] == 96


def test_a_label_set_names_the_classes(edited):
    """IEMOCAP's four classes: excited is happy; what is of no class counts for agreement alone."""
    edit_results(edited, "corpus", name="iemocap")
    run = edit_results(edited, "training", label_set="iemocap-4")
    votes = {"excited": 1, "happy": 1, "frustrated": 1}
    run = edit_utterances(edited, lambda r: r | {"votes": votes})
    record, _ = ambiguity(run)
    assert record["agreement"][1]["n"] == 96
    assert record["disagreements"][0]["annotated"] == {"angry": 0, "happy": 1, "sad": 0}


@pytest.mark.parametrize(
    ("name", "version", "reason"),
    [
        ("iemocap-4", 99, "this run used version 99 of the label set iemocap-4, and this is"),
        ("gone", 1, "the label set gone of this run is not known to this version"),
    ],
)
def test_a_label_set_that_has_changed(edited, name, version, reason):
    edit_results(edited, "corpus", name="iemocap")
    run = edit_results(edited, "training", label_set=name, label_set_version=version)
    record, _ = ambiguity(run)
    assert record["votes"] is False
    assert record["reason"].startswith(reason)


def test_votes_that_were_not_trained_on(soft_run, tmp_path):
    folder = shutil.copytree(soft_run, tmp_path / "copy")
    record, _ = ambiguity(edit_utterances(folder, lambda r: r | {"votes": {"sad": 3}}))
    told = "the votes in utterances.jsonl are not those that the run was trained on"
    assert record["reason"] == told


def test_a_truth_that_is_tied_everywhere(soft_run, tmp_path):
    folder = shutil.copytree(soft_run, tmp_path / "copy")

    def change(table):
        table[["true_angry", "true_happy", "true_sad"]] = [0.5, 0.5, 0]
        return table

    edit_predictions(folder, change)
    votes = {"angry": 2, "happy": 2}
    record, text = ambiguity(edit_utterances(folder, lambda r: r | {"votes": votes}))
    assert record["label_errors"] is None
    assert record["label_errors_reason"] == "the true class of every clip is tied"
    assert "No label can be suspected: the true class of every clip is tied." in words(text)
    assert record["held_out"][0]["wa"] is None


# What folds hide


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"speaker_overlap": 8},
            "Speakers that both train and test: 8; an error that runs through",
        ),
        ({"speaker_overlap": None}, "Speakers are unknown, so folds may share them"),
        (
            {"content_overlap": 2},
            "Recordings that both train and test: 2; their labels are learned",
        ),
        (
            {"contamination": {"speakers": ["a", "b"]}},
            "CONTAMINATED: the encoder was trained on 2 speakers of the test parts; errors in what",
        ),
    ],
)
def test_what_folds_hide_is_told(edited, changes, told):
    assert not any(told in x for x in ambiguity(Run(edited))[0]["label_errors"]["caveats"])
    record, text = ambiguity(edit_results(edited, "protocol", **changes))
    assert any(caveat.startswith(told) for caveat in record["label_errors"]["caveats"])
    assert told.split(";")[0] in words(text)


def test_few_clips_of_a_class_are_told(edited):
    def change(table):
        rare = (table["true_sad"] == 1) & ~table["id"].str.startswith("s0")
        table.loc[rare, ["true_sad", "true_angry"]] = [0.0, 1.0]
        return table

    record, _ = ambiguity(edit_predictions(edited, change))
    assert "Thresholds that rest on few clips: sad (4)" in record["label_errors"]["caveats"]


# Text


def test_the_text_fits_a_hundred_columns(hard_run, soft_run):
    for folder in (hard_run, soft_run):
        _, text = ambiguity(Run(folder))
        assert max(map(len, text.splitlines())) <= 100


def test_the_text_shows_the_record(run):
    record, text = ambiguity(run)
    assert text == render(record)
    assert text.startswith(f"Ambiguity of {run.id}; in per cent")
    level = record["agreement"][0]
    line = next(line for line in text.splitlines() if line.startswith("all agree"))
    assert line.split()[2:5] == [str(level["n"]), f"{100 * level['share']:.1f}",
                                 f"{100 * level['wa']:.1f}"]  # fmt: skip
    trend = record["trends"]["accuracy"]
    assert f"accuracy {trend['spearman']:+.2f} (" in text
    assert "an easier test set, not a better model" in words(text)
    assert words(text).endswith(record["summary"])


@pytest.mark.parametrize(
    ("ci95", "told"),
    [
        ([-0.5, -0.1], "Accuracy falls as annotators disagree more"),
        ([0.1, 0.5], "Accuracy rises as annotators disagree more"),
        ([-0.1, 0.5], "These data do not show that accuracy depends on agreement"),
    ],
)
def test_the_summary_says_what_the_interval_supports(run, ci95, told):
    from heads.report.ambiguity_text import summarise

    record, _ = ambiguity(run)
    record["trends"]["accuracy"] |= {"ci95": ci95}
    assert told in summarise(record)


@pytest.mark.parametrize(
    "name", ["short", "x" * 24, "MSP-PODCAST_0012_0034_0005_and_more", "é" * 60]
)
def test_long_ids_lose_their_middle(name):
    short = shorten(name)
    assert len(short) <= 24
    assert short == name or (short[:8] == name[:8] and short[-8:] == name[-8:])


def test_ids_that_paths_do_not_tell_are_shown(edited):
    def change(record):
        return record | {"path": f"/corpus/{record['speaker'][-2:]}/all.wav"}

    _, text = ambiguity(edit_utterances(edited, change), top=2)
    header = next(line for line in text.splitlines() if line.startswith("  JS"))
    assert header.split() == ["JS", "annotators", "model", "clip", "path"]


def test_paths_of_several_places_are_whole(edited):
    def change(record):
        return record | {
            "path": f"{'/far/' if record['id'][1] in '0246' else ''}{record['id']}.wav"
        }

    _, text = ambiguity(edit_utterances(edited, change))
    assert "paths are below" not in text
    assert "  /far/s" in text


# Messages


def test_dimensions_have_no_votes(edited):
    edit_results(edited, "corpus", labels=["valence"])
    file = edited / "results.json"
    results = json.loads(file.read_text())
    results["training"]["target"] = "dimensions"
    results["metrics"] |= {"ccc": {}, "rmse": {}, "pearson": {}}
    file.write_text(json.dumps(results))
    with pytest.raises(
        UsageError, match=r"has learned valence: annotators' votes and label errors"
    ):
        ambiguity(Run(edited))


@pytest.mark.parametrize("top", [0, -1])
def test_lists_need_a_clip(run, top):
    with pytest.raises(UsageError, match=rf"{top} clips in each list: give 1 or more"):
        ambiguity(run, top=top)


def test_predictions_of_unknown_utterances_are_said(edited):
    run = edit_utterances(edited, lambda r: r if r["id"][:2] != "s0" else None)
    text = (
        r"has predictions for 12 utterances that its utterances.jsonl does not list, first 's0-00"
    )
    with pytest.raises(UsageError, match=text):
        ambiguity(run)


def test_utterances_without_ids_are_said(edited):
    run = edit_utterances(edited, lambda r: {k: v for k, v in r.items() if k != "id"})
    with pytest.raises(SerError, match=r"utterances.jsonl cannot be read \(.*'id'.*train the head"):
        ambiguity(run)


# CREMA-D's real votes


@pytest.fixture(scope="module")
def cremad(tmp_path_factory) -> list[Utterance]:
    """The real corpus as its plug-in reads it, with an empty file for every clip."""
    tables = real_data("cremad-meta")
    root = tmp_path_factory.mktemp("CREMA-D")
    for name in ("VideoDemographics.csv", "processedResults"):
        (root / name).symlink_to(tables / name)
    (root / "AudioWAV").mkdir()
    with (tables / "SentenceFilenames.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            (root / "AudioWAV" / f"{row['Filename']}.wav").touch()
    return read_corpus("cremad", root)


@pytest.fixture(scope="module")
def cremad_run(cremad, hard_run, tmp_path_factory) -> Run:
    """A model that hears what listeners hear, with noise, and is tested against the acted label."""
    folder = shutil.copytree(hard_run, tmp_path_factory.mktemp("run") / "cremad")
    labels = ["angry", "disgust", "fear", "happy", "neutral", "sad"]
    rng = np.random.default_rng(0)
    votes = np.array([[u.votes.get(x, 0.0) for x in labels] for u in cremad])
    shares = votes / votes.sum(axis=1, keepdims=True) + rng.exponential(0.1, votes.shape)
    table = pd.DataFrame({"id": [u.id for u in cremad], "speaker": [u.speaker for u in cremad]})
    table["fold"], table["seed"] = 0, 0
    truth = np.array([[float(u.label == x) for x in labels] for u in cremad])
    table[[f"true_{x}" for x in labels]] = truth
    table[[f"pred_{x}" for x in labels]] = shares / shares.sum(axis=1, keepdims=True)
    table.to_csv(folder / "predictions.csv", index=False)
    lines = [json.dumps(u.to_json()) + "\n" for u in cremad]
    (folder / "utterances.jsonl").write_text("".join(lines))
    edit_results(folder, "corpus", labels=labels, tested=len(cremad), name="cremad")
    return edit_results(folder, "protocol", seeds=1)


def test_levels_of_agreement_of_cremad_are_those_of_its_table(cremad_run):
    """Counted from `tabulatedVotes.csv` alone, in whole numbers."""
    record, text = ambiguity(cremad_run)
    counts = dict.fromkeys((row["told"] for row in record["agreement"]), 0)
    tables = real_data("cremad-meta") / "processedResults" / "tabulatedVotes.csv"
    with tables.open(newline="") as file:
        for row in csv.DictReader(file):
            if not row[""].startswith("1"):  # judged by voice
                continue
            votes = sorted(int(row[x]) for x in "ADFHNS")
            most, total = votes[-1], sum(votes)
            if votes[-2] == most:
                counts["a tie"] += 1
            elif most == total:
                counts["all agree"] += 1
            elif 3 * most >= 2 * total:
                counts["two thirds or more"] += 1
            elif 2 * most > total:
                counts["more than half"] += 1
            else:
                counts["a plurality"] += 1
    assert {row["told"]: row["n"] for row in record["agreement"]} == counts
    assert counts == {"all agree": 383, "two thirds or more": 3031, "more than half": 1598,
                      "a plurality": 1786, "a tie": 644}  # fmt: skip
    assert record["ambiguous"]["n"] == 1786 + 644
    assert record["ambiguous"]["share"] == pytest.approx(0.3265, abs=1e-4)
    assert "7442 of 7442 clips have 4 to 12 votes each" in text


def test_cremad_is_often_not_heard_as_it_was_acted(cremad, cremad_run):
    record, _ = ambiguity(cremad_run)
    heard = [[x for x, n in u.votes.items() if n == max(u.votes.values())] for u in cremad]
    same = sum(own == [u.label] for own, u in zip(heard, cremad, strict=True))
    clear = sum(len(own) == 1 for own in heard)
    assert record["label_agreement"] == {"n": clear, "same": same, "share": same / clear}
    assert same / clear < 0.5
    heard = record["label_errors"]["heard"]
    assert heard["as_suggested"] > 0.75 * heard["n"]  # the model hears what listeners hear
    assert len(record["by_entropy"]) == 5
    assert record["trends"]["tau"]["ci95"] is not None


# Pictures


def test_the_record_has_what_pictures_show(cremad_run, soft_run):
    for run in (cremad_run, Run(soft_run)):
        record, _ = ambiguity(run)
        for figure in (plot_agreement(record, run.id), plot_tau(record["tau"], run.id)):
            assert to_png(figure)[:8] == b"\x89PNG\r\n\x1a\n"


def test_reading_and_writing_it(run, edited):
    record, _ = ambiguity(run)
    Run(edited).write_report("ambiguity", record)
    assert Run(edited).read_report("ambiguity") == record
    assert Path(edited / "ambiguity.json").is_file()
