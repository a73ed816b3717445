from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from embedcache.encoders import Encoder
from embedcache.errors import SerError, UsageError
from embedcache.extract import extract, run_and_describe
from embedcache.request import STORE_DTYPES, ExtractConfig, load_requested
from embedcache.store.inventory import take_inventory
from embedcache.store.quantise import dequantise, quantise
from embedcache.store.reader import CacheReader
from embedcache.store.verify import verify
from tests.material import noise, real_data, write_clips


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shards/*"))}


def test_all_is_there_and_sound(config: ExtractConfig) -> None:
    done = extract(config)
    reader = CacheReader(done.folder)
    assert (done.utterances, done.encoded, done.skips, done.pending) == (12, 12, [], 0)
    assert len(reader.utterances) == 12 and not reader.missing
    assert len(shards(done.folder)) > 4
    assert not list(verify(done.folder))


def test_again_encodes_nothing_and_changes_no_byte(config: ExtractConfig) -> None:
    first = extract(config)
    before = {p: p.read_bytes() for p in first.folder.rglob("*") if p.is_file()}
    again = extract(config)
    assert again.encoded == 0
    assert {p: p.read_bytes() for p in again.folder.rglob("*") if p.is_file()} == before


def test_moved_renamed_and_copied_files_are_not_encoded_again(
    config: ExtractConfig, tmp_path: Path
) -> None:
    first = extract(config)
    before = shards(first.folder)
    moved = tmp_path / "moved"
    shutil.move(config.root, moved)
    some = next(moved.rglob("*.wav"))
    shutil.copy(some, some.with_name("copy.wav"))
    some.rename(some.with_name("renamed.wav"))
    again = extract(replace(config, root=moved))
    assert (again.encoded, again.utterances) == (0, 13)
    assert shards(again.folder) == before
    ids = {u.id for u in CacheReader(again.folder).utterances}
    assert {"renamed", "copy"} <= {name.rpartition("/")[2] for name in ids}
    assert len(ids) == 13


def test_a_changed_file_is_encoded_again_and_a_new_one_added(config: ExtractConfig) -> None:
    first = extract(config)
    before = shards(first.folder)
    changed = next(config.root.rglob("*.wav"))
    soundfile.write(changed, noise(0.4, 99), 16_000)
    soundfile.write(changed.with_name("new.wav"), noise(0.4, 98), 16_000)
    again = extract(config)
    assert again.encoded == 2
    after = shards(again.folder)
    assert before.items() <= after.items()
    assert len(CacheReader(again.folder).utterances) == 13


def test_labels_are_not_part_of_the_key(config: ExtractConfig) -> None:
    first = extract(config)
    (config.root / "angry").rename(config.root / "furious")
    again = extract(config)
    assert (again.folder, again.encoded) == (first.folder, 0)
    assert {u.label for u in CacheReader(again.folder).utterances} == {"furious", "sad"}


def test_two_utterances_with_one_content_share_a_row(config: ExtractConfig) -> None:
    some = next(config.root.rglob("*.wav"))
    shutil.copy(some, some.with_name("twin.wav"))
    reader = CacheReader(extract(config).folder)
    twin = next(u.id for u in reader.utterances if u.id.endswith("twin"))
    other = some.relative_to(config.root).with_suffix("").as_posix()
    assert reader.content_id(twin) == reader.content_id(other)
    np.testing.assert_array_equal(reader.frames(twin, 0), reader.frames(other, 0))
    assert sum(len(s.content_ids) for s in reader._shards) == 12


def test_fewer_layers_reuse_the_cache_with_more(
    config: ExtractConfig, caplog: pytest.LogCaptureFixture
) -> None:
    whole = replace(config, encoder="random:wav2vec2-tiny", layers="all")
    first = extract(whole)
    caplog.set_level("INFO")
    again = extract(replace(whole, layers="1"))
    assert (again.folder, again.encoded) == (first.folder, 0)
    assert "which holds layers 0, 1, 2" in caplog.text
    soundfile.write(config.root / "sad" / "new.wav", noise(0.4, 97), 16_000)
    third = extract(replace(whole, layers="last"))
    assert (third.folder, third.encoded) == (first.folder, 1)
    assert not list(verify(third.folder))
    assert {shard.shape[0] for shard in CacheReader(third.folder)._shards} == {3}


def test_more_layers_make_a_cache_of_their_own(config: ExtractConfig) -> None:
    some = replace(config, encoder="random:wav2vec2-tiny", layers="1")
    assert extract(some).folder != extract(replace(some, layers="all")).folder


@pytest.mark.parametrize(
    "change",
    [
        {"encoder": "mfcc"},
        {"store_dtype": "float32"},
        {"store_dtype": "int8"},
        {"max_seconds": 30.0},
        {"encoder": "random:wav2vec2-tiny"},
        {"encoder": "random:wav2vec2-tiny", "dtype": "bfloat16"},
    ],
)
def test_what_changes_numbers_makes_another_cache(
    config: ExtractConfig, change: dict[str, object]
) -> None:
    base = replace(config, limit=2)
    other = replace(base, **change)  # type: ignore[arg-type]
    if "dtype" in change:
        base = replace(base, encoder="random:wav2vec2-tiny")
    assert extract(base).folder != extract(other).folder


@pytest.mark.parametrize("change", [{"shard_mb": 1.0}, {"limit": 5}])
def test_what_does_not_change_numbers_does_not(
    config: ExtractConfig, change: dict[str, object]
) -> None:
    assert extract(config).folder == extract(replace(config, **change)).folder  # type: ignore[arg-type]


def test_a_limit_then_all_then_a_limit(config: ExtractConfig) -> None:
    first = extract(replace(config, limit=5))
    assert (first.utterances, first.encoded) == (5, 5)
    assert len(CacheReader(first.folder).utterances) == 5
    assert extract(config).encoded == 7
    assert extract(replace(config, limit=3)).encoded == 0
    assert len(CacheReader(first.folder).utterances) == 12


def test_bad_files_are_listed_with_reasons_and_stop_nothing(config: ExtractConfig) -> None:
    (config.root / "sad" / "empty.wav").write_bytes(b"")
    (config.root / "sad" / "gone.wav").symlink_to("nowhere.wav")
    soundfile.write(config.root / "sad" / "short.wav", noise(0.01, 1), 16_000)
    done = extract(config)
    assert dict(done.skips) == {
        "sad/empty": "the file is empty (0 bytes)",
        "sad/gone": "cannot be read (No such file or directory)",
        "sad/short": "shorter than one frame: 160 samples at 16000 Hz, logmel needs 400",
    }
    assert done.encoded == 12
    reader = CacheReader(done.folder)
    assert {u.id for u in reader.missing} == set(dict(done.skips))
    assert dict(extract(config).skips) == dict(done.skips)


def test_a_content_fault_is_final_and_a_reading_fault_is_tried_again(config: ExtractConfig) -> None:
    (config.root / "sad" / "empty.wav").write_bytes(b"")
    lost = config.root / "sad" / "lost.wav"
    lost.symlink_to(config.root.parent / "away.wav")
    extract(config)
    soundfile.write(config.root.parent / "away.wav", noise(0.4, 50), 16_000)
    before = take_inventory(extract(config).folder)
    assert len(before.rows) == 13
    assert [skip.kind for skip in before.skips.values()] == ["content"]


def test_a_file_that_changes_while_it_is_encoded_is_not_stored_under_its_old_name(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = sorted(config.root.rglob("*.wav"))[3]

    def decode_and_change(*arguments: object) -> object:
        soundfile.write(victim, noise(0.4, 77), 16_000)
        return decode(*arguments)  # type: ignore[arg-type]

    from embedcache.encode import decode_clip as decode

    monkeypatch.setattr("embedcache.fill.decode_clip", decode_and_change)
    done = extract(config)
    assert [reason for _, reason in done.skips] == ["its file changed while it was encoded"]
    monkeypatch.undo()
    assert extract(config).skips == []


def test_a_file_that_goes_while_others_are_encoded(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embedcache.encode import decode_clip as decode

    victim = sorted(config.root.rglob("*.wav"))[3]

    def decode_and_remove(*arguments: object) -> object:
        victim.unlink(missing_ok=True)
        return decode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("embedcache.fill.decode_clip", decode_and_remove)
    done = extract(config)
    assert [reason for _, reason in done.skips] == ["cannot be read (No such file or directory)"]
    assert done.encoded == 11


def test_an_unfinished_plan_whose_file_has_gone_is_finished_without_it(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embedcache.engines.local.run", lambda *_: iter(()))
    extract(config)  # plans everything, encodes nothing
    monkeypatch.undo()
    sorted(config.root.rglob("*.wav"))[0].unlink()
    done = extract(replace(config, limit=4))
    assert done.skips == []
    assert not list(verify(done.folder))
    assert extract(config).encoded == 11 - done.encoded
    assert len(CacheReader(done.folder).utterances) == 11


@pytest.mark.parametrize("store_dtype", STORE_DTYPES)
def test_workers_share_the_shards_and_give_the_same_bytes(
    config: ExtractConfig, tmp_path: Path, store_dtype: str
) -> None:
    config = replace(config, store_dtype=store_dtype)
    alone = extract(config)
    shared = replace(config, cache_dir=tmp_path / "shared")
    first = extract(replace(shared, worker=(0, 2)))
    assert first.pending > 0
    second = extract(replace(shared, worker=(1, 2)))
    assert second.pending == 0
    assert first.encoded > 0 and first.encoded + second.encoded == 12
    assert shards(second.folder) == shards(alone.folder)


@pytest.mark.parametrize("max_seconds", [60.0, 0.3])
def test_int8_rows_are_quantised_whole(config: ExtractConfig, max_seconds: float) -> None:
    """Also those of clips that are encoded window by window."""
    config = replace(config, max_seconds=max_seconds)
    exact = CacheReader(extract(replace(config, store_dtype="float32")).folder)
    done = extract(replace(config, store_dtype="int8"))
    reader = CacheReader(done.folder)
    assert len(reader.utterances) == 12 and not list(verify(done.folder))
    for utterance in reader.utterances:
        expected = dequantise(*quantise(exact.frames(utterance.id, 0)))
        np.testing.assert_array_equal(reader.frames(utterance.id, 0), expected)


@pytest.mark.parametrize("store_dtype", STORE_DTYPES)
def test_frames_that_are_not_finite_are_not_stored(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch, store_dtype: str
) -> None:
    class Broken:
        def __init__(self, encoder: Encoder) -> None:
            self.spec, self.prepare, self._encoder = encoder.spec, encoder.prepare, encoder

        def encode(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
            found = self._encoder.encode(clips)
            for frames in found:
                frames[0, -1, 3] = np.nan if len(clips[0]) < 8000 else -np.inf
            return found

    load = load_requested
    monkeypatch.setattr("embedcache.extract.load_requested", lambda config: Broken(load(config)))
    done = extract(replace(config, store_dtype=store_dtype))
    assert len(done.skips) == 12
    assert {why for _, why in done.skips} == {"the encoder gave frames that are NaN or infinite"}
    assert not CacheReader(done.folder).utterances


def test_another_root_under_one_name_is_noticed(
    config: ExtractConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extract(config)
    other = write_clips(tmp_path / "other", 4, ("bored", "calm"))
    extract(replace(config, root=other))
    assert "none of which is in this --root; give each data set a name" in caplog.text


def test_a_damaged_neighbour_is_left_alone(
    config: ExtractConfig, caplog: pytest.LogCaptureFixture
) -> None:
    first = extract(config)
    other = extract(replace(config, encoder="mfcc"))
    (first.folder / "meta.json").write_text("{")
    assert extract(replace(config, encoder="mfcc")).folder == other.folder
    assert "meta.json is damaged" in caplog.text


def test_a_cache_begun_with_other_versions_is_said(
    config: ExtractConfig, caplog: pytest.LogCaptureFixture
) -> None:
    first = extract(config)
    text = (first.folder / "meta.json").read_text()
    other = text.replace('"threads": "', '"threads": "9')
    assert other != text
    (first.folder / "meta.json").write_text(other)
    extract(config)
    assert "may differ in their last bits" in caplog.text


def test_what_was_not_encoded_is_said_by_reason(
    config: ExtractConfig, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        (config.root / "sad" / f"{name}.wav").write_bytes(b"")
    folder, complete = run_and_describe(config)
    assert folder.is_dir() and not complete
    assert "not encoded: sad/a and 1 more: the file is empty (0 bytes)" in caplog.text


@pytest.mark.parametrize(
    ("change", "words"),
    [({"engine": "raye"}, "unknown engine 'raye'"), ({"encoder": "logmell"}, "did you mean 'lo")],
)
def test_names_are_checked_before_anything_is_done(
    config: ExtractConfig, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    synthetic = replace(config, corpus="synthetic", root=tmp_path / "new", **change)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=words):
        extract(synthetic)
    assert not (tmp_path / "new").exists()
    assert not config.cache_dir.exists()


def test_odd_characters_in_names_and_texts_survive(tmp_path: Path) -> None:
    """Line separators of Unicode, and bytes that are no UTF-8, as old archives have them."""
    root = tmp_path / "clips"
    (root / "sad").mkdir(parents=True)
    odd = ["a\u2028b", "c\x85d", "e'f\"g", "new\nline", os.fsdecode(b"latin-\xe9")]
    for n, name in enumerate(odd):
        soundfile.write(tmp_path / "clip.wav", noise(0.3, n), 16_000)
        (tmp_path / "clip.wav").rename(root / "sad" / f"{name}.wav")
    config = ExtractConfig(
        corpus="folder", root=root, encoder="logmel", cache_dir=tmp_path / "cache"
    )
    for _ in range(2):
        reader = CacheReader(extract(config).folder)
        escaped = (
            n.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for n in odd
        )
        assert {u.id for u in reader.utterances} == {f"sad/{name}" for name in escaped}
        assert all(reader.frames(u.id, 0).size for u in reader.utterances)


def test_a_fault_while_the_file_changes_is_not_held_against_its_old_bytes(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Truncated while it is read, then restored: the content is good, and is encoded."""
    victim = sorted(config.root.rglob("*.wav"))[3]
    good, times = victim.read_bytes(), victim.stat()

    def decode_and_cut(*arguments: object) -> object:
        victim.write_bytes(good[:100])
        return decode(*arguments)  # type: ignore[arg-type]

    from embedcache.encode import decode_clip as decode

    monkeypatch.setattr("embedcache.fill.decode_clip", decode_and_cut)
    assert len(extract(config).skips) == 1
    monkeypatch.undo()
    victim.write_bytes(good)
    os.utime(victim, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert extract(config).skips == []


def test_what_could_not_be_read_is_remembered_beyond_a_limit(config: ExtractConfig) -> None:
    (config.root / "sad" / "zz.wav").symlink_to("nowhere")
    folder = extract(config).folder
    before = (folder / "skipped.jsonl").read_text()
    assert "No such file" in before
    extract(replace(config, limit=3))
    assert (folder / "skipped.jsonl").read_text() == before


def test_a_file_that_cannot_be_read_today_keeps_its_frames(config: ExtractConfig) -> None:
    folder = extract(config).folder
    victim = sorted(config.root.rglob("*.wav"))[3]
    victim.unlink()
    victim.symlink_to("nowhere")
    done = extract(config)
    assert [reason for _, reason in done.skips] == ["cannot be read (No such file or directory)"]
    assert len(CacheReader(folder).utterances) == 12


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_folder_that_cannot_be_written(config: ExtractConfig) -> None:
    config.cache_dir.mkdir()
    config.cache_dir.chmod(0o500)
    with pytest.raises(SerError, match="cannot write"):
        extract(config)


def test_the_real_ravdess_is_encoded_whole(ravdess: Path, tmp_path: Path) -> None:
    """Of its 1,440 clips two are one recording: 1,439 contents."""
    done = extract(
        ExtractConfig(
            corpus="ravdess", root=ravdess, encoder="logmel", cache_dir=tmp_path / "cache"
        )
    )
    assert (done.utterances, done.encoded, done.skips) == (1440, 1439, [])
    reader = CacheReader(done.folder)
    twins = ["03-01-03-01-02-01-07", "03-01-03-01-02-02-07"]
    assert reader.content_id(twins[0]) == reader.content_id(twins[1])
    assert not list(verify(done.folder))


def test_real_original_stereo_and_resampled_recordings_agree(ravdess: Path, tmp_path: Path) -> None:
    """48 kHz originals, two channels among them, against the 16 kHz copies: nearly one spectrum."""
    original = ExtractConfig(corpus="ravdess", root=real_data("ravdess-original") / "Actor_01",
                             encoder="logmel", cache_dir=tmp_path / "a")  # fmt: skip
    copy = replace(original, root=ravdess / "Actor_01", cache_dir=tmp_path / "b")
    first, second = (CacheReader(extract(c).folder) for c in (original, copy))
    for utterance in first.utterances:
        x, y = (r.frames(utterance.id, 0).astype(float) for r in (first, second))
        count = min(len(x), len(y))
        speech = y[:count].mean(axis=1) > y.mean()
        assert np.abs(x[:count, :70] - y[:count, :70])[speech].mean() < 0.1
