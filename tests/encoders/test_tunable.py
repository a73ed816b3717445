"""An encoder that is trained further: frames, gradients, what is trained and what is hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from embedcache.encoders import _padding, load_tunable
from embedcache.encoders._layers import blocks_of
from embedcache.encoders._tunable import Tunable
from embedcache.errors import UsageError
from tests.encoders.tiny_models import CLIPS, DEPTH, TINY, extractor_of, save

# One variant of each family, and those that another code path of the library serves.
FAMILIES = [
    *sorted({tiny.model_type: name for name, tiny in TINY.items()}.values()),
    "wav2vec2, base",
    "wavlm, stable",
    "wav2vec2-bert, relative_key",
]
WAVES = [name for name in FAMILIES if name != "whisper"]
BATCH = [CLIPS[i] for i in (3, 7, 8)]  # 561, 879 and 5,003 samples
# Where a norm follows the last block, as the library's code has it.
BEHIND = {
    name: "layer_norm." if name == "whisper" else "encoder.layer_norm."
    for name in TINY
    if name == "whisper" or "conformer" in name or "stable" in name or "adapters" in name
}
DROPOUTS = (
    *("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"),
    *("dropout", "conformer_conv_dropout"),
)


Make = Callable[..., tuple[Tunable, Any]]


def dropout(share: float) -> dict[str, float]:
    return dict.fromkeys(DROPOUTS, share)


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """An encoder to be trained, and the library's own model with the same weights."""
    saved: dict[str, tuple[Path, Any]] = {}

    def load(name: str, **settings: Any) -> tuple[Tunable, Any]:
        key = f"{name} {settings}"
        if key not in saved:
            folder = tmp_path_factory.mktemp("checkpoint")
            saved[key] = folder, save(folder, TINY[name], **settings)
        folder, model = saved[key]
        return load_tunable(str(folder), "cpu", "float32"), deepcopy(model)

    return load


def encoder_of(model: Any) -> Any:
    return model.get_encoder() if model.config.model_type == "whisper" else model


def given_to(model: Any, clip: np.ndarray) -> tuple[dict[str, Tensor], int]:
    """What the library's feature extractor makes of a clip, and how many frames are the clip's."""
    extractor = extractor_of(model.config)
    given = extractor(clip, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    if model.config.model_type == "whisper":
        return given, -(-len(clip) // 320)
    if "attention_mask" in given:
        return given, int(given["attention_mask"].sum())
    return given, int(model._get_feat_extract_output_lengths(len(clip)))


def library(model: Any, clip: np.ndarray, **more: Any) -> Tensor:
    """The library's frames of a clip alone: [T, D]."""
    given, count = given_to(model, clip)
    frames: Tensor = encoder_of(model)(**given, **more).last_hidden_state[0, :count]
    return frames


def frames_of(tunable: Tunable, clips: Sequence[np.ndarray], **more: Any) -> list[Tensor]:
    """Frames of a padded batch, each clip's own."""
    with torch.no_grad(), tunable.frames([tunable.ear.prepare(c) for c in clips], **more) as found:
        return [frames[mask] for frames, mask in zip(*found, strict=True)]


def difference(mine: Tensor, theirs: Tensor) -> float:
    """The largest, relative to the largest value."""
    assert mine.shape == theirs.shape
    return float((mine - theirs).detach().abs().max() / theirs.detach().abs().max())


def far_off(mine: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    return max(difference(a, b) for a, b in zip(mine, theirs, strict=True))


def loss_of(frames: Tensor) -> Tensor:
    """A sum in which every value has a weight of its own: [T, D] -> []."""
    weights = np.random.default_rng(len(frames)).standard_normal(frames.shape)
    return (frames * torch.from_numpy(weights.astype(np.float32))).sum()


def backward(tunable: Tunable, clips: Sequence[np.ndarray], **more: Any) -> dict[str, Tensor]:
    """Gradients of what is trained, of a padded batch; what was hidden from it has none."""
    for parameter in tunable.trained().values():
        parameter.grad = None
    with tunable.frames([tunable.ear.prepare(c) for c in clips], **more) as (frames, mask):
        total = torch.stack([loss_of(f[m]) for f, m in zip(frames, mask, strict=True)]).sum()
        torch.autograd.backward(total)
    return {n: p.grad for n, p in tunable.trained().items() if p.grad is not None}


def library_gradients(
    model: Any, clips: Sequence[np.ndarray], names: Sequence[str], **more: Sequence[Any]
) -> dict[str, Tensor]:
    """The sum of the library's own gradients of each clip alone, where there are any."""
    model.requires_grad_(True).zero_grad()
    for i, clip in enumerate(clips):
        own = {name: values[i] for name, values in more.items()}
        torch.autograd.backward(loss_of(library(model, clip, **own)))
    parameters = dict(encoder_of(model).named_parameters())
    return {name: g for name in names if (g := parameters[name].grad) is not None}


def worst_gradient(mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The largest difference, relative to the parameter's largest gradient.

    Some gradients are zero but for rounding, such as those of the keys' biases, which no softmax
    sees: nothing is held to less than a thousandth of the model's largest gradient.
    """
    assert mine.keys() == theirs.keys()
    floor = 1e-3 * max(float(t.abs().max()) for t in theirs.values())
    return max(
        float((mine[n] - t).abs().max()) / max(float(t.abs().max()), floor)
        for n, t in theirs.items()
    )


def idle(name: str, tunable: Tunable) -> set[str]:
    """What the library builds into conformers, and never runs."""
    return {n for n in tunable.trained() if "conformer" in name and "pos_conv_embed" in n}


def planted(shape: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.4


def some_frames(tunable: Tunable, seed: int) -> np.ndarray:
    """Which frames of the batch are hidden."""
    return planted((len(BATCH), tunable.spec.frame_count(len(BATCH[-1]))), seed)


def some_dims(tunable: Tunable, seed: int) -> np.ndarray:
    return planted((len(BATCH), tunable.masked_dim), seed)


# Frames


@pytest.mark.parametrize("name", TINY)
def test_frames_are_the_librarys_own_of_each_clip_alone(make: Make, name: str) -> None:
    """In training too: where no dropout is drawn, a batch leaves no trace."""
    tunable, model = make(name, **dropout(0))
    tunable.unfreeze(DEPTH, front=True, masking=False)
    clips = [clip for clip in CLIPS if tunable.spec.frame_count(len(clip))]
    with torch.no_grad():
        alone = [library(model, clip) for clip in clips]
    for training in (False, True):
        tunable.train(training)
        together = frames_of(tunable, clips)
        assert [len(f) for f in together] == [tunable.spec.frame_count(len(c)) for c in clips]
        assert far_off(together, alone) <= 1e-5
    assert far_off(frames_of(tunable, clips[-1:]), alone[-1:]) <= 1e-5


@pytest.mark.parametrize("name", FAMILIES)
def test_in_bfloat16_frames_are_near_and_weights_stay_float32(make: Make, name: str) -> None:
    exact, _ = make(name)
    half = load_tunable(exact.spec.id, "cpu", "bfloat16")
    half.unfreeze(DEPTH, front=True, masking=True)
    hidden = {"hidden_frames": some_frames(half, 1), "hidden_dims": some_dims(half, 2)}
    found = frames_of(half, BATCH, **hidden)
    assert {f.dtype for f in found} == {torch.float32}
    assert 0 < far_off(found, frames_of(exact, BATCH, **hidden)) < 0.1
    assert {p.dtype for p in half.trained().values()} == {torch.float32}
    assert {g.dtype for g in backward(half, BATCH, **hidden).values()} == {torch.float32}


# Gradients


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_of_a_padded_batch_are_the_sum_of_those_of_each_clip_alone(
    make: Make, name: str
) -> None:
    """Also where they pass through blocks that are frozen."""
    tunable, model = make(name, **dropout(0))
    for blocks in (DEPTH, 1):
        tunable.unfreeze(blocks, front=True, masking=False)
        tunable.train(True)
        theirs = library_gradients(model, BATCH, list(tunable.trained()))
        assert tunable.trained().keys() - theirs.keys() == idle(name, tunable)
        assert worst_gradient(backward(tunable, BATCH), theirs) <= 1e-4


@pytest.mark.parametrize("name", ["wav2vec2, base", "hubert, batch norm", "data2vec-audio"])
def test_without_the_cure_they_would_not_be(
    make: Make, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_padding.Padding, "__init__", lambda self, model: None)
    tunable, model = make(name)
    tunable.unfreeze(DEPTH, front=True, masking=False)
    mine = backward(tunable, BATCH)
    assert worst_gradient(mine, library_gradients(model, BATCH, list(mine))) > 1e-2


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_frozen_has_no_gradient_and_never_changes(make: Make, name: str) -> None:
    """Buffers are not trained either: running statistics stay as they were."""
    tunable, _ = make(name)
    for blocks, front in ((0, True), (1, False), (DEPTH, False)):
        tunable._model.zero_grad()
        tunable.unfreeze(blocks, front, masking=True)
        before = {n: t.clone() for n, t in tunable._model.state_dict().items()}
        optimiser = torch.optim.SGD(tunable.trained().values(), lr=0.01)
        tunable.train(True)
        backward(tunable, BATCH, hidden_frames=some_frames(tunable, 0))
        optimiser.step()
        with_gradient = {n for n, p in tunable._model.named_parameters() if p.grad is not None}
        assert with_gradient == tunable.trained().keys() - idle(name, tunable)
        after = tunable._model.state_dict()
        changed = {n for n, t in after.items() if not torch.equal(t, before[n])}
        assert changed == with_gradient


# What is trained


def block_names(names: Sequence[str], first: int) -> set[str]:
    stacks = ("encoder.layers", "layers")
    starts = tuple(f"{s}.{k}." for s in stacks for k in range(first, DEPTH))
    return {name for name in names if name.startswith(starts)}


@pytest.mark.parametrize("name", TINY)
def test_unfreeze_trains_what_it_says(make: Make, name: str) -> None:
    tunable, model = make(name)
    names = [n for n, _ in encoder_of(model).named_parameters()]
    convolutions = ("feature_extractor.", "feature_projection.", "conv1.", "conv2.")
    front = {n for n in names if n.startswith(convolutions)}
    learned = {"masked_spec_embed"} & set(names)
    fixed = {"embed_positions.weight"} & set(names)  # Whisper's sinusoids
    behind = {n for n in names if n.startswith(BEHIND.get(name, "-"))}
    assert front and (not behind) is (name not in BEHIND) and learned | fixed
    last = block_names(names, DEPTH - 1) | behind
    blocks = set(names) - front - learned - fixed
    assert block_names(names, 0) < blocks or name.startswith("wav2vec2-bert")

    def trains(count: int, with_front: bool, masking: bool) -> set[str]:
        tunable.unfreeze(count, with_front, masking)
        np.testing.assert_array_equal(tunable.trained_blocks, range(DEPTH - count, DEPTH))
        return set(tunable.trained())

    assert trains(0, False, True) == set()
    assert trains(0, True, True) == front
    assert trains(1, False, True) == last
    assert trains(1, True, False) == last | front
    assert trains(DEPTH, False, False) == blocks
    assert trains(DEPTH, False, True) == blocks | learned
    assert trains(DEPTH, True, True) == blocks | learned | front == set(names) - fixed
    assert trains(0, False, False) == set(), "what was trained before is frozen again"


@pytest.mark.parametrize("name", FAMILIES)
def test_levels_rise_from_the_input_to_the_output(make: Make, name: str) -> None:
    tunable, _ = make(name)
    tunable.unfreeze(DEPTH, front=True, masking=True)
    levels = {n: tunable.level(n) for n in tunable.trained()}
    for k in range(1, DEPTH + 1):
        own = block_names(list(levels), k - 1) - block_names(list(levels), k)
        assert own == {n for n, level in levels.items() if level == k}
    above = {n for n, level in levels.items() if level == DEPTH + 1}
    assert above == {n for n in levels if n.startswith(BEHIND.get(name, "-"))}


@pytest.mark.parametrize("blocks", [DEPTH + 1, -1])
def test_layers_that_are_not_there_cannot_be_unfrozen(make: Make, blocks: int) -> None:
    tunable, _ = make("wav2vec2, base")
    text = f"--unfreeze {blocks}: {tunable.spec.id} has 3 transformer layers; give 0 to 3, or all"
    with pytest.raises(UsageError, match=text):
        tunable.unfreeze(blocks, front=False, masking=False)


# Dropout, and the library's own switches


@pytest.mark.parametrize("name", FAMILIES)
def test_dropout_is_drawn_in_what_is_trained_and_nowhere_else(make: Make, name: str) -> None:
    tunable, _ = make(name, **dropout(0.3))
    entered: list[Tensor] = []
    top = blocks_of(tunable._model)[-1]
    top.register_forward_pre_hook(
        lambda m, args, kwargs: entered.append(args[0] if args else kwargs["hidden_states"]),
        with_kwargs=True,
    )
    for front in (False, True):
        tunable.unfreeze(1, front, masking=False)
        tunable.train(True)
        assert not torch.equal(*(frames_of(tunable, BATCH)[-1] for _ in range(2)))
        drawn_below = front and name != "whisper"  # whose convolutions have no dropout
        assert torch.equal(*entered[-2:]) is not drawn_below
        tunable.train(False)
        assert torch.equal(*(frames_of(tunable, BATCH)[-1] for _ in range(2)))
        assert not any(module.training for module in tunable._model.modules())


@pytest.mark.parametrize("name", FAMILIES)
def test_the_librarys_own_masks_and_layer_drop_stay_off(make: Make, name: str) -> None:
    told = {"mask_time_prob": 0.5, "mask_time_length": 2, "apply_spec_augment": True}
    told |= {"mask_feature_prob": 0.5, "mask_feature_length": 4}
    told |= {"layerdrop": 0.6, "encoder_layerdrop": 0.6}
    tunable, model = make(name, **told, **dropout(0))
    tunable.unfreeze(DEPTH, front=True, masking=True)
    tunable.train(True)
    with torch.no_grad():
        alone = [library(model, clip) for clip in CLIPS[-2:]]
        assert far_off(frames_of(tunable, CLIPS[-2:]), alone) <= 1e-5
        if name.startswith("wavlm"):
            return  # a first block that the library drops takes all blocks' positions with it
        model.train()
        drawn = [library(model, CLIPS[-1]) for _ in range(9)]
    assert max(difference(one, alone[-1]) for one in drawn) > 1e-2, "in the library they are on"


@pytest.mark.parametrize("name", FAMILIES)
def test_checkpointing_recomputes_and_gives_the_same_gradients(make: Make, name: str) -> None:
    """To the bit, with dropout, hidden frames and a block that is passed over."""
    calls: list[int] = []
    found = []
    for checkpointed in (False, True):
        tunable, _ = make(name, **dropout(0.3))
        tunable.unfreeze(2, front=False, masking=True)
        if checkpointed:
            tunable.checkpoint_gradients()
        tunable.train(True)
        for k, block in enumerate(blocks_of(tunable._model)):
            inner = next(m for m in block.modules() if isinstance(m, torch.nn.LayerNorm))
            inner.register_forward_hook(lambda *_, k=k: calls.append(k))
        for dropped in ((), (1,)):
            torch.manual_seed(5)
            calls.clear()
            found.append(
                backward(tunable, BATCH, hidden_frames=some_frames(tunable, 0), dropped=dropped)
            )
            if not dropped:
                assert [calls.count(k) for k in range(DEPTH)] == (
                    [1, 2, 2] if checkpointed else [1, 1, 1]
                )
    for plain, again in zip(found[:2], found[2:], strict=True):
        assert plain and plain.keys() == again.keys()
        assert all(torch.equal(plain[n], again[n]) for n in plain)
    assert found[1].keys() < found[0].keys()


# What is hidden, what is passed over


@pytest.mark.parametrize("name", WAVES)
def test_hidden_frames_are_the_librarys_masked_ones(make: Make, name: str) -> None:
    """And the vector that stands for them learns as the library's does."""
    tunable, model = make(name)
    tunable.unfreeze(DEPTH, front=False, masking=True)
    counts = [tunable.spec.frame_count(len(clip)) for clip in BATCH]
    hidden = some_frames(tunable, 1)
    masks = []
    for row, count, clip in zip(hidden, counts, BATCH, strict=True):
        given, _ = given_to(model, clip)  # wav2vec2-bert's may end in a row that is padding
        length = given["input_features"].shape[1] if "input_features" in given else count
        masks.append(torch.from_numpy(np.pad(row[:count], (0, length - count)))[None])
    with torch.no_grad():
        alone = [
            library(model, clip, mask_time_indices=mask)
            for clip, mask in zip(BATCH, masks, strict=True)
        ]
        bare = [library(model, clip) for clip in BATCH]
    assert far_off(frames_of(tunable, BATCH, hidden_frames=hidden), alone) <= 1e-5
    assert difference(bare[-1], alone[-1]) > 1e-2
    mine = backward(tunable, BATCH, hidden_frames=hidden)
    assert "masked_spec_embed" in mine
    theirs = library_gradients(model, BATCH, list(mine), mask_time_indices=masks)
    assert worst_gradient(mine, theirs) <= 1e-4


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("name", WAVES)
def test_frames_and_dimensions_are_hidden_behind_the_projection(
    make: Make, name: str, learned: bool
) -> None:
    """Where a checkpoint has learned no vector, zeros stand for a frame."""
    shares = {} if learned else {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    tunable, model = make(name, **shares)
    vector = getattr(model, "masked_spec_embed", torch.zeros(tunable.masked_dim)).detach()
    assert bool(vector.any()) is (learned or name.startswith("unispeech-sat"))
    frames, dims = some_frames(tunable, 2), some_dims(tunable, 3)

    def alone(i: int) -> Tensor:
        def hide(module: Any, args: Any, output: Any) -> Any:
            found = (output[0] if isinstance(output, tuple) else output).clone()
            own = np.pad(frames[i], (0, 1))[: found.shape[1]]  # the odd row of wav2vec2-bert
            found[0, own] = vector
            found[0][:, dims[i]] = 0
            return (found, *output[1:]) if isinstance(output, tuple) else found

        handle = model.feature_projection.register_forward_hook(hide)
        with torch.no_grad():
            output = library(model, BATCH[i])
        handle.remove()
        return output

    found = frames_of(tunable, BATCH, hidden_frames=frames, hidden_dims=dims)
    assert far_off(found, [alone(i) for i in range(len(BATCH))]) <= 1e-5


def test_whisper_hides_mel_energies(make: Make) -> None:
    """Two steps of 10 ms to a frame, in the log energies that it hears; bands over all time."""
    tunable, model = make("whisper")
    frames, dims = some_frames(tunable, 4), some_dims(tunable, 5)
    alone = []
    for i, clip in enumerate(BATCH):
        given, count = given_to(model, clip)
        mels = given["input_features"]
        steps = np.flatnonzero(frames[i])
        mels[0][:, np.concatenate([2 * steps, 2 * steps + 1])] = 0
        mels[0, np.flatnonzero(dims[i])] = 0
        with torch.no_grad():
            alone.append(encoder_of(model)(mels).last_hidden_state[0, :count])
    found = frames_of(tunable, BATCH, hidden_frames=frames, hidden_dims=dims)
    assert far_off(found, alone) <= 1e-5
    assert far_off(found, frames_of(tunable, BATCH)) > 1e-2


@pytest.mark.parametrize("name", FAMILIES)
def test_a_dropped_block_is_as_if_it_were_not_there(make: Make, name: str) -> None:
    """But for WavLM's first, which holds the positions of all: see the next test."""
    tunable, model = make(name)
    stack = encoder_of(model) if name == "whisper" else model.encoder
    blocks = list(stack.layers)
    for dropped in ((1,), (1, 2)) if name.startswith("wavlm") else ((1,), (0, 2), (0, 1, 2)):
        stack.layers = torch.nn.ModuleList(b for k, b in enumerate(blocks) if k not in dropped)
        with torch.no_grad():
            alone = [library(model, clip) for clip in BATCH]
        assert far_off(frames_of(tunable, BATCH, dropped=dropped), alone) <= 1e-5


def test_the_first_block_of_wavlm_still_gives_the_others_their_positions(make: Make) -> None:
    """A block that adds nothing to its input is one that is passed over."""
    tunable, model = make("wavlm, stable")
    with torch.no_grad():
        first = model.encoder.layers[0]
        for last in (first.attention.out_proj, first.feed_forward.output_dense):
            last.weight.zero_()
            last.bias.zero_()
        alone = [library(model, clip) for clip in BATCH]
    assert far_off(frames_of(tunable, BATCH, dropped=(0,)), alone) <= 1e-5


@pytest.mark.parametrize("name", FAMILIES)
def test_what_was_hidden_is_forgotten_once_a_batch_is_done(make: Make, name: str) -> None:
    """Also where it ends in an error."""
    tunable, model = make(name)
    before = frames_of(tunable, BATCH)
    clips = [tunable.ear.prepare(clip) for clip in BATCH]
    with (
        pytest.raises(KeyboardInterrupt),
        tunable.frames(clips, some_frames(tunable, 6), some_dims(tunable, 7), (0, 1)),
    ):
        raise KeyboardInterrupt
    given, _ = given_to(model, BATCH[-1])
    with torch.no_grad():
        bare, alone = (m(**given).last_hidden_state for m in (tunable._model, encoder_of(model)))
    assert difference(bare, alone) <= 1e-5, "nothing is left in the model"
    assert all(map(torch.equal, frames_of(tunable, BATCH), before))


# State


@pytest.mark.parametrize("name", FAMILIES)
def test_state_is_all_that_training_changes(make: Make, name: str) -> None:
    """What is loaded again gives the frames of that moment, to the bit."""
    tunable, _ = make(name)
    tunable.unfreeze(DEPTH, front=True, masking=True)
    state = tunable.state()
    assert state.keys() == tunable.trained().keys()
    before = frames_of(tunable, BATCH)
    optimiser = torch.optim.SGD(tunable.trained().values(), lr=0.1)
    tunable.train(True)
    backward(tunable, BATCH, hidden_frames=some_frames(tunable, 0))
    optimiser.step()
    tunable.train(False)
    assert far_off(frames_of(tunable, BATCH), before) > 1e-4
    tunable.load(state)
    assert all(map(torch.equal, frames_of(tunable, BATCH), before))
