"""The ambiguity record in words and tables for people."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from heads.report.tables import percent, render_cells, wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAME = 24  # characters of an id in a table
_PAIRS = 5  # of labels that are taken for each other
_CHOICES = 2  # of a distribution that are shown
_TOLD = {"accuracy": "accuracy", "tau": "tau", "js": "JS"}


def render(record: Mapping[str, Any]) -> str:
    """Tables no wider than `WIDTH`, but for long paths, which stand last."""
    remarks = "".join(f", {note}" for note in record["notes"])
    parts = [
        wrapped(
            f"Ambiguity of {record['run_id']}{remarks}; in per cent (tau, JS and KL as they are), "
            "mean over seeds, intervals of 95 % over speakers"
        )
    ]
    if record["votes"]:
        parts += [_agreement(record), _entropy(record), _held_out(record), _disagreements(record)]
    parts += [_label_errors(record), wrapped(record["summary"])]
    return "\n\n".join(parts)


def summarise(record: Mapping[str, Any]) -> str:
    """What the run's figures support, in plain sentences."""
    if record["votes"]:
        told = [_of_votes(record)]
    else:
        told = [f"Nothing can be said of agreement: {record['reason']}."]
    found = record["label_errors"]
    if found is None:
        return f"{told[0]} No label can be suspected: {record['label_errors_reason']}."
    told.append(
        f"Confident learning takes {percent(found['share'])} % of the labels for wrong. The "
        f"model's own confident mistakes are among them (it is right on {percent(found['wa'])} %), "
        f"so its list of {found['suspected']} clips says where to listen, not what is wrong."
    )
    return " ".join(told)


def shorten(name: str, width: int = _NAME) -> str:
    """A long name without its middle: the ends tell clips apart.

    >>> shorten("MSP-PODCAST_0012_0034_0005", 20)
    'MSP-PODCAS…0034_0005'
    """
    if len(name) <= width:
        return name
    front = width // 2
    return f"{name[:front]}…{name[len(name) - (width - front - 1) :]}"


def _of_votes(record: Mapping[str, Any]) -> str:
    share, trend = record["ambiguous"]["share"], record["trends"]["accuracy"]
    told = f"{percent(share)} % of the clips are ambiguous: {record['ambiguous']['told']}."
    if trend["spearman"] is None:
        return f"{told} Accuracy has no trend: {trend['reason']}."
    figures = f"Spearman's correlation of accuracy with vote entropy is {_correlation(trend)}"
    if trend["ci95"] is None:
        return f"{told} {figures}, without an interval: {record['reasons']['ci95']}."
    low, high = trend["ci95"]
    if low <= 0 <= high:
        return f"{told} These data do not show that accuracy depends on agreement: {figures}."
    falls = "falls" if high < 0 else "rises"
    return f"{told} Accuracy {falls} as annotators disagree more: {figures}."


def _agreement(record: Mapping[str, Any]) -> str:
    voters, ambiguous, label = (record[x] for x in ("annotators", "ambiguous", "label_agreement"))
    least, most = voters["least"], voters["most"]
    each = "shares of votes" if least is None else f"{least:g} to {most:g} votes each"
    each = f"{most:g} votes each" if least == most and least is not None else each
    told = (
        f"{voters['clips']} of {record['clips']} clips have {each}. {ambiguous['n']} of them "
        f"({percent(ambiguous['share'])} %) are ambiguous: {ambiguous['told']}."
    )
    left_out = {"have no votes": voters["without_votes"], "have one vote": voters["one_vote"]}
    told += "".join(f" {count} {why} and do not count." for why, count in left_out.items() if count)
    if record["labels"] == "hard" and label["n"]:
        told += (
            f" The label is what most annotators chose on {percent(label['share'])} % of the "
            f"{label['n']} clips without a tie."
        )
    header = ["annotators", "clips", "share", "WA", "95 %"]
    rows = [
        [r["told"], str(r["n"]), percent(r["share"]), percent(r["wa"]), _edges(r["wa_ci95"])]
        for r in record["agreement"]
    ]
    return f"{wrapped(told)}\n\n{render_cells(header, rows, markdown=False)}"


def _entropy(record: Mapping[str, Any]) -> str:
    header = ["vote entropy, bits", "clips", "WA", "95 %", "tau", "JS, bits", "KL, nats"]
    rows = [
        [_span(r["low"], r["high"]), str(r["n"]), percent(r["wa"]), _edges(r["wa_ci95"]),
         *(_plain(r[name]) for name in ("tau", "js", "kl"))]
        for r in record["by_entropy"]
    ]  # fmt: skip
    found = [f"{_TOLD[name]} {_correlation(t)}" for name, t in record["trends"].items()]
    told = f"Spearman's correlation with vote entropy: {', '.join(found)}."
    return f"{render_cells(header, rows, markdown=False)}\n{wrapped(told)}"


def _held_out(record: Mapping[str, Any]) -> str:
    header = ["tested on", "clips", "UA", "95 %", "WA", "95 %", "change", "95 %"]
    rows = [
        [r["told"], str(r["n"]), percent(r["ua"]), _edges(r["ua_ci95"]), percent(r["wa"]),
         _edges(r["wa_ci95"]),
         *([percent(r["change"], signed=True), _edges(r["change_ci95"], signed=True)]
           if number else ["-", "-"])]
        for number, r in enumerate(record["held_out"])
    ]  # fmt: skip
    told = "The same predictions on other clips: an easier test set, not a better model."
    every = record["held_out"][0]["classes"]
    fewer = [r for r in record["held_out"] if 0 < r["classes"] < every]
    if fewer:
        told += (
            " UA is over fewer emotions where some have no clip left: "
            + ", ".join(f"{r['told']}: {r['classes']} of {every}" for r in fewer)
            + "."
        )
    return f"{render_cells(header, rows, markdown=False)}\n{wrapped(told)}"


def _disagreements(record: Mapping[str, Any]) -> str:
    clips = record["disagreements"]
    if not clips:
        return "No clip has votes for an emotion of this run."
    cells = [
        [_plain(clip["js"]), _choices(clip["annotated"]), _choices(clip["predicted"])]
        for clip in clips
    ]
    told = "Model and annotators lie farthest apart (Jensen-Shannon divergence) on"
    return _clip_table(told, ["JS", "annotators", "model"], cells, clips)


def _label_errors(record: Mapping[str, Any]) -> str:
    found = record["label_errors"]
    if found is None:
        return f"No label can be suspected: {record['label_errors_reason']}."
    told = (
        f"Suspected label errors: {found['suspected']} of {found['clips']} clips; estimated share "
        f"of wrong labels {percent(found['share'])} %."
    )
    heard = found["heard"]
    if heard is not None and heard["n"] and record["labels"] == "hard":
        told += (
            f" More annotators chose the suggested emotion than the label on "
            f"{heard['as_suggested']} of the {heard['n']} that have votes."
        )
    told += "".join(f" {caveat}." for caveat in found["caveats"])
    parts = [wrapped(told)]
    if found["pairs"]:
        rows = [
            [p["given"], p["suggested"], f"{p['n']:.1f}", percent(p["share"])]
            for p in found["pairs"][:_PAIRS]
        ]
        header = ["label", "may be", "clips (estimate)", "share of all"]
        parts.append(render_cells(header, rows, markdown=False))
    if found["ranked"]:
        parts.append(_suspects(found["ranked"]))
    return "\n\n".join(parts)


def _suspects(clips: Sequence[Mapping[str, Any]]) -> str:
    voted = any(clip["votes_given"] is not None for clip in clips)
    header = ["margin", "label", "may be", "model", *(["votes"] if voted else [])]
    cells = [
        [percent(c["margin"], signed=True), c["given"], c["suggested"],
         f"{_whole(c['p_given'])} : {_whole(c['p_suggested'])}",
         *([f"{_whole(c['votes_given'])} : {_whole(c['votes_suggested'])}"] if voted else [])]
        for c in clips
    ]  # fmt: skip
    return _clip_table(
        "The most suspicious labels, and how sure the model is", header, cells, clips
    )


def _clip_table(
    told: str,
    header: Sequence[str],
    cells: Sequence[Sequence[str]],
    clips: Sequence[Mapping[str, Any]],
) -> str:
    """Rows about clips: the id where the path does not say it, and the path last."""
    home, paths = _below_home([clip["path"] for clip in clips])
    telling = all(PurePath(clip["path"]).stem == PurePath(clip["id"]).name for clip in clips)
    ids = [[] if telling else [shorten(clip["id"])] for clip in clips]
    names = ["path"] if telling else ["clip", "path"]
    rows = [
        [*row, *own, path + _bounds(clip)]
        for row, own, path, clip in zip(cells, ids, paths, clips, strict=True)
    ]
    where = f" (paths are below {home})" if home else ""
    return f"{wrapped(told + where)}\n{render_cells([*header, *names], rows, markdown=False)}"


def _below_home(paths: Sequence[str]) -> tuple[str, list[str]]:
    """The folder that all paths share, and the paths below it."""
    folders = [os.path.dirname(path) for path in paths]  # noqa: PTH120 (paths may be of elsewhere)
    try:
        home = os.path.commonpath(folders)
    except ValueError:  # some are absolute, others are not
        home = ""
    return home, [os.path.relpath(path, home) if home else path for path in paths]


def _bounds(clip: Mapping[str, Any]) -> str:
    if clip["start_s"] is None:
        return ""
    end = "the end" if clip["end_s"] is None else f"{clip['end_s']:.2f} s"
    return f" {clip['start_s']:.2f} to {end}"


def _choices(shares: Mapping[str, float]) -> str:
    """The largest parts of a distribution, in whole per cent."""
    largest = sorted(shares.items(), key=lambda item: -item[1])[:_CHOICES]
    return " ".join(f"{shorten(x, 10)} {_whole(share)}" for x, share in largest if share >= 0.005)


def _whole(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}"


def _correlation(trend: Mapping[str, Any]) -> str:
    if trend["spearman"] is None:
        return f"- ({trend['reason']})"
    told = f"{trend['spearman']:+.2f}"
    if trend["ci95"] is None:
        return told
    low, high = trend["ci95"]
    return f"{told} ({low:+.2f} to {high:+.2f})"


def _edges(interval: Sequence[float] | None, signed: bool = False) -> str:
    return " to ".join(percent(x, signed) for x in interval) if interval else "-"


def _span(low: float, high: float) -> str:
    first, last = f"{low:.2f}", f"{high:.2f}"
    return first if first == last else f"{first} to {last}"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
