"""EmoBox: the real lists and folds, on real audio where it is there, else on empty files."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from embedcache.corpora import emobox, label_sets, read_corpus
from embedcache.errors import SerError, UsageError
from tests.material import real_data

# Folds, and speakers who stand in training and test of some fold; as the lists' own README has it.
FOLDS = {"ravdess": 6, "iemocap": 5, "savee": 4, "emodb": 5, "tess": 1, "cremad": 1, "urdu": 1}


def checkout(name: str, root: Path) -> Path:
    """A checkout of EmoBox with one corpus, whose audio files are empty."""
    shutil.copytree(real_data("emobox") / name, root / "data" / name)
    for row in rows(root / "data" / name / f"{name}.jsonl"):
        path = root / row["wav"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", FOLDS)
def test_the_real_lists_are_read_whole(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = checkout(name, tmp_path)
    found = {u.path: u for u in read_corpus(f"emobox:{name}", root)}
    listed = rows(root / "data" / name / f"{name}.jsonl")
    labels = json.loads((root / "data" / name / "label_map.json").read_text())
    words = {code.lower(): word.lower() for code, word in labels.items()}
    assert len(found) == len(listed)
    assert all(found[root / row["wav"]].label == words[row["emo"].lower()] for row in listed)
    assert all(u.speaker for u in found.values())
    assert not caplog.records


@pytest.mark.parametrize(("name", "folds"), FOLDS.items())
def test_the_real_folds_are_taken_as_they_are(name: str, folds: int, tmp_path: Path) -> None:
    root = checkout(name, tmp_path)
    found = {u.path: u for u in read_corpus(f"emobox:{name}", root)}
    for fold in map(str, range(1, folds + 1)):
        folder = root / "data" / name / f"fold_{fold}"
        test = {root / r["wav"] for r in rows(folder / f"{name}_test_fold_{fold}.jsonl")}
        assert {path for path, u in found.items() if u.folds[fold] == "test"} == test
        assert {u.folds[fold] for u in found.values()} == {"train", "test"}
        lists = folder / f"{name}_train_fold_{fold}.jsonl"
        if lists.is_file():
            train = {root / r["wav"] for r in rows(lists)}
            assert {path for path, u in found.items() if u.folds[fold] == "train"} == train


def test_iemocap_speakers_come_from_the_names(tmp_path: Path) -> None:
    found = read_corpus("emobox:iemocap", checkout("iemocap", tmp_path))
    counts = Counter(u.speaker for u in found)
    assert counts["iemocap/3M"] == 629 and counts["iemocap/4M"] == 503
    assert Counter(u.label for u in found)["happy"] == 1636


def test_real_audio_beside_the_lists_is_found() -> None:
    """Not at the listed paths: other folders, flac for wav, and two copies of some clips."""
    root = real_data("emobox").parent
    found = read_corpus("emobox:ravdess", root)
    assert len(found) == 1440
    assert {u.path.relative_to(root).parts[0] for u in found} == {"ravdess"}
    own = {u.id: u for u in read_corpus("ravdess", root / "ravdess")}
    assert all(u.speaker == own[u.id].speaker and u.folds == own[u.id].folds for u in found)


def small(root: Path, **lists: list[dict[str, str]]) -> Path:
    """A corpus that no plug-in knows: lists by file name, with `-` for a folder."""
    for name, content in lists.items():
        path = root / "data" / "casia" / name.replace("__", "/")
        path = path.with_name(f"{path.name}.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in content))
    for row in (r for r in lists.get("casia", []) if "wav" in r):
        audio = root / row["wav"]
        audio.parent.mkdir(parents=True, exist_ok=True)
        audio.touch()
    return root


def row(name: str, emotion: str = "sad") -> dict[str, str]:
    return {"key": f"casia-{name}", "wav": f"downloads/casia/{name}.wav", "emo": emotion}


def test_a_corpus_without_a_plug_in_has_emobox_speakers(tmp_path: Path) -> None:
    root = small(tmp_path, casia=[row("a/1"), row("b/1")])
    (root / "data" / "casia" / "data.seg.wrd.stm").write_text(
        "casia-a/1 1 anna 0 1.5 <id=casia-a/1,lang=en,spk=anna,emotion=sad> sad\n"
    )
    found = read_corpus("emobox:casia", root)
    assert [(u.id, u.speaker, u.label) for u in found] == [
        ("casia-a/1", "casia/anna", "sad"),
        ("casia-b/1", None, "sad"),
    ]


def test_three_parts_and_clips_in_none(tmp_path: Path) -> None:
    everyone = [row(n) for n in "abcd"]
    root = small(
        tmp_path,
        casia=everyone,
        fold_1__casia_train_fold_1=everyone[:1],
        fold_1__casia_valid_fold_1=everyone[1:2],
        fold_1__casia_test_fold_1=everyone[2:3],
        fold_2__casia_test_fold_2=everyone[3:],
    )
    assert [u.folds for u in read_corpus("emobox:casia", root)] == [
        {"1": "train", "2": "train"},
        {"1": "val", "2": "train"},
        {"1": "test", "2": "train"},
        {"2": "test"},
    ]


def test_missing_audio_is_counted_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = small(tmp_path, casia=[row(n) for n in "abc"])
    (root / "downloads" / "casia" / "b.wav").unlink()
    assert len(read_corpus("emobox:casia", root)) == 2
    assert "1 listed utterances without an audio file: casia-b" in caplog.text


def test_a_fold_that_names_an_unknown_utterance_is_an_error(tmp_path: Path) -> None:
    root = small(tmp_path, casia=[row("a")], fold_1__casia_test_fold_1=[row("z")])
    with pytest.raises(SerError, match=r"casia_test_fold_1\.jsonl names 'casia-z', which casia\.j"):
        read_corpus("emobox:casia", root)


def test_an_utterance_in_two_parts_of_a_fold_is_an_error(tmp_path: Path) -> None:
    root = small(
        tmp_path,
        casia=[row("a")],
        fold_1__casia_train_fold_1=[row("a")],
        fold_1__casia_test_fold_1=[row("a")],
    )
    with pytest.raises(SerError, match="names 'casia-a', which stands in another part too"):
        read_corpus("emobox:casia", root)


def test_an_utterance_twice_in_one_part_is_an_error(tmp_path: Path) -> None:
    twice = [row("a"), row("b"), row("a")]
    root = small(tmp_path, casia=twice[:2], fold_1__casia_test_fold_1=twice)
    with pytest.raises(
        SerError, match=r"casia_test_fold_1.*'casia-a', which stands there twice: in lines 1 and 3"
    ):
        read_corpus("emobox:casia", root)


@pytest.mark.parametrize("there", [True, False])
def test_a_fold_without_a_test_list_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, there: bool
) -> None:
    both = [row("a"), row("b")]
    root = small(
        tmp_path,
        casia=both,
        fold_1__casia_test_fold_1=both[:1],
        fold_2__casia_train_fold_2=both[:1],
        **({"fold_2__casia_test_fold_2": []} if there else {}),
    )
    assert [list(u.folds) for u in read_corpus("emobox:casia", root)] == [["1"], ["1"]]
    assert caplog.messages == [
        "emobox:casia: left out: fold_2, whose test list casia_test_fold_2.jsonl is "
        + ("empty" if there else "missing")
    ]


def test_a_fold_that_leaves_utterances_out_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    everyone = [row(str(n)) for n in range(480)]
    root = small(
        tmp_path,
        casia=everyone,
        fold_1__casia_train_fold_1=everyone[:99],
        fold_1__casia_test_fold_1=everyone[360:],
        fold_2__casia_train_fold_2=everyone[:360],
        fold_2__casia_test_fold_2=everyone[360:],
        fold_3__casia_test_fold_3=everyone[360:],
    )
    found = read_corpus("emobox:casia", root)
    assert Counter(u.folds.get("1") for u in found) == {"train": 99, "test": 120, None: 261}
    assert caplog.messages == [
        "emobox:casia: fold_1 lists 99 train, 120 test of 480 utterances; the other 261 are in no "
        "part of it"
    ]


def test_a_training_list_that_is_empty_is_not_all_that_is_not_tested(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    both = [row("a"), row("b")]
    root = small(
        tmp_path, casia=both, fold_1__casia_train_fold_1=[], fold_1__casia_test_fold_1=both[:1]
    )
    assert [u.folds for u in read_corpus("emobox:casia", root)] == [{"1": "test"}, {}]
    assert "fold_1 lists 1 test of 2 utterances; the other 1 are in no part" in caplog.text


def test_folders_that_are_no_fold_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lists = {
        f"{fold}__casia_test_{fold}": [row("a")]
        for fold in ("fold_1", "fold_10", "fold_2", "fold_1b", "fold_1 (copy)", "fold_²")
    }
    root = small(tmp_path, casia=[row("a")], **lists)
    assert list(read_corpus("emobox:casia", root)[0].folds) == ["1", "2", "10"]
    assert caplog.messages == [
        "emobox:casia: left out: 3 folders that are no fold_<number>: fold_1 (copy), fold_1b, "
        "fold_²"
    ]


LISTS = ("casia", "fold_1/casia_test_fold_1")


@pytest.mark.parametrize("name", LISTS)
def test_a_list_in_utf16_is_an_error_with_its_file(tmp_path: Path, name: str) -> None:
    root = small(tmp_path, casia=[row("a")], fold_1__casia_test_fold_1=[row("a")])
    path = root / "data" / "casia" / f"{name}.jsonl"
    path.write_text(path.read_text(), encoding="utf-16")
    with pytest.raises(SerError, match=rf"{path.name} line 1: no UTF-8 text .*; save it as UTF-8"):
        read_corpus("emobox:casia", root)


def test_labels_in_utf16_are_an_error_with_their_file(tmp_path: Path) -> None:
    root = small(tmp_path, casia=[row("a")])
    (root / "data" / "casia" / "label_map.json").write_text('{"sad": "Sad"}', encoding="utf-16")
    with pytest.raises(SerError, match=r"label_map\.json line 1: no UTF-8 text"):
        read_corpus("emobox:casia", root)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    root = small(tmp_path, casia=[row("a")], fold_1__casia_test_fold_1=[row("a")])
    (root / "data" / "casia" / "label_map.json").write_text('{"sad": "Low"}', encoding="utf-8-sig")
    for name in LISTS:
        path = root / "data" / "casia" / f"{name}.jsonl"
        path.write_text(path.read_text(), encoding="utf-8-sig")
    (found,) = read_corpus("emobox:casia", root)
    assert (found.label, found.folds) == ("low", {"1": "test"})


def test_iemocap_has_the_label_set_whose_classes_the_list_has(tmp_path: Path) -> None:
    (name,) = label_sets("emobox:iemocap")
    classes = label_sets("iemocap")[name]["classes"]
    assert label_sets("emobox:iemocap") == {name: label_sets("iemocap")[name]}
    assert not label_sets("emobox:casia") and not label_sets("emobox:ravdess")
    found = read_corpus("emobox:iemocap", checkout("iemocap", tmp_path))
    assert {classes[u.label] for u in found} == set(classes.values())


def test_a_damaged_list_is_an_error_with_its_line(tmp_path: Path) -> None:
    root = small(tmp_path, casia=[row("a"), {"key": "casia-b"}])
    with pytest.raises(SerError, match=r"casia\.jsonl line 2 is no EmoBox row.*'wav'"):
        read_corpus("emobox:casia", root)


def test_damaged_labels_are_an_error(tmp_path: Path) -> None:
    root = small(tmp_path, casia=[row("a")])
    (root / "data" / "casia" / "label_map.json").write_text("{")
    with pytest.raises(SerError, match=r"label_map\.json is no JSON object of labels"):
        read_corpus("emobox:casia", root)


def test_another_corpus_than_is_there_is_said(tmp_path: Path) -> None:
    root = small(tmp_path, casia=[row("a")])
    with pytest.raises(
        UsageError, match=r"emobox:cafe: .* holds no list cafe\.jsonl; it has casia"
    ):
        read_corpus("emobox:cafe", root)


def test_a_name_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name the data set, as in emobox:ravdess"):
        read_corpus("emobox", tmp_path)


def paths(root: Path) -> dict[str, str]:
    """Emotion to file: what became of rows whose emotions are all different."""
    found = read_corpus("emobox:casia", root)
    return {str(u.label): u.path.relative_to(root).as_posix() for u in found}


def listed(root: Path, *names: str, there: tuple[str, ...]) -> Path:
    """A list of these names (each its own emotion), and files beside it that are there."""
    small(root, casia=[row(name, name) for name in names])
    shutil.rmtree(root / "downloads")
    for path in there:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_no_row_gets_the_audio_of_another_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in MELD, whose splits use the same names, with one split on disk."""
    root = listed(tmp_path, "train/x", "test/x", "test/y", there=("casia/train/x.wav",))
    assert paths(root) == {"train/x": "casia/train/x.wav"}
    assert "2 listed utterances without an audio file: casia-test/x, casia-test/y" in caplog.text


def test_a_missing_file_is_not_replaced_by_its_namesake(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in SAVEE's own folders, where every speaker has an a01."""
    there = tuple(f"AudioData/{speaker}/a01.wav" for speaker in ("JE", "JK", "KL"))
    root = listed(tmp_path, "DC/a01", "JE/a01", "JK/a01", "KL/a01", there=there)
    assert paths(root) == {f"{path.split('/')[1]}/a01".lower(): path for path in there}
    assert "1 listed utterances without an audio file: casia-DC/a01" in caplog.text


def test_as_many_folders_are_compared_as_tell_rows_apart(tmp_path: Path) -> None:
    names = ("a/wav/x", "b/wav/x", "b/flac/x")
    root = listed(tmp_path, *names, there=("a/wav/x.flac", "c/b/wav/x.wav", "flac/x.wav"))
    assert paths(root) == {
        "a/wav/x": "a/wav/x.flac",
        "b/wav/x": "c/b/wav/x.wav",
        "b/flac/x": "flac/x.wav",
    }


def test_a_folder_below_another_keeps_its_file(tmp_path: Path) -> None:
    """`b/x` would fit both rows' files, and must not take that of `a/b/x`."""
    lists = [{"key": k, "wav": f"{k}.wav", "emo": k} for k in ("b/x", "a/b/x")]
    root = small(tmp_path, casia=lists)
    assert paths(root) == {"b/x": "b/x.wav", "a/b/x": "a/b/x.wav"}
    (root / "b" / "x.wav").unlink()
    assert paths(root) == {"a/b/x": "a/b/x.wav"}


def test_the_root_itself_may_be_the_folder_that_tells_rows_apart(tmp_path: Path) -> None:
    listed(tmp_path / "train", "train/x", "test/x", there=("x.wav",))
    assert paths(tmp_path / "train") == {"train/x": "x.wav"}


def test_rows_that_only_the_suffix_tells_apart_need_it(tmp_path: Path) -> None:
    lists = [{"key": k, "wav": f"downloads/{k}", "emo": k} for k in ("x.mp3", "x.wav")]
    root = small(tmp_path, casia=lists)
    (root / "downloads" / "x.mp3").unlink()
    assert paths(root) == {"x.wav": "downloads/x.wav"}


def test_one_file_is_never_two_utterances(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    twice = [{"key": key, "wav": "downloads/x.wav", "emo": key} for key in ("one", "two")]
    assert paths(small(tmp_path, casia=twice)) == {"one": "downloads/x.wav"}
    assert "1 listed utterances without an audio file: two" in caplog.text


def test_every_file_is_looked_at_once_per_row_that_it_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists have up to 70,000 rows; here the worst of them, where all files share one name."""
    count, looks = 2000, 0
    files = [tmp_path / f"{n}" / "audio.wav" for n in range(count)]
    lists = small(tmp_path / "list", casia=[]) / "data" / "casia" / "casia.jsonl"
    lists.write_text("".join(json.dumps(row(f"{n}/audio")) + "\n" for n in range(count)))
    agreement = emobox._agreement

    def counted(*given: tuple[str, ...]) -> tuple[int, int, int]:
        nonlocal looks
        looks += 1
        return agreement(*given)

    monkeypatch.setattr(emobox, "audio_files", lambda root: files)
    monkeypatch.setattr(emobox, "_agreement", counted)
    found = emobox.parse_named(tmp_path, "casia")
    assert [u.path for u in found] == files
    assert looks == count
