"""Parts hold every stratum in equal shares, and groups are never divided."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedcache.errors import UsageError
from heads.dealing import Groups, deal_split, hold_out, stratified
from heads.shares import Shares
from tests.heads.split_tables import ravdess_like, varied


@pytest.mark.parametrize("seed", range(5))
def test_parts_have_equal_shares_of_every_stratum(seed):
    strata = np.array(ravdess_like().strata)
    for part in stratified(strata.tolist(), 6, seed):
        counts = np.unique(strata[part], return_counts=True)[1]
        assert len(counts) == 16
        expected = np.unique(strata, return_counts=True)[1] / 6
        assert np.abs(counts - expected).max() <= 1


@varied
@given(st.integers(4, 12), st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_where_strata_are_too_small_to_balance_everyone_is_dealt_all_the_same(count, parts, seed):
    strata = list("xy" * 6)[:count]
    everyone = np.arange(count)
    dealt = stratified(strata, parts, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(dealt)), everyone)
    for test in dealt:
        rest = np.setdiff1d(everyone, test)
        train, val = hold_out(strata, rest, None, "0", seed)
        np.testing.assert_array_equal(np.sort(np.concatenate([train, val])), rest)
        assert min(len(train), len(val), len(test)) > 0


SPEAKERS = Groups(list("aabb"), "speaker")
SESSIONS = Groups(list("1122"), "session")
SHARES = Shares(test=0.2, val=0.3)


@pytest.mark.parametrize(
    ("groups", "count", "text"),
    [
        (SPEAKERS, 4, "fold 7: there is 1 speaker that it does not test, and it takes one to "
         "train and one to validate; the protocol 'random' shares speakers and says so"),
        (None, 2, "fold 7: there is 1 utterance that it does not test, and it takes one to train "
         "and one to validate; give more clips"),
    ],
)  # fmt: skip
def test_what_cannot_be_held_out_is_said(groups, count, text):
    with pytest.raises(UsageError, match=text):
        hold_out(["x"] * count, np.arange(count // 2, count), groups, "7", 0)


@pytest.mark.parametrize(
    ("tested", "held_out", "count", "text"),
    [
        (SESSIONS, SPEAKERS, 4, "fold 0: there is 1 speaker that it does not test, and it takes"),
        (None, None, 2, "--test 0.2 --val 0.3: there are 2 utterances, and it takes 3, to train, "
         "to validate and to test"),
    ],
)  # fmt: skip
def test_what_cannot_be_one_split_is_said(tested, held_out, count, text):
    with pytest.raises(UsageError, match=text):
        deal_split(["x"] * count, tested, held_out, SHARES, 0)
