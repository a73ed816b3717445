"""`ser bias`: a run becomes scores by group, gaps and `bias.json`."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as reference

from embedcache.errors import UsageError
from heads.report.bias import bias
from heads.results import Run

LABELS = ("angry", "happy", "sad")


@pytest.fixture
def run(hard_run):
    return Run(hard_run)


@pytest.fixture
def edited(hard_run, tmp_path):
    """A copy of a run whose files may be changed."""
    return shutil.copytree(hard_run, tmp_path / "copy")


def edit_utterances(folder, **changes):
    file = folder / "utterances.jsonl"
    records = [json.loads(line) | changes for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return Run(folder)


def classified(run, column):
    """Truth, prediction, speaker and group of every prediction of every seed."""
    table = run.predictions
    truth = table[[f"true_{label}" for label in LABELS]].to_numpy().argmax(axis=1)
    guess = table[[f"pred_{label}" for label in LABELS]].to_numpy().argmax(axis=1)
    groups = [getattr(run.utterances[name], column) for name in table["id"]]
    return pd.DataFrame({"truth": truth, "guess": guess, "speaker": table["speaker"], "by": groups})


def test_groups_are_scored_over_the_pooled_predictions(run):
    record, _ = bias(run, ["gender"])
    for value, rows in classified(run, "gender").groupby("by"):
        group = record["groups"]["gender"][value]
        assert group["n"] == len(rows) / 2  # two seeds
        assert group["speakers"] == rows["speaker"].nunique()
        truth, guess = rows["truth"], rows["guess"]
        assert group["ua"] == pytest.approx(reference.balanced_accuracy_score(truth, guess))
        assert group["wa"] == pytest.approx(reference.accuracy_score(truth, guess))
        f1 = reference.f1_score(truth, guess, average="macro")
        assert group["macro_f1"] == pytest.approx(f1)
        recall = reference.recall_score(truth, guess, average=None)
        assert group["recall"] == pytest.approx(dict(zip(LABELS, recall, strict=True)))


def test_the_gap_is_female_minus_male_with_welchs_interval(run):
    record, _ = bias(run, ["gender"])
    gap = next(gap for gap in record["gaps"] if gap["metric"] == "wa")
    assert (gap["by"], gap["a"], gap["b"]) == ("gender", "female", "male")
    table = classified(run, "gender")
    right = (table["truth"] == table["guess"]).groupby([table["by"], table["speaker"]]).mean()
    test = stats.ttest_ind(right["female"], right["male"], equal_var=False)
    assert gap["gap"] == pytest.approx(right["female"].mean() - right["male"].mean())
    assert gap["ci95"] == pytest.approx(list(test.confidence_interval()))


def test_holm_corrects_over_all_columns(run):
    record, _ = bias(run, ["gender", "age"])
    p_values = [gap["p"] for gap in record["gaps"] if gap["p"] is not None]
    smallest = min(p_values)
    corrected = min(g["p_holm"] for g in record["gaps"] if g["p"] == smallest)
    assert corrected == pytest.approx(min(1.0, smallest * len(p_values)))
    assert len(p_values) > 3


def test_the_record_holds_what_the_design_says_and_no_nan(run):
    record, _ = bias(run, ["gender", "speaker", "age", "session", "room"])
    json.dumps(record, allow_nan=False)
    assert record["run_id"] == run.id
    assert set(record["groups"]) == {"gender", "speaker", "age", "session", "room"}
    for groups in record["groups"].values():
        for group in groups.values():
            assert group.keys() == {"n", "speakers", "ua", "wa", "macro_f1", "recall"}
        assert sum(group["n"] for group in groups.values()) == 96
    for gap in record["gaps"]:
        assert gap.keys() >= {"by", "metric", "a", "b", "gap", "ci95", "p", "p_holm"}


def test_ages_are_in_bands_of_ten_years(run):
    """Speakers of 20, 27, 34, ... 69 years."""
    record, _ = bias(run, ["age"])
    sizes = {band: group["speakers"] for band, group in record["groups"]["age"].items()}
    assert sizes == {"20-29": 2, "30-39": 1, "40-49": 2, "50-59": 1, "60-69": 2}


def test_clips_without_an_age_are_in_no_band(edited, planted):
    known = {u.id for u in planted[0] if u.speaker in ("planted/s0", "planted/s1", "planted/s7")}
    file = edited / "utterances.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    lines = [json.dumps(r if r["id"] in known else r | {"age": None}) + "\n" for r in records]
    file.write_text("".join(lines))
    record, _ = bias(Run(edited), ["age"])
    sizes = {band: group["n"] for band, group in record["groups"]["age"].items()}
    assert sizes == {"20-29": 24, "60-69": 12}


def test_columns_of_the_corpus_can_be_crossed_with_speakers(run):
    record, text = bias(run, ["room"])
    assert {gap["p"] for gap in record["gaps"]} == {None}
    assert "8 speakers stand in both groups: no permutation" in text


def test_the_table_shows_the_record(run):
    record, text = bias(run, ["gender", "speaker"])
    first = text.split("\n")[0]
    assert first == f"{run.id}; metrics in per cent"
    female = record["groups"]["gender"]["female"]
    line = next(line for line in text.split("\n") if line.startswith("female "))
    assert line.split()[:5] == ["female", "48", "4", f"{100 * female['ua']:.1f}",
                                f"{100 * female['wa']:.1f}"]  # fmt: skip
    gap = record["gaps"][0]
    line = next(line for line in text.split("\n") if line.startswith("female - male"))
    for part in (f"{100 * gap['gap']:+.1f}", f"{100 * gap['ci95'][0]:+.1f} to "):
        assert part in line
    assert line.endswith("only 4 speakers in a group")
    assert "best and worst speaker, chosen by looking" in text


def test_what_must_be_known_before_is_said(soft_run):
    _, text = bias(Run(soft_run), ["gender"])
    assert text.startswith(f"{soft_run.name}, speakers shared, 38 ties not scored; metrics")


def test_a_small_p_is_not_zero(edited):
    """Women all right, men all wrong, 16 of each."""
    run = Run(edited)
    utterances = {
        f"u{n}": {"id": f"u{n}", "path": "x", "speaker": f"s{n // 2}",
                  "gender": "female" if n < 32 else "male"}
        for n in range(64)
    }  # fmt: skip
    lines = [json.dumps(u) + "\n" for u in utterances.values()]
    (edited / "utterances.jsonl").write_text("".join(lines))
    truth = np.eye(3)[np.arange(64) % 3]
    guess = np.where(np.arange(64)[:, None] < 32, truth, np.roll(truth, 1, axis=1))
    table = pd.DataFrame({"id": list(utterances), "speaker": "", "fold": 0, "seed": 0})
    table[[f"true_{label}" for label in LABELS]] = truth
    table[[f"pred_{label}" for label in LABELS]] = guess
    table.to_csv(edited / "predictions.csv", index=False)
    results = json.loads((edited / "results.json").read_text())
    results["corpus"]["tested"], results["protocol"]["seeds"] = 64, 1
    (edited / "results.json").write_text(json.dumps(results))
    record, text = bias(Run(edited), ["gender"])
    assert run.path == edited
    assert record["gaps"][0]["p"] == pytest.approx(1 / 10_000)
    assert "< 0.001" in text


def test_one_group_has_nothing_to_compare(edited):
    run = edit_utterances(edited, language="en")
    record, text = bias(run, ["language"])
    assert record["gaps"] == []
    assert text.endswith("No two groups to compare.")


# Messages


def test_an_empty_or_unknown_column_is_said_with_those_there_are(run):
    text = r"--by {}: this run's .* no such column; there are: gender, speaker, age, session, room"
    for column in ("sentence", "colour"):
        with pytest.raises(UsageError, match=text.format(column)):
            bias(run, [column])


def test_without_speakers_there_is_no_witness(edited):
    run = edit_utterances(edited, speaker=None)
    text = r"96 of 96 utterances name no speaker, and every interval is over speakers; add a spea"
    with pytest.raises(UsageError, match=text):
        bias(run, ["gender"])


def test_predictions_of_unknown_utterances_are_said(edited):
    file = edited / "utterances.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[2:]))
    text = r"has predictions for 2 utterances that its utterances.jsonl does not list, first 's0-0"
    with pytest.raises(UsageError, match=text):
        bias(Run(edited), ["gender"])
