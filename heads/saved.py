"""Models of a run, built again from `model.json` and `model.safetensors`.

Letters: B utterances, T frames, D dimension, O outputs (classes or emotional dimensions).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from embedcache.errors import SerError, UsageError
from heads.data import load_frames, reduced, speaker_scale
from heads.models import load_head
from heads.stacked import Stack, Standardise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from embedcache.encoders import ColumnRoles
    from embedcache.utterance import Utterance
    from heads.data import FrameSet
    from heads.models import Reduction
    from heads.pool import FrameReader
    from heads.results import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedModel:
    """One trained model of a run, ready to predict.

    Attributes:
        run: Name of the run.
        head: A stack of one, in evaluation mode, on the CPU.
        layers: Names of the layers that it sees, side by side.
        reduction: What is made of an utterance's frames first; None where nothing is.
        by_speaker: Whether it sees frames by each speaker's own mean and deviation.
        labels: [O], names of classes or dimensions.
        scale: For dimensions what outputs are multiplied by and what is then added; None for
            classes.
        temperature: That divides the logits of classes to calibrate them; see `docs/metrics.md`.
    """

    run: str
    head: nn.Module
    layers: tuple[str, ...]
    reduction: Reduction | None
    by_speaker: bool
    labels: tuple[str, ...]
    scale: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None
    temperature: float

    def frames(
        self,
        reader: FrameReader,
        utterances: Sequence[Utterance],
        others: Sequence[Utterance] = (),
    ) -> FrameSet:
        """What the model sees of utterances, as it did in training.

        Args:
            reader: A cache with the encoder's frames.
            utterances: Which.
            others: Where it sees frames by speaker: further utterances, whose frames count where
                they are of the same speakers.

        Raises:
            UsageError: A speaker is not known whose own statistics are needed.
            SerError: The cache is damaged.
        """
        everyone = list(utterances)
        if self.by_speaker:
            speakers, there = {u.speaker for u in utterances}, {u.id for u in utterances}
            if None in speakers:
                raise UsageError(
                    f"{self.run} sees frames by their speaker's own mean and deviation, and "
                    "utterances name no speaker; add a speaker column in a manifest"
                )
            everyone += [u for u in others if u.speaker in speakers and u.id not in there]
        frames = load_frames(reader, everyone, self.layers)
        if self.reduction:
            frames = reduced(frames, self.reduction)
        if self.by_speaker:
            scale = speaker_scale(frames, [u.speaker for u in everyone], len(everyone))
            frames = replace(frames, scale=scale)
        return frames.first(len(utterances))

    @torch.no_grad()
    def predict(self, frames: Tensor, mask: Tensor) -> npt.NDArray[np.float64]:
        """Probabilities of the classes, or values of the dimensions on the annotators' scale.

        Shape:
            frames: [B, T, D], mask: [B, T]. Output: [B, O].
        """
        outputs: Tensor = self.head(frames, mask)[0].double()
        if self.scale is None:
            return np.asarray(outputs.softmax(dim=-1))
        factor, offset = self.scale
        return np.asarray(outputs) * factor + offset


def load_saved(run: Run, fold: int, seed: int, roles: ColumnRoles) -> SavedModel:
    """Build one model of a run again.

    Args:
        run: The run.
        fold: Its number.
        seed: Of the model.
        roles: Which columns of a frame tell level and voicing: of the cache or the encoder.

    Raises:
        UsageError: There is no such model, or its head is fitted without epochs.
        SerError: Files are damaged, or of another version than the head.
    """
    model = run.model
    state = {name: tensor[None] for name, tensor in run.weights(fold, seed).items()}
    module = load_head(str(model.get("head")))
    if not hasattr(module, "Head"):
        raise UsageError(
            f"{run.id}: the head {model['head']} is fitted to one vector of each utterance and has "
            "no network to build again; give a run with another head"
        )
    try:
        chosen = model["chosen"][f"fold{fold}"]
        config = module.Config(**_fields(chosen["config"]))
        layers = tuple(map(str, chosen["layers"]))
        moments = state["standardise.mean"], state["standardise.deviation"]
        standardise = Standardise(*moments, len(layers))
        stack = Stack([torch.Generator()], [0.0])  # one model, without dropout
        head = module.Head(config, standardise.dim, len(model["labels"]), standardise, stack)
        head.load_state_dict(state)
    except (KeyError, TypeError, RuntimeError) as error:
        told = " ".join(str(error).split())
        raise SerError(
            f"the models of {run.path} do not fit the head {model['head']} of this version "
            f"({told}); train the head again"
        ) from error
    reducer = getattr(module, "reducer", None)
    return SavedModel(
        run=run.id,
        head=head.eval(),
        layers=layers,
        reduction=reducer(config, roles) if reducer else None,
        by_speaker=model.get("standardise") == "speaker",
        labels=tuple(model["labels"]),
        scale=_scale(model, fold, seed),
        temperature=float(model.get("temperatures", {}).get(f"fold{fold}.seed{seed}", 1.0)),
    )


def _fields(config: dict[str, Any]) -> dict[str, Any]:
    """Settings as the head's configuration takes them: JSON knows lists alone."""
    return {name: tuple(x) if isinstance(x, list) else x for name, x in config.items()}


def _scale(
    model: dict[str, Any], fold: int, seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    scale = model.get("output_scales", {}).get(f"fold{fold}.seed{seed}")
    return (np.array(scale["factor"]), np.array(scale["offset"])) if scale else None
