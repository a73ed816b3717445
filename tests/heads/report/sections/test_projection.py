"""The map's data: where clips lie, what they are taken for, and where they may be heard."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedcache.utterance import Utterance
from heads.labels import majority
from heads.report.contenders import read_tested
from heads.report.sections.naming import name_runs
from heads.report.sections.projection import Witness, projection_section, script_json
from tests.heads.report import records


@pytest.fixture(scope="module")
def data(report_runs):
    run = report_runs[0]
    witness = Witness(named=name_runs([run.results])[0], tested=read_tested(run))
    section, gone = projection_section(
        run.read_report("projection"), "", "here", 1, run.utterances, [witness], run.path.parent
    )
    assert gone == []
    return json.loads(section.data)


def test_clips_lie_where_the_record_says(data, report_runs):
    record = report_runs[0].read_report("projection")
    assert data["ids"] == record["ids"]
    assert [x / 9999 for x in data["x"]] == pytest.approx(record["x"], abs=1e-4)
    assert [y / 9999 for y in data["y"]] == pytest.approx(record["y"], abs=1e-4)


def test_clips_are_told_by_emotion_gender_and_speaker(data, report_runs):
    run = report_runs[0]
    for column in ("gender", "speaker"):
        own = data["columns"][column]
        told = [own["names"][place] for place in own["of"]]
        assert told == [getattr(run.utterances[name], column) for name in data["ids"]]
    own = data["columns"]["emotion"]
    assert own["names"] == run.labels


def test_a_run_tells_what_it_takes_clips_for_and_how_sure_it_is(data, report_runs):
    tested = read_tested(report_runs[0])
    (run,) = data["runs"]
    mean = tested.predictions.mean(axis=0)
    truth = majority(tested.targets)
    place = {name: n for n, name in enumerate(tested.ids.tolist())}
    for n, name in enumerate(data["ids"]):
        row = place[name]
        assert ord(run["of"][n]) - 48 == mean[row].argmax()
        assert run["truth"][n] == ("!" if truth[row] < 0 else chr(48 + truth[row]))
        assert int(run["sure"][2 * n : 2 * n + 2]) == min(round(100 * mean[row].max()), 99)


def test_a_clip_that_a_run_did_not_test_is_left_open(report_runs):
    run = report_runs[0]
    tested = read_tested(run)
    witness = Witness(named=name_runs([run.results])[0], tested=tested.rows(tested.ids != "s0-03"))
    record = run.read_report("projection")
    section, _ = projection_section(
        record, "", "here", 1, run.utterances, [witness], run.path.parent
    )
    (found,) = json.loads(section.data)["runs"]
    place = record["ids"].index("s0-03")
    assert (found["of"][place], found["truth"][place]) == ("!", "!")
    assert found["sure"][2 * place : 2 * place + 2] == "--"


def sounds_of(paths, folder, ids=None, **more):
    ids = ids or [str(n) for n in range(len(paths))]
    clips = {
        one: Utterance(id=one, path=Path(p), **more) for one, p in zip(ids, paths, strict=True)
    }
    record = records.projection_record("run", "key", ids, ["x"] * len(ids))
    section, _ = projection_section(record, "", "here", 1, clips, [], folder)
    return json.loads(section.data)["sounds"]


def test_audio_is_told_from_the_page_and_from_the_root(tmp_path):
    found = sounds_of([tmp_path / "a b/1#.wav", tmp_path / "../c/2.wav"], tmp_path / "page")
    assert found["near"] == ["../a%20b/", "../../c/"]
    assert found["far"] == [
        (tmp_path / "a b").as_uri() + "/",
        (tmp_path.parent / "c").as_uri() + "/",
    ]
    assert found["file"] == ["1%23.wav", "2.wav"]
    assert found["folder"] == [0, 1]
    assert found["part"] == []


def test_a_folder_below_the_page_is_no_scheme(tmp_path):
    assert sounds_of([tmp_path / "a:b/1.wav"], tmp_path)["near"] == ["./a%3Ab/"]


def test_files_called_like_their_clips_are_told_by_their_ending(tmp_path):
    found = sounds_of([tmp_path / "a.wav", tmp_path / "b c.wav"], tmp_path, ["a", "b c"])
    assert (found["file"], found["end"]) == ([], ".wav")
    assert found["near"] == ["./"]


def test_a_part_of_a_file_is_a_media_fragment(tmp_path):
    assert sounds_of([tmp_path / "a.wav"], tmp_path, start_s=1.5, end_s=2.0)["part"] == [
        "#t=1.500,2.000"
    ]
    assert sounds_of([tmp_path / "a.wav"], tmp_path, start_s=1.5)["part"] == ["#t=1.500"]


def test_names_that_are_no_text_are_told_as_their_bytes(tmp_path):
    found = sounds_of([tmp_path / "\udcff.wav"], tmp_path, ["\udcff"])
    assert found["file"] == ["%FF.wav"]


def test_a_clip_that_is_not_listed_cannot_be_heard(tmp_path):
    record = records.projection_record("run", "key", ["a"], ["x"])
    section, _ = projection_section(record, "", "here", 1, {}, [], tmp_path)
    found = json.loads(section.data)
    assert found["sounds"]["folder"] == [-1]
    assert found["columns"]["gender"] == {"names": [], "of": [-1]}


def test_data_cannot_leave_their_script_element():
    text = script_json({"a": "</script><!--<script>&", "b": "\udc80\u2028"})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": "</script><!--<script>&", "b": "\udc80\u2028"}
    text.encode()


def test_no_record_is_a_reason(tmp_path):
    shown, gone = projection_section(None, "why not", "here", 1, {}, [], tmp_path)
    assert shown is None
    assert [(own.where, own.why) for own in gone] == [("here", "why not")]
