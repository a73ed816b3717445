from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from embedcache.encoders import load_encoder, load_tunable
from embedcache.errors import SerError, UsageError
from embedcache.extract import extract
from embedcache.request import ExtractConfig, per_encoder
from embedcache.seen import Seen, seen_by_checkpoint
from heads.finetune.run import finetune
from heads.train.config import RunConfig
from heads.train.prepare import prepare
from heads.train.run import train_runs


@pytest.fixture
def cached(finetuning, tmp_path, tones):
    """Caches of the tones by an encoder, and the configuration of heads on them."""

    def make(encoder, **changes):
        request = ExtractConfig(
            corpus="folder", root=tones, encoder=str(encoder), cache_dir=tmp_path / "cache",
            device="cpu",
        )  # fmt: skip
        for one in per_encoder(request):
            extract(one)
        return RunConfig(
            **{
                "heads": ["linear"], "corpus": "folder", "encoder": str(encoder), "folds": 3,
                "cache_dir": tmp_path / "cache", "seeds": 1, "settings": {"epochs": "2"},
                "device": "cpu", **changes,
            }
        )  # fmt: skip

    return make


def seen_of(folder) -> Seen:
    found = seen_by_checkpoint(str(folder))
    assert found is not None
    return found


def test_each_folds_checkpoint_has_seen_all_but_its_test_part(finetuning, cached):
    folder = finetune(finetuning())
    data = prepare(cached(folder))
    assert [source.folds for source in data.sources] == [[0], [1], [2]]
    assert data.protocol["contamination"] is None
    for number, fold in enumerate(data.folds):
        seen = seen_of(folder / f"fold{number}")
        used = {*fold.train.tolist(), *fold.val.tolist()}
        assert set(seen.contents) == {data.reader.content_id(data.utterances[i].id) for i in used}
        assert set(seen.speakers) == {data.utterances[i].speaker for i in used}
        assert seen.base == "random:wav2vec2-tiny" and seen.pretrained is False
        assert (
            f"checkpoints/{folder.name}/fold{number}" in data.sources[number].reader.meta.encoder_id
        )


def test_one_command_trains_heads_on_frames_fold_by_fold(finetuning, cached):
    folder = finetune(finetuning(settings={"epochs": "6", "lr": "3e-3"}))
    (run,) = train_runs(cached(folder, settings={"epochs": "40"}))
    results = run.results
    assert results["protocol"]["speaker_overlap"] == 0
    assert results["cache"]["encoder"]["seen"]["checkpoints"] == {
        str(k): str(folder / f"fold{k}") for k in range(3)
    }
    assert results["metrics"]["ua"]["mean"] > 0.8  # it can be heard, on speakers that nobody saw


def test_heads_are_not_tested_on_what_one_checkpoint_was_trained_on(finetuning, cached):
    folder = finetune(finetuning(all_folds=False, folds=None))
    everyone = seen_of(folder)
    assert len(everyone.speakers) == 6 and len(everyone.contents) == 36 and everyone.fold is None
    config = cached(folder)
    text = (
        r"fold 0 tests 2 speakers \(folder/s., folder/s.\) and 12 recordings, which .* trained on"
    )
    with pytest.raises(SerError, match=text):
        prepare(config)
    (run,) = train_runs(replace(config, allow_leakage=True))
    assert run.results["protocol"]["contamination"] == {
        "folds": [0, 1, 2],
        "speakers": [f"folder/s{k}" for k in range(6)],
        "recordings": 36,
        "corpora": [],
    }


def test_other_folds_than_the_checkpoints_are_refused_and_told(finetuning, cached):
    folder = finetune(finetuning())
    config = cached(folder, seed=1)
    try:
        data = prepare(config)  # where every fold has a checkpoint that did not see it after all
    except SerError as error:
        assert "--protocol speaker --folds 3 --seed 0" in str(error)
        return
    for source in data.sources:
        (number,) = source.folds
        tested = {data.utterances[i].speaker for i in data.folds[number].test}
        assert not tested & set(seen_of(source.reader.meta.encoder_id).speakers)


def test_a_fold_that_was_not_made_is_named(finetuning, cached):
    one = finetune(finetuning(all_folds=False, fold=1))
    assert one.name == "fold1"
    with pytest.raises(UsageError, match=r"lacks the checkpoint of fold 0, 2 of 3; make it with"):
        cached(one.parent)
    for number in (0, 2):
        finetune(finetuning(all_folds=False, fold=number))
    assert len(prepare(cached(one.parent)).sources) == 3
    with pytest.raises(UsageError, match="--fold 3: there are 3; give 0 to 2"):
        finetune(finetuning(all_folds=False, fold=3))


def test_a_checkpoint_is_a_hugging_face_folder(finetuning):
    from transformers import AutoFeatureExtractor, AutoModel

    folder = finetune(finetuning(all_folds=False, folds=None, unfreeze="1"))
    model, info = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    AutoFeatureExtractor.from_pretrained(folder)
    base = load_tunable("random:wav2vec2-tiny", "cpu", "auto")._model.state_dict()
    moved = {n for n, t in model.state_dict().items() if not torch.equal(t, base[n])}
    assert moved and all(name.startswith("encoder.layers.1.") for name in moved)
    clip = torch.randn(16_000)
    with torch.no_grad():
        extractor = AutoFeatureExtractor.from_pretrained(folder)
        values = extractor(clip.numpy(), sampling_rate=16_000, return_tensors="pt").input_values
        expected = model.eval()(values).last_hidden_state[0]
    encoder = load_encoder(str(folder), "last", "cpu", "float32")
    (found,) = encoder.encode([encoder.prepare(clip.numpy())])
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_that_is_trained_further_has_seen_both(finetuning, tmp_path):
    first = finetune(finetuning(all_folds=False, fold=0))
    again = finetune(finetuning(all_folds=False, fold=1, encoder=str(first), unfreeze="1"))
    before, after = seen_of(first), seen_of(again)
    assert set(before.contents) < set(after.contents) and set(before.speakers) <= set(
        after.speakers
    )
    assert after.base == str(first) and after.pretrained is False


def test_a_frozen_encoder_has_seen_nothing(finetuning, cached):
    folder = finetune(finetuning(all_folds=False, folds=None, unfreeze="0"))
    seen = seen_of(folder)
    assert not seen.speakers and not seen.contents and not seen.corpora
    base = load_encoder("random:wav2vec2-tiny", "last", "cpu", "float32").spec.weights
    assert load_encoder(str(folder), "last", "cpu", "float32").spec.weights == base
    assert prepare(cached(folder)).protocol["contamination"] is None


def test_soft_labels_and_dimensions_are_learned_too(finetuning, tones, tmp_path):
    lines = ["path,label,speaker,votes,valence,arousal"]
    for n, path in enumerate(sorted(tones.rglob("*.wav"))):
        label, speaker = path.parts[-3], path.parts[-2]
        other = "low" if label == "high" else "high"
        value = 4.0 if label == "high" else 2.0
        lines.append(
            f"{path},{label},{speaker},{label}=3;{other}=1,{value + n % 3 / 10},{5 - value}"
        )
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    from heads.labels import LabelConfig

    common = {"root": tmp_path / "list.csv", "corpus": "manifest:tones", "all_folds": False,
              "folds": None}  # fmt: skip
    soft = finetune(finetuning(**common, labels=LabelConfig(kind="soft")))
    record = json.loads((soft / "ser.json").read_text())["experiment"]
    assert record["loss"] == "kl" and record["schedule"]["select"] == "loss"
    values = finetune(finetuning(**common, target="dimensions", settings={"epochs": "5"}))
    told = json.loads((values / "ser.json").read_text())
    assert told["experiment"]["classes"] == ["valence", "arousal"]
    assert told["best"]["val_score"] > 0.3  # concordance on speakers that did not train


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"unfreeze": "3"}, "--unfreeze 3: random:wav2vec2-tiny has 2 transformer layers; give 0"),
        ({"encoder": "lld"}, "--encoder lld cannot be fine-tuned"),
        ({"heads": ["svm"]}, "--head svm is not trained by gradients"),
        ({"dtype": "float16"}, "--dtype float16 is for GPUs"),
        ({"settings": {"selct": "ua"}}, "did you mean 'select'"),
        ({"settings": {"select": "ccc"}}, "--set select=ccc: give ua or loss"),
        ({"loss": "hinge"}, "hinge"),
        ({"protocol": "session"}, "session"),
    ],
)
def test_what_cannot_be_is_refused(finetuning, changes, text):
    with pytest.raises(UsageError, match=text):
        finetune(finetuning(**changes))


def test_checkpoints_of_other_experiments_lie_elsewhere(finetuning):
    base = finetuning(all_folds=False, folds=None, settings={"epochs": "1"})
    settings = dict(base.task.settings)
    variants = [
        base,
        replace(base, unfreeze="1"),
        replace(base, unfreeze_cnn=True),
        replace(base, limit=30),
        replace(base, task=replace(base.task, seed=1)),
        replace(base, task=replace(base.task, settings=settings | {"lr": "2e-3"})),
        replace(base, task=replace(base.task, class_weights="balanced")),
    ]
    folders = [finetune(config) for config in variants]
    assert len(set(folders)) == len(variants)
    assert (
        finetune(replace(base, task=replace(base.task, settings=settings | {"save_minutes": "3"})))
        == folders[0]
    )


def test_models_do_not_pile_up(finetuning):
    """At most the one in training and the one before are there when the next is loaded."""
    import gc
    import weakref

    from embedcache.encoders import huggingface

    there, most = weakref.WeakSet(), []
    load = huggingface.load_checkpoint

    def watched(encoder_id):
        most.append(len(there))
        found = load(encoder_id)
        there.add(found.model)
        return found

    gc.collect()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface, "load_checkpoint", watched)
        finetune(finetuning(settings={"epochs": "1"}))
    assert len(most) == 4 and max(most) == 0


def test_what_was_known_of_the_base_is_known_of_the_checkpoint(finetuning, tmp_path, caplog):
    base = tmp_path / "base"
    load_tunable("random:wav2vec2-tiny", "cpu", "auto").save(base)
    silent = finetune(finetuning(all_folds=False, folds=None, encoder=str(base)))
    assert seen_of(silent).complete is False and "the new checkpoint cannot tell all" in caplog.text
    (base / "ser.json").write_text('{"format": 1, "seen": {"corpora": ["ravdess"]}}')
    told = finetune(finetuning(all_folds=False, folds=None, encoder=str(base)))
    assert told != silent
    assert seen_of(told).unlisted == ("ravdess",) and len(seen_of(told).contents) == 36


def test_a_base_that_has_heard_what_a_fold_tests_is_told_before_training(finetuning, caplog):
    first = finetune(finetuning(all_folds=False, fold=0))
    finetune(finetuning(all_folds=False, fold=1, encoder=str(first)))
    assert "fold 1 tests 2 speakers" in caplog.text and "begin with an encoder that" in caplog.text


def test_the_same_weights_in_another_folder_are_found(finetuning, cached, tmp_path):
    folder = finetune(finetuning())
    cached(folder)
    moved = folder.rename(tmp_path / "moved")
    assert len(prepare(cached(moved)).sources) == 3


def test_a_checkpoint_that_lacks_a_file_is_made_again(finetuning):
    config = finetuning(all_folds=False, fold=0)
    folder = finetune(config)
    before = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    assert finetune(config) == folder
    assert (folder / "model.safetensors").read_bytes() == before


def test_a_folder_of_folds_is_no_base(finetuning):
    folder = finetune(finetuning(settings={"epochs": "1"}))
    with pytest.raises(UsageError, match=r"one checkpoint for each fold; name one .* .*fold0$"):
        finetune(finetuning(encoder=str(folder)))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"seed": -1}, "--seed -1: give a number from 0 to 4294967295"),
        ({"class_weights": "nonsense"}, "unknown --class-weights 'nonsense'"),
        ({"settings": {"dropout": "1.5"}}, "--set dropout=1.5: give a share"),
        ({"settings": {"max_seconds": "0.01"}}, "--set max_seconds=0.01: that is less than a fr"),
        ({"heads": ["mlp"], "settings": {"pooling": "functionals"}}, "that no gradient passes"),
        ({"protocol": "sesion"}, "did you mean 'session'"),
    ],
)
def test_what_cannot_be_is_refused_before_audio_is_heard(finetuning, changes, text, monkeypatch):
    monkeypatch.setattr("heads.finetune.plan.listen", lambda *given: pytest.fail("was heard"))
    with pytest.raises(UsageError, match=text):
        finetune(finetuning(**changes))


def test_concordance_is_not_learned_of_single_clips(finetuning, tones, tmp_path):
    lines = ["path,speaker,label,valence"]
    for n, path in enumerate(sorted(tones.rglob("*.wav"))):
        lines.append(f"{path},{path.parts[-2]},{path.parts[-3]},{n % 5}")
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    config = finetuning(
        root=tmp_path / "list.csv", corpus="manifest:tones", all_folds=False, folds=None,
        target="dimensions", settings={"batch_seconds": "0.1"},
    )  # fmt: skip
    with pytest.raises(SerError, match="concordance is of two clips at least; give a larger --set"):
        finetune(config)
