"""TurEV-DB: recordings and their filtered copies."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedcache.corpora.turevdb import describe, parse

FILTERED = "Model Output for Test Data/testEmotions500HighPass/sound"


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("Sound Source/Sad/1157_hl_acik.wav", True),
        ("Happy/1358_mt_bugu.wav", True),
        (f"{FILTERED}/Sad/1157_hl_acik.wav", False),
        ("testEmotions5000LowPass/sound/Sad/1157_hl_acik.wav", False),
        ("testEmotions5000LowPass/plain/Sad/1157_hl_acik.wav", False),
        ("Sound Source/1157_hl_acik.wav", False),
        ("Sound Source/Bored/1157_hl_acik.wav", False),
    ],
)
def test_recordings_are_taken_and_no_filtered_copies(path: str, known: bool) -> None:
    assert (describe(Path(path)) is not None) == known


def test_filtered_copies_are_counted_and_no_strangers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for path in ("Sound Source/Sad/1157_hl_acik.wav", f"{FILTERED}/Sad/1157_hl_acik.wav"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    assert [u.path.parent.parent.name for u in parse(tmp_path)] == ["Sound Source"]
    (record,) = [r for r in caplog.records if "left out" in r.getMessage()]
    assert record.levelname == "INFO"
    assert record.getMessage() == "turevdb: left out: 1 filtered copies"
