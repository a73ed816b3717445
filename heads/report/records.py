"""Reports that a run's folder holds, and those that are made where it holds none."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from embedcache.errors import SerError
from heads.group_columns import columns
from heads.report.ambiguity import ambiguity
from heads.report.bias import bias

if TYPE_CHECKING:
    from collections.abc import Collection

    from heads.results import Run

BY = ("gender", "age", "language", "speaker")  # as far as a corpus has them
_LONG = ("probes", "projection")
_REMEDY = {
    "bias": "`ser bias RUN` writes it",
    "ambiguity": "`ser bias RUN` writes it",
    "probes": "`ser probe RUN` writes it",
    "projection": "`ser probe --project t-sne RUN` writes it",
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """Which reports are made where they are missing.

    Attributes:
        runs: Ids of the runs for which they are.
        quick: Whether what takes the cache's frames (probes, map of the clips) is left out.
        method: Of the map: `t-sne` or `umap`.
    """

    runs: Collection[str] = ()
    quick: bool = False
    method: str = "t-sne"


def record_of(run: Run, name: str, making: Making) -> tuple[dict[str, Any] | None, str]:
    """A report of a run, made and written where that is asked for; or why there is none.

    Args:
        run: The run.
        name: `bias`, `ambiguity`, `probes` or `projection`.
        making: Whether it is made where it is missing.
    """
    try:
        record = run.read_report(name)
        if record is not None and record.get("run_id", run.id) != run.id:
            return None, f"{name}.json in its folder is of another run; {_REMEDY[name]}"
        if record is not None:
            return record, ""
        if run.id not in making.runs or (making.quick and name in _LONG):
            return None, f"there is no {name}.json in its folder; {_REMEDY[name]}"
        if name in _LONG:
            _log.info("%s: making %s.json from the cache, once", run.id, name)
        record = _make(run, name, making.method)
        run.write_report(name, record)
    except SerError as error:
        return None, str(error)
    return record, ""


def _make(run: Run, name: str, method: str) -> dict[str, Any]:
    if name == "bias":
        there = columns(run.utterances.values())
        return bias(run, [column for column in BY if column in there])[0]
    if name == "ambiguity":
        return ambiguity(run)[0]
    if name == "probes":
        from heads.report.probes import probe

        return probe(run)[0]
    from heads.report.projection import project

    return project(run, method)
