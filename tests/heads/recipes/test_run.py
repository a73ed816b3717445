"""From audio to the leaderboard and bias: every recipe, and what is not done twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedcache.encoders import load_tunable
from heads.recipes import find_recipe
from heads.recipes.grammar import Biasing
from heads.recipes.run import choose_runs
from heads.results import Run
from tests.heads.recipes.commands import holds
from tests.heads.recipes.corpora import (
    select_ravdess,
    write_cremad,
    write_ravdess,
    write_sessions,
)

FAST = ["train-head.seeds=1", "train-head.set.epochs=1"]
SMALL = {
    "scratch-ravdess": [
        "train-head.set.transformer.width=16",
        "train-head.set.transformer.feedforward=16",
        "train-head.set.cnn-rnn.rnn=8",
        "train-head.set.cnn-rnn.channels=8",
    ],
    "multi-emotion-iemocap": [
        "extract.layers=1,last",
        "finetune.set.epochs=1",
        "finetune.unfreeze=1",
    ],
    "attention-ravdess": ["extract.fix-seconds=0.3", "finetune.set.epochs=1"],
}
APART = {  # what tells rows of one head apart, under either protocol
    "scratch-ravdess": (
        "cnn-rnn (pooling=mean",
        "cnn-rnn (pooling=attention",
        "transformer (blocks=6",
        "transformer (blocks=4",
    )
}
ENCODERS = {
    "scratch-ravdess": None,
    "meanpool-ravdess": "random:wav2vec2-tiny",
    "multi-emotion-iemocap": "random:wav2vec2-tiny",
    "pase-bias": "random:pase+",
    "attention-ravdess": "random:wav2vec2-tiny",
}
TUNED = ("attention-ravdess", "multi-emotion-iemocap")
CORPORA = {
    "scratch-ravdess": write_ravdess,
    "meanpool-ravdess": write_ravdess,
    "multi-emotion-iemocap": write_sessions,
    "pase-bias": write_cremad,
    "attention-ravdess": write_ravdess,
}


def whole(run, name: str, root: Path):
    """A recipe as a user runs it, but for its size."""
    words = ["run", name, "--root", root]
    if ENCODERS[name]:
        words += ["--encoder", ENCODERS[name]]
    for change in [*FAST, *SMALL.get(name, [])]:
        words += ["--set", change]
    return run(*words)


def results(folder: Path) -> list[dict]:
    return [json.loads(p.read_text()) for p in sorted(folder.glob("results/*/results.json"))]


@pytest.mark.parametrize("name", CORPORA)
def test_a_recipe_goes_from_audio_to_the_report(run, tmp_path, name) -> None:
    done = whole(run, name, CORPORA[name](tmp_path / "corpus"))
    assert done.code == 0, done.err
    found = results(tmp_path)
    protocols = {result["protocol"]["name"] for result in found}
    assert "random" in protocols and len(protocols) == 2
    for result in found:
        assert result["run_id"] in done.out
        shared = result["protocol"]["speaker_overlap"]
        assert (shared > 0) == (result["protocol"]["name"] == "random")
        if ENCODERS[name]:
            note = "encoder not pretrained" if name in TUNED else "untrained encoder"
            assert note in done.out
    for told in APART.get(name, ()):
        assert done.out.count(f"{told},") + done.out.count(f"{told})") == 2, told
    (report, *_) = tmp_path.glob("results/*/bias.json")
    assert json.loads(report.read_text())["gaps"]
    assert "Bias of " in done.out and "female - male" in done.out


@pytest.mark.parametrize("name", ["scratch-ravdess", "meanpool-ravdess"])
def test_a_recipe_of_ravdess_runs_on_the_real_one(run, tmp_path, ravdess, name) -> None:
    done = whole(run, name, select_ravdess(tmp_path / "corpus", ravdess, (1, 5)))
    assert done.code == 0, done.err
    assert {r["corpus"]["utterances"] for r in results(tmp_path)} == {48}


def test_what_is_there_is_not_done_again(run, mine, tmp_path, caplog) -> None:
    first = run("run", mine, "--root", "clips")
    assert first.code == 0, first.err
    before = holds(tmp_path, but="files.json")  # it remembers hashes once files have settled
    caplog.clear()
    caplog.set_level("INFO")
    again = run("run", mine, "--root", "clips")
    assert again.out == first.out
    assert holds(tmp_path, but="files.json") == before
    assert "24 utterances: 0 contents encoded now" in caplog.text
    assert caplog.text.count("is there already: results/") == 3
    caplog.clear()
    run("run", mine, "--root", "clips", "--set", "train-head.1.set.mlp.lr=0.1")
    assert caplog.text.count("is there already: results/") == 2  # attention, and by speaker
    assert len(results(tmp_path)) == 4


def test_other_labels_are_trained_anew(run, mine, tmp_path) -> None:
    """A clip that has moved to another emotion has the same frames and another target."""
    run("run", mine, "--root", "clips")
    assert len(results(tmp_path)) == 3
    clip = min((tmp_path / "clips" / "sad" / "s0").iterdir())
    clip.rename(tmp_path / "clips" / "angry" / "s0" / clip.name)
    done = run("run", mine, "--root", "clips")
    assert done.code == 0, done.err
    assert len(results(tmp_path)) == 6


def test_a_run_whose_request_is_damaged_is_trained_again(run, mine, tmp_path, caplog) -> None:
    first = run("run", mine, "--root", "clips")
    report = min(tmp_path.glob("results/*/recipe.json"))
    whole_one = report.read_text()
    report.write_text("{")
    done = run("run", mine, "--root", "clips")
    assert done.code == 0 and done.out == first.out
    assert "recipe.json is damaged" in caplog.text and report.read_text() == whole_one


def test_a_run_is_not_reused_once_its_encoder_is_known_to_have_heard_the_corpus(
    run, mine, tmp_path
) -> None:
    load_tunable("random:wav2vec2-tiny", "cpu", "auto").save(tmp_path / "enc")
    words = ("run", mine, "--root", "clips", "--encoder", "enc")
    assert run(*words).code == 0
    record = {"format": 1, "seen": {"corpora": ["folder:mine"]}}
    (tmp_path / "enc" / "ser.json").write_text(json.dumps(record))
    refused = run(*words)
    assert refused.code == 1 and "[[train-head]]" in refused.err
    assert "tests the corpus folder:mine, which enc was trained on" in refused.err
    marked = run(*words, "--set", "train-head.allow-leakage=true")
    assert marked.code == 0 and marked.out.count("CONTAMINATED") >= 3


def test_the_leaderboard_for_programs_stands_alone(run, mine, tmp_path) -> None:
    done = run("run", mine, "--root", "clips", "--set", "compare.format=json")
    kinds = [row["kind"] for row in json.loads(done.out)]
    assert kinds == ["run", "run", "run", "speaker dependency"]
    assert list(tmp_path.glob("results/*/bias.json"))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("finetune.2.unfreeze=99", "--unfreeze 99: random:wav2vec2-tiny has 2 transformer layers"),
        ("finetune.2.dtype=float16", "--dtype float16 is for GPUs"),
        ("extract.layers=0,99", "there is no layer '99'"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_what_a_later_step_would_refuse_is_told_first(run, tmp_path, change, text, more) -> None:
    write_ravdess(tmp_path / "corpus")
    done = run("run", "attention-ravdess", "--root", "corpus", "--device", "cpu", "--encoder",
               "random:wav2vec2-tiny", "--set", change, *more)  # fmt: skip
    assert done.code == 2 and text in done.err and "attention-ravdess.toml" in done.err
    assert not (tmp_path / "checkpoints").exists() and not (tmp_path / "cache").exists()


def test_checkpoints_that_nothing_is_trained_on_are_refused(run, tmp_path) -> None:
    write_ravdess(tmp_path / "corpus")
    text = find_recipe("attention-ravdess").read_text()
    first, second = (i for i in range(len(text)) if text.startswith("[[train-head]]", i))
    (tmp_path / "half.toml").write_text(text[:first] + text[second:])
    done = run("run", "half.toml", "--root", "corpus", "--encoder", "random:wav2vec2-tiny")
    assert done.code == 2 and not (tmp_path / "checkpoints").exists()
    assert "half.toml: [[finetune]] 1: no [[train-head]] has its folds" in done.err


def test_steps_are_announced_with_their_commands(run, mine, caplog) -> None:
    caplog.set_level("INFO")
    run("run", mine, "--root", "clips")
    for number, words in enumerate(
        ["extract --corpus folder:mine", "train-head", "train-head", "compare RUN", "bias RUN"],
        start=1,
    ):
        assert f"step {number} of 5: ser {words}" in caplog.text


def test_clips_that_are_missing_make_it_exit_3(run, mine, tmp_path) -> None:
    (tmp_path / "clips" / "sad" / "s0" / "empty.wav").write_bytes(b"")
    done = run("run", mine, "--root", "clips")
    assert done.code == 3
    assert "| head" in done.out  # the format that the recipe asks for


def test_a_corpus_that_can_be_generated_is(run, mine, tmp_path) -> None:
    words = ["run", mine, "--root", "made", "--corpus", "synthetic", "--set", "train-head.seeds=1"]
    planned = run(*words, "--dry-run")
    assert planned.code == 2 and "--root made does not exist" in planned.err
    assert not (tmp_path / "made").exists()
    done = run(*words)
    assert done.code == 0, done.err
    assert "synthetic corpus" in done.out


def test_bias_is_of_the_best_run_without_shared_speakers(run, mine, tmp_path) -> None:
    run("run", mine, "--root", "clips")
    runs = [Run(path.parent) for path in tmp_path.glob("results/*/results.json")]
    (disjoint,) = [r for r in runs if r.results["protocol"]["name"] == "speaker"]
    assert choose_runs(Biasing(), runs) == [disjoint]
    assert choose_runs(Biasing(run="all"), runs) == [disjoint]
    (attention,) = [r for r in runs if r.results["head"]["name"] == "attention"]
    assert choose_runs(Biasing(run="attention"), runs) == [attention]
    shared = [r for r in runs if r is not disjoint]
    assert choose_runs(Biasing(run="all"), shared) == shared
    best = max(shared, key=lambda r: r.results["metrics"]["ua"]["mean"])
    assert choose_runs(Biasing(), shared) == [best]
    assert [r.path for r in runs if (r.path / "bias.json").is_file()] == [disjoint.path]
