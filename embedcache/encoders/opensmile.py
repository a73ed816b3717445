"""Low-level descriptors of openSMILE's feature sets, through its own package.

F. Eyben, M. Wöllmer, B. Schuller (2010), openSMILE: the Munich versatile and fast open-source audio
feature extractor, ACM Multimedia. The package, its features and models trained on them are under
audEERING's own licence, not under ours: it allows research, teaching and private use, and no use in
products without a licence from audEERING.

openSMILE smooths over frames and takes a path of the fundamental frequency through a whole clip, so
where a long clip is encoded in windows, frames beside a seam differ from those of the whole clip.
"""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from embedcache.encoders import Encoder, EncoderSpec, Frames, Samples, require_plain
from embedcache.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

IDS = {
    "opensmile": "openSMILE's eGeMAPSv02, 25 values every 10 ms (extra; non-commercial licence)",
    "opensmile:SET": "another openSMILE set, such as ComParE_2016 (extra; non-commercial licence)",
}
LICENCE = (
    "openSMILE is under audEERING's research licence: its features, and models trained on them, "
    "may not be used in products without a licence from audEERING"
)

DEFAULT_SET = "eGeMAPSv02"
RATE_HZ = 16_000
HOP = 160
# Samples that the first frame and that any frames at all need, at 16 kHz. openSMILE pads the last
# window of some sets, so its first count is not the length of a window.
_GEMAPS = (800, 960)
_INTERSPEECH = (960, 1120)
GRIDS = {
    "ComParE_2016": _GEMAPS,
    "GeMAPSv01b": _GEMAPS,
    "eGeMAPSv02": _GEMAPS,
    "emobase": (480, 640),
    "IS09": (240, 400),
    "IS10": _INTERSPEECH,
    "IS11": _INTERSPEECH,
    "IS12": _INTERSPEECH,
    "IS13": _GEMAPS,
}

_log = logging.getLogger(__name__)


def load(encoder_id: str, layers: str, device: str, dtype: str) -> Encoder:
    """A set of openSMILE's low-level descriptors; it computes on the CPU, in float32."""
    name = encoder_id.partition(":")[2] or DEFAULT_SET
    if name not in GRIDS:
        raise unknown_name("openSMILE set", name, GRIDS)
    require_plain(encoder_id, layers, dtype)
    try:
        package = import_module("opensmile")
    except ImportError as error:
        raise UsageError(
            f"--encoder {encoder_id} needs the package opensmile; install it with "
            "`pip install 'ser-embedcache[opensmile]'`"
        ) from error
    _log.info("%s", LICENCE)
    return _OpenSmile(encoder_id, name, package)


class _OpenSmile:
    def __init__(self, encoder_id: str, name: str, package: Any) -> None:
        self._smile = package.Smile(
            feature_set=package.FeatureSet[name],
            feature_level=package.FeatureLevel.LowLevelDescriptors,
        )
        receptive, shortest = GRIDS[name]
        self.spec = EncoderSpec(
            id=encoder_id,
            family="opensmile",
            config={
                "set": name,
                "level": "LowLevelDescriptors",
                "columns": list(self._smile.feature_names),
                "version": version("opensmile"),
            },
            weights="",
            trained=None,
            rate_hz=RATE_HZ,
            hop=HOP,
            receptive=receptive,
            shortest=shortest,
            dim=self._smile.num_features,
            layers=("last",),
            last="last",
            dtype="float32",
            pads=True,
        )

    def prepare(self, clip: Samples) -> Samples:
        """Nothing: openSMILE takes samples as they are."""
        return clip

    def encode(self, clips: Sequence[Samples]) -> list[Frames]:
        """Frames of each clip, one clip after the other: [1, T, D]."""
        tables = [self._smile.process_signal(clip, RATE_HZ) for clip in clips]
        return [table.to_numpy(dtype=np.float32)[None] for table in tables]
