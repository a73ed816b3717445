"""Mean ranks over speakers, and lines over runs that no test tells apart."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heads.analysis.ranks import Ranks, groups_alike, rank_over_speakers
from tests.heads.analysis.runs import family, without_speakers


def test_ranks_are_those_of_each_speaker():
    runs = family(0.1, runs=4)
    found = rank_over_speakers(runs, "wa")
    scores = [
        [
            (own.predictions[:, own.speaker_codes == g].argmax(-1)
             == own.targets[own.speaker_codes == g].argmax(-1)).mean()
            for g in range(10)
        ]
        for own in runs
    ]  # fmt: skip
    expected = []
    for run in scores:
        places = [
            1 + sum(other[g] > value + 1e-9 for other in scores)
            + (sum(abs(other[g] - value) < 1e-9 for other in scores) - 1) / 2
            for g, value in enumerate(run)
        ]  # fmt: skip
        expected.append(np.mean(places))
    assert found.mean == pytest.approx(sorted(expected))
    assert [expected[i] for i in found.order] == pytest.approx(sorted(expected))
    assert found.speakers == 10


def test_divergences_rank_the_other_way_round():
    ahead, behind = family(0.3, runs=2)
    assert rank_over_speakers([behind, ahead], "kl").order == [1, 0]
    assert rank_over_speakers([behind, ahead], "ua").order == [1, 0]


def test_only_runs_that_differ_are_told_apart():
    ahead, one, other = family(0.3, clips=20)
    assert rank_over_speakers([one, ahead, other], "ua").alike == {(0, 2)}


@given(st.integers(2, 7).flatmap(lambda n: st.tuples(st.just(n), st.sets(
    st.sampled_from(list(combinations(range(n), 2)))))))  # fmt: skip
def test_lines_cover_every_neighbouring_pair_that_is_alike_and_no_pair_that_is_not(case):
    count, alike = case
    ranks = Ranks(
        order=list(range(count)), mean=[float(n) for n in range(count)], alike=frozenset(alike),
        speakers=3,
    )  # fmt: skip
    lines = groups_alike(ranks)
    for line in lines:
        assert line == list(range(line[0], line[-1] + 1))
        assert set(combinations(line, 2)) <= alike
    drawn = {pair for line in lines for pair in combinations(line, 2)}
    assert {(n, n + 1) for n in range(count - 1)} & alike <= drawn
    assert not any(set(a) < set(b) for a in lines for b in lines)


def test_runs_without_common_ground_have_no_ranks():
    one, other = family(0.1, runs=2)
    assert rank_over_speakers([one, replace(other, ids=np.char.add(other.ids, "x"))], "ua") is None
    assert rank_over_speakers([without_speakers(own) for own in (one, other)], "ua") is None
    assert rank_over_speakers([one, replace(other, labels=("x", "y", "z"))], "ua") is None
