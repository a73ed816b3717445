"""The run folder: the only module that knows file names in `results/`.

results/<run-id>/results.json          configuration, provenance, protocol, metrics
                 predictions.csv       id, speaker, fold, seed, true_<label>, pred_<label>
                 utterances.jsonl      what the corpus knew about each utterance
                 history.csv           every epoch of every model
                 model.safetensors     fold0.seed0.<parameter> and so on
                 model.json            what is needed to build the models again
                 confusion_matrix.png or predicted_values.png, training_history.png
                 tensorboard/          fold0.seed0/ and so on, where it was asked for
                 bias.json, ambiguity.json, bias.html   written by `ser bias`
                 probes.json           written by `ser probe`; with --project also projection.json
                 pictures/             written by `ser pictures`
                 recipe.json           written by `ser run`: what the recipe asked for
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import product
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from embedcache.atomic import new_folder, remove_stale, write_whole
from embedcache.errors import SerError, UsageError, disk_errors
from embedcache.store.references import Reference
from embedcache.utterance import Utterance
from heads.dimensional_metrics import DIMENSIONAL_METRICS
from heads.metrics import METRICS
from heads.tensorboard import scalar_log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from torch import Tensor

FORMAT = 1
_NEEDED: dict[str, tuple[str, ...]] = {
    "run_id": (),
    "corpus": ("name", "labels", "speakers", "tested"),
    "cache": ("encoder",),
    "head": ("name", "parameters"),
    "protocol": ("name", "folds", "seeds", "speaker_overlap", "test_speakers"),
    "training": ("labels",),
    "timing": ("train_s",),
}
_NEEDED_OF_TARGET: dict[str, dict[str, tuple[str, ...]]] = {
    "emotion": {"metrics": METRICS, "per_class": ()},
    "dimensions": {"metrics": DIMENSIONAL_METRICS},
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """Everything that goes into a run folder.

    Attributes:
        results: `results.json`, without NaN.
        predictions: One row per tested utterance and seed.
        history: One row per model and epoch.
        utterances: Those that were tested.
        weights: Of every fold's and seed's model.
        model: `model.json`.
        pictures: File name without suffix to PNG bytes.
    """

    results: dict[str, Any]
    predictions: pd.DataFrame
    history: pd.DataFrame
    utterances: Sequence[Utterance]
    weights: dict[str, Tensor]
    model: dict[str, Any]
    pictures: Mapping[str, bytes]


class Run:
    """A run folder that was read; tables are read when they are asked for.

    Attributes:
        path: The folder.
        results: `results.json`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        file = path / "results.json"
        if not file.is_file():
            remedy = "see `ser compare`"
            for folder in (path, path / "results"):
                if any(folder.glob("[!.]*/results.json")):
                    remedy = f"it holds runs: give one of them, or --results-dir {folder}"
            raise UsageError(f"{path} is no run, for it holds no results.json; {remedy}")
        try:
            self.results: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            missing = _missing(self.results)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise SerError(f"{file} is damaged ({error}); train the head again") from error
        if missing or self.results.get("format") != FORMAT:
            what = f"lacks {', '.join(missing)}" if missing else "has another format version"
            raise SerError(f"{file} {what}; train the head again with this version")

    @property
    def id(self) -> str:
        """The run's name."""
        return str(self.results["run_id"])

    @property
    def labels(self) -> list[str]:
        """Names of the classes, or of the dimensions."""
        return list(self.results["corpus"]["labels"])

    @property
    def target(self) -> str:
        """What was learned: `emotion` or `dimensions`."""
        return target_of(self.results)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """`predictions.csv`: one row per tested utterance and seed.

        Raises:
            SerError: It is missing, damaged, or has other labels than `results.json`.
        """
        import pandas as pd

        file = self.path / "predictions.csv"
        wanted = {f"{kind}_{label}" for kind in ("true", "pred") for label in self.labels}
        types = {"id": object, "speaker": object, "fold": int, "seed": int}  # read fastest
        types |= dict.fromkeys(wanted, float)
        # A dimension that is not annotated is empty; a class never is.
        empty = {name: [""] for name in wanted if self.target == "dimensions"}
        try:
            table = pd.read_csv(
                file,
                dtype=types,
                keep_default_na=False,
                na_values=empty,
                encoding_errors="surrogateescape",
            )
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).strip()
            raise SerError(f"{file} cannot be read ({reason}); train the head again") from error
        lacking = sorted(({"id", "speaker", "fold", "seed"} | wanted) - set(table.columns))
        if lacking:
            raise SerError(f"{file} lacks the columns {', '.join(lacking)}; train the head again")
        rows = self.results["corpus"]["tested"] * self.results["protocol"]["seeds"]
        if len(table) != rows or table.duplicated(["id", "seed"]).any():
            raise SerError(
                f"{file} has {len(table)} rows, and results.json tells of {rows} with an id and "
                "seed each; train the head again"
            )
        return table

    @cached_property
    def history(self) -> pd.DataFrame:
        """`history.csv`: one row per model and epoch; no row where the head has no epochs.

        Raises:
            SerError: It is missing or damaged.
        """
        import pandas as pd

        file = self.path / "history.csv"
        try:
            table = pd.read_csv(file)
        except (OSError, ValueError) as error:
            raise SerError(f"{file} cannot be read ({error}); train the head again") from error
        lacking = sorted({"fold", "seed", "epoch", "train_loss", "val_loss"} - set(table.columns))
        if lacking:
            raise SerError(f"{file} lacks the columns {', '.join(lacking)}; train the head again")
        return table

    @cached_property
    def utterances(self) -> dict[str, Utterance]:
        """The run's own copy of its utterances, by id."""
        file = self.path / "utterances.jsonl"
        try:
            lines = file.read_text(encoding="utf-8").split("\n")
            found = [Utterance.from_json(json.loads(line)) for line in lines if line]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SerError(f"{file} cannot be read ({error}); train the head again") from error
        return {utterance.id: utterance for utterance in found}

    @property
    def model_bytes(self) -> int | None:
        """Size of the weights of all folds and seeds; None where they are gone."""
        file = self.path / "model.safetensors"
        return file.stat().st_size if file.is_file() else None

    @cached_property
    def model(self) -> dict[str, Any]:
        """`model.json`: what it takes to build the models again.

        Raises:
            SerError: It is missing or damaged.
        """
        file = self.path / "model.json"
        try:
            return dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise SerError(f"{file} cannot be read ({error}); train the head again") from error

    def weights(self, fold: int, seed: int) -> dict[str, Tensor]:
        """The weights of one model by the names that its head gives them.

        Raises:
            UsageError: There is no such fold or seed.
            SerError: `model.safetensors` is missing or damaged.
        """
        from safetensors import SafetensorError, safe_open

        file, prefix = self.path / "model.safetensors", f"fold{fold}.seed{seed}."
        try:
            with safe_open(file, framework="pt") as tensors:
                own = [name for name in tensors.keys() if name.startswith(prefix)]  # noqa: SIM118
                found = {name.removeprefix(prefix): tensors.get_tensor(name) for name in own}
        except (OSError, SafetensorError) as error:
            raise SerError(f"{file} cannot be read ({error}); train the head again") from error
        if not found:
            raise UsageError(f"{self.id} has no model of fold {fold} with seed {seed}")
        return found

    @property
    def references(self) -> list[Reference]:
        """Which caches it refers to.

        Raises:
            SerError: It does not say it, because it is damaged.
        """
        return _references(self.results, self.path / "results.json")

    def read_report(self, name: str) -> dict[str, Any] | None:
        """A report that `write_report` has written; None where there is none.

        Raises:
            SerError: It is damaged.
        """
        file = self.path / f"{name}.json"
        if not file.is_file():
            return None
        try:
            return dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise SerError(f"{file} is damaged ({error}); remove it") from error

    def write_report(self, name: str, record: Mapping[str, Any]) -> Path:
        """Write a report such as `bias` beside the results, as JSON."""
        file = self.path / f"{name}.json"
        with disk_errors(file):
            write_whole(file, _json(record))
        return file

    def write_page(self, name: str, html: str) -> Path:
        """Write a page such as `bias` beside the results, as HTML."""
        return write_page(self.path / f"{name}.html", html)


def write_page(file: Path, html: str) -> Path:
    """Write a page, whole or not at all; an older one is replaced.

    Raises:
        UsageError: It is a folder, or there is no folder for it.
        SerError: The disk refused.
    """
    require_page_place(file)
    with disk_errors(file):
        write_whole(file, html.encode())
    return file


def require_page_place(file: Path) -> None:
    """See that a page can be written, before it is made.

    Raises:
        UsageError: It is a folder, or there is no folder for it.
    """
    if file.is_dir():
        raise UsageError(f"{file} is a folder: give a file in it, such as {file / 'report.html'}")
    if not file.absolute().parent.is_dir():
        raise UsageError(
            f"{file} cannot be written, for there is no folder {file.parent}; make it, or give "
            "another file"
        )


def require_writable(results_dir: Path) -> None:
    """See that runs can be written into a folder, before hours are spent on one; it is not made.

    Raises:
        SerError: They cannot.
    """
    there = next(path for path in (results_dir, *results_dir.absolute().parents) if path.exists())
    with disk_errors(results_dir), TemporaryFile(dir=there):
        pass


def write_run(results_dir: Path, run: NewRun, tensorboard: bool = False) -> Path:
    """Write a run folder, whole or not at all; the same run's older folder is replaced.

    Args:
        results_dir: Folder of all runs.
        run: What goes into it.
        tensorboard: Whether the history is written for TensorBoard too.

    Raises:
        SerError: The disk is full or cannot be written.
        UsageError: TensorBoard, an extra, is not installed.
    """
    from safetensors.torch import save

    folder = results_dir / str(run.results["run_id"])
    lines = [json.dumps(u.to_json()) + "\n" for u in run.utterances]
    with disk_errors(folder), new_folder(folder) as new:
        (new / "results.json").write_bytes(_json({"format": FORMAT, **run.results}))
        (new / "utterances.jsonl").write_text("".join(lines), encoding="utf-8")
        run.predictions.to_csv(
            new / "predictions.csv", index=False, float_format="%.7g", errors="surrogateescape"
        )
        run.history.to_csv(new / "history.csv", index=False, float_format="%.7g")
        (new / "model.safetensors").write_bytes(save(run.weights))
        (new / "model.json").write_bytes(_json(run.model))
        for name, picture in run.pictures.items():
            (new / f"{name}.png").write_bytes(picture)
        if tensorboard:
            _write_curves(new / "tensorboard", run.history)
    remove_stale(results_dir)
    return folder


def _write_curves(folder: Path, history: pd.DataFrame) -> None:
    """A curve of each column of the history for each model; none where there are no epochs."""
    names = [name for name in history.columns if name not in ("fold", "seed", "epoch")]
    for (fold, seed), epochs in history.groupby(["fold", "seed"]):
        with scalar_log(folder / f"fold{fold}.seed{seed}") as add:
            for epoch, values in zip(epochs["epoch"], epochs[names].to_numpy(), strict=True):
                add(int(epoch), dict(zip(names, values.tolist(), strict=True)))


def find_run(name: str, results_dir: Path) -> Run:
    """A run by its folder's path, or by its id in a folder of runs.

    Raises:
        UsageError: There is none.
        SerError: It is damaged.
    """
    for path in (Path(name), results_dir / name):
        if path.name == "results.json" and path.is_file():
            return Run(path.parent)
        if path.is_dir():
            return Run(path)
    there = sorted(path.parent.name for path in results_dir.glob("*/results.json"))
    near = get_close_matches(name, there, n=3, cutoff=0.2)
    shown = f"the nearest {', '.join(near)}" if near else f"such as {', '.join(there[:3])}"
    known = f"; there are {len(there)}, {shown}" if there else ""
    raise UsageError(f"there is no run '{name}', here or in {results_dir}{known}")


def list_runs(results_dir: Path) -> list[Run]:
    """All readable runs of a folder, sorted by id; a damaged one is named in a warning."""
    runs = []
    for file in sorted(results_dir.glob("[!.]*/results.json")):
        try:
            runs.append(Run(file.parent))
        except SerError as error:
            _log.warning("left out: %s", error)
    return runs


def read_references(results_dir: Path, required: bool) -> list[Reference]:
    """Which caches the runs of a folder refer to.

    Args:
        results_dir: Folder of runs.
        required: Whether it must be there; else no folder is no runs.

    Raises:
        UsageError: It is not there.
        SerError: A run does not say it, because it is damaged.
    """
    if required and not results_dir.is_dir():
        raise UsageError(
            f"--results-dir {results_dir}: there is no such folder, so nobody knows which caches "
            "runs need; give the one that holds them, or --force"
        )
    found = []
    for file in sorted(results_dir.glob("[!.]*/results.json")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _no_reference(file, error) from error
        found += _references(record, file)
    return found


def _references(record: Any, file: Path) -> list[Reference]:
    """Which caches a `results.json` refers to."""
    try:
        cache, corpus = record["cache"], str(record["corpus"]["name"])
        keys, paths = str(cache["key"]).split("+"), str(cache["path"]).split(",")
    except (KeyError, TypeError) as error:
        raise _no_reference(file, error) from error
    # A relative path is one from where the head was trained, often beside its results.
    beside = file.parent.absolute().parent.parent
    return [
        Reference(
            run=file.parent, key=key, corpus=name, paths=(path.resolve(), (beside / path).resolve())
        )
        for path, name, key in product(map(Path, paths), corpus.split("+"), keys)
    ]


def _no_reference(file: Path, error: Exception) -> SerError:
    return SerError(
        f"{file} is damaged ({error!r}), so that nobody knows which cache it needs; "
        "train the head again, or remove the run"
    )


def target_of(results: Mapping[str, Any]) -> str:
    """What a run has learned, by its `results.json`; those of earlier versions learned emotions."""
    return str(results["training"].get("target", "emotion"))


def _missing(results: Mapping[str, Any]) -> list[str]:
    """Parts that are needed and lack."""
    lacking = _lacking(results, _NEEDED)
    return lacking or _lacking(results, _NEEDED_OF_TARGET[target_of(results)])


def _lacking(results: Mapping[str, Any], needed: Mapping[str, Sequence[str]]) -> list[str]:
    parts = [part for part in needed if part not in results]
    return parts + [
        f"{part}.{name}"
        for part in needed
        if part not in parts
        for name in needed[part]
        if name not in results[part]
    ]


def _json(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, indent=2, allow_nan=False)
    return f"{text}\n".encode()
