"""What is said: vowels, consonants, and syllables made of them."""

from __future__ import annotations

from dataclasses import dataclass

from embedcache.errors import unknown_name
from embedcache.synthesis.frication import Frication

# F1, F2, F3 in Hz: averages over 33 men, Peterson and Barney (1952), JASA 24, table II.
VOWELS = {
    "iy": (270.0, 2290.0, 3010.0),
    "ih": (390.0, 1990.0, 2550.0),
    "eh": (530.0, 1840.0, 2480.0),
    "ae": (660.0, 1720.0, 2410.0),
    "aa": (730.0, 1090.0, 2440.0),
    "ao": (570.0, 840.0, 2410.0),
    "uh": (440.0, 1020.0, 2240.0),
    "uw": (300.0, 870.0, 2240.0),
    "ah": (640.0, 1190.0, 2390.0),
}


@dataclass(frozen=True, slots=True)
class Consonant:
    """A consonant before its vowel: a closure, perhaps noise, and the formants' way to the vowel.

    Attributes:
        f2_locus_hz: Where F2 points to: labial 720, alveolar 1800, velar 3000 Hz (Delattre,
            Liberman and Cooper 1955, JASA 27).
        closure_share: Share of the syllable for which the mouth is closed.
        murmur: Amplitude of voicing meanwhile, relative to a vowel's.
        frication: The noise after the closure; None for none.
    """

    f2_locus_hz: float
    closure_share: float
    murmur: float = 0.0
    frication: Frication | None = None


# Peaks of the fricatives: Jongman, Wayland and Wong (2000), JASA 108 (s 6839, sh 3820, f 7733 Hz,
# the last one almost flat). Bursts: Stevens and Blumstein (1978), JASA 64 (labial low, alveolar
# high, velar compact in the middle).
CONSONANTS = {
    "": Consonant(1500.0, 0.03),
    "p": Consonant(720.0, 0.26, frication=Frication(0.08, 900.0, octaves=1.2, level_db=-15.0)),
    "t": Consonant(1800.0, 0.24, frication=Frication(0.1, 4200.0, octaves=0.6, level_db=-13.0)),
    "k": Consonant(3000.0, 0.24, frication=Frication(0.12, 1900.0, octaves=0.4, level_db=-13.0)),
    "s": Consonant(1800.0, 0.02, frication=Frication(0.36, 6839.0, octaves=0.3, level_db=-14.0)),
    "sh": Consonant(1900.0, 0.02, frication=Frication(0.36, 3820.0, octaves=0.4, level_db=-12.0)),
    "f": Consonant(720.0, 0.02, frication=Frication(0.32, 6500.0, octaves=1.2, level_db=-20.0)),
    "m": Consonant(720.0, 0.28, murmur=0.35),
    "n": Consonant(1800.0, 0.26, murmur=0.35),
    "l": Consonant(1100.0, 0.2, murmur=0.55),
}


@dataclass(frozen=True, slots=True)
class Syllable:
    """A consonant and a vowel.

    Attributes:
        onset: A name in `CONSONANTS`; empty for none.
        vowel: A name in `VOWELS`.
        stress: 0 to 1: how much higher, longer and louder it is than its neighbours.
        pause: Silence before it, in average syllable lengths.

    Raises:
        UsageError: There is no such consonant or vowel.
    """

    onset: str
    vowel: str
    stress: float = 0.5
    pause: float = 0.0

    def __post_init__(self) -> None:
        if self.onset not in CONSONANTS:
            raise unknown_name("consonant", self.onset, filter(None, CONSONANTS))
        if self.vowel not in VOWELS:
            raise unknown_name("vowel", self.vowel, VOWELS)

    @property
    def consonant(self) -> Consonant:
        """The onset's sound."""
        return CONSONANTS[self.onset]


def read_syllables(transcript: str) -> list[Syllable]:
    """Syllables from their transcript: `k-ao` has an onset and a vowel, `*` is stress, `,` a pause.

    >>> [(s.onset, s.vowel, s.stress, s.pause) for s in read_syllables("n-uh , k-ao*")]
    [('n', 'uh', 0.3, 0.0), ('k', 'ao', 1.0, 0.5)]
    """
    syllables = []
    pause = 0.0
    for mark in transcript.split():
        if mark == ",":
            pause = 0.5
        else:
            onset, vowel = mark.rstrip("*").split("-")
            syllables.append(Syllable(onset, vowel, 1.0 if mark.endswith("*") else 0.3, pause))
            pause = 0.0
    return syllables
