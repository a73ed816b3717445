"""Who is asked what: folds keep apart what they must, and what cannot be probed says why."""

from __future__ import annotations

import numpy as np
import pytest

from heads.analysis.probe_targets import MOST_SPEAKERS, make_targets


def crossed(speakers=8, sentences=4, repeats=3):
    """Each speaker says each sentence several times."""
    voices = [f"c/{s}" for s in range(speakers) for _ in range(sentences * repeats)]
    said = [f"{n % sentences}" for n in range(len(voices))]
    return voices, said


def columns_of(voices, **more):
    emotions = [("sad", "angry", "happy")[n // 4 % 3] for n in range(len(voices))]
    gender = ["fm"[int(v.partition("/")[2]) % 2] for v in voices]
    return {"emotion": emotions, "gender": gender, **more}


def test_properties_are_read_of_unheard_speakers():
    voices, said = crossed()
    targets, reasons = make_targets(columns_of(voices), voices, said, ["happy", "sad", "angry"])
    assert reasons == {}
    assert [t.name for t in targets] == ["emotion", "gender", "speaker"]
    emotion, gender, _ = targets
    assert emotion.classes == ("happy", "sad", "angry")  # the run's order
    assert gender.classes == ("f", "m")
    assert emotion.chance == pytest.approx(1 / 3)
    assert (emotion.by_speaker, gender.by_speaker) == (False, True)
    assert gender.tests is emotion.tests
    tested = np.concatenate(emotion.tests)
    np.testing.assert_array_equal(np.sort(tested), np.arange(len(voices)))
    assert len(emotion.tests) == 5
    for test in emotion.tests:
        rest = set(range(len(voices))) - set(test.tolist())
        assert not {voices[i] for i in test} & {voices[i] for i in rest}
        assert {gender.codes[i] for i in rest} == {0, 1}
    assert emotion.protocol == "5 folds, no speaker in training and test"


def test_codes_are_positions_in_classes_and_the_unknown_have_none():
    voices, said = crossed()
    columns = columns_of(voices)
    columns["emotion"][5] = None
    emotion = make_targets(columns, voices, said)[0][0]
    named = [None if c < 0 else emotion.classes[c] for c in emotion.codes]
    assert named == columns["emotion"]


def test_the_speaker_is_read_across_sentences_where_all_have_read_them():
    voices, said = crossed()
    speaker = make_targets({}, voices, said)[0][0]
    assert speaker.protocol == ("4 folds, no sentence in training and test, every speaker in both")
    assert len(speaker.classes) == 8
    for test in speaker.tests:
        rest = np.setdiff1d(np.arange(len(voices)), test)
        assert not {said[i] for i in test} & {said[i] for i in rest}
        assert {voices[i] for i in test} == {voices[i] for i in rest} == set(voices)


@pytest.mark.parametrize("how", ["own", "lacking", "one"])
def test_else_the_speaker_is_read_over_utterances(how):
    voices, said = crossed()
    said = {"own": voices, "lacking": [None, *said[1:]], "one": ["0"] * len(said)}[how]
    speaker = make_targets({}, voices, said)[0][0]
    assert speaker.protocol == "5 folds over utterances, every speaker in training and test"
    for test in speaker.tests:
        rest = np.setdiff1d(np.arange(len(voices)), test)
        assert {voices[i] for i in test} == {voices[i] for i in rest} == set(voices)


def test_speakers_with_few_clips_are_not_among_those_that_are_told_apart():
    voices, _ = crossed()
    voices[:9] = ["c/9"] * 4 + ["c/8"] * 5
    speaker = make_targets({}, voices, [None] * len(voices))[0][0]
    assert speaker.left_out == {"c/9": "4 clips, and it takes 5", "c/0": "3 clips, and it takes 5"}
    assert "c/8" in speaker.classes
    assert (speaker.codes[:4] == -1).all()
    assert not set(range(4)) & set(np.concatenate(speaker.tests).tolist())


def test_of_many_speakers_those_with_the_most_clips_are_told_apart():
    voices = [f"c/{s:03}" for s in range(MOST_SPEAKERS + 3) for _ in range(5 + (s > 1))]
    speaker = make_targets({}, voices, [None] * len(voices))[0][0]
    assert len(speaker.classes) == MOST_SPEAKERS
    why = "not among the 100 speakers with the most clips"
    assert speaker.left_out == {"c/000": why, "c/001": why, f"c/{MOST_SPEAKERS + 2:03}": why}


def test_a_class_of_one_speaker_is_left_out():
    voices, said = crossed()
    ages = ["20-29" if v < "c/4" else "30-39" if v < "c/7" else "60-69" for v in voices]
    age = next(t for t in make_targets({"age": ages}, voices, said)[0] if t.name == "age")
    assert age.classes == ("20-29", "30-39")
    assert age.left_out == {"60-69": "1 speaker, and it takes 2"}
    assert {ages[i] for i in np.flatnonzero(age.codes < 0)} == {"60-69"}


def test_what_cannot_be_probed_says_why():
    voices, said = crossed()
    columns = {
        "age": [None] * len(voices),
        "gender": ["female"] * len(voices),
        "corpus": ["a" if v == "c/0" else "b" if v == "c/1" else None for v in voices],
    }
    targets, reasons = make_targets(columns, voices, said)
    assert [t.name for t in targets] == ["speaker"]
    assert reasons == {
        "age": "no utterance has one",
        "gender": "one class, female",
        "corpus": "a: 1 speaker, and it takes 2; b: 1 speaker, and it takes 2",
    }


def test_one_speaker_leaves_nothing_to_probe():
    targets, reasons = make_targets({"emotion": ["a", "b"] * 6}, ["c/0"] * 12, ["1"] * 12)
    assert targets == []
    assert reasons == {
        "emotion": "one speaker, and a probe is tested on speakers that it has not heard",
        "speaker": "one class, c/0",
    }


def test_a_class_whose_speakers_all_fell_into_one_fold_is_left_out():
    """Many strata hide a rare class from the dealer: some seeds put its two speakers together."""
    voices = [f"c/{s:02}" for s in range(16) for _ in range(6)]
    rare = ["x" if v in ("c/03", "c/04") else "yz"[int(v[2:]) % 2] for v in voices]
    strata = [f"{n % 5} {int(v[2:]) % 7}" for n, v in enumerate(voices)]
    columns = {"rare": rare, "other": strata}
    left = 0
    for seed in range(30):
        (target, *_), _ = make_targets(columns, voices, [None] * len(voices), seed=seed)
        if target.left_out:
            left += 1
            assert target.left_out == {"x": "all its speakers are in one fold"}
            assert target.classes == ("y", "z")
        for test in target.tests:
            train = np.setdiff1d(np.arange(len(voices)), test)
            assert set(target.codes[test]) - {-1} <= set(target.codes[train])
    assert 0 < left < 30


# What chooses the penalty


@pytest.mark.parametrize(("speakers", "parts"), [(2, 0), (3, 2), (4, 3), (5, 2), (12, 2)])
def test_whole_speakers_are_left_out_to_choose_a_penalty(speakers, parts):
    voices, said = crossed(speakers)
    emotion = make_targets(columns_of(voices), voices, said)[0][0]
    assert len(emotion.inner) == len(emotion.tests)
    for test, inner in zip(emotion.tests, emotion.inner, strict=True):
        assert len(inner) == parts
        train = np.setdiff1d(np.arange(len(voices)), test)
        if parts:
            np.testing.assert_array_equal(np.sort(np.concatenate(inner)), train)
        for part in inner:
            rest = np.setdiff1d(train, part)
            assert rest.size
            assert not {voices[i] for i in part} & {voices[i] for i in rest}


@pytest.mark.parametrize("sentences", [2, 3, 4, 7])
def test_what_the_speaker_is_read_across_is_left_out_to_choose_a_penalty(sentences):
    """Whole sentences; of one that alone trains, clips."""
    voices, said = crossed(sentences=sentences)
    speaker = make_targets({}, voices, said)[0][0]
    assert "no sentence in training and test" in speaker.protocol
    for test, inner in zip(speaker.tests, speaker.inner, strict=True):
        train = np.setdiff1d(np.arange(len(voices)), test)
        np.testing.assert_array_equal(np.sort(np.concatenate(inner)), train)
        for part in inner:
            rest = np.setdiff1d(train, part)
            assert {voices[i] for i in part} == {voices[i] for i in rest} == set(voices)
            shared = {said[i] for i in part} & {said[i] for i in rest}
            assert len(shared) == (1 if sentences == 2 else 0)
