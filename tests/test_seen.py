"""What an encoder was trained on: written beside its weights, carried into caches, read again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embedcache import seen as seen_module
from embedcache.errors import SerError, UsageError
from embedcache.extract import extract
from embedcache.plugins import plugins
from embedcache.request import ExtractConfig, per_encoder
from embedcache.seen import (
    CACHE_FILE,
    CHECKPOINT_FILE,
    FOLDS_FILE,
    PUBLISHED,
    FoldOf,
    Seen,
    encoders_of,
    is_silent,
    published,
    seen_by_cache,
    seen_by_checkpoint,
    write_cache_record,
    write_checkpoint_record,
    write_folds,
)
from tests.encoders.tiny_models import save

FULL = Seen(
    corpora=("ravdess", "folder:mine"),
    speakers=("ravdess/01", "mine/Zoë"),
    contents=("00ff", "aa11"),
    source="checkpoints/x/fold1",
    base="facebook/wav2vec2-base",
    pretrained=True,
    fold=FoldOf(name="x", fold=1, count=5, protocol="--corpus ravdess --protocol speaker --seed 0"),
)
KNOWN = "ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder that any tool could have written."""
    save(tmp_path / "checkpoint", "wav2vec2")
    return tmp_path / "checkpoint"


@pytest.fixture
def asked(clips: Path, tmp_path: Path) -> Callable[[object], ExtractConfig]:
    """An extraction with an encoder."""

    def make(encoder: object) -> ExtractConfig:
        return ExtractConfig(
            corpus="folder", root=clips, encoder=str(encoder), cache_dir=tmp_path / "cache"
        )

    return make


# Records


@pytest.mark.parametrize("seen", [FULL, Seen(), Seen(corpora=("tess",)), replace(FULL, fold=None)])
def test_a_record_is_read_as_it_was_written(tmp_path: Path, seen: Seen) -> None:
    assert Seen.from_json(json.loads(json.dumps(seen.to_json()))) == seen
    write_checkpoint_record(tmp_path, seen, {"best_epoch": 3})
    assert seen_by_checkpoint(str(tmp_path)) == seen
    assert seen_by_checkpoint(f"folder:{tmp_path}/") == seen
    assert json.loads((tmp_path / CHECKPOINT_FILE).read_text())["best_epoch"] == 3
    write_cache_record(tmp_path, seen)
    assert seen_by_cache(tmp_path, "whatever it is called") == (seen, False)


def test_what_was_trained_further_has_seen_both() -> None:
    """In the order in which it was seen, each thing once; the rest is the later one's."""
    own = Seen(
        corpora=("tess", "ravdess"),
        speakers=("tess/OAF", "ravdess/01"),
        contents=("bb22", "00ff"),
        source="checkpoints/y",
        base="checkpoints/x/fold1",
    )
    both = FULL | own
    assert both.corpora == ("ravdess", "folder:mine", "tess")
    assert both.speakers == ("ravdess/01", "mine/Zoë", "tess/OAF")
    assert both.contents == ("00ff", "aa11", "bb22")
    assert (both.source, both.base, both.fold) == (own.source, own.base, None)
    assert Seen() | FULL == FULL == FULL | replace(FULL, corpora=(), speakers=(), contents=())


def test_a_corpus_that_is_only_named_stays_so_when_others_are_listed() -> None:
    """Fine-tuning a published encoder on other speakers does not make it forget the first ones."""
    before = published(KNOWN)
    assert before is not None and before.unlisted == ("ravdess",)
    own = Seen(corpora=("emodb", "ravdess"), speakers=("emodb/03", "ravdess/01"), contents=("a",))
    assert own.unlisted == ()
    both = before | own
    assert (both.unlisted, both.speakers) == (("ravdess",), own.speakers)
    assert (both | own).unlisted == (own | before).unlisted == ("ravdess",)
    assert Seen.from_json(both.to_json()) == both


# Published encoders


def test_every_corpus_of_the_table_is_one_that_ser_knows() -> None:
    known = set(plugins("embedcache.corpora"))
    for encoder, (corpora, source) in PUBLISHED.items():
        assert corpora and set(corpora) <= known, encoder
        assert source == f"https://huggingface.co/{encoder}"
        found = published(encoder)
        assert found == published(f"hub:{encoder}") == seen_by_checkpoint(encoder)
        assert found == Seen(corpora=corpora, unlisted=corpora, source=source)


def test_of_others_nothing_is_known(tmp_path: Path) -> None:
    for encoder in ("facebook/wav2vec2-base", "lld", "random:wav2vec2-tiny", str(tmp_path)):
        assert seen_by_checkpoint(encoder) is None
        assert seen_by_cache(tmp_path, encoder) == (None, False)
    assert is_silent(str(tmp_path)) and is_silent(f"folder:{tmp_path}")
    assert not is_silent("lld") and not is_silent("facebook/wav2vec2-base")


def test_a_cache_of_an_earlier_version_is_known_by_its_encoders_name(tmp_path: Path) -> None:
    assert seen_by_cache(tmp_path, KNOWN) == (published(KNOWN), False)


# Damage


@pytest.mark.parametrize(
    "text",
    ["", "hello", "[]", "{}", '{"format": 1}', '{"format": 1, "seen": 3}',
     '{"format": 1, "seen": {"heard": []}}', '{"format": 1, "seen": {"fold": {"fold": 0}}}'],
)  # fmt: skip
@pytest.mark.parametrize("name", [CHECKPOINT_FILE, CACHE_FILE])
def test_a_damaged_record_is_said_and_not_taken_for_silence(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    words = f"{tmp_path / name} is damaged .*, so that nobody knows what the encoder was trained on"
    with pytest.raises(SerError, match=words):
        if name == CHECKPOINT_FILE:
            seen_by_checkpoint(str(tmp_path))
        else:
            seen_by_cache(tmp_path, KNOWN)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9])
def test_a_record_that_was_cut_off(tmp_path: Path, cut: float) -> None:
    write_checkpoint_record(tmp_path, FULL, {})
    file = tmp_path / CHECKPOINT_FILE
    file.write_bytes(file.read_bytes()[: int(cut * file.stat().st_size)])
    with pytest.raises(SerError, match="is damaged"):
        seen_by_checkpoint(str(tmp_path))


@pytest.mark.parametrize("name", [CHECKPOINT_FILE, CACHE_FILE, FOLDS_FILE])
def test_another_format_version(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"format": 2, "seen": null, "count": 1}')
    read: dict[str, Callable[[], Any]] = {
        CHECKPOINT_FILE: lambda: seen_by_checkpoint(str(tmp_path)),
        CACHE_FILE: lambda: seen_by_cache(tmp_path, "lld"),
        FOLDS_FILE: lambda: encoders_of(str(tmp_path)),
    }
    with pytest.raises(SerError, match=f"{tmp_path / name} has format 2; this ser reads 1"):
        read[name]()


# Folders of folds


def write_fold_checkpoints(folder: Path, count: int) -> Path:
    write_folds(folder, folder.name, count)
    for k in range(count):
        (folder / f"fold{k}").mkdir()
        (folder / f"fold{k}/config.json").touch()
        (folder / f"fold{k}/ser.json").touch()
    return folder


@pytest.mark.parametrize("count", [1, 3, 11])
def test_a_folder_of_folds_stands_for_all_of_them_in_order(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_fold_checkpoints(tmp_path / "x", count)
    expected = [str(folder / f"fold{k}") for k in range(count)]
    assert encoders_of(str(folder)) == encoders_of(f"{folder}/") == expected
    assert encoders_of(f"folder:{folder}") == [f"folder:{one}" for one in expected]
    monkeypatch.chdir(tmp_path)
    assert encoders_of("x/") == [f"x/fold{k}" for k in range(count)]
    config = ExtractConfig(corpus="folder", root=tmp_path, encoder="x", layers="all")
    assert per_encoder(config) == [replace(config, encoder=f"x/fold{k}") for k in range(count)]


@pytest.mark.parametrize("encoder", ["lld", "facebook/wav2vec2-base", "random:wav2vec2-tiny"])
def test_any_other_encoder_stands_for_itself(encoder: str) -> None:
    assert encoders_of(encoder) == [encoder]


def test_one_fold_stands_for_itself(tmp_path: Path) -> None:
    folder = write_fold_checkpoints(tmp_path / "x", 3)
    assert encoders_of(str(folder / "fold1")) == [str(folder / "fold1")]


def test_folds_that_are_missing_are_named(tmp_path: Path) -> None:
    folder = write_fold_checkpoints(tmp_path / "x", 4)
    (folder / "fold1/config.json").unlink()
    (folder / "fold3/ser.json").unlink()
    words = (
        f"--encoder {folder} lacks the checkpoint of fold 1, 3 of 4; make it with the same "
        "`ser finetune` and --fold 1 or --all-folds, or name the folder of one fold"
    )
    with pytest.raises(UsageError, match=words):
        encoders_of(str(folder))


@pytest.mark.parametrize("text", ["", "hello", "[1]", "{}", '{"of": "x", "count": 3}'])
def test_a_damaged_list_of_folds(tmp_path: Path, text: str) -> None:
    (tmp_path / FOLDS_FILE).write_text(text)
    with pytest.raises(SerError, match=f"{tmp_path / FOLDS_FILE} is damaged"):
        encoders_of(str(tmp_path))


@pytest.mark.parametrize("count", [None, "3", 0, -1, 2.0])
def test_a_list_of_folds_without_their_number(tmp_path: Path, count: object) -> None:
    (tmp_path / FOLDS_FILE).write_text(json.dumps({"format": 1, "of": "x", "count": count}))
    with pytest.raises(SerError, match=f"is damaged .count {count!r}., so that nobody knows how"):
        encoders_of(str(tmp_path))


# Caches


def test_a_cache_tells_what_its_checkpoint_tells(
    checkpoint: Path, asked: Callable[[object], ExtractConfig]
) -> None:
    write_checkpoint_record(checkpoint, FULL, {"best_epoch": 1})
    folder = extract(asked(checkpoint)).folder
    assert seen_by_cache(folder, str(checkpoint)) == (FULL, False)
    (folder / CACHE_FILE).unlink()
    again = extract(asked(checkpoint))
    assert (again.folder, again.encoded) == (folder, 0)
    assert seen_by_cache(folder, str(checkpoint)) == (FULL, False), "it is told again on reuse"


def test_a_cache_learns_what_its_checkpoint_tells_later(
    checkpoint: Path, asked: Callable[[object], ExtractConfig]
) -> None:
    """The same weights are the same cache: a record that comes later is copied too."""
    folder = extract(asked(checkpoint)).folder
    assert seen_by_cache(folder, str(checkpoint)) == (None, True)
    write_checkpoint_record(checkpoint, FULL, {})
    assert extract(asked(checkpoint)).folder == folder
    assert seen_by_cache(folder, str(checkpoint)) == (FULL, False)
    (checkpoint / CHECKPOINT_FILE).unlink()
    extract(asked(checkpoint))
    assert seen_by_cache(folder, str(checkpoint)) == (FULL, False), "silence takes nothing back"


def test_silence_is_said_and_recorded(
    checkpoint: Path,
    asked: Callable[[object], ExtractConfig],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = extract(asked(checkpoint)).folder
    (warning,) = [r.getMessage() for r in caplog.records if "does not tell" in r.getMessage()]
    assert warning.startswith(f"{checkpoint} does not tell what it was trained on")
    assert "heard the speakers or clips that a head will be tested on cannot be" in warning
    assert json.loads((folder / CACHE_FILE).read_text()) == {"format": 1, "seen": None}


@pytest.mark.parametrize("encoder", ["logmel", "random:wav2vec2-tiny"])
def test_encoders_that_were_never_trained_have_nothing_to_tell(
    encoder: str, asked: Callable[[object], ExtractConfig], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):
        folder = extract(asked(encoder)).folder
        assert not (folder / CACHE_FILE).exists()
    assert "does not tell" not in caplog.text


def test_a_published_encoder_brings_its_table_along(
    checkpoint: Path,
    asked: Callable[[object], ExtractConfig],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if the folder's path were a hub id."""
    entry = (("ravdess",), "https://example.org/card")
    monkeypatch.setitem(seen_module.PUBLISHED, str(checkpoint), entry)
    folder = extract(asked(checkpoint)).folder
    expected = Seen(corpora=("ravdess",), source="https://example.org/card")
    assert seen_by_cache(folder, "renamed") == (expected, False)


def test_a_damaged_checkpoint_record_stops_an_extraction_before_it_begins(
    checkpoint: Path, asked: Callable[[object], ExtractConfig], tmp_path: Path
) -> None:
    (checkpoint / CHECKPOINT_FILE).write_text("{")
    with pytest.raises(SerError, match="nobody knows what the encoder was trained on"):
        extract(asked(checkpoint))
    assert not list((tmp_path / "cache").rglob("meta.json"))


def test_each_fold_has_a_cache_of_its_own(
    tmp_path: Path, asked: Callable[[object], ExtractConfig]
) -> None:
    folder = tmp_path / "folds"
    write_folds(folder, "folds", 2)
    for k in range(2):
        model = save(folder / f"fold{k}", "wav2vec2")
        model.encoder.layers[0].final_layer_norm.bias.data += k
        model.save_pretrained(folder / f"fold{k}")
        place = FoldOf(name="folds", fold=k, count=2, protocol="--corpus folder")
        own = Seen(corpora=("folder",), speakers=(f"folder/s{k}",), fold=place)
        write_checkpoint_record(folder / f"fold{k}", own, {})
    caches = [extract(one).folder for one in per_encoder(asked(folder))]
    assert len(set(caches)) == 2
    for k, cache in enumerate(caches):
        found, _ = seen_by_cache(cache, "")
        assert found is not None and found.fold is not None
        assert (found.fold.fold, found.speakers) == (k, (f"folder/s{k}",))


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        ({"corpora": "ravdess"}, "corpora is no list of names"),
        ({"corpora": [["ravdess"]]}, "corpora is no list of names"),
        ({"corpora": ["ravdess"], "speakers": "ravdess/03"}, "speakers is no list of names"),
        ({"corpora": ["ravdess"], "note": "mine"}, "unknown key 'note'"),
    ],
)
def test_a_record_that_people_wrote_wrongly_is_told(tmp_path: Path, seen: object, text: str):
    (tmp_path / "ser.json").write_text(json.dumps({"format": 1, "seen": seen}))
    with pytest.raises(SerError, match=f"ser.json is damaged .*{text}"):
        seen_by_checkpoint(str(tmp_path))


def test_corpora_whose_speakers_are_not_named_may_be_heard_whole(tmp_path: Path):
    record = {"corpora": ["RAVDESS", "savee", "emobox:emodb"], "speakers": ["savee/DC"]}
    (tmp_path / "ser.json").write_text(json.dumps({"format": 1, "seen": record}))
    found = seen_by_checkpoint(str(tmp_path))
    assert found is not None and found.unlisted == ("RAVDESS", "emobox:emodb")


@pytest.mark.parametrize("record", ["null", "{}"])
def test_a_record_that_tells_nothing(tmp_path: Path, record: str):
    (tmp_path / "ser.json").write_text(f'{{"format": 1, "seen": {record}}}')
    assert is_silent(str(tmp_path)) is (record == "null")


def test_published_encoders_are_known_in_any_spelling():
    for name in PUBLISHED:
        assert published(name.upper()) == published(name) is not None
