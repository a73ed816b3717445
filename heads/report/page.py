"""`ser report`: runs to one HTML page; and the page of a run's bias."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from embedcache.errors import SerError, UsageError
from heads.analysis.boards import DEFAULT_METRIC, make_boards
from heads.analysis.leaderboard import corpus_told
from heads.analysis.projection import require_method
from heads.analysis.ranking import BEST, speaker_dependency
from heads.group_columns import columns
from heads.report.contenders import contenders_of, each_once
from heads.report.records import Making, record_of
from heads.report.sections.ambiguity import ambiguity_section
from heads.report.sections.bias import bias_section
from heads.report.sections.careful import careful_section
from heads.report.sections.leaderboard import dependency_section, leaderboard_section
from heads.report.sections.naming import Named, name_runs
from heads.report.sections.one_run import run_section
from heads.report.sections.parts import Gone
from heads.report.sections.probes import probes_section
from heads.report.sections.projection import Witness, projection_section
from heads.report.sections.provenance import provenance_section
from heads.report.sheet import Page, page
from heads.results import require_page_place, target_of, write_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from heads.analysis.boards import Board
    from heads.analysis.ranking import Contender
    from heads.analysis.tested import Tested
    from heads.results import Run

T = TypeVar("T")
_CLIPS = 4  # on which attention is shown
_FEW = 3  # runs, all of which are looked at closely
_NAMED = 3  # runs that a line about missing parts names
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shown:
    """A run that is shown: what it is called, and its predictions or why there are none."""

    run: Run
    named: Named
    tested: Tested | str


def report(runs: Sequence[Run], out: Path, method: str = "t-sne", quick: bool = False) -> Path:
    """Write a page over runs; what they hold beside their results is shown too.

    `bias.json`, `ambiguity.json`, `probes.json` and `projection.json` are read where they are
    there. Where they are not, they are made, and written beside the run, of the best run of each
    leaderboard, or of all runs if there are no more than three. A part that cannot be shown is
    listed at the page's end with the reason.

    Args:
        runs: One or more.
        out: The HTML file; an older one is replaced.
        method: Of the map of the clips: `t-sne` or `umap`.
        quick: Whether what takes the cache's frames is left out: probes, maps and attention.

    Returns:
        `out`.

    Raises:
        UsageError: There is no run, or `out` is no place for a file.
        SerError: None of the runs can be believed, or the disk refused.
    """
    if not runs:
        raise UsageError("there is no run to report on; make one with `ser train-head`")
    runs = each_once(runs)
    require_page_place(out)
    require_method(method)
    return write_page(out, page(_gather(runs, out.absolute().parent, method, quick)))


def bias_page(
    run: Run, bias_record: Mapping[str, Any] | None, ambiguity_record: Mapping[str, Any] | None
) -> str:
    """The page of one run's bias and ambiguity.

    Args:
        run: The run.
        bias_record: What goes into `bias.json`; None where there is none.
        ambiguity_record: What goes into `ambiguity.json`; None where there is none.
    """
    (named,) = name_runs([run.results])
    bias, no_bias = bias_section(bias_record, "it was not asked for", named)
    ambiguity, no_ambiguity = ambiguity_section(ambiguity_record, "it was not asked for", named)
    return page(
        Page(
            title=f"Bias of {named.short}",
            lead=f"{run.id}: how well groups of speakers are recognised, and where annotators "
            "disagree.",
            made=_made(),
            careful=careful_section([run.results]),
            provenance=provenance_section([run.results], [named]),
            bias=[bias] if bias else [],
            ambiguity=[ambiguity] if ambiguity else [],
            gone=[*no_bias, *no_ambiguity],
        )
    )


def _gather(runs: Sequence[Run], folder: Path, method: str, quick: bool) -> Page:
    """Everything that the page shows."""
    contenders = contenders_of(runs)
    shown, gone = _believed(runs, contenders)
    results = [own.run.results for own in shown]
    named = {own.named.id: own.named for own in shown}
    boards = sorted(make_boards(contenders, None), key=lambda own: _flawed(own.contenders))
    targets = list(dict.fromkeys(board.target for board in boards))
    dependencies = [
        dependency_section(
            speaker_dependency(
                [own for own in contenders if own.target == target], DEFAULT_METRIC[target]
            ),
            DEFAULT_METRIC[target],
            named,
        )
        for target in targets
    ]
    genders = _genders(shown)
    making = Making(runs=_led(shown, boards), quick=quick, method=method)
    single = [
        run_section(
            own.run.results,
            own.named,
            _or_why(_history_of(own.run)),
            own.tested,
            known,
            _attention_of(own.run, making),
        )
        for own, known in zip(shown, genders, strict=True)
    ]
    bias = [_of_record(own, "bias", bias_section, making) for own in shown]
    ambiguity = [_of_record(own, "ambiguity", ambiguity_section, making) for own in shown]
    probes, no_probes = _probes(shown, making)
    maps, no_maps = _projections(shown, folder, making)
    for _, lost in (*single, *bias, *ambiguity):
        gone += lost
    gone += [lost for own in shown for lost in _unknown(own)]
    return Page(
        title=_title(results),
        lead=_lead(shown),
        made=_made(),
        careful=careful_section(results),
        boards=[leaderboard_section(own, named, n + 1) for n, own in enumerate(boards)],
        dependencies=[own for own in dependencies if own],
        provenance=provenance_section(results, [own.named for own in shown]),
        runs=[own for own, _ in single],
        bias=[own for own, _ in bias if own],
        ambiguity=[own for own, _ in ambiguity if own],
        probes=probes,
        projections=maps,
        gone=_grouped([*gone, *no_probes, *no_maps]),
    )


def _flawed(contenders: Sequence[Contender]) -> bool:
    """Whether every run's number is too good: such a board stands behind the others."""
    return all(own.flaw for own in contenders)


def _led(shown: Sequence[_Shown], boards: Sequence[Board]) -> set[str]:
    """The runs that are looked at closely: the best of each board, or all where they are few."""
    if len(shown) <= _FEW:
        return {own.run.id for own in shown}
    return {
        str(run)
        for board in boards
        for run in board.table.loc[board.table["verdict"] == BEST, "run"]
    }


def _believed(
    runs: Sequence[Run], contenders: Sequence[Contender]
) -> tuple[list[_Shown], list[Gone]]:
    """The runs whose results and predictions do not contradict each other; the others are gone."""
    tested = {
        str(own.results["run_id"]): own.tested if own.tested is not None else own.why
        for own in contenders
    }
    kept = [run for run in runs if run.id in tested]
    if not kept:
        raise SerError(
            "none of these runs can be believed: their predictions contradict their results, so "
            "they were edited or half-written; train the heads again"
        )
    named = name_runs([run.results for run in kept])
    shown = [
        _Shown(run=run, named=name, tested=tested[run.id])
        for run, name in zip(kept, named, strict=True)
    ]
    gone = [
        Gone(
            what="the whole run",
            where=run.id,
            why="its predictions contradict its results, so it was edited or half-written; train "
            "the head again",
        )
        for run in runs
        if run.id not in tested
    ]
    return shown, gone


def _genders(shown: Sequence[_Shown]) -> list[dict[str, str | None] | str]:
    """The gender of each run's speakers, or why it is not known; runs on the same ones share it."""
    found: dict[str, dict[str, str | None] | str] = {}
    for own in shown:
        run, place = own.run, _speakers_of(own.run)
        if place not in found:
            found[place] = _or_why(_genders_of(run))
    return [found[_speakers_of(own.run)] for own in shown]


def _genders_of(run: Run) -> Callable[[], dict[str, str | None]]:
    return lambda: {u.speaker: u.gender for u in run.utterances.values() if u.speaker}


def _speakers_of(run: Run) -> str:
    names = sorted(
        {str(name) for fold in run.results["protocol"]["test_speakers"] for name in fold}
    )
    return json.dumps([run.results["corpus"]["name"], names])


def _history_of(run: Run) -> Callable[[], pd.DataFrame]:
    return lambda: run.history


def _attention_of(run: Run, making: Making) -> Figure | str | None:
    """Where a run's models look, or why that cannot be shown; None where it is not asked for."""
    from heads.attention import POOLED_BY_ATTENTION
    from heads.report.attention import attention_picture

    closely = run.id in making.runs and not making.quick and target_of(run.results) == "emotion"
    if not closely or run.results["head"]["name"] not in POOLED_BY_ATTENTION:
        return None
    return _or_why(lambda: attention_picture(run, most=_CLIPS))


def _unknown(own: _Shown) -> list[Gone]:
    """What a run's own utterances do not tell, so that nothing can be said by it."""
    known = _or_why(lambda: own.run.utterances)
    where = own.named.short
    if isinstance(known, str):
        return [Gone(what="what is known of the clips", where=where, why=known)]
    gone = []
    if not isinstance(own.tested, str):
        lacking = sum(name not in known for name in own.tested.ids.tolist())
        if lacking:
            why = (
                f"utterances.jsonl lacks {lacking} of {len(own.tested.ids)} tested clips; train "
                "the head again"
            )
            gone.append(Gone(what="what is known of some clips", where=where, why=why))
    there = columns(known.values())
    gone += [
        Gone(
            what=f"bias by {name}",
            where=where,
            why="the corpus does not tell it; a manifest can have such a column",
        )
        for name in ("gender", "age", "speaker")
        if name not in there
    ]
    return gone


def _or_why(read: Callable[[], T]) -> T | str:
    """What a run's file holds, or why it cannot be read."""
    try:
        return read()
    except SerError as error:
        return str(error)


def _of_record(
    own: _Shown,
    name: str,
    section: Callable[[Mapping[str, Any] | None, str, Named], tuple[Any, list[Gone]]],
    making: Making,
) -> tuple[Any, list[Gone]]:
    """A section that follows from one of a run's reports."""
    record, reason = record_of(own.run, name, making)
    try:
        return section(record, reason, own.named)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        why = f"{name}.json is not as this version writes it ({error!r}); write it again"
        return None, [Gone(what=name, where=own.named.short, why=why)]


def _probes(shown: Sequence[_Shown], making: Making) -> tuple[list[Any], list[Gone]]:
    """Probes of each cache once: runs on the same cache share them."""
    made: dict[str, Any] = {}
    gone: dict[str, list[Gone]] = {}
    for own in shown:
        key = str(own.run.results["cache"].get("key", own.run.id))
        if key in made:
            continue

        def section(
            record: Mapping[str, Any] | None, reason: str, named: Named, key: str = key
        ) -> tuple[Any, list[Gone]]:
            where = next(o for o in shown if o.named is named).run.results["cache"]["encoder"]["id"]
            return probes_section(record, reason, str(where), len(made) + 1)

        found, lost = _of_record(own, "probes", section, making)
        if found:
            made[key] = found
        gone.setdefault(key, []).extend(lost)
    return list(made.values()), [g for key, own in gone.items() if key not in made for g in own]


def _projections(
    shown: Sequence[_Shown], folder: Path, making: Making
) -> tuple[list[Any], list[Gone]]:
    """Each map once, with all runs that hold it."""
    groups: dict[str, list[_Shown]] = {}
    records: dict[str, dict[str, Any]] = {}
    gone = []
    for own in shown:
        record, reason = record_of(own.run, "projection", Making())
        record = record or _drawn(own.run, [*records.values()])
        if record is None:
            record, reason = record_of(own.run, "projection", making)
        if record is None:
            gone.append(Gone(what="map of the clips", where=own.named.short, why=reason))
            continue
        place = json.dumps([record.get(name) for name in ("method", "layer", "ids", "x", "y")])
        groups.setdefault(place, []).append(own)
        records[place] = record
    maps: list[Any] = []
    for place, members in groups.items():
        made, lost = _one_map(records[place], members, len(maps) + 1, folder)
        maps += [made] if made else []
        gone += lost
    return maps, gone


def _drawn(run: Run, records: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """A map that is there already, of the same frames and of all clips of a run."""
    cache = run.results["cache"]
    for record in records:
        same = record.get("cache_key") == cache.get("key")
        if same and record.get("layer") == cache.get("layer"):
            tested = run.results["corpus"]["tested"]
            if len(record["ids"]) >= tested and set(run.utterances) <= set(record["ids"]):
                return record
    return None


def _one_map(
    record: Mapping[str, Any], members: Sequence[_Shown], number: int, folder: Path
) -> tuple[Any, list[Gone]]:
    first = members[0]
    where = f"{first.run.results['cache']['encoder']['id']}, {corpus_told(first.run.results)}"
    utterances = _or_why(lambda: first.run.utterances)
    witnesses = [
        Witness(named=own.named, tested=own.tested)
        for own in members
        if not isinstance(own.tested, str)
    ]
    known = {} if isinstance(utterances, str) else utterances
    try:
        return projection_section(record, "", where, number, known, witnesses, folder)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        why = f"projection.json is not as this version writes it ({error!r}); write it again"
        return None, [Gone(what="map of the clips", where=first.named.short, why=why)]


def _grouped(gone: Sequence[Gone]) -> list[Gone]:
    """The same part that is missing for the same reason is told once, with whose it is."""
    where: dict[tuple[str, str], list[str]] = {}
    for own in gone:
        where.setdefault((own.what, own.why), []).append(own.where)
    grouped = []
    for (what, why), names in where.items():
        names = list(dict.fromkeys(names))
        more = len(names) - _NAMED
        told = "; ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        grouped.append(Gone(what=what, where=told, why=why))
    return grouped


def _title(results: Sequence[Mapping[str, Any]]) -> str:
    corpora = list(dict.fromkeys(corpus_told(one) for one in results))
    on = " and ".join(corpora) if len(corpora) <= _NAMED else f"{len(corpora)} corpora"
    if len(results) > 1:
        return f"{len(results)} runs on {on}"
    return f"{results[0]['head']['name']} on {on}"


def _lead(shown: Sequence[_Shown]) -> str:
    results = [own.run.results for own in shown]
    heads = list(dict.fromkeys(str(one["head"]["name"]) for one in results))
    encoders = list(dict.fromkeys(str(one["cache"]["encoder"]["id"]) for one in results))
    told = ", ".join(heads)
    on = ", ".join(encoders[:_NAMED])
    more = f" and {len(encoders) - _NAMED} more encoders" if len(encoders) > _NAMED else ""
    return f"Head{'s' * (len(heads) > 1)} {told} on frames of {on}{more}."


def _made() -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"Made by ser {version('ser-embedcache')} on {now}."
