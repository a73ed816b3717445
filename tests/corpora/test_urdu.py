from __future__ import annotations

from pathlib import Path

import pytest

from embedcache.corpora import read_corpus


def test_clips_in_the_folder_of_another_emotion_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The label is the name's; a folder that is no emotion's says nothing."""
    names = ("Happy/SM2_F1_A03.wav", "ANGRY/SM2_F1_A04.wav", "clips/SM2_F1_S05.wav")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    labels = {u.id: u.label for u in read_corpus("urdu", tmp_path)}
    assert labels == {"SM2_F1_A03": "angry", "SM2_F1_A04": "angry", "SM2_F1_S05": "sad"}
    assert caplog.messages[0] == (
        "urdu: 1 clips lie in the folder of another emotion than their names say; the names count: "
        "Happy/SM2_F1_A03.wav"
    )
