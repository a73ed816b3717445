"""What is exported is what the cache holds, whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedcache.corpora import read_corpus
from embedcache.errors import SerError, UsageError
from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.cache import read_utterances, write_utterances
from embedcache.store.export import export, file_names
from embedcache.store.reader import CacheReader
from embedcache.utterance import Utterance
from tests.material import REPOSITORY


@pytest.fixture
def cache(config: ExtractConfig) -> Path:
    return extract(replace(config, views=("noise=20",))).folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def tell_more(cache: Path) -> dict[str, Utterance]:
    """Let the utterances know things of every kind."""
    pairs = [
        (
            replace(
                u,
                speaker=f"mine/{n % 3}",
                age=20.5 + n,
                text='He said: "no",\nand left',
                votes={"happy": 3.0, "sad": 0.5},
                dimensions={"valence": n / 7, "arousal": 2.0},
                extra={"room": "häll", "frames": "many", "valence": "x"},
            ),
            content,
        )
        for n, (u, content) in enumerate(read_utterances(cache))
    ]
    write_utterances(cache, pairs)
    return {u.name: u for u, _ in pairs}


@pytest.mark.parametrize("views", [False, True])
def test_every_utterance_has_its_frames_and_what_is_known_of_it(
    cache: Path, tmp_path: Path, views: bool
) -> None:
    known = tell_more(cache)
    export(cache, tmp_path / "out", "npy", views=views)
    rows = table(tmp_path / "out" / "utterances.csv")
    reader = CacheReader(cache)
    assert [(r["id"], r["view"]) for r in rows] == [
        u.key for u in (*reader.utterances, *(reader.views if views else ()))
    ]
    assert len(rows) == (24 if views else 12)
    for row in rows:
        frames = np.load(tmp_path / "out" / row["file"])
        stored = reader.frames(row["id"], 0, row["view"])
        np.testing.assert_array_equal(frames, stored)
        assert (frames.dtype, len(frames)) == (stored.dtype, int(row["frames"]))
        name = f"{row['id']} ({row['view']})" if row["view"] else row["id"]
        utterance = known[name]
        assert (row["speaker"], row["text"]) == (utterance.speaker, utterance.text)
        assert float(row["valence"]) == utterance.dimensions["valence"]
        assert (row["votes"], row["extra.frames"]) == ("happy=3;sad=0.5", "many")
        assert (row["extra.valence"], row["room"], row["age"]) == ("x", "häll", str(utterance.age))
    files = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.npy")}
    assert files == {row["file"] for row in rows}


def test_the_list_is_a_manifest(cache: Path, tmp_path: Path) -> None:
    """So that the metadata can be read again, by this tool as well."""
    known = tell_more(cache)
    export(cache, tmp_path / "out", "npy")
    for again in read_corpus("manifest", tmp_path / "out" / "utterances.csv"):
        one = known[again.id]
        assert again.speaker == f"manifest/{one.speaker}"  # unique across corpora
        for name in ("path", "age", "label", "votes", "dimensions", "start_s", "end_s"):
            assert getattr(again, name) == getattr(one, name), name


def test_means_and_deviations_bear_the_encoders_own_names(
    config: ExtractConfig, tmp_path: Path
) -> None:
    cache = extract(replace(config, encoder="lld", store_dtype="float32")).folder
    export(cache, tmp_path / "out", "csv")
    about = json.loads((tmp_path / "out" / "export.json").read_text())
    assert (about["dim"], about["values"][:2]) == (124, ["energy", "zero_crossings"])
    reader = CacheReader(cache)
    rows = table(tmp_path / "out" / "features.csv")
    assert [row["id"] for row in rows] == [u.id for u in reader.utterances]
    for row in rows:
        frames = reader.frames(row["id"], 0).astype(np.float64)
        for what, found in (("mean", frames.mean(axis=0)), ("std", frames.std(axis=0))):
            told = [float(row[f"{name}_{what}"]) for name in about["values"]]
            np.testing.assert_allclose(told, found, rtol=1e-6, atol=1e-30)
        assert int(row["frames"]) == len(frames)


def test_values_without_names_are_numbered(cache: Path, tmp_path: Path) -> None:
    export(cache, tmp_path / "out", "csv", views=True)
    rows = table(tmp_path / "out" / "features.csv")
    assert len(rows) == 24 and sum(row["view"] == "noise=20" for row in rows) == 12
    dim = CacheReader(cache).meta.dim
    ends = [name for name in rows[0] if name.endswith(("_mean", "_std"))]
    assert ends == [f"d{n}_{what}" for what in ("mean", "std") for n in range(dim)]


def test_any_stored_layer_can_be_exported(config: ExtractConfig, tmp_path: Path) -> None:
    cache = extract(replace(config, encoder="random:wav2vec2-tiny", layers="all")).folder
    reader = CacheReader(cache)
    for layer, index, told in (("0", 0, "0"), ("last", 2, "2")):
        export(cache, tmp_path / layer, "npy", layer=layer)
        assert json.loads((tmp_path / layer / "export.json").read_text())["layer"] == told
        for row in table(tmp_path / layer / "utterances.csv"):
            np.testing.assert_array_equal(
                np.load(tmp_path / layer / row["file"]), reader.frames(row["id"], index)
            )
    with pytest.raises(UsageError, match=r"layer '7' is not in .* which holds 0, 1, 2"):
        export(cache, tmp_path / "seven", "npy", layer="7")


def test_a_damaged_row_leaves_no_export(cache: Path, tmp_path: Path) -> None:
    shard = sorted(cache.glob("shards/*.h5"))[1]
    data = bytearray(shard.read_bytes())
    data[CacheReader(cache)._shards[1].frames_at + 3] ^= 0x10  # type: ignore[operator]
    shard.write_bytes(data)
    for form in ("npy", "csv"):
        with pytest.raises(SerError, match="is damaged at utterance"):
            export(cache, tmp_path / "out", form)
        assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".tmp-*"))


def test_what_is_there_is_never_overwritten(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("mine", "file"):
        with pytest.raises(UsageError, match=f"{name} is there already and holds something"):
            export(cache, tmp_path / name, "npy")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"
    (tmp_path / "empty").mkdir()
    export(cache, tmp_path / "empty", "npy")
    assert len(table(tmp_path / "empty" / "utterances.csv")) == 12


def test_an_unknown_format_is_a_sentence(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown --format 'parquet'.*there are: csv, npy"):
        export(cache, tmp_path / "out", "parquet")


def test_listed_clips_without_frames_are_told(
    config: ExtractConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (config.root / "sad" / "empty.wav").write_bytes(b"")
    export(extract(config).folder, tmp_path / "out", "csv")
    assert "1 listed clips have no frames" in caplog.text
    assert len(table(tmp_path / "out" / "features.csv")) == 12


def test_an_export_that_was_killed_is_no_export(cache: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys\nfrom pathlib import Path\n"
               "from embedcache.store.export import export\nimport numpy, time\n"
               "save = numpy.save\n"
               "def slowly(*a):\n    save(*a); time.sleep(0.05)\n"
               "numpy.save = slowly\n"
               "export(Path(sys.argv[1]), Path(sys.argv[2]), 'npy')"]  # fmt: skip
    target = tmp_path / "out"
    process = subprocess.Popen([*command, str(cache), str(target)], cwd=REPOSITORY)
    while len(list(tmp_path.glob(".tmp-*/frames/**/*.npy"))) < 3:
        time.sleep(0.005)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists() and list(tmp_path.glob(".tmp-*"))
    export(cache, target, "npy")
    assert len(table(target / "utterances.csv")) == 12
    assert not list(tmp_path.glob(".tmp-*"))


ODD = ["a", "A", "a.npy", "a.npy/b", "..", "../a", "/a", "a/", "a//b", "a/./b", "%2E", "a%2F", "",
       "a~2", "a\nb", "ü", "a ", "a.", "x" * 300, "x" * 300 + "y", "CON?", "a:b",
       os.fsdecode(b"latin-\xe9"), ".hidden", "a\\b"]  # fmt: skip


def clips(names: list[str]) -> list[Utterance]:
    return [Utterance(id=name, path=Path("x"), view=v) for name in names for v in ("", "speed=0.9")]


def test_odd_names_are_files_of_their_own(tmp_path: Path) -> None:
    names = file_names(clips(ODD))
    assert len({name.lower() for name in names}) == len(names) == 2 * len(ODD)
    for number, name in enumerate(names):
        path = tmp_path / name
        assert path.resolve().is_relative_to(tmp_path.resolve())
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:
            file.write(str(number))
    assert [(tmp_path / name).read_text() for name in names] == [str(n) for n in range(len(names))]
    assert all(name.isascii() for name in names)


@given(st.lists(st.text(st.sampled_from("aA./~%2E\\ \n\u00e9np y"), max_size=8), unique=True))
def test_no_two_names_share_a_file(names: list[str]) -> None:
    found = file_names(clips(names))
    assert len({name.lower() for name in found}) == len(found)
    folders = {str(parent).lower() for name in found for parent in Path(name).parents}
    assert not folders & {name.lower() for name in found}
    assert not any(part in ("", ".", "..") for name in found for part in name.split("/"))


def test_odd_names_come_out_with_their_frames(config: ExtractConfig, tmp_path: Path) -> None:
    for name, wav in zip(
        ("a b", "b%20", "ü.npy"), sorted(config.root.rglob("*.wav")), strict=False
    ):
        shutil.copy(wav, wav.with_name(f"{name}.wav"))
    cache = extract(config).folder
    export(cache, tmp_path / "out", "npy")
    reader = CacheReader(cache)
    rows = table(tmp_path / "out" / "utterances.csv")
    assert len(rows) == 15
    for row in rows:
        np.testing.assert_array_equal(
            np.load(tmp_path / "out" / row["file"]), reader.frames(row["id"], 0)
        )
