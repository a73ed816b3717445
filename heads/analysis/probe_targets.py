"""What probes are asked to read from vectors, and who tests whom.

Emotion, gender, age and corpus are read of speakers that the probe has not heard: else it could
recognise the voice and recall what it was told of it. The speaker can only be read of known voices,
so there the other clips of all speakers train; where speakers have read the same sentences, those
of other sentences. What chooses a probe's penalty is left out alike, within the training part.

Letters: N utterances, C classes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from heads.dealing import grouped, stratified
from heads.splits import DEFAULT_FOLDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Codes = npt.NDArray[np.int64]

FEWEST_SPEAKERS = 2  # of a class: one to train, one to test
FEWEST_CLIPS = 5  # of a speaker who is to be told from others
_MOST_PARTS = 3  # of a training part: each costs a decomposition
MOST_SPEAKERS = 100  # that are told from each other: every class costs time


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A property of utterances that a probe reads.

    Attributes:
        name: emotion, gender, age, corpus or speaker.
        classes: [C], their names.
        codes: [N], the class of each utterance; -1 where it has none.
        tests: Positions of the utterances that each fold tests; all others train it.
        inner: For each fold the parts of its training part that are left out in turn to choose a
            penalty; none where it cannot be divided.
        protocol: How folds were made, in words.
        by_speaker: Whether all clips of a speaker have one class.
        left_out: Classes that are not asked for, and why.
    """

    name: str
    classes: tuple[str, ...]
    codes: Codes
    tests: list[Codes]
    protocol: str
    inner: list[list[Codes]] = field(default_factory=list)
    by_speaker: bool = False
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def chance(self) -> float:
        """Unweighted accuracy of a guess."""
        return 1 / len(self.classes)


def make_targets(
    columns: Mapping[str, Sequence[str | None]],
    speakers: Sequence[str],
    sentences: Sequence[str | None],
    order: Sequence[str] = (),
    seed: int = 0,
) -> tuple[list[Target], dict[str, str]]:
    """Targets with their folds, the speaker last; those that cannot be probed, with the reason.

    All columns share folds, so that they can share what a probe computes.

    Args:
        columns: What is read of unheard speakers: the class of each utterance by name, [N] each.
        speakers: [N].
        sentences: [N].
        order: Of classes, as far as it has them; others follow by name.
        seed: Of the dealing.
    """
    reasons: dict[str, str] = {}
    found: list[Target] = []
    count = min(DEFAULT_FOLDS, len(set(speakers)))
    for name, values in columns.items():
        if count < 2:
            reasons[name] = "one speaker, and a probe is tested on speakers that it has not heard"
            continue
        target = _coded(name, values, speakers, order)
        _keep(target, target.left_out, found, reasons)
    if found:
        codes = np.stack([target.codes for target in found])
        strata = [" ".join(map(str, row)) for row in codes.T.tolist()]
        tests = grouped(strata, speakers, count, seed)
        inner = [_others(tests, fold) for fold in range(count)]
        found, dealt = [], found
        for target in dealt:
            target = replace(target, tests=tests, inner=inner, protocol=_of_speakers(count))
            _keep(*_trained_everywhere(target), found, reasons)
    speaker = _speaker_target(speakers, sentences, seed)
    _keep(speaker, speaker.left_out, found, reasons)
    return found, reasons


def _keep(
    target: Target, left_out: Mapping[str, str], found: list[Target], reasons: dict[str, str]
) -> None:
    """Put a target among those that can be probed, or the reason among those that cannot."""
    if len(target.classes) > 1:
        found.append(target)
        return
    told = [f"{name}: {why}" for name, why in left_out.items()]
    if target.classes:
        told.insert(0, f"one class, {target.classes[0]}")
    reasons[target.name] = "; ".join(told[:3]) or "no utterance has one"


def _others(tests: Sequence[Codes], fold: int) -> list[Codes]:
    """What other folds test, in two or three parts; none where there is one other fold.

    Two halves where there are more: they cost least, and choose no worse than four quarters.
    """
    rest = [test for place, test in enumerate(tests) if place != fold]
    if len(rest) > _MOST_PARTS:
        middle = len(rest) // 2
        return [np.concatenate(rest[:middle]), np.concatenate(rest[middle:])]
    return rest if len(rest) > 1 else []


def _of_speakers(count: int) -> str:
    return f"{count} folds, no speaker in training and test"


def _coded(
    name: str, values: Sequence[str | None], speakers: Sequence[str], order: Sequence[str]
) -> Target:
    """A target of the classes that enough speakers have; folds are still to be dealt."""
    voices: dict[str, set[str]] = {}
    for value, speaker in zip(values, speakers, strict=True):
        if value is not None:
            voices.setdefault(value, set()).add(speaker)
    names = [label for label in order if label in voices]
    names += sorted(voices.keys() - set(names))
    left_out = {
        label: f"{len(voices[label])} speaker, and it takes {FEWEST_SPEAKERS}"
        for label in names
        if len(voices[label]) < FEWEST_SPEAKERS
    }
    classes = tuple(label for label in names if label not in left_out)
    place = {label: code for code, label in enumerate(classes)}
    codes = np.array([place.get(value or "", -1) for value in values], np.int64)
    pairs = {(s, c) for s, c in zip(speakers, codes.tolist(), strict=True) if c >= 0}
    return Target(
        name=name,
        classes=classes,
        codes=codes,
        tests=[],
        protocol="",
        by_speaker=len({speaker for speaker, _ in pairs}) == len(pairs),
        left_out=left_out,
    )


def _trained_everywhere(target: Target) -> tuple[Target, dict[str, str]]:
    """The target without classes that some fold tests and no clip trains there."""
    everyone = np.arange(len(target.codes))
    lacking: set[int] = set()
    for test in target.tests:
        train = np.setdiff1d(everyone, test)
        lacking |= set(target.codes[test].tolist()) - set(target.codes[train].tolist()) - {-1}
    if not lacking:
        return target, target.left_out
    kept = [code for code in range(len(target.classes)) if code not in lacking]
    codes = np.full_like(target.codes, -1)
    for new, old in enumerate(kept):
        codes[target.codes == old] = new
    why = dict.fromkeys(
        (target.classes[code] for code in sorted(lacking)), "all its speakers are in one fold"
    )
    left_out = target.left_out | why
    classes = tuple(target.classes[code] for code in kept)
    return replace(target, classes=classes, codes=codes, left_out=left_out), left_out


def _speaker_target(speakers: Sequence[str], sentences: Sequence[str | None], seed: int) -> Target:
    """The speaker as a target, of those that have enough clips."""
    clips = Counter(speakers)
    few = {s: f"{n} clips, and it takes {FEWEST_CLIPS}" for s, n in clips.items()
           if n < FEWEST_CLIPS}  # fmt: skip
    ranked = [s for s, _ in sorted(clips.items(), key=lambda item: (-item[1], item[0]))]
    chosen = [s for s in ranked if s not in few]
    many = f"not among the {MOST_SPEAKERS} speakers with the most clips"
    left_out = few | dict.fromkeys(chosen[MOST_SPEAKERS:], many)
    classes = tuple(sorted(chosen[:MOST_SPEAKERS]))
    place = {speaker: code for code, speaker in enumerate(classes)}
    codes = np.array([place.get(speaker, -1) for speaker in speakers], np.int64)
    rows = np.flatnonzero(codes >= 0)
    tests, told = _speaker_folds(rows, codes, sentences, seed) if len(classes) > 1 else ([], "")
    return Target(
        name="speaker",
        classes=classes,
        codes=codes,
        tests=tests,
        inner=[
            _others(tests, fold) or _halves(codes, tests, fold, seed) for fold in range(len(tests))
        ],
        protocol=told,
        left_out=left_out,
    )


def _halves(codes: Codes, tests: Sequence[Codes], fold: int, seed: int) -> list[Codes]:
    """Both halves of a training part of one sentence, every speaker in either."""
    rest = np.setdiff1d(np.flatnonzero(codes >= 0), tests[fold])
    parts = stratified([str(code) for code in codes[rest].tolist()], 2, seed)
    return [rest[part] for part in parts]


def _speaker_folds(
    rows: Codes, codes: Codes, sentences: Sequence[str | None], seed: int
) -> tuple[list[Codes], str]:
    """Folds in which every speaker trains: across sentences where all speakers allow it."""
    said = [sentences[row] for row in rows]
    names = [sentence for sentence in said if sentence is not None]
    own = codes[rows]
    if len(names) == len(said) and len(set(names)) > 1:
        count = min(DEFAULT_FOLDS, len(set(names)))
        parts = grouped([str(code) for code in own.tolist()], names, count, seed)
        if all(set(own[part]) <= set(np.delete(own, part)) for part in parts):
            told = f"{count} folds, no sentence in training and test, every speaker in both"
            return [rows[part] for part in parts], told
    parts = stratified([str(code) for code in own.tolist()], DEFAULT_FOLDS, seed)
    told = f"{DEFAULT_FOLDS} folds over utterances, every speaker in training and test"
    return [rows[part] for part in parts], told
