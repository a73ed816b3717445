"""The synthetic corpus: what was planted can be found, and nothing depends on chance twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from embedcache.corpora import is_synthetic, read_corpus, synthetic
from embedcache.corpora.synthetic import LABELS, Config, generate, parse
from embedcache.errors import SerError, UsageError

SMALL = Config(speakers=2, clips_per_emotion=1, annotators=3)


def files(root):
    return {
        str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()
    }


def planted(root):
    return json.loads((root / "planted.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=[0, 1, 2])
def corpus(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus") / "synthetic"
    generate(root, Config(seed=request.param))
    return root


@pytest.fixture
def small(tmp_path):
    root = tmp_path / "small"
    generate(root, SMALL)
    return root


# --- What analyses find: a log-mel spectrum's mean and deviation, logistic regression ---


def log_mel(path):
    wave, rate_hz = soundfile.read(path, dtype="float32")
    pieces = np.lib.stride_tricks.sliding_window_view(wave, 400)[::160] * np.hanning(400)
    power = np.abs(np.fft.rfft(pieces, 512)) ** 2
    edges_hz = 700 * (10 ** (np.linspace(30, 2800, 42) / 2595) - 1)
    bins_hz = np.fft.rfftfreq(512, 1 / rate_hz)
    low, middle, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    bank = np.minimum((bins_hz - low) / (middle - low), (high - bins_hz) / (high - middle)).clip(0)
    return np.log(power @ bank.T + 1e-8)


@pytest.fixture(scope="module")
def analysed(corpus):
    """Acted and predicted emotions on unseen speakers, and who and what the clips are."""
    clips = parse(corpus)
    spectra = [log_mel(clip.path) for clip in clips]
    features = np.array([np.r_[s.mean(axis=0), s.std(axis=0)] for s in spectra])
    acted = np.array([clip.label for clip in clips])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=3000))
    speakers = [clip.speaker for clip in clips]
    heard = cross_val_predict(model, features, acted, groups=speakers, cv=GroupKFold(6))
    truth = planted(corpus)["clips"]
    return {
        "acted": acted,
        "heard": heard,
        "woman": np.array([clip.gender == "female" for clip in clips]),
        "ambiguous": np.array([truth[clip.id]["second"] is not None for clip in clips]),
        "votes": np.array([[clip.votes[e] for e in LABELS] for clip in clips]),
    }


def ua(a, chosen):
    recalls = recall_score(a["acted"][chosen], a["heard"][chosen], labels=LABELS, average=None)
    return recalls.mean()


def test_it_is_as_hard_as_real_speech(analysed):
    assert 0.6 < ua(analysed, slice(None)) < 0.85


def test_women_are_recognised_better_than_men(analysed):
    woman = analysed["woman"]
    assert 0.05 < ua(analysed, woman) - ua(analysed, ~woman) < 0.3


def test_mens_emotions_are_taken_for_neutral(analysed):
    missed = (analysed["acted"] != "neutral") & (analysed["heard"] == "neutral")
    assert missed[~analysed["woman"]].sum() > missed[analysed["woman"]].sum()


def test_clear_clips_are_recognised_better_than_ambiguous_ones(analysed):
    ambiguous = analysed["ambiguous"]
    assert ua(analysed, ~ambiguous) > ua(analysed, ambiguous) + 0.1


def test_anger_is_confused_with_happiness_rather_than_sadness(analysed):
    def confused(a, b):
        acted, heard = analysed["acted"], analysed["heard"]
        return sum(((acted == x) & (heard == y)).sum() for x, y in ((a, b), (b, a)))

    assert confused("angry", "happy") > 2 * confused("angry", "sad")


def test_annotators_disagree_about_ambiguous_clips(analysed):
    shares = analysed["votes"] / analysed["votes"].sum(axis=1, keepdims=True)
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=1)
    ambiguous = analysed["ambiguous"]
    assert entropy[ambiguous].mean() > entropy[~ambiguous].mean() + 0.1


def test_annotators_hear_womens_emotions_better(analysed):
    majority = np.array(LABELS)[analysed["votes"].argmax(axis=1)]
    right = majority == analysed["acted"]
    assert right[analysed["woman"]].mean() > right[~analysed["woman"]].mean() > 0.4


def test_the_share_of_ambiguous_clips_is_the_same_everywhere(analysed):
    for group in (analysed["woman"], ~analysed["woman"]):
        assert analysed["ambiguous"][group].mean() == pytest.approx(0.2, abs=0.04)


# --- The audio ---


def test_the_clips_are_speech_as_recorded(corpus):
    clips = parse(corpus)
    info = [soundfile.info(clip.path) for clip in clips]
    assert {(i.samplerate, i.channels, i.subtype) for i in info} == {(16_000, 1, "PCM_16")}
    assert 1 < np.mean([i.duration for i in info]) < 2
    assert max(i.duration for i in info) < 4
    assert len(clips) == 12 * 4 * 6
    assert max(np.abs(soundfile.read(clip.path)[0]).max() for clip in clips[::7]) < 0.96


def test_voices_are_womens_and_mens(corpus):
    speakers = planted(corpus)["speakers"].values()
    women = [s["voice"] for s in speakers if s["gender"] == "female"]
    men = [s["voice"] for s in speakers if s["gender"] == "male"]
    assert np.mean([v["f0_hz"] for v in women]) == pytest.approx(205, rel=0.12)
    assert np.mean([v["f0_hz"] for v in men]) == pytest.approx(115, rel=0.12)
    ratio = np.mean([v["formant_scale"] for v in women]) / np.mean(
        [v["formant_scale"] for v in men]
    )
    assert ratio == pytest.approx(1.17, rel=0.04)


def test_the_planted_level_is_in_the_audio(corpus):
    truth = planted(corpus)["clips"]
    clips = parse(corpus)[::5]
    measured_db = [10 * np.log10(np.mean(soundfile.read(c.path)[0] ** 2)) for c in clips]
    asked_db = [truth[c.id]["prosody"]["level_dbfs"] for c in clips]
    assert np.corrcoef(measured_db, asked_db)[0, 1] > 0.95


# --- Seeds and order ---


def test_the_same_configuration_gives_the_same_bytes(tmp_path):
    for name in "ab":
        generate(tmp_path / name, SMALL)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_another_seed_gives_other_audio_and_votes(small, tmp_path):
    generate(tmp_path / "other", replace(SMALL, seed=1))
    here, there = files(small), files(tmp_path / "other")
    assert here.keys() == there.keys()
    assert all(here[name] != there[name] for name in here)


def test_a_clip_does_not_depend_on_what_else_is_generated(small, tmp_path):
    generate(tmp_path / "more", Config(speakers=4, clips_per_emotion=2, annotators=5))
    here, there = files(small), files(tmp_path / "more")
    audio = [name for name in here if name.startswith("audio")]
    assert len(audio) == 8
    assert all(here[name] == there[name] for name in audio)


# --- Votes, table, truth ---


def test_every_annotator_votes_once(small, corpus):
    assert {sum(clip.votes.values()) for clip in parse(small)} == {3}
    assert {sum(clip.votes.values()) for clip in parse(corpus)} == {8}


def test_what_was_generated_is_what_is_parsed(small):
    clips = read_corpus("synthetic", small)
    truth = planted(small)
    assert [clip.id for clip in clips] == list(truth["clips"])
    for clip in clips:
        speaker = truth["speakers"][clip.speaker.removeprefix("synthetic/")]
        assert clip.id == f"{clip.speaker.removeprefix('synthetic/')}-{clip.label}-01"
        assert clip.path.is_file()
        assert clip.label == truth["clips"][clip.id]["emotion"]
        assert (clip.gender, clip.age) == (speaker["gender"], speaker["age"])
        assert clip.sentence in synthetic.SENTENCES
        assert clip.language is None and clip.extra == {}
    assert {clip.gender for clip in clips} == {"female", "male"}


def test_it_says_that_it_is_synthetic():
    assert is_synthetic("synthetic")


def test_every_sentence_is_spoken_with_every_emotion(corpus):
    spoken = {(clip.speaker, clip.label, clip.sentence) for clip in parse(corpus)}
    assert len(spoken) == 12 * 4 * 6


def test_the_truth_holds_the_configuration_and_the_findings(small):
    truth = planted(small)
    assert truth["config"]["weaker_gender"] == "male" and truth["config"]["seed"] == 0
    assert set(truth["emotions"]) == set(LABELS)
    assert (
        "accuracy over the four emotions: female speakers are above male speakers"
        in (truth["findings"])
    )
    assert any(line.startswith("entropy") for line in truth["findings"])


def test_what_is_not_planted_is_not_claimed(tmp_path):
    equal = replace(SMALL, weaker_expression=1.0, ambiguous_share=0.0)
    generate(tmp_path / "equal", equal)
    truth = planted(tmp_path / "equal")
    assert not any("speakers" in line or "ambiguous" in line for line in truth["findings"])
    assert all(clip["second"] is None for clip in truth["clips"].values())


def test_the_other_gender_can_be_the_weaker_one(tmp_path):
    generate(tmp_path / "w", replace(SMALL, weaker_gender="female", weaker_expression=0.3))
    truth = planted(tmp_path / "w")
    assert truth["speakers"]["f01"]["expression"] < 0.5 < truth["speakers"]["m01"]["expression"]
    assert (
        "accuracy over the four emotions: male speakers are above female speakers"
        in (truth["findings"])
    )


def test_all_clips_may_be_ambiguous(tmp_path):
    generate(tmp_path / "a", replace(SMALL, ambiguous_share=1.0))
    clips = planted(tmp_path / "a")["clips"].values()
    assert all(clip["second"] not in (None, clip["emotion"]) for clip in clips)


def test_the_example_is_found(tmp_path):
    example = synthetic.EXAMPLE
    for name in (*example.audio, *example.ignored):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros(1600), 16_000)
    for name, text in example.text.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    clips = {clip.id: clip for clip in parse(tmp_path)}
    assert clips.keys() == example.expected.keys()
    for name, expected in example.expected.items():
        for field, value in expected.items():
            found = getattr(clips[name], field)
            assert (found.relative_to(tmp_path) if field == "path" else found) == value
    assert {c.path for c in clips.values()} == {tmp_path / name for name in example.audio}


# --- Where it is written ---


def test_an_empty_folder_is_filled_even_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generate(Path(), SMALL)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "annotations.csv",
        "audio",
        "planted.json",
    ]
    assert all(clip.path.is_file() for clip in parse(Path()))


def test_missing_folders_above_are_made(tmp_path):
    generate(tmp_path / "a" / "b" / "c", SMALL)
    assert len(parse(tmp_path / "a" / "b" / "c")) == 8


@pytest.mark.parametrize("what", ["folder", "file"])
def test_nothing_is_written_over(tmp_path, what):
    root = tmp_path / "taken"
    if what == "folder":
        root.mkdir()
        (root / "thesis.txt").write_text("mine")
    else:
        root.write_text("mine")
    with pytest.raises(UsageError, match="taken is there already and is not an empty folder"):
        generate(root, SMALL)
    assert [p.name for p in tmp_path.rglob("*")] == (
        ["taken", "thesis.txt"] if what == "folder" else ["taken"]
    )


@pytest.mark.parametrize("exists", [False, True])
def test_an_interrupted_corpus_leaves_nothing(tmp_path, monkeypatch, exists):
    root = tmp_path / "corpus"
    if exists:
        root.mkdir()
    record, calls = synthetic._record, []

    def interrupted(path, take, config):
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        record(path, take, config)

    monkeypatch.setattr(synthetic, "_record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate(root, SMALL)
    assert [p.name for p in tmp_path.rglob("*")] == (["corpus"] if exists else [])
    monkeypatch.undo()
    generate(root, SMALL)
    assert len(parse(root)) == 8


def test_a_disk_that_refuses_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SerError, match=r"cannot write .*corpus"):
        generate(tmp_path / "file" / "corpus", SMALL)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"speakers": 0}, "speakers 0 must lie between 1 and 198"),
        ({"clips_per_emotion": 100}, "clips_per_emotion 100 must lie between 1 and 99"),
        ({"annotators": 0}, "annotators 0 must lie"),
        ({"seed": -1}, "seed -1 must lie"),
        ({"weaker_expression": 1.5}, "weaker_expression 1.5 must lie between 0 and 1"),
        ({"ambiguous_share": float("nan")}, "ambiguous_share nan must lie"),
        ({"rate_hz": 8000}, "rate_hz 8000 must lie between 16000 and 48000"),
        ({"weaker_gender": "men"}, "weaker_gender 'men' must be female or male"),
    ],
)
def test_what_cannot_be_generated(setting, message):
    with pytest.raises(UsageError, match=message):
        Config(**setting)


# --- Damage ---

HEADER = ",".join(synthetic.COLUMNS)
ROW = "f01-sad-01,f01,female,30,s1,sad,0,1,2,5"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"", "annotations.csv line 1 must name the columns id,speaker,gender"),
        (b"file,label\n", "annotations.csv line 1 must name the columns"),
        (f"{HEADER}\n{ROW}\n{ROW},9\n".encode(), "annotations.csv line 3 has 11 values for 10"),
        (f"{HEADER}\n{ROW[:20]}".encode(), "annotations.csv line 2 has 3 values for 10 columns"),
        (
            f"{HEADER}\n{ROW.replace(',sad,', ',bored,')}\n".encode(),
            "line 2 has the label 'bored', which is none of angry, happy, neutral, sad",
        ),
        (f"{HEADER}\n{ROW.replace(',5', ',-5')}".encode(), "line 2 has '-5' where age and votes"),
        (f"{HEADER}\n{ROW.replace('30', 'old')}".encode(), "line 2 has 'old' where age and votes"),
        (HEADER.encode() + b"\n\xff\xfe\n", "is no UTF-8 table of comma-separated values"),
        (f'{HEADER}\n"f01"x,{ROW}'.encode(), "is no UTF-8 table of comma-separated values"),
    ],
)
def test_a_damaged_table_is_named_with_its_line(tmp_path, table, message):
    (tmp_path / "annotations.csv").write_bytes(table)
    with pytest.raises(SerError, match=message):
        parse(tmp_path)


def test_a_foreign_folder_is_named(tmp_path):
    with pytest.raises(SerError, match=r"annotations.csv is missing; .* must hold annotations.csv"):
        parse(tmp_path)
