"""What runs are called in a page: by what sets them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from heads.analysis.leaderboard import corpus_told, labels_told, protocol_told

_HASH = 6  # letters of a run's id that tell it from one with the same name


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A run in a page.

    Attributes:
        anchor: Unique in the page, such as `run-1`.
        short: Unique in the page, such as `svm, official`.
        id: The run's own.
    """

    anchor: str
    short: str
    id: str


def name_runs(results: Sequence[Mapping[str, Any]]) -> list[Named]:
    """Names for runs: the head, and of protocol, encoder, corpus and labels what differs.

    Runs that are still alike carry the end of their ids, and a number where even these are.
    """
    parts = [[str(r["head"]["name"]), *(told(r) for told in _TELLING)] for r in results]
    varied = [0] + [i for i in range(1, 5) if len({own[i] for own in parts}) > 1]
    if len({own[0] for own in parts}) == 1 and len(varied) == 1:
        varied = [0, 1]
    names = [", ".join(own[i] for i in varied) for own in parts]
    names = _told_apart(names, [str(r["run_id"])[-_HASH:] for r in results])
    names = _told_apart(names, [str(n + 1) for n in range(len(results))])
    return [
        Named(anchor=f"run-{n + 1}", short=name, id=str(r["run_id"]))
        for n, (name, r) in enumerate(zip(names, results, strict=True))
    ]


def _told_apart(names: Sequence[str], marks: Sequence[str]) -> list[str]:
    seen = Counter(names)
    return [
        f"{name} ({mark})" if seen[name] > 1 else name
        for name, mark in zip(names, marks, strict=True)
    ]


_TELLING = (
    protocol_told,
    lambda r: str(r["cache"]["encoder"]["id"]),
    corpus_told,
    labels_told,
)
