from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from embedcache.batches import EncodeConfig, make_batches, windows

LENGTHS = st.lists(st.integers(1, 1000), max_size=50)


@given(LENGTHS, st.integers(1, 8), st.integers(1, 3000), st.booleans())
def test_batches_hold_every_clip_once_within_the_limits(
    lengths: list[int], most: int, budget: int, pads: bool
) -> None:
    config = EncodeConfig(max_seconds=500, max_clips=most, max_batch_seconds=budget)
    batches = make_batches(lengths, config, rate_hz=1, pads=pads)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        chosen = [lengths[i] for i in batch]
        assert len(batch) <= most
        assert len(batch) == 1 or max(chosen) * len(batch) <= budget
        assert len(batch) == 1 or max(chosen) <= 500
        assert pads or len(set(chosen)) == 1


@given(st.integers(1, 20_000), st.integers(400, 5_000))
def test_windows_tile_the_clips_own_grid(samples: int, longest: int) -> None:
    hop, receptive = 320, 400
    cuts = windows(samples, longest, hop, receptive)
    counts = [max(0, (end - start - receptive) // hop + 1) for start, end in cuts]
    assert sum(counts) == max(0, (samples - receptive) // hop + 1)
    assert all(start % hop == 0 for start, _ in cuts)
    assert cuts[-1][1] <= samples
    if len(cuts) > 1:
        assert all(end - start <= max(longest, receptive) for start, end in cuts)
        assert max(counts) - min(counts) <= 1
