from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from embedcache.audio.conditioning import Conditioning
from embedcache.corpora import read_corpus
from embedcache.encoders import load_tunable
from embedcache.errors import SerError
from heads.finetune.clips import listen
from heads.finetune.epochs import Training
from heads.finetune.network import build
from heads.finetune.settings import Schedule
from heads.finetune.state import load_state, save_state
from heads.losses import cross_entropy
from heads.models import load_head
from heads.splits import Fold
from heads.train.objective import Classify

SCHEDULE = Schedule(
    epochs=2, batch_seconds=3.0, lr=1e-3, head_lr=1e-2, mask_time=0.1, mask_features=0.1,
    layerdrop=0.3, save_minutes=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def heard(tones):
    encoder = load_tunable("random:wav2vec2-tiny", "cpu", "auto")
    return listen(read_corpus("folder", tones), encoder.ear, Conditioning())[0]


@pytest.fixture
def begin(heard):
    """A training of the tones: the first two speakers validate."""

    def make(schedule=SCHEDULE, blocks=2, checkpointing=False, dropout=0.3, dtype="auto"):
        encoder = load_tunable("random:wav2vec2-tiny", "cpu", dtype)
        encoder.unfreeze(blocks, front=False, masking=True)
        if checkpointing:
            encoder.checkpoint_gradients()
        module = load_head("attention")
        config = module.Config(dropout=dropout)
        labels = [u.label == "high" for u in heard.utterances]
        objective = Classify(
            targets=np.eye(2)[np.array(labels, int)], weights=np.ones((1, 2)), loss=cross_entropy
        )
        val = np.array([u.speaker in ("folder/s0", "folder/s1") for u in heard.utterances])
        fold = Fold(np.flatnonzero(~val), np.flatnonzero(val), np.zeros(0, np.int64))
        network = build(encoder, module, config, 2, heard, schedule, 0, "cpu")
        return Training(network, heard, objective, fold, schedule, 0, "cpu")

    return make


def quiet(schedule: Schedule) -> Schedule:
    """Without anything that is drawn."""
    return replace(schedule, mask_time=0.0, mask_features=0.0, layerdrop=0.0)


def gradients(training: Training, batches) -> tuple[float, list[torch.Tensor]]:
    training.network.train(True)
    loss, _ = training._gradients(batches)
    return loss, [p.grad.clone() for p in training.network.parameters() if p.grad is not None]


def no_dropout(training: Training) -> None:
    for module in training.network.encoder._model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    config = training.network.encoder._model.config
    config.attention_dropout = config.activation_dropout = config.hidden_dropout = 0.0
    for layer in training.network.encoder._model.encoder.layers:
        layer.attention.dropout = 0.0


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_gradients_are_of_the_mean_loss_however_clips_are_dealt(begin, heard, parts):
    together, apart = (begin(quiet(SCHEDULE), dropout=0.0) for _ in range(2))
    for training in (together, apart):
        no_dropout(training)
    indices = [0, 5, 12, 17, 20]
    clips = [heard.read(i) for i in indices]
    expected, ours = gradients(together, [(indices, clips)])
    apart.progress.parts = parts
    several = [(indices[:2], clips[:2]), (indices[2:], clips[2:])]
    found, theirs = gradients(apart, several)
    assert found == pytest.approx(expected, rel=1e-5)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-6)


class StopError(Exception):
    pass


def test_a_training_that_goes_on_ends_with_the_bits_of_one_that_was_not_interrupted(
    begin, tmp_path
):
    straight, stopped, again = begin(), begin(), begin()
    straight.run(lambda: None, lambda epoch: None)
    file, saves = tmp_path / "state", []

    def save():
        save_state(file, stopped, "this")
        saves.append(stopped.progress.step)
        if len(saves) == 5:
            raise StopError

    with pytest.raises(StopError):
        stopped.run(save, lambda epoch: None)
    assert saves[:4] == [1, 2, 3, 4]
    assert not load_state(file, again, "another")  # nobody goes on from what is not their own
    assert again.progress.step == 0 and load_state(file, again, "this")
    again.run(lambda: None, lambda epoch: None)
    assert again.progress.history == straight.progress.history
    ours, theirs = straight.network.state(), again.network.state()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_a_damaged_state_is_told_and_not_used(begin, tmp_path, share):
    training, file = begin(), tmp_path / "state"
    save_state(file, training, "this")
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(SerError, match="state is damaged .*; remove it, and the training begins"):
        load_state(file, training, "this")


def test_what_can_be_heard_is_learned(begin):
    schedule = replace(quiet(SCHEDULE), epochs=6, lr=3e-3)
    training = begin(schedule)
    training.run(lambda: None, lambda epoch: None)
    history = training.progress.history
    assert history[-1].train_loss < 0.5 * history[0].train_loss
    assert training.progress.best_score[0] > 0.9  # of speakers that did not train


def test_the_best_epoch_is_kept_and_patience_ends_the_training(begin):
    # A head that learns too fast forgets: the best epoch lies before the last one.
    training = begin(replace(SCHEDULE, epochs=30, patience=2, head_lr=0.5, lr=1e-6))
    states = {}
    training.run(lambda: None, lambda epoch: states.update({epoch.epoch: training.network.state()}))
    done = training.progress
    scores = [(epoch.val_score, -epoch.val_loss) for epoch in done.history]
    assert done.best_epoch == 1 + max(range(len(scores)), key=lambda i: scores[i])
    assert len(done.history) == min(30, done.best_epoch + 2)
    assert all(torch.equal(done.best[k], t) for k, t in states[done.best_epoch].items())


def test_frozen_weights_stay_and_trained_ones_move(begin):
    training = begin(blocks=1)
    before = {n: t.clone() for n, t in training.network.encoder._model.state_dict().items()}
    training.run(lambda: None, lambda epoch: None)
    after = training.network.encoder._model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == set(training.network.encoder.trained())
    assert moved and all(name.startswith("encoder.layers.1.") for name in moved)


def test_gradients_that_are_computed_twice_give_the_same_bits(begin):
    plain, twice = begin(), begin(checkpointing=True)
    for training in (plain, twice):
        training.run(lambda: None, lambda epoch: None)
    ours, theirs = plain.network.state(), twice.network.state()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_halves_train_too(begin):
    plain, half = begin(), begin(dtype="bfloat16")
    for training in (plain, half):
        training.run(lambda: None, lambda epoch: None)
    losses = [t.progress.history[-1].val_loss for t in (plain, half)]
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], abs=0.1)
    assert {t.dtype for t in half.network.state().values()} == {torch.float32}


def test_a_loss_that_diverges_at_once_is_told_with_a_remedy(begin):
    training = begin(replace(SCHEDULE, lr=1e30, head_lr=1e30, warmup=0.0))
    with pytest.raises(SerError, match="diverged before an epoch could be kept; lower"):
        training.run(lambda: None, lambda epoch: None)


def heard_by(training, monkeypatch):
    """What the encoder is given from now on: samples and dropped blocks, in training or not."""
    found = []
    frames = training.network.encoder.frames

    def listen(samples, *hidden):
        found.append((training.network.head.training, [s.copy() for s in samples], *hidden))
        return frames(samples, *hidden)

    monkeypatch.setattr(training.network.encoder, "frames", listen)
    return found


def test_long_clips_are_cut_anywhere_in_training_and_to_their_middle_else(
    begin, heard, monkeypatch
):
    training = begin(replace(quiet(SCHEDULE), max_seconds=0.45))
    given = heard_by(training, monkeypatch)
    training.run(lambda: None, lambda epoch: None)
    longest = round(0.45 * 16_000)
    whole = [heard.read(i) for i in range(len(heard.lengths))]
    places = {True: [], False: []}
    for training_now, samples, *_ in given:
        for clip in samples:
            assert len(clip) <= longest
            if len(clip) < longest:
                continue
            for full in (one for one in whole if len(one) > longest):
                windows = np.lib.stride_tricks.sliding_window_view(full, longest)[:, :8]
                starts = np.flatnonzero((windows == clip[:8]).all(axis=1))
                if starts.size and np.array_equal(full[starts[0] : starts[0] + longest], clip):
                    places[training_now].append(starts[0] / max(1, len(full) - longest))
    assert len(places[True]) > 20 and np.std(places[True]) > 0.1
    assert places[False] and all(abs(place - 0.5) < 0.01 for place in places[False])


@pytest.mark.parametrize("chance", [0.0, 0.5])
def test_each_trained_layer_is_dropped_as_often_as_asked(begin, monkeypatch, chance):
    training = begin(replace(SCHEDULE, layerdrop=chance, epochs=6, patience=6))
    given = heard_by(training, monkeypatch)
    training.run(lambda: None, lambda epoch: None)
    dropped = [hidden[-1] for training_now, _, *hidden in given if training_now]
    shares = [np.mean([block in blocks for blocks in dropped]) for block in (0, 1)]
    assert len(dropped) >= 40 and shares == pytest.approx([chance] * 2, abs=0.25 * (chance > 0))
    assert all(not hidden for training_now, _, *hidden in given if not training_now)


def test_the_loss_of_an_epoch_is_the_mean_over_its_clips(begin, heard):
    """With a learning rate of nearly nothing, whatever the sizes of the batches."""
    tiny = replace(quiet(SCHEDULE), lr=1e-30, head_lr=1e-30, epochs=1, weight_decay=0.0)
    training = begin(tiny, dropout=0.0)
    no_dropout(training)
    training.run(lambda: None, lambda epoch: None)
    (epoch,) = training.progress.history
    losses = []
    for i in training._fold.train:
        with torch.no_grad(), training.network.encoder.frames([heard.read(int(i))]) as (x, mask):
            logits = training.network.head(x, mask)[0, 0]
        losses.append(-logits.log_softmax(0)[int(heard.utterances[i].label == "high")])
    assert epoch.train_loss == pytest.approx(float(torch.stack(losses).mean()), rel=1e-4)


def test_validation_draws_nothing(begin):
    training = begin()
    first, second = (training._outputs(training._fold.val) for _ in range(2))
    assert torch.equal(first.nan_to_num(9), second.nan_to_num(9))
    training.network.train(True)
    assert torch.equal(training._outputs(training._fold.val).nan_to_num(9), first.nan_to_num(9))


@pytest.mark.parametrize("limit", [1e-3, 1e6])
def test_gradients_are_no_longer_than_their_limit(begin, heard, limit):
    training = begin(replace(quiet(SCHEDULE), clip=limit))
    indices = [2, 3, 30]
    assert training.step([(indices, [heard.read(i) for i in indices])], 1.0)
    norms = [p.grad.norm() for p in training.network.parameters() if p.grad is not None]
    total = float(torch.stack(norms).norm())
    assert total == pytest.approx(limit, rel=1e-3) if limit < 1 else 1e-3 < total < limit


def test_every_step_moves_the_weights(begin):
    """Also the first while the rate rises, and the last where it has nearly fallen to zero."""
    training = begin(replace(SCHEDULE, epochs=1, warmup=0.3))
    before, moved = training.network.state(), []

    def look():
        nonlocal before
        now = training.network.state()
        moved.append(any(not torch.equal(before[name], now[name]) for name in now))
        before = now

    training.run(look, lambda epoch: None)
    assert len(moved) > 3 and all(moved[:-1])  # after the last step, and again after its epoch


def test_accumulated_batches_go_on_where_they_stopped(begin, tmp_path):
    schedule = replace(SCHEDULE, accumulate=2)
    straight, stopped, again = (begin(schedule) for _ in range(3))
    straight.run(lambda: None, lambda epoch: None)
    file = tmp_path / "state"

    def save():
        save_state(file, stopped, "this")
        raise StopError

    with pytest.raises(StopError):
        stopped.run(save, lambda epoch: None)
    assert load_state(file, again, "this")
    again.run(lambda: None, lambda epoch: None)
    ours, theirs = straight.network.state(), again.network.state()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
