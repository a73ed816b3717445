"""`ser probe`: what can be read linearly from each layer of a run's cache, and `probes.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from heads.analysis.leaderboard import notes
from heads.analysis.probe_targets import Target, make_targets
from heads.analysis.probes import probe_layers, steps_of
from heads.group_columns import group_of
from heads.labels import majority
from heads.pool import COLUMN
from heads.report.tables import percent, render_cells, wrapped
from heads.run_cache import listed, one_encoder, open_cache
from heads.vectors import utterance_vectors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from embedcache.utterance import Utterance
    from heads.results import Run

_NO_SPEAKER = (
    "the corpus does not name its speakers, and a probe is tested on speakers that it has not heard"
)
_NO_EMOTION = "the run has learned {}, and has no classes of emotions"
_CONSTANT = ("gender", "age", "corpus")
_OFF_CHANCE = 0.02  # of a shuffled control: what is worth a word
_SUBJECTS = {"age": "The age band", "corpus": "The corpus", "speaker": "The speaker"}


def probe(run: Run, kind: str = "mean", caches: Sequence[Path] = ()) -> tuple[dict[str, Any], str]:
    """Probe every layer of the cache that a run was trained on, with the clips that it has tested.

    Args:
        run: The run.
        kind: What vectors are: `mean` of the frames, or `mean-std`.
        caches: Where its caches are now; none for where the run says.

    Returns:
        The record for `probes.json`, and the same as tables for people.

    Raises:
        UsageError: The cache is not there or holds other frames, or its frames are of several
            checkpoints.
        SerError: It is damaged, or has lost frames.
    """
    reader = one_encoder(run, open_cache(run, caches))
    everyone = listed(run)
    known = [one for one in everyone if one.speaker is not None]
    speakers = [one.speaker for one in known if one.speaker is not None]
    targets, left_out = _targets(run, known, speakers)
    found: dict[str, dict[str, Any]] = {}
    layers = list(reader.meta.layers)
    if targets:
        steps = len(layers) * steps_of(targets)
        with tqdm(total=steps, desc="probing", delay=2, disable=None, leave=False) as bar:
            each = ((name, utterance_vectors(reader, known, [name], kind)[0]) for name in layers)
            found = probe_layers(each, speakers, targets, bar.update)
    remarks = notes(run.results)
    if len(known) < len(everyone):
        remarks.append(f"{len(everyone) - len(known)} clips without a speaker left out")
    record: dict[str, Any] = {
        "run_id": run.id,
        "cache_key": reader.meta.key,
        "notes": remarks,
        "vectors": kind,
        "layers": layers,
        "targets": found,
        "left_out": left_out,
    }
    untrained = run.results["cache"]["encoder"]["trained"] is False
    record["summary"] = summary(record, untrained)
    return record, render_probes(record)


def _targets(
    run: Run, known: Sequence[Utterance], speakers: Sequence[str]
) -> tuple[list[Target], dict[str, str]]:
    """What can be read of these utterances, and why the rest cannot."""
    columns: dict[str, list[str | None]] = {
        "gender": [one.gender for one in known],
        "age": [group_of(one, "age") for one in known],
        "corpus": [one.extra.get(COLUMN) for one in known],
    }
    left_out = {}
    if run.target == "emotion":
        emotions = _emotions(run)
        columns = {"emotion": [emotions.get(one.id) for one in known]} | columns
    else:
        left_out["emotion"] = _NO_EMOTION.format(", ".join(run.labels))
    if len(set(run.results["corpus"]["name"].split("+"))) < 2:
        del columns["corpus"]
        left_out["corpus"] = "one corpus"
    if not known:
        return [], dict.fromkeys([*columns, "speaker"], _NO_SPEAKER) | left_out
    targets, reasons = make_targets(columns, speakers, [u.sentence for u in known], run.labels)
    return targets, left_out | reasons


def _emotions(run: Run) -> dict[str, str]:
    """The class of each utterance whose votes are not tied."""
    table = run.predictions.drop_duplicates("id")
    codes = majority(table[[f"true_{label}" for label in run.labels]].to_numpy(float))
    ids = table["id"].tolist()
    return {name: run.labels[code] for name, code in zip(ids, codes, strict=True) if code >= 0}


def summary(record: Mapping[str, Any], untrained: bool) -> str:
    """What the numbers support, in sentences."""
    told = [_told(name, own) for name, own in record["targets"].items()]
    if not told:
        return "Nothing could be probed: " + "; ".join(
            f"{name}: {why}" for name, why in record["left_out"].items()
        )
    told += _off_chance(record["targets"])
    if any(name in record["targets"] for name in _CONSTANT):
        constant = [name for name in _CONSTANT if name in record["targets"]]
        told.append(
            f"What is the same in all clips of a speaker ({', '.join(constant)}) is taken out of "
            "the vectors with the speaker, so its probe after normalisation is at chance by "
            "construction."
        )
    if "speaker" in record["targets"]:
        told.append(
            "Normalisation takes its means from all of a speaker's clips, so that training clips "
            "point away from test clips, and the speaker is read below chance."
        )
    told.append(
        "A linear probe at chance does not show that the information is gone: it may be there in a "
        "form that no linear map reads."
    )
    if untrained:
        told.append(
            "The encoder is untrained: what is read here is what random weights let through of the "
            "audio."
        )
    return " ".join(told)


def _off_chance(targets: Mapping[str, Any]) -> list[str]:
    """Why controls that were shuffled over speakers are not at chance, where they are not."""
    names = []
    for name in _CONSTANT:
        own = targets.get(name, {"raw": []})
        if any(abs(row["shuffled"] - own["chance"]) >= _OFF_CHANCE for row in own["raw"]):
            names.append(name)
    if not names:
        return []
    few = " and ".join(sorted({str(targets[name]["speakers"]) for name in names}))
    return [
        f"Shuffled labels of {' and '.join(names)} lie off chance: all clips of a speaker take one "
        f"label, and {few} speakers are few, so the control scatters widely; and it tends below "
        "chance, for the speakers that a fold tests are missing from their class in training."
    ]


def _told(name: str, own: Mapping[str, Any]) -> str:
    """A target in a sentence: the best layer, those near it, and what normalising does."""
    rows, near = own["raw"], own["near_best"]["raw"]
    best = max(rows, key=lambda row: row["ua"])
    above = [row["layer"] for row in rows if row["ci95"] and row["ci95"][0] > own["chance"]]
    read = "can be read" if best["layer"] in above else "is not shown to be there"
    text = (
        f"{_SUBJECTS.get(name, name.capitalize())} {read}: UA {_with_interval(best)} per cent in "
        f"layer {best['layer']}, where chance is {percent(own['chance'])} and shuffled labels give "
        f"{percent(best['shuffled'])}"
    )
    if len(rows) > 1:
        others = [layer for layer in near if layer != best["layer"]]
        told = f"layers {', '.join(others)}" if others else "no other layer"
        text += (
            f"; that is the best layer, and {told} cannot be told apart from it; the interval lies "
            f"above chance in {len(above)} of {len(rows)} layers"
        )
    after = next(row for row in own["normalised"] if row["layer"] == best["layer"])
    return f"{text}. After speaker normalisation it is {_with_interval(after)}."


def _with_interval(row: Mapping[str, Any]) -> str:
    if row["ci95"] is None:
        return percent(row["ua"])
    return f"{percent(row['ua'])} ({' to '.join(map(percent, row['ci95']))})"


def render_probes(record: Mapping[str, Any]) -> str:
    """Tables for people: one for each target, one row for each layer."""
    remarks = "".join(f", {note}" for note in record["notes"])
    vectors = {"mean": "means", "mean-std": "means and deviations"}[record["vectors"]]
    parts = [
        f"{record['run_id']}{remarks}; linear probes of {vectors} over time, UA in per cent with "
        "95 % intervals over speakers"
    ]
    header = ["layer", "UA", "95 %", "shuffled", "normalised by speaker", "95 %", "shuffled"]
    for name, own in record["targets"].items():
        rows = [
            [raw["layer"], *_cells(raw), *_cells(normalised)]
            for raw, normalised in zip(own["raw"], own["normalised"], strict=True)
        ]
        table = render_cells(header, rows, markdown=False)
        caption = (
            f"{name}: {len(own['classes'])} classes, chance {percent(own['chance'])}; {own['n']} "
            f"clips of {own['speakers']} speakers, {own['protocol']}"
        )
        parts.append(f"{caption}{_left_out(own['left_out'])}\n{table}")
    parts += [f"{name}: left out, {why}" for name, why in record["left_out"].items()]
    return "\n\n".join([*parts, wrapped(record["summary"])])


def _cells(row: Mapping[str, Any]) -> list[str]:
    interval = " to ".join(map(percent, row["ci95"])) if row["ci95"] else "-"
    return [percent(row["ua"]), interval, percent(row["shuffled"])]


def _left_out(classes: Mapping[str, str]) -> str:
    """Classes that are not asked for, the first three by name."""
    if not classes:
        return ""
    first = [f"{label} ({why})" for label, why in list(classes.items())[:3]]
    more = f" and {len(classes) - 3} more" if len(classes) > 3 else ""
    return f"; without {', '.join(first)}{more}"
