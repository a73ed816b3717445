"""Runs as a page finds them: with records of other analyses beside them, and with audio."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile

from heads.report.page import report
from heads.results import Run
from tests.heads.report import records


@pytest.fixture(scope="session")
def report_runs(tmp_path_factory, hard_run, soft_run):
    """A run on hard labels that holds every record and has audio, and one on soft labels."""
    folder = tmp_path_factory.mktemp("report")
    audio = folder / "audio & more"
    audio.mkdir()
    runs = []
    for source in (hard_run, soft_run):
        shutil.copytree(source, folder / source.name)
        lines = (source / "utterances.jsonl").read_text().splitlines()
        clips = [json.loads(line) for line in lines]
        for clip in clips:
            clip["path"] = str(audio / clip["path"])
        moved = "".join(json.dumps(clip) + "\n" for clip in clips)
        (folder / source.name / "utterances.jsonl").write_text(moved)
        runs.append(Run(folder / source.name))
    for number, name in enumerate(sorted(runs[0].utterances)):
        tone = 0.2 * np.sin(np.arange(8000) * (0.1 + 0.001 * number))
        soundfile.write(audio / f"{name}.wav", tone, 16_000)
    write_records(runs[0])
    return runs


def write_records(run):
    ids = list(run.utterances)
    key = run.results["cache"]["key"]
    run.write_report("bias", records.bias_record(run.id, run.labels))
    run.write_report("ambiguity", records.ambiguity_record(run.id, run.labels, ids))
    run.write_report("probes", records.probes_record(run.id, key))
    labels = [utterance.label for utterance in run.utterances.values()]
    run.write_report("projection", records.projection_record(run.id, key, ids, labels))


@pytest.fixture(scope="session")
def page_file(report_runs, tmp_path_factory):
    """A page over both runs, beside copies of them: it writes into their folders."""
    folder = tmp_path_factory.mktemp("page")
    copies = [shutil.copytree(run.path, folder / run.id) for run in report_runs]
    return report([Run(path) for path in copies], folder / "report.html", quick=True)
