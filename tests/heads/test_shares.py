"""Parts come as near to their shares as whole groups allow."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.errors import UsageError
from heads.shares import Shares, make_shares, take_groups, take_utterances

varied = settings(deadline=None, max_examples=80)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def grouped(draw):
    """Strata and groups of utterances, and how many utterances are wanted."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=3, max_size=8))
    groups = [f"g{g}" for g, size in enumerate(sizes) for _ in range(size)]
    strata = draw(st.lists(st.sampled_from("xyz"), min_size=len(groups), max_size=len(groups)))
    return strata, groups, draw(st.floats(0.0, 0.9)) * len(groups)


@varied
@given(grouped(), st.integers(1, 2), seeds)
def test_groups_are_taken_whole_and_enough_of_them_stay(problem, leave, seed):
    strata, groups, wanted = problem
    taken = take_groups(strata, groups, wanted, leave, seed)
    inside, outside = {groups[i] for i in taken}, set(groups) - {groups[i] for i in taken}
    assert inside and len(outside) >= leave
    assert taken.tolist() == [i for i, name in enumerate(groups) if name in inside]
    np.testing.assert_array_equal(taken, take_groups(strata, groups, wanted, leave, seed))


@varied
@given(grouped(), seeds)
def test_the_wanted_number_is_missed_by_less_than_a_group(problem, seed):
    strata, groups, wanted = problem
    taken = take_groups(strata, groups, wanted, 1, seed)
    names, largest = {groups[i] for i in taken}, max(Counter(groups).values())
    if len(names) > 1:
        assert len(taken) - wanted <= largest / 2
    if len(set(groups)) - len(names) > 1:
        assert wanted - len(taken) <= largest / 2


@pytest.mark.parametrize("seed", range(5))
def test_the_choice_is_the_best_of_all_where_groups_are_equally_large(seed):
    """Against a search over every choice of three groups of twelve utterances."""
    rng = np.random.default_rng(seed)
    strata = rng.choice(list("xyz"), 96).tolist()
    groups = [f"g{i % 8}" for i in range(96)]

    def cost(names):
        chosen = Counter(s for s, g in zip(strata, groups, strict=True) if g in names)
        return sum((chosen[s] - 3 / 8 * n) ** 2 / n for s, n in Counter(strata).items())

    taken = take_groups(strata, groups, 36, 1, seed)
    found = {groups[i] for i in taken}
    best = min(cost(set(names)) for names in combinations(sorted(set(groups)), 3))
    assert len(found) == 3
    assert cost(found) == pytest.approx(best)


@varied
@given(
    st.lists(st.sampled_from("xyz"), min_size=3, max_size=60), st.floats(0, 1), st.integers(1, 2),
    seeds,
)  # fmt: skip
def test_utterances_are_taken_from_every_stratum_in_equal_shares(strata, share, leave, seed):
    wanted = share * len(strata)
    taken = take_utterances(strata, wanted, leave, seed)
    count = min(max(1, round(wanted)), len(strata) - leave)
    assert len(taken) == len(set(taken.tolist())) == count
    counts = Counter(strata[i] for i in taken)
    for stratum, size in Counter(strata).items():
        assert abs(counts[stratum] - count * size / len(strata)) <= 1
    np.testing.assert_array_equal(taken, take_utterances(strata, wanted, leave, seed))


def test_another_seed_takes_others():
    strata, groups = list("xy") * 60, [f"g{i // 4}" for i in range(120)]
    for take in (
        lambda seed: take_utterances(strata, 18, 1, seed).tolist(),
        lambda seed: take_groups(strata, groups, 18, 1, seed).tolist(),
    ):
        assert len({tuple(take(seed)) for seed in range(6)}) > 1


def test_no_shares_are_folds():
    assert make_shares(None, None) is None
    assert make_shares(0.2, 0.1) == Shares(test=0.2, val=0.1)


@pytest.mark.parametrize(
    ("test", "val", "text"),
    [
        (0.2, None, "--test 0.2: give --val too, as in --test 0.15 --val 0.15"),
        (None, 0.2, "--val 0.2: give --test too, as in --test 0.15 --val 0.15"),
        (0.0, 0.2, "--test 0: give a share above 0 and below 1, as in --test 0.15"),
        (15, 0.2, "--test 15: give a share above 0 and below 1"),
        (0.2, -0.1, "--val -0.1: give a share above 0 and below 1"),
        (0.2, float("nan"), "--val nan: give a share above 0 and below 1"),
        (0.5, 0.5, "--test 0.5 --val 0.5: nothing is left to train on; give shares with a sum"),
    ],
)
def test_what_is_no_share_is_said(test, val, text):
    with pytest.raises(UsageError, match=text):
        make_shares(test, val)
