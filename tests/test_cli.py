"""The command line as a user meets it: results on stdout, sentences on stderr, exit codes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import cli
from tests.conftest import Ser
from tests.material import write_clips


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """A command in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_log_to_stderr", lambda: None)

    def call(*arguments: object) -> Done:
        monkeypatch.setattr("sys.argv", ["ser", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main()
        text = capfd.readouterr()
        return Done(int(stop.value.code or 0), text.out, text.err)

    return call


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cache of 24 clips and two runs on it."""
    folder = tmp_path_factory.mktemp("trained")
    write_clips(folder / "clips", 24)
    from embedcache.extract import extract
    from embedcache.request import ExtractConfig
    from heads.experiment import run_heads
    from heads.train.config import RunConfig

    extract(
        ExtractConfig(
            corpus="folder", root=folder / "clips", encoder="logmel", cache_dir=folder / "cache"
        )
    )
    config = RunConfig(heads=["mlp", "mha"], corpus="folder", cache_dir=folder / "cache", folds=2,
                       seeds=2, settings={"epochs": "2"})  # fmt: skip
    list(run_heads(config, folder / "results"))
    return folder


SENTENCES = {
    "no root": (2, "extract --corpus ravdess --root nowhere", "--root nowhere does not exist; rav"),
    "empty": (1, "extract --corpus ravdess --root empty", "no utterance found under empty"),
    "other layout": (1, "extract --corpus urdu --root clips", "urdu looks for Angry/SM1_F1_A01"),
    "corpus": (2, "extract --corpus ravdes --root clips", "did you mean 'ravdess'"),
    "check": (
        2,
        "corpora check --corpus urdu --root nowhere",
        "--root nowhere does not exist; urd",
    ),
    "check form": (2, "corpora check --corpus folder --root clips --format md", "unknown --format"),
    "emobox": (
        2,
        "extract --corpus emobox --root clips",
        "name the data set, as in emobox:ravdess",
    ),
    "augment": (2, "extract --corpus folder --root clips --augment sped=1", "did you mean 'speed'"),
    "no change": (2, "extract --corpus folder --root clips --augment speed=1", "that is no change"),
    "normalise": (2, "extract --corpus folder --root clips --normalise loud", "give peak or rms"),
    "length": (
        2,
        "extract --corpus folder --root clips --fix-seconds 0",
        "--fix-seconds 0: give a",
    ),
    "label set": (2, "train-head --corpus folder --label-set folder-4", "unknown label set"),
    "agreement": (
        2,
        "train-head --corpus folder --min-agreement 0.5",
        "has no votes; use --labels",
    ),
    "ties": (2, "train-head --corpus folder --ties sometimes", "unknown --ties 'sometimes'"),
    "smoothing": (2, "train-head --corpus folder --smoothing 2", "--smoothing 2.0: give a share"),
    "views": (2, "train-head --corpus folder --views speed=0.9", "holds no views; make one with"),
    "mask": (2, "train-head --corpus folder --set mask_time=0.9", "give a share from 0 to 0.8"),
    "encoder": (2, "extract --corpus folder --root clips --encoder mfc", "did you mean 'mfcc'"),
    "layer": (2, "extract --corpus folder --root clips --layers 3", "lld has one layer"),
    "dtype": (2, "extract --corpus folder --root clips --dtype int4", "computes in float32 only"),
    "device": (2, "extract --corpus folder --root clips --device gpu", "give auto, cpu, cuda"),
    "engine": (2, "extract --corpus folder --root clips --engine ray", "unknown engine 'ray'"),
    "worker": (2, "extract --corpus folder --root clips --worker 3", "give I/N"),
    "no option": (2, "extract --corpus folder --root clips --speed 3", "No such option: --speed"),
    "no corpus": (2, "extract --root clips", "Missing option '--corpus'"),
    "number": (2, "extract --corpus folder --root clips --limit x", "Invalid value for '--limit'"),
    "manifest": (
        1,
        "extract --corpus manifest --root bad.csv",
        "bad.csv line 3: the path is empty",
    ),
    "head": (2, "train-head --corpus folder --head atention", "did you mean 'attention'"),
    "no heads": (2, "train-head --corpus folder --head ,", "--head is empty"),
    "infinite": (2, "train-head --corpus folder --set lr=inf", "--set lr=inf: give a number above"),
    "folder": (2, "extract --corpus folder --root clips --encoder ./no", "there is no such folder"),
    "no column": (2, "bias --by , RUN", "--by is empty; there are: speaker"),
    "no cache": (2, "train-head --corpus urdu", "no cache of urdu in cache; make it with"),
    "cache path": (2, "train-head --corpus folder --cache clips", "clips is no cache"),
    "protocol": (2, "train-head --corpus folder --protocol loso", "unknown protocol 'loso'"),
    "folds": (2, "train-head --corpus folder --folds 99", "there are 6 speakers; give at most 6"),
    "folds text": (2, "train-head --corpus folder --folds all", "--folds all: give a number, or"),
    "one out": (2, "train-head --corpus folder --folds speakers --protocol random", "for the prot"),
    "test": (2, "train-head --corpus folder --test 0.2", "--test 0.2: give --val too, as in"),
    "val": (2, "train-head --corpus folder --test 0.2 --val 2", "--val 2: give a share above 0"),
    "both": (
        2,
        "train-head --corpus folder --test 0.2 --val 0.2 --folds 3",
        "--folds 3 --test 0.2 --val 0.2: give a number of folds, or the shares of one split",
    ),
    "sentences": (2, "train-head --corpus folder --protocol sentence", "name no sentence; add a"),
    "one corpus": (
        2,
        "train-head --corpus folder --protocol cross-corpus",
        "there is one corpus, folder; name several",
    ),
    "corpora": (2, "train-head --corpus folder,urdu", "no cache of urdu in cache; make it with"),
    "test corpus": (2, "train-head --corpus folder --test-corpus folder", "folder is named twice"),
    "test random": (
        2,
        "train-head --corpus folder --test-corpus urdu --protocol random",
        "--test-corpus urdu says who is tested, and so does --protocol random",
    ),
    "caches": (2, "train-head --corpus folder --cache clips,cache", "clips is no cache"),
    "sessions": (2, "train-head --corpus folder --protocol session", "name no session"),
    "official": (2, "train-head --corpus folder --protocol official", "no published folds"),
    "votes": (2, "train-head --corpus folder --labels soft", "has no votes; use --labels hard"),
    "labels": (2, "train-head --corpus folder --labels fuzzy", "unknown --labels 'fuzzy'"),
    "loss": (2, "train-head --corpus folder --loss kk", "unknown loss 'kk'"),
    "weights": (2, "train-head --corpus folder --class-weights x", "unknown --class-weights 'x'"),
    "map": (2, "train-head --corpus folder --map angri=x", "did you mean 'angry'"),
    "map form": (2, "train-head --corpus folder --map angry", "--map 'angry': give KEY=VALUE"),
    "map two": (2, "train-head --corpus folder --map angry=x,sad=x", "KEY=VALUE, and --map again"),
    "drop": (2, "train-head --corpus folder --drop sat", "did you mean 'sad'"),
    "one class": (1, "train-head --corpus folder --drop sad", "classes that are left: angry"),
    "key": (2, "train-head --corpus folder --set droput=1", "did you mean 'dropout'"),
    "value": (2, "train-head --corpus folder --set lr=fast", "give a value of type float"),
    "layer name": (2, "train-head --corpus folder --layer 4", "layer '4' is not in"),
    "seeds": (2, "train-head --corpus folder --seeds 0", "--seeds 0: give 1 to 1000"),
    "no run": (2, "compare nothing", "there is no run 'nothing'"),
    "no runs": (2, "compare --results-dir empty", "there is no run in empty"),
    "metric": (2, "compare --results-dir R --metric uaa", "did you mean 'ua'"),
    "format": (2, "compare --results-dir R --format xml", "unknown --format 'xml'"),
    "report run": (2, "report nothing", "there is no run 'nothing'"),
    "report runs": (2, "report --results-dir empty", "there is no run in empty"),
    "report folder": (2, "report --results-dir R --out clips", "clips is a folder: give a file in"),
    "report where": (2, "report RUN --out no/r.html", "for there is no folder no; make it, or giv"),
    "bias run": (2, "bias nothing", "there is no run 'nothing'"),
    "column": (2, "bias --by shoe RUN", "have no such column; there are: speaker"),
    "probe run": (2, "probe nothing", "there is no run 'nothing'"),
    "vectors": (2, "probe RUN --vectors median", "unknown --vectors 'median'"),
    "project": (2, "probe RUN --project pca", "unknown --project 'pca'"),
    "probe cache": (2, "probe RUN --cache clips", "clips is no cache"),
    "gender": (2, "bias --by gender RUN", "have no such column; there are: speaker"),
    "bias none": (2, "bias", "give one run, or --compare with two runs"),
    "bias three": (2, "bias RUN --compare RUN RUN", "give one run, or --compare with two runs"),
    "bias itself": (2, "bias --compare RUN RUN", "twice: give two different runs"),
    "bias few": (2, "bias RUN --min-speakers 1", "--min-speakers 1: every interval is over"),
    "bias metric": (2, "bias RUN --metric uaa", "unknown metric 'uaa': did you mean 'ua'"),
    "bias format": (2, "bias RUN --format xml", "unknown --format 'xml'"),
    "info": (2, "cache info clips", "clips is no cache"),
    "verify": (2, "cache verify clips", "clips is no cache"),
    "prune": (2, "cache prune clips", "clips is no cache"),
    "prune run": (
        2,
        "cache prune C --results-dir R --yes",
        "remove the runs first, or give --forc",
    ),
    "prune both": (2, "cache prune C --unused", "--unused with "),
    "prune corpus": (2, "cache prune --corpus urdu", "no cache of urdu in cache; see"),
    "prune nowhere": (2, "cache prune --cache-dir nowhere", "no cache in nowhere; see"),
    "export": (2, "cache export clips out --format npy", "clips is no cache"),
    "export form": (2, "cache export C out --format xml", "unknown --format 'xml'"),
    "export layer": (2, "cache export C out --format npy --layer 4", "layer '4' is not in"),
    "export over": (2, "cache export C clips --format csv", "is there already and holds something"),
    "export what": (2, "cache export C out", "Missing option '--format'"),
    "recipe": (2, "run scratch-ravdes --root clips", "did you mean 'scratch-ravdess'"),
    "recipe root": (2, "run scratch-ravdess --root nowhere", "--root nowhere does not exist; rav"),
    "recipe device": (2, "run scratch-ravdess --root clips --device gpu", "give auto, cpu, cuda"),
    "recipe set": (
        2,
        "run scratch-ravdess --root clips --set train-head.sedes=1",
        "--set train-head.sedes=1: unknown key 'sedes': did you mean 'seeds'",
    ),
    "recipe key": (
        2,
        "run scratch-ravdess --root clips --set train-head.set.epoch=1",
        "scratch-ravdess.toml: [[train-head]] 1: unknown key in --set 'epoch': did you mean",
    ),
    "command": (2, "extrac --corpus folder", "No such command 'extrac'"),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_a_mistake_is_one_sentence_with_its_exit_code(
    case: str, run: Run, trained: Path, tmp_path: Path
) -> None:
    for name in ("clips", "cache"):
        (tmp_path / name).symlink_to(trained / name, target_is_directory=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.csv").write_text("path,label\na.wav,sad\n,sad\n")
    code, command, words = SENTENCES[case]
    run_folder = str(sorted((trained / "results").iterdir())[0])
    (cache,) = (trained / "cache").glob("folder/*/")
    places = {"R": str(trained / "results"), "RUN": run_folder, "C": str(cache)}
    arguments = [places.get(a, a) for a in command.split()]
    done = run(*arguments)
    assert (done.code, done.out) == (code, ""), done
    assert words in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "results").exists()


def test_extract_prints_the_cache_and_nothing_else(run: Run, tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", 4)
    done = run("extract", "--corpus", "folder", "--root", "clips")
    assert done.code == 0
    assert (tmp_path / done.out.strip() / "meta.json").is_file()
    assert done.out.count("\n") == 1


def test_a_clip_that_is_not_encoded_makes_it_exit_3(run: Run, tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", 4)
    (tmp_path / "clips" / "sad" / "empty.wav").write_bytes(b"")
    done = run("extract", "--corpus", "folder", "--root", "clips")
    assert done.code == 3
    (line,) = (tmp_path / done.out.strip() / "skipped.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "the file is empty (0 bytes)"


def test_a_dry_run_writes_no_cache(run: Run, tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", 4)
    done = run("extract", "--corpus", "folder", "--root", "clips", "--dry-run")
    assert done.code == 0
    assert "4 utterances" in done.out
    assert not list(tmp_path.glob("cache/*/*/meta.json"))


def test_several_caches_that_fit_are_listed(run: Run, tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", 8)
    paths = [
        run("extract", "--corpus", "folder", "--root", "clips", "--encoder", encoder).out.strip()
        for encoder in ("logmel", "mfcc")
    ]
    done = run("train-head", "--corpus", "folder")
    assert done.code == 2
    assert "2 caches of folder fit" in done.err
    assert all(path in done.err for path in paths)


def test_cache_commands(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").symlink_to(trained / "cache", target_is_directory=True)
    listed = run("cache", "ls")
    assert listed.code == 0 and "24 contents" in listed.out
    path = listed.out.split()[0]
    info = run("cache", "info", path)
    assert "corpus      folder" in info.out and "24 of 24 listed" in info.out
    assert run("cache", "verify", path).out.strip().endswith("every row checked)")


def test_prune_says_what_it_would_free_and_frees_it(run: Run, tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", 4)
    path = run("extract", "--corpus", "folder", "--root", "clips").out.strip()
    told = run("cache", "prune", "--unused")
    assert told.code == 0
    first, last = told.out.splitlines()
    assert path in first and "no run refers to it" in first
    assert last.endswith("would be freed; --yes frees it")
    assert (tmp_path / path).is_dir()
    refused = run("cache", "prune", "--unused", "--yes")
    assert refused.code == 2 and "so nobody knows which caches runs need" in refused.err
    (tmp_path / "results").mkdir()
    done = run("cache", "prune", "--unused", "--yes")
    assert done.out.splitlines()[-1].split()[0] == last.split()[0]
    assert not (tmp_path / path).exists()


def test_prune_never_takes_what_a_run_refers_to(run: Run, trained: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(trained / "cache", tmp_path / "moved")
    shutil.copytree(trained / "results", tmp_path / "results")
    done = run("cache", "prune", "--cache-dir", "moved", "--unused", "--yes")
    assert (done.code, done.out) == (0, "0 bytes (0.0 MB) freed\n")
    (folder,) = (tmp_path / "moved").glob("folder/*/")
    for name in sorted(p.name for p in (tmp_path / "results").iterdir()):
        refused = run("cache", "prune", folder, "--yes")
        assert refused.code == 2 and name in refused.err
        shutil.rmtree(tmp_path / "results" / name)
    assert run("cache", "prune", folder, "--yes").code == 0
    assert not folder.exists()


def test_export_prints_the_folder(run: Run, trained: Path, tmp_path: Path) -> None:
    (cache,) = (trained / "cache").glob("folder/*/")
    for form, name in (("npy", "utterances.csv"), ("csv", "features.csv")):
        done = run("cache", "export", cache, f"out/{form}", "--format", form)
        assert (done.code, done.out) == (0, f"out/{form}\n"), done.err
        with (tmp_path / "out" / form / name).open(newline="") as file:
            assert len(list(csv.DictReader(file))) == 24


def test_a_damaged_cache_fails_to_verify(run: Run, tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", 4)
    path = run("extract", "--corpus", "folder", "--root", "clips").out.strip()
    (shard,) = (tmp_path / path).glob("shards/*.h5")
    data = bytearray(shard.read_bytes())
    data[-5] ^= 1
    shard.write_bytes(data)
    done = run("cache", "verify", path)
    assert done.code == 1
    assert str(shard.relative_to(tmp_path)) in done.out
    assert "do not match" in done.out


def test_no_cache_at_all(run: Run) -> None:
    assert "no cache in cache" in run("cache", "ls").out


def test_train_head_prints_each_run(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").symlink_to(trained / "cache", target_is_directory=True)
    done = run("train-head", "--corpus", "folder", "--head", "mlp,attention", "--folds", "2",
               "--seeds", "1", "--set", "epochs=2", "--map", "angry=cross",
               "--tensorboard")  # fmt: skip
    assert done.code == 0, done.err
    folders = [tmp_path / line for line in done.out.splitlines()]
    assert [f.name.split("-")[2] for f in folders] == ["mlp", "attention"]
    for folder in folders:
        assert json.loads((folder / "results.json").read_text())["corpus"]["labels"] == [
            "cross",
            "sad",
        ]
        for picture in ("confusion_matrix.png", "training_history.png"):
            assert (folder / picture).read_bytes().startswith(b"\x89PNG")
        assert len(list(folder.glob("tensorboard/fold[01].seed0/events.out.tfevents.*"))) == 2


def test_train_head_makes_one_split(run: Run, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").symlink_to(trained / "cache", target_is_directory=True)
    done = run("train-head", "--corpus", "folder", "--test", "0.15", "--val", "0.15",
               "--seeds", "1", "--set", "epochs=1")  # fmt: skip
    assert done.code == 0, done.err
    results = json.loads((tmp_path / done.out.strip() / "results.json").read_text())
    assert results["protocol"]["split"]["reached"]["test"] == pytest.approx(1 / 6)
    bias = run("bias", done.out.strip(), "--by", "speaker")
    assert bias.code == 0, bias.err


def test_train_head_trains_on_one_corpus_and_tests_on_another(run: Run, tmp_path: Path) -> None:
    paths = []
    for name in ("a", "b"):
        write_clips(tmp_path / name, 24)
        done = run("extract", "--corpus", f"folder:{name}", "--root", name, "--encoder", "logmel")
        paths.append(done.out.strip())
    options = ["--seeds", "1", "--set", "epochs=1"]
    (tmp_path / "with,comma").symlink_to(tmp_path / paths[0], target_is_directory=True)
    done = run("train-head", "--corpus", "folder:a", "--test-corpus", "folder:b",
               "--cache", "with,comma", "--cache", paths[1], *options)  # fmt: skip
    assert done.code == 0, done.err
    assert done.out.startswith("results/folder-a-to-folder-b-logmel-mlp-cross-corpus-")
    both = run("train-head", "--corpus", "folder:a,folder:b", "--protocol", "cross-corpus",
               "--cache", ",".join(paths), *options)  # fmt: skip
    assert both.code == 0, both.err
    board = run("compare", "--format", "csv").out
    assert "folder:a to folder:b" in board and "folder:a+folder:b" in board
    assert run("bias", both.out.strip(), "--by", "corpus").code == 0


@pytest.mark.parametrize("form", ["table", "md", "csv", "json"])
def test_compare_in_every_format(run: Run, trained: Path, form: str) -> None:
    done = run("compare", "--results-dir", trained / "results", "--format", form)
    assert done.code == 0
    if form == "csv":
        assert {row["head"] for row in csv.DictReader(io.StringIO(done.out))} == {"mlp", "mha"}
    elif form == "json":
        rows = json.loads(done.out)
        assert {row["head"] for row in rows} == {"mlp", "mha"}
        assert all(row["kendall_tau"] is None for row in rows)
    else:
        assert "speakers shared" in done.out and "0 of 6" in done.out


def test_bias_writes_beside_the_run(run: Run, trained: Path) -> None:
    folder = sorted((trained / "results").iterdir())[0]
    done = run("bias", folder, "--by", "speaker", "--min-clips", "1")
    assert done.code == 0 and "highest and lowest speaker" in " ".join(done.out.split())
    record = json.loads((folder / "bias.json").read_text())
    assert len(record["groups"]["speaker"]) == 6
    again = run("bias", folder, "--by", "speaker", "--format", "json", "--metric", "wa")
    record = json.loads(again.out)
    assert record["metric"] == "wa"
    assert record.pop("ambiguity") == json.loads((folder / "ambiguity.json").read_text())
    assert record == json.loads((folder / "bias.json").read_text())
    assert (folder / "bias.html").read_text().startswith("<!doctype html>")


def test_bias_compares_two_runs_and_writes_nothing(run: Run, trained: Path) -> None:
    folders = sorted((trained / "results").iterdir())[:2]
    files = sorted(trained.rglob("*"))
    done = run("bias", "--compare", *folders, "--by", "speaker", "--format", "json")
    assert done.code == 0, done.err
    found = json.loads(done.out)["overall"]["ua"]
    for folder, key in zip(folders, ("before", "after"), strict=True):
        results = json.loads((folder / "results.json").read_text())
        assert found[key] == pytest.approx(results["metrics"]["ua"]["mean"])
    assert sorted(trained.rglob("*")) == files


def test_probe_writes_beside_the_run(run: Run, trained: Path) -> None:
    folder = sorted((trained / "results").iterdir())[0]
    done = run("probe", folder, "--project", "t-sne")
    told = " ".join(done.out.split())
    assert done.code == 0 and "does not show that the information is gone" in told
    assert json.loads((folder / "probes.json").read_text())["summary"] in told
    projection = json.loads((folder / "projection.json").read_text())
    assert len(projection["ids"]) == len(projection["x"]) == len(projection["y"]) > 0


def test_report_prints_the_page_s_path(run: Run, trained: Path, tmp_path: Path) -> None:
    done = run("report", "--results-dir", trained / "results")
    assert (done.code, done.out) == (0, "report.html\n")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for folder in (trained / "results").iterdir():
        assert folder.name in text


def test_a_corpus_is_checked_and_what_cannot_be_used_makes_it_exit_3(
    run: Run, tmp_path: Path
) -> None:
    write_clips(tmp_path / "clips", 4)
    done = run("corpora", "check", "--corpus", "folder", "--root", "clips")
    assert done.code == 0
    assert "folder in clips: 4 utterances" in done.out and "unusable    none" in done.out
    (tmp_path / "clips" / "sad" / "empty.wav").write_bytes(b"")
    done = run("corpora", "check", "--corpus", "folder", "--root", "clips", "--format", "json")
    assert done.code == 3
    assert json.loads(done.out)["unusable"] == {"the file is empty (0 bytes)": ["sad/empty"]}


def test_lists(run: Run) -> None:
    assert "ravdess" in run("corpora").out
    assert "random:wav2vec2-tiny" in run("encoders").out
    assert "mha" in run("heads").out
    assert "scratch-ravdess" in run("recipes").out


def test_help_without_a_command(run: Run) -> None:
    done = run()
    assert "Commands:" in done.out + done.err


def test_a_pipe_that_closes_is_no_traceback(ser: Ser, trained: Path) -> None:
    import subprocess
    import sys

    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "compare", "--results-dir", str(trained / "results")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate()
    assert "Traceback" not in errors


def test_an_output_that_cannot_be_written_is_one_sentence(trained: Path) -> None:
    import subprocess
    import sys

    for command in (["encoders"], ["compare", "--results-dir", str(trained / "results")]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run([sys.executable, "-m", "cli", *command], stdout=full,
                                  stderr=subprocess.PIPE, text=True, check=False)  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.startswith("ser: the output cannot be written (No space left")


def test_the_demo_runs_from_nothing_to_a_bias_table(ser: Ser, tmp_path: Path) -> None:
    done = ser("demo")
    assert done.returncode == 0, done.stderr
    assert "the corpus is synthetic" in done.stdout
    assert "untrained (random weights)" in done.stdout
    assert done.stdout.count("untrained encoder") == 4  # in each of its rows
    assert done.stdout.count("synthetic corpus") >= 8
    assert "female - male" in done.stdout
    assert "ser extract --corpus folder:mine" in done.stdout
    runs = list((tmp_path / "ser-demo" / "results").iterdir())
    assert len(runs) == 8
    assert len(list((tmp_path / "ser-demo" / "corpus").rglob("*.wav"))) == 288
    planted = json.loads((tmp_path / "ser-demo" / "corpus" / "planted.json").read_text())
    assert planted["findings"]
    (report,) = (tmp_path / "ser-demo").rglob("bias.json")
    gap = next(g for g in json.loads(report.read_text())["gaps"] if g["metric"] == "ua")
    assert (gap["a"], gap["b"]) == ("female", "male")
    assert gap["gap"] > 0  # the planted sign
