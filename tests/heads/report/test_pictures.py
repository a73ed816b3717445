"""Every picture of a run becomes a file, or its reason is told."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from embedcache.errors import SerError, UsageError
from heads.report.pictures import Pictures, write_pictures
from heads.results import Run

ALL = {
    "confusion", "history", "per-class", "calibration", "speakers", "gaps", "agreement", "tau",
    "layers", "projection", "attention",
}  # fmt: skip
STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.fixture
def run(hard_run, tmp_path):
    return Run(shutil.copytree(hard_run, tmp_path / hard_run.name))


@pytest.fixture
def soft(soft_run, tmp_path):
    return Run(shutil.copytree(soft_run, tmp_path / soft_run.name))


def test_all_that_can_be_drawn_is_drawn_beside_the_run(run, caplog):
    with caplog.at_level(logging.WARNING):
        files = write_pictures(run, Pictures())
    assert {file.stem for file in files} == ALL
    assert all(file.parent == run.path / "pictures" for file in files)
    assert all(file.read_bytes().startswith(STARTS["png"]) for file in files)
    assert "not drawn: predicted: the run has learned emotions" in caplog.text


@pytest.mark.parametrize("form", STARTS)
def test_some_of_them_in_any_form(soft, tmp_path, form):
    folder = tmp_path / "new" / "folder"
    asked = Pictures(only=["tau", "gaps"], form=form, folder=folder)
    files = write_pictures(soft, asked)
    assert sorted(files) == [folder / f"gaps.{form}", folder / f"tau.{form}"]
    assert all(file.read_bytes().startswith(STARTS[form]) for file in files)


def test_attention_is_on_the_clips_that_are_named(run, tmp_path):
    clip = sorted(run.utterances)[3]
    asked = Pictures(only=["attention"], clips=[clip], form="svg", folder=tmp_path)
    (file,) = write_pictures(run, asked)
    other = Pictures(only=["attention"], form="svg", folder=tmp_path / "other")
    assert file.read_bytes() != write_pictures(run, other)[0].read_bytes()
    with pytest.raises(UsageError, match="has tested no utterance 'nosuch'"):
        write_pictures(run, Pictures(only=["attention"], clips=["nosuch"]))


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"only": ["confusio"]}, "unknown --only 'confusio': did you mean 'confusion'"),
        ({"form": "gif"}, "unknown --format 'gif'"),
        ({"method": "tsne"}, "unknown --project 'tsne'"),
    ],
)
def test_what_does_not_exist_is_refused(asked, text):
    with pytest.raises(UsageError, match=text):
        Pictures(**asked)


def test_a_head_without_attention_says_so(soft):
    with pytest.raises(UsageError, match="none of the pictures can be drawn; attention: .* mlp"):
        write_pictures(soft, Pictures(only=["attention"]))


def test_a_folder_that_cannot_be_written_is_an_error(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SerError, match="file"):
        write_pictures(run, Pictures(only=["confusion"], folder=Path(tmp_path / "file" / "x")))
