"""The leaderboard: one row per run, and beside each number what it must be read with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from embedcache.errors import unknown_name
from heads.dimensional_metrics import DIMENSIONAL_METRICS
from heads.dimensions import DIMENSIONS
from heads.metrics import METRICS
from heads.results import target_of
from heads.soft_metrics import SOFT_METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN = {
    "emotion": (*METRICS, *SOFT_METRICS, "ece_scaled"),
    "dimensions": (
        *DIMENSIONAL_METRICS,
        *(f"{metric}_{name}" for metric in DIMENSIONAL_METRICS for name in DIMENSIONS),
    ),
}
LOWER_IS_BETTER = frozenset({"kl", "ece", "ece_scaled", "js", "brier", "rmse"}) | {
    f"rmse_{name}" for name in DIMENSIONS
}
# Of `training`, what other columns say, or what follows from them.
_SAID = ("target", "tried", "views", "standardise", "smoothing", "labels", "label_set",
         "label_set_version", "votes", "rename", "drop", "min_agreement", "ties")  # fmt: skip
_UNKNOWN = dict.fromkeys(("mean", "std_seeds", "std_folds", "ci95"))  # of an earlier version


def leaderboard(results: Sequence[Mapping[str, Any]], metric: str) -> pd.DataFrame:
    """Runs, best first by the mean of a metric; runs without it stand last.

    Args:
        results: `results.json` of each run, all with the same target.
        metric: One of that target's in `SHOWN`.

    Returns:
        Columns run, created, corpus, encoder, head, labels, protocol, folds, seeds; for each metric
        its name, `<metric>_std_seeds`, `<metric>_std_folds`, `<metric>_ci95_low` and `_high`, as
        fractions; of emotions `f1_<label>`; speaker_overlap, speakers (those that are tested),
        parameters, train_s, notes; settings: what differs in how runs were trained that else look
        alike.

    Raises:
        UsageError: There is no such metric.
    """
    known = SHOWN[target_of(results[0])] if results else SHOWN["emotion"]
    if metric not in known:
        raise unknown_name("metric", metric, known)
    table = pd.DataFrame([_row(result) for result in results])
    if table.empty:
        return table
    table["settings"] = _telling_apart(results, table)
    return table.sort_values(
        [metric, "run"], ascending=[metric in LOWER_IS_BETTER, True], na_position="last",
        ignore_index=True,
    )  # fmt: skip


def notes(result: Mapping[str, Any]) -> list[str]:
    """What a reader must know before believing a run's numbers."""
    corpus, training = result["corpus"], result["training"]
    cache, protocol = result["cache"], result["protocol"]
    overlap = protocol["speaker_overlap"]
    seen = cache["encoder"].get("seen") or {}
    ties, missing = corpus.get("majority_ties"), corpus.get("missing")
    found = {
        "synthetic corpus": corpus.get("synthetic"),
        "untrained encoder": cache["encoder"]["trained"] is False,
        "encoder not pretrained": seen.get("pretrained") is False,
        "the encoder's training data are not known": seen.get("complete") is False,
        "speakers unknown": overlap is None,
        "speakers shared": overlap,
        "recordings shared": protocol.get("content_overlap"),
        contaminated(protocol): protocol.get("contamination"),
        f"{ties} ties not scored": ties,
        f"missing: {missing} utterances": missing,
        f"audio: {' + '.join(cache.get('conditioning', []))}": cache.get("conditioning"),
        f"trained on views {' + '.join(training.get('views', []))}": training.get("views"),
        f"targets smoothed {training.get('smoothing', 0):g}": training.get("smoothing"),
        "speakers' own statistics": training.get("standardise") == "speaker",
        f"balanced by {training.get('balance')}": training.get("balance"),
        f"ambiguous clips: {training.get('ambiguous')}": training.get("ambiguous"),
        f"chosen by the worst {training.get('worst_group')}": training.get("worst_group"),
        f"{len(result.get('failed_folds', []))} folds diverged": result.get("failed_folds"),
    }
    return [note for note, holds in found.items() if holds]


def contaminated(protocol: Mapping[str, Any]) -> str:
    """What of the test parts the encoder was trained on, in words."""
    found = protocol.get("contamination") or {}
    told = [f"{len(found[k])} {k}" for k in ("speakers", "corpora") if found.get(k)]
    if found.get("recordings"):
        told.append(f"{found['recordings']} recordings")
    return f"CONTAMINATED: the encoder was trained on {' and '.join(told)} of the test parts"


def corpus_told(result: Mapping[str, Any]) -> str:
    """The corpus or corpora of a run: what trains and what tests, where only some do."""
    folds = result["protocol"].get("corpora", [])
    if len(folds) == 1:
        return " to ".join("+".join(folds[0][side]) for side in ("train", "test"))
    return str(result["corpus"]["name"])


def protocol_told(result: Mapping[str, Any]) -> str:
    """The protocol of a run, and its shares where it is one split in place of folds."""
    protocol = result["protocol"]
    if not protocol.get("split"):
        return str(protocol["name"])
    reached = protocol["split"]["reached"]
    return f"{protocol['name']}, one split (test {100 * reached['test']:.0f} %)"


def about_run(result: Mapping[str, Any]) -> str:
    """What a picture of a run is of, with what a reader must know."""
    about = (
        f"{result['head']['name']} on {result['cache']['encoder']['id']}, "
        f"{corpus_told(result)}, protocol {protocol_told(result)}"
    )
    warned = notes(result)
    return f"{about}\n({', '.join(warned)})" if warned else about


def labels_told(result: Mapping[str, Any]) -> str:
    """How many classes, and how they came about: runs that differ in it are not comparable."""
    training = result["training"]
    if target_of(result) == "dimensions":
        return ", ".join(result["corpus"]["labels"])
    made = [training.get("label_set", "")]
    if training.get("label_set_version", 1) > 1:
        made[0] += f" v{training['label_set_version']}"
    renamed = training.get("rename", {})
    made += [f"{old}={new}" for old, new in sorted(renamed.items())]
    made += [f"no {label}" for label in training.get("drop", [])]
    if training.get("votes", "votes") != "votes":
        made.append(f"from {training['votes']}")
    if training.get("min_agreement"):
        made.append(f"agreement {training['min_agreement']:g} or more")
    if training.get("ties") == "drop":
        made.append("no ties")
    text = f"{len(result['corpus']['labels'])} {training['labels']}"
    told = ", ".join(filter(None, made))
    return f"{text} ({told})" if told else text


def _telling_apart(results: Sequence[Mapping[str, Any]], table: pd.DataFrame) -> list[str]:
    """What differs in how runs were trained that else look alike; empty where nothing does."""
    told = [""] * len(table)
    alike = ["corpus", "encoder", "head", "labels", "protocol", "notes"]
    for rows in table.groupby(alike, dropna=False, sort=False).indices.values():
        settings = [_settings(results[row]) for row in rows]
        names = dict.fromkeys(name for own in settings for name in own)
        differing = [name for name in names if len({own.get(name, "-") for own in settings}) > 1]
        for row, own in zip(rows, settings, strict=True):
            told[row] = ", ".join(f"{name}={own.get(name, '-')}" for name in differing)
    return told


def _settings(result: Mapping[str, Any]) -> dict[str, str]:
    """How a head was built and trained, as `--set` and options would say it."""
    training = result["training"]
    told = {**result["head"].get("config", {}), **training, "layer": result["cache"].get("layer")}
    told |= {"seeds": result["protocol"]["seeds"]}
    for name in _SAID:
        told.pop(name, None)
    tried: Sequence[Mapping[str, str]] = training.get("tried") or ()
    for name in tried[0] if tried else ():
        told[name] = "|".join(dict.fromkeys(one[name] for one in tried))
    return {
        name: "-".join(map(str, x)) if isinstance(x, list) else f"{x}" for name, x in told.items()
    }


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    protocol = result["protocol"]
    row: dict[str, Any] = {
        "run": result["run_id"],
        "created": result.get("created", ""),
        "corpus": corpus_told(result),
        "encoder": result["cache"]["encoder"]["id"],
        "head": result["head"]["name"],
        "labels": labels_told(result),
        "protocol": protocol_told(result),
        "folds": protocol["folds"],
        "seeds": protocol["seeds"],
    }
    for name in SHOWN[target_of(result)]:
        values = result["metrics"].get(name, _UNKNOWN)
        low, high = values["ci95"] or (None, None)
        row[name] = values["mean"]
        row[f"{name}_std_seeds"] = values["std_seeds"]
        row[f"{name}_std_folds"] = values.get("std_folds")
        row[f"{name}_ci95_low"], row[f"{name}_ci95_high"] = low, high
    row |= {f"f1_{label}": own["f1"] for label, own in result.get("per_class", {}).items()}
    row |= {
        "speaker_overlap": protocol["speaker_overlap"],
        "speakers": len({name for names in protocol["test_speakers"] for name in names}),
        "parameters": result["head"]["parameters"],
        "train_s": result["timing"]["train_s"],
        "notes": ", ".join(notes(result)),
    }
    return row
