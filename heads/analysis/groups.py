"""Groups of utterances: how well each is recognised, which are large enough, which is worst off.

Predictions of all folds and seeds are pooled before a rate is taken, and uncertainty is over
speakers: clips of one speaker are no independent witnesses.

Letters: N utterances, C classes, K values of a tally, P parts: a speaker's utterances in a group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from embedcache.errors import UsageError
from heads.analysis.estimates import number
from heads.analysis.rates import PER_CLASS, WHOLE, clips_of, count_by, rates, supports
from heads.intervals import jackknife

if TYPE_CHECKING:
    from heads.analysis.tested import Tested

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """How large a group must be to be compared.

    Attributes:
        speakers: Fewest speakers; of one, nobody knows how the next would be.
        clips: Fewest clips that are scored.
    """

    speakers: int = 2
    clips: int = 10

    def __post_init__(self) -> None:
        if self.speakers < 2:
            raise UsageError(
                f"--min-speakers {self.speakers}: every interval is over speakers; give 2 or more"
            )
        if self.clips < 1:
            raise UsageError(f"--min-clips {self.clips}: give 1 or more")

    def too_small(self, group: Mapping[str, Any], of_speakers: bool) -> str | None:
        """Why a group's record is left out of gaps; None where it is large enough.

        Args:
            group: Its record.
            of_speakers: Whether the groups are single speakers.
        """
        told = []
        if group["speakers"] < self.speakers and not of_speakers:
            told.append(f"{_counted(group['speakers'], 'speaker')}, fewer than {self.speakers}")
        if group["n"] < self.clips:
            told.append(f"{_counted(group['n'], 'clip')}, fewer than {self.clips}")
        return "; ".join(told) or None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grouping:
    """Utterances by group and speaker.

    Attributes:
        column: What they are grouped by.
        labels: [C], names of the classes.
        names: Of the groups, sorted.
        speakers: Names of all speakers, sorted.
        group_of: [P], positions in `names`.
        speaker_of: [P], positions in `speakers`.
        tallies: [P, K], summed over seeds; a part without a scored utterance is not in.
        seeds: How many were summed.
        missing: Number of utterances without a value.
    """

    column: str
    labels: tuple[str, ...]
    names: tuple[str, ...]
    speakers: tuple[str, ...]
    group_of: npt.NDArray[np.int64]
    speaker_of: npt.NDArray[np.int64]
    tallies: Array
    seeds: int
    missing: int

    def group(self, name: str) -> Array:
        """Tallies of the speakers of a group, in the order of their names: [G, K]."""
        tallies: Array = self.tallies[self.group_of == self.names.index(name)]
        return tallies

    def pair(self, first: str, second: str) -> tuple[Array, Array, int]:
        """Two groups' tallies by speaker, and how many speakers stand in both.

        Where some do, both have a row for each speaker of either, zeros where one is not in it.

        Shape:
            Output: [G1, K] and [G2, K], or both [G, K].
        """
        parts = [self.group_of == self.names.index(name) for name in (first, second)]
        a, b = (self.speaker_of[part] for part in parts)
        crossed = len(np.intersect1d(a, b))
        if not crossed:
            return self.tallies[parts[0]], self.tallies[parts[1]], 0
        everyone = np.union1d(a, b)
        filled = []
        for part, own in zip(parts, (a, b), strict=True):
            rows = np.zeros((len(everyone), self.tallies.shape[1]))
            rows[np.searchsorted(everyone, own)] = self.tallies[part]
            filled.append(rows)
        return filled[0], filled[1], crossed


def group_by(tested: Tested, column: str, values: Sequence[str | None]) -> Grouping:
    """Put utterances into groups.

    Args:
        tested: The utterances.
        column: What they are grouped by.
        values: [N], the group of each; None where it is not known.
    """
    names = sorted({value for value in values if value is not None})
    codes = {name: number for number, name in enumerate(names)}
    groups = np.array([-1 if value is None else codes[value] for value in values], np.int64)
    speakers, speaker_of = tested.speaker_names, tested.speaker_codes
    known = groups >= 0
    parts, place = np.unique(groups[known] * len(speakers) + speaker_of[known], return_inverse=True)
    cells = np.full(len(groups), -1, np.int64)
    cells[known] = place
    tallies = count_by(tested, cells, len(parts))
    scored = clips_of(tallies, len(tested.labels)) > 0
    group_of, own = np.divmod(parts[scored], len(speakers))
    return Grouping(
        column=column,
        labels=tested.labels,
        names=tuple(names),
        speakers=tuple(speakers),
        group_of=group_of,
        speaker_of=own,
        tallies=tallies[scored],
        seeds=len(tested.predictions),
        missing=int((~known).sum()),
    )


def group_records(grouping: Grouping, minimum: Minimum) -> dict[str, dict[str, Any]]:
    """Each group's rates with intervals over its speakers, and why it is too small, if it is."""
    of_speakers = grouping.column == "speaker"
    found = {}
    for name in grouping.names:
        record = score_record(grouping.group(name), grouping.labels, grouping.seeds)
        found[name] = {**record, "too_small": minimum.too_small(record, of_speakers)}
    return found


def score_record(by_speaker: Array, labels: Sequence[str], seeds: int) -> dict[str, Any]:
    """The rates of some speakers together: n (clips that are scored), speakers, ua, wa, ...

    `support` holds how many of the clips are of each emotion.

    Args:
        by_speaker: [G, K], tallies summed over seeds.
        labels: Names of the classes.
        seeds: How many were summed.
    """
    total = by_speaker.sum(axis=0)
    found = rates(total, labels)
    clips = clips_of(by_speaker, len(labels))
    intervals: dict[str, tuple[float, float] | None] = dict.fromkeys(WHOLE)
    if len(by_speaker):
        intervals = jackknife(by_speaker, lambda tallies: _whole(tallies, labels), {}, clips)
    return {
        "n": round(float(clips.sum()) / seeds),
        "speakers": len(by_speaker),
        **{name: number(found[name]) for name in WHOLE},
        **{
            family: {label: number(found[f"{family}:{label}"]) for label in labels}
            for family in PER_CLASS
        },
        "support": {
            label: round(float(count) / seeds)
            for label, count in zip(labels, supports(total, len(labels)), strict=True)
        },
        "ci95": {name: list(edges) if edges else None for name, edges in intervals.items()},
    }


def large_enough(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the groups that are compared."""
    return [name for name, record in records.items() if record["too_small"] is None]


def equalised_odds(records: Mapping[str, Mapping[str, Any]], minimum: Minimum) -> dict[str, Any]:
    """The largest gap in recall or false-positive rate, over emotions and groups.

    Each emotion against the rest, as fairlearn defines it for two classes: the larger of the two
    rates' differences between the largest and the smallest group value (M. Hardt et al. 2016,
    arXiv 1610.02413). It is the largest of many, so that it is far from 0 by chance alone. Rates
    of fewer clips than a group must have are left out: a recall over one clip is 0 or 1.

    Args:
        records: Of the groups.
        minimum: How many clips a rate must be over.

    Returns:
        difference, emotion, rate (recall or fpr), a (where it is highest) and b (lowest); or
        None for what there is not, and a reason.
    """
    groups = large_enough(records)
    nothing: dict[str, Any] = dict.fromkeys(("difference", "emotion", "rate", "a", "b"))
    if len(groups) < 2:
        return nothing | {"reason": "fewer than two groups to compare"}
    best = nothing | {
        "reason": f"no emotion has a rate over {_counted(minimum.clips, 'clip')} in two groups"
    }
    for rate in ("recall", "fpr"):
        for emotion in records[groups[0]][rate]:
            known = {
                name: records[name][rate][emotion]
                for name in groups
                if _clips_of_rate(records[name], rate, emotion) >= minimum.clips
            }
            if len(known) < 2:
                continue
            a, b = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
            difference = known[a] - known[b]
            if difference > (best["difference"] or 0):
                best = {"difference": difference, "emotion": emotion, "rate": rate, "a": a, "b": b}
            elif best["difference"] is None:
                best = nothing | {"difference": 0.0, "reason": "all groups have the same rates"}
    return best


def _clips_of_rate(record: Mapping[str, Any], rate: str, emotion: str) -> int:
    """How many clips a rate is over: a recall those of the emotion, the other rate all others."""
    own: int = record["support"][emotion]
    return own if rate == "recall" else record["n"] - own


def worst_groups(records: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any] | None]:
    """Per metric the group that is worst off; None where all have the same score, or one has."""
    groups = large_enough(records)
    found: dict[str, dict[str, Any] | None] = {}
    for metric in WHOLE:
        scores = {name: records[name][metric] for name in groups}
        known = {name: score for name, score in scores.items() if score is not None}
        found[metric] = None
        if len(set(known.values())) > 1:
            choose = max if metric == "ece" else min
            name = choose(known, key=known.__getitem__)
            found[metric] = {"value": name, "score": known[name]}
    return found


def speaker_spread(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How UA is spread over speakers who have enough clips.

    Args:
        records: Of the groups that are single speakers.

    Returns:
        n, left_out, mean, std (n - 1), quartiles (linear interpolation), lowest and highest speaker
        (None, with a reason, where nobody differs), and speakers with n, ua and wa of each.
    """
    chosen = {name: records[name] for name in large_enough(records)}
    scores = {name: own["ua"] for name, own in chosen.items() if own["ua"] is not None}
    values = np.array(list(scores.values()), np.float64)
    spread: dict[str, Any] = {
        "n": len(values),
        "left_out": len(records) - len(values),
        "mean": float(values.mean()) if values.size else None,
        "std": float(values.std(ddof=1)) if values.size > 1 else None,
        "quartiles": np.quantile(values, [0.25, 0.5, 0.75]).tolist() if values.size else None,
        "lowest": None,
        "highest": None,
        "speakers": {
            name: {key: own[key] for key in ("n", "ua", "wa")} for name, own in chosen.items()
        },
    }
    if len(set(scores.values())) > 1:
        for side, choose in (("lowest", min), ("highest", max)):
            name = choose(scores, key=scores.__getitem__)
            spread[side] = {"speaker": name, "ua": scores[name]}
    else:
        spread["reason"] = "no two speakers with enough clips differ"
    return spread


def _whole(tallies: Array, labels: Sequence[str]) -> dict[str, Array]:
    found = rates(tallies, labels)
    return {name: found[name] for name in WHOLE}


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
