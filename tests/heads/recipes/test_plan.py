"""A dry run tells what would be done, and writes nothing."""

from __future__ import annotations

import re
import shlex

from tests.heads.recipes.commands import holds
from tests.heads.recipes.corpora import write_ravdess


def commands(text: str) -> list[list[str]]:
    return [shlex.split(line) for line in re.findall(r"^\d+\. ser (.*)$", text, re.M)]


def test_every_step_is_listed_with_its_size_and_nothing_is_written(run, mine, tmp_path) -> None:
    before = holds(tmp_path)
    done = run("run", mine, "--root", "clips", "--dry-run")
    assert done.code == 0, done.err
    assert holds(tmp_path) == before
    assert not (tmp_path / "cache").exists()
    found = commands(done.out)
    assert [words[0] for words in found] == [
        "extract",
        "train-head",
        "train-head",
        "compare",
        "bias",
    ]
    assert "24 utterances, 0.00 h of audio" in done.out
    assert "48 contents to encode, about" in done.out
    assert re.search(
        r"1 fold; mlp: 1 model, at most \d+ s; attention: 1 model, at most \d+ s", done.out
    )
    assert "2 classes, 3 folds; mlp: 6 models" in done.out
    assert "3 runs side by side" in done.out
    assert "two protocols on clips of one's own" in done.out


def test_checkpoints_are_counted_and_so_are_their_frames(run, tmp_path) -> None:
    write_ravdess(tmp_path / "corpus")
    words = ["run", "attention-ravdess", "--root", "corpus", "--encoder", "random:wav2vec2-tiny"]
    before = holds(tmp_path)
    done = run(*words, "--set", "extract.fix-seconds=0.5", "--dry-run")
    assert done.code == 0, done.err
    assert holds(tmp_path) == before
    steps = ["finetune", "extract", "finetune", "extract", "train-head", "train-head"]
    assert [words[0] for words in commands(done.out)] == [*steps, "compare", "bias"]
    assert re.search(
        r"1 checkpoint; at most \d+ \w+\n[^§]*6 checkpoints; at most \d+ \w+\n", done.out
    )
    size = 192 * 24 * 64 * 2  # clips, frames of half a second, values, bytes
    assert f"{size / 1e6:.1f} MB of frames by each of 6 checkpoints" in done.out


def test_the_commands_of_a_plan_do_what_the_recipe_does(run, mine, tmp_path) -> None:
    """Typed one after the other they give the very runs of `ser run`, to the bit."""
    plan = run("run", mine, "--root", "clips", "--dry-run").out
    runs = []
    for words in commands(plan):
        places = [runs[-1] if word == "RUN" else word for word in words]
        done = run(*places)
        assert done.code == 0, done.err
        if words[0] == "train-head":
            runs += done.out.split()
    by_hand = {path.rpartition("/")[2] for path in runs}
    done = run("run", mine, "--root", "clips", "--results-dir", "ours")
    assert done.code == 0, done.err
    assert {path.name for path in (tmp_path / "ours").iterdir()} == by_hand
    for name in by_hand:
        one, other = (
            tmp_path / folder / name / "predictions.csv" for folder in ("results", "ours")
        )
        assert one.read_bytes() == other.read_bytes()


def test_what_is_there_already_is_told(run, mine) -> None:
    assert run("run", mine, "--root", "clips").code == 0
    again = run("run", mine, "--root", "clips", "--dry-run")
    assert "all there already" in again.out
    assert again.out.count("there already") == 4  # the frames and three runs
    assert "at most" not in again.out
    more = run("run", mine, "--root", "clips", "--set", "train-head.2.seeds=3", "--dry-run")
    assert re.search(r"3 folds; mlp: 9 models, at most \d+ s", more.out)
