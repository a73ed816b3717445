"""The command `ser`: arguments to a configuration, one call, its result on stdout.

Nothing heavy is imported here: each command imports what it calls. stdout carries the result,
stderr progress and messages. Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done, but clips that
the corpus lists were not encoded.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from embedcache.errors import SerError, UsageError

EXIT_INCOMPLETE = 3
EXIT_INTERRUPTED = 130
_INTERRUPTED = "interrupted; the same command goes on where it stopped"

app = typer.Typer(
    name="ser",
    help="Speech emotion recognition: encode the audio once, compare heads in seconds.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
cache_app = typer.Typer(help="Look after caches.", no_args_is_help=True, rich_markup_mode=None)
corpora_app = typer.Typer(rich_markup_mode=None)
app.add_typer(corpora_app, name="corpora")
app.add_typer(cache_app, name="cache")

CacheDir = Annotated[Path, typer.Option(help="Folder of all caches.")]
ResultsDir = Annotated[Path, typer.Option(help="Folder of all runs.")]
CorpusOption = Annotated[
    str, typer.Option(help="See `ser corpora`; folder:NAME and manifest:NAME name your own.")
]
CorporaOption = Annotated[
    str, typer.Option(help="One, or several that are pooled, as in ravdess,emodb.")
]
Root = Annotated[Path, typer.Option(help="Where the corpus lies.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, or a GPU as in cuda:1.")]


@corpora_app.callback(invoke_without_command=True)
def corpora(context: typer.Context) -> None:
    """List the corpora that can be read, or check one."""
    from embedcache.plugins import plugins

    if context.invoked_subcommand is None:
        _print_list({name: p.summary for name, p in plugins("embedcache.corpora").items()})


@corpora_app.command("check")
def corpora_check(
    corpus: CorpusOption,
    root: Root,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",
) -> None:
    """Read a corpus and every clip of it: counts, durations, the same audio twice, what fails."""
    from heads.report.corpus import check_corpus

    text, usable = check_corpus(corpus, root, format)
    typer.echo(text)
    if not usable:
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command()
def encoders() -> None:
    """List the encoders."""
    from embedcache.encoders import encoder_ids

    _print_list(encoder_ids())


@app.command()
def heads() -> None:
    """List the heads."""
    from embedcache.plugins import plugins

    _print_list({name: p.summary for name, p in plugins("heads.models").items()})


@app.command()
def recipes() -> None:
    """List the recipes: whole experiments."""
    from heads.recipes import recipes as all_recipes

    _print_list(all_recipes())


@app.command()
def extract(
    corpus: CorpusOption,
    root: Root,
    encoder: Annotated[str, typer.Option(help="See `ser encoders`.")] = "lld",
    layers: Annotated[str, typer.Option(help="last, all, or numbers as in 0,6,12.")] = "last",
    cache_dir: CacheDir = Path("cache"),
    device: Device = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    store_dtype: Annotated[str, typer.Option(help="float16, float32 or int8.")] = "float16",
    shard_mb: Annotated[float, typer.Option(help="Most megabytes of frames in a shard.")] = 64,
    max_seconds: Annotated[float, typer.Option(help="Longer clips are encoded in windows.")] = 60,
    denoise: Annotated[bool, typer.Option("--denoise", help="Take noise out; an extra.")] = False,
    telephone: Annotated[bool, typer.Option("--telephone", help="Keep 300 to 3400 Hz.")] = False,
    trim: Annotated[bool, typer.Option("--trim", help="Cut silence off both ends.")] = False,
    normalise: Annotated[
        str,
        typer.Option("--normalise", "--normalize", help="peak, rms or lufs: one level for all."),
    ] = "",
    fix_seconds: Annotated[
        float | None, typer.Option(help="Cut or pad every clip to this length.")
    ] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option(help="Views to train on, such as speed=0.9,1.1 or noise=20; repeatable."),
    ] = None,
    limit: Annotated[int, typer.Option(help="Only the first N utterances; 0 is all.")] = 0,
    engine: Annotated[str, typer.Option(help="How shards are mapped onto workers.")] = "local",
    worker: Annotated[str, typer.Option(help="I/N: take every N-th shard, from I = 0.")] = "0/1",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
) -> None:
    """Encode a corpus once; prints the cache's path. Run it again to resume or to add clips."""
    from embedcache.audio.augmentation import parse_views
    from embedcache.audio.conditioning import Conditioning
    from embedcache.extract import run_and_describe
    from embedcache.request import ExtractConfig, parse_worker, per_encoder

    config = ExtractConfig(
        corpus=corpus,
        root=root,
        encoder=encoder,
        layers=layers,
        cache_dir=cache_dir,
        device=device,
        dtype=dtype,
        store_dtype=store_dtype,
        shard_mb=shard_mb,
        max_seconds=max_seconds,
        conditioning=Conditioning(
            denoise=denoise,
            telephone=telephone,
            trim=trim,
            normalise=normalise,
            fix_seconds=fix_seconds,
        ),
        views=parse_views(augment or ()),
        limit=limit,
        engine=engine,
        worker=parse_worker(worker),
    )
    configs = per_encoder(config)
    if dry_run:
        from embedcache.estimate import describe_estimate

        typer.echo("\n\n".join(map(describe_estimate, configs)))
        return
    incomplete = False
    for one in configs:
        folder, complete = run_and_describe(one)
        typer.echo(folder)
        incomplete |= not complete
    if incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


@cache_app.command("ls")
def cache_ls(cache_dir: CacheDir = Path("cache")) -> None:
    """List the caches."""
    from embedcache.store.describe import describe_all

    typer.echo(describe_all(cache_dir))


@cache_app.command("info")
def cache_info(path: Annotated[Path, typer.Argument(help="A cache's folder.")]) -> None:
    """Say what made a cache and what it holds."""
    from embedcache.store.describe import describe

    typer.echo(describe(path))


@cache_app.command("verify")
def cache_verify(path: Annotated[Path, typer.Argument(help="A cache's folder.")]) -> None:
    """Check every byte of a cache against its checksums."""
    from embedcache.store.verify import describe_faults

    text, sound = describe_faults(path)
    typer.echo(text)
    if not sound:
        raise typer.Exit(SerError.exit_code)


@cache_app.command("prune")
def cache_prune(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Caches to remove whole; none goes through all.")
    ] = None,
    cache_dir: CacheDir = Path("cache"),
    results_dir: ResultsDir = Path("results"),
    corpus: Annotated[str | None, typer.Option(help="Only caches of this corpus.")] = None,
    unused: Annotated[
        bool, typer.Option("--unused", help="Also whole caches that no run refers to.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Free it; else only say what.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also what runs refer to.")] = False,
) -> None:
    """Free what no listed clip and no run needs; without --yes only say what that is."""
    from embedcache.store.prune import PruneConfig, prune
    from heads.results import read_references

    config = PruneConfig(
        paths=paths or (),
        cache_dir=cache_dir,
        corpus=corpus,
        unused=unused,
        yes=yes,
        force=force,
    )
    whole = yes and not force and bool(paths or unused)
    typer.echo(prune(config, read_references(results_dir, required=whole)))


@cache_app.command("export")
def cache_export(
    path: Annotated[Path, typer.Argument(help="A cache's folder.")],
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    format: Annotated[str, typer.Option(help="npy: all frames; csv: means and deviations.")],
    layer: Annotated[str, typer.Option(help="A stored layer, or last.")] = "last",
    views: Annotated[bool, typer.Option("--views", help="Augmented views as well.")] = False,
) -> None:
    """Write a cache's frames for other tools; prints the folder."""
    from embedcache.store.export import export

    export(path, folder, format, layer, views)
    typer.echo(folder)


@app.command()
def finetune(
    corpus: CorpusOption,
    root: Root,
    encoder: Annotated[str, typer.Option(help="A Hugging Face model; see `ser encoders`.")],
    head: Annotated[str, typer.Option(help="Trained with it; see `ser heads`.")] = "attention",
    unfreeze: Annotated[
        str, typer.Option(help="How many transformer layers are trained, from the last; or all.")
    ] = "all",
    unfreeze_cnn: Annotated[
        bool, typer.Option("--unfreeze-cnn", help="Also the convolutions and their projection.")
    ] = False,
    protocol: Annotated[str, typer.Option(help="As of `ser train-head`.")] = "speaker",
    folds: Annotated[str | None, typer.Option(help="As of `ser train-head`.")] = None,
    test: Annotated[float | None, typer.Option(help="As of `ser train-head`.")] = None,
    val: Annotated[float | None, typer.Option(help="As of `ser train-head`.")] = None,
    fold: Annotated[
        int | None, typer.Option(help="Leave this fold's test part untouched, from 0.")
    ] = None,
    all_folds: Annotated[
        bool, typer.Option("--all-folds", help="One checkpoint for each fold.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of folds and all that is drawn.")] = 0,
    target: Annotated[
        str, typer.Option(help="emotion, or dimensions: valence, arousal, dominance.")
    ] = "emotion",
    labels: Annotated[
        str, typer.Option(help="hard; majority or soft from annotators' votes.")
    ] = "hard",
    label_set: Annotated[str, typer.Option(help="The corpus's, such as iemocap-4.")] = "",
    votes: Annotated[str, typer.Option(help="As of `ser train-head`.")] = "votes",
    min_agreement: Annotated[float, typer.Option(help="As of `ser train-head`.")] = 0.0,
    ties: Annotated[str, typer.Option(help="As of `ser train-head`.")] = "keep",
    smoothing: Annotated[float, typer.Option(help="Share of a target spread evenly.")] = 0.0,
    rename: Annotated[
        list[str] | None, typer.Option("--map", help="OLD=NEW renames or merges emotions.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(help="An emotion to leave out.")] = None,
    loss: Annotated[
        str, typer.Option(help="cross-entropy, kl, focal, or auto: kl for soft labels.")
    ] = "auto",
    class_weights: Annotated[str, typer.Option(help="none, balanced or effective.")] = "none",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE of the training or the head, such as lr=3e-5."),
    ] = None,
    trim: Annotated[bool, typer.Option("--trim", help="Cut silence off both ends.")] = False,
    denoise: Annotated[bool, typer.Option("--denoise", help="Take noise out; an extra.")] = False,
    telephone: Annotated[bool, typer.Option("--telephone", help="Keep 300 to 3400 Hz.")] = False,
    normalise: Annotated[
        str,
        typer.Option("--normalise", "--normalize", help="peak, rms or lufs: one level for all."),
    ] = "",
    fix_seconds: Annotated[
        float | None, typer.Option(help="Cut or pad every clip to this length.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory, more time.")
    ] = False,
    limit: Annotated[int, typer.Option(help="Only the first N utterances; 0 is all.")] = 0,
    checkpoint_dir: Annotated[Path, typer.Option(help="Folder of all checkpoints.")] = Path(
        "checkpoints"
    ),
    cache_dir: CacheDir = Path("cache"),
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also curves for TensorBoard; an extra.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Train an encoder's upper layers with a head; prints the checkpoint, a valid --encoder.

    Without --fold or --all-folds all speakers train or validate, for use on other data.
    """
    from embedcache.audio.conditioning import Conditioning
    from heads.finetune.run import finetune as run_finetune
    from heads.finetune.settings import FinetuneConfig
    from heads.labels import LabelConfig
    from heads.splits import parse_folds
    from heads.train.config import RunConfig

    task = RunConfig(
        heads=_names(head),
        corpus=corpus,
        cache_dir=cache_dir,
        protocol=protocol,
        folds=parse_folds(folds),
        test_share=test,
        val_share=val,
        seed=seed,
        target=target,
        labels=LabelConfig(
            kind=labels,
            label_set=label_set,
            votes=votes,
            min_agreement=min_agreement,
            ties=ties,
            smoothing=smoothing,
            rename=_pairs("--map", rename),
            drop=frozenset(drop or ()),
        ),
        loss=loss,
        class_weights=class_weights,
        settings=_pairs("--set", set_),
        device=device,
    )
    config = FinetuneConfig(
        root=root,
        encoder=encoder,
        task=task,
        unfreeze=unfreeze,
        unfreeze_cnn=unfreeze_cnn,
        fold=fold,
        all_folds=all_folds,
        conditioning=Conditioning(
            denoise=denoise,
            telephone=telephone,
            trim=trim,
            normalise=normalise,
            fix_seconds=fix_seconds,
        ),
        dtype=dtype,
        gradient_checkpointing=gradient_checkpointing,
        checkpoint_dir=checkpoint_dir,
        limit=limit,
        tensorboard=tensorboard,
    )
    typer.echo(run_finetune(config))


@app.command("train-head")
def train_head(
    corpus: CorporaOption,
    head: Annotated[str, typer.Option(help="One or more, as in mlp,attention,mha.")] = "mlp",
    cache: Annotated[
        list[str] | None, typer.Option(help="A cache's folder; one per corpus, repeatable.")
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="Whose cache, if there are several.")] = None,
    cache_dir: CacheDir = Path("cache"),
    layer: Annotated[
        str, typer.Option(help="A stored layer; last; best on validation; or weighted: all.")
    ] = "last",
    protocol: Annotated[
        str,
        typer.Option(help="speaker, session, sentence, official, cross-corpus or random."),
    ] = "speaker",
    folds: Annotated[
        str | None,
        typer.Option(help="Number of folds, 5 by default; speakers leaves one speaker out."),
    ] = None,
    test: Annotated[
        float | None, typer.Option(help="Share that tests: one split in place of folds.")
    ] = None,
    val: Annotated[float | None, typer.Option(help="Share that validates in it.")] = None,
    test_corpus: Annotated[
        str, typer.Option(help="Corpora to test on, while --corpus trains and validates.")
    ] = "",
    seeds: Annotated[int, typer.Option(help="How many times each fold is trained.")] = 5,
    seed: Annotated[int, typer.Option(help="The first seed; it also makes the folds.")] = 0,
    target: Annotated[
        str, typer.Option(help="emotion, or dimensions: valence, arousal, dominance.")
    ] = "emotion",
    labels: Annotated[
        str, typer.Option(help="hard; majority or soft from annotators' votes.")
    ] = "hard",
    label_set: Annotated[str, typer.Option(help="The corpus's, such as iemocap-4.")] = "",
    votes: Annotated[
        str, typer.Option(help="Whose: votes, votes+self_votes, or an extra column with votes.")
    ] = "votes",
    min_agreement: Annotated[
        float, typer.Option(help="Least share of the votes for the commonest emotion.")
    ] = 0.0,
    ties: Annotated[str, typer.Option(help="keep or drop soft labels that are tied.")] = "keep",
    smoothing: Annotated[float, typer.Option(help="Share of a target spread evenly.")] = 0.0,
    standardise: Annotated[
        str, typer.Option(help="train; or speaker: each by their own frames first.")
    ] = "train",
    views: Annotated[
        str, typer.Option(help="Augmented views to train on: all, none, or speed=0.9,noise=20.")
    ] = "all",
    rename: Annotated[
        list[str] | None, typer.Option("--map", help="OLD=NEW renames or merges emotions.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(help="An emotion to leave out.")] = None,
    loss: Annotated[
        str, typer.Option(help="cross-entropy, kl, focal, or auto: kl for soft labels.")
    ] = "auto",
    class_weights: Annotated[str, typer.Option(help="none, balanced or effective.")] = "none",
    balance: Annotated[
        str, typer.Option(help="Column whose groups weigh the same, as in gender or gender+age.")
    ] = "",
    ambiguous: Annotated[
        str,
        typer.Option(help="keep; weight by annotators' agreement; drop=0.6 from training alone."),
    ] = "keep",
    worst_group: Annotated[
        str, typer.Option(help="Column by whose worst group on validation models are chosen.")
    ] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE[,VALUE] or HEAD.KEY=...: each fold takes the best."),
    ] = None,
    allow_leakage: Annotated[
        bool,
        typer.Option("--allow-leakage", help="Test on what the encoder was trained on; marked."),
    ] = False,
    results_dir: ResultsDir = Path("results"),
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also curves for TensorBoard; an extra.")
    ] = False,
    device: Device = "auto",
) -> None:
    """Train heads on a cache, all folds and seeds in one pass; prints each run's folder."""
    from embedcache.allocator import keep_freed_memory
    from heads.experiment import run_heads
    from heads.labels import LabelConfig
    from heads.splits import parse_folds
    from heads.train.config import RunConfig

    config = RunConfig(
        heads=_names(head),
        corpus=corpus,
        cache=_paths(cache) or None,
        encoder=encoder,
        cache_dir=cache_dir,
        layer=layer,
        protocol=protocol,
        folds=parse_folds(folds),
        test_share=test,
        val_share=val,
        test_corpus=test_corpus,
        seeds=seeds,
        seed=seed,
        target=target,
        labels=LabelConfig(
            kind=labels,
            label_set=label_set,
            votes=votes,
            min_agreement=min_agreement,
            ties=ties,
            smoothing=smoothing,
            rename=_pairs("--map", rename),
            drop=frozenset(drop or ()),
        ),
        views=_names(views),
        standardise=standardise,
        loss=loss,
        class_weights=class_weights,
        balance=balance,
        ambiguous=ambiguous,
        worst_group=worst_group,
        settings=_pairs("--set", set_),
        allow_leakage=allow_leakage,
        device=device,
    )
    keep_freed_memory()
    for folder in run_heads(config, results_dir, tensorboard):
        typer.echo(folder)


@app.command()
def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Runs, compared on what they share; none is all, board by board."),
    ] = None,
    corpus: Annotated[str | None, typer.Option(help="Only runs on this, or on all these.")] = None,
    head: Annotated[str | None, typer.Option(help="Only these, as in mlp,mha.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Only these.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Only these.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="What is tested and sorts; ua, and ccc of dimensions.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(help="What sorts instead: wa, parameters, train_s, created, ...")
    ] = None,
    format: Annotated[str, typer.Option(help="table, md, csv or json.")] = "table",
    picture: Annotated[
        Path | None, typer.Option(help="Critical-difference diagram: a .png, .svg or .pdf file.")
    ] = None,
    results_dir: ResultsDir = Path("results"),
) -> None:
    """Print leaderboards: intervals over speakers, and which runs are as good as the best."""
    from heads.report.compare import Comparison
    from heads.report.compare import compare as compare_runs
    from heads.report.contenders import Chosen

    chosen = Chosen(
        names=runs or [],
        results_dir=results_dir,
        corpus=corpus,
        head=head,
        encoder=encoder,
        protocol=protocol,
    )
    asked = Comparison(
        chosen=chosen,
        metric=metric,
        sort=sort,
        format=format,
        picture=picture,
        together=bool(runs),
    )
    typer.echo(compare_runs(asked))


@app.command()
def bias(
    run: Annotated[str | None, typer.Argument(help="A run's folder or id.")] = None,
    by: Annotated[
        str, typer.Option(help="Columns of the corpus; gender+age is an intersection.")
    ] = "gender,speaker",
    metric: Annotated[str, typer.Option(help="The primary one: ua, wa, macro_f1 or ece.")] = "ua",
    min_speakers: Annotated[int, typer.Option(help="Fewest of a group that is compared.")] = 2,
    min_clips: Annotated[int, typer.Option(help="Fewest of a group that is compared.")] = 10,
    replicates: Annotated[int, typer.Option(help="Of the bootstrap; 0 leaves it out.")] = 2000,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Two runs, in place of one: what the second changed."),
    ] = None,
    format: Annotated[str, typer.Option(help="table or json.")] = "table",
    results_dir: ResultsDir = Path("results"),
) -> None:
    """Print whom a run fails and where annotators disagree; writes bias.json and bias.html."""
    from heads.analysis.gaps import GapConfig
    from heads.analysis.groups import Minimum
    from heads.report.bias_change import bias_change
    from heads.report.explain import explain
    from heads.report.tables import as_text_or_json, require_table_or_json
    from heads.results import find_run

    if (run is None) == (compare is None):
        raise UsageError("give one run, or --compare with two runs")
    require_table_or_json(format)
    minimum = Minimum(speakers=min_speakers, clips=min_clips)
    config = GapConfig(metric=metric, replicates=replicates)
    columns = _names(by)
    if compare:
        first, second = (find_run(name, results_dir) for name in compare)
        typer.echo(as_text_or_json(*bias_change(first, second, columns, minimum, config), format))
        return
    record, text = explain(find_run(run or "", results_dir), columns, minimum, config)
    typer.echo(as_text_or_json(record, text, format))


@app.command()
def probe(
    run: Annotated[str, typer.Argument(help="A run's folder or id.")],
    vectors: Annotated[str, typer.Option(help="Of each clip: mean or mean-std.")] = "mean",
    project: Annotated[
        str | None, typer.Option(help="Also projection.json: t-sne, or umap, an extra.")
    ] = None,
    cache: Annotated[
        list[str] | None, typer.Option(help="Where the run's cache is now; repeatable.")
    ] = None,
    results_dir: ResultsDir = Path("results"),
) -> None:
    """Print what can be read linearly from each layer, and write probes.json into the run."""
    from heads.report.probes import probe as probe_run
    from heads.report.projection import project as project_run
    from heads.results import find_run

    found, caches = find_run(run, results_dir), _paths(cache)
    reports = {}
    if project is not None:
        reports["projection"] = project_run(found, project, kind=vectors, caches=caches)
    reports["probes"], table = probe_run(found, vectors, caches)
    typer.echo(table)
    for name, record in reports.items():
        logging.getLogger("ser").info("written: %s", found.write_report(name, record))


@app.command()
def report(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Folders or ids of runs; none is all.")
    ] = None,
    results_dir: ResultsDir = Path("results"),
    out: Annotated[Path, typer.Option(help="The HTML file.")] = Path("report.html"),
    project: Annotated[str, typer.Option(help="Map of the clips: t-sne, or umap, an extra.")] = (
        "t-sne"
    ),
    quick: Annotated[
        bool, typer.Option("--quick", help="Without what needs the cache and takes longer.")
    ] = False,
) -> None:
    """Write one HTML page over runs, which needs nothing but itself; prints its path."""
    from heads.report.contenders import Chosen, choose_runs
    from heads.report.page import report as write_report

    found = choose_runs(Chosen(names=runs or (), results_dir=results_dir))
    typer.echo(write_report(found, out, project, quick))


@app.command()
def pictures(
    run: Annotated[str, typer.Argument(help="A run's folder or id.")],
    only: Annotated[
        str, typer.Option(help="Some of them, as in confusion,gaps,layers,attention.")
    ] = "",
    clip: Annotated[
        list[str] | None, typer.Option(help="Whose attention is shown; repeatable.")
    ] = None,
    format: Annotated[str, typer.Option(help="png, svg or pdf.")] = "png",
    project: Annotated[str, typer.Option(help="Map of the clips: t-sne, or umap, an extra.")] = (
        "t-sne"
    ),
    out: Annotated[
        Path | None, typer.Option(help="Folder; in place of pictures/ in the run's.")
    ] = None,
    results_dir: ResultsDir = Path("results"),
) -> None:
    """Draw every picture of a run into files; prints their paths."""
    from heads.report.pictures import Pictures, write_pictures
    from heads.results import find_run

    asked = Pictures(only=_names(only), clips=clip or [], form=format, method=project, folder=out)
    for file in write_pictures(find_run(run, results_dir), asked):
        typer.echo(file)


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="See `ser recipes`, or a TOML file of your own.")],
    root: Root,
    corpus: Annotated[str | None, typer.Option(help="In place of the recipe's.")] = None,
    encoder: Annotated[str | None, typer.Option(help="In place of the recipe's.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="SECTION.KEY=VALUE in place of the recipe's; repeatable."),
    ] = None,
    cache_dir: CacheDir = Path("cache"),
    results_dir: ResultsDir = Path("results"),
    checkpoint_dir: Annotated[Path, typer.Option(help="Folder of fine-tuned encoders.")] = Path(
        "checkpoints"
    ),
    device: Device = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
) -> None:
    """Run a whole experiment, from audio to leaderboard and bias; run it again to resume."""
    from embedcache.allocator import keep_freed_memory
    from heads.recipes import find_recipe
    from heads.recipes.reading import read_recipe
    from heads.recipes.steps import Places, make_steps

    found = read_recipe(find_recipe(recipe), set_ or (), corpus, encoder)
    places = Places(
        root=root,
        cache_dir=cache_dir,
        results_dir=results_dir,
        checkpoint_dir=checkpoint_dir,
        device=device,
    )
    steps = make_steps(found, places)
    if dry_run:
        from heads.recipes.plan import describe_plan

        typer.echo(describe_plan(steps))
        return
    from heads.recipes.run import run_recipe

    keep_freed_memory()
    text, complete = run_recipe(steps)
    typer.echo(text)
    if not complete:
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--dir", help="Where its files go.")] = Path("ser-demo"),
) -> None:
    """Show the whole way, offline, on a small generated corpus; takes under two minutes."""
    from heads.demo import demo as run_demo

    typer.echo(run_demo(folder))


def main() -> None:
    """Run a command; a user's mistake is one sentence, never a traceback."""
    # Threads that spin while they wait make small operations ten times slower as soon as anything
    # else keeps a core busy; threads that sleep cost a few per cent on a quiet machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Products of matrices are prepared for each shape, and batches have many: of the thousand that
    # are kept else, some take megabytes, and hardly any comes again.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    try:
        _log_to_stderr()
        try:
            app()
        finally:
            sys.stdout.flush()
    except SerError as error:
        _fail(str(error), error.exit_code)
    except SystemExit as stop:
        if stop.code != EXIT_INTERRUPTED:
            raise
        _fail(_INTERRUPTED, EXIT_INTERRUPTED)
    except KeyboardInterrupt:  # before or behind the command itself
        _fail(_INTERRUPTED, EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader of stdout, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _fail(f"the output cannot be written ({error.strerror or error})", SerError.exit_code)


def _fail(message: str, code: int) -> None:
    typer.echo(f"ser: {message}", err=True)
    sys.exit(code)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("ser: %(message)s"))
    for name in ("ser", "embedcache", "heads"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _print_list(lines: dict[str, str]) -> None:
    width = max(map(len, lines))
    for name, line in lines.items():
        typer.echo(f"{name:<{width}}  {line}")


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _paths(texts: list[str] | None) -> list[Path]:
    """Folders, with commas between them unless a folder's own name holds one."""
    return [
        Path(part)
        for text in texts or ()
        for part in ([text] if Path(text).exists() else _names(text))
    ]


def _pairs(option: str, texts: list[str] | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not (key and equals and value):
            raise UsageError(f"{option} '{text}': give KEY=VALUE")
        if "=" in value:
            raise UsageError(f"{option} '{text}': give one KEY=VALUE, and {option} again")
        if pairs.get(key.strip(), value.strip()) != value.strip():
            raise UsageError(f"{option} '{text}': {key.strip()} is given twice")
        pairs[key.strip()] = value.strip()
    return pairs


if __name__ == "__main__":
    main()
