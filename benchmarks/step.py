"""What a training step of mmlab costs beside a hand-written loop over the same modules.

    python benchmarks/step.py [--device cuda] [--rounds 15]

Two sizes: a tiny model, where the difference is mmlab's own work, and a real one, where its share
counts. Both arms see the same batches, already on the device, with the same fused AdamW, clipping
and schedule; they alternate. Ratios are of minima over rounds; the difference is the median of
the differences of neighbouring rounds. `loop` is the samples/s of
the whole loop of mmlab (cached uint8 images, transforms, collation, step) on the same data.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from mmlab_datasets.emoji import Emoji
from mmlab_encoders.convnet import ConvNet
from mmlab_encoders.transformer import TextTransformer
from mmlab_fusions.inner_product import InnerProduct
from mmlab_losses.info_nce import InfoNCE

from mmlab.data.loader import to_device, training_batches
from mmlab.data.order import Order
from mmlab.data.reader import make_readers
from mmlab.model.device import autocast, resolve_precision
from mmlab.model.model import Model, Step
from mmlab.plugin import Batch, Shapes
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer

#: Width, batch, blocks, steps a round, and how many times as many rounds: short ones are noisy.
SIZES = {"tiny": (16, 8, 1, 5, 20), "real": (64, 128, 2, 6, 1)}


def main() -> None:
    options = read_options()
    device = torch.device(options.device)
    rows = [measure(name, device, options.rounds) for name in options.sizes]
    for row in rows:
        print(
            f"{row['size']:5} by hand {row['by_hand_us']:9.1f} us   mmlab {row['mmlab_us']:9.1f} us"
            f"   difference {row['difference_us']:7.1f} us   ratio {row['ratio']:.4f}"
            f"   loop {row['loop_samples_per_second']:.0f} samples/s"
        )
    write(options.device, rows, options.rounds)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    return parser.parse_args()


def measure(size: str, device: torch.device, rounds: int) -> dict[str, Any]:
    width, batch_size, blocks, steps, times_rounds = SIZES[size]
    table = TrainTable(max_steps=10**6, batch_size=batch_size)
    step, readers, data = make(width, blocks)
    order = Order(0, len(data), batch_size)
    loaded = training_batches(data, readers, order, workers=0)
    batches = [to_device(batch, device) for batch in itertools.islice(loaded, 4)]
    trainer = Trainer(step.to(device), table, order, device)
    other, _, _ = make(width, blocks)
    arms = {
        "by_hand": by_hand(other.to(device), table, device),
        "mmlab": trainer.update,
    }
    times = interleave(arms, batches, steps, rounds * times_rounds, device)
    best = {name: min(values) * 1e6 for name, values in times.items()}
    rounds_of_both = list(zip(times["mmlab"], times["by_hand"], strict=True))
    ratios = [a / b for a, b in rounds_of_both]
    differences = statistics.quantiles([(a - b) * 1e6 for a, b in rounds_of_both], n=4)
    return {
        "size": size,
        "parameters": sum(p.numel() for p in step.parameters()),
        "batch_size": batch_size,
        "by_hand_us": best["by_hand"],
        "mmlab_us": best["mmlab"],
        "difference_us": differences[1],
        "difference_us_quartiles": differences,
        "ratio": best["mmlab"] / best["by_hand"],
        "ratio_quartiles": statistics.quantiles(ratios, n=4),
        "loop_samples_per_second": loop_rate(trainer, loaded, steps, device),
    }


def make(width: int, blocks: int) -> tuple[Step, Any, Emoji]:
    torch.manual_seed(0)
    data = Emoji("train")
    context: Any = SimpleNamespace(reads=frozenset({"pooled"}))
    encoders: Any = {
        "image": ConvNet(context, width=width, depth=blocks),
        "text": TextTransformer(context, width=width * 2, depth=blocks, length=24),
    }
    encoders["text"].fit([caption for sample in data for caption in sample.values["text"]])
    fusion = InnerProduct([encoder.dim for encoder in encoders.values()], dim=width * 2)
    shapes = Shapes({key: e.dim for key, e in encoders.items()}, None, (), (), False, {})
    losses: Any = {"info_nce": InfoNCE(shapes)}
    step = Step(Model(encoders, fusion, list(encoders)), losses, {"info_nce": 1.0})
    return step, make_readers(data, encoders, {"image": "image", "text": "text"}), data


def by_hand(step: Step, table: TrainTable, device: torch.device) -> Callable[[Batch, int], None]:
    """The loop that a careful person would write for just this model."""
    decayed = [p for p in step.parameters() if p.ndim >= 2]
    others = [p for p in step.parameters() if p.ndim < 2]
    groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups, lr=table.lr, betas=(0.9, 0.98), weight_decay=table.weight_decay, fused=True
    )
    parameters, warmup, total = decayed + others, round(0.1 * 10**6), 10**6
    loss_module: Any = step.losses["info_nce"]
    precision = resolve_precision("auto", device)

    def update(batch: Batch, index: int) -> None:
        lr = table.lr * (
            (index + 1) / warmup
            if index < warmup
            else 0.5 * (1 + math.cos(math.pi * (index - warmup) / (total - warmup)))
        )
        for group in optimizer.param_groups:
            group["lr"] = lr
        with autocast(device, precision):
            loss = loss_module(step.model(batch), batch, step.model.encode)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, table.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss_module.after_step()

    return update


def interleave(
    arms: dict[str, Callable[[Batch, int], None]],
    batches: Sequence[Batch],
    steps: int,
    rounds: int,
    device: torch.device,
) -> dict[str, list[float]]:
    """Seconds a step of each arm and round; one round goes first and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name in sorted(arms, reverse=bool(turn % 2)):
            settle(device)
            started = time.perf_counter() if device.type == "cuda" else time.process_time()
            for index in range(steps):
                arms[name](batches[index % len(batches)], index)
            settle(device)
            ended = time.perf_counter() if device.type == "cuda" else time.process_time()
            if turn:
                times[name].append((ended - started) / steps)
    return times


def loop_rate(trainer: Trainer, loaded: Any, steps: int, device: torch.device) -> float:
    """Samples a second of reading, transforming, collating and stepping."""
    started, samples = time.perf_counter(), 0
    for index in range(steps):
        batch = to_device(next(loaded), device)
        trainer.update(batch, index)
        samples += len(batch.index)
    settle(device)
    return samples / (time.perf_counter() - started)


def settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def write(device: str, rows: Sequence[dict[str, Any]], rounds: int) -> None:
    on_gpu = device.startswith("cuda")
    document = {
        "benchmark": "step",
        "goal": "ratio <= 1.01 at real size, difference < 100 us at tiny size",
        "clock": "wall time" if on_gpu else "CPU time of the process",
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if on_gpu else platform.machine(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "rows": rows,
    }
    path = Path(__file__).parent / "results" / f"step-{'cuda' if on_gpu else 'cpu'}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
