"""Intervals and tests tried on planted truth, and their tables in docs/statistics.md.

    python -m benchmarks.statistics [--only gaps,runs] [--repetitions 4000] [--replicates 2000]

Prints the tables of docs/statistics.md and writes them there.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from benchmarks.studies import (
    BOTH,
    CLIPS,
    PERCENTILE,
    PERMUTATION,
    PLAIN_T,
    STUDENTISED,
    Coverage,
    T,
    alarm_bound,
    change_study,
    familywise_alarms,
    gap_alarms,
    gap_coverage,
    gap_power,
    pair_power,
    pair_study,
    run_coverage,
)
from heads.analysis import permutation
from heads.analysis.planted import Design

PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"

SPEAKERS = (24, 10)
EQUAL = {24: (12, 12), 10: (5, 5)}
UNEQUAL = {24: (8, 16), 10: (3, 7)}
PLAIN = Design(cut=3.0)
WIDE = Design(cut=3.0, accuracy=0.5, spread=(0.15, 0.05))
FEW_AND_MANY = (5, 25)
GAP, DIFFERENCE = 0.08, 0.04
GAP_DESIGNS = {
    "alike": (EQUAL, PLAIN),
    "5 or 25 clips": (EQUAL, replace(PLAIN, clips=FEW_AND_MANY)),
    "the first spreads thrice as far": (EQUAL, WIDE),
    "of unequal size": (UNEQUAL, PLAIN),
    "unequal size, 5 or 25 clips": (UNEQUAL, replace(PLAIN, clips=FEW_AND_MANY)),
    "unequal size, the larger spreads thrice as far": (UNEQUAL, replace(WIDE, spread=(0.05, 0.15))),
    "unequal size, the smaller spreads thrice as far": (UNEQUAL, WIDE),
}
RUN_DESIGNS = {
    "alike": PLAIN,
    "alike, UA 75 %": replace(PLAIN, accuracy=0.75, spread=(0.08, 0.08)),
    "alike, 3 seeds": replace(PLAIN, seeds=3),
    "5 or 25 clips": replace(PLAIN, clips=FEW_AND_MANY),
    "2, 4, 8, 16 or 32 clips": replace(PLAIN, clips=(2, 4, 8, 16, 32)),
    "3 clips, one speaker in five 60": replace(PLAIN, clips=(3, 3, 3, 3, 60)),
}
_SHOWN = 0.0005  # of intervals that are undefined: less is 0.0 %
PAIR = Design(cut=3.0, runs=2, spread=(0.08, 0.08), run_spread=0.04)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: what it is about, the study behind it, and how its answer is told."""

    about: tuple[str, ...]
    study: Callable[..., Any]
    arguments: tuple[Any, ...]
    told: Callable[[Any], list[str]]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=4000)
    parser.add_argument("--replicates", type=int, default=2000, help="of each bootstrap")
    parser.add_argument("--draws", type=int, default=999, help="of each permutation test")
    parser.add_argument(
        "--only", help="some of the tables: gaps,runs,alarms,power,changes,pairs,holm"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    permutation.DRAWS = asked.draws
    print(machine())
    tables = _tables(asked.repetitions, asked.replicates)
    wanted = asked.only.split(",") if asked.only else list(tables)
    with ProcessPoolExecutor(asked.workers) as pool:
        jobs = {
            name: [pool.submit(row.study, *row.arguments) for row in tables[name][1]]
            for name in wanted
        }
        for name in wanted:
            header, rows = tables[name]
            answers = [job.result() for job in jobs[name]]
            lines = [_line(*row.about, *row.told(x)) for row, x in zip(rows, answers, strict=True)]
            table = "\n".join([_header(*header), *lines, "", _conditions(asked, name)])
            print(f"{name}\n\n{table}\n", flush=True)
            page = with_measured(PAGE.read_text(encoding="utf-8"), {name: table})
            PAGE.write_text(page, encoding="utf-8")


def with_measured(page: str, blocks: dict[str, str]) -> str:
    """A page whose parts between `<!-- measured NAME -->` and `<!-- end -->` are made anew."""
    for name, text in blocks.items():
        pattern = rf"(<!-- measured {name} -->\n).*?(<!-- end -->)"
        page, found = re.subn(
            pattern, lambda match, text=text: f"{match[1]}\n{text}\n\n{match[2]}", page, flags=re.S
        )
        if not found:
            raise ValueError(f"the page has no place for the measured '{name}'")
    return page


def _conditions(asked: argparse.Namespace, name: str) -> str:
    told = [f"{asked.repetitions:,} repetitions of each row"]
    if name in ("gaps", "runs"):
        told.append(f"{asked.replicates:,} replicates of each bootstrap")
    if name in ("alarms", "power", "changes"):
        told.append(f"{asked.draws:,} permutations, or all where there are fewer")
    if name in ("alarms", "changes", "pairs", "holm"):
        told.append(f"the 99 % bound of 5 % is {_share(alarm_bound(asked.repetitions))}")
    return f"{'; '.join(told)}."


def _tables(repetitions: int, replicates: int) -> dict[str, tuple[list[str], list[Row]]]:
    """The header and the rows of each table."""
    gaps = [
        (name, replace(design, speakers=sizes[n]))
        for n in SPEAKERS
        for name, (sizes, design) in GAP_DESIGNS.items()
    ]
    runs = [
        (name, replace(design, speakers=EQUAL[n]))
        for n in SPEAKERS
        for name, design in RUN_DESIGNS.items()
    ]
    pairs = [
        replace(PAIR, speakers=EQUAL[n], difference=planted)
        for n in SPEAKERS
        for planted in (0.0, DIFFERENCE)
    ]
    boards = [
        replace(PAIR, speakers=EQUAL[n], runs=count, clips=(5,))
        for n in SPEAKERS
        for count in (3, 6)
    ]
    changes = [  # four points better in both groups; what speakers are cancels
        (name, replace(PAIR, speakers=design.speakers, clips=design.clips, difference=DIFFERENCE))
        for name, design in gaps
        if "thrice" not in name
    ]
    widths = ["width: t", "width: studentised"]
    intervals = [_bold(T), STUDENTISED, PERCENTILE, CLIPS]
    return {
        "gaps": (
            ["speakers", "groups", *intervals, *widths],
            [_covered(_sizes(design), name, gap_coverage, replace(design, gap=GAP),
                      (repetitions, replicates, 1)) for name, design in gaps],
        ),
        "runs": (
            ["speakers", "design", _bold(T), PLAIN_T, *intervals[1:], *widths],
            [_covered(str(sum(design.speakers)), name, run_coverage, design,
                      (repetitions, replicates, 2)) for name, design in runs],
        ),
        "alarms": (
            ["speakers", "groups", PERMUTATION, T, _bold(BOTH), CLIPS],
            [Row((_sizes(design), name), gap_alarms, (design, repetitions, 3), _shares)
             for name, design in gaps],
        ),
        "power": (
            ["speakers", "groups", "theory", PERMUTATION, T, _bold(BOTH), CLIPS],
            [Row((_sizes(design), name, _share(gap_power(replace(design, gap=GAP)))),
                 gap_alarms, (replace(design, gap=GAP), repetitions, 4), _shares)
             for name, design in gaps if name in ("alike", "of unequal size")],
        ),
        "changes": (
            ["speakers", "groups", _bold("t covers"), _bold("finds a change")],
            [Row((_sizes(design), name), change_study, (design, repetitions, 7),
                 lambda found: [_share(found[0].share), _share(found[1])])
             for name, design in changes],
        ),
        "pairs": (
            ["speakers", "planted", "theory", _bold("t covers"), _bold("sign flip"), "McNemar"],
            [Row((str(sum(design.speakers)), f"{100 * design.difference:g} points",
                  _share(pair_power(design))),
                 pair_study, (design, repetitions, 5),
                 lambda found: [_share(found[0].share), *_shares(found[1])]) for design in pairs],
        ),
        "holm": (
            ["speakers", "runs", "no correction", "a named run", "the best run",
             "the best run, all pairs", "a best run is called worse"],
            [Row((str(sum(design.speakers)), str(design.runs)),
                 familywise_alarms, (design, repetitions, 6), _shares) for design in boards],
        ),
    }  # fmt: skip


def _covered(sizes: str, name: str, study: Callable[..., Any], design: Design, rest: Any) -> Row:
    """A row of how often intervals cover, and of how wide two of them are."""

    def told(found: dict[str, Coverage]) -> list[str]:
        covers = [
            _share(own.share)
            + (f" ({_share(own.undefined)} none)" if own.undefined >= _SHOWN else "")
            for own in found.values()
        ]
        return [*covers, *(_share(found[method].width) for method in (T, STUDENTISED))]

    return Row((sizes, name), study, (design, *rest), told)


def _header(*cells: str) -> str:
    words = {"groups", "design", "planted"}
    rules = ("---" if cell in words else "---:" for cell in cells)
    return f"{_line(*cells)}\n|{'|'.join(rules)}|"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _sizes(design: Design) -> str:
    return " + ".join(map(str, design.speakers))


def _shares(found: dict[str, float]) -> list[str]:
    return [_share(share) for share in found.values()]


def _share(share: float) -> str:
    return f"{100 * share:.1f}"


def _bold(cell: str) -> str:
    return f"**{cell}**"


if __name__ == "__main__":
    main()
