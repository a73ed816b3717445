"""What every corpus plug-in must satisfy, run over every plug-in found."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from embedcache.corpora import Corpus, label_order, label_sets, load_corpus, parse, read_corpus
from embedcache.errors import SerError, UsageError
from embedcache.plugins import plugins
from embedcache.utterance import Utterance

CORPORA = sorted(plugins("embedcache.corpora"))


@pytest.fixture(params=CORPORA)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def corpus(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Corpus:
    module = load_corpus(name)
    if needs := getattr(module, "NEEDS", None):
        library = pytest.importorskip(needs)
        if needs == "datasets":
            monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    return module


@pytest.fixture
def full_name(name: str, corpus: Corpus) -> str:
    """As it is typed: some corpora need a name after the colon."""
    return f"{name}:{corpus.EXAMPLE.name}" if corpus.EXAMPLE.name else name


@pytest.fixture
def root(corpus: Corpus, tmp_path: Path) -> Path:
    """The plug-in's own example as a tree of files."""
    return build(corpus, tmp_path / "root")


def build(corpus: Corpus, root: Path) -> Path:
    example = corpus.EXAMPLE
    for path, text in example.text.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    for path in (*example.audio, *example.ignored):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        form = {".wav": "WAV", ".flac": "FLAC"}[Path(path).suffix.lower()]
        soundfile.write(root / path, [0.0, 0.1] * 8000, 16_000, format=form)
    write_example = getattr(corpus, "write_example", None)
    if write_example:
        write_example(root)
    return root


@pytest.fixture
def found(corpus: Corpus, full_name: str, root: Path) -> list[Utterance]:
    return parse(corpus, full_name, root)


def test_the_example_is_found_whole_and_nothing_else(
    corpus: Corpus, found: list[Utterance]
) -> None:
    assert {u.id for u in found} == set(corpus.EXAMPLE.expected)


def test_the_example_fills_the_expected_fields(
    corpus: Corpus, found: list[Utterance], root: Path
) -> None:
    by_id = {u.id: u for u in found}
    for name, fields in corpus.EXAMPLE.expected.items():
        for field, value in fields.items():
            wanted = root / str(value) if field == "path" else value
            assert getattr(by_id[name], field) == wanted, (name, field)


def test_labels_are_those_that_it_declares(corpus: Corpus, found: list[Utterance]) -> None:
    if corpus.LABELS:
        assert {u.label for u in found} <= {*corpus.LABELS, None}
        assert {label for u in found for label in u.votes} <= set(corpus.LABELS)


def test_licence_citation_and_layout_are_stated(corpus: Corpus) -> None:
    assert corpus.LICENCE and corpus.CITATION and corpus.LAYOUT


def test_parsing_twice_gives_the_same_in_the_same_order(
    corpus: Corpus, full_name: str, found: list[Utterance], root: Path
) -> None:
    assert parse(corpus, full_name, root) == found


def test_an_empty_folder_says_what_was_looked_for(full_name: str, tmp_path: Path) -> None:
    with pytest.raises(SerError, match=r"looks for|annotations\.csv is missing"):
        read_corpus(full_name, tmp_path)


def test_a_missing_root_says_what_was_looked_for(full_name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist.*looks for"):
        read_corpus(full_name, tmp_path / "nowhere")


def test_speakers_carry_the_corpus_name(name: str, full_name: str, root: Path) -> None:
    own = full_name.partition(":")[2] or name
    prefix = getattr(load_corpus(full_name), "SPEAKERS_OF", own)
    for utterance in read_corpus(full_name, root):
        assert utterance.speaker is None or utterance.speaker.startswith(f"{prefix}/")


def require_known_layout(name: str) -> None:
    if name in ("folder", "manifest", "synthetic", "audformat", "huggingface"):
        pytest.skip("the layout below the root is the user's own word")


def test_archives_unpacked_one_level_deeper_are_found(
    name: str, full_name: str, corpus: Corpus, tmp_path: Path
) -> None:
    require_known_layout(name)
    build(corpus, tmp_path / "outer" / "inner")
    found = read_corpus(full_name, tmp_path / "outer")
    assert {u.id for u in found} == set(corpus.EXAMPLE.expected)


def require_grammar(corpus: Corpus) -> None:
    if not hasattr(corpus, "clips_by_name"):
        pytest.skip("its clips are not told by their names")


def test_a_corpus_that_is_there_twice_is_read_once(
    full_name: str, corpus: Corpus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    require_grammar(corpus)
    for folder in ("once", "twice/again"):
        build(corpus, tmp_path / folder)
    found = read_corpus(full_name, tmp_path)
    assert {u.id for u in found} == set(corpus.EXAMPLE.expected)
    assert all(u.path.is_relative_to(tmp_path / "once") for u in found)
    assert f"left out: {len(corpus.EXAMPLE.audio)} copies of clips that are read" in caplog.text


def test_audio_that_the_grammar_leaves_out_is_counted(
    full_name: str, corpus: Corpus, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    require_grammar(corpus)
    caplog.set_level("INFO")
    read_corpus(full_name, root)
    counts = re.findall(r"left out: (\d+)", caplog.text)
    assert sum(map(int, counts)) == len(corpus.EXAMPLE.ignored)


@pytest.mark.parametrize("suffix", [".flac", ".WAV"])
def test_audio_of_another_suffix_is_found(
    name: str, full_name: str, corpus: Corpus, root: Path, suffix: str
) -> None:
    require_known_layout(name)
    for path in corpus.EXAMPLE.audio:
        (root / path).rename((root / path).with_suffix(suffix))
    found = read_corpus(full_name, root)
    assert {u.id for u in found} == set(corpus.EXAMPLE.expected)
    assert all(u.path.is_file() for u in found)


@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_names_in_upper_or_lower_case_are_found(
    name: str, full_name: str, corpus: Corpus, tmp_path: Path, case: Callable[[str], str]
) -> None:
    require_known_layout(name)
    root = build(corpus, tmp_path / "root")
    before = parse(corpus, full_name, root)
    for path in corpus.EXAMPLE.audio:
        cased = root / case(path)
        cased.parent.mkdir(parents=True, exist_ok=True)
        (root / path).rename(cased)

    def told(utterances: list[Utterance]) -> list[tuple[str, ...]]:
        return sorted(
            (str(u.speaker).lower(), str(u.gender), str(u.label), str(u.sentence).lower())
            for u in utterances
        )

    assert told(parse(corpus, full_name, root)) == told(before)


def test_a_symbolic_link_to_the_corpus_is_followed(
    full_name: str, corpus: Corpus, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    assert len(read_corpus(full_name, tmp_path / "link")) == len(corpus.EXAMPLE.expected)


def test_appledouble_leftovers_are_ignored(full_name: str, corpus: Corpus, root: Path) -> None:
    for path in corpus.EXAMPLE.audio:
        (root / path).with_name(f"._{Path(path).name}").write_bytes(b"\x00\x05\x16\x07")
    for path in corpus.EXAMPLE.text:
        (root / path).with_name(f"._{Path(path).name}").write_bytes(b"\x00\x05\x16\x07")
    assert len(read_corpus(full_name, root)) == len(corpus.EXAMPLE.expected)


def test_folds_have_roles_and_official_folds_share_no_speaker(
    corpus: Corpus, full_name: str, root: Path
) -> None:
    for utterance in read_corpus(full_name, root):
        assert set(utterance.folds.values()) <= {"train", "val", "test"}
    speakers = [speaker for fold in getattr(corpus, "OFFICIAL_FOLDS", ()) for speaker in fold]
    assert len(speakers) == len(set(speakers))


def test_label_order_is_the_plugins(full_name: str, corpus: Corpus) -> None:
    assert label_order(full_name) == tuple(corpus.LABELS)


def test_label_sets_have_a_version_and_classes_of_known_labels(
    full_name: str, corpus: Corpus
) -> None:
    for label_set in label_sets(full_name).values():
        assert label_set["version"] >= 1
        assert set(label_set["classes"]) <= set(corpus.LABELS)
        assert len(set(label_set["classes"].values())) >= 2


def test_a_grammar_describes_what_the_parser_finds(
    corpus: Corpus, full_name: str, found: list[Utterance]
) -> None:
    describe = getattr(corpus, "describe", None)
    for utterance in found if describe else ():
        told = describe(utterance.path)
        assert told.speaker == utterance.speaker
        assert told.gender in (None, utterance.gender)  # a table may tell it


def test_utterances_survive_json(found: list[Utterance]) -> None:
    for utterance in found:
        assert Utterance.from_json(utterance.to_json()) == utterance
