"""The utterance: one clip of audio and all that its corpus knows about it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One clip of speech, as a corpus plug-in describes it.

    Attributes:
        id: The corpus's own clip name, or the relative path without suffix; unique in the corpus.
        path: The audio file.
        start_s: Where the clip begins in the file, in seconds.
        end_s: Where it ends, in seconds; None is the end of the file.
        speaker: Unique across corpora, such as `ravdess/01`.
        gender: `female`, `male`, or the corpus's own word.
        age: In years.
        session: Recording session, where the corpus has them.
        language: ISO 639-1 code.
        sentence: Code of the sentence that was read, where clips share sentences.
        text: What was said.
        label: The emotion, in the corpus plug-in's words; None where annotators have no majority.
        votes: Number of annotators' votes per emotion; fractions where one annotator chose several.
        self_votes: The same, given by the speakers themselves.
        dimensions: Values for valence, arousal, dominance.
        folds: The utterance's role in each of the corpus's published folds: `train`, `val` or
            `test` by the fold's name.
        view: Empty for the original audio, else the name of an augmentation.
        extra: Any further column, as text.
    """

    id: str
    path: Path
    start_s: float = 0.0
    end_s: float | None = None
    speaker: str | None = None
    gender: str | None = None
    age: float | None = None
    session: str | None = None
    language: str | None = None
    sentence: str | None = None
    text: str | None = None
    label: str | None = None
    votes: dict[str, float] = field(default_factory=dict)
    self_votes: dict[str, float] = field(default_factory=dict)
    dimensions: dict[str, float] = field(default_factory=dict)
    folds: dict[str, str] = field(default_factory=dict)
    view: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Its id and its view, which together are unique in a corpus."""
        return self.id, self.view

    @property
    def name(self) -> str:
        """What a message calls it: the id, and the view where it is one.

        >>> Utterance(id="a", path=Path("a.wav"), view="speed=0.9").name
        'a (speed=0.9)'
        """
        return f"{self.id} ({self.view})" if self.view else self.id

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values, in the order in which they are declared."""
        record = {f.name: getattr(self, f.name) for f in fields(self)}
        record["path"] = str(self.path)
        return record

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Utterance:
        """The inverse of `to_json`; keys that are no fields (`content_id`) are left out.

        >>> import json
        >>> clip = Utterance(id="a", path=Path("a.wav"), votes={"happy": 3})
        >>> Utterance.from_json(json.loads(json.dumps(clip.to_json()))) == clip
        True
        """
        known = {f.name: record[f.name] for f in fields(cls) if f.name in record}
        return cls(**{**known, "path": Path(known["path"])})
