"""Tables that are split, and what a protocol keeps apart in them."""

from __future__ import annotations

import re

from hypothesis import reject, settings
from hypothesis import strategies as st

from embedcache.errors import UsageError
from heads.splits import SplitTable, split

varied = settings(deadline=None, max_examples=80)
OPEN = ("random", "sentence", "speaker")  # those that leave the number of folds open
SPLITTABLE = (*OPEN, "session")
# What a protocol keeps apart: a column, and whether it does so between training and validation too.
APART = {
    "speaker": [("speakers", True)],
    "session": [("sessions", False), ("speakers", True)],
    "official": [("speakers", True)],  # as the published folds of these tables do
    "sentence": [("sentences", True)],
    "cross-corpus": [("corpora", False), ("speakers", True)],
    "random": [],
}
CANNOT = r"that it does not test|--folds|and it takes 3"


@st.composite
def tables(draw):
    """Clips of speakers in unequal numbers; sessions and corpora have speakers of their own."""
    speakers = draw(st.integers(4, 9))
    clips = draw(st.lists(st.integers(1, 8), min_size=speakers, max_size=speakers))
    names = [f"s{s}" for s, count in enumerate(clips) for _ in range(count)]
    strata = draw(
        st.lists(st.sampled_from(("sad", "happy", "calm")), min_size=len(names),
                 max_size=len(names))
    )  # fmt: skip
    order = draw(st.permutations(range(len(names))))
    shuffled = [names[i] for i in order]
    return SplitTable(
        strata=strata,
        speakers=shuffled,
        sessions=[f"session{int(name[1:]) % 3}" for name in shuffled],
        sentences=draw(
            st.lists(st.sampled_from("abcde"), min_size=len(names), max_size=len(names))
        ),
        corpora=[f"corpus{int(name[1:]) % 2}" for name in shuffled],
        official=[
            {str(f): "test" if int(name[1:]) % 4 == f else "train" for f in range(4)}
            for name in shuffled
        ],
    )


def speaker_folds(speakers, *tests):
    """Roles of utterances in folds that are told by their test speakers."""
    return [
        {str(n): "test" if speaker in test else "train" for n, test in enumerate(tests, start=1)}
        for speaker in speakers
    ]


def ravdess_like():
    """24 actors, half of them women, 8 emotions, 60 clips each."""
    clips = [(actor, clip % 8) for actor in range(24) for clip in range(60)]
    return SplitTable(
        strata=[f"{emotion}|{actor % 2}" for actor, emotion in clips],
        speakers=[f"a{actor}" for actor, _ in clips],
        sessions=[None] * len(clips),
    )


def small(**changes):
    parts = {"strata": ["x"] * 4, "speakers": list("aabb"), "sessions": list("1122")}
    return SplitTable(**parts | changes)


def try_split(protocol, table, folds, seed, shares=None):
    """Folds, as many as are asked for where a protocol leaves that open."""
    try:
        return split(protocol, table, folds if protocol in OPEN else None, seed, shares)
    except UsageError as error:
        assert re.search(CANNOT, str(error)), error
        reject()


def values(table, column, part):
    return {getattr(table, column)[i] for i in part}


def require_apart(protocol, fold, table):
    """Parts share nothing that the protocol keeps apart."""
    for column, held_out in APART[protocol]:
        train, val, test = (values(table, column, p) for p in (fold.train, fold.val, fold.test))
        assert not test & (train | val), column
        assert not held_out or not train & val, column
