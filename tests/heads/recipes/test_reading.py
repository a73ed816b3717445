"""What a recipe must not say is told in one sentence that names file and key."""

from __future__ import annotations

import pytest

from embedcache.errors import SerError, UsageError
from heads.recipes import find_recipe, load
from heads.recipes.reading import read_recipe
from tests.heads.recipes.conftest import MINE

CASES = {
    "section": ("[extract]", "[extrac]", "unknown section or key 'extrac': did you mean 'extract'"),
    "key": (
        "seeds = 1",
        "sed = 1",
        r"\[\[train-head\]\] 1: unknown key 'sed': did you mean 'seed'",
    ),
    "type": ("seeds = 1", 'seeds = "one"', r"\[\[train-head\]\] 1: seeds = 'one': give a whole nu"),
    "truth": ("seeds = 1", "seeds = true", "seeds = true: give a whole number"),
    "number": ("test = 0.2", 'test = "much"', "test = 'much': give a number"),
    "names": ('by = "speaker"', "by = 3", r"\[bias\]: by = 3: give names, as in"),
    "name": ('["mlp", "attention"]', "[1]", r"head = \[1\]: give names"),
    "table": ("{ speed = [0.9] }", '"speed=0.9"', "augment = 'speed=0.9': give a table, as in"),
    "value": ("{ speed = [0.9] }", "{ speed = [] }", "give a table, as in"),
    "text": ('"logmel"', "3", "encoder = 3: give text"),
    "flag": ("[extract]", '[extract]\ntrim = "yes"', "trim = 'yes': give true or false"),
    "top": ("[extract]", '[extract]\nencoder = "lld"', "encoder is one for all sections; write it"),
    "no corpus": ('corpus = "folder:mine"', "", "corpus lacks; write corpus = ... above the first"),
    "no section": ("[[train-head]]", "[[train-hed]]", "did you mean 'train-head'"),
    "twice": (
        "[extract]",
        "[[extract]]\n[[extract]]",
        r"\[extract\] stands 2 times; write it once",
    ),
    "flat": ('summary = "two', 'bias = "speaker"\nsummary = "two', "bias is a section; write"),
    "toml": ("[extract]", "[extract", "is no TOML: .*line 6"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_with_file_and_key(tmp_path, case) -> None:
    old, new, text = CASES[case]
    assert old in MINE
    changed = MINE.replace(old, new, 1)
    if case == "flat":
        changed = changed.replace('[[bias]]\nby = "speaker"\n', "")
    path = tmp_path / "mine.toml"
    path.write_text(changed, encoding="utf-8")
    with pytest.raises(UsageError, match=text) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_training_there_is_no_experiment(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('summary = "s"\ncorpus = "urdu"\nencoder = "lld"\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"there is no \[\[train-head\]\]; write one for each"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("seeds=1", "give SECTION.KEY=VALUE, as in train-head.seeds=1"),
        ("train-head.seeds", "give SECTION.KEY=VALUE"),
        ("train.seeds=1", "unknown section 'train': did you mean 'train-head'"),
        ("train-head.sedes=1", "unknown key 'sedes': did you mean 'seeds'"),
        ("train-head.3.seeds=1", r"there are 2 sections \[\[train-head\]\], numbered from 1"),
        ("train-head.seeds=x", "seeds = 'x': give a whole number"),
        ("train-head.seeds.x=1", "seeds holds no pairs; give train-head.seeds=VALUE"),
        ("train-head.set=1", "set holds pairs; give train-head.set.KEY=VALUE"),
        ("extract.trim=yes", "trim = 'yes': give true or false"),
        ("extract.corpus=urdu", "corpus is one for all sections"),
        ("finetune.lr=1", r"the recipe has no \[\[finetune\]\]"),
    ],
)
def test_a_wrong_change_is_told(mine, change, text) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        read_recipe(mine, [change])
    assert str(caught.value).startswith(f"--set {change}: ")


def test_a_change_is_of_all_sections_of_a_name_or_of_one(mine) -> None:
    changes = ["train-head.seeds=7", "train-head.2.set.epochs=9", "train-head.set.mlp.hidden=4"]
    first, second = read_recipe(mine, changes).train_head
    assert (first.values["seeds"], second.values["seeds"]) == (7, 7)
    assert first.values["set"] == {"epochs": "2", "hidden": "8", "mlp.hidden": "4"}
    assert second.values["set"] == {"epochs": "9", "hidden": "8", "mlp.hidden": "4"}


def test_a_setting_for_all_heads_takes_the_place_of_those_for_one(mine) -> None:
    changes = [
        "train-head.set.mlp.epochs=9",
        "train-head.set.mlp.lr=0.1",
        "train-head.set.epochs=1",
    ]
    first, _ = read_recipe(mine, changes).train_head
    assert first.values["set"] == {"hidden": "8", "mlp.lr": "0.1", "epochs": "1"}


def test_a_section_that_the_file_lacks_can_be_changed(tmp_path) -> None:
    path = tmp_path / "least.toml"
    path.write_text(
        'summary = "s"\ncorpus = "urdu"\nencoder = "lld"\n[train-head]\nhead = "mlp"\n',
        encoding="utf-8",
    )
    recipe = read_recipe(path, ["extract.limit=8", "compare.metric=wa"], "folder:x", "mfcc")
    assert recipe.extract.values == {"limit": 8}
    assert recipe.compare.values == {"metric": "wa"}
    assert (recipe.corpus, recipe.encoder) == ("folder:x", "mfcc")
    assert [section.number for section in recipe.train_head] == [0]


def test_settings_of_one_head_are_tables(tmp_path, mine) -> None:
    text = mine.read_text().replace(
        '{ epochs = 2, hidden = "8" }', '{ lr = [1e-3, 3e-3], mlp.hidden = "8-4" }', 1
    )
    mine.write_text(text)
    assert read_recipe(mine).train_head[0].values["set"] == {
        "lr": "0.001,0.003",
        "mlp.hidden": "8-4",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scratch-ravdes", "unknown recipe 'scratch-ravdes': did you mean 'scratch-ravdess'"),
        ("no.toml", "there is no recipe no.toml; give a file, or one of `ser recipes`"),
        ("some/where", "there is no recipe some/where"),
    ],
)
def test_an_unknown_recipe_is_told(name, text) -> None:
    with pytest.raises(UsageError, match=text):
        find_recipe(name)


def test_a_file_that_cannot_be_read_is_told(tmp_path) -> None:
    (tmp_path / "latin.toml").write_bytes('summary = "é"'.encode("latin-1"))
    with pytest.raises(UsageError, match=r"latin.toml is no text in UTF-8"):
        load(tmp_path / "latin.toml")
    with pytest.raises(SerError, match=r"cannot be read \(Is a directory\)"):
        load(tmp_path)
