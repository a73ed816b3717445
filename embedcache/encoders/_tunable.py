"""A transformer encoder whose upper blocks are trained further.

What is frozen stays in evaluation mode: no dropout is drawn in it, and no activation of it is kept
for a gradient. The library's own SpecAugment and LayerDrop are off; both are done here, on what the
caller draws, so that a training is the same again whenever it is interrupted.

Letters: B clips, T frames, D dimension, N blocks.
"""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from embedcache.encoders._fingerprint import UNUSED_WEIGHT
from embedcache.encoders._layers import blocks_of, depth
from embedcache.encoders._mel_models import PaddedMels, StackedMels
from embedcache.encoders._padded_batch import own_steps
from embedcache.encoders._waveform_models import Waveforms
from embedcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    import torch

    from embedcache.encoders import EncoderSpec, Samples
    from embedcache.encoders._checkpoints import Checkpoint
    from embedcache.encoders._padding import Padding

Input: TypeAlias = Waveforms | StackedMels | PaddedMels
Bools = npt.NDArray[np.bool_]

# Where the convolutions, and what projects their output, lie in the library's models.
_FRONT = ("feature_extractor.", "feature_projection.", "conv1.", "conv2.")


@dataclass(frozen=True, slots=True)
class Ear:
    """What clips are made ready for; it holds no weights.

    Attributes:
        spec: Of the encoder.
        heard: What stands between samples and the model.
    """

    spec: EncoderSpec
    heard: Input

    def prepare(self, clip: Samples) -> Samples:
        """A whole clip as the checkpoint's feature extractor scales it."""
        return self.heard.prepare(clip)


class Tunable:
    """An encoder to be trained further; at first all of it is frozen.

    Attributes:
        spec: What it is, before it is trained.
        ear: What clips are prepared for.
        depth: Number of blocks (N).
        masked_dim: Values of what `hidden_dims` hides: the width of frames before the first block,
            or the mel bands where the encoder hears those.
    """

    def __init__(
        self,
        source: Checkpoint,
        heard: Input,
        padding: Padding,
        spec: EncoderSpec,
        device: str,
        norm_behind: bool,
    ) -> None:
        """Take a model that heeds a padding.

        Args:
            source: Its model is on the device, frozen and in evaluation mode.
            heard: What stands between samples and the model.
            padding: What the model heeds.
            spec: Of the encoder.
            device: Of `torch`.
            norm_behind: Whether a norm follows the last block.
        """
        self.spec, self._source, self._input, self._padding = spec, source, heard, padding
        self.ear = Ear(spec, heard)
        self._model, self._device, self._norm_behind = source.model, device, norm_behind
        self.depth = depth(source.model)
        self._first = self.depth  # position of the first block that is trained
        self._front = False
        self._dropped: Collection[int] = ()
        self._hidden: tuple[Any, Any] = (None, None)
        projection = getattr(self._model, "feature_projection", None)
        self.masked_dim: int = spec.dim if projection else self._model.config.num_mel_bins
        if projection:
            projection.register_forward_hook(self._hide_projected)
        for position, block in enumerate(blocks_of(self._model)):
            block.register_forward_hook(partial(self._drop, position), with_kwargs=True)

    def unfreeze(self, blocks: int, front: bool, masking: bool) -> None:
        """Choose what is trained; all else is frozen.

        With all blocks also what lies between them and the projection: positions and norms.

        Args:
            blocks: How many, from the last one.
            front: Also the convolutions and the projection.
            masking: Whether frames will be hidden, so that what stands for them is trained.

        Raises:
            UsageError: There are not so many blocks.
        """
        if not 0 <= blocks <= self.depth:
            raise UsageError(
                f"--unfreeze {blocks}: {self.spec.id} has {self.depth} transformer layers; give 0 "
                f"to {self.depth}, or all"
            )
        self._first, self._front = self.depth - blocks, front
        self._model.requires_grad_(False).eval()
        for name, parameter in self._model.named_parameters():
            hides = name.endswith(UNUSED_WEIGHT)
            trained = masking and blocks == self.depth if hides else self._is_trained(name)
            # Fixed tables, such as Whisper's positions, are parameters too.
            parameter.requires_grad_(trained and "embed_positions" not in name)

    @property
    def trained_blocks(self) -> npt.NDArray[np.int64]:
        """Positions of the blocks that are trained, from 0."""
        return np.arange(self._first, self.depth)

    def trained(self) -> dict[str, torch.nn.Parameter]:
        """What is trained, by its name."""
        return {n: p for n, p in self._model.named_parameters() if p.requires_grad}

    def level(self, name: str) -> int:
        """How deep a parameter lies: 0 before the first block, k in block k, N + 1 behind all."""
        found = self._block_of(name)
        if found is not None:
            return found + 1
        return self.depth + 1 if self._is_behind(name) else 0

    def train(self, training: bool) -> None:
        """Draw dropout in what is trained, or nowhere.

        A batch norm keeps the statistics that it came with, as in the conformers: those of a batch
        would be of its padding too, and running ones are no parameters and so in no state.
        """
        from torch.nn import BatchNorm1d, Dropout

        self._model.eval()
        for block in list(blocks_of(self._model))[self._first :]:
            block.train(training)
        for name, module in self._model.named_modules():
            if self._front and f"{name}." in _FRONT:
                module.train(training)
            between = self._block_of(f"{name}.") is None and not name.startswith(_FRONT)
            if isinstance(module, Dropout) and between and self._first == 0:
                module.train(training)
            if isinstance(module, BatchNorm1d):
                module.eval()

    def checkpoint_gradients(self) -> None:
        """Keep only the inputs of trained blocks for the gradient, and compute the rest again."""
        from torch.utils.checkpoint import checkpoint

        for block in list(blocks_of(self._model))[self._first :]:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)

    @contextmanager
    def frames(
        self,
        clips: Sequence[Samples],
        hidden_frames: Bools | None = None,
        hidden_dims: Bools | None = None,
        dropped: Collection[int] = (),
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Frames of padded clips; what follows from them is differentiated within the context.

        Args:
            clips: Prepared, [samples] each.
            hidden_frames: [B, T], which frames are hidden before the first block: the checkpoint's
                learned vector stands for them, or zeros.
            hidden_dims: [B, `masked_dim`], which dimensions are zero in all frames of a clip.
            dropped: Positions of blocks that are passed over, from 0.

        Yields:
            [B, T, D] in float32, and [B, T], what is no padding.
        """
        import torch

        lengths = [len(clip) for clip in clips]
        counts = [self.spec.frame_count(length) for length in lengths]
        device_type = torch.device(self._device).type
        dtype: torch.dtype = getattr(torch, self.spec.dtype)
        precision = torch.autocast(device_type, dtype, enabled=dtype != torch.float32)
        self._dropped = dropped
        self._hidden = self._on_device(hidden_frames), self._on_device(hidden_dims)
        try:
            with self._padding.of(lengths, counts, self._device):
                given = self._arguments(clips)  # mel energies are taken in float32
                with precision:
                    hidden = self._model(**given).last_hidden_state
                yield hidden[:, : max(counts)].float(), own_steps(counts, self._device)
        finally:
            self._dropped, self._hidden = (), (None, None)

    def state(self) -> dict[str, torch.Tensor]:
        """What is trained, as it is now, in copies on the CPU."""
        return {name: p.detach().cpu().clone() for name, p in self.trained().items()}

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take what `state` gave."""
        import torch

        with torch.no_grad():
            for name, parameter in self.trained().items():
                parameter.copy_(state[name])

    def save(self, folder: Path) -> None:
        """Write a folder that the library's `from_pretrained` reads, feature extractor included.

        What was left out of the model when it was loaded is said to be absent.

        Raises:
            OSError: The disk refused.
        """
        from safetensors import SafetensorError
        from transformers.utils import logging

        logging.disable_progress_bar()
        whole = self._source.whole
        for absent in ("add_adapter", "use_intermediate_ffn_before_adapter"):
            if hasattr(whole.config, absent):
                setattr(whole.config, absent, False)
        try:
            whole.save_pretrained(folder)
        except SafetensorError as error:  # what the disk said is in its text only
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error
        self._source.extractor.save_pretrained(folder)

    def _arguments(self, clips: Sequence[Samples]) -> dict[str, Any]:
        given = self._input.arguments(clips)
        moved = {name: t.to(self._device, non_blocking=True) for name, t in given.items()}
        if "input_features" in moved and not hasattr(self._model, "feature_projection"):
            moved["input_features"] = self._hide_mels(moved["input_features"])
        return moved

    def _on_device(self, hidden: Bools | None) -> Any:
        import torch

        return None if hidden is None else torch.from_numpy(hidden).to(self._device)

    def _hide_projected(self, module: Any, args: Any, output: Any) -> Any:
        """What a projection gives, with frames and dimensions hidden."""
        frames, dims = self._hidden
        several = isinstance(output, tuple)
        found = output[0] if several else output
        if frames is not None:
            hidden = frames.new_zeros(found.shape[:2])
            hidden[:, : frames.shape[1]] = frames
            learned = getattr(self._model, UNUSED_WEIGHT, None)
            mask = found.new_zeros(found.shape[-1]) if learned is None else learned.to(found.dtype)
            found = found.where(~hidden[:, :, None], mask)
        if dims is not None:
            found = found.masked_fill(dims[:, None], 0.0)
        return (found, *output[1:]) if several else found

    def _hide_mels(self, mels: Any) -> Any:
        """Mel bands over time, [B, M, frames], with stretches and bands at zero."""
        frames, dims = self._hidden
        if frames is not None:
            rate = mels.shape[-1] * self.spec.hop // self.spec.padded_to  # mel frames of a frame
            spread = frames.repeat_interleave(rate, dim=1)[:, : mels.shape[-1]]
            mels = mels.clone()
            mels[:, :, : spread.shape[1]] *= ~spread[:, None]
        return mels if dims is None else mels.masked_fill(dims[:, :, None], 0.0)

    def _drop(self, position: int, module: Any, args: Any, kwargs: Any, output: Any) -> Any:
        """A block's output; where it is passed over, its input."""
        if position not in self._dropped:
            return None
        given = args[0] if args else kwargs["hidden_states"]
        return (given, *output[1:]) if isinstance(output, tuple) else given

    def _is_trained(self, name: str) -> bool:
        if name.startswith(_FRONT):
            return self._front
        block = self._block_of(name)
        if block is not None:
            return block >= self._first
        blocks = self.depth - self._first
        return blocks > 0 if self._is_behind(name) else blocks == self.depth

    def _block_of(self, name: str) -> int | None:
        """Position of the block that a parameter is in."""
        head, found, tail = name.partition("layers.")
        if not found or head not in ("", "encoder.") or name.startswith(_FRONT):
            return None
        number = tail.partition(".")[0]
        return int(number) if number.isdigit() else None

    def _is_behind(self, name: str) -> bool:
        return self._norm_behind and name.removeprefix("encoder.").startswith("layer_norm.")
