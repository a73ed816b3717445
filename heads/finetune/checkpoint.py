"""A checkpoint: a folder that any tool reads as a Hugging Face model, and what it was trained on.

checkpoints/<name>/config.json, model.safetensors, preprocessor_config.json   the encoder
                   ser.json           what it was trained on, how, and from what
                   head.safetensors   the head that was trained with it
                   history.csv        every epoch
with one such folder for each fold, `fold0` and so on, beside `folds.json`, where a protocol's folds
were left untouched for testing one after another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from safetensors.torch import save

from embedcache.atomic import new_folder, remove_stale
from embedcache.audio.conditioning import describe
from embedcache.errors import disk_errors
from embedcache.seen import FoldOf, Seen, is_checkpoint, write_checkpoint_record
from embedcache.store.cache import slug
from heads.labels import LabelConfig

if TYPE_CHECKING:
    from embedcache.encoders import EncoderSpec
    from heads.finetune.epochs import Training
    from heads.finetune.settings import FinetuneConfig, Schedule
    from heads.splits import Fold
    from heads.train.prepare import Dataset


def describe_experiment(
    config: FinetuneConfig,
    schedule: Schedule,
    head: Any,
    spec: EncoderSpec,
    base: Seen,
    data: Dataset,
    contents: Sequence[str],
) -> dict[str, Any]:
    """All that a checkpoint's weights depend on, but for the fold, as JSON values."""
    task = config.task
    return {
        "encoder": {"weights": spec.weights, "config": spec.config},
        "base": _digest(base.to_json()),
        "unfreeze": config.unfreeze,
        "unfreeze_cnn": config.unfreeze_cnn,
        "dtype": spec.dtype,
        "conditioning": describe(config.conditioning),
        "schedule": {k: v for k, v in asdict(schedule).items() if k != "save_minutes"},
        "head": {"name": task.heads[0], "config": asdict(head)},
        "target": task.target,
        "labels": {
            **asdict(task.labels),
            "rename": dict(task.labels.rename),
            "drop": sorted(task.labels.drop),
        },
        "classes": list(data.targets.names),
        "loss": task.loss,
        "class_weights": task.class_weights,
        "corpus": task.corpus,
        "protocol": protocol_options(config),
        "examples": _digest(
            [
                (u.id, content, row.tolist())
                for u, content, row in zip(
                    data.utterances, contents, data.targets.values, strict=True
                )
            ]
        ),
    }


def protocol_options(config: FinetuneConfig) -> str:
    """The options of `ser train-head` that make the same folds."""
    task, labels = config.task, config.task.labels
    told = [f"--corpus {task.corpus}", f"--protocol {task.protocol_name}"]
    options = {"folds": task.folds, "test": task.test_share, "val": task.val_share}
    told += [f"--{name} {value}" for name, value in options.items() if value is not None]
    told.append(f"--seed {task.seed}")
    if task.target != "emotion":
        told.append(f"--target {task.target}")
    if labels.kind != "hard":
        told.append(f"--labels {labels.kind}")
    if labels.label_set:
        told.append(f"--label-set {labels.label_set}")
    plain = LabelConfig()
    for name in ("votes", "min_agreement", "ties"):
        if getattr(labels, name) != getattr(plain, name):
            told.append(f"--{name.replace('_', '-')} {getattr(labels, name)}")
    told += [f"--map {old}={new}" for old, new in labels.rename.items()]
    told += [f"--drop {label}" for label in sorted(labels.drop)]
    return " ".join(told)


def folder_of(config: FinetuneConfig, experiment: dict[str, Any]) -> Path:
    """Where the checkpoint, or the folder of those of all folds, will be."""
    encoder = Path(config.encoder)
    names = (
        config.task.corpus.replace(":", "-"),
        slug(str(encoder.resolve()) if encoder.is_dir() else config.encoder),
        config.task.heads[0],
        _digest(experiment | {"by_fold": config.by_fold})[:8],
    )
    return config.checkpoint_dir / "-".join(names)


def is_there(folder: Path) -> bool:
    """Whether a checkpoint is finished, and nothing of it was removed since."""
    return is_checkpoint(folder) and any(folder.glob("model*.safetensors"))


def write_checkpoint(
    folder: Path,
    training: Training,
    experiment: dict[str, Any],
    seen: Seen,
    told: dict[str, Any],
) -> None:
    """Write the weights of the best epoch, whole or not at all.

    Args:
        folder: The checkpoint.
        training: That has ended.
        experiment: All that it depended on.
        seen: What its weights have been fitted to.
        told: What else is told of it.

    Raises:
        SerError: The disk is full or cannot be written.
    """
    progress, network = training.progress, training.network
    network.load(progress.best)
    record = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {n: version(n) for n in ("ser-embedcache", "torch", "transformers")},
        "experiment": experiment,
        "best": progress.best_of_history.told(),
        "train_s": round(progress.seconds, 3),
        **told,
    }
    head = {n: t.detach().cpu().contiguous() for n, t in network.head.state_dict().items()}
    with disk_errors(folder), new_folder(folder) as new:
        network.encoder.save(new)
        (new / "head.safetensors").write_bytes(save(head))
        history = pd.DataFrame([epoch.told() for epoch in progress.history])
        history.drop(columns="model").to_csv(new / "history.csv", index=False, float_format="%.7g")
        write_checkpoint_record(new, seen, record)
    remove_stale(folder.parent)


def what_is_seen(
    base: Seen,
    config: FinetuneConfig,
    data: Dataset,
    contents: Sequence[str],
    fold: Fold,
    place: FoldOf | None,
    name: str,
) -> Seen:
    """What the weights of a fold have been fitted to, or chosen by, beside what they had seen.

    Validation chooses the epoch, so it is seen too. Where no weight of the encoder is trained, it
    has seen nothing new.
    """
    trains = config.unfreeze != "0" or config.unfreeze_cnn
    used = [*fold.train.tolist(), *fold.val.tolist()] if trains else []
    own = Seen(
        corpora=(config.task.corpus,) if used else (),
        speakers=tuple(sorted({s for i in used if (s := data.utterances[i].speaker)})),
        contents=tuple(sorted({contents[i] for i in used})),
        source=name,
        base=config.encoder,
        pretrained=base.pretrained,
        fold=place,
        conditioning=describe(config.conditioning),
    )
    return base | own


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
