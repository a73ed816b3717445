"""Ambiguity: where annotators disagree, how the model does there, and labels that look wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from heads.plots.agreement import plot_agreement
from heads.plots.style import MINUS
from heads.plots.tau import plot_tau
from heads.report.sections.parts import (
    Badge,
    Cell,
    Column,
    Gone,
    Picture,
    Table,
    badges,
    number_cell,
    per_cent,
    percent_cell,
    picture,
    range_told,
)

if TYPE_CHECKING:
    from heads.report.sections.naming import Named

_LISTED = 25
_REASONS = "reason", "label_errors_reason"


@dataclass(frozen=True, slots=True, kw_only=True)
class AmbiguityShown:
    """Ambiguity for the page.

    Attributes:
        named: Whose.
        badges: What its numbers must be read with.
        remark: Why parts are missing; empty where none is.
        summary: What the data support, in words.
        pictures: Of accuracy against agreement, and of tau.
        tables: Of agreement, entropy, held-out data, disagreements and suspected labels.
    """

    named: Named
    badges: Sequence[Badge]
    remark: str
    summary: str
    pictures: Sequence[Picture]
    tables: Sequence[Table]


def ambiguity_section(
    record: Mapping[str, Any] | None,
    reason: str,
    named: Named,
) -> tuple[AmbiguityShown | None, list[Gone]]:
    """A run's ambiguity for the page.

    Args:
        record: `ambiguity.json`; None where there is none.
        reason: Why there is none.
        named: What the run is called.
    """
    if record is None:
        return None, [Gone(what="ambiguity", where=named.short, why=reason)]
    made = (
        _agreement(record, named),
        _entropy(record, named),
        _held_out(record, named),
        _disagreements(record, named),
        _suspects(record, named),
    )
    shown = AmbiguityShown(
        named=named,
        badges=badges(record.get("notes") or []),
        remark=" ".join(
            f"{text}." for name in _REASONS if (text := (record.get(name) or "").rstrip("."))
        ),
        summary=record.get("summary") or _ambiguous(record),
        pictures=_pictures(record, named),
        tables=[table for table in made if table],
    )
    return shown, []


def _pictures(record: Mapping[str, Any], named: Named) -> list[Picture]:
    pictures = []
    if record.get("agreement") and record.get("by_entropy"):
        rows = [own for own in record["agreement"] if own["n"] and own.get("wa") is not None]
        finding = "Accuracy against agreement."
        if rows:
            first, last = rows[0], rows[-1]
            finding = (
                f"Accuracy is {per_cent(first['wa'])} where {first['told']}, and "
                f"{per_cent(last['wa'])} at the other end: {last['told']}."
            )
        pictures.append(
            picture(
                plot_agreement(record, ""),
                f"{named.anchor}-agreement-picture",
                f"Accuracy against annotators' agreement, {named.short}",
                finding,
                "Bars: 95 % over speakers.",
                wide=True,
            )
        )
    tau = record.get("tau")
    if tau and tau.get("defined"):
        pictures.append(
            picture(
                plot_tau(tau, ""),
                f"{named.anchor}-tau",
                f"Distribution of Kendall's tau, {named.short}",
                f"Tau: half of the clips lie below {_signed(tau['median'])}.",
            )
        )
    return pictures


def _ambiguous(record: Mapping[str, Any]) -> str:
    found = record.get("ambiguous")
    told = []
    if found and found.get("share") is not None:
        told.append(
            f"{per_cent(found['share'])} % of the clips ({found['n']}) are ambiguous: "
            f"{found['told']}."
        )
    for name, trend in (record.get("trends") or {}).items():
        if trend and trend.get("spearman") is not None:
            ends = trend.get("ci95")
            around = f" (95 % from {_signed(ends[0])} to {_signed(ends[1])})" if ends else ""
            told.append(
                f"Spearman's correlation of {name} with vote entropy is "
                f"{_signed(trend['spearman'])}{around}."
            )
    return " ".join(told)


def _agreement(record: Mapping[str, Any], named: Named) -> Table | None:
    rows = [
        [
            Cell(text=str(own["told"]), value=own.get("low")),
            number_cell(own["n"], str(own["n"])),
            percent_cell(own["share"]),
        ]
        for own in record.get("agreement") or ()
    ]
    return _table("agreement", "How many clips, by how far annotators agree", named,
                  ("agreement",), ("clips", "per cent"), rows)  # fmt: skip


def _entropy(record: Mapping[str, Any], named: Named) -> Table | None:
    rows = [
        [
            Cell(text=f"{own['low']:.2f} to {own['high']:.2f}", value=own["low"]),
            number_cell(own["n"], str(own["n"])),
            percent_cell(own["wa"], note=_around(own.get("wa_ci95"))),
            *(number_cell(own.get(m), _three(own.get(m))) for m in ("tau", "js", "kl")),
        ]
        for own in record.get("by_entropy") or ()
    ]
    return _table("entropy", "How the model does, by the entropy of votes (bits)", named,
                  ("entropy",), ("clips", "WA", "tau", "JS", "KL"), rows)  # fmt: skip


def _held_out(record: Mapping[str, Any], named: Named) -> Table | None:
    rows = [
        [
            Cell(text=str(own["told"]), value=str(own["told"])),
            number_cell(own["n"], str(own["n"])),
            percent_cell(own.get("share")),
            percent_cell(own["ua"], note=_around(own.get("ua_ci95"))),
            percent_cell(own["wa"], note=_around(own.get("wa_ci95"))),
            percent_cell(
                own.get("change"), signed=True, note=_around(own.get("change_ci95"), True)
            ),
        ]
        for own in record.get("held_out") or ()
    ]
    about = "Held-out clips without ambiguous ones, or with these down-weighted"
    numbers = "clips", "per cent", "UA", "WA", "change of WA"
    return _table("held-out", about, named, ("clips that count",), numbers, rows)


def _disagreements(record: Mapping[str, Any], named: Named) -> Table | None:
    rows = [
        [
            Cell(text=str(own["id"]), value=str(own["id"]), note=str(own.get("path") or "")),
            Cell(text=str(own.get("speaker") or ""), value=own.get("speaker")),
            Cell(text=_distribution(own.get("annotated"))),
            Cell(text=_distribution(own.get("predicted"))),
            number_cell(own.get("js"), _three(own.get("js"))),
        ]
        for own in (record.get("disagreements") or ())[:_LISTED]
    ]
    return _table("disagreements", "Clips on which model and annotators disagree most", named,
                  ("clip", "speaker", "annotators", "model"), ("JS",), rows)  # fmt: skip


def _suspects(record: Mapping[str, Any], named: Named) -> Table | None:
    found = record.get("label_errors")
    rows = [
        [
            Cell(text=str(own["id"]), value=str(own["id"]), note=str(own.get("path") or "")),
            Cell(text=str(own.get("speaker") or ""), value=own.get("speaker")),
            Cell(text=str(own["given"]), value=own["given"]),
            Cell(text=str(own["suggested"]), value=own["suggested"]),
            percent_cell(own.get("p_given")),
            percent_cell(own.get("p_suggested")),
            percent_cell(own.get("margin")),
        ]
        for own in ((found or {}).get("ranked") or ())[:_LISTED]
    ]
    share = (found or {}).get("share")
    about = "Labels that look wrong (confident learning): listen before you believe it"
    if share is not None:
        about += f"; {per_cent(share)} % of all clips"
    return _table("labels", about, named, ("clip", "speaker", "label", "suggested"),
                  ("p label", "p suggested", "margin"), rows)  # fmt: skip


def _table(
    kind: str,
    caption: str,
    named: Named,
    words: Sequence[str],
    numbers: Sequence[str],
    rows: Sequence[Sequence[Cell]],
) -> Table | None:
    if not rows:
        return None
    return Table(
        name=f"{named.anchor}-{kind}",
        caption=f"{caption}: {named.short}",
        columns=[
            *(Column(title=title) for title in words),
            *(Column(title=title, number=True) for title in numbers),
        ],
        rows=rows,
    )


def _distribution(shares: Mapping[str, float] | None) -> str:
    """The emotions that have a share, largest first."""
    ordered = sorted((shares or {}).items(), key=lambda item: -item[1])
    return ", ".join(f"{label} {100 * x:.0f}" for label, x in ordered if x >= 0.05)


def _around(ends: Sequence[float] | None, signed: bool = False) -> str:
    return range_told(ends, signed) if ends else ""


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", MINUS)


def _three(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".replace("-", MINUS)
