"""Ambiguity on planted tables: levels, bins, trends and distances are what references say."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from heads.analysis.ambiguity import (
    agreement_levels,
    ambiguous,
    by_entropy,
    disagreements,
    equal_count_bins,
    label_agreement,
    tau_distribution,
    trends,
)
from heads.analysis.judged import Judged, clip_scores, mean_score, why_no_interval
from heads.analysis.votes import Votes
from heads.metrics import scores, speaker_interval, tally
from tests.heads.analysis.judged_tables import delete_one_speaker, make_judged

LEVELS = {  # votes of three classes, and their level by hand
    "all agree": [[3, 0, 0], [0, 2, 0], [0, 0, 7]],
    "two thirds or more": [[2, 1, 0], [0, 3, 1], [1, 9, 0]],
    "more than half": [[3, 2, 0], [4, 2, 1]],
    "a plurality": [[2, 1, 1], [4, 3, 3], [5, 4, 1]],
    "a tie": [[1, 1, 0], [2, 2, 1], [1, 1, 1], [3, 3, 3]],
}


def judge_counts(counts, judged=None):
    """Clips with these votes, predicted anyhow."""
    judged = judged or make_judged(labels=("angry", "happy", "sad"))
    counts = np.array(counts, float)
    votes = Votes(emotions=("angry", "happy", "sad"), classes=3, counts=counts)
    return Judged(tested=judged.tested.rows(np.arange(len(counts))), votes=votes)


# Levels of agreement


def test_levels_are_those_by_hand_and_part_the_clips():
    judged = judge_counts([row for rows in LEVELS.values() for row in rows])
    found = agreement_levels(judged, clip_scores(judged)["wa"])
    assert {row["told"]: row["n"] for row in found} == {x: len(r) for x, r in LEVELS.items()}
    assert sum(row["share"] for row in found) == pytest.approx(1)


def test_ambiguous_are_pluralities_and_ties():
    judged = judge_counts([row for rows in LEVELS.values() for row in rows])
    assert ambiguous(judged.votes) == {
        "told": "no emotion has more than half of the votes", "n": 7, "share": 7 / 15,
    }  # fmt: skip


def test_levels_hold_the_accuracy_of_their_clips():
    judged = make_judged(clips=60)
    right = clip_scores(judged)["wa"]
    share = judged.votes.agreement
    row = agreement_levels(judged, right)[0]
    assert row["wa"] == pytest.approx(right[:, share == 1].mean())
    low, high = row["wa_ci95"]
    assert low < row["wa"] <= high <= 1


def test_a_tied_truth_is_not_scored():
    judged = make_judged(hard=False, clips=60)
    row = agreement_levels(judged, clip_scores(judged)["wa"])[-1]
    tied = judged.votes.counts[:, :4]
    tied = np.isclose(tied, tied.max(axis=1, keepdims=True)).sum(axis=1) > 1
    assert row["n"] > tied.sum() > 0  # ties with what is no class have a truth
    all_tied = judged.rows(np.flatnonzero(tied))
    row = agreement_levels(all_tied, clip_scores(all_tied)["wa"])[-1]
    assert (row["wa"], row["wa_ci95"]) == (None, None)


def test_how_often_the_label_is_what_was_heard():
    judged = judge_counts([[3, 0, 0], [0, 2, 1], [1, 1, 0], [0, 0, 5]])
    truth = np.eye(3)[[0, 0, 1, 2]]
    judged = replace(judged, tested=replace(judged.tested, targets=truth))
    assert label_agreement(judged) == {"n": 3, "same": 2, "share": 2 / 3}


# Bins of entropy

values = st.lists(st.integers(0, 12).map(lambda n: n / 4), min_size=1, max_size=60)


@settings(deadline=None, max_examples=200)
@given(values=values, bins=st.integers(1, 8))
def test_bins_follow_the_order_and_keep_ties_together(values, bins):
    values = np.array(values)
    part = equal_count_bins(values, bins)
    assert set(part) == set(range(part.max() + 1))
    assert part.max() < min(bins, len(set(values)))
    order = np.argsort(values, kind="stable")
    assert (np.diff(part[order]) >= 0).all()
    for value in set(values):
        assert len(set(part[values == value])) == 1


@pytest.mark.parametrize(("count", "bins"), [(100, 5), (7, 3), (4, 6)])
def test_distinct_values_are_dealt_equally(count, bins):
    part = equal_count_bins(np.random.default_rng(0).permutation(count) / count, bins)
    sizes = np.bincount(part)
    assert len(sizes) == min(bins, count)
    assert sizes.max() - sizes.min() <= 1


def test_one_bin_has_the_metrics_of_the_run():
    judged = make_judged()
    (row,) = by_entropy(judged, clip_scores(judged), bins=1)
    tested = judged.tested
    pooled = scores(tested.by_speaker.sum(axis=1), 4)
    interval = speaker_interval(tested.by_speaker, 4)["wa"]
    assert row["n"] == 240
    assert row["wa"] == pytest.approx(pooled["wa"].mean())
    assert row["wa_ci95"] == pytest.approx(list(interval))
    targets = judged.votes.distributions
    soft = [scores(tally(p, targets).sum(axis=0), 4) for p in tested.predictions]
    assert row["tau"] == pytest.approx(np.mean([s["kendall_tau"] for s in soft]))
    assert row["kl"] == pytest.approx(np.mean([s["kl"] for s in soft]))
    distances = [jensenshannon(p, targets, base=2, axis=1) ** 2 for p in tested.predictions]
    assert row["js"] == pytest.approx(np.mean(distances))


def test_bins_part_the_clips_and_their_edges_do_not_overlap():
    judged = make_judged()
    rows = by_entropy(judged, clip_scores(judged))
    assert 2 < len(rows) <= 5
    assert sum(row["n"] for row in rows) == 240
    for one, other in pairwise(rows):
        assert one["low"] <= one["high"] < other["low"]


def test_equal_votes_in_another_order_share_a_bin():
    judged = judge_counts([[1, 2, 3], [3, 1, 2], [2, 3, 1], [6, 4, 2]] * 5)
    assert len(by_entropy(judged, clip_scores(judged))) == 1


# Trends


@pytest.mark.parametrize("told", ["accuracy", "tau", "js"])
def test_trends_are_spearmans_with_the_jackknife_over_speakers(told):
    judged = make_judged()
    # One speaker has more clips than any other.
    judged = judged.rows((judged.tested.speakers == "s0") | (np.arange(240) % 3 > 0))
    found = trends(judged, clip_scores(judged))[told]

    def spearman(part):
        score = clip_scores(part)[{"accuracy": "wa"}.get(told, told)].mean(axis=0)
        known = ~np.isnan(score)
        entropy = part.votes.entropy[known].round(9)
        return stats.spearmanr(entropy, score[known].round(9)).statistic

    assert found["spearman"] == pytest.approx(spearman(judged))
    score = clip_scores(judged)[{"accuracy": "wa"}.get(told, told)].mean(axis=0)
    known = (~np.isnan(score)).astype(float)
    assert found["ci95"] == pytest.approx(delete_one_speaker(spearman, judged, known))


def test_a_planted_trend_is_found_and_none_is_not():
    falling = make_judged(effect=6.0, clips=60)
    low, high = trends(falling, clip_scores(falling))["accuracy"]["ci95"]
    assert low < high < 0
    flat = make_judged(effect=0.0, clips=60)
    low, high = trends(flat, clip_scores(flat))["accuracy"]["ci95"]
    assert low < 0 < high


def test_without_disagreement_there_is_no_trend():
    judged = judge_counts([[3, 0, 0], [0, 3, 0], [0, 0, 2]] * 6)
    found = trends(judged, clip_scores(judged))
    for row in found.values():
        assert row["spearman"] is None
        assert row["ci95"] is None
        assert row["reason"] == "vote entropy is the same on all clips"


def test_a_model_that_is_always_right_has_no_trend():
    judged = make_judged()
    right = np.broadcast_to(judged.tested.targets, judged.tested.predictions.shape)
    judged = replace(judged, tested=replace(judged.tested, predictions=right))
    row = trends(judged, clip_scores(judged))["accuracy"]
    assert (row["spearman"], row["reason"]) == (None, "accuracy is the same on all clips")


# Intervals


def test_one_speaker_or_an_unknown_one_gives_no_interval_and_the_same_means():
    judged = make_judged()
    found = by_entropy(judged, clip_scores(judged))
    for names, reason in (("s1", "one speaker"), ("", "240 of 240 clips name no speaker")):
        speakers = np.full(240, names)
        other = replace(judged, tested=replace(judged.tested, speakers=speakers))
        assert why_no_interval(other.tested) == reason
        rows = by_entropy(other, clip_scores(other))
        for row, expected in zip(rows, found, strict=True):
            assert row["wa_ci95"] is None
            assert row["wa"] == pytest.approx(expected["wa"])
        assert trends(other, clip_scores(other))["js"]["ci95"] is None
    assert why_no_interval(judged.tested) is None


def test_a_speaker_with_nearly_all_clips_gives_no_interval():
    judged = make_judged()
    tested = replace(judged.tested, speakers=np.where(np.arange(240) < 5, "a", "b"))
    other = replace(judged, tested=tested)
    assert why_no_interval(tested) == "one speaker has nearly all clips"
    assert trends(other, clip_scores(other))["accuracy"]["ci95"] is None


def test_some_unknown_speakers_give_no_interval():
    judged = make_judged()
    speakers = np.where(np.arange(240) < 5, "", judged.tested.speakers)
    tested = replace(judged.tested, speakers=speakers)
    assert why_no_interval(tested) == "5 of 240 clips name no speaker"
    assert mean_score("wa", clip_scores(judged)["wa"], speakers)["wa_ci95"] is None


# Distances


def test_disagreements_are_in_the_order_of_scipys_distance():
    judged = make_judged()
    order, distances, means = disagreements(judged)
    mean = judged.tested.predictions.mean(axis=0)
    expected = jensenshannon(mean, judged.votes.distributions, base=2, axis=1) ** 2
    np.testing.assert_allclose(distances, expected[order], atol=1e-12)
    assert (np.diff(distances) <= 0).all()
    np.testing.assert_array_equal(means, mean[order])


def test_a_planted_disagreement_comes_first():
    judged = make_judged()
    judged.votes.counts[17] = [9, 0, 0, 0, 0]
    judged.tested.predictions[:, 17] = [0, 0, 0, 1]
    judged.votes.counts[18] = [0, 0, 0, 0, 4]  # heard as no class: nothing to compare with
    order, distances, _ = disagreements(judged)
    assert order[0] == 17
    assert distances[0] == pytest.approx(1)
    assert len(order) == 239
    assert 18 not in order


def test_taus_are_counted_around_tenths():
    taus = np.array([[-1, -0.96, 0.04, 0.05, 1.0], [np.nan, 0.949, 0.951, 1 / 3, 0.0]])
    found = tau_distribution(taus)
    counts = {round(c, 1): n for c, n in zip(found["centers"], found["counts"], strict=True) if n}
    assert counts == {-1.0: 2, 0.0: 2, 0.1: 1, 0.3: 1, 0.9: 1, 1.0: 2}
    assert (found["defined"], found["undefined"], found["seeds"]) == (9, 1, 2)
    assert found["median"] == pytest.approx(np.nanmedian(taus))


def test_no_tau_at_all():
    found = tau_distribution(np.full((2, 3), np.nan))
    assert (found["defined"], found["mean"], sum(found["counts"])) == (0, None, 0)
