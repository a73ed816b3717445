"""Tables of predictions with a known truth: what intervals and tests are tried on.

Every clip is right with a probability that is known:

    accuracy +- gap / 2 +- difference / 2 + speaker + speaker in this run + ambiguity

with + for the first group of speakers and for the first run. The terms of speakers are drawn anew
in each repetition, normal but cut on either side and scaled back to the standard deviation that was
asked for. They are symmetric, so their mean is 0, and bounded, so that no probability has to be
clipped (a design that would need it is refused); the terms of ambiguity add up to 0 over each
speaker's clips of each class. So the expected accuracy of a group is what was planted, exactly.
Every speaker has as many clips of one class as of another and errors go to all other classes alike,
so UA and WA have the same expectation and the same planted gaps.

Letters: M repetitions, R runs, S seeds, N utterances, G speakers, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from embedcache.errors import UsageError
from heads.analysis.tested import Tested

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = npt.NDArray[np.float64]

GROUPS = ("a", "b")
FOLDS = 5
_CHUNK = 2_000_000  # clips drawn at once
_CONFIDENCE = 0.5, 0.95  # of the predicted class, drawn evenly: it is always the largest


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is planted. Accuracies, gaps and spreads are fractions.

    Attributes:
        speakers: In group a, in group b.
        clips: Of each class, of each speaker: dealt to the speakers of each group in turn, so that
            (5,) gives all the same and (5, 15) every second speaker thrice as many.
        classes: C.
        accuracy: Mean of the two groups and of the first run and any other.
        gap: Group a minus group b, in every run.
        difference: The first run minus each other run, in every group.
        spread: Standard deviation of speakers' accuracies in group a, in group b.
        run_spread: Of what a speaker has in one run apart from the others.
        runs: R, on the same utterances.
        seeds: S, which share speakers' accuracies.
        common: Share of clips on which a run's seed goes by what all runs and seeds go by, so that
            they are right and wrong together. Of two, both do on common^2 of the clips.
        cut: Where speakers' terms are cut, in standard deviations before scaling back.
        agreement: Shares of the votes that the true class has, each more than half; the rest go to
            the next class. A speaker's clips of a class have them in turn.
        cost: How much accuracy is lost from the first of these shares to the last, in equal steps.
    """

    speakers: tuple[int, int] = (12, 12)
    clips: tuple[int, ...] = (15,)
    classes: int = 4
    accuracy: float = 0.6
    gap: float = 0.0
    difference: float = 0.0
    spread: tuple[float, float] = (0.1, 0.1)
    run_spread: float = 0.0
    runs: int = 1
    seeds: int = 1
    common: float = 0.5
    cut: float = 2.0
    agreement: tuple[float, ...] = (1.0,)
    cost: float = 0.0

    def __post_init__(self) -> None:
        if min(self.agreement) <= 0.5 or max(self.agreement) > 1:
            raise UsageError(
                f"agreement {self.agreement}: give shares above 0.5, so that the true class has "
                "most votes, up to 1"
            )
        if any(n < 1 or n % len(self.agreement) for n in self.clips):
            raise UsageError(
                f"clips {self.clips}: give multiples of {len(self.agreement)}, the number of "
                "shares in agreement, so that each speaker and class has all of them alike"
            )
        reach = abs(self.gap) + abs(self.difference) * (self.runs > 1) + abs(self.cost)
        effects = self.cut / _cut_shrinks_to(self.cut) * (max(self.spread) + self.run_spread)
        low, high = (self.accuracy + sign * (reach / 2 + effects) for sign in (-1, 1))
        if low < 0 or high > 1:
            raise UsageError(
                f"accuracy {self.accuracy:g} with these gaps and spreads goes from {low:.3f} to "
                f"{high:.3f}: keep it within 0 and 1, or it would be clipped and what is planted "
                "would not be exact"
            )

    def truth(self, group: int, run: int = 0) -> float:
        """The expected UA and WA of a group (0 or 1) in a run."""
        sides = self.gap * (0.5 - group), self.difference * (0.5 - (run > 0)) * (self.runs > 1)
        return self.accuracy + sum(sides)

    def speaker_variance(self, group: int) -> float:
        """Variance over speakers of their measured accuracy in a run, seeds averaged.

        Of what speakers are, and of E p (1 - p) over their clips; with clips alike for all, and for
        the mean number of clips where they are not.
        """
        own = self.spread[group] ** 2 + self.run_spread**2
        mean = self.truth(group)
        within = mean * (1 - mean) - own - float(np.var(_level_terms(self)))
        alike = 1 / self.seeds + (1 - 1 / self.seeds) * self.common**2
        return own + within * alike / (self.classes * float(np.mean(self.clips)))

    def entropies(self) -> Array:
        """Entropy of the votes at each share of `agreement`, in nats."""
        shares = np.array(self.agreement)
        return np.array(stats.entropy([shares, 1 - shares]), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """Repetitions of a design.

    Attributes:
        design: What was planted.
        group_of: [G], 0 or 1.
        speaker_of: [N], positions among the speakers.
        truth: [N], the true class.
        level: [N], positions in `agreement`.
        guesses: [M, R, S, N], the predicted class.
    """

    design: Design
    group_of: npt.NDArray[np.int64]
    speaker_of: npt.NDArray[np.int64]
    truth: npt.NDArray[np.int64]
    level: npt.NDArray[np.int64]
    guesses: npt.NDArray[np.uint8]

    def right(self) -> npt.NDArray[np.bool_]:
        """Whether the predicted class is the true one: [M, R, S, N]."""
        right: npt.NDArray[np.bool_] = self.guesses == self.truth
        return right

    def confusions(self) -> Array:
        """Confusion matrices of speakers (row truth, column prediction): [M, R, S, G, C, C]."""
        classes, speakers = self.design.classes, len(self.group_of)
        shape = *self.guesses.shape[:3], speakers, classes, classes
        cells = (self.speaker_of * classes + self.truth) * classes
        counted = [
            np.bincount(cells + row, minlength=speakers * classes**2)
            for row in self.guesses.reshape(-1, len(self.truth))
        ]
        return np.array(counted, np.float64).reshape(shape)

    def groups(self) -> list[str]:
        """The name of each utterance's group: [N]."""
        return [GROUPS[group] for group in self.group_of[self.speaker_of]]


def plant(design: Design, repetitions: int, seed: int = 0) -> Outcomes:
    """Draw repetitions of a design: the same utterances, other speakers' effects, other errors.

    One uniform number u decides a clip: it is right where u is below its probability p, and else
    (u - p) / (1 - p) chooses among the other classes. Runs and seeds that share u are right, and
    mistaken, together.
    """
    rng = np.random.default_rng(seed)
    group_of = np.repeat([0, 1], design.speakers)
    clips = np.array([n for size in design.speakers for n in _dealt(design.clips, size)], int)
    speaker_of = np.repeat(np.arange(len(clips)), clips * design.classes)
    truth = np.concatenate([np.tile(np.arange(design.classes), n) for n in clips])
    level = np.concatenate([np.arange(n).repeat(design.classes) for n in clips])
    level %= len(design.agreement)
    guesses = np.empty((repetitions, design.runs, design.seeds, len(truth)), np.uint8)
    for rows in _chunks(repetitions, guesses[0].size if repetitions else 1):
        chances = _speaker_chances(design, group_of, len(guesses[rows]), rng)
        clip_chances = chances[..., speaker_of] + _level_terms(design)[level]  # [M, R, N]
        guesses[rows] = _guesses(design, clip_chances[:, :, None], truth, rng)
    return Outcomes(
        design=design,
        group_of=group_of,
        speaker_of=speaker_of,
        truth=truth,
        level=level,
        guesses=guesses,
    )


def planted_run(outcomes: Outcomes, repetition: int = 0, run: int = 0) -> Tested:
    """One run of one repetition, with probabilities and votes, as it is read from a run folder.

    The predicted class has between 0.5 and 0.95; the rest is spread over the others at random.
    """
    design = outcomes.design
    guesses = outcomes.guesses[repetition, run].astype(np.int64)  # [S, N]
    rng = np.random.default_rng([repetition, run])
    rest = rng.dirichlet(np.ones(design.classes - 1), guesses.shape)
    confidence = rng.uniform(*_CONFIDENCE, guesses.shape)[..., None]
    others = (guesses[..., None] + np.arange(1, design.classes)) % design.classes
    predictions = np.zeros((*guesses.shape, design.classes))
    np.put_along_axis(predictions, guesses[..., None], confidence, axis=-1)
    np.put_along_axis(predictions, others, rest * (1 - confidence), axis=-1)
    count, rows = len(outcomes.truth), np.arange(len(outcomes.truth))
    share = np.array(design.agreement)[outcomes.level]
    targets = np.zeros((count, design.classes))
    targets[rows, outcomes.truth] = share
    targets[rows, (outcomes.truth + 1) % design.classes] = 1 - share
    return Tested(
        labels=tuple(f"class{c}" for c in range(design.classes)),
        ids=np.array([f"clip{n:05}" for n in rows], str),
        speakers=np.array([f"s{g:03}" for g in range(len(outcomes.group_of))])[outcomes.speaker_of],
        folds=outcomes.speaker_of % FOLDS,
        targets=targets,
        predictions=predictions,
    )


def prediction_table(run: Tested) -> pd.DataFrame:
    """A run as the table in its folder: id, speaker, fold, seed, true_<label>, pred_<label>."""
    tables = []
    for seed, predictions in enumerate(run.predictions):
        table = pd.DataFrame({"id": run.ids, "speaker": run.speakers, "fold": run.folds})
        table["seed"] = seed
        table[[f"true_{label}" for label in run.labels]] = run.targets
        table[[f"pred_{label}" for label in run.labels]] = predictions
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def speaker_effects(rng: np.random.Generator, shape: tuple[int, ...], cut: float) -> Array:
    """Normal numbers that are cut on either side and scaled: mean 0, standard deviation 1."""
    low = stats.norm.cdf(-cut)
    effects: Array = stats.norm.ppf(rng.uniform(low, 1 - low, shape)) / _cut_shrinks_to(cut)
    return effects


def _speaker_chances(
    design: Design, group_of: npt.NDArray[np.int64], count: int, rng: np.random.Generator
) -> Array:
    """How often each speaker is right in each run: [M, R, G]."""
    planted = np.array(
        [[design.truth(group, run) for group in group_of] for run in range(design.runs)]
    )
    spread = np.array(design.spread)[group_of]
    own = speaker_effects(rng, (count, 1, len(group_of)), design.cut) * spread
    of_run = speaker_effects(rng, (count, *planted.shape), design.cut) * design.run_spread
    chances: Array = planted + own + of_run
    return chances


def _level_terms(design: Design) -> Array:
    """What each level of agreement adds to the chance of being right; they add up to 0."""
    if len(design.agreement) == 1:
        return np.zeros(1)
    return np.linspace(design.cost / 2, -design.cost / 2, len(design.agreement))


def _guesses(
    design: Design, chances: Array, truth: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Predicted classes: [M, R, 1, N] chances of being right give [M, R, S, N]."""
    shape = len(chances), design.runs, design.seeds, len(truth)
    u = rng.random(shape)
    if design.common and design.runs * design.seeds > 1:
        together = rng.random(shape) < design.common
        u = np.where(together, rng.random((shape[0], 1, 1, shape[3])), u)
    excess = (u - chances) / (1 - np.minimum(chances, 1 - 1e-12))
    others = design.classes - 1
    step = np.where(u < chances, 0, 1 + np.minimum((excess * others).astype(int), others - 1))
    return ((truth + step) % design.classes).astype(np.uint8)


def _cut_shrinks_to(cut: float) -> float:
    """The standard deviation of standard normal numbers that are cut."""
    return float(stats.truncnorm.std(-cut, cut))


def _dealt(clips: tuple[int, ...], speakers: int) -> list[int]:
    return [clips[g % len(clips)] for g in range(speakers)]


def _chunks(repetitions: int, clips_each: int) -> Iterator[slice]:
    rows = max(1, _CHUNK // clips_each)
    return (slice(start, start + rows) for start in range(0, repetitions, rows))
