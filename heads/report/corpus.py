"""A corpus in numbers, before anything is encoded: `ser corpora check`."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from statistics import median
from typing import TYPE_CHECKING, Any

from embedcache.corpora import read_corpus
from embedcache.errors import unknown_name
from embedcache.inspection import Heard, listen, same_audio
from embedcache.request import progress_bar
from heads.agreement import krippendorff_alpha, majority_share, vote_entropy
from heads.labels import majority, vote_table
from heads.report.tables import render_cells

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from embedcache.utterance import Utterance

FORMATS = ("table", "json")
COLUMNS = ("gender", "session", "language")
_CHANNELS = {"1": "mono", "2": "stereo"}
_SHOWN = 10


def check_corpus(corpus: str, root: Path, form: str) -> tuple[str, bool]:
    """Read a corpus and every clip of it; the report, and whether every clip can be used.

    Raises:
        UsageError: There is no such corpus, root or format.
        SerError: The corpus cannot be read.
    """
    if form not in FORMATS:
        raise unknown_name("--format", form, FORMATS)
    utterances = read_corpus(corpus, root)
    with progress_bar(len(utterances), "listening") as bar:
        heard = listen(utterances, bar.update)
    record = corpus_record(corpus, heard)
    text = (
        json.dumps(record, indent=2, ensure_ascii=False)
        if form == "json"
        else _to_text(record, f"{corpus} in {root}")
    )
    return text, not record["unusable"]


def corpus_record(corpus: str, heard: Sequence[Heard]) -> dict[str, Any]:
    """Counts of a corpus, as JSON values."""
    utterances = [clip.utterance for clip in heard]
    usable = [clip for clip in heard if not clip.fault]
    lengths = [clip.seconds for clip in usable]
    unusable: dict[str, list[str]] = defaultdict(list)
    for clip in heard:
        if clip.fault:
            unusable[clip.fault].append(clip.utterance.id)
    return {
        "corpus": corpus,
        "utterances": len(heard),
        "seconds": {
            "total": sum(lengths),
            "shortest": min(lengths, default=None),
            "median": median(lengths) if lengths else None,
            "longest": max(lengths, default=None),
        },
        "labels": _labels(heard),
        "speakers": dict(Counter(u.speaker for u in utterances if u.speaker)),
        "without_speaker": sum(not u.speaker for u in utterances),
        "ages": _span([u.age for u in utterances if u.age is not None]),
        **{column: _counts([getattr(u, column) for u in utterances]) for column in COLUMNS},
        "rates_hz": _counts([str(clip.rate_hz) for clip in usable]),
        "channels": _counts([str(clip.channels) for clip in usable]),
        "folds": _folds(utterances),
        "votes": _votes(utterances),
        "same_audio": [_twins(group) for group in same_audio(usable)],
        "unusable": dict(unusable),
    }


def _labels(heard: Sequence[Heard]) -> dict[str, dict[str, float]]:
    clips: dict[str, list[Heard]] = defaultdict(list)
    for clip in heard:
        clips[clip.utterance.label or "(no majority)"].append(clip)
    return {
        label: {
            "clips": len(own),
            "speakers": len({c.utterance.speaker for c in own if c.utterance.speaker}),
            "minutes": sum(c.seconds for c in own) / 60,
        }
        for label, own in sorted(clips.items())
    }


def _folds(utterances: Sequence[Utterance]) -> dict[str, dict[str, int]]:
    """Sizes of each published fold, and how many test speakers also train or validate."""
    folds = {}
    for name in dict.fromkeys(fold for u in utterances for fold in u.folds):
        roles = Counter(u.folds.get(name) for u in utterances)
        tested = {u.speaker for u in utterances if u.folds.get(name) == "test" and u.speaker}
        seen = {u.speaker for u in utterances if u.folds.get(name) in ("train", "val")}
        folds[name] = {
            **{role: roles[role] for role in ("train", "val", "test")},
            "test_speakers": len(tested),
            "speakers_shared": len(tested & seen),
        }
    return dict(sorted(folds.items(), key=lambda item: (len(item[0]), item[0])))


def _votes(utterances: Sequence[Utterance]) -> dict[str, Any] | None:
    _, counts = vote_table(utterances)
    counts = counts[counts.sum(axis=1) > 0]
    if not len(counts):
        return None
    alpha, compared = krippendorff_alpha(counts)
    return {
        "utterances": len(counts),
        "per_utterance": float(counts.sum(axis=1).mean()),
        "tied": int((majority(counts) < 0).sum()),
        "majority_share": float(majority_share(counts).mean()),
        "entropy_bits": float(vote_entropy(counts).mean()),
        "krippendorff_alpha": alpha,
        "alpha_utterances": compared,
    }


def _twins(group: Sequence[Utterance]) -> dict[str, Any]:
    return {
        "ids": [u.id for u in group],
        "speakers": sorted({u.speaker or "" for u in group}),
        "labels": sorted({u.label or "" for u in group}),
    }


def _counts(values: Sequence[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(value for value in values if value).items()))


def _span(values: Sequence[float]) -> list[float] | None:
    return [min(values), max(values)] if values else None


def _to_text(record: dict[str, Any], title: str) -> str:
    seconds = record["seconds"]
    lines = [f"{title}: {record['utterances']} utterances, {_duration(seconds['total'])}"]
    if seconds["total"]:
        spread = " / ".join(f"{seconds[x]:.2f}" for x in ("shortest", "median", "longest"))
        lines[0] += f"; {spread} s (shortest, median, longest)"
    rows = [
        [label, str(own["clips"]), str(own["speakers"] or "?"), f"{own['minutes']:.1f}"]
        for label, own in record["labels"].items()
    ]
    lines += ["", render_cells(["label", "clips", "speakers", "minutes"], rows, markdown=False), ""]
    facts = {
        "speakers": _speakers(record),
        **{column: _listed(record[column]) for column in COLUMNS},
        "ages": "{:g} to {:g}".format(*record["ages"]) if record["ages"] else "",
        "rates": _listed({f"{rate} Hz": n for rate, n in record["rates_hz"].items()}),
        "channels": _listed({_CHANNELS.get(x, x): n for x, n in record["channels"].items()}),
        "votes": _voted(record["votes"]),
    }
    lines += [f"{name:<12}{text}" for name, text in facts.items() if text]
    lines += [f"{'fold ' + name:<11} {_fold(own)}" for name, own in record["folds"].items()]
    lines += _same(record["same_audio"]) + _unusable(record["unusable"])
    return "\n".join(lines)


def _speakers(record: dict[str, Any]) -> str:
    clips = record["speakers"].values()
    lacking = record["without_speaker"]
    unknown = f"{lacking} utterances without a speaker" if lacking else ""
    if not clips:
        return unknown
    each = f"{min(clips)}" if min(clips) == max(clips) else f"{min(clips)} to {max(clips)}"
    text = f"{len(clips)}, with {each} clips each"
    return f"{text}; {unknown}" if unknown else text


def _voted(votes: dict[str, Any] | None) -> str:
    if not votes:
        return ""
    alpha = votes["krippendorff_alpha"]
    lone = votes["utterances"] - votes["alpha_utterances"]
    return (
        f"{votes['per_utterance']:.1f} each on {votes['utterances']} utterances, {votes['tied']} "
        f"tied; majority {100 * votes['majority_share']:.1f} % of the votes, entropy "
        f"{votes['entropy_bits']:.2f} bits, Krippendorff's alpha "
        f"{'undefined' if alpha is None else format(alpha, '.3f')}"
        + ("" if lone == 0 else f" (without {lone} utterances on which a vote is shared or alone)")
    )


def _fold(fold: dict[str, int]) -> str:
    parts = ", ".join(f"{role} {fold[role]}" for role in ("train", "val", "test") if fold[role])
    if not fold["test_speakers"]:
        return parts
    return f"{parts}; {fold['speakers_shared']} of {fold['test_speakers']} test speakers also train"


def _same(groups: Sequence[dict[str, Any]]) -> list[str]:
    """Recordings that occur more than once, those with differing speakers or labels first."""

    def differs(group: dict[str, Any]) -> list[str]:
        return [x for x in ("speakers", "labels") if len(group[x]) > 1]

    lines = []
    for group in sorted(groups, key=lambda g: -len(differs(g)))[:_SHOWN]:
        conflict = "".join(f", {x} differ: {', '.join(group[x])}" for x in differs(group))
        lines.append(f"{'same audio':<12}{' = '.join(group['ids'])}{conflict}")
    if len(groups) > _SHOWN:
        lines.append(f"{'':<12}and {len(groups) - _SHOWN} more groups; --format json has them all")
    return lines


def _unusable(reasons: dict[str, list[str]]) -> list[str]:
    lines = []
    for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1]))[:_SHOWN]:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(f"{'unusable':<12}{names[0]}{more}: {reason}")
    if len(reasons) > _SHOWN:
        lines.append(
            f"{'':<12}and {len(reasons) - _SHOWN} more reasons; --format json has them all"
        )
    return lines or [f"{'unusable':<12}none"]


def _listed(counts: dict[str, int]) -> str:
    shown = [f"{value} {count}" for value, count in list(counts.items())[:_SHOWN]]
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    return ", ".join(shown) + more


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600} h {whole % 3600 // 60} min {whole % 60} s"
