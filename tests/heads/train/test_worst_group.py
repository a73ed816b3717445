"""The group that is served worst: its loss and score, and which groups have enough to tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from embedcache.errors import UsageError
from heads.splits import Fold
from heads.train.worst_group import LEAST, Groups, enough, make_groups, worst_of
from tests.heads.train.test_objective import COUNT, MODELS, OBJECTIVES, OWN, outputs_of

CODES = np.arange(COUNT) % 3 - 1  # a third of them in no group
ALL = Groups(names=["a", "b"], codes=CODES, counted=[np.array([0, 1])] * MODELS)
every = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)


@every
def test_it_is_the_worst_of_what_each_group_has_alone(objective):
    outputs = outputs_of(objective)
    found = worst_of(ALL, objective, outputs, OWN)
    alone = [objective.validate(outputs, OWN & (group == CODES)) for group in (0, 1)]
    np.testing.assert_array_equal(found[0], np.maximum(alone[0][0], alone[1][0]))
    np.testing.assert_array_equal(found[1], np.minimum(alone[0][1], alone[1][1]))
    assert (np.array(found) != objective.validate(outputs, OWN)).all()


@every
def test_a_model_is_chosen_by_the_groups_that_it_has(objective):
    outputs = outputs_of(objective)
    some = replace(ALL, counted=[np.array([0]), np.array([0, 1]), np.array([1])])
    found = worst_of(some, objective, outputs, OWN)
    for k, group in ((0, 0), (2, 1)):
        expected = objective.validate(outputs, OWN & (group == CODES))
        assert (found[0][k], found[1][k]) == (expected[0][k], expected[1][k])
    both = worst_of(ALL, objective, outputs, OWN)
    assert (found[0][1], found[1][1]) == (both[0][1], both[1][1])


@every
def test_some_models_have_what_they_have_among_all(objective):
    outputs, rows = outputs_of(objective), [2, 0]
    whole = worst_of(ALL, objective, outputs, OWN)
    part = worst_of(ALL.at(rows), objective.at(rows), outputs[rows], OWN[rows])
    np.testing.assert_allclose(part, [values[rows] for values in whole], rtol=1e-6)


@every
def test_a_model_that_gives_no_number_has_none(objective):
    outputs = outputs_of(objective)
    outputs[1] = torch.nan
    loss, _ = worst_of(ALL, objective, outputs, OWN)
    assert np.isnan(loss).tolist() == [False, True, False]


def test_groups_with_enough_utterances_are_those_that_count():
    codes = np.repeat([0, 1, -1, 2], [LEAST, LEAST - 1, 30, LEAST + 5])
    np.testing.assert_array_equal(enough(codes, np.arange(len(codes))), [0, 2])
    np.testing.assert_array_equal(enough(codes, np.arange(LEAST)), [0])
    assert not enough(codes, np.arange(1, LEAST)).size


# What is told


def test_a_fold_that_validates_on_one_group_is_told(planted, caplog):
    """Validation speakers are few, and may all be women."""
    women = [n for n, u in enumerate(planted[0]) if u.gender == "female"]
    both, nobody = np.arange(24), np.zeros(0, np.int64)
    folds = [Fold(nobody, both, nobody), Fold(nobody, np.array(women[:12]), nobody)]
    groups = make_groups("gender", planted[0], folds)
    assert groups.names == ["female", "male"]
    assert [own.tolist() for own in groups.counted] == [[0, 1], [0]]
    text = "--worst-group gender: in fold 1 fewer than 10 utterances validate of male: models are "
    assert f"{text}chosen by female alone" in caplog.text
    assert "fold 0" not in caplog.text


def test_of_many_groups_a_few_are_named(planted, caplog):
    nobody = np.zeros(0, np.int64)
    make_groups("speaker", planted[0], [Fold(nobody, np.arange(24), nobody)])
    text = "of planted/s2, planted/s3, planted/s4 and 3 more: models are chosen by planted/s0, plan"
    assert text in caplog.text
    assert "alone" not in caplog.text


def test_who_has_no_value_is_told(planted, caplog):
    nobody = np.zeros(0, np.int64)
    unknown = [replace(u, gender=None if n < 5 else u.gender) for n, u in enumerate(planted[0])]
    groups = make_groups("gender", unknown, [Fold(nobody, np.arange(96), nobody)])
    assert "5 of 96 utterances have no value there: no model is chosen by them" in caplog.text
    assert (groups.codes[:5] == -1).all() and (groups.codes[5:] >= 0).all()


def test_a_fold_without_a_large_enough_group_is_refused(planted):
    nobody = np.zeros(0, np.int64)
    folds = [Fold(nobody, np.arange(96), nobody), Fold(nobody, np.arange(8, 16), nobody)]
    with pytest.raises(UsageError, match="in fold 1 no group has 10 utterances that validate; giv"):
        make_groups("gender", planted[0], folds)
