"""The generator plants exactly what it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as reference

from embedcache.errors import UsageError
from heads.analysis.planted import (
    GROUPS,
    Design,
    plant,
    planted_run,
    prediction_table,
    speaker_effects,
)
from heads.labels import majority
from heads.metrics import confusion_matrix, scores

DESIGNS = {
    "plain": Design(gap=0.08),
    "unbalanced": Design(speakers=(3, 7), clips=(2, 9), gap=-0.1, spread=(0.12, 0.04)),
    "two classes": Design(classes=2, clips=(3,), gap=0.05, difference=0.06, runs=3, cut=3.0),
    "votes and seeds": Design(
        agreement=(1.0, 0.8, 0.6), clips=(3, 6), cost=0.2, gap=0.04, difference=-0.04, runs=2,
        seeds=2, spread=(0.05, 0.05), run_spread=0.03, cut=2.5,
    ),
}  # fmt: skip


def agrees(values, expected, tolerance=5.0):
    """Whether a mean over independent repetitions is what is expected, in standard errors."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    return abs(values.mean() - expected) < tolerance * error


@pytest.mark.parametrize("name", DESIGNS)
def test_expected_ua_and_wa_of_each_group_and_run_are_what_was_planted(name):
    design = DESIGNS[name]
    outcomes = plant(design, 3000, seed=1)
    confusions = outcomes.confusions()
    for run in range(design.runs):
        by_group = [
            confusions[:, run][:, :, outcomes.group_of == group].sum(axis=2) for group in (0, 1)
        ]
        hits = [np.diagonal(own, axis1=-2, axis2=-1) for own in by_group]
        ua = [
            (h / own.sum(axis=-1)).mean(axis=(1, 2)) for h, own in zip(hits, by_group, strict=True)
        ]
        wa = [(h.sum(axis=-1) / own.sum(axis=(-2, -1))).mean(axis=1)
              for h, own in zip(hits, by_group, strict=True)]  # fmt: skip
        for found in (ua, wa):
            assert agrees(found[0], design.truth(0, run))
            assert agrees(found[1], design.truth(1, run))
            assert agrees(found[0] - found[1], design.gap)
    if design.runs > 1:
        right = outcomes.right().mean(axis=(2, 3))
        for run in range(1, design.runs):
            assert agrees(right[:, 0] - right[:, run], design.difference)


def test_what_is_planted_is_told():
    design = Design(gap=0.1, difference=0.04, runs=2)
    assert design.truth(0) - design.truth(1) == pytest.approx(0.1)
    assert design.truth(0, 0) - design.truth(0, 1) == pytest.approx(0.04)
    assert np.mean([design.truth(g, r) for g in (0, 1) for r in (0, 1)]) == pytest.approx(0.6)


@pytest.mark.parametrize("cut", [1.0, 2.0, 3.0])
def test_effects_of_speakers_are_symmetric_bounded_and_of_deviation_1(cut):
    effects = speaker_effects(np.random.default_rng(0), (400_000,), cut)
    bound = cut / stats.truncnorm.std(-cut, cut)
    assert np.abs(effects).max() < bound
    assert abs(effects.mean()) < 5 / np.sqrt(len(effects))
    assert effects.std() == pytest.approx(1, abs=0.01)
    assert abs(stats.skew(effects)) < 0.02
    assert np.quantile(effects, 0.75) == pytest.approx(
        stats.truncnorm.ppf(0.75, -cut, cut) / stats.truncnorm.std(-cut, cut), abs=0.01
    )


def test_a_reach_up_to_the_edge_needs_no_clipping():
    """The largest spread that is allowed: chances go from 0 to 1, and the mean stays."""
    edge = 0.5 * stats.truncnorm.std(-2, 2) / 2 - 1e-9
    design = Design(accuracy=0.5, spread=(edge, edge), clips=(30,))
    right = plant(design, 2000).right().mean(axis=(1, 2, 3))
    assert agrees(right, 0.5)


@pytest.mark.parametrize(
    "changes",
    [{}, {"seeds": 3, "common": 0.6}, {"agreement": (1.0, 0.6), "cost": 0.2, "clips": (4,)},
     {"runs": 2, "run_spread": 0.06, "spread": (0.05, 0.08)}],
)  # fmt: skip
def test_the_variance_of_speakers_is_what_is_told(changes):
    design = Design(**{"gap": 0.06, "clips": (5,), **changes})
    outcomes = plant(design, 3000, seed=2)
    confusions = outcomes.confusions()[:, 0].mean(axis=1)  # of the first run, seeds averaged
    accuracy = np.trace(confusions, axis1=-2, axis2=-1) / confusions.sum(axis=(-2, -1))
    for group in (0, 1):
        own = accuracy[:, outcomes.group_of == group].ravel()
        expected = design.speaker_variance(group)
        # The first run has the mean that the variance is told of where the difference is 0.
        assert own.var() == pytest.approx(expected, rel=5 * np.sqrt(2 / len(own)) + 0.01)


def test_seeds_and_runs_share_what_they_are_told_to_share():
    twins = plant(Design(runs=2, seeds=3, common=1.0), 20).guesses
    assert (twins == twins[:, :1, :1]).all()
    # Two seeds are both right on a clip with chance p^2, and p where they share what decides it.
    for common in (0.0, 0.7):
        design = Design(spread=(0.0, 0.0), seeds=2, common=common)
        right = plant(design, 2000, seed=3).right()[:, 0]
        both = (right[:, 0] & right[:, 1]).mean(axis=1)
        shared = common**2
        assert agrees(both, shared * 0.6 + (1 - shared) * 0.36)


def test_seeds_share_speakers():
    confusions = plant(Design(seeds=2, clips=(60,), common=0.0), 200, 4).confusions()[:, 0]
    hits = np.trace(confusions, axis1=-2, axis2=-1).swapaxes(0, 1).reshape(2, -1)  # [S, M G]
    # 0.1^2 is shared; 0.6 0.4 - 0.1^2 over 240 clips is each seed's own.
    assert np.corrcoef(hits)[0, 1] == pytest.approx(0.01 / (0.01 + 0.23 / 240), abs=0.02)


def test_errors_go_to_all_other_classes_alike():
    design = Design(spread=(0.0, 0.0), clips=(50,))
    confusion = plant(design, 200, 5).confusions().sum(axis=(0, 1, 2, 3))
    others = confusion[~np.eye(4, dtype=bool)]
    assert stats.chisquare(others).pvalue > 1e-4


def test_ambiguous_clips_are_harder_by_what_was_planted():
    design = Design(agreement=(1.0, 0.9, 0.6), clips=(3,), cost=0.3, spread=(0.05, 0.05))
    outcomes = plant(design, 2000, 6)
    for level, term in enumerate((0.15, 0.0, -0.15)):
        right = outcomes.right()[..., outcomes.level == level].mean(axis=(1, 2, 3))
        assert agrees(right, 0.6 + term)
    counts = np.zeros((24, 4, 3), int)
    np.add.at(counts, (outcomes.speaker_of, outcomes.truth, outcomes.level), 1)
    assert (counts == 1).all()  # of each speaker and class


def test_entropies_are_those_of_the_votes():
    design = Design(agreement=(1.0, 0.8, 0.6), clips=(3,))
    outcomes = plant(design, 1)
    run = planted_run(outcomes)
    expected = design.entropies()[outcomes.level]
    assert stats.entropy(run.targets, axis=1) == pytest.approx(expected)
    assert expected.min() == 0
    assert (majority(run.targets) == outcomes.truth).all()


def test_confusions_are_those_of_scikit_learn():
    design = Design(speakers=(2, 3), clips=(2, 5), runs=2, seeds=2)
    outcomes = plant(design, 2, 7)
    found = outcomes.confusions()
    assert found.shape == (2, 2, 2, 5, 4, 4)
    for m, r, s, g in np.ndindex(*found.shape[:4]):
        own = outcomes.speaker_of == g
        expected = reference.confusion_matrix(
            outcomes.truth[own], outcomes.guesses[m, r, s, own], labels=range(4)
        )
        assert (found[m, r, s, g] == expected).all()


def test_clips_are_dealt_to_the_speakers_of_each_group():
    outcomes = plant(Design(speakers=(3, 2), clips=(2, 5)), 1)
    assert np.bincount(outcomes.speaker_of).tolist() == [8, 20, 8, 8, 20]
    groups = np.array(outcomes.groups())
    assert set(groups) == set(GROUPS)
    assert (groups == "a").sum() == 36
    for speaker in range(5):  # each class as often as any other
        assert len(set(np.bincount(outcomes.truth[outcomes.speaker_of == speaker]))) == 1


def test_a_run_predicts_what_was_drawn():
    outcomes = plant(Design(runs=2, seeds=3, clips=(5,), difference=0.1), 4, 8)
    run = planted_run(outcomes, repetition=2, run=1)
    assert (run.predictions.argmax(axis=2) == outcomes.guesses[2, 1]).all()
    assert run.predictions.sum(axis=2) == pytest.approx(1)
    assert run.predictions.min() >= 0
    assert list(run.ids) == sorted(set(run.ids))
    assert sorted(set(run.speakers)) == [f"s{g:03}" for g in range(24)]
    tallies = run.by_speaker
    assert (confusion_matrix(tallies, 4) == outcomes.confusions()[2, 1]).all()
    ua = scores(tallies.sum(axis=1), 4)["ua"]
    assert ua == pytest.approx(outcomes.right()[2, 1].mean(axis=1))


def test_a_table_holds_the_run_as_its_folder_does():
    run = planted_run(plant(Design(seeds=2, clips=(2,), agreement=(1.0, 0.8)), 1, 9))
    table = prediction_table(run)
    names = [f"{kind}_class{c}" for kind in ("true", "pred") for c in range(4)]
    assert list(table) == ["id", "speaker", "fold", "seed", *names]
    for seed, own in table.groupby("seed"):
        assert own["id"].tolist() == run.ids.tolist()
        assert own["speaker"].tolist() == run.speakers.tolist()
        assert own["fold"].tolist() == run.folds.tolist()
        pd.testing.assert_frame_equal(
            own[names].reset_index(drop=True),
            pd.DataFrame(np.hstack([run.targets, run.predictions[seed]]), columns=names),
        )
    assert (table.groupby("speaker")["fold"].nunique() == 1).all()


def test_a_seed_repeats_the_drawing():
    design = Design(seeds=2, gap=0.1)
    assert (plant(design, 5, 1).guesses == plant(design, 5, 1).guesses).all()
    assert (plant(design, 5, 1).guesses != plant(design, 5, 2).guesses).any()
    assert plant(design, 0).guesses.shape[0] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"spread": (0.3, 0.1)},
            "accuracy 0.6 with these gaps and spreads goes from -0.082 to 1.282: keep it within 0 "
            "and 1, or it would be clipped and what is planted would not be exact",
        ),
        ({"gap": 0.9, "spread": (0.0, 0.0)}, "goes from 0.150 to 1.050: keep it within 0 and 1"),
        (
            {"agreement": (1.0, 0.8), "clips": (4, 3)},
            "clips (4, 3): give multiples of 2, the number of shares in agreement",
        ),
        ({"clips": (0,)}, "clips (0,): give multiples of 1"),
        ({"agreement": (1.0, 0.5), "clips": (2,)}, "agreement (1.0, 0.5): give shares above 0.5"),
        ({"agreement": (1.2,)}, "agreement (1.2,): give shares above 0.5"),
    ],
)
def test_a_design_that_would_not_be_exact_is_refused(changes, message):
    with pytest.raises(UsageError) as caught:
        Design(**changes)
    assert message in str(caught.value)
