"""What every corpus plug-in must satisfy, run over every plug-in found."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from embedcache.corpora import Corpus, label_order, load_corpus, official_folds, read_corpus
from embedcache.plugins import plugins
from embedcache.utterance import Utterance

CORPORA = sorted(plugins("embedcache.corpora"))


@pytest.fixture(params=CORPORA)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def corpus(name: str) -> Corpus:
    return load_corpus(name)


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
    return root


def test_the_example_is_found_whole_and_nothing_else(corpus: Corpus, root: Path) -> None:
    assert {u.id for u in corpus.parse(root)} == set(corpus.EXAMPLE.expected)


def test_the_example_fills_the_expected_fields(corpus: Corpus, root: Path) -> None:
    found = {u.id: u for u in corpus.parse(root)}
    for name, fields in corpus.EXAMPLE.expected.items():
        for field, value in fields.items():
            wanted = root / str(value) if field == "path" else value
            assert getattr(found[name], field) == wanted, (name, field)


def test_labels_are_those_that_it_declares(corpus: Corpus, root: Path) -> None:
    if corpus.LABELS:
        assert {u.label for u in corpus.parse(root)} <= {*corpus.LABELS, None}


def test_licence_citation_and_layout_are_stated(corpus: Corpus) -> None:
    assert corpus.LICENCE and corpus.CITATION and corpus.LAYOUT


def test_parsing_twice_gives_the_same_in_the_same_order(corpus: Corpus, root: Path) -> None:
    assert corpus.parse(root) == corpus.parse(root)


def test_an_empty_folder_says_what_was_looked_for(name: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"looks for|annotations\.csv"):
        read_corpus(name, tmp_path)


def test_a_missing_root_says_what_was_looked_for(name: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="does not exist.*looks for"):
        read_corpus(name, tmp_path / "nowhere")


def test_speakers_carry_the_corpus_name(name: str, root: Path) -> None:
    for utterance in read_corpus(name, root):
        assert utterance.speaker is None or utterance.speaker.startswith(f"{name}/")


def test_archives_unpacked_one_level_deeper_are_found(
    name: str, corpus: Corpus, tmp_path: Path
) -> None:
    if name in ("folder", "manifest", "synthetic"):
        pytest.skip("the layout below the root is the user's own word")
    build(corpus, tmp_path / "outer" / "inner")
    assert {u.id for u in read_corpus(name, tmp_path / "outer")} == set(corpus.EXAMPLE.expected)


def test_a_symbolic_link_to_the_corpus_is_followed(
    name: str, corpus: Corpus, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    assert len(read_corpus(name, tmp_path / "link")) == len(corpus.EXAMPLE.expected)


def test_appledouble_leftovers_are_ignored(name: str, corpus: Corpus, root: Path) -> None:
    for path in corpus.EXAMPLE.audio:
        (root / path).with_name(f"._{Path(path).name}").write_bytes(b"\x00\x05\x16\x07")
    assert len(read_corpus(name, root)) == len(corpus.EXAMPLE.expected)


def test_official_folds_share_no_speaker_and_bear_the_corpus_name(name: str) -> None:
    folds = official_folds(name)
    speakers = [speaker for fold in folds for speaker in fold]
    assert len(speakers) == len(set(speakers))
    assert all(speaker.startswith(f"{name}/") for speaker in speakers)


def test_label_order_is_the_plugins(name: str, corpus: Corpus) -> None:
    assert label_order(name) == tuple(corpus.LABELS)


def test_utterances_survive_json(corpus: Corpus, root: Path) -> None:
    for utterance in corpus.parse(root):
        assert Utterance.from_json(utterance.to_json()) == utterance
