"""The share of the peak rate of matrix products that contrastive training of a ViT reaches.

    python benchmarks/peak.py [--models ViT-B-32 ViT-B-16] [--compile] [--rounds 5] [--batch 1024]

The numerator: floating-point operations of the model (`clip_model.training_flops`; what is
recomputed counts once) times pairs per second of mmlab's training step over open_clip's towers,
random weights, random batches on the device, texts of full length. The denominator: the rate of a
large product of random bf16 matrices in the same run, measured before and after each model, and the
number of the data sheet where the card is known. Device events; medians over rounds. On a CPU,
where the step computes in float32, so does the product; a share of it says nothing about a GPU.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import open_clip
import torch
from clip_model import make_trainer, open_clip_towers, random_batch, training_flops
from measuring import clock_of, device_parser, keep_result, seconds_of, spread
from mmlab_fusions.inner_product import InnerProduct

from mmlab.model.device import resolve_precision

#: Dense bf16 rates of data sheets in TFLOP/s, by a part of the name that the driver gives; the
#: first that fits.
SHEETS = {
    "H200 NVL": 835.5,
    "H200": 989.5,
    "H100 PCIe": 756.5,
    "H100 NVL": 835.5,
    "H100": 989.5,
    "A100": 312.0,
    "L40S": 362.05,
    "L4": 121.0,
    "RTX 4090": 165.2,
}
TINY: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {
        "image_size": 64,
        "layers": 4,
        "width": 128,
        "patch_size": 8,
        "head_width": 64,
    },
    "text_cfg": {
        "context_length": 32,
        "vocab_size": 49408,
        "width": 128,
        "heads": 2,
        "layers": 4,
    },
}
#: Models, and how many pairs are in a batch.
BATCHES = {"ViT-B-32": 1024, "ViT-B-16": 512, "tiny": 32}
#: Sides of the product that is measured, and steps of a round.
PRODUCT = {"cuda": 8192, "cpu": 1024}
STEPS = {"cuda": 5, "cpu": 2}


def main() -> None:
    options = read_options()
    device = torch.device(options.device)
    rows = [measure(name, device, options) for name in options.models]
    for row in rows:
        print(
            f"{row['model']:9} {row['pairs_per_second']['median']:9.1f} pairs/s   "
            f"{row['tflops']:7.2f} TFLOP/s   share of the measured peak "
            f"{row['share_of_measured_peak']:.3f}   of the data sheet {row['share_of_sheet']}"
        )
    found = {
        "goal": "at least 0.35 of the data sheet's peak on one H200, eager or compiled; 0.45 hoped",
        "clock": clock_of(device),
        "precision": resolve_precision("auto", device),
        "compiled": options.compile,
        "sheet_tflops": sheet_tflops(device),
        "rounds": options.rounds,
        "rows": rows,
    }
    name = "peak-compiled" if options.compile else "peak"
    keep_result(name, device, ("torch", "open_clip_torch"), found)


def read_options() -> argparse.Namespace:
    parser = device_parser(__doc__, rounds=5)
    parser.add_argument("--models", nargs="+", choices=BATCHES)
    parser.add_argument("--batch", type=int, help="pairs in a batch")
    parser.add_argument("--compile", action="store_true", help="compile both towers")
    options = parser.parse_args()
    on_gpu = options.device.startswith("cuda")
    options.models = options.models or (["ViT-B-32", "ViT-B-16"] if on_gpu else ["tiny"])
    return options


def measure(name: str, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    """The rate of one model's training, and of products of matrices before and after."""
    towers = TINY if name == "tiny" else open_clip.get_model_config(name)
    size, steps = options.batch or BATCHES[name], STEPS[device.type]
    play = training_round(towers, size, steps, device, compiles=options.compile)
    play()  # not counted: kernels are chosen, and compiled where that is asked for
    peaks = [product_tflops(device)]
    rates = [size * steps / seconds_of(play, device) for _ in range(options.rounds)]
    peaks.append(product_tflops(device))
    flops = training_flops(towers)
    reached = statistics.median(rates) * flops / 1e12
    sheet = sheet_tflops(device)
    return {
        "model": name,
        "batch_size": size,
        "gflop_per_pair": flops / 1e9,
        "pairs_per_second": spread(rates, 1),
        "tflops": reached,
        "product_tflops": peaks,
        "share_of_measured_peak": reached / max(peaks),
        "share_of_sheet": None if sheet is None else reached / sheet,
        "memory_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    }


def training_round(
    towers: dict[str, Any], size: int, steps: int, device: torch.device, *, compiles: bool
) -> Callable[[], None]:
    """Some optimiser steps of contrastive training on one random batch."""
    torch.manual_seed(0)
    fusion = InnerProduct([towers["embed_dim"]] * 2)
    trainer = make_trainer(open_clip_towers(towers), fusion, size, device, compile=compiles)
    text = towers["text_cfg"]
    pixels, words = towers["vision_cfg"]["image_size"], text["vocab_size"]
    batch = random_batch(size, pixels, text["context_length"], words, device)

    def play() -> None:
        for index in range(steps):
            trainer.update(batch, index)
        trainer.raise_if_not_finite()
        trainer.meter.take()

    return play


def product_tflops(device: torch.device, rounds: int = 9) -> float:
    """The rate of a product of two large square matrices of random numbers; the median."""
    side = PRODUCT[device.type]
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    result = torch.empty_like(left)

    def play() -> None:
        for _ in range(4):
            torch.mm(left, right, out=result)

    play()
    taken = statistics.median(seconds_of(play, device) for _ in range(rounds))
    return 4 * 2 * side**3 / taken / 1e12


def sheet_tflops(device: torch.device) -> float | None:
    """What the data sheet says of dense bf16 products, or None where the card is not known."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((rate for part, rate in SHEETS.items() if part in name), None)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
