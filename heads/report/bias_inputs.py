"""What a bias report is made of: a run's predictions, and what is known of their utterances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from embedcache.errors import UsageError
from heads.group_columns import columns, require_columns
from heads.report.tested import read_tested, read_utterances

if TYPE_CHECKING:
    from embedcache.utterance import Utterance
    from heads.analysis.tested import Tested
    from heads.results import Run


def require_emotions(run: Run) -> None:
    """See that a run has learned emotions.

    Raises:
        UsageError: It has learned dimensions.
    """
    if run.target != "emotion":
        raise UsageError(
            f"{run.id} has learned {', '.join(run.labels)}: recall and accuracy of groups are of "
            "runs on emotions"
        )


def tested_with_speakers(run: Run) -> tuple[Tested, list[Utterance]]:
    """A run's predictions, and the utterances that they are of, in the same order.

    Raises:
        SerError: The predictions are damaged.
        UsageError: Utterances are not listed, or name no speaker.
    """
    tested = read_tested(run)
    utterances = read_utterances(run, tested)
    speakers = [utterance.speaker for utterance in utterances]
    unknown = sum(not speaker for speaker in speakers)
    if unknown:
        raise UsageError(
            f"{run.id}: {unknown} of {len(speakers)} utterances name no speaker, and "
            "every interval is over speakers; add a speaker column in a manifest"
        )
    return replace(tested, speakers=np.array(speakers, str)), utterances


def known_columns(utterances: Sequence[Utterance], by: Sequence[str]) -> list[str]:
    """The columns that have values.

    Raises:
        UsageError: None was asked for, or one that has none.
    """
    there = columns(utterances)
    if not by:
        raise UsageError(f"--by is empty; there are: {', '.join(there)}")
    require_columns(by, there, "this run's utterances")
    return there
