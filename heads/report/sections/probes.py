"""Probes: what can be read linearly from each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from heads.plots.layers import plot_layers
from heads.report.sections.parts import (
    Badge,
    Cell,
    Column,
    Gone,
    Picture,
    Table,
    badges,
    per_cent,
    percent_cell,
    picture,
    range_told,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbesShown:
    """Probes of a cache for the page.

    Attributes:
        cache: Its key, and the encoder.
        badges: What its numbers must be read with.
        summary: Which layers carry what, in words.
        pictures: The layer profile.
        tables: Every target's numbers by layer.
        left_out: Targets that were not probed, and why.
    """

    cache: str
    badges: Sequence[Badge]
    summary: str
    pictures: Sequence[Picture]
    tables: Sequence[Table]
    left_out: Mapping[str, str]


def probes_section(
    record: Mapping[str, Any] | None,
    reason: str,
    where: str,
    number: int,
) -> tuple[ProbesShown | None, list[Gone]]:
    """Probes of a cache for the page.

    Args:
        record: `probes.json`; None where there is none.
        reason: Why there is none.
        where: Whose cache: what stands in its heading.
        number: Of these probes in the page.
    """
    if record is None:
        return None, [Gone(what="probes", where=where, why=reason)]
    shown = ProbesShown(
        cache=f"{where}, cache {record['cache_key']}",
        badges=badges(record.get("notes") or []),
        summary=record.get("summary") or "",
        pictures=_profile(record, where, number),
        tables=[
            _table(target, own, number, place)
            for place, (target, own) in enumerate(record["targets"].items())
        ],
        left_out=record.get("left_out") or {},
    )
    return shown, []


def _profile(record: Mapping[str, Any], where: str, number: int) -> list[Picture]:
    targets = record["targets"]
    if not targets:
        return []
    best = {}
    for name, own in targets.items():
        rows = [row for row in own["raw"] if row["ua"] is not None]
        if rows:
            best[name] = max(rows, key=lambda row: row["ua"])
    told = ", ".join(
        f"{name} in layer {row['layer']} (UA {per_cent(row['ua'])})" for name, row in best.items()
    )
    return [
        picture(
            plot_layers(targets, ""),
            f"probes-{number}-profile",
            f"Layer profile of {where}",
            f"What is read best from which layer: {told or 'nothing'}.",
            "Bars: 95 % over speakers.",
            wide=True,
        )
    ]


def _table(target: str, own: Mapping[str, Any], number: int, place: int) -> Table:
    normalised = {row["layer"]: row for row in own.get("normalised") or ()}
    rows = []
    for row in own["raw"]:
        other = normalised.get(row["layer"], {})
        rows.append(
            [
                Cell(text=str(row["layer"]), value=_layer(row["layer"])),
                percent_cell(row["ua"], note=_around(row.get("ci95"))),
                percent_cell(row.get("shuffled")),
                percent_cell(other.get("ua"), note=_around(other.get("ci95"))),
                percent_cell(other.get("shuffled")),
            ]
        )
    titles = ("UA", "shuffled", "UA, speakers normalised", "shuffled, normalised")
    chance = f", chance {100 * own['chance']:.1f}" if own.get("chance") is not None else ""
    return Table(
        name=f"probes-{number}-{place}",
        caption=f"How well {target} is read from each layer, per cent "
        f"({own.get('n', '?')} clips{chance}; {own.get('protocol') or 'protocol not told'})",
        columns=[Column(title="layer"), *(Column(title=t, number=True) for t in titles)],
        rows=rows,
    )


def _layer(name: object) -> float | str:
    text = str(name)
    return float(text) if text.replace(".", "", 1).isdigit() else text


def _around(ends: Sequence[float] | None) -> str:
    return range_told(ends) if ends else ""
