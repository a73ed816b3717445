"""Extraction: a corpus in, a cache on disk out; what is there already is not encoded again.

read the corpus -> load the encoder -> find or make the cache -> identify contents -> plan
-> encode and write the shards that are not there yet -> list what was skipped
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from embedcache.encoders import find_family
from embedcache.errors import SerError
from embedcache.fidelity import measure_fidelity
from embedcache.fill import Job
from embedcache.plugins import find
from embedcache.request import (
    ExtractConfig,
    clip_of,
    find_or_create,
    frames_bytes,
    identify_contents,
    load_requested,
    progress_bar,
    requested_utterances,
)
from embedcache.store import cache as store
from embedcache.store.claims import extracting
from embedcache.store.contents import Content, Key, add_views
from embedcache.store.inventory import take_inventory
from embedcache.store.plan import PlannedShard, add_plan, deal, read_plans
from embedcache.store.reader import CacheReader
from embedcache.store.shard import Skip, complete_checksums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from embedcache.encoders import Encoder, EncoderSpec
    from embedcache.utterance import Utterance

_SHOWN_REASONS = 20  # skipped.jsonl has them all

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What an extraction did.

    Attributes:
        folder: The cache.
        utterances: Number that was asked for; views not counted.
        encoded: Number of contents encoded now.
        encoded_s: Their audio, in seconds.
        skips: Utterances and views of those asked for that have no frames: name, reason.
        pending: Number of shards that other workers still have to write.
        fidelity: Of the cache's frames: see `embedcache.fidelity`; None while it is not complete.
        load_s: Wall-clock seconds until the encoder was ready.
        identify_s: Wall-clock seconds to hash the audio files.
        encode_s: Wall-clock seconds to decode, encode and write.
    """

    folder: Path
    utterances: int
    encoded: int
    encoded_s: float
    skips: list[tuple[str, str]]
    pending: int
    fidelity: Mapping[str, float] | None
    load_s: float
    identify_s: float
    encode_s: float


def extract(config: ExtractConfig) -> Extraction:
    """Run an extraction; run it again to resume it or to add what the corpus has gained.

    Raises:
        UsageError: Something was asked for that does not exist.
        SerError: The corpus cannot be read, or the disk refused.
    """
    with ExitStack() as held:
        return _extract(config, held)


def _extract(config: ExtractConfig, held: ExitStack) -> Extraction:
    started = time.perf_counter()
    find("embedcache.engines", "engine", config.engine)
    find_family(config.encoder)
    corpus, originals = requested_utterances(config, generate=True)
    encoder = load_requested(config)
    loaded = time.perf_counter()
    folder, meta = find_or_create(config, encoder.spec)
    held.enter_context(extracting(folder))
    contents, unreadable = identify_contents(originals, config)
    views = _list_utterances(folder, corpus, originals, contents, config)
    identified = time.perf_counter()
    wanted = add_views(contents, config.views)
    by_id = {content.id: content for content in wanted.values()}
    _plan(folder, by_id, encoder.spec, meta, config)
    ours, others = _share(folder, by_id, config.worker)
    if any(content not in by_id for shard in ours for content, _ in shard.rows):
        # An earlier plan dealt contents beyond --limit, or other views, into these shards.
        everything = add_views(identify_contents(corpus, config)[0], views)
        by_id = {content.id: content for content in everything.values()}
    if ours and meta.layers != encoder.spec.layers:
        encoder = load_requested(replace(config, layers=",".join(meta.layers)))
    engine = find("embedcache.engines", "engine", config.engine).load()
    job = Job(folder=folder, meta=meta, contents=by_id, config=config)
    with progress_bar(sum(len(shard.rows) for shard in ours), "encoding") as bar:
        done = list(engine.run(job, ours, encoder, bar.update))
    with store.locked(folder):
        complete_checksums(folder, meta.key)  # another process may have been killed meanwhile
    asked = {(u.id, view) for u in originals for view in ("", *config.views)}
    skips = [s for s in _list_skipped(folder, unreadable) if (s.utterance_id, s.view) in asked]
    meta = _measure_fidelity(job, encoder)
    return Extraction(
        folder=folder,
        utterances=len(originals),
        encoded=sum(count for count, _ in done),
        encoded_s=sum(seconds for _, seconds in done),
        skips=[(skip.name, skip.reason) for skip in skips],
        pending=len(others),
        fidelity=meta.fidelity,
        load_s=loaded - started,
        identify_s=identified - loaded,
        encode_s=time.perf_counter() - identified,
    )


def run_and_describe(config: ExtractConfig) -> tuple[Path, bool]:
    """Extract, and say on the log what was done; the cache, and whether all of it is there."""
    done = extract(config)
    for reason, names in _by_reason(done.skips)[:_SHOWN_REASONS]:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        _log.warning("not encoded: %s%s: %s", names[0], more, reason)
    speed = ""
    if done.encoded:
        times = done.encoded_s / done.encode_s
        told = f"{times:,.0f}" if times >= 1 else f"{times:.2f}"
        speed = f" ({done.encoded_s / 60:.1f} min of audio, {told} times real time)"
    _log.info(
        "%d utterances: %d contents encoded now%s, %d skipped; start %.1f s, hashing %.1f s, "
        "encoding %.1f s",
        done.utterances,
        done.encoded,
        speed,
        len(done.skips),
        done.load_s,
        done.identify_s,
        done.encode_s,
    )
    if done.fidelity and done.encoded:
        _log.info(
            "fidelity: %d clips encoded again alone in float32 differ from what is stored by %.1e "
            "(root mean square, relative), at most %.1e",
            done.fidelity["clips"],
            done.fidelity["rms"],
            done.fidelity["worst"],
        )
    if done.pending:
        _log.info("%d shards are left to other workers", done.pending)
    return done.folder, not done.skips


def _by_reason(skips: Sequence[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Reasons with the utterances that were skipped for each, the commonest first."""
    names: dict[str, list[str]] = defaultdict(list)
    for name, reason in skips:
        names[reason].append(name)
    return sorted(names.items(), key=lambda item: -len(item[1]))


def _list_utterances(
    folder: Path,
    corpus: Sequence[Utterance],
    originals: Sequence[Utterance],
    contents: Mapping[Key, Content],
    config: ExtractConfig,
) -> list[str]:
    """Write the corpus's list, and give the views in it.

    Utterances beyond --limit, and views that are not asked for now, stay in it.
    """
    asked = {utterance.id for utterance in originals}
    with store.locked(folder):
        listed = store.read_utterances(folder)
        old = {utterance.key: content for utterance, content in listed}
        if old and not {name for name, _ in old} & {u.id for u in corpus}:
            _log.warning(
                "%s listed %d other utterances, none of which is in this --root; give each data "
                "set a name of its own, such as folder:NAME or manifest:NAME",
                folder,
                len(listed),
            )
        views = [
            view for view in dict.fromkeys((*(view for _, view in old), *config.views)) if view
        ]
        known = add_views(contents, views)
        pairs = []
        for view in ("", *views):
            for original in corpus:
                key = original.id, view
                before = old.get(key)
                if original.id in asked:
                    content = known[key].id if key in known else before or ""
                    pairs.append((replace(original, view=view), content))
                elif before is not None:
                    pairs.append((replace(original, view=view), before))
        absolute = ((replace(u, path=u.path.absolute()), content) for u, content in pairs)
        store.write_utterances(folder, absolute)
    return views


def _plan(
    folder: Path,
    by_id: dict[str, Content],
    spec: EncoderSpec,
    meta: store.Meta,
    config: ExtractConfig,
) -> None:
    """Plan what no earlier plan holds; where another process plans first, plan what is left.

    No shard holds two views: whoever reads the originals alone does not open the others. Clips of
    similar length share a shard, since they share batches then and hardly need padding; the longest
    come first, so that what memory does not hold shows at once.
    """
    while new := take_inventory(folder).unplanned(by_id):
        rows: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
        for content in new:
            clip = clip_of(by_id[content], config)
            row = content, clip.utterance.name, frames_bytes(clip, spec, meta.parts)
            rows[clip.utterance.view].append(row)
        for own in rows.values():
            own.sort(key=lambda row: -row[2])  # stable: equal ones stay in the corpus's order
        shard_bytes = round(config.shard_mb * 1e6)
        if add_plan(folder, [shard for own in rows.values() for shard in deal(own, shard_bytes)]):
            return


def _share(
    folder: Path, wanted: dict[str, Content], worker: tuple[int, int]
) -> tuple[list[PlannedShard], list[PlannedShard]]:
    """The pending shards that hold something wanted: this worker's, and the others'.

    Whose a shard is follows from its place in the plans, never from what is done already: workers
    start and end at different times.
    """
    number, count = worker
    mine = {shard.name for shard in read_plans(folder)[number::count]}
    pending = take_inventory(folder).pending
    shards = [s for s in pending if any(content in wanted for content, _ in s.rows)]
    ours = [shard for shard in shards if shard.name in mine]
    return ours, [shard for shard in shards if shard.name not in mine]


def _measure_fidelity(job: Job, encoder: Encoder) -> store.Meta:
    """Measure a cache that has gained rows and misses none; its description, with the figure."""
    state = take_inventory(job.folder)
    rows = len(state.rows)
    if state.pending:
        return replace(job.meta, fidelity=None)
    if job.meta.fidelity and job.meta.fidelity["rows"] == rows:
        return job.meta
    reader = CacheReader(job.folder)
    try:
        found = measure_fidelity(reader, job.contents, rows, encoder, job.config)
    except (SerError, RuntimeError) as error:  # everything is stored: this only tells how well
        _log.warning("the fidelity could not be measured: %s", error)
        found = None
    if found is None:
        return replace(job.meta, fidelity=None)
    with store.locked(job.folder):
        meta = replace(store.read_meta(job.folder), fidelity=asdict(found))
        if len(take_inventory(job.folder).rows) == rows:  # else another process has added some
            store.write_meta(job.folder, meta)
    return meta


def _list_skipped(folder: Path, unreadable: Mapping[Key, str]) -> list[Skip]:
    """Write what of the whole list has no frames, and why."""
    known = take_inventory(folder).skips
    with store.locked(folder):
        before = {(skip.utterance_id, skip.view): skip for skip in store.read_skipped(folder)}
        skips = []
        for utterance, content in store.read_utterances(folder):
            name, view = utterance.key
            if (name, "") in unreadable:
                skips.append(Skip("", name, "io", unreadable[name, ""], view))
            elif not content and (name, view) in before:  # beyond --limit: as it was
                skips.append(before[name, view])
            elif content in known:
                skips.append(replace(known[content], utterance_id=name, view=view))
        store.write_skipped(folder, skips)
    return skips
