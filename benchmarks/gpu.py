"""Stage 1 on a GPU: is it exact, how fast is it, and what holds it up.

    python -m benchmarks.gpu [--encoder random:wav2vec2-base] [--hours 12] [--device cuda]

1. Exactness: each family's frames from padded batches on this device, beside the same clips alone
   on the CPU in float32; and an extraction with hardly any memory, which must halve its batches.
2. Speed: wav files of IEMOCAP's lengths on local disk to a float16 cache, in a process that is
   warm (a small extraction went before: imports, the start of CUDA and loading are told apart).
   Then each part alone: decoding, encoding, writing, verifying. Peak memory of the device.
3. Whether torch.compile pays: the same batches through the compiled model.
4. The peer: the loop that toolkits use, on every k-th clip, in float32 and in the dtype of 2.

The share of the peak is the encoder's floating-point operations per second over those of a square
matrix product of 8,192, timed beside it in the same dtype. Weights are random: this is about speed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.extract import RATE_HZ, Loop, durations, matrix_peak
from benchmarks.machine import data_folder, machine
from embedcache import extract as extraction
from embedcache.ahead import ahead
from embedcache.batches import EncodeConfig, batch_limits, make_batches
from embedcache.encode import Clip, decode_clip, encode_clips, encode_groups
from embedcache.encoders import load_encoder
from embedcache.fetch import fetch
from embedcache.request import ExtractConfig
from embedcache.store.shard import Row, write_shard
from embedcache.store.verify import verify
from embedcache.utterance import Utterance

FAMILIES = (
    "wav2vec2-base", "wav2vec2-large-lv60", "hubert-base", "wavlm-base", "unispeech-sat-base",
    "data2vec-audio-base", "wav2vec2-conformer-large", "wav2vec2-bert", "whisper-base", "pase+",
)  # fmt: skip
DECODERS = 8
PEER_CLIPS = 64


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with durations in it")
    parser.add_argument("--encoder", default="random:wav2vec2-base")
    parser.add_argument("--hours", type=float, default=12.0)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--only", default="exact,speed,compile,peer", help="parts, by commas")
    asked = parser.parse_args()
    parts = asked.only.split(",")
    print(machine(), f"| {name_of(asked.device)}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if "exact" in parts:
            exactness(asked.device)
            little_memory(folder / "little", asked.device)
        if not {"speed", "compile", "peer"} & set(parts):
            return
        clips = write_clips(folder / "clips", data_folder(asked.data), asked.hours)
        seconds = sum(clip.seconds for clip in clips)
        print(f"\n{asked.encoder}, {len(clips)} clips, {seconds / 3600:.2f} h", flush=True)
        encoder = load_encoder(asked.encoder, "last", asked.device, asked.dtype)
        every = max(1, len(clips) // PEER_CLIPS)
        sample = clips[::every][:PEER_CLIPS]
        loop = Loop(asked.encoder, asked.device, encoder.spec.dtype)
        counted = loop.count([clip.utterance.path for clip in sample])
        flops_per_s = counted / sum(clip.seconds for clip in sample)
        size = 2048 if asked.device == "cpu" else 8192
        peak = matrix_peak(asked.device, encoder.spec.dtype, size)
        print(f"{flops_per_s / 1e9:.1f} GFLOP per second of audio; {peak / 1e12:.2g} TFLOP/s is "
              f"the peak in {encoder.spec.dtype}", flush=True)  # fmt: skip
        if "speed" in parts:
            whole(folder, asked, seconds)
            each_part(folder, clips, encoder, asked.device, flops_per_s / peak)
        if "compile" in parts:
            compiled(clips, encoder, asked.device, flops_per_s / peak)
        if "peer" in parts:
            peers(folder, sample, asked, encoder.spec.dtype)


def exactness(device: str) -> None:
    """The largest difference between frames from a padded batch here and each clip alone there."""
    rng = np.random.default_rng(0)
    clips = [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (8_001, 16_000, 47_777)]
    print(f"\nlargest difference to the CPU's float32, relative{'float32':>14}{'bfloat16':>11}")
    for family in FAMILIES:
        encoder_id = f"random:{family}"
        exact = load_encoder(encoder_id, "last", "cpu", "float32")
        found = []
        for dtype in ("float32", "bfloat16"):
            if dtype != "float32" and family == "pase+":
                continue
            there = load_encoder(encoder_id, "last", device, dtype)
            prepared = [there.prepare(clip) for clip in clips]
            groups = [prepared] if there.spec.pads else [[clip] for clip in prepared]
            frames = [one for group in groups
                      for one in fetch(there.encode(group), np.dtype(np.float32))()]  # fmt: skip
            alone = [fetch(exact.encode([clip]), np.dtype(np.float32))()[0] for clip in prepared]
            found.append(max(float(np.abs(a - b).max() / np.abs(b).max())
                             for a, b in zip(frames, alone, strict=True)))  # fmt: skip
        print(f"{encoder_id:50}" + "".join(f"{difference:12.1e}" for difference in found),
              flush=True)  # fmt: skip
        assert found[0] <= 1e-4, f"{encoder_id} is not exact in float32"


def little_memory(folder: Path, device: str) -> None:
    """An extraction within 1.5 GB of the device, beside one that has all of it."""
    if device == "cpu":
        return
    clips = write_clips(folder / "clips", folder, 0.2)
    encoder = load_encoder("random:wav2vec2-base", "last", device, "bfloat16")
    config = EncodeConfig(60.0, *batch_limits(device))
    plenty = dict(encode_clips(encoder, clips, config))
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1.5e9 / total)
    try:
        torch.cuda.reset_peak_memory_stats(device)
        scarce = dict(encode_clips(encoder, clips, config))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    worst = max(float(np.abs(scarce[i] - plenty[i]).max() / np.abs(plenty[i]).max())
                for i in plenty)  # fmt: skip
    peak = torch.cuda.max_memory_allocated(device) / 1e9
    print(f"within 1.5 GB of memory: {len(scarce)} of {len(clips)} clips, the same within "
          f"{worst:.1e}, peak {peak:.2f} GB", flush=True)  # fmt: skip
    assert len(scarce) == len(clips) and worst < 0.05 and peak <= 1.5


def whole(folder: Path, asked: argparse.Namespace, seconds: float) -> None:
    """From wav files to a verified cache, in a warm process."""

    def config(name: str, limit: int) -> ExtractConfig:
        return ExtractConfig(corpus="folder", root=folder / "clips", encoder=asked.encoder,
                             device=asked.device, dtype=asked.dtype, limit=limit,
                             cache_dir=folder / name)  # fmt: skip

    started = time.perf_counter()
    extraction.extract(config("warm", 64))
    print(f"first extraction of 64 clips (start of CUDA, loading): "
          f"{time.perf_counter() - started:.1f} s")  # fmt: skip
    if asked.device != "cpu":
        torch.cuda.reset_peak_memory_stats(asked.device)
    for number in (1, 2):
        started = time.perf_counter()
        done = extraction.extract(config(f"cache{number}", 0))
        taken = time.perf_counter() - started
        assert done.encoded == done.utterances and not done.skips
        print(f"ser extract, round {number}: {taken:.1f} s, {seconds / taken:,.0f} times real time "
              f"(loading {done.load_s:.1f} s, hashing {done.identify_s:.1f} s, decoding, encoding "
              f"and writing {done.encode_s:.1f} s)\n  {done.fidelity}", flush=True)  # fmt: skip
    if asked.device != "cpu":
        peak = torch.cuda.max_memory_allocated(asked.device) / 1e9
        print(f"peak memory of the device: {peak:.1f} GB")
    started = time.perf_counter()
    assert not list(verify(done.folder))
    verified = time.perf_counter() - started
    print(f"ser cache verify: {verified:.1f} s; from wav files to a verified cache: "
          f"{taken + verified:.1f} s", flush=True)  # fmt: skip


def each_part(folder: Path, clips: list[Clip], encoder, device: str, share: float) -> None:
    """Seconds of each part when it has the machine to itself: the largest holds up the others."""
    seconds = sum(clip.seconds for clip in clips)
    config = EncodeConfig(60.0, *batch_limits(device))
    ranked = sorted(clips, key=lambda clip: -clip.seconds)

    def decode(clip: Clip):
        return decode_clip(clip, encoder, config.conditioning)

    started = time.perf_counter()
    decoded = [found for _, found in ahead(decode, ranked, DECODERS, 64)]
    report("decoding, 8 threads", started, seconds)
    groups = [(None, dict(enumerate(decoded[i : i + 512]))) for i in range(0, len(decoded), 512)]
    for name in ("encoding, first pass", "encoding"):
        started = time.perf_counter()
        rows = [frames for _, found in encode_groups(encoder, groups, config, np.float16)
                for frames in found.values()]  # fmt: skip
        taken = report(name, started, seconds)
    print(f"{'':34}{seconds * share / taken:8.0%} of the peak")
    size = sum(frames.nbytes for frames in rows)
    started = time.perf_counter()
    shard: list[Row] = []
    for number, frames in enumerate(rows):
        shard.append(Row(f"{number:032x}", str(number), frames))
        if sum(row.frames.nbytes for row in shard) > 64e6 or number == len(rows) - 1:
            write_shard(folder / "alone" / f"{number}.h5", "key", shard, [],
                        (frames.shape[0], frames.shape[2]), np.dtype(np.float16))  # fmt: skip
            shard = []
    taken = report("writing, 1 thread", started, seconds)
    print(f"{'':34}{size / taken / 1e9:8.2f} GB/s")


def compiled(clips: list[Clip], encoder, device: str, share: float) -> None:
    """The bare model on the batches of an hour: as it is, and through torch.compile."""
    hour = sorted(clips[: max(8, 3600 * len(clips) // 43_200)], key=lambda clip: -clip.seconds)
    lengths = [round(clip.seconds * RATE_HZ) for clip in hour]
    config = EncodeConfig(60.0, *batch_limits(device))
    batches = make_batches(lengths, config, RATE_HZ, encoder.spec.pads)
    samples = [decode_clip(clip, encoder, config.conditioning) for clip in hour]
    seconds = sum(clip.seconds for clip in hour)

    def run() -> None:
        for batch in batches:
            encoder.encode([samples[i] for i in batch])
        if device != "cpu":
            torch.cuda.synchronize(device)

    for name in ("eager", "compiled"):
        started = time.perf_counter()
        run()
        first = time.perf_counter() - started
        started = time.perf_counter()
        run()
        taken = time.perf_counter() - started
        print(f"{name + ', one hour':34}{taken:8.2f} s {seconds * share / taken:8.0%} of the peak "
              f"(first pass {first:.1f} s)", flush=True)  # fmt: skip
        model = encoder._layers._model
        model.forward = torch.compile(model.forward, dynamic=True)


def peers(folder: Path, sample: list[Clip], asked: argparse.Namespace, dtype: str) -> None:
    """The loop, file by file."""
    paths = [clip.utterance.path for clip in sample]
    seconds = sum(clip.seconds for clip in sample)
    for which in dict.fromkeys(("float32", dtype)):
        loop = Loop(asked.encoder, asked.device, which)
        loop(paths[:4], folder / f"warm-{which}")
        started = time.perf_counter()
        loop(paths, folder / f"loop-{which}")
        report(f"the loop, {which}", started, seconds)


def report(name: str, started: float, seconds: float) -> float:
    """Print what a part took; its seconds."""
    taken = time.perf_counter() - started
    print(f"{name:34}{taken:8.2f} s {seconds / taken:12,.0f} times real time", flush=True)
    return taken


def write_clips(root: Path, data: Path, hours: float) -> list[Clip]:
    """Noise of IEMOCAP's lengths as 16-bit wav files, each its own stretch of one minute of it."""
    (root / "neutral").mkdir(parents=True)
    lengths = durations(data, 5531)
    rng = np.random.default_rng(0)
    minute = (3000 * rng.standard_normal(60 * RATE_HZ)).astype(np.int16)
    clips: list[Clip] = []
    total = 0.0
    while total < hours * 3600:
        length = lengths[len(clips) % len(lengths)]
        start = int(rng.integers(0, len(minute) - round(length * RATE_HZ)))
        path = root / "neutral" / f"{len(clips):06}.wav"
        soundfile.write(path, minute[start : start + round(length * RATE_HZ)], RATE_HZ)
        clips.append(Clip(Utterance(id=path.stem, path=path), length))
        total += length
    return clips


def name_of(device: str) -> str:
    """What a device is called."""
    return device if device == "cpu" else torch.cuda.get_device_name(device)


if __name__ == "__main__":
    main()
