"""Stacked training: as if each model had been trained alone, and the best epoch of each."""

from __future__ import annotations

import re
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch import nn

from embedcache.errors import UsageError
from heads.data import frame_set, moments
from heads.losses import cross_entropy, kl
from heads.models import load_head
from heads.stacked import Stack, Standardise
from heads.train.objective import Classify
from heads.train.settings import TrainConfig
from heads.train.stack import Task, predict, train_stack
from heads.train.worst_group import Groups

DIM, CLASSES, COUNT = 4, 3, 45
LEARNED = {"targets", "weights", "loss", "counts", "smoothing"}
GROUPS = Groups(
    names=["odd", "even"],
    codes=np.arange(COUNT) % 2,
    counted=[np.array([0, 1]), np.array([0]), np.array([0, 1])],
)
CONFIG = TrainConfig(epochs=12, patience=4, batch_size=8, lr=0.02, select="ua")


def noisy_frames(seed=0, noise=1.5):
    """Frames whose mean holds the class, not too clearly; and the classes."""
    rng = np.random.default_rng(seed)
    truth = np.arange(COUNT) % CLASSES
    centers = 2 * np.eye(CLASSES, DIM)
    lengths = rng.integers(2, 7, COUNT)
    arrays = [
        (centers[c] + noise * rng.standard_normal(DIM) + rng.standard_normal((n, DIM)))
        for c, n in zip(truth, lengths, strict=True)
    ]
    return frame_set([array.astype(np.float32) for array in arrays]), truth


FRAMES, TRUTH = noisy_frames()


def make_task(train, val, **changes):
    train, val = np.atleast_2d(train), np.atleast_2d(val)
    learned = {"targets": np.eye(CLASSES)[TRUTH], "weights": np.ones((len(train), CLASSES))}
    learned = {"loss": cross_entropy} | learned
    learned |= {name: changes.pop(name) for name in LEARNED & changes.keys()}
    parts = {
        "objective": Classify(**learned),
        "train": train,
        "val": val,
        "test": np.ones_like(val),
        "names": [f"fold {k}, seed 7" for k in range(len(train))],
    }
    return Task(**parts | changes)


def learning(task, **changes):
    """The task with something else to be learned."""
    return replace(task, objective=replace(task.objective, **changes))


def where(*ranges):
    """Masks [K, N] of ranges of utterances."""
    masks = np.zeros((len(ranges), COUNT), bool)
    for mask, (start, stop) in zip(masks, ranges, strict=True):
        mask[start:stop] = True
    return masks


def build(task, seeds, head="attention", dropout=0.4, frames=FRAMES):
    module = load_head(head)
    mean, deviation = map(torch.from_numpy, moments(frames, task.train))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    config = module.Config(hidden=(8,), dropout=dropout)
    stack = Stack(generators, [dropout] * len(generators))
    return module.Head(config, DIM, CLASSES, Standardise(mean, deviation), stack)


def train(task, seeds, config=CONFIG, frames=FRAMES, seed=3, **options):
    head = build(task, seeds, frames=frames, **options)
    return train_stack(head, frames, task, [config] * len(seeds), seed, "cpu")


def history_of(trained, k):
    return [epoch for epoch in trained.history if epoch.model == k]


def reload(trained, task, head="attention"):
    """Logits of the returned weights."""
    model = build(task, range(len(task.train)), head=head)
    return predict(model, trained.state, FRAMES, task.val | task.test, 8, "cpu")


# Side by side is one by one


@pytest.mark.parametrize("head", ["attention", "mha", "mlp"])
def test_models_train_in_a_stack_as_they_do_alone(head):
    """With dropout, weights, validation and groups of their own, and on the same utterances."""
    weights = np.array([[1.0, 1, 1], [2, 1, 0.5], [1, 3, 1]])
    val = where((25, 35), (30, 40), (25, 45))
    counts = np.random.default_rng(1).random((3, COUNT)) + 0.5
    together = make_task(where(*[(0, 25)] * 3), val, weights=weights, counts=counts, groups=GROUPS)
    config = replace(CONFIG, epochs=30, patience=30, lr=TrainConfig().lr)
    stack = train(together, (4, 5, 6), config, head=head)
    for k in range(3):
        alone = together.at([k])
        one = train(alone, (4 + k,), config, head=head)
        np.testing.assert_allclose(one.predictions[0], stack.predictions[k], atol=1e-5)
        for name, tensor in one.state.items():
            torch.testing.assert_close(tensor[0], stack.state[name][k], rtol=0, atol=1e-5)
        ours, theirs = (
            [(*astuple(replace(e, model=0)),) for e in history]
            for history in (history_of(stack, k), one.history)
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_what_trains_a_neighbour_does_not_matter():
    """The order of batches is that of all who train any model: here, the same utterances."""
    tasks = [
        make_task(where((0, 20), middle, (10, 30)), where(*[(30, 45)] * 3))
        for middle in ((0, 25), (5, 30))
    ]
    a, b = (train(task, (0, 1, 2)) for task in tasks)
    np.testing.assert_allclose(a.predictions[[0, 2]], b.predictions[[0, 2]], atol=1e-5)
    assert np.abs(a.predictions[1] - b.predictions[1]).max() > 0.01


def test_a_model_that_stops_early_does_not_stop_its_neighbours():
    task = make_task(where(*[(0, 30)] * 2), where((30, 33), (30, 45)))
    stops = {k: history_of(train(task, (0, 1)), k)[-1].epoch for k in (0, 1)}
    assert stops[0] != stops[1]


def test_the_same_seed_gives_the_same_bits():
    task = make_task(where((0, 30), (10, 40)), where((30, 45), (0, 10)))
    once, again = train(task, (0, 1)), train(task, (0, 1))
    assert np.array_equal(once.predictions, again.predictions)
    assert once.history == again.history
    assert all(torch.equal(once.state[name], tensor) for name, tensor in again.state.items())


@pytest.mark.parametrize("change", ["order", "model"])
def test_another_seed_gives_another_model(change):
    task = make_task(where((0, 30)), where((30, 45)))
    once = train(task, (0,))
    other = train(task, (0,), seed=4) if change == "order" else train(task, (1,))
    assert not np.allclose(once.predictions, other.predictions)


# Who is seen


def test_the_tested_leave_no_trace():
    """Neither frames nor targets of utterances that neither train nor validate move a bit."""
    task = make_task(where((0, 25)), where((25, 35)))
    rng = np.random.default_rng(9)
    arrays = [
        array if n < 35 else rng.standard_normal(array.shape).astype(np.float32)
        for n, array in enumerate(FRAMES.arrays)
    ]
    targets = task.objective.targets
    other = learning(task, targets=np.concatenate([targets[:35], targets[:10]]))
    once, again = train(task, (0,)), train(other, (0,), frames=frame_set(arrays))
    assert once.history == again.history
    assert all(torch.equal(once.state[name], tensor) for name, tensor in again.state.items())
    assert np.array_equal(once.predictions[:, :35], again.predictions[:, :35])


def test_validation_chooses_the_epoch_and_fits_no_weight():
    """While nobody stops, other validation targets change nothing that is fitted."""
    task = make_task(where((0, 25)), where((25, 45)))
    wrong = task.objective.targets.copy()
    wrong[25:] = np.roll(wrong[25:], 1, axis=1)
    config = replace(CONFIG, patience=99)
    once, other = train(task, (0,), config), train(learning(task, targets=wrong), (0,), config)
    losses = [[epoch.train_loss for epoch in trained.history] for trained in (once, other)]
    assert losses[0] == losses[1]
    assert once.history != other.history


def test_it_learns_what_is_plain_to_see():
    frames, _ = noisy_frames(noise=0.1)
    task = make_task(where((0, 30)), where((30, 45)))
    trained = train(task, (0,), frames=frames)
    right = trained.predictions[0].argmax(axis=1) == TRUTH
    assert right.mean() > 0.95


# Early stopping and history


@pytest.mark.parametrize("limit", [1, 40, 100])
def test_batches_train_alike_in_whatever_parts_they_are_worked_on(monkeypatch, limit):
    """Models whose own utterances lie in few parts of a batch among them; without dropout."""
    task = make_task(where((0, 30), (0, 9), (20, 24)), where((30, 40), (30, 40), (30, 40)))
    weights = np.array([[0.5, 1.0, 2.0]] * 3)
    task = learning(task, weights=weights)
    whole = train(task, [1, 2, 3], dropout=0.0)
    monkeypatch.setattr("heads.data._LARGEST", limit)
    assert len(FRAMES.parts(np.arange(8), "cpu")) > 1
    parts = train(task, [1, 2, 3], dropout=0.0)
    for name, tensor in whole.state.items():
        torch.testing.assert_close(parts.state[name], tensor, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(parts.history, whole.history, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-4)


@pytest.mark.parametrize("select", ["ua", "loss"])
def test_the_weights_are_those_of_the_best_epoch(select):
    task = make_task(where((0, 25), (10, 35), (20, 45)), where((25, 45), (35, 45), (0, 20)))
    trained = train(task, (0, 1, 2), replace(CONFIG, epochs=30, select=select, lr=0.05))
    logits = reload(trained, task)
    torch.testing.assert_close(logits.softmax(-1).double().numpy(), trained.predictions)
    for k in range(3):
        history, rows = history_of(trained, k), task.val[k]
        guess = logits[k, rows].argmax(dim=-1).numpy()
        ua = balanced_accuracy_score(TRUTH[rows], guess)
        loss = nn.functional.cross_entropy(logits[k, rows], torch.from_numpy(TRUTH[rows])).item()
        best_ua, best_loss = max(e.val_score for e in history), min(e.val_loss for e in history)
        if select == "ua":
            best_loss = min(e.val_loss for e in history if e.val_score == best_ua)
            assert ua == pytest.approx(best_ua)
        assert loss == pytest.approx(best_loss, abs=1e-6)
        # Else the last epoch would do, too.
        assert history[-1].val_loss > best_loss or history[-1].val_score < best_ua


@pytest.mark.parametrize("select", ["ua", "loss"])
def test_by_the_worst_group_the_weights_are_those_of_its_best_epoch(select):
    task = make_task(where((0, 25), (10, 35), (20, 45)), where((25, 45), (35, 45), (0, 20)),
                     groups=GROUPS)  # fmt: skip
    trained = train(task, (0, 1, 2), replace(CONFIG, epochs=30, select=select, lr=0.05))
    logits = reload(trained, task)
    overall = []
    for k, counted in enumerate(GROUPS.counted):
        history = history_of(trained, k)
        losses, uas = [], []
        for group in counted:
            rows = task.val[k] & (GROUPS.codes == group)
            guess = logits[k, rows].argmax(dim=-1).numpy()
            uas.append(balanced_accuracy_score(TRUTH[rows], guess))
            truth = torch.from_numpy(TRUTH[rows])
            losses.append(nn.functional.cross_entropy(logits[k, rows], truth).item())
        keys = [(e.worst_score, -e.worst_loss) if select == "ua" else (-e.worst_loss,)
                for e in history]  # fmt: skip
        best = max(range(len(keys)), key=lambda n: keys[n])
        assert min(uas) == pytest.approx(history[best].worst_score)
        assert max(losses) == pytest.approx(history[best].worst_loss, abs=1e-6)
        overall.append(max(e.val_score for e in history) > history[best].val_score)
    assert any(overall) or select == "loss"  # else all utterances would choose the same epochs


@pytest.mark.parametrize("select", ["ua", "loss"])
def test_the_history_ends_where_patience_does(select):
    task = make_task(where((0, 25), (10, 35), (20, 45)), where((25, 45), (35, 45), (0, 20)))
    config = replace(CONFIG, epochs=40, patience=3, select=select, lr=0.05)
    trained = train(task, (0, 1, 2), config)
    for k in range(3):
        history = history_of(trained, k)
        assert [epoch.epoch for epoch in history] == list(range(1, len(history) + 1))
        scores = [(e.val_score, -e.val_loss) if select == "ua" else -e.val_loss for e in history]
        best = max(range(len(scores)), key=lambda n: (scores[n], -n))
        assert len(history) == min(best + 1 + config.patience, config.epochs)
    assert len({len(history_of(trained, k)) for k in range(3)}) > 1


def test_epochs_are_the_most_that_are_trained():
    task = make_task(where((0, 30)), where((30, 45)))
    assert len(train(task, (0,), replace(CONFIG, epochs=2)).history) == 2


@pytest.mark.parametrize("loss", [cross_entropy, kl])
def test_losses_in_the_history_are_means_over_the_models_own_utterances(loss):
    """Without dropout and with (almost) no step, the training loss is that of the final weights."""
    soft = np.random.default_rng(0).dirichlet(np.ones(CLASSES), COUNT)
    weights = np.array([[1.0, 2, 0.5], [3, 1, 1]])
    task = make_task(where((0, 20), (5, 30)), where((20, 45), (30, 41)))
    task = learning(task, targets=soft, weights=weights, loss=loss)
    trained = train(task, (0, 1), replace(CONFIG, epochs=1, lr=1e-9), dropout=0.0)
    values = loss(reload(trained, task).double(), torch.from_numpy(soft), torch.from_numpy(weights))
    for k, epoch in enumerate(trained.history):
        assert epoch.train_loss == pytest.approx(values[k, task.train[k]].mean().item(), rel=1e-5)
        assert epoch.val_loss == pytest.approx(values[k, task.val[k]].mean().item(), rel=1e-5)


def test_ua_in_the_history_is_that_of_the_clear_votes():
    """Tied utterances count for the loss and not for UA; absent classes count for neither."""
    targets = np.eye(CLASSES)[TRUTH]
    targets[[30, 33]] = [0.5, 0.5, 0]
    val = where((30, 45)) & ((TRUTH != 2) | (np.arange(COUNT) < 30))
    task = make_task(where((0, 30)), val, targets=targets)
    trained = train(task, (0,), replace(CONFIG, epochs=1))
    guess = reload(trained, task)[0].argmax(dim=-1).numpy()
    rows = val[0] & ~np.isin(np.arange(COUNT), [30, 33])
    recalls = [(guess[rows & (c == TRUTH)] == c).mean() for c in (0, 1)]
    assert trained.history[0].val_score == pytest.approx(np.mean(recalls))


def test_predictions_come_in_the_utterances_order_whatever_the_batches():
    task = make_task(where((0, 30), (10, 40)), where((30, 45), (0, 10)))
    head = build(task, (0, 1))
    found = predict(head, head.state_dict(), FRAMES, task.test, 7, "cpu")
    assert not head.training
    for n in range(COUNT):
        alone = head(*FRAMES.batch([n], "cpu"))[:, 0]
        torch.testing.assert_close(found[:, n], alone)


def test_training_clips():
    task = make_task(where((0, 30)), where((30, 45)))
    free, held = (train(task, (0,), replace(CONFIG, clip=clip)) for clip in (1e9, 1e-9))
    assert not np.allclose(free.predictions, held.predictions)


# Divergence


def test_a_model_that_diverges_is_named_and_stops_alone(caplog):
    task = make_task(where((0, 30), (10, 40)), where((30, 45), (0, 10)))
    configs = [CONFIG, replace(CONFIG, lr=1e30)]
    trained = train_stack(build(task, (0, 1)), FRAMES, task, configs, 3, "cpu")
    assert re.search(r"fold 1, seed 7: the loss diverged in epoch \d+; the", caplog.text)
    assert "fold 0" not in caplog.text
    alone = train_stack(build(task, (0, 1)), FRAMES, task, [CONFIG] * 2, 3, "cpu")
    np.testing.assert_allclose(trained.predictions[0], alone.predictions[0], atol=1e-5)
    assert np.isnan(trained.predictions[1]).all() or np.isfinite(trained.val_score[1]).all()


class Breaking(nn.Module):
    """Two models: the first never improves and breaks later on, the second goes on improving."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, 0.1]).view(2, 1, 1))
        self.register_buffer("early", torch.tensor([0.0, 1.0]).view(2, 1, 1))
        self.register_buffer("late", torch.tensor([float("nan"), 1.0]).view(2, 1, 1))
        self.epoch = 0

    def train(self, mode=True):
        self.epoch += mode and not self.training
        return super().train(mode)

    def forward(self, frames, mask):
        logits = self.scale * frames[:, 0, :CLASSES]
        broken = self.training and self.epoch > 4
        return logits * (self.late if broken else self.early)


def test_a_model_that_has_stopped_may_diverge():
    frames = frame_set([np.eye(1, CLASSES, c, dtype=np.float32) for c in TRUTH])
    task = make_task(where(*[(0, 30)] * 2), where(*[(30, 45)] * 2))
    config = replace(CONFIG, epochs=8, patience=2)
    trained = train_stack(Breaking(), frames, task, [config] * 2, 0, "cpu")
    assert [len(history_of(trained, k)) for k in (0, 1)] == [3, 8]
    assert np.isfinite(trained.predictions).all()


# Configuration


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"select": "wa"}, "--set select=wa: give auto, ua, ccc, loss"),
        ({"lr": 0.0}, "--set lr=0.0: give a number above 0"),
        ({"lr": float("nan")}, "--set lr=nan: give a number above 0"),
        ({"batch_size": 0}, "--set batch_size=0: give a number above 0"),
        ({"epochs": -1}, "--set epochs=-1: give a number above 0"),
        ({"patience": 0}, "--set patience=0: give a number above 0"),
        ({"clip": 0.0}, "--set clip=0.0: give a number above 0"),
        ({"weight_decay": -0.1}, "--set weight_decay=-0.1: give 0 or more"),
    ],
)
def test_settings_outside_their_range_are_refused(changes, text):
    with pytest.raises(UsageError, match=text):
        TrainConfig(**changes)
