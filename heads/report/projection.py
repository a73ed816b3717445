"""A run's utterances on a plane: `projection.json`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from heads.analysis.leaderboard import notes
from heads.analysis.projection import project_vectors
from heads.run_cache import listed, one_encoder, open_cache
from heads.vectors import utterance_vectors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from heads.pool import FrameReader
    from heads.results import Run

_DIGITS = 5  # of a coordinate: more than a screen shows


def project(
    run: Run,
    method: str = "t-sne",
    seed: int = 0,
    kind: str = "mean",
    caches: Sequence[Path] = (),
) -> dict[str, Any]:
    """The vectors of the clips that a run has tested, at the layer that it sees, on a plane.

    Args:
        run: The run.
        method: `t-sne` or `umap`, an extra.
        seed: Of all that is drawn.
        kind: What vectors are: `mean` of the frames, or `mean-std`.
        caches: Where its caches are now; none for where the run says.

    Returns:
        The record for `projection.json`.

    Raises:
        UsageError: The cache or the method is not there, frames are of several checkpoints, or
            there are too few utterances.
        SerError: The cache is damaged, or has lost frames.
    """
    reader = one_encoder(run, open_cache(run, caches))
    layer, remark = seen_layer(run, reader)
    utterances = listed(run)
    vectors = utterance_vectors(reader, utterances, [layer], kind)[0]
    plane, settings = project_vectors(vectors, method, seed)
    return {
        "run_id": run.id,
        "cache_key": reader.meta.key,
        "notes": [*notes(run.results), *([remark] if remark else [])],
        "layer": layer,
        "method": method,
        "settings": {"vectors": kind, **settings},
        "ids": [utterance.id for utterance in utterances],
        "x": plane[:, 0].round(_DIGITS).tolist(),
        "y": plane[:, 1].round(_DIGITS).tolist(),
    }


def seen_layer(run: Run, reader: FrameReader) -> tuple[str, str]:
    """The layer that a run's head sees, and what must be said where it is not one."""
    asked = str(run.results["cache"].get("layer", "last"))
    if asked == "weighted":
        return reader.meta.last, f"the head weighs all layers, {reader.meta.last} is shown"
    if asked != "best":
        return (reader.meta.last if asked == "last" else asked), ""
    chosen = Counter(str(fold["layers"][0]) for fold in run.model["chosen"].values())
    ((layer, count),) = chosen.most_common(1)
    layer = reader.meta.last if layer == "last" else layer
    if count == chosen.total():
        return layer, ""
    return layer, f"{count} of {chosen.total()} folds see layer {layer}, which is shown"
