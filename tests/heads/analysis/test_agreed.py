"""Scores on clips that annotators agree on, against scikit-learn and the jackknife's formula."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from heads.analysis.agreed import LEAST_AGREEMENT, held_out
from tests.heads.analysis.judged_tables import delete_one_speaker, make_judged


def mean_over_seeds(score, judged, weights):
    truth = judged.tested.targets.argmax(axis=1)
    guesses = judged.tested.predictions.argmax(axis=2)
    return np.mean([score(truth, guess, sample_weight=weights) for guess in guesses])


@pytest.mark.parametrize("number", range(6))
def test_scores_are_scikit_learns_on_the_kept_clips(number):
    judged = make_judged(clips=40)
    share = judged.votes.agreement
    kept = [np.ones(len(share)), *(share >= least - 1e-9 for least in LEAST_AGREEMENT), share]
    row = held_out(judged)[number]
    weights = kept[number].astype(float)
    assert row["n"] == (weights > 0).sum()
    assert row["share"] == pytest.approx(weights.mean())
    assert row["wa"] == pytest.approx(mean_over_seeds(accuracy_score, judged, weights))
    ua = mean_over_seeds(balanced_accuracy_score, judged, weights)
    assert row["ua"] == pytest.approx(ua)
    whole = mean_over_seeds(balanced_accuracy_score, judged, None)
    assert row["change"] == pytest.approx(ua - whole)


@pytest.mark.parametrize("least", [2, 4])
def test_intervals_leave_a_speaker_out_of_part_and_whole_at_once(least):
    """With as many degrees of freedom as the clips that count leave, in the part or in all."""
    judged = make_judged(clips=40)
    kept = np.isin(judged.tested.speakers, ["s0", "s1", "s2"]) | (np.arange(320) % 40 < 16)
    judged = judged.rows(kept)  # three speakers have most of the clips
    counting = (judged.votes.agreement >= LEAST_AGREEMENT[least - 1] - 1e-9).astype(float)

    def ua(judged):
        kept = (judged.votes.agreement >= LEAST_AGREEMENT[least - 1] - 1e-9).astype(float)
        return mean_over_seeds(balanced_accuracy_score, judged, kept)

    def change(judged):
        return ua(judged) - mean_over_seeds(balanced_accuracy_score, judged, None)

    def effective(weights):
        clips = np.array([weights[judged.tested.speakers == f"s{n}"].sum() for n in range(8)])
        return clips.sum() ** 2 / (clips**2).sum()

    row = held_out(judged)[least]
    fewer = min(counting, np.ones(len(counting)), key=effective)
    assert row["least"] == pytest.approx(LEAST_AGREEMENT[least - 1])
    expected = np.clip(delete_one_speaker(ua, judged, counting), 0, 1)
    assert row["ua_ci95"] == pytest.approx(expected)
    assert row["change_ci95"] == pytest.approx(delete_one_speaker(change, judged, fewer))


def test_clear_clips_are_easier_where_that_was_planted():
    rows = held_out(make_judged(effect=6.0, clips=60))
    assert rows[0]["wa"] < rows[2]["wa"] < rows[4]["wa"]
    assert rows[4]["change_ci95"][0] > 0
    assert rows[0]["change_ci95"] == [0, 0]


def test_where_all_agree_nothing_changes():
    judged = make_judged()
    judged.votes.counts[:] = 0
    judged.votes.counts[:, 1] = 3
    rows = held_out(judged)
    assert {row["n"] for row in rows} == {240}
    assert {row["change"] for row in rows} == {0.0}


def test_where_nobody_agrees_nothing_is_left():
    judged = make_judged()
    judged.votes.counts[:] = [1, 1, 1, 0, 0]
    rows = held_out(judged)
    assert [row["n"] for row in rows] == [240, 0, 0, 0, 0, 240]
    assert rows[1]["ua"] is None
    assert rows[1]["reason"] == "no clip is left"
    assert rows[5]["ua"] == pytest.approx(rows[0]["ua"])


def test_classes_that_are_gone_are_counted():
    judged = make_judged()
    sad = judged.tested.targets[:, 3] == 1
    judged.votes.counts[sad] = [1, 1, 1, 1, 0]
    assert [row["classes"] for row in held_out(judged)] == [4, 3, 3, 3, 3, 4]


def test_tied_truths_are_not_scored():
    judged = make_judged(hard=False)
    shares = judged.votes.distributions
    clear = np.isclose(shares, shares.max(axis=1, keepdims=True)).sum(axis=1) == 1
    assert held_out(judged)[0]["n"] == clear.sum() < 240


def test_a_speaker_without_clips_that_are_kept_is_no_witness():
    """Two of three speakers have clear clips: the part's interval has one degree of freedom."""
    judged = make_judged(speakers=3, clips=40)
    judged.votes.counts[judged.tested.speakers == "s2"] = [1, 1, 0, 0, 0]
    row = held_out(judged)[4]
    two = judged.rows(judged.tested.speakers != "s2")
    assert row["wa_ci95"] == held_out(two)[4]["wa_ci95"]
    one = replace(judged.tested, speakers=np.where(judged.tested.speakers == "s2", "b", "a"))
    assert held_out(replace(judged, tested=one))[4]["wa_ci95"] is None
