"""Caches by the checkpoints of a protocol's folds, each of which remembers what it was trained on.

Their frames are noise; those of an utterance that the fold's encoder was trained on also say its
label, as a memory would. Nothing else does: on what an encoder has not heard a head is at chance.
"""

from __future__ import annotations

import numpy as np

from embedcache.seen import FoldOf, Seen, write_cache_record
from tests.heads.conftest import CORPUS, DIM, LABELS, save_cache

PROTOCOL = f"--corpus {CORPUS} --protocol speaker --folds 4 --seed 0"


def content_of(utterance):
    return f"content of {utterance.name}"


def seen_of(utterances, **more):
    """What an encoder has seen that was trained on these."""
    return Seen(
        corpora=(CORPUS,),
        speakers=tuple(sorted({u.speaker for u in utterances if u.speaker})),
        contents=tuple(sorted(content_of(u) for u in utterances)),
        base="random:tiny",
        pretrained=False,
        **more,
    )


def remembered(utterances, known, seed=0):
    """Frames [2, T, D] of all utterances, by name; the upper layer tells the label of the known."""
    rng = np.random.default_rng(seed)
    centers = 4 * np.eye(DIM)[: len(LABELS)]
    ids = {u.id for u in known}
    found = {}
    for one in utterances:
        frames = rng.standard_normal((2, int(rng.integers(3, 7)), DIM))
        if one.id in ids:
            frames[1] += centers[LABELS.index(one.label)]
        found[one.name] = frames.astype(np.float32)
    return found


def save_memory(folder, utterances, known, *, encoder, seen, frames=None, **changes):
    """The cache of an encoder that was trained on the known utterances; `seen` is what it tells."""
    frames = remembered(utterances, known) if frames is None else frames
    changes = {"family": "huggingface", "weights": encoder, "trained": True} | changes
    save_cache(folder, utterances, frames, encoder=encoder, **changes)
    write_cache_record(folder, seen)
    return folder


def save_folds(folder, utterances, folds, order=None, name="x", protocol=PROTOCOL):
    """One cache for each fold's checkpoint, in the order of folds.

    Args:
        folder: Where they go.
        utterances: All of them, views included.
        folds: Of the originals among them; a checkpoint is trained on what trains and validates.
        order: Which of the folds checkpoint k left untouched; its own where nothing is given.
        name: Of the set.
        protocol: The options that are told to make the same folds.
    """
    order = range(len(folds)) if order is None else order
    originals = [u for u in utterances if not u.view]
    paths = []
    for k, left in enumerate(order):
        own = [originals[i] for i in (*folds[left].train, *folds[left].val)]
        place = FoldOf(name=name, fold=k, count=len(folds), protocol=protocol)
        encoder = f"checkpoints/{name}/fold{k}"
        seen = seen_of(own, fold=place, source=encoder)
        frames = remembered(utterances, own, seed=k)
        path = folder / f"{name}-fold{k}-0"
        paths.append(save_memory(path, utterances, own, encoder=encoder, seen=seen, frames=frames))
    return paths
