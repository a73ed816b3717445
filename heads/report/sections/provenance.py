"""Protocol and provenance: what all runs share, and what each has for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heads.analysis.leaderboard import corpus_told, labels_told, protocol_told
from heads.plots.style import DASH
from heads.report.sections.leaderboard import time_told
from heads.report.sections.parts import Cell, Column, Table

if TYPE_CHECKING:
    from heads.report.sections.naming import Named

_TOLD = ("labels", "label_set", "label_set_version", "tried")  # of `training`, by other facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where numbers come from.

    Attributes:
        shared: What all runs have in common, by name.
        table: What differs, one row for each run; None where nothing does.
    """

    shared: Mapping[str, str]
    table: Table | None


def provenance_section(results: Sequence[Mapping[str, Any]], named: Sequence[Named]) -> Provenance:
    """Facts about runs, said once where they are the same for all."""
    facts = [_facts(one) | own for one, own in zip(results, _training(results), strict=True)]
    names = list(dict.fromkeys(name for own in facts for name in own))
    shared = {name: facts[0][name] for name in names if len({own.get(name) for own in facts}) == 1}
    varied = [name for name in names if name not in shared]
    rows = [
        [Cell(text=own.short, value=own.short, link=own.anchor)]
        + [Cell(text=fact.get(name, DASH), value=fact.get(name)) for name in varied]
        for own, fact in zip(named, facts, strict=True)
    ]
    table = Table(
        name="provenance",
        caption="Protocol and provenance of each run: what is not the same for all",
        columns=[Column(title="run"), *(Column(title=name) for name in varied)],
        rows=rows,
    )
    return Provenance(shared=shared, table=table if varied else None)


def _facts(results: Mapping[str, Any]) -> dict[str, str]:
    """What is known about a run; what an earlier version did not write is left out."""
    corpus, cache, head = results["corpus"], results["cache"], results["head"]
    protocol, training, timing = results["protocol"], results["training"], results["timing"]
    encoder = cache["encoder"]
    trained = {True: "trained", False: "untrained: random weights"}.get(encoder.get("trained"), "")
    overlap = protocol["speaker_overlap"]
    facts = {
        "corpus": corpus_told(results),
        "utterances": f"{corpus['tested']} tested of {corpus.get('utterances', corpus['tested'])}",
        "left out": ", ".join(f"{n} {why}" for why, n in _items(corpus.get("left_out"))),
        "labels": labels_told(results),
        "emotions": ", ".join(map(str, corpus["labels"])),
        "encoder": ", ".join(filter(None, (str(encoder["id"]), trained))),
        "layer": _text(cache.get("layer")),
        "audio": " + ".join(cache.get("conditioning") or ()) or "as it is",
        "cache key": _text(cache.get("key")),
        "head": str(head["name"]),
        "weights": f"{head['parameters']:,}",
        "head settings": _settings(head.get("config")),
        "protocol": protocol_told(results),
        "folds": _text(protocol["folds"]),
        "seeds": _text(protocol["seeds"]),
        "speakers": f"{len({s for own in protocol['test_speakers'] for s in own})} tested",
        "speakers shared": "not known" if overlap is None else _text(overlap),
        "chosen among": _tried(training.get("tried")),
        "training time": time_told(timing["train_s"]),
        "device": ", ".join(
            filter(None, (_text(timing.get("device")), _threads(timing.get("threads"))))
        ),
        "versions": ", ".join(f"{name} {v}" for name, v in _items(results.get("versions"))),
        "created": _text(results.get("created"))[:16].replace("T", " "),
        "run id": str(results["run_id"]),
    }
    return {name: text for name, text in facts.items() if text}


def _training(results: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Settings of training: what all runs have in common, and what a run has for itself."""
    own = [{k: v for k, v in one["training"].items() if k not in _TOLD} for one in results]
    names = list(dict.fromkeys(name for settings in own for name in settings))
    same = {name for name in names if all(s.get(name) == own[0].get(name) for s in own)}
    shared = _settings({name: own[0].get(name) for name in names if name in same})
    return [
        {
            "training": shared,
            "training, own": _settings({k: v for k, v in s.items() if k not in same}) or DASH,
        }
        if len(same) < len(names)
        else {"training": shared}
        for s in own
    ]


def _items(values: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    return list((values or {}).items())


def _settings(values: Mapping[str, Any] | None) -> str:
    """Settings that say something: those that are empty, zero or off are left out."""
    told = []
    for name, value in _items(values):
        if value in (None, "", 0, 0.0, False, [], {}, "none"):
            continue
        shown = "-".join(map(str, value)) if isinstance(value, list) else value
        shown = " ".join(f"{k}:{v}" for k, v in value.items()) if isinstance(value, dict) else shown
        told.append(f"{name.replace('_', ' ')} {shown}")
    return ", ".join(told)


def _tried(tried: Sequence[Mapping[str, Any]] | None) -> str:
    return "; ".join(", ".join(f"{k} {v}" for k, v in own.items()) for own in tried or ())


def _threads(count: int | None) -> str:
    return "" if count is None else f"{count} threads"


def _text(value: object) -> str:
    return "" if value is None else str(value)
