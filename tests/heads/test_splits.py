"""All protocols: everyone is tested once, and nobody trains who is tested."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heads.promises import overlap
from heads.shares import Shares
from heads.splits import PROTOCOLS, Fold, SplitTable, inner_parts, shared_speakers, split
from tests.heads.split_tables import (
    APART,
    SPLITTABLE,
    ravdess_like,
    require_apart,
    tables,
    try_split,
    values,
    varied,
)


@varied
@given(tables(), st.sampled_from(sorted(PROTOCOLS)), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_every_utterance_is_tested_once_and_has_one_role_per_fold(table, protocol, folds, seed):
    made = try_split(protocol, table, folds, seed)
    everyone = np.arange(len(table.strata))
    np.testing.assert_array_equal(np.sort(np.concatenate([f.test for f in made])), everyone)
    for fold in made:
        roles = np.concatenate([fold.train, fold.val, fold.test])
        np.testing.assert_array_equal(np.sort(roles), everyone)
        assert min(len(fold.train), len(fold.val), len(fold.test)) > 0


@varied
@given(tables(), st.sampled_from(sorted(PROTOCOLS)), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_a_fold_keeps_apart_what_its_protocol_promises(table, protocol, folds, seed):
    made = try_split(protocol, table, folds, seed)
    for fold in made:
        require_apart(protocol, fold, table)
    if ("speakers", True) in APART[protocol]:  # sessions of these tables have their own speakers
        assert overlap(table.speakers, made) == 0


@varied
@given(
    tables(),
    st.sampled_from(SPLITTABLE),
    st.floats(0.02, 0.45),
    st.floats(0.02, 0.45),
    st.integers(0, 2**32 - 1),
)
def test_one_split_keeps_its_promise_and_comes_near_its_shares(table, protocol, test, val, seed):
    """Nearer than its largest group, unless no group is left that could be taken or given."""
    (fold,) = try_split(protocol, table, None, seed, Shares(test=test, val=val))
    require_apart(protocol, fold, table)
    everyone = np.arange(len(table.strata))
    roles = np.concatenate([fold.train, fold.val, fold.test])
    np.testing.assert_array_equal(np.sort(roles), everyone)
    assert min(len(fold.train), len(fold.val), len(fold.test)) > 0
    tested, held_out = {
        "speaker": (table.speakers, table.speakers),
        "sentence": (table.sentences, table.sentences),
        "session": (table.sessions, table.speakers),
        "random": (everyone.tolist(), everyone.tolist()),
    }[protocol]
    parts = [(fold.test, everyone, test, tested, 1 if protocol == "session" else 2),
             (fold.val, np.setdiff1d(everyone, fold.test), val, held_out, 1)]  # fmt: skip
    for part, of, share, groups, leave in parts:
        taken, there = {groups[i] for i in part}, {groups[i] for i in of}
        largest = max(Counter(groups[i] for i in of).values())
        if len(taken) > 1:
            assert len(part) < share * len(everyone) + largest
        if len(there) - len(taken) > leave:
            assert len(part) > share * len(everyone) - largest


@varied
@given(tables(), st.sampled_from(sorted(PROTOCOLS)), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_the_same_seed_makes_the_same_folds(table, protocol, folds, seed):
    shares = Shares(test=0.2, val=0.2) if protocol in SPLITTABLE and folds == 5 else None
    wanted = None if shares else folds
    once = try_split(protocol, table, wanted, seed, shares)
    for a, b in zip(once, try_split(protocol, table, wanted, seed, shares), strict=True):
        for part in ("train", "val", "test"):
            np.testing.assert_array_equal(getattr(a, part), getattr(b, part))


@pytest.mark.parametrize("protocol", ["speaker", "random"])
def test_another_seed_makes_other_folds(protocol):
    a, b = (split(protocol, ravdess_like(), 6, seed)[0].test for seed in (0, 1))
    assert not np.array_equal(a, b)


def test_without_a_number_there_are_five_folds_or_as_many_as_there_are_groups():
    assert [len(split(name, ravdess_like(), None, 0)) for name in ("speaker", "random")] == [5, 5]
    speakers = list("abcd") * 3
    few = SplitTable(strata=["x"] * 12, speakers=speakers, sessions=[None] * 12, sentences=speakers)
    assert [len(split(name, few, None, 0)) for name in ("speaker", "sentence")] == [4, 4]


@pytest.mark.parametrize("protocol", ["speaker", "random"])
@pytest.mark.parametrize("seed", range(5))
def test_one_split_of_ravdess_has_balanced_parts(protocol, seed):
    """15 % of 24 actors are 3.6: four actors, two of them women."""
    table = ravdess_like()
    (fold,) = split(protocol, table, None, seed, Shares(test=0.15, val=0.15))
    for part in (fold.test, fold.val):
        counts = np.unique(np.array(table.strata)[part], return_counts=True)[1]
        assert len(counts) == 16
        if protocol == "speaker":
            assert len(values(table, "speakers", part)) == 4
            assert sum(int(a[1:]) % 2 for a in values(table, "speakers", part)) == 2
        else:
            assert len(part) == 216
            expected = np.unique(table.strata, return_counts=True)[1] * 0.15
            assert np.abs(counts - expected).max() <= 1


def test_shared_speakers_looks_at_validation_too_and_not_at_the_unknown():
    fold = Fold(train=np.array([0, 1]), val=np.array([2]), test=np.array([3, 4, 5]))
    assert shared_speakers(fold, ["a", None, "b", "b", "c", None]) == {"b"}


@varied
@given(tables(), st.integers(2, 12))
def test_inner_parts_hold_everyone_once_and_share_no_speaker(table, parts):
    found = inner_parts(table.strata, table.speakers, parts, 0)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(table.strata)))
    speakers = [{table.speakers[i] for i in part} for part in found]
    assert sum(map(len, speakers)) == len(set(table.speakers)) >= len(found)
    again = inner_parts(table.strata, table.speakers, parts, 0)
    assert [part.tolist() for part in again] == [part.tolist() for part in found]


@pytest.mark.parametrize("speakers", [["s0"] * 6, ["s0", None, "s1", "s2", "s3", "s4"]])
def test_inner_parts_without_speakers_to_tell_apart_are_dealt_at_random(speakers, caplog):
    found = inner_parts(["sad"] * 6, speakers, 5, 0)
    assert sorted(np.concatenate(found).tolist()) == list(range(6))
    assert "its inner folds are dealt at random" in caplog.text
