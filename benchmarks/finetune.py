"""Fine-tuning on real clips: how fast, and in how much memory, beside the library's own model.

    python -m benchmarks.finetune [--encoder random:wav2vec2-base] [--device cpu] [--steps 4]
                                  [--batch-seconds 30] [--dtypes float32,bfloat16]

RAVDESS, the first batches of an epoch, each line in a process of its own, so that peak memory is
that line's: weights, gradients, the optimiser's moments and activations, in training and not while
loading. Ours is `ser finetune`'s step with the attention head: all layers trained, or the last
four, activations kept or computed again. The peer is transformers' own classification model on the
same samples, its convolutions frozen as its documentation has it, SpecAugment as its configuration
has it and LayerDrop off as ours has it, batches of the same number of clips in random order, padded
to their longest; it scales clips in the step, as its users do, which ours has done before. The
first step is not counted. Weights are random: this is about speed.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import data_folder, machine
from embedcache.audio.conditioning import Conditioning
from embedcache.corpora import read_corpus
from embedcache.encoders import load_tunable
from embedcache.encoders._presets import PRESETS
from heads.finetune.clips import listen, shuffled_batches
from heads.finetune.epochs import Training
from heads.finetune.network import build
from heads.finetune.settings import Schedule
from heads.losses import cross_entropy
from heads.models import load_head
from heads.splits import Fold
from heads.train.objective import Classify

CLASSES, CLIPS = 8, 400
LAST = 4  # layers that are trained where not all are


def main() -> None:
    """Measure and print, each line in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--encoder", default="random:wav2vec2-base")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch-seconds", type=float, default=30.0)
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--line", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.line:
        print(json.dumps(measure(json.loads(asked.line), asked)))
        return
    print(machine(), f"| {asked.device}", flush=True)
    lines = [
        {"who": who, "blocks": blocks, "twice": twice, "dtype": dtype}
        for dtype in asked.dtypes.split(",")
        for who, blocks, twice in (
            ("peer", "all", False),
            ("ours", "all", False),
            ("ours", "all", True),
            ("ours", LAST, False),
            ("ours", LAST, True),
        )
    ]
    print("| what | dtype | layers | gradients | utterances/s | audio, x real time | memory, GB |")
    print("|---|---|---:|---|---:|---:|---:|", flush=True)
    for line in lines:
        command = [sys.executable, "-m", "benchmarks.finetune", *sys.argv[1:]]
        found = subprocess.run(
            [*command, "--line", json.dumps(line)], capture_output=True, text=True, check=True
        )
        speed = json.loads(found.stdout.splitlines()[-1])
        how = "computed twice" if line["twice"] else "kept"
        print(f"| {line['who']} | {line['dtype']} | {line['blocks']} | {how} "
              f"| {speed['clips']:.2f} | {speed['times']:.2f} | {speed['memory']:.2f} |",
              flush=True)  # fmt: skip


def measure(line: dict, asked: argparse.Namespace) -> dict[str, float]:
    """Clips and seconds of audio per second, and the most memory, of one way to train."""
    peer = line["who"] == "peer"
    encoder = load_tunable(asked.encoder, "cpu" if peer else asked.device, line["dtype"])
    before = resident() - sum(p.nbytes for p in encoder._model.parameters()) / 1e9
    utterances = read_corpus("ravdess", data_folder(None) / "ravdess")[:CLIPS]
    clips, _, _ = listen(utterances, encoder.ear, Conditioning())
    before += sum(clip.nbytes for clip in clips.kept.values()) / 1e9
    rng = np.random.default_rng(0)
    budget = round(asked.batch_seconds * encoder.spec.rate_hz)
    batches = shuffled_batches(clips.lengths, budget, rng)
    if peer:
        shuffled = rng.permutation([i for batch in batches for i in batch])
        edges = np.cumsum([len(batch) for batch in batches])[:-1]
        batches = [part.tolist() for part in np.split(shuffled, edges)]
        rate_hz = encoder.spec.rate_hz
        del encoder
        gc.collect()
        step = peer_step(asked, line["dtype"])
    else:
        rate_hz = encoder.spec.rate_hz
        step = our_step(encoder, clips, line, asked)
    forget_peak(asked.device)
    taken, count, seconds = 0.0, 0, 0.0
    read = clips.batches(batches, {})
    for number, (indices, samples) in enumerate(islice(read, asked.steps + 1)):
        started = time.perf_counter()
        step(indices, samples)
        if asked.device != "cpu":
            torch.cuda.synchronize(asked.device)
        if number:
            taken += time.perf_counter() - started
            count += len(indices)
            seconds += sum(map(len, samples)) / rate_hz
    memory = peak() - before
    if asked.device != "cpu":
        memory = torch.cuda.max_memory_allocated(asked.device) / 1e9
    return {"clips": count / taken, "times": seconds / taken, "memory": memory}


def resident() -> float:
    """Memory that is resident now, in GB."""
    return status("VmRSS")


def peak() -> float:
    """The most memory that was resident since `forget_peak`, in GB."""
    return status("VmHWM")


def status(name: str) -> float:
    """A line of this process's status, in GB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1e6 for line in lines if line.startswith(name))


def forget_peak(device: str) -> None:
    """Let the most memory be counted from now on."""
    Path("/proc/self/clear_refs").write_text("5")
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)


def our_step(encoder, clips, line: dict, asked: argparse.Namespace):
    """`ser finetune`'s step."""
    schedule = Schedule(batch_seconds=asked.batch_seconds)
    blocks = encoder.depth if line["blocks"] == "all" else line["blocks"]
    encoder.unfreeze(blocks, front=False, masking=True)
    if line["twice"]:
        encoder.checkpoint_gradients()
    targets = np.eye(CLASSES)[np.arange(len(clips.lengths)) % CLASSES]
    objective = Classify(targets=targets, weights=np.ones((1, CLASSES)), loss=cross_entropy)
    everyone = np.arange(len(clips.lengths))
    module = load_head("attention")
    few = clips.at([0])  # what the head standardises by is not measured here
    network = build(encoder, module, module.Config(), CLASSES, few, schedule, 0, asked.device)
    fold = Fold(everyone, everyone[:1], everyone[:0])
    training = Training(network, clips, objective, fold, schedule, 0, asked.device)
    return lambda indices, samples: training.step([(indices, samples)], 1.0)


def peer_step(asked: argparse.Namespace, dtype: str):
    """The library's own classification model, as its users train it."""
    from transformers import AutoConfig, AutoModelForAudioClassification, Wav2Vec2FeatureExtractor

    model_type, settings = PRESETS[asked.encoder.removeprefix("random:")]
    config = AutoConfig.for_model(model_type, **settings, num_labels=CLASSES)
    config.layerdrop = 0.0
    model = AutoModelForAudioClassification.from_config(config).to(asked.device).train()
    model.freeze_feature_encoder()
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-5)
    device_type = torch.device(asked.device).type
    halves = {"dtype": getattr(torch, dtype), "enabled": dtype != "float32"}

    def step(indices, samples) -> None:
        given = extractor(samples, sampling_rate=16_000, padding=True, return_tensors="pt")
        given = {name: tensor.to(asked.device) for name, tensor in given.items()}
        labels = torch.tensor(indices, device=asked.device) % CLASSES
        optimiser.zero_grad()
        with torch.autocast(device_type, **halves):
            loss = model(**given, labels=labels).loss
        loss.backward()
        optimiser.step()

    return step


if __name__ == "__main__":
    main()
