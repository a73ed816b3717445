"""A run's predictions, and the utterances that they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embedcache.errors import UsageError
from heads.analysis.tested import as_tested

if TYPE_CHECKING:
    from embedcache.utterance import Utterance
    from heads.analysis.tested import Tested
    from heads.results import Run


def read_tested(run: Run) -> Tested:
    """A run's predictions.

    Raises:
        SerError: They are missing or damaged.
    """
    file = str(run.path / "predictions.csv")
    return as_tested(run.predictions, run.labels, run.target, file)


def read_utterances(run: Run, tested: Tested) -> list[Utterance]:
    """What the corpus knew about each tested utterance.

    Raises:
        UsageError: Some are not listed.
        SerError: The list is damaged.
    """
    ids = tested.ids.tolist()
    lacking = [name for name in ids if name not in run.utterances]
    if lacking:
        raise UsageError(
            f"{run.path} has predictions for {len(lacking)} utterances that its utterances.jsonl "
            f"does not list, first '{lacking[0]}'; train the head again"
        )
    return [run.utterances[name] for name in ids]
