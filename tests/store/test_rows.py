"""Rows of a shard: views by row and layer, and a checksum per layer over all of their bytes."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash

from embedcache.store.quantise import QuantisedFrames
from embedcache.store.rows import ShardRows, row_checksums

FRAMES = np.random.default_rng(0).standard_normal((2, 11, 3)).astype(np.float32)


def test_a_row_has_a_checksum_per_layer_over_its_bytes() -> None:
    frames = FRAMES.astype(np.float16)
    expected = [xxhash.xxh3_64_intdigest(layer.tobytes()) for layer in frames]
    assert row_checksums(frames).tolist() == expected
    wide = np.concatenate([frames, frames], axis=1)  # a view into a larger array
    assert row_checksums(wide[:, :11]).tolist() == expected


def test_that_of_a_quantised_row_goes_over_its_levels_and_then_its_limits() -> None:
    row = QuantisedFrames.of(FRAMES)
    expected = [
        xxhash.xxh3_64_intdigest(levels.tobytes() + limits.tobytes())
        for levels, limits in zip(row.levels, row.limits, strict=True)
    ]
    assert row_checksums(row).tolist() == expected


@pytest.mark.parametrize("part", ["levels", "limits"])
def test_every_byte_of_a_quantised_row_counts(part: str) -> None:
    row = QuantisedFrames.of(FRAMES)
    before = row_checksums(row)
    array = getattr(row, part).view(np.uint8).reshape(-1)
    for position in range(array.size):
        array[position] ^= 1
        changed = row_checksums(row) != before
        assert changed.tolist() == [position < array.size // 2, position >= array.size // 2]
        array[position] ^= 1


def test_rows_are_views_at_their_place() -> None:
    row = QuantisedFrames.of(FRAMES)
    other = QuantisedFrames.of(-2 * FRAMES[:, :4])
    rows = ShardRows(
        values=np.concatenate([other.levels, row.levels], axis=1),
        limits=np.stack([other.limits, row.limits]),
        offsets=np.array([0, 4, 15]),
    )
    for number, own in enumerate((other, row)):
        assert len(rows.layers(number)) == 2
        for found, layer in zip(rows.layers(number), own, strict=True):
            assert isinstance(found, QuantisedFrames)
            assert found.levels.base is not None and found.limits.base is not None
            np.testing.assert_array_equal(found, layer)
