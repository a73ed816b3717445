"""The guard against encoders that were trained on what a fold tests."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from embedcache.errors import SerError
from embedcache.seen import FoldOf, Seen, write_cache_record
from embedcache.store.cache import write_utterances
from embedcache.store.reader import CacheReader
from heads.analysis.leaderboard import notes
from heads.experiment import run_heads
from heads.pool import PooledReader, corpora_of
from heads.train.leakage import Leak, serve
from heads.train.prepare import prepare
from tests.heads.boards import board_text
from tests.heads.conftest import CORPUS
from tests.heads.fold_caches import PROTOCOL, content_of, save_folds, seen_of

MEMORY = "the score would be of memory, not of recognition"


@pytest.fixture
def cache(tmp_path, planted, write_cache):
    """A cache whose encoder has seen what the test says."""
    write_cache(tmp_path / "cache", *planted, family="huggingface", encoder="me/mine", trained=True)
    return tmp_path / "cache"


def served(reader, data, allow=False):
    return serve(reader, data.utterances, corpora_of(data.utterances, reader), data.folds, allow)


def who_is_tested(data, number):
    return [data.utterances[i] for i in data.folds[number].test]


def who_is_not(data, number):
    fold = data.folds[number]
    return [data.utterances[i] for i in (*fold.train, *fold.val)]


# What counts


def test_where_nothing_is_known_one_cache_serves_all_folds(cache, run_config, caplog):
    data = prepare(run_config(cache=cache))
    (source,) = data.sources
    assert (source.reader, source.folds) == (data.reader, [0, 1, 2, 3])
    assert data.seen is None and data.protocol["contamination"] is None
    assert "trained on" not in caplog.text


@pytest.mark.parametrize("protocol", ["speaker", "session", "random"])
@pytest.mark.parametrize("seed", range(4))
def test_contamination_is_counted_to_the_last_clip(cache, planted, run_config, protocol, seed):
    """Against counting by hand, whatever speakers and recordings an encoder has seen."""
    rng = np.random.default_rng(seed)
    everyone = planted[0]
    speakers = {u.speaker for u in everyone if rng.random() < 0.02}
    heard = [content_of(u) for u in everyone if rng.random() < 0.1]
    write_cache_record(cache, Seen(corpora=(CORPUS,), speakers=tuple(speakers),
                                   contents=tuple(heard)))  # fmt: skip
    data = prepare(run_config(cache=cache, protocol=protocol, folds=None, allow_leakage=True))
    folds, names, recordings = [], set(), 0
    for number in range(len(data.folds)):
        mine = {u.speaker for u in who_is_tested(data, number)} & speakers
        mine -= {u.speaker for u in who_is_not(data, number)}
        count = len({content_of(u) for u in who_is_tested(data, number)} & set(heard))
        folds += [number] * bool(mine or count)
        names |= mine
        recordings += count
    assert recordings == len(heard), "every clip is tested once"
    assert not (protocol == "random" and names), "its speakers are shared, encoder or not"
    expected = {"folds": folds, "speakers": sorted(names), "recordings": recordings, "corpora": []}
    assert data.protocol["contamination"] == expected


def test_a_speaker_alone_is_enough(cache, run_config):
    """Other recordings of a tested speaker teach an encoder the voice."""
    write_cache_record(cache, Seen(corpora=("other",), speakers=("planted/s3", "other/s1")))
    data = prepare(run_config(cache=cache, allow_leakage=True))
    (number,) = [k for k in range(4) if "planted/s3" in {u.speaker for u in who_is_tested(data, k)}]
    assert data.protocol["contamination"]["folds"] == [number]
    text = (
        rf"fold {number} tests 1 speaker \(planted/s3\), which me/mine was trained on: {MEMORY}; "
        "fine-tune one checkpoint per fold with `ser finetune --all-folds`, test on other data, or "
        "give --allow-leakage, which marks the run as contaminated"
    )
    with pytest.raises(SerError, match=text):
        prepare(run_config(cache=cache))


def test_so_is_a_recording_of_nobody(cache, run_config, caplog):
    write_cache_record(cache, Seen(corpora=("x",), contents=("content of s2-07", "another")))
    with pytest.raises(SerError, match=r"fold \d tests 1 recording, which me/mine was trained on"):
        prepare(run_config(cache=cache))
    found = prepare(run_config(cache=cache, allow_leakage=True)).protocol["contamination"]
    assert (found["speakers"], found["recordings"], len(found["folds"])) == ([], 1, 1)
    assert (
        "tests 1 recording, which me/mine was trained on: the run is marked as cont" in caplog.text
    )


def test_and_a_corpus_of_which_no_more_is_known(tmp_path, planted, write_cache, run_config):
    """A published encoder's table names corpora alone; other names of a corpus are known."""
    known = "ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition"
    config = run_config(settings={"epochs": "1"})
    for corpus, encoder, leaks in (
        ("ravdess", known, True),
        ("ravdess_song", known, True),
        ("tess", known, False),
        ("ravdess", "facebook/wav2vec2-base", False),
    ):
        cache = write_cache(tmp_path / f"{corpus}-{leaks}", *planted, corpus=corpus,
                            family="huggingface", encoder=encoder, trained=True)  # fmt: skip
        asked = replace(config, cache=cache, corpus=corpus)
        if not leaks:
            assert prepare(asked).protocol["contamination"] is None
            continue
        text = f"fold 0 tests the corpus {corpus}, which {known} was trained on"
        with pytest.raises(SerError, match=text):
            prepare(asked)
        found = prepare(replace(asked, allow_leakage=True)).protocol["contamination"]
        assert found == {"folds": [0, 1, 2, 3], "speakers": [], "recordings": 0,
                         "corpora": [corpus]}  # fmt: skip


def test_training_further_on_others_makes_no_encoder_forget(cache, run_config):
    """The first corpus is known by its name alone, the second one by its speakers."""
    before = Seen(corpora=(CORPUS,), source="a table")
    own = Seen(corpora=("emodb",), speakers=("emodb/03",), contents=("00ff",))
    write_cache_record(cache, own)
    assert prepare(run_config(cache=cache)).protocol["contamination"] is None
    write_cache_record(cache, before | own)
    with pytest.raises(SerError, match=f"fold 0 tests the corpus {CORPUS}, which me/mine was"):
        prepare(run_config(cache=cache))


def test_recordings_that_the_protocol_itself_shares_do_not_count(cache, planted, run_config):
    """Two clips with one content, one tested and the other trained on: no encoder's fault."""
    utterances = planted[0]
    data = prepare(run_config(cache=cache, protocol="random", folds=2))
    first, second = (int(fold.test[0]) for fold in data.folds)
    contents = [content_of(u) for u in utterances]
    contents[second] = contents[first]
    write_utterances(cache, zip(utterances, contents, strict=True))
    reader = CacheReader(cache)
    heard = {reader.content_id(u.id) for u in who_is_not(data, 0)}
    assert contents[first] in heard
    write_cache_record(cache, Seen(corpora=(CORPUS,), contents=tuple(heard)))
    assert served(reader, data, allow=True).contamination["folds"] == [1]


@pytest.mark.parametrize(
    ("leak", "words"),
    [
        (Leak(["a"]), "1 speaker (a)"),
        (Leak(["a", "b", "c"], 1), "3 speakers (a, b, c) and 1 recording"),
        (Leak(list("abcde"), 7), "5 speakers (a, b, c and 2 more) and 7 recordings"),
        (Leak([], 2), "2 recordings"),
        (Leak([], 0, ["tess", "ravdess"]), "the corpus tess and ravdess"),
        (Leak([], 1, ["tess"]), "1 recording and the corpus tess"),
    ],
)
def test_leaks_in_words(leak, words):
    assert leak.told == words and leak
    assert not Leak()


# One checkpoint for each fold


@pytest.mark.parametrize("seed", range(5))
def test_each_fold_gets_the_checkpoint_that_left_it_untouched(tmp_path, planted, run_config, seed):
    """However the checkpoints are numbered."""
    folds = prepare(run_config()).folds
    order = np.random.default_rng(seed).permutation(4).tolist()
    paths = save_folds(tmp_path, planted[0], folds, order)
    data = prepare(run_config(cache=paths))
    assert data.protocol["contamination"] is None
    found = {number: s.reader.path for s in data.sources for number in s.folds}
    assert found == {order[k]: paths[k] for k in range(4)}
    told = {str(order[k]): f"checkpoints/x/fold{k}" for k in range(4)}
    assert data.seen["checkpoints"] == told
    assert (data.seen["speakers"], data.seen["recordings"]) == (8, 96), "of all taken together"
    for source in data.sources:
        record = json.loads((source.reader.path / "encoder.json").read_text())["seen"]
        (number,) = source.folds
        assert not {u.speaker for u in who_is_tested(data, number)} & set(record["speakers"])


def test_of_several_that_fit_the_folds_own_is_taken(tmp_path, planted, run_config):
    folds = prepare(run_config()).folds
    paths = save_folds(tmp_path, planted[0], folds)
    for k, path in enumerate(paths):
        place = FoldOf(name="x", fold=k, count=4, protocol=PROTOCOL)
        write_cache_record(path, Seen(corpora=("other",), speakers=("other/1",), fold=place))
    data = prepare(run_config(cache=paths))
    assert [source.folds for source in data.sources] == [[0], [1], [2], [3]]
    assert [source.reader.path for source in data.sources] == paths


def test_where_none_fits_the_protocol_that_made_them_is_told(tmp_path, planted, run_config):
    """Folds of another seed: every checkpoint has seen some of every test part."""
    folds = prepare(run_config(seed=5)).folds
    paths = save_folds(tmp_path, planted[0], folds, protocol="--corpus a --seed 5")
    text = (
        rf"fold \d tests .* speakers? \(.*\) and \d+ recordings, which checkpoints/x was trained "
        rf"on: {MEMORY}; give the same folds again, which were made with `--corpus a --seed 5`, "
        "from an encoder that has not seen what they test, or "
    )
    with pytest.raises(SerError, match=text):
        prepare(run_config(cache=paths))
    assert prepare(run_config(cache=paths, seed=5)).protocol["contamination"] is None
    data = prepare(run_config(cache=paths, allow_leakage=True))
    expected = {"folds": [], "speakers": set(), "recordings": 0}
    known = [others_of(folds, k, planted[0]) for k in range(4)]
    for number in range(4):
        mine = [{u.id for u in who_is_tested(data, number)} & ids for ids in known]
        if all(mine):
            expected["folds"].append(number)
            expected["speakers"] |= {f"planted/{name.split('-')[0]}" for name in mine[number]}
            expected["recordings"] += len(mine[number])
    found = data.protocol["contamination"]
    assert expected["folds"] and found["folds"] == expected["folds"]
    assert found["speakers"] == sorted(expected["speakers"])
    assert found["recordings"] == expected["recordings"]


def others_of(folds, number, utterances):
    return {utterances[i].id for i in (*folds[number].train, *folds[number].val)}


def test_one_checkpoint_alone_is_refused_and_its_folder_named(tmp_path, planted, run_config):
    paths = save_folds(tmp_path, planted[0], prepare(run_config()).folds)
    text = (
        r"fold 1 tests 2 speakers \(.*\) and 24 recordings, which checkpoints/x/fold0 was trained "
        rf"on: {MEMORY}; use its folder of all folds \(--encoder checkpoints/x\), which were made "
        f"with `{PROTOCOL}`, from an encoder that has not seen what they test, or give --allow-l"
    )
    with pytest.raises(SerError, match=text):
        prepare(run_config(cache=paths[0]))
    found = prepare(run_config(cache=paths[0], allow_leakage=True)).protocol["contamination"]
    assert (found["folds"], found["recordings"], len(found["speakers"])) == ([1, 2, 3], 72, 6)


# Silence, damage, several corpora


def test_silence_is_said_and_lets_the_run_go_on(cache, run_config, caplog):
    write_cache_record(cache, None)
    data = prepare(run_config(cache=cache))
    assert data.seen["complete"] is False and data.protocol["contamination"] is None
    (told,) = [r.getMessage() for r in caplog.records if "does not tell" in r.getMessage()]
    assert told == (
        "me/mine does not tell what it was trained on: whether it has heard the speakers or clips "
        "of a test part cannot be checked"
    )


def test_a_damaged_record_lets_nothing_through(cache, run_config):
    write_cache_record(cache, seen_of([]))
    file = cache / "encoder.json"
    file.write_bytes(file.read_bytes()[:-9])
    for allowed in (False, True):
        with pytest.raises(SerError, match=f"{file} is damaged .*nobody knows what the encoder"):
            prepare(run_config(cache=cache, allow_leakage=allowed))


def test_of_several_corpora_each_cache_tells_its_own(tmp_path, write_corpora, run_config, caplog):
    """And which of them an encoder has heard is told by name."""
    names = ("one", "two", "three")
    write_corpora(tmp_path, names, family="huggingface", encoder="me/mine", trained=True)
    readers = [CacheReader(tmp_path / f"manifest-{name}/logmel-0") for name in names]
    write_cache_record(readers[0].path, Seen(corpora=("manifest:two",)))
    write_cache_record(readers[2].path, None)
    reader = PooledReader(readers)
    corpora = ",".join(f"manifest:{name}" for name in names)
    config = run_config(cache=None, cache_dir=tmp_path, corpus=corpora, folds=None,
                        protocol="cross-corpus")  # fmt: skip
    with pytest.raises(SerError, match="fold 1 tests the corpus manifest:two, which me/mine was"):
        prepare(config)
    data = prepare(replace(config, allow_leakage=True))
    assert data.protocol["contamination"]["folds"] == [1]
    assert data.protocol["contamination"]["corpora"] == ["manifest:two"]
    assert caplog.text.count("does not tell") == 2, "the third cache's, at each of two tries"
    write_cache_record(readers[0].path, Seen(corpora=("x",), speakers=("three/s1", "one/s0")))
    found = served(reader, data, allow=True).contamination
    assert (found["folds"], found["speakers"]) == ([0, 2], ["one/s0", "three/s1"])


# Wherever a run is shown


def test_a_contaminated_run_says_so_wherever_it_is_shown(
    tmp_path, planted, run_config, read_results
):
    paths = save_folds(tmp_path / "caches", planted[0], prepare(run_config()).folds)
    quick = {"seeds": 1, "settings": {"epochs": "1"}}
    config = run_config(cache=paths[2], allow_leakage=True, **quick)
    run = next(run_heads(config, tmp_path / "results"))
    results = read_results(run)
    told = "CONTAMINATED: the encoder was trained on 6 speakers and 72 recordings of the test parts"
    assert told in notes(results)
    assert "encoder not pretrained" in notes(results)
    honest = next(run_heads(run_config(cache=paths, **quick), tmp_path / "results"))
    assert not [note for note in notes(read_results(honest)) if "CONTAMINATED" in note]
    assert honest.name != run.name
    for form in ("table", "md", "csv", "json"):
        text = board_text([run, honest], form=form)
        assert text.count(told) == 1, form
