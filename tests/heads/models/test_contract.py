"""What every head must satisfy; a new one is tested by lying in the folder."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
import torch

from embedcache.encoders import ColumnRoles
from embedcache.errors import UsageError
from embedcache.plugins import plugins
from heads.data import frame_set, moments
from heads.losses import cross_entropy
from heads.models import configure, load_head
from heads.stacked import Stack, Standardise, keep_models, run_some
from heads.train.objective import Classify
from heads.train.settings import TrainConfig
from heads.train.stack import Task, train_stack

HEADS = sorted(name for name in plugins("heads.models") if hasattr(load_head(name), "Head"))
REDUCING = [name for name in HEADS if hasattr(load_head(name), "reducer")]
DIM, CLASSES = 5, 3
# Within a window of frames, over several, and one frame alone.
LENGTHS = (14, 37, 1, 22)

every_head = pytest.mark.parametrize("name", HEADS)


def identity(models):
    return Standardise(torch.zeros(models, DIM), torch.ones(models, DIM))


def build(name, seeds=(0, 1, 2), standardise=None, settings=None):
    """A stack with one model per seed, without dropout unless it is asked for."""
    module = load_head(name)
    config = configure(module.Config, {"dropout": "0"} | (settings or {}))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    standardise = standardise or identity(len(seeds))
    stack = Stack(generators, [config.dropout] * len(seeds))
    return module.Head(config, standardise.dim, CLASSES, standardise, stack)


def batch(lengths=LENGTHS, seed=0, padding=0):
    """Frames [B, T, D], with garbage where they are padded, and their mask."""
    rng = np.random.default_rng(seed)
    frames = frame_set([rng.standard_normal((n, DIM)).astype(np.float32) for n in lengths])
    padded, mask = frames.batch(range(len(lengths)), "cpu")
    padded = torch.cat([padded, torch.zeros(len(lengths), padding, DIM)], dim=1)
    mask = torch.cat([mask, torch.zeros(len(lengths), padding, dtype=torch.bool)], dim=1)
    if padding:
        padded[~mask] = (
            1000 * torch.from_numpy(rng.standard_normal((int((~mask).sum()), DIM))).float()
        )
    return padded, mask


@every_head
def test_logits_are_one_row_per_model_and_utterance(name):
    assert build(name)(*batch()).shape == (3, len(LENGTHS), CLASSES)


@every_head
@pytest.mark.parametrize("padding", [1, 7, 100])
def test_padding_never_shows(name, padding):
    head = build(name)
    torch.testing.assert_close(head(*batch(padding=padding)), head(*batch()))
    weights = head.frame_weights(*batch(padding=padding))
    torch.testing.assert_close(weights[..., :-padding], head.frame_weights(*batch()))


@every_head
def test_hidden_frames_never_show_wherever_they_lie(name):
    """Training hides frames by the mask, at the beginning and in the middle, too."""
    head, (frames, mask) = build(name), batch()
    hidden = torch.from_numpy(np.random.default_rng(1).random(mask.shape) < 0.3)
    hidden[1, :17], hidden[2] = True, False
    other = frames + 100 * hidden[:, :, None]
    shown = head(frames, mask & ~hidden)
    torch.testing.assert_close(head(other, mask & ~hidden), shown)
    assert not torch.allclose(head(other, mask), shown)


@every_head
def test_neighbours_in_the_batch_never_show(name):
    head = build(name)
    frames, mask = batch()
    together = head(frames, mask)
    for b, length in enumerate(LENGTHS):
        alone = head(frames[b : b + 1, :length], mask[b : b + 1, :length])
        torch.testing.assert_close(alone[:, 0], together[:, b])


@every_head
def test_logits_follow_the_order_of_the_batch(name):
    head, (frames, mask) = build(name), batch()
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(head(frames[order], mask[order]), head(frames, mask)[:, order])


@every_head
def test_every_parameter_and_buffer_has_the_models_as_its_first_axis(name):
    state = build(name).state_dict()
    assert {len(tensor) for tensor in state.values()} == {3}
    assert state.keys() >= {"standardise.mean", "standardise.deviation"}


@every_head
@pytest.mark.parametrize("k", [0, 1, 2])
def test_a_models_loss_reaches_all_of_its_parameters_and_no_others(name, k):
    head = build(name)
    targets = torch.eye(CLASSES)[[0, 1, 2, 0]]
    cross_entropy(head(*batch()), targets, torch.ones(3, CLASSES))[k].sum().backward()
    for label, parameter in head.named_parameters():
        reached = [bool(gradient.any()) for gradient in parameter.grad]
        assert reached == [model == k for model in range(3)], label


@every_head
def test_weights_that_were_saved_give_the_same_logits(name):
    standardise = Standardise(torch.randn(3, DIM), torch.rand(3, DIM) + 0.5)
    head, other = build(name, standardise=standardise), build(name, seeds=(7, 8, 9))
    assert not torch.allclose(head(*batch()), other(*batch()))
    other.load_state_dict(head.state_dict())
    assert torch.equal(head(*batch()), other(*batch()))


@every_head
def test_a_models_slice_of_the_weights_is_that_model(name):
    """So a run's `fold0.seed0.…` can be loaded without the others."""
    head, one = build(name), build(name, seeds=(9,))
    one.load_state_dict({label: tensor[1:2] for label, tensor in head.state_dict().items()})
    torch.testing.assert_close(one(*batch())[0], head(*batch())[1])


@every_head
def test_a_stack_is_its_models_alone_in_training_too(name):
    """The same generator gives the same weights and the same dropout, whoever stands beside."""
    together = build(name, settings={"dropout": "0.4"}).train()
    logits = [together(*batch()) for _ in range(2)]
    for seed in range(3):
        alone = build(name, seeds=(seed,), settings={"dropout": "0.4"}).train()
        for step in range(2):
            torch.testing.assert_close(alone(*batch())[0], logits[step][seed])


@every_head
def test_standardising_inside_is_standardising_the_frames(name):
    frames, mask = batch()
    mean, deviation = torch.randn(3, DIM), torch.rand(3, DIM) + 0.2
    inside = build(name, standardise=Standardise(mean, deviation))
    inside_logits = inside(frames * 3 + 1, mask)
    for k in range(3):
        explicit = (frames * 3 + 1 - mean[k]) / deviation[k]
        torch.testing.assert_close(
            build(name)(explicit, mask)[k], inside_logits[k], rtol=1e-4, atol=1e-5
        )


@every_head
def test_a_large_offset_of_the_frames_costs_no_more_than_its_rounding(name):
    """Frames a hundred deviations away from zero, as some dimensions of wav2vec2 are."""
    frames, mask = batch()
    far = Standardise(torch.full((3, DIM), 100.0), torch.ones(3, DIM))
    near, shifted = build(name)(frames, mask), build(name, standardise=far)(frames + 100, mask)
    torch.testing.assert_close(shifted, near, rtol=1e-3, atol=1e-3)


@every_head
@pytest.mark.parametrize("scale", [0.0, 1e-3, 1e4])
@pytest.mark.parametrize("lengths", [(1,), (1, 700)])
def test_logits_are_finite(name, scale, lengths):
    frames, mask = batch(lengths)
    assert torch.isfinite(build(name)(frames * scale, mask)).all()


@every_head
def test_frames_in_half_precision_give_the_logits_of_their_values(name):
    head, (frames, mask) = build(name), batch()
    half = frames.bfloat16()
    logits, expected = head(half, mask), head(half.float(), mask)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=0, atol=0.03 * expected.std().item())
    assert head.frame_weights(half, mask).isfinite().all()


@every_head
def test_layers_side_by_side_are_weighed_and_summed(name):
    """sum_l w_l (h_l - m_l) / d_l is what the head sees of layers h_l; the reference forms it.

    A head that chooses its pooling by their number takes means of several.
    """
    means = (
        {"pooling": "mean"} if getattr(load_head(name).Config(), "pooling", "") == "auto" else {}
    )
    generator = torch.Generator().manual_seed(0)
    mean, deviation = torch.randn(2, 3, 2 * DIM, generator=generator)
    standardise = Standardise(mean, deviation.abs() + 0.5, layers=2)
    head, (frames, mask) = build(name, standardise=standardise), batch()
    layers = torch.cat([frames, 2 - frames.roll(1, dims=0)], dim=-1)
    with torch.no_grad():
        standardise.layer_scores.copy_(torch.tensor([[0.0, 0.0], [1.0, -1.0], [-2.0, 0.5]]))
    logits = head(layers, mask)
    weights = standardise.layer_weights().detach()
    for k in range(3):
        seen = ((layers - mean[k]) / (deviation[k].abs() + 0.5)).unflatten(-1, (2, DIM))
        seen = (seen * weights[k][:, None]).sum(dim=2)
        reference = build(name, settings=means)(seen, mask)[k]
        torch.testing.assert_close(reference, logits[k], rtol=1e-4, atol=1e-5)
    logits[1].square().sum().backward()
    assert [bool(row.any()) for row in standardise.layer_scores.grad] == [False, True, False]


@every_head
def test_some_of_the_models_are_those_models(name):
    """Of a stack that others have left, and of one that only some are wanted of."""
    head = build(name).eval()
    logits = head(*batch())
    some = run_some(head, head.state_dict(), slice(1, 3), *batch())
    torch.testing.assert_close(some, logits[1:])
    keep_models(head, [2, 0])
    torch.testing.assert_close(head(*batch()), logits[[2, 0]])


@every_head
def test_dropout_is_for_training_only(name):
    head = build(name, settings={"dropout": "0.5"})
    assert torch.equal(head.eval()(*batch()), head.eval()(*batch()))
    assert not torch.equal(head.train()(*batch()), head.train()(*batch()))


@pytest.mark.parametrize("name", REDUCING)
def test_what_is_reduced_beforehand_gives_the_same_logits(name):
    head, (frames, mask) = build(name), batch()
    arrays = [row[valid].numpy() for row, valid in zip(frames, mask, strict=True)]
    reduce = load_head(name).reducer(load_head(name).Config(), ColumnRoles())
    reduced = frame_set([reduce(array) for array in arrays])
    assert reduced.lengths.sum() < mask.sum()
    logits = head(*reduced.batch(range(len(arrays)), "cpu"))
    torch.testing.assert_close(logits, head(frames, mask))


@every_head
def test_frame_weights_sum_to_one_and_give_padding_none(name):
    weights, mask = build(name).frame_weights(*batch(padding=3)), batch(padding=3)[1]
    assert (weights >= 0).all()
    assert weights.shape[0] == len(LENGTHS) and weights.shape[1] % 3 == 0
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(weights.shape[:-1]))
    assert (weights.transpose(1, 2)[~mask] == 0).all()
    assert weights.std(dim=-1).min() < weights.std(dim=-1).max()


def classify(targets):
    return Classify(targets=targets, weights=np.ones((1, CLASSES)), loss=cross_entropy)


def plain_task(seed=0):
    """Frames around a centre of each class, and the task to tell them apart."""
    rng = np.random.default_rng(seed)
    truth = np.arange(60) % CLASSES
    centers = 2 * rng.standard_normal((CLASSES, DIM))
    arrays = [(centers[c] + rng.standard_normal((6, DIM))).astype(np.float32) for c in truth]
    train = np.arange(60) < 40
    task = Task(
        objective=classify(np.eye(CLASSES)[truth]),
        train=train[None],
        val=~train[None],
        test=~train[None],
        names=["it"],
    )
    return frame_set(arrays), task


def train(name, frames, task, settings=None, **changes):
    mean, deviation = map(torch.from_numpy, moments(frames, task.train))
    standardise = Standardise(mean, deviation)
    head = build(name, seeds=(0,), standardise=standardise, settings=settings)
    config = TrainConfig(**{"batch_size": 16, "select": "ua"} | changes)
    return train_stack(head, frames, task, [config], 0, "cpu")


@every_head
def test_it_learns_what_is_plain_to_see(name):
    trained = train(name, *plain_task(), epochs=30, lr=1e-2)
    assert max(epoch.val_score for epoch in trained.history) > 0.9


@every_head
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_seed_gives_the_same_bits(name, dtype):
    """With dropout, and with frames and dimensions hidden while training."""
    frames, task = plain_task()
    frames = replace(frames, dtype=dtype)
    settings = {"dropout": "0.3"}
    once, again = (
        train(name, frames, task, settings, epochs=2, mask_time=0.3, mask_features=0.3)
        for _ in range(2)
    )
    assert np.isfinite(once.predictions[0, 40:]).all()
    assert once.history == again.history
    assert np.array_equal(once.predictions, again.predictions, equal_nan=True)
    assert all(torch.equal(once.state[label], tensor) for label, tensor in again.state.items())


# Order over time


def order_task():
    """Clips that rise or fall, each with its reverse: the same frames in another order."""
    rng = np.random.default_rng(0)
    arrays = []
    for _ in range(60):
        count = int(rng.integers(24, 49))
        slope = np.linspace(-1, 1, count)[:, None] * np.eye(1, DIM)
        rising = (slope + 0.5 * rng.standard_normal((count, DIM))).astype(np.float32)
        arrays += [rising, rising[::-1].copy()]
    train = np.arange(120) < 80
    task = Task(
        objective=classify(np.eye(CLASSES)[np.arange(120) % 2]),
        train=train[None],
        val=~train[None],
        test=~train[None],
        names=["it"],
    )
    return frame_set(arrays), task


SMALL = {
    "transformer": {"width": "16", "heads": "2", "blocks": "1", "feedforward": "16"},
    "cnn-rnn": {"channels": "8", "rnn": "8"},
}
ORDERLY = ["cnn-rnn", "transformer"]


@pytest.mark.parametrize("name", ORDERLY)
def test_order_over_time_is_learned(name):
    settings = SMALL[name] | {"subsample": "2"}
    trained = train(name, *order_task(), settings, epochs=40, lr=1e-2)
    assert max(epoch.val_score for epoch in trained.history) > 0.9


@pytest.mark.parametrize("name", [name for name in HEADS if name not in ORDERLY])
def test_order_over_time_is_not_seen_by_what_pools_frames_one_by_one(name):
    """A clip and its reverse get the same logits, so no training can tell them apart."""
    frames, task = order_task()
    padded, mask = frames.batch(range(len(frames.lengths)), "cpu")
    logits = build(name)(padded, mask)
    torch.testing.assert_close(logits[:, 0::2], logits[:, 1::2], rtol=1e-4, atol=1e-5)
    trained = train(name, frames, task, epochs=10, lr=1e-2)
    assert max(epoch.val_score for epoch in trained.history) < 0.6


# Configuration


def as_text(value):
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


@every_head
def test_every_setting_can_be_given_as_text(name):
    config_type = load_head(name).Config
    default = config_type()
    for field in fields(config_type):
        text = as_text(getattr(default, field.name))
        assert configure(config_type, {field.name: text}) == default


@every_head
def test_a_configuration_is_frozen(name):
    config = load_head(name).Config()
    field = fields(config)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(config, field, getattr(config, field))
    assert not hasattr(config, "__dict__")


@every_head
def test_an_unknown_setting_is_named_with_those_there_are(name):
    known = ", ".join(sorted(field.name for field in fields(load_head(name).Config)))
    with pytest.raises(UsageError, match=f"unknown key in --set 'nonsense': there are: {known}"):
        configure(load_head(name).Config, {"nonsense": "1"})


@every_head
def test_a_setting_of_another_type_is_refused(name):
    for field in fields(load_head(name).Config):
        if field.type != "str":
            with pytest.raises(UsageError, match=rf"--set {field.name}=many: give (a value|sizes)"):
                configure(load_head(name).Config, {field.name: "many"})


@every_head
def test_its_line_in_the_list_of_heads_is_there(name):
    assert 10 < len(plugins("heads.models")[name].summary) <= 100
