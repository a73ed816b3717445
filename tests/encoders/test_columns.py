from __future__ import annotations

import numpy as np
import torch

from embedcache.encoders._columns import REACH, slopes


def test_a_ramp_has_one_slope_from_end_to_end() -> None:
    for frames in range(2, 12):
        ramp = 7.0 - 0.5 * torch.arange(frames, dtype=torch.float32)[:, None]
        np.testing.assert_allclose(slopes(ramp), -0.5, atol=1e-6)


def test_a_constant_and_a_single_frame_have_none() -> None:
    assert not slopes(torch.full((1, 3), 5.0)).any()
    np.testing.assert_allclose(slopes(torch.full((9, 3), 5.0)), 0, atol=1e-6)


def test_each_is_the_line_that_numpy_fits() -> None:
    values = torch.from_numpy(np.random.default_rng(0).standard_normal((11, 2)))
    mine = slopes(values)
    for t in range(len(values)):
        near = slice(max(0, t - REACH), t + REACH + 1)
        fitted = np.polyfit(np.arange(len(values))[near], values[near], 1)[0]
        np.testing.assert_allclose(mine[t], fitted, atol=1e-9)


def test_frames_further_away_do_not_matter() -> None:
    values = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    changed = values.clone()
    changed[13:] += 100
    assert torch.equal(slopes(values)[: 13 - REACH], slopes(changed)[: 13 - REACH])
    assert not torch.equal(slopes(values)[13 - REACH], slopes(changed)[13 - REACH])
