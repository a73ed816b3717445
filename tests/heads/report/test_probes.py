"""`ser probe`: a run's cache becomes tables, a summary and `probes.json`."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from embedcache.store.reader import CacheReader
from heads.analysis.probe_targets import make_targets
from heads.analysis.probes import probe_layers
from heads.experiment import run_heads
from heads.report.probes import probe, summary
from heads.results import Run
from heads.vectors import utterance_vectors
from tests.heads.conftest import save_cache

QUICK = {"epochs": "2"}


@pytest.fixture(scope="module")
def probed(hard_run):
    return probe(Run(hard_run))


def train(run_config, folder, **changes):
    return Run(next(run_heads(replace(run_config(**changes), settings=QUICK), folder)))


def without(run, folder, **changes):
    """A copy of a run whose utterances know other things."""
    twin = shutil.copytree(run, folder / "copy")
    file = twin / "utterances.jsonl"
    records = [json.loads(line) | changes for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return Run(twin)


def test_the_record_holds_what_the_docs_say_and_no_nan(probed, hard_run, planted_cache):
    record, _ = probed
    json.dumps(record, allow_nan=False)
    assert record["run_id"] == hard_run.name
    assert record["cache_key"] == CacheReader(planted_cache).meta.key
    assert record["layers"] == ["0", "1"]
    assert list(record["targets"]) == ["emotion", "gender", "age", "speaker"]
    assert record["left_out"] == {"corpus": "one corpus"}
    for own in record["targets"].values():
        assert own["chance"] == 1 / len(own["classes"])
        for version in ("raw", "normalised"):
            assert [row["layer"] for row in own[version]] == ["0", "1"]
            for row in own[version]:
                assert row.keys() == {"layer", "ua", "ci95", "shuffled"}
                assert 0 <= row["ua"] <= 1
    assert record["targets"]["emotion"]["classes"] == ["angry", "happy", "sad"]
    assert record["targets"]["speaker"]["speakers"] == 8


def test_it_probes_the_vectors_of_the_cache(probed, planted, planted_cache):
    utterances, _ = planted
    reader = CacheReader(planted_cache)
    speakers = [u.speaker for u in utterances]
    columns = {
        "emotion": [u.label for u in utterances],
        "gender": [u.gender for u in utterances],
        "age": [f"{int(u.age) // 10}0-{int(u.age) // 10}9" for u in utterances],
    }
    targets, _ = make_targets(columns, speakers, [None] * len(speakers))
    layers = list(zip("01", utterance_vectors(reader, utterances, ["0", "1"]), strict=True))
    assert probe_layers(layers, speakers, targets) == probed[0]["targets"]


def test_deviations_may_stand_beside_means(hard_run, probed):
    record, text = probe(Run(hard_run), "mean-std")
    assert record["vectors"] == "mean-std"
    assert record["targets"]["emotion"]["raw"] != probed[0]["targets"]["emotion"]["raw"]
    assert "linear probes of means and deviations over time" in text


def test_the_tables_show_the_record(probed, hard_run):
    record, text = probed
    parts = text.split("\n\n")
    assert parts[0] == (
        f"{hard_run.name}; linear probes of means over time, UA in per cent with 95 % intervals "
        "over speakers"
    )
    caption, _, *rows = parts[1].split("\n")
    assert caption == (
        "emotion: 3 classes, chance 33.3; 96 clips of 8 speakers, 5 folds, no speaker in training "
        "and test"
    )
    for line, raw, after in zip(
        rows, *(record["targets"]["emotion"][v] for v in ("raw", "normalised")), strict=True
    ):
        low, high = (f"{100 * edge:.1f}" for edge in raw["ci95"])
        words = line.split()
        assert words[:6] == [raw["layer"], f"{100 * raw['ua']:.1f}", low, "to", high,
                             f"{100 * raw['shuffled']:.1f}"]  # fmt: skip
        assert words[6] == f"{100 * after['ua']:.1f}"
    assert "corpus: left out, one corpus" in parts
    assert parts[-1].replace("\n", " ") == record["summary"]
    assert max(map(len, parts[-1].split("\n"))) <= 100


def test_the_summary_says_what_the_numbers_support(probed):
    record, _ = probed
    emotion = record["targets"]["emotion"]
    best = max(emotion["raw"], key=lambda row: row["ua"])
    first = record["summary"].split(". After")[0]
    assert first.startswith(f"Emotion can be read: UA {100 * best['ua']:.1f} (")
    assert f"per cent in layer {best['layer']}, where chance is 33.3 and shuffled labels" in first
    assert "the interval lies above chance in 2 of 2 layers" in first
    assert "(gender, age) is taken out of the vectors with the speaker" in record["summary"]
    assert "does not show that the information is gone" in record["summary"]
    assert "untrained" not in record["summary"]


def test_controls_of_few_speakers_are_explained_where_they_are_off_chance(probed):
    record, _ = copy.deepcopy(probed)
    for shuffled, told in ((0.45, ["gender", "age"]), (0.49, ["age"])):
        for version in ("raw", "normalised"):
            for row in record["targets"]["gender"][version]:
                row["shuffled"] = shuffled
            for row in record["targets"]["age"][version]:
                row["shuffled"] = record["targets"]["age"]["chance"] - 0.03
        text = summary(record, untrained=False)
        assert f"Shuffled labels of {' and '.join(told)} lie off chance" in text
        counts = sorted({str(record["targets"][name]["speakers"]) for name in told})
        few = f"all clips of a speaker take one label, and {' and '.join(counts)} speakers are few"
        assert few in text
    for name in ("gender", "age"):
        own = record["targets"][name]
        for row in (*own["raw"], *own["normalised"]):
            row["shuffled"] = own["chance"]
    assert "lie off chance" not in summary(record, untrained=False)


def test_what_is_not_there_is_not_said_to_be_read(run_config, planted, tmp_path):
    rng = np.random.default_rng(0)
    noise = {
        name: rng.standard_normal(a.shape).astype(np.float32) for name, a in planted[1].items()
    }
    cache = save_cache(tmp_path / "noise", planted[0], noise, encoder="random:noise", trained=False)
    record, text = probe(train(run_config, tmp_path / "results", cache=cache, seeds=1))
    assert "Emotion is not shown to be there: UA" in record["summary"]
    assert "The encoder is untrained: what is read here is what random weights" in record["summary"]
    assert text.split("\n")[0].count(", untrained encoder;") == 1


def test_layers_that_cannot_be_told_apart_are_named(probed):
    record, _ = probed
    for name, subject in (("emotion", "Emotion"), ("speaker", "The speaker")):
        own = record["targets"][name]
        best = max(own["raw"], key=lambda row: row["ua"])["layer"]
        assert best in own["near_best"]["raw"]
        others = [layer for layer in own["near_best"]["raw"] if layer != best]
        told = f"layers {', '.join(others)}" if others else "no other layer"
        sentence = record["summary"][record["summary"].index(subject) :].split(". ")[0]
        assert f"and {told} cannot be told apart from it" in record["summary"], sentence


# Other runs


def test_a_run_on_dimensions_is_probed_without_emotion(run_config, tmp_path):
    run = train(run_config, tmp_path, target="dimensions", seeds=1)
    record, _ = probe(run)
    assert list(record["targets"]) == ["gender", "age", "speaker"]
    assert record["left_out"]["emotion"] == (
        "the run has learned valence, arousal, dominance, and has no classes of emotions"
    )


def test_several_corpora_are_told_apart(run_config, corpora_dir, tmp_path):
    names = "manifest:one,manifest:two,manifest:three"
    run = train(run_config, tmp_path, corpus=names, cache=None, cache_dir=corpora_dir, seeds=1)
    record, _ = probe(run)
    corpus = record["targets"]["corpus"]
    assert corpus["classes"] == ["manifest:one", "manifest:three", "manifest:two"]
    assert corpus["speakers"] == 15
    assert [row["ua"] for row in corpus["normalised"]] == [pytest.approx(1 / 3)] * 2


def test_quantised_caches_are_probed(run_config, planted, tmp_path, probed):
    cache = save_cache(tmp_path / "int8", *planted, store_dtype="int8")
    record, _ = probe(train(run_config, tmp_path / "results", cache=cache, seeds=1))
    exact = probed[0]["targets"]["speaker"]["raw"][0]["ua"]
    assert record["targets"]["speaker"]["raw"][0]["ua"] == pytest.approx(exact, abs=0.05)


def test_votes_that_are_tied_have_no_emotion(soft_run):
    record, _ = probe(Run(soft_run))
    assert record["targets"]["emotion"]["n"] == 96 - 38
    assert record["targets"]["gender"]["n"] == 96


def test_clips_without_a_speaker_are_counted(hard_run, tmp_path):
    twin = shutil.copytree(hard_run, tmp_path / "copy")
    file = twin / "utterances.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    for record in records[:5]:
        record["speaker"] = None
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    record, text = probe(Run(twin))
    assert record["targets"]["emotion"]["n"] == 91
    assert "5 clips without a speaker left out" in text.split("\n")[0]


def test_unknown_speakers_leave_nothing(hard_run, tmp_path):
    record, text = probe(without(hard_run, tmp_path, speaker=None))
    assert record["targets"] == {}
    why = "the corpus does not name its speakers, and a probe is tested on speakers that it has"
    for name in ("emotion", "gender", "age", "speaker"):
        assert record["left_out"][name].startswith(why)
    assert record["summary"].startswith("Nothing could be probed: ")
    assert f"emotion: left out, {why}" in text


def test_one_speaker_leaves_nothing(hard_run, tmp_path):
    record, _ = probe(without(hard_run, tmp_path, speaker="a/1"))
    assert record["targets"] == {}
    assert record["left_out"]["emotion"].startswith("one speaker, and a probe")
    assert record["left_out"]["speaker"] == "one class, a/1"


def test_classes_that_are_left_out_are_named(hard_run, tmp_path):
    twin = shutil.copytree(hard_run, tmp_path / "copy")
    file = twin / "utterances.jsonl"
    records = [json.loads(line) for line in file.read_text().splitlines()]
    for record in records:
        record["age"] = 81.0 if record["speaker"] == "planted/s3" else 25.0 + len(record["speaker"])
        record["gender"] = "other" if record["speaker"] == "planted/s1" else record["gender"]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    record, text = probe(Run(twin))
    assert record["targets"]["gender"]["left_out"] == {"other": "1 speaker, and it takes 2"}
    assert "; without other (1 speaker, and it takes 2)" in text
    assert record["left_out"]["age"] == "one class, 30-39; 80-89: 1 speaker, and it takes 2"
