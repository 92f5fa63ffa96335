"""Fusion operators: samples per second, forward and backward, beside concatenation.

    python benchmarks/fusions.py [--rounds 7]

Two inputs 512 wide, results 256 wide, batches of 64, every other option at its default; operators
that read tokens get 16 of each input. A step is `project` and `fuse` of every input, and the
gradients at inputs and parameters; no head and no optimizer. CPU time of the process on one
thread. In each round every operator has a turn of about a fifth of a second, and is compared with
concatenation's turn in the same round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, version
from pathlib import Path
from typing import Any

import mmlab_fusions
import torch

from mmlab.plan.options import option_model, supplied
from mmlab.plugin import Features

WIDTH, RESULT, BATCH_SIZE, TOKENS = 512, 256, 64, 16
PEER = "concat"
TURN_SECONDS = 0.2

Step = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    fusions = {name: make(name) for name in sorted(mmlab_fusions.mmlab_fusions())}
    fusions = {name: fusion for name, fusion in fusions.items() if hasattr(fusion, "fuse")}
    rates = interleave({name: step_of(fusion) for name, fusion in fusions.items()}, rounds)
    rows = [describe(name, fusion, rates) for name, fusion in fusions.items()]
    rows.sort(key=lambda row: -float(row["ratio"]))
    for row in rows:
        print(
            f"{row['fusion']:28} {row['parameters']:11,} parameters "
            f"{row['samples_per_second']:9,.0f} samples/s   ratio {row['ratio']:.3f}"
        )
    write(rows, rounds)


def make(name: str) -> Any:  # Any: an nn.Module that also keeps a contract
    """An operator of two inputs 512 wide, its result 256 wide where it has that option."""
    torch.manual_seed(0)
    factory: Any = EntryPoint(name, mmlab_fusions.mmlab_fusions()[name], "mmlab").load()
    options = {str(field.alias) for field in option_model(factory).model_fields.values()}
    given = {"dims": (WIDTH, WIDTH), "token_dims": (WIDTH, WIDTH), "outputs": RESULT}
    chosen: dict[str, Any] = {"dim": RESULT} if "dim" in options else {}
    if name == "tensor_fusion":
        chosen = {"inner_dim": 15}  # 16 x 16 = 256
    return factory(*(given[key] for key in supplied(factory)), **chosen)


def step_of(fusion: Any) -> Step:
    """One pass forward and backward."""
    reads_tokens = "tokens" in fusion.reads
    inputs = [
        Features.of(
            torch.randn(BATCH_SIZE, WIDTH, requires_grad=True),
            torch.randn(BATCH_SIZE, TOKENS, WIDTH, requires_grad=True) if reads_tokens else None,
        )
        for _ in range(2)
    ]

    def step() -> None:
        fused = fusion.fuse(*(fusion.project(i, x) for i, x in enumerate(inputs)))
        fused.square().mean().backward()

    return step


def interleave(steps: Mapping[str, Step], rounds: int) -> dict[str, list[float]]:
    """Samples per CPU second of each operator and round; a first round finds the turns' lengths."""
    turns = {name: turn_of(step) for name, step in steps.items()}
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for position in range(rounds):
        for name in sorted(steps, reverse=bool(position % 2)):
            rates[name].append(turns[name] * BATCH_SIZE / seconds_of(steps[name], turns[name]))
    return rates


def turn_of(step: Step) -> int:
    """Steps that take about TURN_SECONDS, after one to warm up."""
    step()
    return max(1, round(TURN_SECONDS / seconds_of(step, 1)))


def seconds_of(step: Step, count: int) -> float:
    started = time.process_time()
    for _ in range(count):
        step()
    return time.process_time() - started


def describe(name: str, fusion: Any, rates: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    ratios = [own / peer for own, peer in zip(rates[name], rates[PEER], strict=True)]
    return {
        "fusion": name,
        "parameters": sum(p.numel() for p in fusion.parameters()),
        "result": fusion.dim,
        "samples_per_second": round(statistics.median(rates[name])),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_quartiles": [round(x, 4) for x in statistics.quantiles(ratios, n=4)],
    }


def write(rows: Sequence[Mapping[str, Any]], rounds: int) -> None:
    document = {
        "benchmark": "fusions",
        "goal": f"a table; ratio is samples per second / those of {PEER}",
        "clock": "CPU time of the process",
        "inputs": [WIDTH, WIDTH],
        "batch_size": BATCH_SIZE,
        "tokens": TOKENS,
        "rounds": rounds,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "versions": {"python": platform.python_version(), "torch": version("torch")},
        "rows": rows,
    }
    path = Path(__file__).parent / "results" / "fusions-cpu.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
