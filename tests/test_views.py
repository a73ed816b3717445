"""Augmented views: further contents of a cache, which never touch the originals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from embedcache.audio.augmentation import augment
from embedcache.audio.decode import read_clip
from embedcache.encoders import load_encoder
from embedcache.estimate import estimate
from embedcache.extract import extract
from embedcache.request import ExtractConfig
from embedcache.store.contents import content_id
from embedcache.store.plan import read_plans
from embedcache.store.reader import CacheReader
from embedcache.store.verify import verify
from tests.conftest import Ser
from tests.material import encoded, noise

VIEWS = ("speed=0.9", "noise=20")


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shards/*"))}


def test_views_are_added_to_the_same_cache_and_originals_are_not_encoded_again(
    config: ExtractConfig,
) -> None:
    first = extract(config)
    before = shards(first.folder)
    second = extract(replace(config, views=VIEWS))
    assert second.folder == first.folder
    assert (second.utterances, second.encoded) == (12, 24)
    assert before.items() <= shards(second.folder).items()
    assert extract(replace(config, views=VIEWS)).encoded == 0
    assert not list(verify(first.folder))


def test_a_view_holds_the_frames_of_the_augmented_audio(config: ExtractConfig) -> None:
    reader = CacheReader(extract(replace(config, views=VIEWS)).folder)
    encoder = load_encoder("logmel", "last", "cpu", "auto")
    assert len(reader.utterances) == 12 and len(reader.views) == 24
    for view in reader.views:
        samples = read_clip(view.path, 0.0, None, 16_000)
        content = reader._contents[view.id, view.view]
        heard = augment(samples, 16_000, view.view, int(content, 16))
        ((wanted,),) = encoded(encoder, [encoder.prepare(heard)])
        found = reader.frames(view.id, 0, view.view)
        np.testing.assert_array_equal(found, wanted.astype(np.float16))
        assert reader.frame_count(view.id, view.view) == len(found)
        assert found.shape != reader.frames(view.id, 0).shape or not np.array_equal(
            found, reader.frames(view.id, 0)
        )


def test_no_shard_holds_two_views(config: ExtractConfig) -> None:
    folder = extract(replace(config, views=VIEWS)).folder
    views = {c: v for (_, v), c in CacheReader(folder)._contents.items()}
    for shard in read_plans(folder):
        assert len({views[content] for content, _ in shard.rows}) == 1


def test_one_by_one_gives_the_bytes_of_all_at_once(config: ExtractConfig, tmp_path: Path) -> None:
    """But for the order of plans: the frames of a view do not depend on what else was asked."""
    together = CacheReader(extract(replace(config, views=VIEWS)).folder)
    apart = replace(config, cache_dir=tmp_path / "apart")
    for views in ((VIEWS[1],), (VIEWS[0],), ()):
        folder = extract(replace(apart, views=views)).folder
    reader = CacheReader(folder)
    assert len(reader.views) == 24
    for view in reader.views:
        np.testing.assert_array_equal(
            reader.frames(view.id, 0, view.view), together.frames(view.id, 0, view.view)
        )


def test_noise_follows_from_the_content_and_not_from_the_name(config: ExtractConfig) -> None:
    folder = extract(replace(config, views=("noise=10",))).folder
    some = sorted(config.root.rglob("*.wav"))[0]
    before = CacheReader(folder)
    name = some.relative_to(config.root).with_suffix("").as_posix()
    frames = before.frames(name, 0, "noise=10").copy()
    some.rename(some.with_name("renamed.wav"))
    again = extract(replace(config, views=("noise=10",)))
    assert again.encoded == 0
    renamed = f"{name.rpartition('/')[0]}/renamed"
    np.testing.assert_array_equal(CacheReader(folder).frames(renamed, 0, "noise=10"), frames)


def test_a_changed_file_loses_its_old_views(config: ExtractConfig) -> None:
    folder = extract(replace(config, views=VIEWS)).folder
    some = sorted(config.root.rglob("*.wav"))[0]
    soundfile.write(some, noise(0.7, 99), 16_000)
    assert extract(config).encoded == 1  # the views that are not asked for are not encoded
    name = some.relative_to(config.root).with_suffix("").as_posix()
    assert {view.id for view in CacheReader(folder).views}.isdisjoint({name})
    assert len(CacheReader(folder).views) == 22
    assert extract(replace(config, views=VIEWS)).encoded == 2


def test_a_clip_that_a_view_makes_too_short_is_named_with_its_view(config: ExtractConfig) -> None:
    soundfile.write(config.root / "sad" / "brief.wav", noise(0.03, 3), 16_000)
    done = extract(replace(config, views=("speed=2",)))
    ((name, reason),) = done.skips
    assert name == "sad/brief (speed=2)"
    assert reason.startswith("shorter than one frame: 240 samples")
    skipped = (done.folder / "skipped.jsonl").read_text().splitlines()
    (record,) = (json.loads(line) for line in skipped)
    assert (record["utterance_id"], record["view"]) == ("sad/brief", "speed=2")
    assert "sad/brief" in {u.id for u in CacheReader(done.folder).utterances}


def test_an_id_that_looks_like_a_view_is_not_taken_for_one(config: ExtractConfig) -> None:
    some = sorted(config.root.rglob("*.wav"))[0]
    soundfile.write(some.with_name(f"{some.stem} (speed=0.9).wav"), noise(0.8, 98), 16_000)
    reader = CacheReader(extract(replace(config, views=("speed=0.9",))).folder)
    name = some.relative_to(config.root).with_suffix("").as_posix()
    own, view = f"{name} (speed=0.9)", reader.frames(name, 0, "speed=0.9")
    assert len(reader.utterances) == len(reader.views) == 13
    assert len(reader.frames(own, 0)) == 39  # 0.8 s of its own
    assert len(view) != 39


def test_a_limit_holds_for_views_too(config: ExtractConfig) -> None:
    few = replace(config, views=("speed=0.9",), limit=3)
    assert extract(few).encoded == 6
    assert extract(replace(few, limit=0)).encoded == 18
    assert len(CacheReader(extract(few).folder).views) == 12


def test_a_dry_run_counts_views(config: ExtractConfig) -> None:
    found = estimate(replace(config, views=VIEWS))
    assert (found.utterances, found.to_encode) == (12, 36)
    assert found.frames_bytes > 2.9 * estimate(config).frames_bytes


def test_views_that_another_process_adds_meanwhile_are_kept(
    config: ExtractConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading the corpus and writing its list, a second extraction adds a view."""
    from embedcache import extract as module

    identify = module.identify_contents

    def identify_and_wait(*arguments: object) -> object:
        monkeypatch.undo()
        extract(replace(config, views=("speed=0.9",)))
        return identify(*arguments)  # type: ignore[arg-type]

    extract(config)
    monkeypatch.setattr(module, "identify_contents", identify_and_wait)
    folder = extract(replace(config, views=("noise=20",))).folder
    assert {view.view for view in CacheReader(folder).views} == set(VIEWS)
    assert len(CacheReader(folder).views) == 24


def test_content_ids_tell_views_apart() -> None:
    assert len({content_id("h", 0.0, None, view) for view in ("", *VIEWS)}) == 3


def test_the_command_makes_views_and_says_what_is_wrong(ser: Ser, clips: Path) -> None:
    done = ser("extract", "--corpus", "folder", "--root", clips, "--augment", "speed=0.9,1.1",
               "--augment", "noise=20")  # fmt: skip
    assert done.returncode == 0, done.stderr
    info = ser("cache", "info", done.stdout.strip()).stdout
    assert "speed=0.9 (12), speed=1.1 (12), noise=20 (12)" in info
    wrong = ser("extract", "--corpus", "folder", "--root", clips, "--augment", "sped=0.9")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "did you mean 'speed'" in wrong.stderr
