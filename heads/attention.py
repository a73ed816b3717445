"""Where a run's own models look: the weights of frames in pooling, for chosen clips.

A weight says how much a frame counts in the mean that is classified. It does not say why: a model
can look at one place and would decide the same by another (S. Jain, B. Wallace 2019, Attention is
not Explanation, NAACL, arXiv 1902.10186).

Letters: T frames, H weightings of a clip (queries times attention heads), C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from embedcache.errors import SerError, UsageError
from heads.labels import majority
from heads.run_cache import listed, of_fold, open_cache
from heads.saved import SavedModel, load_saved

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from embedcache.utterance import Utterance
    from heads.pool import FrameReader
    from heads.results import Run

Array = npt.NDArray[np.float64]

POOLED_BY_ATTENTION = ("attention", "mha")
_TOLERANCE = 0.05  # of a probability: models may have been trained and asked in bfloat16


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipAttention:
    """What a model makes of a clip that it has not seen in training.

    Attributes:
        utterance: The clip.
        fold: That tested it.
        seed: Of the model.
        weights: [H, T], one in all over time.
        frame_hz: Frames per second.
        labels: [C].
        predicted: [C], probabilities.
        truth: The annotated class; None where votes are tied.
    """

    utterance: Utterance
    fold: int
    seed: int
    weights: Array
    frame_hz: float
    labels: tuple[str, ...]
    predicted: Array
    truth: str | None


def choose_clips(run: Run, most: int = 6, seed: int | None = None) -> list[str]:
    """Ids of clips worth a look: for each emotion the surest right answer and the worst mistake.

    The surest of all emotions come first, a right answer and a mistake in turn.

    Args:
        run: A run on emotions.
        most: How many.
        seed: Of the models; None for the run's first.

    Raises:
        UsageError: The run has learned no emotions, or has no such seed.
    """
    if run.target != "emotion":
        raise UsageError(
            f"{run.id} has learned {', '.join(run.labels)}: right answers and mistakes are of runs "
            "on emotions; name the clips"
        )
    own = run.predictions[run.predictions["seed"] == _seed(run, seed)]
    truth = majority(own[[f"true_{label}" for label in run.labels]].to_numpy(float))
    predicted = own[[f"pred_{label}" for label in run.labels]].to_numpy(float)
    guess, surest = predicted.argmax(axis=1), predicted.max(axis=1)
    ids = own["id"].to_numpy(str)
    columns: list[list[tuple[float, str]]] = []
    for wanted in (guess == truth, (guess != truth) & (truth >= 0)):
        best = []
        for code in range(len(run.labels)):
            rows = np.flatnonzero(wanted & (truth == code))
            if rows.size:
                row = rows[surest[rows].argmax()]
                best.append((-float(surest[row]), str(ids[row])))
        columns.append(sorted(best))
    right, wrong = columns
    pairs = [pair for n in range(len(run.labels)) for pair in (right[n : n + 1], wrong[n : n + 1])]
    return [name for pair in pairs for _, name in pair][:most]


def attend(
    run: Run, ids: Sequence[str], seed: int | None = None, caches: Sequence[Path] = ()
) -> list[ClipAttention]:
    """Ask the model that tested each clip where it looks.

    Args:
        run: A run of a head that pools by attention.
        ids: Clips that it has tested.
        seed: Of the models; None for the run's first.
        caches: Where the run's caches are now; none for where it says.

    Raises:
        UsageError: The head does not pool by attention, a clip was not tested, there is no such
            seed, or the cache is not there.
        SerError: Files are damaged, or the model as built again predicts something else.
    """
    if run.results["head"]["name"] not in POOLED_BY_ATTENTION:
        raise UsageError(
            f"{run.id}: the head {run.results['head']['name']} does not pool by attention; "
            f"{' and '.join(POOLED_BY_ATTENTION)} do"
        )
    seed = _seed(run, seed)
    own = run.predictions[run.predictions["seed"] == seed].set_index("id")
    lacking = [name for name in ids if name not in own.index or name not in run.utterances]
    if lacking:
        raise UsageError(
            f"{run.id} has tested no utterance '{lacking[0]}'; ids are those of predictions.csv"
        )
    reader = open_cache(run, caches)
    found: dict[str, ClipAttention] = {}
    folds = dict(zip(own.index.tolist(), own["fold"].tolist(), strict=True))
    for fold in sorted({folds[name] for name in ids}):
        serving = of_fold(run, reader, fold)
        saved = load_saved(run, fold, seed, serving.meta.roles)
        _require_whole_speakers(run, saved)
        for name in (name for name in ids if folds[name] == fold):
            row = own.loc[[name]].iloc[0]
            found[name] = _ask(run, saved, serving, row, (fold, seed))
    return [found[name] for name in ids]


@torch.no_grad()
def _ask(
    run: Run, saved: SavedModel, reader: FrameReader, row: pd.Series, model: tuple[int, int]
) -> ClipAttention:
    """One clip, given its row of `predictions.csv`."""
    utterance = run.utterances[str(row.name)]
    frames, mask = saved.frames(reader, [utterance], listed(run)).batch([0], "cpu")
    weights = saved.head.frame_weights(frames, mask)[0][:, mask[0]]  # type: ignore[operator]
    written, truth = (
        row[[f"{kind}_{label}" for label in run.labels]].to_numpy(float)
        for kind in ("pred", "true")
    )
    code = majority(truth[None])[0] if run.target == "emotion" else -1
    clip = ClipAttention(
        utterance=utterance,
        fold=model[0],
        seed=model[1],
        weights=np.asarray(weights, np.float64),
        frame_hz=reader.meta.frame_hz,
        labels=saved.labels,
        predicted=saved.predict(frames, mask)[0],
        truth=run.labels[code] if code >= 0 else None,
    )
    _require_same(run, clip, written)
    return clip


def _seed(run: Run, seed: int | None) -> int:
    """The seed that is asked for, or the first."""
    there = sorted({int(one) for one in run.predictions["seed"]})
    if seed is None:
        return there[0]
    if seed not in there:
        raise UsageError(f"{run.id} has no seed {seed}; there are {', '.join(map(str, there))}")
    return seed


def _require_whole_speakers(run: Run, saved: SavedModel) -> None:
    """See that the run lists all clips that a speaker's statistics are made of."""
    corpus, protocol = run.results["corpus"], run.results["protocol"]
    untested = corpus["utterances"] - corpus["tested"]
    if saved.by_speaker and untested and protocol["speaker_overlap"]:
        raise UsageError(
            f"{run.id} sees frames by their speaker's own mean and deviation, and {untested} clips "
            "that these were made of were not tested, so the run does not list them; give a run "
            "that tests all of a speaker's clips"
        )


def _require_same(run: Run, clip: ClipAttention, written: Array) -> None:
    """See that the model as built again predicts what the run has written."""
    distance = float(np.abs(clip.predicted - written).max())
    limit = _TOLERANCE if run.target == "emotion" else _TOLERANCE * max(1.0, np.abs(written).max())
    if not distance <= limit:
        raise SerError(
            f"{run.path}: the model of fold {clip.fold} and seed {clip.seed}, built again, is "
            f"{distance:.2g} off what predictions.csv says of {clip.utterance.id}; its files were "
            "edited, or are of another version: train the head again"
        )
