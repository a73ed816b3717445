"""`ser bias --compare`: what a second run changed is said with what it cost."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from embedcache.errors import UsageError
from heads.analysis.gaps import GapConfig
from heads.analysis.groups import Minimum
from heads.report.bias_change import bias_change
from heads.results import Run

LABELS = ("angry", "happy", "sad")
QUICK = GapConfig(replicates=0)
SPEAKERS, CLIPS = 16, 60


@pytest.fixture
def planted_runs(hard_run, tmp_path):
    """Make two runs on the same clips, with the accuracies of women and men in each."""
    results = json.loads((hard_run / "results.json").read_text())
    count = SPEAKERS * CLIPS
    speakers = np.repeat([f"s{n:02}" for n in range(SPEAKERS)], CLIPS)
    women = np.repeat(np.arange(SPEAKERS) % 2 == 0, CLIPS)
    truth = np.arange(count) % 3
    lines = [
        {"id": f"u{n:04}", "path": "x", "speaker": speakers[n],
         "gender": "female" if women[n] else "male"}
        for n in range(count)
    ]  # fmt: skip

    def write(name, accuracies, change=lambda results: None):
        folder = shutil.copytree(hard_run, tmp_path / name)
        rng = np.random.default_rng(list(name.encode()))
        right = rng.random(count) < np.where(women, *accuracies)
        table = pd.DataFrame({"id": [line["id"] for line in lines], "speaker": speakers})
        table[["fold", "seed"]] = 0
        table[[f"true_{label}" for label in LABELS]] = np.eye(3)[truth]
        guess = np.where(right, truth, (truth + 1) % 3)
        table[[f"pred_{label}" for label in LABELS]] = np.eye(3)[guess]
        table.to_csv(folder / "predictions.csv", index=False)
        (folder / "utterances.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
        own = json.loads(json.dumps(results)) | {"run_id": name}
        own["corpus"]["tested"], own["protocol"]["seeds"] = count, 1
        change(own)
        (folder / "results.json").write_text(json.dumps(own))
        return Run(folder)

    return write


def change_of(first, second, by=("gender",), config=QUICK):
    record, text = bias_change(first, second, by, Minimum(), config)
    return record, " ".join(text.split("\n"))


def primary(record):
    (gap,) = (gap for gap in record["gaps"] if gap["metric"] == record["metric"])
    return gap


def test_a_gap_that_closed_because_the_weaker_group_gained(planted_runs):
    first, second = planted_runs("plain", (0.85, 0.5)), planted_runs("mended", (0.86, 0.8))
    record, text = change_of(first, second)
    gap = primary(record)
    assert (gap["a"], gap["b"]) == ("female", "male")
    assert abs(gap["after"]) < abs(gap["before"])
    assert gap["p_holm"] < 0.05
    assert record["overall"]["ua"]["change"] > 0.1
    male = record["groups"]["gender"]["male"]["ua"]
    assert male["p"] < male["p_holm"] < 0.05
    assert ": it is smaller." in text
    assert "everybody got worse" not in text
    json.dumps(record, allow_nan=False)


def test_a_gap_that_closed_because_everybody_got_worse(planted_runs):
    first, second = planted_runs("plain", (0.9, 0.5)), planted_runs("levelled", (0.5, 0.45))
    record, text = change_of(first, second)
    assert primary(record)["p_holm"] < 0.05
    assert "It shrank because female lost more than male, not because male gained" in text
    assert "everybody got worse, and nobody was helped." in text


def test_a_gap_that_closed_at_the_cost_of_the_stronger_group(planted_runs):
    first, second = planted_runs("plain", (0.9, 0.5)), planted_runs("evened", (0.75, 0.7))
    _, text = change_of(first, second)
    assert "male gained " in text
    assert ", and female lost " in text
    assert "everybody got worse" not in text


@pytest.mark.parametrize(
    ("after", "words"),
    [((0.95, 0.3), ": it is larger. (Gains: female "), ((0.5, 0.95), ": it turned round, and is ")],
)
def test_a_gap_that_grew_or_turned_round(planted_runs, after, words):
    first, second = planted_runs("plain", (0.8, 0.6)), planted_runs("another", after)
    assert words in change_of(first, second)[1]


def test_a_change_that_is_not_shown_is_no_claim(planted_runs):
    first, second = planted_runs("plain", (0.75, 0.6)), planted_runs("alike", (0.74, 0.6))
    record, text = change_of(first, second)
    assert primary(record)["p_holm"] > 0.05
    assert "a change of the gap is not shown, nor that there is none." in text
    assert ", which shows no change of it." in text
    assert ": it is " not in text


def test_a_smaller_gap_that_is_not_shown_is_read_beside_the_loss_of_all(planted_runs):
    first, second = planted_runs("plain", (0.75, 0.6)), planted_runs("worse", (0.5, 0.38))
    record, text = change_of(first, second)
    assert primary(record)["p_holm"] > 0.05
    assert abs(primary(record)["after"]) < abs(primary(record)["before"])
    assert "It came out smaller while all speakers together got worse." in text


def test_less_is_better_of_calibration(planted_runs):
    first, second = planted_runs("plain", (0.9, 0.4)), planted_runs("mended", (0.9, 0.85))
    record, text = change_of(first, second, config=GapConfig(metric="ece", replicates=0))
    assert record["overall"]["ece"]["change"] < 0
    assert "; less is better." in text
    assert "everybody got worse" not in text
    assert not primary(record)["exploratory"]


def test_four_speakers_are_too_few(planted_runs):
    few = {f"s{n:02}" for n in range(4)}
    runs = []
    for name, accuracies in (("plain", (0.9, 0.4)), ("mended", (0.9, 0.85))):
        run = planted_runs(name, accuracies)
        table = pd.read_csv(run.path / "predictions.csv")
        table = table[table["speaker"].isin(few)]
        table.to_csv(run.path / "predictions.csv", index=False)
        results = run.results
        results["corpus"]["tested"] = len(table)
        (run.path / "results.json").write_text(json.dumps(results))
        runs.append(Run(run.path))
    _, text = change_of(*runs)
    assert "too few speakers to decide whether that is more than chance." in text


def test_two_columns_may_be_too_few_for_eight_speakers(planted_runs):
    """2 / 70 would stand by itself, and cannot beside a second gap."""
    first, second = planted_runs("plain", (0.9, 0.45)), planted_runs("alike", (0.8, 0.46))
    for run in (first, second):
        lines = [json.loads(x) for x in (run.path / "utterances.jsonl").read_text().splitlines()]
        for line in lines:
            number = int(line["speaker"][1:])
            line["extra"] = {"side": "left" if number // 2 % 2 else "right"}
            line["gender"] = line["gender"] if number < 8 else None
        lines = [{k: v for k, v in line.items() if v is not None} for line in lines]
        (run.path / "utterances.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    alone, _ = change_of(first, second)
    both, text = change_of(first, second, ["gender", "side"])
    gap, beside = primary(alone), next(g for g in both["gaps"] if g["by"] == "gender")
    assert gap["smallest_p"] == beside["smallest_p"] == 2 / 70
    assert (gap["too_few"], beside["too_few"]) == (False, True)
    assert "too few speakers to decide whether that is more than chance." in text


def test_an_easier_task_is_said(planted_runs):
    first = planted_runs("plain", (0.8, 0.6))
    second = planted_runs(
        "normalised", (0.9, 0.8), lambda r: r["training"].update(standardise="speaker")
    )
    told = (
        "The {} run looks at each test speaker's other clips (speakers' own statistics), which is"
    )
    assert told.format("second") in change_of(first, second)[1]
    assert told.format("first") in change_of(second, first)[1]


def test_the_text_shows_the_record(planted_runs):
    first, second = planted_runs("plain", (0.85, 0.5)), planted_runs("mended", (0.86, 0.8))
    record, text = bias_change(first, second, ["gender", "speaker"], Minimum(), QUICK)
    assert record["run_ids"] == ["plain", "mended"]
    assert max(map(len, text.split("\n"))) <= 100
    for name, own in (("all", record["overall"]), ("male", record["groups"]["gender"]["male"])):
        line = next(line for line in text.split("\n") if line.split()[:3:2] == [name, "UA"])
        shown = [f"{100 * own['ua'][key]:.1f}" for key in ("before", "after")]
        assert line.split()[3:5] == shown
    line = next(line for line in text.split("\n") if line.startswith("female - male  UA"))
    assert f"{100 * primary(record)['change']:+.1f}" in line
    assert "speaker" not in record["groups"]
    for name, own in record["groups"]["gender"].items():
        line = next(line for line in text.split("\n") if line.split()[:3:2] == [name, "UA"])
        shown = "< 0.001" if own["ua"]["p_holm"] < 0.001 else f"{own['ua']['p_holm']:.3f}"
        assert line.endswith(shown)
    assert "p (Holm) is corrected within a metric, over all groups, and over all gaps." in (
        " ".join(text.split("\n"))
    )


def test_what_only_one_run_tested_is_left_out_and_said(planted_runs):
    first, second = planted_runs("plain", (0.85, 0.5)), planted_runs("mended", (0.86, 0.8))
    table = pd.read_csv(second.path / "predictions.csv").iloc[100:]
    table.to_csv(second.path / "predictions.csv", index=False)
    results = second.results
    results["corpus"]["tested"] = len(table)
    (second.path / "results.json").write_text(json.dumps(results))
    record, text = change_of(first, Run(second.path))
    assert record["n"] == SPEAKERS * CLIPS - 100
    assert "both runs must have them with one true emotion: 100 clips of plain, 0 of mended" in text


def test_emotions_that_only_one_run_knows_are_left_out_and_said(planted_runs):
    first, second = planted_runs("plain", (0.85, 0.5)), planted_runs("mended", (0.86, 0.8))
    table = pd.read_csv(second.path / "predictions.csv")
    table.columns = [name.replace("sad", "bored") for name in table.columns]
    table.to_csv(second.path / "predictions.csv", index=False)
    results = second.results
    results["corpus"]["labels"] = ["angry", "happy", "bored"]
    (second.path / "results.json").write_text(json.dumps(results))
    record, text = change_of(first, Run(second.path))
    assert "left out, as only one run knows them: sad, bored" in text
    assert record["n"] == SPEAKERS * CLIPS * 2 / 3


def test_groups_that_are_too_small_are_named(planted_runs):
    first, second = planted_runs("plain", (0.85, 0.5)), planted_runs("mended", (0.86, 0.8))
    lines = [json.loads(x) for x in (second.path / "utterances.jsonl").read_text().splitlines()]
    for line in lines:
        line["gender"] = "other" if line["speaker"] == "s00" else "male"
    (second.path / "utterances.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    record, text = change_of(first, Run(second.path))
    assert "gender: too small to be compared: other (1 speaker, fewer than 2)" in text
    assert record["gaps"] == []
    assert "No two groups are large enough to be compared." in record["summary"]


# Messages


def test_runs_that_cannot_be_compared_are_refused(planted_runs):
    first = planted_runs("plain", (0.85, 0.5))
    with pytest.raises(UsageError, match="--compare plain twice: give two different runs"):
        change_of(first, Run(first.path))
    second = planted_runs("mended", (0.86, 0.8))
    for column in ("id", "speaker"):
        lines = (second.path / "utterances.jsonl").read_text()
        table = pd.read_csv(second.path / "predictions.csv")
        table["id"] = "other " + table["id"]
        changed = [json.loads(line) for line in lines.splitlines()]
        for line in changed:
            line[column] = "other " + line[column]
        (second.path / "utterances.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in changed)
        )
        if column == "id":
            before = (second.path / "predictions.csv").read_bytes()
            table.to_csv(second.path / "predictions.csv", index=False)
            with pytest.raises(UsageError, match="plain and mended tested no utterance in common"):
                change_of(first, Run(second.path))
            (second.path / "predictions.csv").write_bytes(before)
            (second.path / "utterances.jsonl").write_text(lines)
    with pytest.raises(UsageError, match="name different speakers for 960 utterances: runs are"):
        change_of(first, Run(second.path))


def test_runs_with_one_emotion_in_common_are_refused(planted_runs):
    first, second = planted_runs("plain", (0.85, 0.5)), planted_runs("mended", (0.86, 0.8))
    table = pd.read_csv(second.path / "predictions.csv")
    table.columns = [x.replace("sad", "bored").replace("happy", "calm") for x in table.columns]
    table.to_csv(second.path / "predictions.csv", index=False)
    results = second.results
    results["corpus"]["labels"] = ["angry", "calm", "bored"]
    (second.path / "results.json").write_text(json.dumps(results))
    with pytest.raises(UsageError, match="have fewer than two emotions in common"):
        change_of(first, Run(second.path))


def test_runs_with_one_speaker_in_common_are_refused(planted_runs):
    runs = []
    for name in ("plain", "mended"):
        run = planted_runs(name, (0.8, 0.6))
        lines = [json.loads(x) for x in (run.path / "utterances.jsonl").read_text().splitlines()]
        text = "".join(json.dumps(line | {"speaker": "s"}) + "\n" for line in lines)
        (run.path / "utterances.jsonl").write_text(text)
        runs.append(Run(run.path))
    with pytest.raises(UsageError, match="plain and mended have one speaker in common: every"):
        change_of(*runs)
