"""What a run was asked for, as a number: runs that are there are not trained again.

A run's own id is known only when it is trained, for it also tells what came of `auto`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from embedcache.errors import SerError
from embedcache.seen import seen_by_cache
from heads.results import list_runs
from heads.train.candidates import settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from embedcache.store.cache import Meta
    from embedcache.utterance import Utterance
    from heads.recipes.steps import Training

REPORT = "recipe"
_log = logging.getLogger(__name__)
_ELSEWHERE = ("heads", "cache", "cache_dir", "encoder", "device", "settings")
# Options that runs did not have once: one that does not ask for them is what it was.
ADDED = {"balance": "", "ambiguous": "keep", "worst_group": ""}
_PACKAGES = ("ser-embedcache", "torch", "numpy", "scipy", "scikit-learn")


class Frames(Protocol):
    """An open cache, or several that are read as one."""

    @property
    def meta(self) -> Meta:
        """What made it."""
        ...

    @property
    def utterances(self) -> Sequence[Utterance]:
        """Those whose frames are there."""
        ...

    @property
    def missing(self) -> Sequence[Utterance]:
        """Those whose frames are not there."""
        ...

    @property
    def views(self) -> Sequence[Utterance]:
        """Augmented views whose frames are there."""
        ...

    def content_id(self, utterance_id: str) -> str:
        """The content of an utterance."""
        ...


def digest_request(training: Training, head: str, reader: Frames) -> str:
    """A hash of all that one head's run depends on: the configuration, frames, labels, versions."""
    config = asdict(training.config)
    asked: dict[str, Any] = {
        k: v for k, v in config.items() if k not in _ELSEWHERE and ADDED.get(k) != v
    }
    asked["labels"]["drop"] = sorted(asked["labels"]["drop"])
    asked |= {
        "head": head,
        "settings": settings_of(head, training.config.settings),
        "tensorboard": training.tensorboard,
        "key": reader.meta.key,
        "encoder": reader.meta.encoder_id,
        "corpus": [{**u.to_json(), "path": ""} for u in reader.utterances],
        "contents": [reader.content_id(u.id) for u in reader.utterances],
        "views": [(view.id, view.view) for view in reader.views],
        "missing": sorted(one.id for one in reader.missing),
        "seen": _seen(reader),
        "versions": {name: version(name) for name in _PACKAGES},
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _seen(reader: Frames) -> list[dict[str, Any] | None]:
    """What is known of the data that encoders were trained on: a run may become contaminated."""
    found = []
    for one in getattr(reader, "readers", [reader]):
        seen, silent = seen_by_cache(one.path, one.meta.encoder_id, one.meta.recorded)
        found.append({"complete": False} if silent else seen.to_json() if seen else None)
    return found


def runs_by_request(results_dir: Path) -> dict[str, Path]:
    """The runs of a folder that recipes have made, by what was asked for."""
    found = {}
    for run in list_runs(results_dir):
        try:
            report = run.read_report(REPORT)
        except SerError as error:  # then it is trained again
            _log.warning("%s", error)
            continue
        if report and "asked" in report:
            found[str(report["asked"])] = run.path
    return found
