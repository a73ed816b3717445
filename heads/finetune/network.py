"""Encoder and head as one network, and the optimiser of what of it is trained.

Letters: B utterances, T frames, D dimension, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from embedcache.errors import SerError, out_of_memory
from heads.finetune.clips import Clips, sorted_batches
from heads.stacked import Stack, Standardise

if TYPE_CHECKING:
    from embedcache.encoders import EncoderSpec, Samples, Tunable
    from heads.finetune.settings import Schedule
    from heads.models import HeadModule

TOO_LARGE = (
    "memory does not hold one clip; give --gradient-checkpointing, a smaller --set max_seconds, or "
    "--device cpu"
)
_SAMPLE = 256  # clips that the head's standardisation is taken from
_DEVIATION_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Network:
    """What is trained.

    Attributes:
        encoder: Its frames go to the head.
        head: A stack of one model.
        generator: What the head draws its dropout from.
    """

    encoder: Tunable
    head: nn.Module
    generator: torch.Generator

    def train(self, training: bool) -> None:
        """Draw dropout, or none."""
        self.encoder.train(training)
        self.head.train(training)

    def parameters(self) -> list[nn.Parameter]:
        """All that is trained."""
        return [*self.encoder.trained().values(), *self.head.parameters()]

    def state(self) -> dict[str, Tensor]:
        """What is trained, and what the head sees frames through, in copies on the CPU."""
        own = {f"encoder.{name}": t for name, t in self.encoder.state().items()}
        head = self.head.state_dict().items()
        return own | {f"head.{name}": t.detach().cpu().contiguous().clone() for name, t in head}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take what `state` gave."""
        self.encoder.load(below("encoder.", state))
        self.head.load_state_dict(below("head.", state))


def build(
    encoder: Tunable,
    module: HeadModule,
    config: Any,
    outputs: int,
    clips: Clips,
    schedule: Schedule,
    seed: int,
    device: str,
) -> Network:
    """Put a head on an encoder.

    Args:
        encoder: What is trained of it is chosen.
        module: The head.
        config: The head's own.
        outputs: O.
        clips: Those that train; the head standardises frames as the encoder gives them of these
            before it is trained.
        schedule: Says how long batches and clips may be.
        seed: Of the head's weights.
        device: Of `torch`.
    """
    mean, deviation = _moments(encoder, clips, schedule)
    generator = torch.Generator(device).manual_seed(seed)
    stack = Stack([generator], [getattr(config, "dropout", 0.0)])
    standardise = Standardise(mean[None], deviation[None]).to(device)
    head = module.Head(config, encoder.spec.dim, outputs, standardise, stack).to(device)
    return Network(encoder, head, generator)


@torch.no_grad()
def _moments(encoder: Tunable, clips: Clips, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """Mean and deviation per dimension, [D] each, over frames of some clips."""
    encoder.train(False)
    count = len(clips.lengths)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(int)).tolist()
    some = clips.at(chosen)
    limits = Limits.of(encoder.spec, schedule)
    batches = sorted_batches(limits.computed(some.lengths), limits.batch)
    total = torch.zeros(3, encoder.spec.dim, dtype=torch.float64)

    def hear(samples: list[Samples]) -> Tensor:
        with encoder.frames(samples) as (frames, mask):
            return frames[mask].double().cpu()

    for _, samples in some.batches(batches, middles(some.lengths.tolist(), limits.clip)):
        for own in in_parts(hear, samples):
            total += torch.stack(
                [torch.full_like(own[0], len(own)), own.sum(0), own.square().sum(0)]
            )
    mean = total[1] / total[0]
    deviation = (total[2] / total[0] - mean.square()).clamp_min(0).sqrt()
    deviation[deviation < _DEVIATION_FLOOR] = 1.0
    return mean.float(), deviation.float()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much audio is taken at once, in samples.

    Attributes:
        clip: The most of a clip.
        batch: The most of a batch, padding included.
        least: What every clip is padded to and computed as.
    """

    clip: int
    batch: int
    least: int

    @classmethod
    def of(cls, spec: EncoderSpec, schedule: Schedule) -> Limits:
        """Those of a schedule, within what the encoder can take."""
        longest = round(schedule.max_seconds * spec.rate_hz)
        return cls(
            clip=min(longest, spec.longest or longest),
            batch=round(schedule.batch_seconds * spec.rate_hz),
            least=spec.padded_to,
        )

    def computed(self, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """As how many samples clips of these lengths are computed."""
        found: npt.NDArray[np.int64] = np.clip(lengths, self.least, max(self.clip, self.least))
        return found


def in_parts(work: Callable[[list[Samples]], Tensor], samples: list[Samples]) -> Iterator[Tensor]:
    """What is made of clips, of all at once or, where memory does not hold it, of each half.

    Raises:
        SerError: Memory does not hold one clip.
    """
    try:
        yield work(samples)
        return
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if not out_of_memory(error):
            raise
        if len(samples) == 1:
            raise SerError(TOO_LARGE) from error
    half = len(samples) // 2
    yield from in_parts(work, samples[:half])
    yield from in_parts(work, samples[half:])


def middles(lengths: Sequence[int], longest: int) -> dict[int, tuple[int, int]]:
    """The middle of each clip that is too long, by position.

    >>> middles([5, 12], 10)
    {1: (1, 11)}
    """
    return {
        i: ((length - longest) // 2, (length - longest) // 2 + longest)
        for i, length in enumerate(lengths)
        if length > longest
    }


def make_optimiser(network: Network, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW with a learning rate for each layer; norms and biases do not decay.

    The last layer has `lr`, each one before it `layer_decay` of that; what follows the last layer
    goes with it, and what comes before the first is one layer more.
    K. Clark, M.-T. Luong, Q. V. Le, C. D. Manning (2020), ELECTRA, arXiv 2003.10555.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    encoder = network.encoder
    for name, parameter in encoder.trained().items():
        below = encoder.depth - min(encoder.level(name), encoder.depth)
        key = schedule.lr * schedule.layer_decay**below, parameter.dim() > 1
        groups.setdefault(key, []).append(parameter)
    for name, parameter in network.head.named_parameters():
        # A leading axis counts the models, of which there is one.
        decays = parameter.dim() > 2 and "bias" not in name
        groups.setdefault((schedule.head_lr, decays), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": own, "lr": lr, "peak": lr, "weight_decay": schedule.weight_decay * decays}
            for (lr, decays), own in groups.items()
        ]
    )


def rate(schedule: Schedule) -> Callable[[float], float]:
    """Of the full learning rate, by the share of the training that is done.

    >>> from heads.finetune.settings import Schedule
    >>> [round(rate(Schedule(warmup=0.5))(done), 2) for done in (0.25, 0.5, 0.75, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """

    def share(done: float) -> float:
        if done < schedule.warmup:
            return done / schedule.warmup
        left = (1 - done) / (1 - schedule.warmup)
        return left if schedule.schedule == "linear" else 1.0

    return share


def below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What of a state has a prefix, without it."""
    return {k.removeprefix(prefix): t for k, t in state.items() if k.startswith(prefix)}
