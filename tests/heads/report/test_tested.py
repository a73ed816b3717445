"""Predictions and utterances of a run folder, in one order."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from embedcache.errors import SerError, UsageError
from heads.report.tested import read_tested, read_utterances
from heads.results import Run


@pytest.fixture
def edited(hard_run, tmp_path):
    """A copy of a run whose files may be changed."""
    return shutil.copytree(hard_run, tmp_path / "copy")


@pytest.mark.parametrize("name", ["hard_run", "soft_run"])
def test_predictions_are_those_of_the_table_clip_by_clip(name, request):
    run = Run(request.getfixturevalue(name))
    tested = read_tested(run)
    table = pd.read_csv(run.path / "predictions.csv").set_index(["seed", "id"])
    assert tested.labels == tuple(run.labels)
    assert list(tested.ids) == sorted(set(tested.ids))
    for place, seed in enumerate(sorted(set(table.index.get_level_values("seed")))):
        own = table.loc[seed].loc[tested.ids]
        predicted = own[[f"pred_{label}" for label in run.labels]].to_numpy()
        np.testing.assert_array_equal(tested.predictions[place], predicted)
        assert own["speaker"].tolist() == tested.speakers.tolist()


def test_utterances_stand_in_the_order_of_the_predictions(edited):
    file = edited / "utterances.jsonl"
    file.write_text("".join(line + "\n" for line in reversed(file.read_text().splitlines())))
    run = Run(edited)
    tested = read_tested(run)
    for chosen in (tested, tested.rows(np.arange(5))):
        found = read_utterances(run, chosen)
        assert [own.id for own in found] == chosen.ids.tolist()
        assert [own.speaker for own in found] == chosen.speakers.tolist()


def test_predictions_that_contradict_each_other_name_the_file(edited):
    file = edited / "predictions.csv"
    table = pd.read_csv(file)
    table.loc[0, "speaker"] = "somebody"
    table.to_csv(file, index=False)
    with pytest.raises(SerError, match=r"copy.predictions.csv: its seeds do not hold the same"):
        read_tested(Run(edited))


def test_clips_that_are_not_listed_are_counted_and_one_is_named(edited):
    file = edited / "utterances.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    gone = sorted(json.loads(line)["id"] for line in lines[:3])
    file.write_text("".join(lines[3:]))
    run = Run(edited)
    text = rf"has predictions for 3 utterances that its .* first '{gone[0]}'; train the head again"
    with pytest.raises(UsageError, match=text):
        read_utterances(run, read_tested(run))
