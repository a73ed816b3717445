"""How numbers of a bias report are said: points, intervals, p-values, names of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from heads.report.tables import p_value, percent

NAMES = {"ua": "UA", "wa": "WA", "macro_f1": "macro-F1", "ece": "ECE"}


def metric_name(metric: str) -> str:
    """What a metric is called.

    >>> metric_name("macro_f1"), metric_name("recall:sad"), metric_name("fpr:sad")
    ('macro-F1', 'recall of sad', 'false-positive rate of sad')
    """
    family, _, label = metric.partition(":")
    if not label:
        return NAMES[metric]
    return f"{'recall' if family == 'recall' else 'false-positive rate'} of {label}"


def interval(edges: Sequence[float] | None, signed: bool = True) -> str:
    """An interval in per cent.

    >>> interval([-0.01, 0.2]), interval([0.5, 0.6], signed=False), interval(None)
    ('-1.0 to +20.0', '50.0 to 60.0', '-')
    """
    return " to ".join(percent(edge, signed) for edge in edges) if edges else "-"


def p_told(value: float, corrected: bool) -> str:
    """A p-value in a sentence.

    >>> p_told(0.0421, corrected=True), p_told(0.0001, corrected=False)
    ('p = 0.042 after correction', 'p < 0.001')
    """
    sign = "" if value < 0.001 else "= "
    return f"p {sign}{p_value(value)}{' after correction' if corrected else ''}"


def points(value: float) -> str:
    """A difference without its sign.

    >>> points(-0.1234), points(0.01)
    ('12.3 points', '1.0 points')
    """
    return f"{percent(abs(value))} points"


def cautions(results: Mapping[str, Any]) -> list[str]:
    """What a reader must know of a run before its groups are compared, in sentences.

    Args:
        results: `results.json` of the run.
    """
    encoder, protocol = results["cache"]["encoder"], results["protocol"]
    told = []
    if results["corpus"].get("synthetic"):
        told.append("The corpus is synthetic: gaps are what was put in, and say nothing of people.")
    if encoder["trained"] is False:
        told.append("The encoder is untrained: a trained one may treat the groups differently.")
    if protocol["speaker_overlap"]:
        told.append("Test speakers were also trained on: gaps on new voices may be others.")
    if protocol["speaker_overlap"] is None:
        told.append("Nobody knows whether test speakers were also trained on.")
    if protocol.get("contamination"):
        told.append("The encoder was trained on parts of what is tested: scores may be of memory.")
    return told
