"""The bootstrap agrees with a loop over replicates and with scipy, and obeys its laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import heads.bootstrap as bootstrap_module
from heads.bootstrap import (
    Bootstrap,
    bootstrap_gaps,
    bootstrap_intervals,
    percentile_intervals,
)
from heads.metrics import confusion_scores

CLASSES = 3
few = settings(deadline=None, max_examples=20)


def score(tallies):
    found = confusion_scores(tallies.reshape(*tallies.shape[:-1], CLASSES, CLASSES))
    return {name: found[name] for name in ("ua", "macro_f1")}


def mean(tallies):
    with np.errstate(invalid="ignore"):
        return {"mean": tallies[..., 0] / tallies[..., 1]}


def draw(speakers, seed=0, seeds=()):
    """Confusion matrices of speakers who differ: [..., G, C * C]."""
    rng = np.random.default_rng(seed)
    skill = rng.uniform(2, 9, (speakers, 1, 1)) * np.eye(CLASSES) + 2
    return (
        rng.poisson(skill, (*seeds, speakers, CLASSES, CLASSES)).reshape(*seeds, speakers, -1) * 1.0
    )


def one_mean(values):
    return np.stack([values, np.ones(len(values))], axis=1)


def values_of(name):
    return lambda rows: float(np.mean(score(rows.sum(axis=-2))[name]))


def jackknife_error(rows, value):
    """Of rows [..., G, K], by leaving out each."""
    count = rows.shape[-2]
    left_out = [value(np.delete(rows, g, axis=-2)) for g in range(count)]
    return (count - 1) / count * np.sum((left_out - np.mean(left_out)) ** 2)


def by_loop(samples, name, replicates, seed):
    """Both intervals of one sample, or of the first less the second, replicate by replicate."""
    value, rng = values_of(name), np.random.default_rng(seed)
    drawn = [
        rng.multinomial(rows.shape[-2], np.full(rows.shape[-2], 1 / rows.shape[-2]), replicates)
        for rows in samples
    ]

    def of(parts):
        values = [value(rows) for rows in parts]
        error = np.sqrt(sum(jackknife_error(rows, value) for rows in parts))
        return values[0] - sum(values[1:]), error

    center, error = of(samples)
    found = [
        of([np.repeat(rows, own[r], axis=-2) for rows, own in zip(samples, drawn, strict=True)])
        for r in range(replicates)
    ]
    values, t = np.array([(v, (v - center) / e) for v, e in found]).T
    low, high = np.quantile(t, [0.025, 0.975])
    percentile = tuple(np.quantile(values, [0.025, 0.975]))
    return percentile, (center - high * error, center - low * error)


@pytest.mark.parametrize("seeds", [(), (3,)])
@pytest.mark.parametrize("name", ["ua", "macro_f1"])
def test_it_is_the_loop_over_replicates(name, seeds):
    by_speaker = draw(9, 1, seeds)
    found = bootstrap_intervals(by_speaker, score, replicates=60, seed=4)[name]
    percentile, studentised = by_loop([by_speaker], name, 60, 4)
    assert found.percentile == pytest.approx(percentile)
    assert found.studentised == pytest.approx(studentised)


@pytest.mark.parametrize("name", ["ua", "macro_f1"])
def test_a_gap_is_the_loop_over_replicates_of_both_groups(name):
    first, second = draw(7, 2), draw(9, 3)
    found = bootstrap_gaps(first, second, score, replicates=60, seed=5)[name]
    percentile, studentised = by_loop([first, second], name, 60, 5)
    assert found.percentile == pytest.approx(percentile)
    assert found.studentised == pytest.approx(studentised)


def test_percentiles_are_those_of_scipy():
    values = np.random.default_rng(0).gamma(2.0, size=14)
    found = bootstrap_intervals(one_mean(values), mean, replicates=40_000)["mean"].percentile
    reference = stats.bootstrap(
        (values,), np.mean, n_resamples=40_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found == pytest.approx(tuple(reference), abs=0.02 * values.std())


def test_a_gap_has_the_percentiles_of_scipy():
    rng = np.random.default_rng(1)
    x, y = rng.gamma(2.0, size=8), rng.gamma(3.0, size=12)
    found = bootstrap_gaps(one_mean(x), one_mean(y), mean, replicates=40_000)["mean"].percentile
    reference = stats.bootstrap(
        (x, y),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        n_resamples=40_000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert found == pytest.approx(tuple(reference), abs=0.03)


@few
@given(st.integers(6, 15), st.floats(-3, 3), st.floats(0.1, 5), st.integers(0, 2**32 - 1))
def test_intervals_move_and_stretch_with_what_is_measured(speakers, shift, factor, seed):
    values = np.random.default_rng(seed).standard_normal(speakers)
    one = bootstrap_intervals(one_mean(values), mean, 200, seed)["mean"]
    other = bootstrap_intervals(one_mean(factor * values + shift), mean, 200, seed)["mean"]
    for name in ("percentile", "studentised"):
        expected = factor * np.array(getattr(one, name)) + shift
        assert getattr(other, name) == pytest.approx(expected, abs=1e-9)


def test_turning_the_groups_turns_the_gap():
    """Groups of one size are drawn alike; turned, the second takes the first's draws."""
    x, y = np.random.default_rng(3).standard_normal((2, 20))
    one, other = (
        bootstrap_gaps(one_mean(a), one_mean(b), mean, 20_000)["mean"] for a, b in ((x, y), (y, x))
    )
    for name in ("percentile", "studentised"):
        low, high = getattr(one, name)
        assert getattr(other, name) == pytest.approx((-high, -low), abs=0.04)


def test_of_crossed_groups_with_equal_clips_it_is_that_of_speakers_differences():
    rng = np.random.default_rng(4)
    skill = rng.standard_normal(12)
    x, y = skill + 0.1 * rng.standard_normal(12), skill + 0.1 * rng.standard_normal(12)
    crossed = bootstrap_gaps(one_mean(x), one_mean(y), mean, crossed=True)["mean"]
    differences = bootstrap_intervals(one_mean(x - y), mean)["mean"]
    for name in ("percentile", "studentised"):
        assert getattr(crossed, name) == pytest.approx(getattr(differences, name))
    apart = bootstrap_gaps(one_mean(x), one_mean(y), mean)["mean"]
    assert np.diff(apart.studentised) > 3 * np.diff(crossed.studentised)


def test_crossed_groups_must_have_the_same_rows():
    with pytest.raises(ValueError, match=r"crossed groups of shapes \(4, 9\) and \(5, 9\): give"):
        bootstrap_gaps(draw(4), draw(5), score, crossed=True)


def test_a_speaker_in_one_of_the_crossed_groups_counts_there_only():
    first, second = one_mean(np.arange(8.0)), one_mean(np.arange(8.0) ** 1.2)
    second[0] = 0
    found = bootstrap_gaps(first, second, mean, crossed=True)["mean"]
    estimate = np.arange(8).mean() - (np.arange(1, 8) ** 1.2).mean()
    assert found.studentised[0] < estimate < found.studentised[1]


def test_seeds_that_agree_change_nothing():
    by_speaker = draw(10, 5)
    one = bootstrap_intervals(by_speaker, score, 300)
    thrice = bootstrap_intervals(np.stack([by_speaker] * 3), score, 300)
    for name in one:
        assert thrice[name].percentile == pytest.approx(one[name].percentile)
        assert thrice[name].studentised == pytest.approx(one[name].studentised)


def test_parts_in_memory_do_not_show(monkeypatch):
    by_speaker, first, second = draw(10, 6, (2,)), draw(6, 7), draw(8, 8)
    whole = bootstrap_intervals(by_speaker, score, 101), bootstrap_gaps(first, second, score, 101)
    monkeypatch.setattr(bootstrap_module, "_CHUNK_BYTES", 7 * by_speaker.nbytes)
    for one, other in zip(
        whole,
        (bootstrap_intervals(by_speaker, score, 101), bootstrap_gaps(first, second, score, 101)),
        strict=True,
    ):
        for name in one:
            assert other[name].percentile == pytest.approx(one[name].percentile)
            assert other[name].studentised == pytest.approx(one[name].studentised)


def test_a_seed_repeats_the_drawing():
    by_speaker = draw(10, 9)
    assert bootstrap_intervals(by_speaker, score, 99, 1) == bootstrap_intervals(
        by_speaker, score, 99, 1
    )
    assert bootstrap_intervals(by_speaker, score, 99, 1) != bootstrap_intervals(
        by_speaker, score, 99, 2
    )


def test_percentiles_alone_are_the_same():
    by_speaker = draw(10, 10)
    both = bootstrap_intervals(by_speaker, score, 500, 3)
    alone = percentile_intervals(by_speaker, score, 500, 3)
    for name, own in both.items():
        assert alone[name] == pytest.approx(own.percentile)
    assert percentile_intervals(by_speaker[:1], score) == {"ua": None, "macro_f1": None}


# What is undefined

NOTHING = Bootstrap(percentile=None, studentised=None)


def test_one_speaker_allows_none():
    one, more = draw(1), draw(5)
    assert bootstrap_intervals(one, score) == {"ua": NOTHING, "macro_f1": NOTHING}
    assert bootstrap_gaps(one, more, score) == {"ua": NOTHING, "macro_f1": NOTHING}
    assert bootstrap_gaps(more, one, score) == {"ua": NOTHING, "macro_f1": NOTHING}
    assert bootstrap_gaps(one, one, score, crossed=True) == {"ua": NOTHING, "macro_f1": NOTHING}


def undefined_if_drawn(times):
    """A mean that is undefined where the speaker whose third value is 1 was drawn so often."""

    def found(tallies):
        return {
            "mean": np.where(tallies[..., 2] >= times, np.nan, tallies[..., 0] / tallies[..., 1])
        }

    return found


def test_undefined_replicates_lie_beyond_both_ends():
    """The first of ten speakers is drawn four times or more in 1.3 % of the replicates."""
    values = np.random.default_rng(5).standard_normal(10)
    tallies = np.column_stack([one_mean(values), np.arange(10) == 0])
    found = bootstrap_intervals(tallies, undefined_if_drawn(4), 4000, 6)["mean"]
    rng = np.random.default_rng(6)
    drawn = rng.multinomial(10, np.full(10, 0.1), 4000)
    means = drawn @ values / 10
    unknown = drawn[:, 0] >= 4
    assert 0.005 < unknown.mean() < 0.024
    for fill, end, quantile in ((-1e9, 0, 0.025), (1e9, 1, 0.975)):
        expected = np.quantile(np.where(unknown, fill, means), quantile)
        assert found.percentile[end] == pytest.approx(expected)
    defined = np.quantile(means[~unknown], [0.025, 0.975])
    assert found.percentile[0] < defined[0] < defined[1] < found.percentile[1]
    # Leaving out one of four draws leaves three, so that the error is defined where the mean is.
    plain = bootstrap_intervals(tallies, mean, 4000, 6)["mean"]
    assert found.studentised[0] <= plain.studentised[0]
    assert found.studentised[1] >= plain.studentised[1]


def test_more_than_an_end_of_undefined_replicates_allow_none():
    """Three times or more in 7 %."""
    tallies = np.column_stack([one_mean(np.arange(10.0)), np.arange(10) == 0])
    assert bootstrap_intervals(tallies, undefined_if_drawn(3), 4000)["mean"] == NOTHING
    assert percentile_intervals(tallies, undefined_if_drawn(3), 4000) == {"mean": None}


def test_replicates_without_spread_lie_beyond_the_end_of_their_side():
    """Of three speakers, one replicate in nine is one speaker thrice."""
    found = bootstrap_intervals(one_mean(np.array([0.1, 0.5, 0.7])), mean)["mean"]
    assert found.studentised is None
    assert found.percentile == pytest.approx((0.1, 0.7))
    # Of six, one in 7,776.
    assert bootstrap_intervals(one_mean(np.arange(6.0) ** 2), mean)["mean"].studentised is not None


def test_speakers_who_do_not_differ_tell_nothing_of_others():
    found = bootstrap_intervals(one_mean(np.full(8, 0.3)), mean)["mean"]
    assert found.studentised is None
    assert found.percentile == pytest.approx((0.3, 0.3))
