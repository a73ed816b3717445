"""Suspected labels of a run: planted flips come first, and each can be found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from heads.analysis.votes import Votes
from heads.report.label_errors import clip_record, suspected_errors
from heads.report.tested import read_tested, read_utterances
from heads.results import Run

FLIPPED = np.arange(0, 90, 9)


@pytest.fixture(scope="module")
def run(hard_run):
    return Run(hard_run)


@pytest.fixture(scope="module")
def flipped(run):
    """A model that hears what was meant, and labels of which ten were flipped."""
    tested = read_tested(run)
    rng = np.random.default_rng(0)
    count, classes = tested.targets.shape
    meant = rng.integers(0, classes, count)
    logits = 4 * np.eye(classes)[meant] + rng.normal(0, 0.3, (count, classes))
    mean = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    given = meant.copy()
    given[FLIPPED] = (given[FLIPPED] + 1) % classes
    tested = replace(tested, predictions=mean[None], targets=np.eye(classes)[given])
    return tested, meant, given


def errors(run, tested, votes=None, top=1000):
    found = suspected_errors(run, tested, votes, read_utterances(run, tested), top)
    return found["label_errors"]


def test_flipped_labels_are_those_that_are_suspected(run, flipped):
    tested, meant, given = flipped
    found = errors(run, tested)
    place = {name: n for n, name in enumerate(tested.ids.tolist())}
    rows = [place[clip["id"]] for clip in found["ranked"]]
    assert sorted(rows) == FLIPPED.tolist()
    for row, clip in zip(rows, found["ranked"], strict=True):
        assert clip["given"] == tested.labels[given[row]]
        assert clip["suggested"] == tested.labels[meant[row]]
        assert clip["p_suggested"] > clip["p_given"]
        assert clip["path"] == str(run.utterances[clip["id"]].path)
    assert found["share"] == pytest.approx(len(FLIPPED) / len(given), abs=0.01)
    assert sum(pair["n"] for pair in found["pairs"]) == pytest.approx(len(FLIPPED), abs=1)


@pytest.mark.parametrize("top", [0, 1, 3])
def test_the_list_is_the_head_of_the_whole(run, flipped, top):
    whole, part = errors(run, flipped[0]), errors(run, flipped[0], top=top)
    assert part["ranked"] == whole["ranked"][:top]
    assert part["suspected"] == whole["suspected"] == len(FLIPPED)


def test_annotators_are_asked_where_they_voted(run, flipped):
    """Those of half of the flipped clips heard what was meant, the others said nothing."""
    tested, meant, _ = flipped
    classes = len(tested.labels)
    counts = 3.0 * np.eye(classes)[meant]
    counts[FLIPPED[::2]] = 0
    votes = Votes(emotions=tested.labels, classes=classes, counts=counts)
    found = errors(run, tested, votes)
    assert found["heard"] == {"n": 5, "as_suggested": 5}
    told = {(clip["votes_given"], clip["votes_suggested"]) for clip in found["ranked"]}
    assert told == {(0.0, 1.0), (None, None)}
    assert errors(run, tested)["heard"] is None


def test_a_truth_that_is_tied_everywhere_is_no_label(run, flipped):
    tested = flipped[0]
    even = replace(tested, targets=np.full_like(tested.targets, 1 / len(tested.labels)))
    found = suspected_errors(run, even, None, read_utterances(run, even), 5)
    assert found["label_errors"] is None
    assert found["label_errors_reason"] == "the true class of every clip is tied"


def test_bounds_stand_where_a_clip_is_a_part_of_a_file(run):
    clip = next(iter(run.utterances.values()))
    whole = clip_record(replace(clip, start_s=0.0, end_s=None))
    assert (whole["start_s"], whole["end_s"]) == (None, None)
    for start, end in ((0.0, 2.0), (1.0, None), (1.0, 2.0)):
        part = clip_record(replace(clip, start_s=start, end_s=end))
        assert (part["start_s"], part["end_s"]) == (start, end)
