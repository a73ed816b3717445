"""The paragraph says what the data support: each kind of finding has words of its own."""

from __future__ import annotations

import pytest

from heads.report.bias_summary import kind, summarise
from heads.report.bias_words import cautions, metric_name, p_told

RESULTS = {
    "corpus": {"synthetic": False},
    "cache": {"encoder": {"trained": True}},
    "protocol": {"speaker_overlap": 0},
    "training": {},
}
SHOWN = {"gap": 0.11, "ci95": [0.03, 0.19], "p": 0.01, "p_holm": 0.01}
NARROW = {"gap": 0.01, "ci95": [-0.02, 0.04], "p": 0.5, "p_holm": 0.5}
WIDE = {"gap": -0.06, "ci95": [-0.2, 0.08], "p": 0.3, "p_holm": 0.3}
FEW = WIDE | {"too_few": True}
UNTESTED = WIDE | {"p": None, "p_holm": None, "reason": "24 speakers stand in both groups: no test"}
UNDEFINED = dict.fromkeys(("gap", "ci95", "p", "p_holm", "smallest_detectable")) | {
    "reason": "one of the groups does not define it"
}


def gap_of(change, a="female", b="male", metric="ua", by="gender"):
    base = {"by": by, "metric": metric, "a": a, "b": b, "smallest_detectable": 0.12}
    return base | {"too_few": False, "exploratory": metric != "ua"} | change


def record_of(*gaps, metric="ua"):
    names = {name for gap in gaps for name in (gap["a"], gap["b"])}
    scores = {"n": 1440, "speakers": 24, metric: 0.64, "ci95": {metric: [0.6, 0.7]}}
    return {
        "metric": metric,
        "overall": scores,
        "groups": {"gender": {name: {"speakers": 12} for name in names}},
        "gaps": list(gaps),
        "spread": {"lowest": None},
    }


def told(*gaps, results=RESULTS):
    return summarise(record_of(*gaps), results)


@pytest.mark.parametrize(
    ("change", "name", "words", "never"),
    [
        (SHOWN, "shown", "UA is 11.0 points higher for female (12 speakers) than for male (12 "
         "speakers): female - male +11.0, 95 % over speakers +3.0 to +19.0, p = 0.010 after "
         "correction. The data show a gap. A gap of 12.0 points or more would have been seen with "
         "80 % power.", "alike"),
        (SHOWN | {"ci95": [-0.01, 0.23]}, "shown", "The data show a gap, but hardly its size: the "
         "interval reaches 0.", "alike"),
        (WIDE, "wide", "UA is 6.0 points higher for male (12 speakers) than for female (12 "
         "speakers): female - male -6.0, 95 % over speakers -20.0 to +8.0, p = 0.300 after "
         "correction. No gap is shown, but the interval is too wide to say that there is none.",
         "data show a gap"),
        (NARROW, "narrow", "No gap is shown, and one of more than 4.0 points does not fit the "
         "data.", "alike"),
        (FEW, "too few", "24 speakers are too few to decide: in whatever groups they were, no p "
         "could stand after correction.", "No gap is shown"),
        (UNTESTED, "untested", "It was not tested: 24 speakers stand in both groups: no test.",
         "The data show"),
        (UNDEFINED, "undefined", "No gap between female and male is defined: one of the groups "
         "does not define it.", "points higher"),
    ],
    ids=["shown", "size unknown", "wide", "narrow", "too few", "untested", "undefined"],
)  # fmt: skip
def test_each_kind_has_words_of_its_own(change, name, words, never):
    gap = gap_of(change)
    text = told(gap)
    assert kind(gap) == name
    assert words in text
    assert never not in text.replace("is no sign that the groups are treated alike", "CAUTION")
    assert ("is no sign that" in text) == (name in ("wide", "too few", "untested"))


def test_the_scores_come_first():
    assert told(gap_of(NARROW)).startswith(
        "Over 1440 clips of 24 speakers, UA is 64.0 % (95 % over speakers 60.0 to 70.0). UA is 1.0"
    )
    record = record_of(gap_of(NARROW, metric="ece"), metric="ece")
    assert "ECE is 64.0 % (95 % over speakers 60.0 to 70.0); less is better." in summarise(
        record, RESULTS
    )
    record["overall"]["ece"] = None
    assert "Over 1440 clips of 24 speakers, ECE is not defined." in summarise(record, RESULTS)


def test_equal_groups_are_the_same():
    text = told(gap_of({"gap": 0.0, "ci95": [-0.02, 0.02], "p": 1.0, "p_holm": 1.0}))
    assert (
        "UA is the same for female (12 speakers) and male (12 speakers): female - male +0.0" in text
    )


def test_exploratory_findings_are_named_as_such():
    findings = [gap_of(SHOWN, metric=m) for m in ("wa", "recall:sad", "fpr:angry", "ece")]
    text = told(gap_of(WIDE), *findings, gap_of(WIDE, metric="recall:happy"))
    assert (
        "Exploratory, to be confirmed on other speakers: WA (female - male +11.0, p = 0.010" in text
    )
    assert "recall of sad" in text and "false-positive rate of angry" in text
    assert "and 1 more (of 5 that were looked at)" in text
    assert "None of 1 exploratory gaps in other metrics stands" in told(
        gap_of(SHOWN), gap_of(WIDE, metric="wa")
    )


def test_of_many_gaps_those_that_are_shown_are_told():
    names = [f"g{n}" for n in range(9)]
    gaps = [gap_of(WIDE, a="x", b=name) for name in names]
    text = told(*gaps, gap_of(SHOWN, a="x", b="y"), gap_of(FEW, a="x", b="z"))
    assert "UA is 11.0 points higher for x (12 speakers) than for y (12 speakers)" in text
    assert "Of 11 gaps in UA 10 are not shown, 1 of them for want of speakers or of a valid" in text
    assert "the largest is x - g0 -6.0 (95 % over speakers -20.0 to +8.0)." in text
    assert "None of the 9 gaps in UA is shown; the largest" in told(*gaps)
    shown = [gap_of(SHOWN, a="x", b=name) for name in names]
    assert "5 more gaps in UA are shown (see the table)." in told(*shown)
    assert (
        "None of the 9 gaps in UA is shown, 9 of them for want of speakers or of a valid test."
        in (told(*[gap_of(UNDEFINED, a="x", b=name) for name in names]))
    )


def test_without_two_groups_that_is_said():
    assert "No two groups are large enough to be compared." in told()
    record = record_of()
    record["groups"] = {"speaker": {}}
    assert "large enough" not in summarise(record, RESULTS)


def test_speakers_are_told_apart_only_where_they_differ():
    record = record_of(gap_of(NARROW))
    assert "single speakers" not in summarise(record, RESULTS)
    record["spread"] = {
        "lowest": {"speaker": "s1", "ua": 0.3}, "highest": {"speaker": "s2", "ua": 0.9},
        "quartiles": [0.5, 0.6, 0.7],
    }  # fmt: skip
    assert "runs from 30.0 (s1) to 90.0 % (s2), the middle half from 50.0 to 70.0;" in summarise(
        record, RESULTS
    )


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        ("corpus", {"synthetic": True}, "The corpus is synthetic: gaps are what was put in"),
        ("cache", {"encoder": {"trained": False}}, "The encoder is untrained: a trained one may"),
        ("protocol", {"speaker_overlap": 3}, "Test speakers were also trained on: gaps on new"),
        ("protocol", {"speaker_overlap": None}, "Nobody knows whether test speakers were also"),
        ("protocol", {"speaker_overlap": 0, "contamination": {"speakers": ["s"]}},
         "The encoder was trained on parts of what is tested"),
    ],
)  # fmt: skip
def test_what_must_be_known_before_is_said(part, change, words):
    results = RESULTS | {part: change}
    assert words in told(gap_of(NARROW), results=results)
    assert len(cautions(results)) == 1
    assert cautions(RESULTS) == []


def test_words_of_metrics_and_p_values():
    assert metric_name("ece") == "ECE"
    assert p_told(0.0004, corrected=True) == "p < 0.001 after correction"
