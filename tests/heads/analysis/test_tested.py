"""Predictions become arrays; two runs are compared on what they share, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embedcache.errors import SerError
from heads.analysis.planted import Design, plant, planted_run, prediction_table
from heads.analysis.tested import as_tested, common, same_truth
from heads.labels import majority
from heads.metrics import sum_by, tally

DESIGN = Design(speakers=(3, 3), clips=(4,), classes=4, seeds=2, agreement=(1.0, 0.75))


@pytest.fixture
def run():
    return planted_run(plant(DESIGN, 1, seed=3))


def test_the_order_of_rows_does_not_matter(run):
    table = prediction_table(run)
    shuffled = table.sample(frac=1, random_state=np.random.RandomState(0))
    for found in (as_tested(table, run.labels), as_tested(shuffled, run.labels)):
        assert found.ids.tolist() == run.ids.tolist()
        assert found.speakers.tolist() == run.speakers.tolist()
        np.testing.assert_array_equal(found.targets, run.targets)
        np.testing.assert_array_equal(found.predictions, run.predictions)


def test_tallies_of_speakers_are_those_of_their_clips(run):
    for predictions, tallies in zip(run.predictions, run.by_speaker, strict=True):
        rows = tally(predictions, run.targets)
        np.testing.assert_allclose(
            tallies, sum_by(rows, run.speaker_codes, len(run.speaker_names)), atol=1e-12
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.iloc[1:],
        lambda table: table.assign(speaker=["x", *table["speaker"][1:]]),
        lambda table: table.assign(true_class0=[0.5, *table["true_class0"][1:]]),
        lambda table: table.assign(id=["x", *table["id"][1:]]),
        lambda table: table.iloc[:0],
    ],
)
def test_seeds_that_contradict_each_other_are_refused(run, change):
    with pytest.raises(SerError, match="file.csv: its seeds do not hold the same utterances"):
        as_tested(change(prediction_table(run)), run.labels, told="file.csv")


@pytest.mark.parametrize("column", ["pred_class0", "true_class0"])
def test_a_number_that_is_missing_is_refused(run, column):
    table = prediction_table(run).assign(**{column: np.nan})
    with pytest.raises(SerError, match="a prediction or a truth is no number"):
        as_tested(table, run.labels)


def test_runs_on_the_same_are_compared_on_all_of_it(run):
    assert common(run, run) == (run, run)


def test_runs_on_other_utterances_are_compared_on_those_of_both(run):
    a, b = common(run.rows(np.arange(10, 60)), run.rows(np.arange(40)))
    assert a.ids.tolist() == b.ids.tolist() == run.ids[10:40].tolist()
    np.testing.assert_array_equal(a.predictions, run.predictions[:, 10:40])


def test_runs_on_other_classes_are_compared_on_those_of_both(run):
    """Utterances of other classes fall away; what is left are distributions over the rest."""
    fewer = replace(
        run,
        labels=("class3", "class0", "other"),
        targets=run.targets[:, [3, 0, 1]],
        predictions=run.predictions[..., [3, 0, 1]],
    )
    a, b = common(run, fewer)
    assert a.labels == b.labels == ("class0", "class3")
    truth = majority(run.targets)
    assert a.ids.tolist() == run.ids[np.isin(truth, [0, 3])].tolist()
    kept = np.isin(run.ids, a.ids)
    expected = run.predictions[:, kept][..., [0, 3]]
    np.testing.assert_allclose(a.predictions, expected / expected.sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(a.predictions, b.predictions)
    np.testing.assert_allclose(a.targets.sum(axis=1), 1)


def test_a_prediction_that_gives_the_shared_classes_nothing_is_even(run):
    """It is sure of a class that the other run does not know: of the rest it knows nothing."""
    predictions = run.predictions.copy()
    inside = np.flatnonzero(np.isin(majority(run.targets), [0, 3]))
    predictions[0, inside[:4]] = [0, 0.25, 0.75, 0]
    fewer = replace(
        run,
        labels=("class3", "class0"),
        targets=run.targets[:, [3, 0]],
        predictions=run.predictions[..., [3, 0]],
    )
    a, _ = common(replace(run, predictions=predictions), fewer)
    np.testing.assert_allclose(a.predictions.sum(axis=-1), 1)
    np.testing.assert_array_equal(a.predictions[0, :4], 0.5)
    assert (a.predictions[1, :4] != 0.5).all()
    assert a.ids.tolist() == run.ids[inside].tolist()


def test_utterances_with_another_truth_in_each_run_are_left_out(run):
    targets = run.targets.copy()
    targets[:5] = np.roll(targets[:5], 1, axis=1)
    a, b = common(run, replace(run, targets=targets))
    assert a.ids.tolist() == b.ids.tolist() == run.ids[5:].tolist()


def test_hard_and_soft_labels_have_the_same_classes_but_not_the_same_votes(run):
    hard = replace(run, targets=np.eye(4)[majority(run.targets)])
    a, b = common(run, hard)
    assert len(a.ids) == len(run.ids)
    assert not same_truth(a, b)
    assert same_truth(run, run)


def test_dimensions_are_compared_where_their_values_are_the_same(run):
    values = replace(run, target="dimensions", targets=run.targets + 0.0)
    values.targets[0] = np.nan
    changed = replace(values, targets=values.targets.copy())
    changed.targets[3, 1] += 1
    assert len(common(values, values)[0].ids) == len(run.ids)
    assert common(values, changed)[0].ids.tolist() == np.delete(run.ids, 3).tolist()
    other = replace(values, labels=("a", "b", "c", "d"))
    assert common(values, other)[0].labels == ()
