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
import math
import statistics
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from measuring import clock_of, device_parser, keep_result, take_turns
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
    write(device, rows, options.rounds)


def read_options() -> argparse.Namespace:
    parser = device_parser(__doc__, rounds=15)
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
    turns = {name: some_steps(arm, batches, steps) for name, arm in arms.items()}
    taken = take_turns(turns, rounds * times_rounds, device)
    times = {name: [seconds / steps for seconds in values] for name, values in taken.items()}
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


def some_steps(
    update: Callable[[Batch, int], None], batches: Sequence[Batch], steps: int
) -> Callable[[], None]:
    """A round of one arm."""

    def play() -> None:
        for index in range(steps):
            update(batches[index % len(batches)], index)

    return play


def loop_rate(trainer: Trainer, loaded: Any, steps: int, device: torch.device) -> float:
    """Samples a second of reading, transforming, collating and stepping."""
    started, samples = time.perf_counter(), 0
    for index in range(steps):
        batch = to_device(next(loaded), device)
        trainer.update(batch, index)
        samples += len(batch.index)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return samples / (time.perf_counter() - started)


def write(device: torch.device, rows: Sequence[dict[str, Any]], rounds: int) -> None:
    found = {
        "goal": "ratio <= 1.01 at real size, difference < 100 us at tiny size",
        "clock": clock_of(device),
        "rounds": rounds,
        "rows": rows,
    }
    keep_result("step", device, ("torch",), found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
