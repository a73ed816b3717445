"""IEMOCAP: ten actors in improvised and scripted dialogues, judged by several annotators.

Read from the release's own folders: `Session<n>/dialog/EmoEvaluation/<dialog>.txt` names every
utterance, its code, its mean dimensions, and what each evaluator wrote; the audio lies in
`Session<n>/sentences/wav/<dialog>/<utterance>.wav`. The label is the release's own code, which is
the evaluators' majority or null. Votes are recounted from the evaluators' lines: one evaluator has
one vote, shared by the categories that he or she chose; what the actors said of themselves is kept
apart. The speaker is the session and the last field of the utterance's name: the letter after the
session number tells who wore motion-capture markers, not who speaks.

Counts per class and session: C. Busso et al. (2008), and EmoBox's list for four classes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from embedcache.corpora import (
    Example,
    audio_files,
    files_below,
    warn_of_left_out,
    warn_of_missing,
)
from embedcache.corpora._clips import preference
from embedcache.corpora._emoevaluation import (
    CODES,
    NAME,
    Block,
    read_blocks,
    read_lines,
    read_transcripts,
)
from embedcache.errors import SerError
from embedcache.utterance import Utterance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

LAYOUT = (
    "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt and "
    "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav, for sessions 1 to 5"
)
LABELS = (
    "angry",
    "frustrated",
    "happy",
    "excited",
    "sad",
    "neutral",
    "fear",
    "disgust",
    "surprise",
    "other",
)
LICENCE = "University of Southern California: on request, for research"
CITATION = (
    "C. Busso, M. Bulut, C.-C. Lee, A. Kazemzadeh, E. Mower, S. Kim, J. N. Chang, S. Lee, S. S. "
    "Narayanan (2008), IEMOCAP: interactive emotional dyadic motion capture database, Language "
    "Resources and Evaluation 42, 335-359"
)
# Leave one session out: two speakers, who appear in no other session.
OFFICIAL_FOLDS = (("1F", "1M"), ("2F", "2M"), ("3F", "3M"), ("4F", "4M"), ("5F", "5M"))
LABEL_SETS = {
    "iemocap-4": {
        "version": 1,
        "classes": {
            "angry": "angry",
            "happy": "happy",
            "excited": "happy",
            "sad": "sad",
            "neutral": "neutral",
        },
    },
    "iemocap-5": {
        "version": 1,
        "classes": {
            "angry": "angry",
            "frustrated": "frustrated",
            "happy": "happy",
            "excited": "happy",
            "sad": "sad",
            "neutral": "neutral",
        },
    },
    "iemocap-9": {
        "version": 1,
        "classes": {
            "angry": "angry",
            "frustrated": "frustrated",
            "happy": "happy",
            "excited": "excited",
            "sad": "sad",
            "neutral": "neutral",
            "fear": "fear",
            "disgust": "disgust",
            "surprise": "surprise",
        },
    },
}
SESSIONS = {"1": 1819, "2": 1811, "3": 2136, "4": 2103, "5": 2170}
CLASSES = {
    "angry": 1103,
    "frustrated": 1849,
    "happy": 595,
    "excited": 1041,
    "sad": 1084,
    "neutral": 1708,
    "fear": 40,
    "disgust": 2,
    "surprise": 107,
    "other": 3,
    "no majority": 2507,
}
_EVALUATION = "Session2/dialog/EmoEvaluation"
_WAV = "Session2/sentences/wav/Ses02F_impro09"
EXAMPLE = Example(
    audio=(f"{_WAV}/Ses02F_impro09_M000.wav", f"{_WAV}/Ses02F_impro09_F000.wav"),
    text={
        f"{_EVALUATION}/Ses02F_impro09.txt": (
            "% [START_TIME - END_TIME] TURNNAME EMOTION [V, A, D]\n\n"
            "[3.1000 - 5.4750]\tSes02F_impro09_M000\tfru\t[2.5000, 4.0000, 3.5000]\n"
            "C-E1:\tFrustration;\t()\n"
            "C-E2:\tAnger; Frustration;\t()\n"
            "C-E4:\tFrustration;\t(tired of waiting; not shouting)\n"
            "C-M1:\tAnger;\t()\n"
            "A-E1:\tval 2; act 4; dom  4;\t()\n"
            "A-E2:\tval 3; act 4; dom  3;\t(flat, then louder)\n"
            "A-M1:\tval 1; act 5; dom  ;\t()\n\n"
            "[6.0200 - 7.9000]\tSes02F_impro09_F000\txxx\t[3.0000, 2.5000, 3.0000]\n"
            "C-E1:\tNeutral;\t()\n"
            "C-E2:\tOther;\t(puzzled)\n"
            "C-E4:\tSurprise;\t()\n"
            "C-F1:\tNeutral;\t()\n"
            "A-E1:\tval 3; act 2; dom  3;\t()\n"
            "A-F1:\tval 3; act 2; dom  2;\t()\n\n"
        ),
        "Session2/dialog/transcriptions/Ses02F_impro09.txt": (
            "Ses02F_impro09_M000 [003.1000-005.4750]: How long is that going to take?\nM: Well.\n"
        ),
        f"{_EVALUATION}/Self-evaluation/Ses02F_impro09_f.txt": "Ses02F_impro09_F000 :Neutral; ()\n",
    },
    expected={
        "Ses02F_impro09_M000": {
            "path": f"{_WAV}/Ses02F_impro09_M000.wav",
            "speaker": "2M",
            "gender": "male",
            "session": "2",
            "language": "en",
            "text": "How long is that going to take?",
            "label": "frustrated",
            "votes": {"angry": 0.5, "frustrated": 2.5},
            "self_votes": {"angry": 1.0},
            "dimensions": {"valence": 2.5, "arousal": 4.0, "dominance": 3.5},
            "extra": {
                "dialog": "Ses02F_impro09",
                "scenario": "improvised",
                "start_in_dialog_s": "3.1000",
                "end_in_dialog_s": "5.4750",
                "annotations": "E1=frustrated; E2=angry+frustrated; E4=frustrated; M1=angry",
                "self_valence": "1",
                "self_arousal": "5",
            },
        },
        "Ses02F_impro09_F000": {
            "speaker": "2F",
            "gender": "female",
            "label": None,
            "votes": {"neutral": 1.0, "other": 1.0, "surprise": 1.0},
            "self_votes": {"neutral": 1.0},
            "dimensions": {"valence": 3.0, "arousal": 2.5, "dominance": 3.0},
        },
    },
)


def parse(root: Path) -> list[Utterance]:
    """Every utterance that is annotated and whose audio is there, dialogue by dialogue.

    Raises:
        SerError: A summary line does not follow the grammar, annotations contradict each other, or
            annotations and audio have no utterance in common.
    """
    texts = files_below(root, frozenset({".txt"}))
    blocks = _read_annotations(_dialogues(root, texts, "emoevaluation"), root)
    said = read_transcripts(_dialogues(root, texts, "transcriptions"))
    audio = _find_audio(root)
    found = [
        replace(_utterance(block, audio[name]), text=said.get(name))
        for name, block in blocks.items()
        if name in audio
    ]
    if not found:
        if blocks or audio:
            raise _nothing_in_common(root, len(blocks), len(audio))
        return []
    silent = [block.name.string for name, block in blocks.items() if name not in audio]
    warn_of_left_out("iemocap", "annotated utterances without an audio file", silent)
    unknown = sorted(path.stem for name, path in audio.items() if name not in blocks)
    warn_of_left_out("iemocap", "audio files without an annotation", unknown)
    sessions = {f"session {session}": count for session, count in SESSIONS.items()}
    warn_of_missing("iemocap", (f"session {u.session}" for u in found), sessions)
    warn_of_missing("iemocap", (u.label or "no majority" for u in found), CLASSES)
    return found


def _nothing_in_common(root: Path, annotated: int, audible: int) -> SerError:
    if not audible:
        what = f"{annotated} utterances are annotated, and none of their audio files is there"
    elif not annotated:
        what = f"{audible} audio files of utterances are there, and no annotation of any"
    else:
        what = (
            f"{annotated} utterances are annotated, and the {audible} audio files there are those "
            "of others"
        )
    return SerError(f"{root}: {what}; iemocap looks for {LAYOUT}")


def describe(path: Path) -> Utterance | None:
    """What an utterance's name tells: session, speaker, improvised or scripted."""
    match = NAME.fullmatch(path.stem)
    return _by_name(match, path) if match else None


def _by_name(match: re.Match[str], path: Path) -> Utterance:
    name, who = match.string, match["who"].upper()
    return Utterance(
        id=name,
        path=path,
        speaker=f"{match['session']}{who}",
        gender="female" if who == "F" else "male",
        session=match["session"],
        language="en",
        extra={
            "dialog": name.rpartition("_")[0],
            "scenario": "improvised" if match["part"].lower() == "impro" else "scripted",
        },
    )


def _utterance(block: Block, path: Path) -> Utterance:
    summary = block.summary
    told = _by_name(block.name, path)
    extra = {
        **told.extra,
        "start_in_dialog_s": summary["start"],
        "end_in_dialog_s": summary["end"],
        "annotations": "; ".join(block.raters),
        **block.self_dimensions,
    }
    return replace(
        told,
        label=CODES[summary["code"]],
        votes=block.votes,
        self_votes=block.self_votes,
        dimensions=block.dimensions,
        extra=extra,
    )


def _find_audio(root: Path) -> dict[str, Path]:
    """The audio file of each utterance, by its name in lower case."""
    by_name: dict[str, list[Path]] = {}
    for path in audio_files(root):
        if NAME.fullmatch(path.stem):
            by_name.setdefault(path.stem.lower(), []).append(path)
    best = {name: min(paths, key=preference) for name, paths in by_name.items()}
    copies = [path for name, paths in by_name.items() for path in paths if path != best[name]]
    names = [path.relative_to(root).as_posix() for path in copies]
    warn_of_left_out("iemocap", "copies of audio files that are read", names)
    return best


def _dialogues(root: Path, texts: Iterable[Path], folder: str) -> dict[Path, list[str]]:
    """The lines of each text file of the folders `EmoEvaluation` or `transcriptions`.

    Folders below these hold each evaluator's own lists, in another grammar.

    Raises:
        SerError: Two files of one dialogue differ.
    """
    first: dict[str, Path] = {}
    read: dict[Path, list[str]] = {}
    copies = []
    for path in texts:
        if path.parent.name.lower() != folder:
            continue
        lines = read_lines(path)
        twin = first.setdefault(path.stem.lower(), path)
        if twin == path:
            read[path] = lines
        elif read[twin] == lines:
            copies.append(path.relative_to(root).as_posix())
        else:
            raise SerError(
                f"{twin} and {path} are of one dialogue and differ; keep the right one of them"
            )
    warn_of_left_out("iemocap", "annotation texts that are equal to others", copies)
    return read


def _read_annotations(texts: Mapping[Path, Sequence[str]], root: Path) -> dict[str, Block]:
    """The annotations of each utterance, by its name in lower case.

    Raises:
        SerError: A summary line does not follow the grammar, or two call an utterance differently.
    """
    found: dict[str, Block] = {}
    twins, empty = [], []
    for path, lines in texts.items():
        blocks = read_blocks(path, lines)
        if not blocks:
            empty.append(path.relative_to(root).as_posix())
        for block in blocks:
            first = found.setdefault(block.name.string.lower(), block)
            if first is block:
                continue
            if first.summary["code"] != block.summary["code"]:
                raise SerError(
                    f"{first.path} line {first.line} and {block.path} line {block.line} are both "
                    f"of '{block.name.string}' and differ: {first.summary['code']} and "
                    f"{block.summary['code']}; keep the right one of them"
                )
            twins.append(f"{block.name.string} ({block.path.name} line {block.line})")
    what = "annotations of utterances that have one with the same code before"
    warn_of_left_out("iemocap", what, twins)
    what = "annotation texts that hold no summary line in UTF-8"
    warn_of_left_out("iemocap", what, empty)
    return found
