"""What checkpoints cost: the time of one, and their share of a training's time.

    python benchmarks/checkpoints.py [--device cuda] [--seconds 60] [--folder .]

A contrastive training with AdamW and an average of its weights writes checkpoints by itself
(`train.checkpoint_every = "auto"`), on the disk of --folder, for so many seconds a size; where it
writes none in that time, there is no share to tell. "Before training" is the trial: the state is
saved, loaded back and written once. All is elapsed time: waiting for the disk is the greater part,
for which a trial of less than a megabyte does not wait. The lease and the curves, of which each
checkpoint makes sure in the database first, are left out.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from measuring import device_parser, keep_result, spread
from step import make

from mmlab.data.loader import to_device, training_batches
from mmlab.data.order import Generators, Order
from mmlab.plugin import Batch
from mmlab.runner.checkpoints import Checkpoints
from mmlab.runner.keeper import Keeper
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer
from mmlab.train.state import TrainingState

#: Width, batch, blocks.
SIZES = {"least": (4, 8, 1), "tiny": (16, 8, 1), "real": (64, 128, 2), "large": (256, 16, 2)}


def main() -> None:
    options = read_options()
    device = torch.device(options.device)
    rows = [measure(name, device, options) for name in options.sizes]
    for row in rows:
        print(
            f"{row['size']:5} {row['parameters']:>11,} parameters, {row['megabytes']:8.1f} MB: "
            f"{row['trial']['median']:.1f} ms before training, "
            f"{row['milliseconds']['median']:.1f} ms each; {row['checkpoints']} in "
            f"{row['seconds']} s, {100 * (row['share'] or 0):.2f} % of the time; "
            f"where none is due {row['not_due_us']:.2f} us"
        )
    found = {
        "goal": "share <= 0.011 at every size; trial of the least <= 5 ms",
        "clock": "elapsed",
        "rows": rows,
    }
    keep_result("checkpoints", device, ("torch", "safetensors"), found)


def read_options() -> argparse.Namespace:
    parser = device_parser(__doc__, rounds=5)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--folder", type=Path, default=Path())
    return parser.parse_args()


def measure(size: str, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    width, batch_size, blocks = SIZES[size]
    step, readers, data = make(width, blocks)
    order = Order(0, len(data), batch_size)
    loaded = training_batches(data, readers, order, workers=0)
    batches = [to_device(batch, device) for batch in itertools.islice(loaded, 4)]
    table = TrainTable(max_steps=10**6, batch_size=batch_size, ema=0.999)
    trainer = Trainer(step.to(device), table, order, device)
    trainer.update(batches[0], 0)  # the optimiser has its state from then on
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        checkpoints = Checkpoints(Path(folder, "run"), {}, print)
        state = TrainingState(trainer, generators=Generators())
        keeper = Keeper(checkpoints, state, "auto", lambda: None, lambda: None)
        tried = [seconds_of(keeper.try_out) for _ in range(options.rounds)]
        written = [seconds_of(lambda at=at: keeper.write(at)) for at in range(options.rounds)]
        newest = max(Path(folder).rglob("step-*")).iterdir()
        megabytes = sum(path.stat().st_size for path in newest) / 1e6
        keeper.try_out()
        calls, total = play(trainer, batches, keeper, options)
    due = [seconds for seconds in calls if seconds > min(written) / 2]
    return {
        "size": size,
        "parameters": sum(p.numel() for p in step.parameters()),
        "megabytes": round(megabytes, 1),
        "trial": spread([1e3 * seconds for seconds in tried]),
        "milliseconds": spread([1e3 * seconds for seconds in written]),
        "steps": len(calls),
        "seconds": round(total, 1),
        "checkpoints": len(due),
        "share": round(sum(calls) / total, 5) if due else None,
        "not_due_us": round(1e6 * statistics.median(calls), 2),
    }


def seconds_of(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def play(
    trainer: Trainer, batches: Sequence[Batch], keeper: Keeper, options: argparse.Namespace
) -> tuple[list[float], float]:
    """Train for so long; seconds of each call of the keeper, and of all together."""
    started, calls = time.perf_counter(), list[float]()
    while time.perf_counter() - started < options.seconds:
        index = options.rounds + len(calls)
        calls.append(seconds_of(lambda at=index: keeper(at)))
        trainer.update(batches[index % len(batches)], index)
    return calls, time.perf_counter() - started


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
