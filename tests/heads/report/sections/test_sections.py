"""Provenance, remarks, single runs, and records: what there is is shown, what lacks is told."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from heads.report.contenders import read_tested
from heads.report.sections.ambiguity import ambiguity_section
from heads.report.sections.bias import bias_section
from heads.report.sections.careful import careful_section
from heads.report.sections.naming import name_runs
from heads.report.sections.one_run import run_section
from heads.report.sections.probes import probes_section
from heads.report.sections.provenance import provenance_section
from tests.heads.report import records

LABELS = ["angry", "happy", "sad"]


@pytest.fixture
def results(report_runs):
    return [copy.deepcopy(run.results) for run in report_runs]


def named(results):
    return name_runs([results])[0]


# Provenance and remarks


def test_what_runs_share_is_said_once_and_the_rest_for_each(results):
    section = provenance_section(results, name_runs(results))
    varied = [column.title for column in section.table.columns]
    assert section.shared["corpus"] == "manifest:planted"
    assert section.shared["cache key"] == results[0]["cache"]["key"]
    assert {"run", "head", "protocol", "speakers shared", "run id"} <= set(varied)
    assert not set(varied) & set(section.shared)
    rows = [dict(zip(varied, [c.text for c in row], strict=True)) for row in section.table.rows]
    assert [row["head"] for row in rows] == ["attention", "mlp"]
    assert [row["speakers shared"] for row in rows] == ["0", "8"]


def test_a_run_of_an_earlier_version_is_shown_with_what_it_has(results):
    old = results[0]
    for part, name in (("cache", "layer"), ("cache", "key"), ("cache", "conditioning"),
                       ("timing", "device"), ("timing", "threads")):  # fmt: skip
        del old[part][name]
    del old["versions"], old["created"]
    section = provenance_section([old], [named(old)])
    assert section.table is None
    assert not {"layer", "cache key", "device", "versions"} & set(section.shared)


def test_every_note_is_explained_and_counted(results):
    results[0]["corpus"]["synthetic"] = True
    found = {warned.badge.text: warned for warned in careful_section(results)}
    assert found["speakers shared"].badge.grave
    assert found["speakers shared"].runs == 1
    assert "too good" in found["speakers shared"].meaning
    assert found["synthetic corpus"].meaning
    ties = next(text for text in found if text.endswith("ties not scored"))
    assert not found[ties].badge.grave
    assert found[ties].meaning


# A single run


def shown_run(run, results, **changed):
    parts = {
        "history": run.history,
        "tested": read_tested(run),
        "genders": {u.speaker: u.gender for u in run.utterances.values()},
    } | changed
    return run_section(results, named(results), **parts)


def test_a_run_has_all_its_pictures(report_runs, results):
    section, gone = shown_run(report_runs[0], results[0])
    assert gone == []
    titles = [own.svg.split("<title")[1].split(">")[1].split("<")[0] for own in section.pictures]
    assert [title.split(" of ")[0] for title in titles] == [
        "Confusion matrix", "Precision, recall and F1 per emotion", "Reliability diagram",
        "Training history", "UA",
    ]  # fmt: skip
    assert "Chance is 33.3 UA" in section.lead


def test_captions_say_what_is_found(report_runs, results):
    results[0]["confusion_matrix"] = [[8, 2, 0], [0, 10, 0], [1, 0, 9]]
    section, _ = shown_run(report_runs[0], results[0])
    captions = " ".join(own.caption for own in section.pictures)
    assert "angry is taken for happy most often (20 % of its clips)" in captions
    tested = read_tested(report_runs[0])
    ua = tested.scores(tested.by_speaker)["ua"].mean(axis=0)
    low, high = tested.speaker_names[int(ua.argmin())], tested.speaker_names[int(ua.argmax())]
    assert f"({low}) to {100 * ua.max():.1f} ({high})" in captions


def test_what_cannot_be_drawn_is_told_with_its_reason(report_runs, results):
    del results[0]["calibration"]
    results[0]["confusion_matrix"] = [[1.0]]
    run = report_runs[0]
    section, gone = shown_run(
        run, results[0], history=run.history[:0], tested="no predictions", genders="damaged"
    )
    assert {own.what: own.why for own in gone} == {
        "confusion matrix": "its results.json holds no confusion matrix of its labels",
        "calibration": "its results.json holds no calibration curve; train the head again to "
        "have one",
        "training history": "this head has no epochs",
        "per-speaker dots": "no predictions",
    }
    assert len(section.pictures) == 1


# Records


def test_no_record_is_a_reason(results):
    own = named(results[0])
    for section in (bias_section, ambiguity_section):
        shown, gone = section(None, "why not", own)
        assert shown is None
        assert [(g.where, g.why) for g in gone] == [(own.short, "why not")]
    shown, gone = probes_section(None, "why not", "a cache", 1)
    assert shown is None
    assert [(g.where, g.why) for g in gone] == [("a cache", "why not")]


def test_bias_has_a_picture_for_each_column_and_tables_of_groups(results):
    by = (("gender", "female", "male"), ("room", "hall", "booth"))
    record = records.bias_record("id", LABELS, by)
    section, gone = bias_section(record, "", named(results[0]))
    assert gone == []
    assert len(section.forests) == 2
    assert "UA of female is 10.0 points above that of male" in section.forests[0].caption
    assert [table.rows[0][0].text for table in section.groups] == ["female", "hall"]
    assert section.groups[0].rows[2][0].note == "1 speaker"
    assert len(section.rates) == 4
    assert len(section.gaps.rows) == len(record["gaps"])
    assert section.facts["equalised odds by gender"].startswith("10.0 points apart at most")
    assert section.facts["smallest group compared"] == "2 speakers and 10 clips"
    assert section.summary == record["summary"]


def test_groups_with_the_same_rates_have_no_names_beside_their_odds(results):
    record = records.bias_record("id", LABELS, (("gender", "female", "male"),))
    nothing = dict.fromkeys(("emotion", "rate", "a", "b"))
    record["equalised_odds"]["gender"] = nothing | {
        "difference": 0.0, "reason": "all groups have the same rates"
    }  # fmt: skip
    section, _ = bias_section(record, "", named(results[0]))
    assert section.facts["equalised odds by gender"] == "all groups have the same rates"


def test_many_gaps_are_drawn_by_size_and_all_of_them_listed(results):
    record = records.bias_record("id", [f"emotion{n}" for n in range(30)])
    rng = np.random.default_rng(0)
    for gap in record["gaps"]:
        gap["gap"] = float(rng.normal(0, 0.1))
    section, _ = bias_section(record, "", named(results[0]))
    (forest,) = section.forests
    assert "40 smaller gaps stand in the table only" in forest.caption
    assert len(section.gaps.rows) == len(record["gaps"]) == 64


def test_bias_of_an_earlier_version_is_shown(results):
    scores = {"n": 4, "speakers": 2, "ua": 0.5, "wa": 0.5, "macro_f1": None, "recall": {"sad": 0.5}}
    gap = {"by": "gender", "metric": "ua", "a": "f", "b": "m", "gap": None, "ci95": None, "p": None,
           "p_holm": None, "reason": "one speaker"}  # fmt: skip
    record = {"run_id": "x", "groups": {"gender": {"f": scores, "m": scores}}, "gaps": [gap]}
    section, gone = bias_section(record, "", named(results[0]))
    assert gone == []
    assert section.forests == []
    assert section.facts == {}
    assert section.gaps.rows[0][0].note == "one speaker"


def test_ambiguity_is_told_drawn_and_listed(results):
    record = records.ambiguity_record("id", LABELS, ["a", "b", "c"])
    section, _ = ambiguity_section(record, "", named(results[0]))
    assert "14.6 % of the clips (14) are ambiguous" in section.summary
    assert len(section.pictures) == 2
    assert len(section.tables) == 5
    assert section.tables[3].rows[0][0].note == "/far/away/a.wav"
    assert ambiguity_section(record | {"summary": "so"}, "", named(results[0]))[0].summary == "so"


def test_without_votes_the_reason_stands_there(results):
    record = dict.fromkeys(records.ambiguity_record("id", LABELS, ["a"]))
    record |= {"run_id": "id", "notes": [], "votes": False, "reason": "no votes"}
    section, _ = ambiguity_section(record, "", named(results[0]))
    assert section.remark == "no votes."
    assert section.pictures == []
    assert section.tables == []


def test_probes_have_a_profile_and_a_table_for_each_target():
    section, _ = probes_section(records.probes_record("id", "key"), "", "logmel", 1)
    assert section.cache == "logmel, cache key"
    assert "emotion in layer 2 (UA 50.0), speaker in layer 0 (UA 90.0)" in (
        section.pictures[0].caption
    )
    assert [len(table.rows) for table in section.tables] == [3, 3]
    assert section.left_out == {"age": "the corpus does not tell it"}
