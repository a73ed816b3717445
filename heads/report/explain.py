"""`ser bias`: whom a run fails and where annotators disagree, in text and beside the run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from heads.analysis.gaps import GapConfig
from heads.analysis.groups import Minimum
from heads.report.ambiguity import TOP, ambiguity
from heads.report.bias import bias
from heads.report.page import bias_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from heads.results import Run

_MINIMUM = Minimum()
_GAPS = GapConfig()

_log = logging.getLogger(__name__)


def explain(
    run: Run,
    by: Sequence[str],
    minimum: Minimum = _MINIMUM,
    config: GapConfig = _GAPS,
    top: int = TOP,
) -> tuple[dict[str, Any], str]:
    """Bias and ambiguity of a run; writes bias.json, ambiguity.json and bias.html into its folder.

    Args:
        run: The run.
        by: Columns, as for `heads.report.bias.bias`.
        minimum: How large a group must be to be compared.
        config: How gaps are looked at.
        top: How many clips each list of clips holds at most.

    Returns:
        The record of `bias.json` with that of `ambiguity.json` under `ambiguity`, and both as text.

    Raises:
        UsageError: A column does not exist, speakers are not known, or the run is on dimensions.
        SerError: The run is damaged, or the disk refused.
    """
    found, gaps_told = bias(run, by, minimum, config)
    unclear, votes_told = ambiguity(run, top)
    paths = [
        run.write_report("bias", found),
        run.write_report("ambiguity", unclear),
        run.write_page("bias", bias_page(run, found, unclear)),
    ]
    _log.info("written: %s", ", ".join(map(str, paths)))
    return {**found, "ambiguity": unclear}, f"{gaps_told}\n\n{votes_told}"
