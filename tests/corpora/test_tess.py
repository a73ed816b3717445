"""TESS: its grammar of names against EmoBox's list, and files that are not what their names say."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from embedcache.audio.decode import probe, read_clip
from embedcache.corpora.tess import CLIPS, describe, parse
from tests.material import noise, real_data


def listed() -> dict[Path, str]:
    text = (real_data("emobox") / "tess" / "tess.jsonl").read_text(encoding="utf-8")
    return {Path(row["wav"]): row["emo"] for row in map(json.loads, text.splitlines())}


def test_every_listed_clip_has_the_label_of_the_list() -> None:
    clips = listed()
    told = {path: describe(path) for path in clips}
    assert len(told) == 2800
    assert {path: u and u.label for path, u in told.items()} == {
        path: {"ps": "surprise"}.get(emotion, emotion) for path, emotion in clips.items()
    }
    assert Counter(u.speaker for u in told.values() if u) == CLIPS


def test_every_word_is_spoken_by_both_women_with_every_emotion() -> None:
    told = [u for u in map(describe, listed()) if u]
    words = Counter(u.sentence for u in told)
    assert len(words) == 200 and set(words.values()) == {14}
    assert len({(u.speaker, u.sentence, u.label) for u in told}) == 2800


@pytest.mark.parametrize(("name", "age"), [("OAF_bath_sad", 64), ("YAF_bath_sad", 26)])
def test_the_older_talker_is_64_and_the_younger_26(name: str, age: int) -> None:
    told = describe(Path(f"{name}.wav"))
    assert told and told.age == age and told.gender == "female"


def test_the_misspelt_name_is_the_older_talkers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in listed():
        (tmp_path / path.name).touch()
    (tmp_path / "OAF_bite_neutral.wav").rename(tmp_path / "OA_bite_neutral.wav")
    assert Counter(u.speaker for u in parse(tmp_path)) == CLIPS
    assert not caplog.records


@pytest.mark.parametrize(
    "name", ["YA_bath_sad", "OAF_bath", "OAF__sad", "OAF_bath_calm", "OAF_bath_sad_2"]
)
def test_other_names_are_left_out(name: str) -> None:
    assert describe(Path(f"{name}.wav")) is None


def test_aiff_data_under_the_name_of_a_wav_file_is_decoded(tmp_path: Path) -> None:
    samples = noise(0.5, seed=1, rate_hz=24_414)
    path, plain = tmp_path / "YAF_germ_angry.wav", tmp_path / "plain.wav"
    soundfile.write(path, samples, 24_414, format="AIFF", subtype="PCM_16")
    soundfile.write(plain, samples, 24_414, format="WAV", subtype="PCM_16")
    assert path.read_bytes()[:4] == b"FORM"
    (clip,) = parse(tmp_path)
    info = probe(clip.path)
    assert info and info.rate_hz == 24_414
    assert np.array_equal(
        read_clip(clip.path, 0.0, None, 16_000), read_clip(plain, 0, None, 16_000)
    )
