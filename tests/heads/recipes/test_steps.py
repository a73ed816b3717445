"""What cannot be is refused before any work, by file and section."""

from __future__ import annotations

from dataclasses import replace

import pytest

from embedcache.errors import SerError, UsageError
from heads.recipes.outlook import count_models, look
from heads.recipes.reading import read_recipe
from heads.recipes.steps import Places, make_steps

REFUSED = {
    "corpus": ("corpus=", "unknown corpus 'foldr': did you mean 'folder'"),
    "head": ("train-head.head=mpl", "unknown head 'mpl': did you mean 'mlp'"),
    "no head": ("train-head.head=,", "--head is empty"),
    "setting": ("train-head.set.epoch=1", "unknown key in --set 'epoch': did you mean 'epochs'"),
    "value": ("train-head.set.lr=fast", "--set lr=fast: give a value of type float"),
    "loss": ("train-head.loss=kll", "unknown loss 'kll': did you mean 'kl'"),
    "weights": ("train-head.class-weights=even", "unknown class-weights 'even'"),
    "protocol": ("train-head.protocol=loso", "unknown protocol 'loso'"),
    "corpora": ("train-head.protocol=cross-corpus", "and a recipe is of one"),
    "label set": ("train-head.label-set=folder-4", "unknown label set 'folder-4'"),
    "labels": ("train-head.labels=fuzzy", "unknown --labels 'fuzzy'"),
    "target": ("train-head.target=valence", "unknown --target 'valence'"),
    "share": ("train-head.1.test=2", "--test 2: give a share above 0 and below 1"),
    "one share": ("train-head.2.test=0.2", "--test 0.2: give --val too"),
    "folds": ("train-head.2.folds=all", "--folds all: give a number, or 'speakers'"),
    "standardise": ("train-head.standardise=me", "unknown --standardise 'me'"),
    "views": ("train-head.views=pitch=2", r"\[extract\] makes no pitch=2, but speed=0.9"),
    "no view": ("train-head.views=sped=2", "unknown augmentation 'sped': did you mean 'speed'"),
    "view": ("extract.augment.speed=9", "augment speed=9: give a number from 0.5 to 2"),
    "normalise": ("extract.normalise=loud", "--normalise loud: give peak or rms or lufs"),
    "length": ("extract.fix-seconds=0", "--fix-seconds 0: give a number from 0.1 to 3600"),
    "one layer": (
        "extract.layers=3",
        r"\[extract\]: --layers '3': logmel has one layer; give last",
    ),
    "layer": ("train-head.layer=3", r"layer = '3': \[extract\] stores layers last; give one of"),
    "dtype": ("extract.dtype=int4", "--dtype int4: logmel computes in float32 only"),
    "stored": ("extract.store-dtype=int4", "--store-dtype int4: give float16, float32 or int8"),
    "limit": ("extract.limit=-1", "--limit -1: give 1 or more"),
    "metric": ("compare.metric=uaa", r"\[compare\]: unknown metric 'uaa': did you mean 'ua'"),
    "format": ("compare.format=xml", "unknown --format 'xml'"),
    "bias": ("bias.by=,", r"\[bias\]: by is empty; give columns"),
    "whose": ("bias.run=mha", "unknown run 'mha'"),
    "seeds": ("train-head.seeds=0", "--seeds 0: give 1 to 1000"),
    "ambiguous": ("train-head.ambiguous=drop", "--ambiguous drop: give keep, weight, or drop=SHA"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_with_file_and_section(mine, tmp_path, case) -> None:
    change, text = REFUSED[case]
    corpus = "foldr" if case == "corpus" else None
    recipe_of = {"changes": [] if case == "corpus" else [change], "corpus": corpus}
    with pytest.raises(UsageError, match=text) as caught:
        make_steps(read_recipe(mine, **recipe_of), Places(root=tmp_path / "clips"))
    assert str(caught.value).startswith(f"{mine}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("corpus", "encoder", "text"),
    [
        ("ravdess,emodb", None, "a recipe is of one corpus; `ser train-head` takes several"),
        ("ravdess:x", None, "ravdess is one corpus and takes no name"),
        (None, "logmell", "unknown encoder 'logmell': did you mean 'logmel'"),
        (None, "./nowhere", "there is no such folder"),
    ],
)
def test_what_the_command_line_says_is_checked_too(mine, tmp_path, corpus, encoder, text) -> None:
    with pytest.raises(UsageError, match=text):
        make_steps(read_recipe(mine, (), corpus, encoder), Places(root=tmp_path))


def test_layers_that_are_not_stored_are_refused(mine, tmp_path) -> None:
    def steps(layers, layer):
        changes = [f"extract.layers={layers}", f"train-head.layer={layer}"]
        recipe = read_recipe(mine, changes, None, "random:wav2vec2-tiny")
        return make_steps(recipe, Places(root=tmp_path / "clips"))

    with pytest.raises(UsageError, match=r"layer = '9': \[extract\] stores layers 6,12; give one"):
        steps("6,12", "9")
    with pytest.raises(UsageError, match="layers = 'first': give last, all, or numbers"):
        steps("first", "last")
    for layer in ("6", "best", "weighted"):
        assert steps("6,12", layer).train
    # How deep it is only the encoder tells, and it is asked before anything is encoded.
    assert look(steps("last", "2"), generate=False)
    assert look(steps("all", "1"), generate=False)
    with pytest.raises(UsageError, match=r"1: layer = '3': .* stores layers 0, 1, 2 of random:wav"):
        look(steps("all", "3"), generate=False)


def test_bias_of_dimensions_is_refused(mine, tmp_path) -> None:
    with pytest.raises(UsageError, match="no \\[\\[train-head\\]\\] learns emotions"):
        make_steps(read_recipe(mine, ["train-head.target=dimensions"]), Places(root=tmp_path))


def test_a_head_that_is_not_named_is_refused(mine, tmp_path) -> None:
    mine.write_text(mine.read_text().replace('head = "mlp"', ""))
    with pytest.raises(UsageError, match=r"\[\[train-head\]\] 2: head lacks; write head = \.\.\."):
        make_steps(read_recipe(mine), Places(root=tmp_path))


TUNED = """
summary = "an encoder that is tuned"
corpus = "folder:mine"
encoder = "random:wav2vec2-tiny"

[finetune]
head = "mlp"
protocol = "random"
test = 0.2
val = 0.2
all-folds = true

[train-head]
head = "svm"
protocol = "random"
test = 0.2
val = 0.2
"""


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            "train-head.protocol=speaker",
            r"\[train-head\]: no \[\[finetune\]\] makes its folds \(speak",
        ),
        ("train-head.seed=1", r"no \[\[finetune\]\] makes its folds \(random, test 0.2, seed 1\)"),
        ("train-head.map.angry=cross", "the same protocol, folds, test, val, seed and labels"),
        ("finetune.all-folds=false", r"\[finetune\]: --folds, --test and --val make folds"),
        ("finetune.head=svm", "head svm and encoder random:wav2vec2-tiny cannot be tuned together"),
        ("finetune.head=mlp,mha", "--head mlp,mha: fine-tuning takes one head"),
        ("finetune.unfreeze=half", "--unfreeze half: give a number of transformer layers"),
        ("finetune.set.lrr=1", "unknown key in --set for fine-tuning with mlp 'lrr': did you mean"),
        ("finetune.loss=kll", "unknown loss 'kll'"),
        ("finetune.seeds=3", "unknown key 'seeds': did you mean 'seed'"),
        ("finetune.fix-seconds=3", "unknown key 'fix-seconds'"),
    ],
)
def test_what_cannot_be_tuned_is_refused(tmp_path, change, text) -> None:
    file = tmp_path / "tuned.toml"
    file.write_text(TUNED, encoding="utf-8")
    places = Places(root=tmp_path)
    assert make_steps(read_recipe(file), places).train[0].tuned == 0
    with pytest.raises(UsageError, match=text):
        make_steps(read_recipe(file, [change]), places)


def test_folds_without_a_checkpoint_are_refused(tmp_path) -> None:
    file = tmp_path / "tuned.toml"
    text = TUNED.replace("test = 0.2\nval = 0.2\n", "").replace("all-folds = true\n", "")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"\[finetune\]: all-folds lacks: without a checkpoint"):
        make_steps(read_recipe(file), Places(root=tmp_path))


def test_an_encoder_that_cannot_be_tuned_is_refused(tmp_path) -> None:
    file = tmp_path / "tuned.toml"
    file.write_text(TUNED, encoding="utf-8")
    with pytest.raises(UsageError, match="head mlp and encoder logmel cannot be tuned together"):
        make_steps(read_recipe(file, (), None, "logmel"), Places(root=tmp_path))


CORPUS = {
    "sentences": ("train-head.protocol=sentence", "name no sentence; add a sentence column"),
    "official": ("train-head.2.protocol=official", "folder:mine has no published folds"),
    "folds": ("train-head.2.folds=9", "--folds 9: there are 6 speakers; give at most 6"),
    "both": ("train-head.1.folds=3", "give a number of folds, or the shares of one split"),
    "votes": ("train-head.labels=soft", "this corpus has no votes; use --labels hard"),
    "map": ("train-head.map.angri=x", "unknown label in --map 'angri': did you mean 'angry'"),
    "column": ("bias.by=gender", "the corpus has no column gender; there are: speaker"),
    "balance": ("train-head.balance=gender", "in a column 'gender'; there are: speaker"),
    "worst group": ("train-head.worst-group=age", "in a column 'age'; there are: speaker"),
    "class": ("train-head.drop=sad", "classes that are left: angry"),
}


@pytest.mark.parametrize("case", CORPUS)
def test_what_the_corpus_does_not_have_is_refused_before_it_is_encoded(
    mine, tmp_path, run, case
) -> None:
    change, text = CORPUS[case]
    steps = make_steps(read_recipe(mine, [change]), Places(root=tmp_path / "clips"))
    with pytest.raises(SerError, match=text) as caught:
        look(steps, generate=False)
    assert str(caught.value).startswith(f"{mine}: [")
    done = run("run", mine, "--root", "clips", "--set", change)
    assert (done.code, done.out) == (caught.value.exit_code, "")
    assert text.replace("\\", "") in done.err
    assert not (tmp_path / "cache").exists()


def test_speakers_that_are_not_known_are_told(mine, tmp_path) -> None:
    clips = tmp_path / "clips"
    for path in sorted(clips.rglob("*.wav")):
        path.rename(path.parent.parent / path.name)
    steps = make_steps(read_recipe(mine, ["bias.by=speaker"]), Places(root=clips))
    single = replace(steps, train=steps.train[:1])
    with pytest.raises(UsageError, match="the corpus has no column speaker"):
        look(single, generate=False)
    speakers = ["train-head.1.standardise=speaker"]
    steps = make_steps(read_recipe(mine, speakers), Places(root=clips))
    with pytest.raises(UsageError, match="standardise = 'speaker', and not all utterances name"):
        look(replace(steps, train=steps.train[:1]), generate=False)


def test_speakers_that_are_partly_known_are_told(mine, tmp_path) -> None:
    clips = tmp_path / "clips"
    first = min(clips.rglob("*.wav"))
    first.rename(first.parent.parent / first.name)
    steps = make_steps(read_recipe(mine), Places(root=clips))
    with pytest.raises(UsageError, match="1 of 24 utterances name no speaker, and every interval"):
        look(replace(steps, train=()), generate=False)


def test_models_are_folds_times_seeds_times_what_is_tried(mine, tmp_path) -> None:
    changes = ["train-head.set.lr=1e-3,1e-2", "train-head.layer=best"]
    steps = make_steps(read_recipe(mine, changes), Places(root=tmp_path / "clips"))
    first, second = look(steps, generate=False)
    assert (first.folds, second.folds, first.utterances, first.classes) == (1, 3, 24, 2)
    config = steps.train[1].config
    assert count_models(config, "mlp", second.folds, layers=3) == 3 * 2 * 2 * 3
    assert count_models(replace(config, settings={}), "svm", second.folds, layers=1) == 3
