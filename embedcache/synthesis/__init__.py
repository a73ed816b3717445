"""Synthetic speech: a voice, and the study of acted emotions that is recorded with it.

The voice: `phones` (what is said) and `prosody` (how) are timed; `glottis`, `tract` and `frication`
make the sound; `voice` joins them. The study: `design` (its size, and the effects planted in it),
`emotions` (what they do to prosody), `actors` and `annotators` (who speaks, who listens), and
`ground_truth` (all that was decided, and what an analysis should therefore find).

Letters: N samples, F filter frames, R formants (5), C prosodic cues (7), E emotions (4).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
