"""What stacked models learn: a loss to train on, and a score of validation to be chosen by.

Letters: K models, N utterances, V views, B utterances of a batch, C classes, E emotional dimensions
(valence, arousal, dominance), O outputs: C or E.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from heads.concordance import ccc_loss
from heads.dimensional_metrics import dimensional_scores, dimensional_tally
from heads.labels import majority, smooth
from heads.losses import Loss, class_weights, find_loss
from heads.temperature import fit_temperatures, log_probabilities

if TYPE_CHECKING:
    from heads.dimensions import DimensionTargets
    from heads.labels import ClassTargets
    from heads.train.config import RunConfig

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]
BatchLoss = Callable[[Tensor, npt.NDArray[np.int64], Tensor], tuple[Tensor, Tensor]]


class Objective(Protocol):
    """What K models learn from N utterances, and from V augmented views that follow them."""

    @property
    def targets(self) -> Doubles:
        """[N + V, O]."""
        ...

    @property
    def divisible(self) -> bool:
        """Whether a batch's loss is the mean of those of its utterances."""
        ...

    @property
    def score(self) -> str:
        """Name of what models are chosen by, the larger the better."""
        ...

    def at(self, rows: Sequence[int]) -> Self:
        """The objective of some of the models."""
        ...

    def batch_loss(self, device: str) -> BatchLoss:
        """Each model's mean loss over its own utterances of a batch.

        A function of the outputs [K, B, O], the utterances' positions [B], and which of them are
        whose own, [K, B]; outputs for others may be anything. It gives the losses [K], 0 where
        there is none, and what each counts for in the mean of an epoch [K].
        """
        ...

    def validate(self, outputs: Tensor, val: Bools) -> tuple[Doubles, Doubles]:
        """Each model's loss [K] and score [K] on its utterances val [K, N].

        Outputs [K, N, O] may be NaN elsewhere.
        """
        ...

    def predictions(self, outputs: Tensor) -> Doubles:
        """Outputs [K, N, O] as what they predict: probabilities, or values as annotated."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Classify:
    """Distributions over emotions.

    Attributes:
        targets: [N + V, C].
        weights: [K, C], class weights.
        loss: Of `heads.losses`.
        counts: [K, N + V], what each utterance and view counts for in its training loss, mean 1
            over a model's own; None for 1. Validation counts all alike.
        smoothing: Share of a target that the training loss spreads evenly; no other number does.
    """

    targets: Doubles
    weights: Doubles
    loss: Loss
    counts: Doubles | None = None
    smoothing: float = 0.0

    @property
    def divisible(self) -> bool:
        """It is."""
        return True

    @property
    def score(self) -> str:
        """Unweighted accuracy."""
        return "ua"

    def at(self, rows: Sequence[int]) -> Self:
        """The same for some of the models."""
        index = list(rows)
        counts = None if self.counts is None else self.counts[index]
        return replace(self, weights=self.weights[index], counts=counts)

    def batch_loss(self, device: str) -> BatchLoss:
        """The loss, by class weights and what utterances count for, on smoothed targets."""
        targets = torch.from_numpy(smooth(self.targets, self.smoothing)).float().to(device)
        weights = torch.from_numpy(self.weights).float().to(device)
        counts = None
        if self.counts is not None:
            counts = torch.from_numpy(self.counts).float().to(device)

        def loss(
            outputs: Tensor, indices: npt.NDArray[np.int64], own: Tensor
        ) -> tuple[Tensor, Tensor]:
            # What is no own is left out before the loss: 0 times infinity is no number.
            known = torch.where(own[:, :, None] > 0, outputs, 0.0)
            losses = self.loss(known, targets[indices], weights) * own
            if counts is not None:
                losses = losses * counts[:, indices]
            count = own.sum(dim=1)
            return losses.sum(dim=1) / count.clamp_min(1), count

        return loss

    def validate(self, outputs: Tensor, val: Bools) -> tuple[Doubles, Doubles]:
        """The loss on targets as they are, and UA."""
        targets = self.targets[: val.shape[1]]
        filled = torch.where(torch.from_numpy(val)[:, :, None], outputs, 0.0)
        losses = self.loss(
            filled, torch.from_numpy(targets).float(), torch.from_numpy(self.weights).float()
        )
        loss = (losses.double().numpy() * val).sum(axis=1) / val.sum(axis=1)
        truth = majority(targets)
        classes = np.eye(targets.shape[1])[truth] * (truth >= 0)[:, None]  # [N, C]
        hits = (filled.argmax(dim=-1).numpy() == truth) & val  # [K, N]
        support = val @ classes
        recall = np.divide(hits @ classes, support, where=support > 0, out=np.zeros_like(support))
        ua = recall.sum(axis=1) / np.maximum((support > 0).sum(axis=1), 1)
        return loss, ua

    def predictions(self, outputs: Tensor) -> Doubles:
        """Probabilities."""
        found: Doubles = outputs.softmax(dim=-1).double().numpy()
        return found

    def temperatures(self, predictions: Doubles, val: Bools) -> Doubles:
        """[K], what each model's logits would be divided by to be calibrated on validation.

        1 for a model that never gave a number.
        """
        logits = log_probabilities(np.nan_to_num(predictions))
        return fit_temperatures(logits, self.targets[: val.shape[1]], val)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regress:
    """Values of emotional dimensions, by concordance.

    Models give values in units of their training part's deviation from its mean: weights of any
    size serve any scale. CCC is the same in either unit.

    Attributes:
        targets: [N + V, E], NaN where a dimension is not annotated.
        names: [E].
        mean: [K, E], of each model's training part.
        deviation: [K, E].
    """

    targets: Doubles
    names: Sequence[str]
    mean: Doubles
    deviation: Doubles

    @property
    def divisible(self) -> bool:
        """Concordance is of all utterances of a batch."""
        return False

    @property
    def score(self) -> str:
        """Concordance, a mean over dimensions."""
        return "ccc"

    def at(self, rows: Sequence[int]) -> Self:
        """The same for some of the models."""
        index = list(rows)
        return replace(self, mean=self.mean[index], deviation=self.deviation[index])

    def batch_loss(self, device: str) -> BatchLoss:
        """1 - CCC of the batch."""
        targets = torch.from_numpy(self.targets).float().to(device)
        mean, deviation = (
            torch.from_numpy(x).float().to(device)[:, None] for x in (self.mean, self.deviation)
        )

        def loss(
            outputs: Tensor, indices: npt.NDArray[np.int64], own: Tensor
        ) -> tuple[Tensor, Tensor]:
            annotated = ~targets[indices].isnan()
            defined = ((own @ annotated.float()) > 1).any(dim=1)  # two values of a dimension
            losses = ccc_loss(outputs * deviation + mean, targets[indices], own)
            return losses, own.sum(dim=1) * defined

        return loss

    def validate(self, outputs: Tensor, val: Bools) -> tuple[Doubles, Doubles]:
        """1 - CCC and CCC, over all of the utterances and the dimensions that these define."""
        targets = self.targets[: val.shape[1]]
        predicted = self.predictions(outputs)
        broken = np.array(
            [~np.isfinite(x[rows]).all() for x, rows in zip(predicted, val, strict=True)]
        )
        tallies = [
            dimensional_tally(np.nan_to_num(own[rows], posinf=0.0, neginf=0.0), targets[rows]).sum(
                axis=0
            )
            for own, rows in zip(predicted, val, strict=True)
        ]
        scores = dimensional_scores(np.array(tallies), self.names)
        each = np.stack([scores[f"ccc_{name}"] for name in self.names], axis=-1)  # [K, E]
        defined = val @ (~np.isnan(targets)).astype(np.int64) >= 2  # [K, E]
        # Where both sides are the same constant, 0 as in the loss.
        ccc = np.where(defined, np.nan_to_num(each), 0.0).sum(axis=1) / defined.sum(axis=1)
        ccc[broken] = np.nan
        return 1 - ccc, ccc

    def predictions(self, outputs: Tensor) -> Doubles:
        """Values on the annotators' scale."""
        return outputs.double().numpy() * self.deviation[:, None] + self.mean[:, None]


def make_objective(
    config: RunConfig,
    targets: ClassTargets | DimensionTargets,
    train: Bools,
    view_of: npt.NDArray[np.int64],
    counts: Doubles | None = None,
) -> Objective:
    """What one model of each of F folds learns. A view has its utterance's target.

    Args:
        config: Names the loss; `auto` is not one.
        targets: Of the N utterances.
        train: [F, N + V].
        view_of: [V], the position of the utterance that each is a view of.
        counts: [F, N + V], what each counts for in training, if not all alike; not of dimensions.
    """
    values = np.concatenate([targets.values, targets.values[view_of]])
    if config.target == "dimensions":
        own = [targets.values[rows[: len(targets.values)]] for rows in train]
        return Regress(
            targets=values,
            names=targets.names,
            mean=np.array([np.nanmean(x, axis=0) for x in own]),
            deviation=np.array([np.nanstd(x, axis=0) for x in own]),
        )
    return Classify(
        targets=values,
        weights=class_weights(config.class_weights, values, train),
        loss=find_loss(config.loss),
        counts=counts,
        smoothing=config.labels.smoothing,
    )
