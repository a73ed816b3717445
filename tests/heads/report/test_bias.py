"""`ser bias`: a run becomes scores by group, gaps, a paragraph and `bias.json`."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as reference

from embedcache.errors import SerError, UsageError
from heads.analysis.gaps import GapConfig
from heads.analysis.groups import Minimum
from heads.report import bias as report
from heads.report.tables import as_text_or_json, require_table_or_json
from heads.results import Run

LABELS = ("angry", "happy", "sad")
QUICK = GapConfig(replicates=0)
GAP_KEYS = {"by", "metric", "a", "b", "gap", "ci95", "ci95_bootstrap", "ratio", "ratio_ci95", "p",
            "p_holm", "smallest_p", "smallest_detectable", "exploratory", "too_few",
            "error", "freedom"}  # fmt: skip


def bias(run, by, minimum=None, config=QUICK):
    return report.bias(run, by, minimum or Minimum(), config)


@pytest.fixture
def run(hard_run):
    return Run(hard_run)


@pytest.fixture
def edited(hard_run, tmp_path):
    """A copy of a run whose files may be changed."""
    return shutil.copytree(hard_run, tmp_path / "copy")


def edit_utterances(folder, change):
    """Change each record by a function of it."""
    file = folder / "utterances.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(record | change(record)) + "\n" for record in records))
    return Run(folder)


def write_answers(folder, groups, right, speakers):
    """A run of one seed whose clips are right or wrong; angry, happy and sad in turn."""
    count = len(right)
    lines = [
        json.dumps({"id": f"u{n:04}", "path": "x", "speaker": speakers[n], "gender": groups[n]})
        for n in range(count)
    ]
    (folder / "utterances.jsonl").write_text("\n".join(lines) + "\n")
    truth = np.eye(3)[np.arange(count) % 3]
    guess = np.where(np.asarray(right)[:, None], truth, np.roll(truth, 1, axis=1))
    table = pd.DataFrame({"id": [f"u{n:04}" for n in range(count)], "speaker": speakers})
    table[["fold", "seed"]] = 0
    table[[f"true_{label}" for label in LABELS]] = truth
    table[[f"pred_{label}" for label in LABELS]] = guess
    table.to_csv(folder / "predictions.csv", index=False)
    results = json.loads((folder / "results.json").read_text())
    results["corpus"]["tested"], results["protocol"]["seeds"] = count, 1
    (folder / "results.json").write_text(json.dumps(results))
    return Run(folder)


def classified(run, column):
    """Truth, prediction, speaker and group of every prediction of every seed."""
    table = run.predictions
    truth = table[[f"true_{label}" for label in LABELS]].to_numpy().argmax(axis=1)
    guess = table[[f"pred_{label}" for label in LABELS]].to_numpy().argmax(axis=1)
    groups = [getattr(run.utterances[name], column) for name in table["id"]]
    return pd.DataFrame({"truth": truth, "guess": guess, "speaker": table["speaker"], "by": groups})


def of_metric(record, metric):
    return next(gap for gap in record["gaps"] if gap["metric"] == metric)


def test_groups_are_scored_over_the_pooled_predictions(run):
    record, _ = bias(run, ["gender"])
    table = classified(run, "gender")
    everyone = [("overall", record["overall"], table)]
    everyone += [(v, record["groups"]["gender"][v], rows) for v, rows in table.groupby("by")]
    for _, group, rows in everyone:
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
    gap = of_metric(record, "wa")
    assert (gap["by"], gap["a"], gap["b"]) == ("gender", "female", "male")
    table = classified(run, "gender")
    right = (table["truth"] == table["guess"]).groupby([table["by"], table["speaker"]]).mean()
    test = stats.ttest_ind(right["female"], right["male"], equal_var=False)
    assert gap["gap"] == pytest.approx(right["female"].mean() - right["male"].mean())
    assert gap["ci95"] == pytest.approx(list(test.confidence_interval()))


def test_holm_corrects_a_metric_over_all_columns(run):
    record, _ = bias(run, ["gender", "age"], Minimum(clips=1))
    for metric in ("ua", "wa"):
        gaps = [gap for gap in record["gaps"] if gap["metric"] == metric]
        assert {gap["by"] for gap in gaps} == {"gender", "age"}
        smallest = min(gaps, key=lambda gap: gap["p"])
        assert smallest["p_holm"] == pytest.approx(min(1.0, smallest["p"] * len(gaps)))


def test_the_record_holds_what_is_promised_and_no_nan(run):
    columns = ["gender", "speaker", "age", "session", "room", "gender+room"]
    record, _ = bias(run, columns, config=GapConfig(replicates=100))
    json.dumps(record, allow_nan=False)
    assert record["run_id"] == run.id
    assert (record["metric"], record["minimum"]) == ("ua", {"speakers": 2, "clips": 10})
    assert set(record["groups"]) == set(columns)
    for groups in record["groups"].values():
        for group in groups.values():
            assert group.keys() == {"n", "speakers", "ua", "wa", "macro_f1", "ece", "recall", "fpr",
                                    "f1", "support", "ci95", "too_small"}  # fmt: skip
        assert sum(group["n"] for group in groups.values()) == 96
    for gap in record["gaps"]:
        assert gap.keys() - {"reason", "caution"} == GAP_KEYS
    assert set(record["equalised_odds"]) == set(record["worst"]) == set(columns) - {"speaker"}
    assert record["spread"]["n"] == 8


def test_a_command_that_is_repeated_gives_the_same(run):
    first, second = (bias(run, ["gender", "room"], config=GapConfig(replicates=100)) for _ in "ab")
    assert first == second


def test_ages_are_in_bands_of_ten_years(run):
    """Speakers of 20, 27, 34, ... 69 years; groups of one are left out by name."""
    record, text = bias(run, ["age"])
    sizes = {band: group["speakers"] for band, group in record["groups"]["age"].items()}
    assert sizes == {"20-29": 2, "30-39": 1, "40-49": 2, "50-59": 1, "60-69": 2}
    pairs = {(gap["a"], gap["b"]) for gap in record["gaps"]}
    assert pairs == {("20-29", "40-49"), ("20-29", "60-69"), ("40-49", "60-69")}
    remark = "age: too small to be compared: 30-39 (1 speaker, fewer than 2), 50-59 (1 speaker, "
    assert record["remarks"] == [remark + "fewer than 2)"]
    assert remark in " ".join(text.split("\n"))


def test_an_intersection_crosses_columns(run):
    record, _ = bias(run, ["gender+session"])
    assert all(group["speakers"] == 1 for group in record["groups"]["gender+session"].values())
    assert record["gaps"] == []
    assert "gender+session: no two groups to compare" in record["remarks"]
    record, _ = bias(run, ["gender+room"])
    assert list(record["groups"]["gender+room"]) == [
        "female+booth", "female+hall", "male+booth", "male+hall"
    ]  # fmt: skip


def test_clips_without_a_value_are_counted(edited):
    known = ("planted/s0", "planted/s1", "planted/s7")
    run = edit_utterances(edited, lambda r: {} if r["speaker"] in known else {"age": None})
    record, text = bias(run, ["age"])
    sizes = {band: group["n"] for band, group in record["groups"]["age"].items()}
    assert sizes == {"20-29": 24, "60-69": 12}
    assert "age: 60 clips have no value and are in no group" in text


def test_the_primary_metric_is_the_one_asked_for(run):
    record, text = bias(run, ["gender"], config=GapConfig(metric="macro_f1", replicates=0))
    confirmatory = {gap["metric"] for gap in record["gaps"] if not gap["exploratory"]}
    assert confirmatory == {"macro_f1"}
    assert "Confirmatory: macro-F1" in text
    assert "macro-F1 is " in record["summary"]


def test_groups_that_lack_an_emotion_are_named(edited):
    run = edit_utterances(edited, lambda r: {"extra": {"calm": str(r["label"] != "sad")}})
    record, text = bias(run, ["calm"])
    told = "calm: groups that lack emotions, whose UA is over the others: False (angry, happy), Tr"
    assert told in " ".join(text.split("\n"))
    assert of_metric(record, "ua")["caution"].startswith("UA over different emotions: False has no")
    assert "Beware: UA over different emotions" in record["summary"]


def test_very_many_groups_are_not_compared_with_each_other(edited):
    run = edit_utterances(edited, lambda r: {"extra": {"pair": r["id"][3:], "all": "x"}})
    numbers = {}
    run = edit_utterances(
        edited, lambda r: {"extra": {"k": f"{numbers.setdefault(r['id'], len(numbers)) % 24:02}"}}
    )
    record, _ = bias(run, ["k"], Minimum(clips=1))
    assert record["gaps"] == []
    told = "k: 24 groups; gaps are looked at between 20 at most: raise --min-clips or"
    assert any(remark.startswith(told) for remark in record["remarks"])


# The text


def test_the_text_shows_the_record(run):
    record, text = bias(run, ["gender", "speaker"])
    first = text.split("\n")[0]
    assert first == f"{run.id}; per cent, intervals over speakers"
    female = record["groups"]["gender"]["female"]
    line = next(line for line in text.split("\n") if line.startswith("female "))
    assert line.split()[:4] == ["female", "48", "4", f"{100 * female['ua']:.1f}"]
    for rate in ("recall", "fpr"):
        told = {"recall": "recall", "fpr": "FPR"}[rate]
        line = next(x for x in text.split("\n") if x.split()[:2] == ["female", told])
        assert line.split()[2:] == [f"{100 * value:.1f}" for value in female[rate].values()]
    gap = of_metric(record, "ua")
    line = next(line for line in text.split("\n") if line.startswith("female - male"))
    for part in (f"{100 * gap['gap']:+.1f}", f"{100 * gap['ci95'][0]:+.1f} to ", f"{gap['p']:.3f}"):
        assert part in line
    assert "highest and lowest speaker, chosen by looking" in " ".join(text.split("\n"))


def test_the_text_is_a_hundred_columns_wide(edited):
    """Long names of emotions and groups, and all kinds of columns."""
    results = json.loads((edited / "results.json").read_text())
    names = dict(zip(LABELS, ("disappointment", "contentment and joy", "melancholic"), strict=True))
    results["corpus"]["labels"] = list(names.values())
    (edited / "results.json").write_text(json.dumps(results))
    table = pd.read_csv(edited / "predictions.csv")
    table.columns = [c.replace(c[5:], names.get(c[5:], c[5:])) if c[4:5] == "_" else c
                     for c in table.columns]  # fmt: skip
    table.to_csv(edited / "predictions.csv", index=False)
    run = edit_utterances(
        edited, lambda r: {"gender": "non-binary" if r["gender"] == "male" else "female"}
    )
    _, text = bias(run, ["gender", "speaker", "age", "room", "gender+room"])
    assert max(map(len, text.split("\n"))) <= 100


def test_of_many_speakers_the_ends_are_shown(edited):
    speakers = [f"s{n // 12:02}" for n in range(40 * 12)]
    right = np.random.default_rng(0).random(480) < 0.7
    run = write_answers(edited, ["female"] * 480, right, speakers)
    record, text = bias(run, ["speaker"])
    shown = [line for line in text.split("\n") if line.startswith("s") and line[1:3].isdigit()]
    assert len([line for line in shown if " - " not in line]) == 10
    assert "(the 5 lowest and highest by UA of 40)" in text
    assert len(record["groups"]["speaker"]) == 40


def test_what_must_be_known_before_is_said(soft_run):
    _, text = bias(Run(soft_run), ["gender"])
    assert text.startswith(f"{soft_run.name}, speakers shared, 38 ties not scored; per cent")
    assert "Test speakers were also trained on" in " ".join(text.split("\n"))


def test_a_small_p_is_not_zero(edited):
    """Women nearly all right, men nearly all wrong, 16 of each."""
    right = np.tile(np.repeat([True, False], 16 * 12), 1)
    right[::37] ^= True
    groups = ["female"] * 192 + ["male"] * 192
    run = write_answers(edited, groups, right, [f"s{n // 12:02}" for n in range(384)])
    record, text = bias(run, ["gender"])
    assert of_metric(record, "ua")["p"] == pytest.approx(1 / 10_000)
    assert "< 0.001" in text
    assert "p < 0.001 after correction. The data show a gap." in " ".join(text.split("\n"))


def test_one_group_has_nothing_to_compare(edited):
    run = edit_utterances(edited, lambda r: {"language": "en"})
    record, text = bias(run, ["language"])
    assert record["gaps"] == []
    assert record["remarks"] == ["language: no two groups to compare"]
    assert record["equalised_odds"]["language"]["difference"] is None
    assert "No two groups to compare." in text


def test_groups_that_are_all_right_have_odds_of_nothing(edited):
    run = write_answers(
        edited, ["female"] * 48 + ["male"] * 48, np.ones(96, bool),
        [f"s{n // 12:02}" for n in range(96)],
    )  # fmt: skip
    record, text = bias(run, ["gender"])
    odds = record["equalised_odds"]["gender"]
    assert (odds["difference"], odds["a"], odds["b"]) == (0, None, None)
    assert "gender 0.0 (all groups have the same rates)" in " ".join(text.split("\n"))


def test_three_speakers_a_side_have_no_power_and_the_text_says_why(edited):
    right = np.random.default_rng(0).random(96) < 0.7
    run = write_answers(
        edited, ["female"] * 48 + ["male"] * 48, right, [f"s{n // 16:02}" for n in range(96)]
    )
    record, text = bias(run, ["gender"])
    assert of_metric(record, "ua")["smallest_detectable"] is None
    assert "80 % power: no p of so few speakers is 0.05 or less." in " ".join(text.split("\n"))


def test_a_group_of_one_speaker_is_left_out_by_name(edited):
    run = edit_utterances(
        edited, lambda r: {"gender": "other" if r["speaker"] == "planted/s3" else r["gender"]}
    )
    record, text = bias(run, ["gender"])
    assert {(gap["a"], gap["b"]) for gap in record["gaps"]} == {("female", "male")}
    assert "gender: too small to be compared: other (1 speaker, fewer than 2)" in text


def test_the_record_is_also_given_as_json(run):
    record, text = bias(run, ["gender"])
    assert json.loads(as_text_or_json(record, text, "json")) == record
    assert as_text_or_json(record, text, "table") == text
    with pytest.raises(UsageError, match="unknown --format 'csv': there are: json, table"):
        require_table_or_json("csv")


# Messages


def test_an_empty_or_unknown_column_is_said_with_those_there_are(run):
    text = r"--by {}: this run's .* no such column; there are: gender, speaker, age, session, room"
    for column in ("sentence", "colour"):
        with pytest.raises(UsageError, match=text.format(column)):
            bias(run, [column])
    with pytest.raises(UsageError, match="--by is empty; there are: gender, speaker, age"):
        bias(run, [])


@pytest.mark.parametrize(("lost", "count"), [("all", 96), ("planted/s2", 12)])
def test_without_speakers_there_is_no_witness(edited, lost, count):
    run = edit_utterances(
        edited, lambda r: {"speaker": None} if lost in ("all", r["speaker"]) else {}
    )
    text = rf"{count} of 96 utterances name no speaker, and every interval is over speakers; add a"
    with pytest.raises(UsageError, match=text):
        bias(run, ["gender"])


def test_predictions_of_unknown_utterances_are_said(edited):
    file = edited / "utterances.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[2:]))
    text = r"has predictions for 2 utterances that its utterances.jsonl does not list, first 's0-0"
    with pytest.raises(UsageError, match=text):
        bias(Run(edited), ["gender"])


def test_predictions_that_were_edited_are_said(edited):
    file = edited / "predictions.csv"
    table = pd.read_csv(file)
    table.loc[0, [f"true_{label}" for label in LABELS]] = np.roll(
        table.loc[0, [f"true_{label}" for label in LABELS]].to_numpy(), 1
    )
    table.to_csv(file, index=False)
    with pytest.raises(SerError, match=r"predictions.csv: its seeds do not hold the same utt"):
        bias(Run(edited), ["gender"])


def test_a_run_on_dimensions_has_no_recall(edited):
    results = json.loads((edited / "results.json").read_text())
    results["training"]["target"] = "dimensions"
    results["corpus"]["labels"] = ["valence", "arousal"]
    results["metrics"] |= {name: {} for name in ("ccc", "rmse", "pearson")}
    (edited / "results.json").write_text(json.dumps(results))
    text = "has learned valence, arousal: recall and accuracy of groups are of runs on emotions"
    with pytest.raises(UsageError, match=text):
        bias(Run(edited), ["gender"])
