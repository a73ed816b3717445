"""Probes find what was planted, where it was planted, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeCV
from sklearn.metrics import balanced_accuracy_score

from heads.analysis.discriminant import PENALTIES, choose_penalties, classify, decompose
from heads.analysis.probe_targets import make_targets
from heads.analysis.probes import probe_layers, speaker_normalised, steps_of

SPEAKERS, CLIPS, DIM, LAYERS = 12, 40, 24, 5


@pytest.fixture(scope="module")
def corpus():
    """Speakers, gender and emotion of clips: crossed, so that none tells of another."""
    speaker = np.repeat(np.arange(SPEAKERS), CLIPS)
    emotion = np.tile(np.arange(CLIPS) % 4, SPEAKERS)
    return speaker, speaker % 2, emotion


@pytest.fixture(scope="module")
def planted(corpus):
    """Layer 1 holds the speaker, layer 2 the gender, layer 3 the emotion, 0 and 4 nothing."""
    speaker, gender, emotion = corpus
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((LAYERS, len(speaker), DIM))
    noise[1] += 2.0 * rng.standard_normal((SPEAKERS, DIM))[speaker]
    noise[2] += 1.0 * rng.standard_normal((2, DIM))[gender]
    noise[3] += 0.8 * rng.standard_normal((4, DIM))[emotion]
    return noise.astype(np.float32)


@pytest.fixture(scope="module")
def targets(corpus):
    speaker, gender, emotion = corpus
    columns = {
        "emotion": [f"e{c}" for c in emotion],
        "gender": ["female" if g else "male" for g in gender],
    }
    return make_targets(columns, [f"p/{s:02}" for s in speaker], [None] * len(speaker))[0]


@pytest.fixture(scope="module")
def record(planted, corpus, targets):
    layers = [(str(n), vectors) for n, vectors in enumerate(planted)]
    return probe_layers(layers, [f"p/{s:02}" for s in corpus[0]], targets)


def scores(record, target, version="raw", what="ua"):
    return np.array([row[what] for row in record[target][version]])


def test_each_property_is_read_where_it_was_planted_and_nowhere_else(record):
    for target, chance, homes in (("emotion", 0.25, {3}), ("speaker", 1 / 12, {1, 2})):
        ua = scores(record, target)
        for layer in range(LAYERS):
            if layer not in homes:
                assert ua[layer] == pytest.approx(chance, abs=0.09), (target, layer)
    assert scores(record, "emotion")[3] > 0.8
    assert scores(record, "speaker")[1] > 0.95
    assert 1 / 12 + 0.04 < scores(record, "speaker")[2] < 0.3  # the gender halves the guesses
    gender = scores(record, "gender")
    assert gender[2] > 0.9
    np.testing.assert_allclose(gender[[0, 3, 4]], 0.5, atol=0.15)


def test_normalising_takes_the_speaker_and_leaves_the_emotion(record):
    assert (scores(record, "speaker", "normalised") < 1 / 12).all()
    np.testing.assert_array_equal(scores(record, "gender", "normalised"), 0.5)
    assert scores(record, "emotion", "normalised")[3] > 0.8


def test_what_normalising_hides_in_means_it_gives_back_to_emotion(corpus, targets):
    """Emotion under voices that are ten times as loud as it."""
    speaker, _, emotion = corpus
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((len(speaker), 4))
    vectors += 2.5 * np.eye(4)[emotion] + 25 * rng.standard_normal((SPEAKERS, 4))[speaker]
    names = [f"p/{s:02}" for s in speaker]
    found = probe_layers([("last", vectors)], names, targets)["emotion"]
    assert found["normalised"][0]["ua"] > found["raw"][0]["ua"] + 0.1


@pytest.mark.parametrize("dim", [60, 220, 400])
def test_normalising_costs_no_emotion_where_clips_are_hardly_more_than_values(dim):
    """Clips of a normalised speaker sum to 0, so each of them is known from the others."""
    rng = np.random.default_rng(0)
    speaker, emotion = np.repeat(np.arange(12), 24), np.tile(np.arange(24) % 4, 12)
    vectors = rng.standard_normal((len(speaker), dim))
    vectors += 0.35 * rng.standard_normal((4, dim))[emotion]
    vectors += 0.5 * rng.standard_normal((12, dim))[speaker]
    names = [f"p/{s:02}" for s in speaker]
    targets = make_targets({"emotion": [f"e{c}" for c in emotion]}, names, [None] * len(names))[0]
    found = probe_layers([("last", vectors)], names, targets)["emotion"]
    assert found["raw"][0]["ua"] > 0.8
    assert found["normalised"][0]["ua"] > found["raw"][0]["ua"] - 0.02
    for version in ("raw", "normalised"):
        assert found[version][0]["shuffled"] == pytest.approx(0.25, abs=0.06)
    if dim == 220:  # clips left out one by one would take the least penalty
        train = np.setdiff1d(np.arange(len(emotion)), targets[0].tests[0])
        seen = speaker_normalised(vectors, speaker)[train]
        alphas = np.logspace(-3, 5, 9)
        assert RidgeCV(alphas=alphas).fit(seen, np.eye(4)[emotion[train]]).alpha_ == alphas[0]


def test_two_speakers_leave_nobody_to_choose_a_penalty(corpus, planted):
    """One trains and one tests, and the middle penalty is taken."""
    speaker, _, emotion = corpus
    kept = speaker < 2
    names = [f"p/{s:02}" for s in speaker[kept]]
    values = [f"e{c}" for c in emotion[kept]]
    target = make_targets({"emotion": values}, names, [None] * len(names))[0][0]
    assert target.inner == [[], []]
    found = probe_layers([("3", planted[3][kept])], names, [target])["emotion"]
    assert found["raw"][0]["ua"] > 0.7


def test_shuffled_labels_are_at_chance_even_where_the_labels_are_not(record):
    for target, own in record.items():
        assert own["shuffles"] >= 2
        for version in ("raw", "normalised"):
            off = scores(record, target, version, "shuffled") - own["chance"]
            assert abs(off.mean()) < 0.04
            assert np.abs(off).max() < 0.12


def test_intervals_are_over_speakers(planted, corpus, record):
    """UA of classes that all speakers have in equal numbers is a mean over speakers, and so is its
    interval the one of a t test."""
    row = record["emotion"]["raw"][3]
    low, high = row["ci95"]
    assert low < row["ua"] < high
    assert (low + high) / 2 == pytest.approx(row["ua"])
    right = _right(planted[3], corpus)
    by_speaker = right.reshape(SPEAKERS, CLIPS).mean(axis=1)
    assert row["ua"] == pytest.approx(by_speaker.mean())
    expected = stats.ttest_1samp(by_speaker, 0).confidence_interval()
    assert row["ci95"] == pytest.approx(list(expected))


def _right(vectors, corpus):
    """Which clips the probe recognises, one target and one fold at a time."""
    speaker, _, emotion = corpus
    names = [f"p/{s:02}" for s in speaker]
    columns = {
        "emotion": [f"e{c}" for c in emotion],
        "gender": ["female" if s % 2 else "male" for s in speaker],
    }
    target = make_targets(columns, names, [None] * len(names))[0][0]
    return (_guesses(vectors, emotion, target) == emotion).astype(float)


def _guesses(vectors, emotion, target):
    guess = np.zeros_like(emotion)
    for test, inner in zip(target.tests, target.inner, strict=True):
        train = np.setdiff1d(np.arange(len(emotion)), test)
        directions = decompose(vectors[train], vectors[test])
        parts = []
        for part in inner:
            rest = np.setdiff1d(train, part)
            found = decompose(vectors[rest], vectors[part])
            parts.append((found, emotion[None, rest], emotion[None, part]))
        chosen = choose_penalties(parts, PENALTIES * directions.powers.mean(), [4])
        (guess[test],) = classify(directions, [emotion[train]], chosen)
    return guess


def test_speakers_with_few_clips_are_few_degrees_of_freedom(planted, corpus):
    """UA over unequal speakers, left out one by one, with the effective number of them."""
    speaker, _, emotion = corpus
    clips = np.where(np.arange(SPEAKERS) < 2, CLIPS, 8)
    kept = np.arange(len(speaker)) % CLIPS < clips[speaker]
    names = [f"p/{s:02}" for s in speaker[kept]]
    values = [f"e{c}" for c in emotion[kept]]
    target = make_targets({"emotion": values}, names, [None] * len(names))[0][0]
    vectors = 0.6 * planted[0, kept] + 0.4 * planted[3, kept]
    row = probe_layers([("3", vectors)], names, [target])["emotion"]["raw"][0]
    guess = _guesses(vectors, emotion[kept], target)
    without = [
        balanced_accuracy_score(emotion[kept][own], guess[own])
        for own in (speaker[kept] != s for s in range(SPEAKERS))
    ]
    error = np.std(without) * np.sqrt(SPEAKERS - 1)
    freedom = clips.sum() ** 2 / (clips**2).sum() - 1
    assert freedom < SPEAKERS / 2
    half = stats.t.ppf(0.975, freedom) * error
    assert row["ci95"] == pytest.approx([row["ua"] - half, row["ua"] + half])


def test_a_probe_is_as_good_as_scikit_learns_discriminant(planted, corpus, targets, record):
    emotion = corpus[2]
    guess = np.zeros_like(emotion)
    for test in targets[0].tests:
        train = np.setdiff1d(np.arange(len(emotion)), test)
        lda = LinearDiscriminantAnalysis("lsqr", shrinkage="auto", priors=[0.25] * 4)
        guess[test] = lda.fit(planted[3, train], emotion[train]).predict(planted[3, test])
    expected = balanced_accuracy_score(emotion, guess)
    assert scores(record, "emotion")[3] == pytest.approx(expected, abs=0.02)


def test_layers_near_the_best_are_those_that_cannot_be_told_apart(planted, corpus, targets):
    speakers = [f"p/{s:02}" for s in corpus[0]]
    twin = planted[3] + 0.01
    layers = [("0", planted[0]), ("3", planted[3]), ("twin", twin)]
    found = probe_layers(layers, speakers, targets)
    assert found["emotion"]["near_best"]["raw"] == ["3", "twin"]


def test_clips_without_a_class_neither_train_nor_test(planted, corpus):
    speaker, _, emotion = corpus
    names = [f"p/{s:02}" for s in speaker]
    values = [None if n % 7 == 0 else f"e{c}" for n, c in enumerate(emotion)]
    target = make_targets({"emotion": values}, names, [None] * len(names))[0][0]
    moved = planted[3].copy()
    moved[::7] = 1e4  # whatever they hold
    found = [probe_layers([("3", v)], names, [target])["emotion"] for v in (planted[3], moved)]
    assert found[0]["n"] == len(names) - len(range(0, len(names), 7))
    assert found[0]["raw"] == found[1]["raw"]


def test_the_same_seed_gives_the_same_record(planted, corpus, targets):
    speakers = [f"p/{s:02}" for s in corpus[0]]
    once, again, other = (
        probe_layers([("0", planted[0])], speakers, targets, seed=seed) for seed in (0, 0, 1)
    )
    assert once == again
    assert once["emotion"]["raw"][0]["shuffled"] != other["emotion"]["raw"][0]["shuffled"]
    assert once["emotion"]["raw"][0]["ua"] == other["emotion"]["raw"][0]["ua"]


def test_every_step_is_told(planted, corpus, targets):
    ticks = []
    speakers = [f"p/{s:02}" for s in corpus[0]]
    layers = [(str(n), planted[n]) for n in range(2)]
    probe_layers(layers, speakers, targets, lambda: ticks.append(1))
    assert len(ticks) == 2 * steps_of(targets) == 2 * 2 * (5 + 5)


def test_layers_are_asked_for_one_after_the_other(planted, corpus, targets):
    """Memory holds one at a time."""
    told = []

    def each():
        for n in range(2):
            told.append(f"read {n}")
            yield str(n), planted[n]

    speakers = [f"p/{s:02}" for s in corpus[0]]
    probe_layers(each(), speakers, targets, lambda: told.append("probed"))
    assert told.index("read 1") == 1 + steps_of(targets)


def test_each_speaker_is_normalised_by_their_own_clips():
    rng = np.random.default_rng(0)
    speakers = rng.integers(0, 5, 60)
    vectors = rng.standard_normal((60, 4)) * [1, 10, 0, 3] + 100
    table = pd.DataFrame(vectors).groupby(speakers)
    expected = table.transform(lambda x: (x - x.mean()) / (x.std(ddof=0) or np.inf))
    np.testing.assert_allclose(speaker_normalised(vectors, speakers), expected, atol=1e-9)


def test_a_speaker_of_one_clip_is_normalised_to_nothing():
    found = speaker_normalised(np.array([[3.0, 4.0], [1.0, 2.0], [2.0, 2.0]]), np.array([0, 1, 1]))
    np.testing.assert_array_equal(found, [[0, 0], [-1, 0], [1, 0]])
