"""What one cell costs to start: imports, a cell that is done already, and a tiny new one.

    python benchmarks/start.py [--rounds 5]

CPU time (user and system) of fresh child processes on one thread with compiled modules cached, arms
interleaved; a first round is not counted. What an import costs beyond others is the difference of
the medians of two processes: with it, and without it. `mmlab run` goes over one spec of one cell
that trains one step of two small encoders on 4 pictures; `new` gives it another seed in each round.
Which of the imports each command makes is asked in a process that is not timed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from measuring import keep_result, spread

#: What is imported, beyond what: a fresh Python, torch, or all that an optimiser imports anyway.
IMPORTS = (
    ("numpy", ""),
    ("pydantic", ""),
    ("sqlalchemy", ""),
    ("polars", ""),
    ("scipy.special", ""),
    ("torch", ""),
    ("mmlab.runner.runner", "torch"),
    ("torchvision", "torch"),
    ("torch._dynamo", "torch"),
    ("torchvision", "torch, torch._dynamo"),
    ("torch.utils.flop_counter", "torch"),
    ("open_clip", "torch"),
)
SPEC = """
schema_version = 1
name = "tiny"
[dataset]
use = "emoji"
labels = "category"
captions = ["{tags}"]
[encoders.image]
use = "convnet"
width = 8
image_size = 16
[encoders.text]
use = "transformer"
width = 16
depth = 1
heads = 2
length = 12
[fusion]
use = "concat"
[head]
use = "linear"
[[losses]]
use = "cross_entropy"
[train]
max_steps = 1
batch_size = 4
[[evaluate]]
use = "classification"
cards = 0
"""
#: Run with a command's arguments; says at the end which of IMPORTS it made.
ASK = """
import atexit, json, sys
asked = json.loads(sys.argv.pop(1))
said = sys.argv.pop(1)
atexit.register(lambda: json.dump([m for m in asked if m in sys.modules], open(said, "w")))
from mmlab.cli import main
main()
"""
LIBRARIES = (
    *("mmlab", "torch", "torchvision", "numpy", "pydantic", "sqlalchemy", "polars", "scipy"),
    "open_clip_torch",
)

Command = Sequence[str]


def main() -> None:
    rounds = read_options().rounds
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tiny.toml").write_text(SPEC)
        asked = {"new": made_by(folder), "done already": made_by(folder)}
        seconds = measure(folder, rounds)
    table = {name: spread(values) for name, values in seconds.items()}
    imports = [
        {
            "import": name,
            "beyond": beyond or "python",
            "seconds": round(median_of(seconds, beyond, name) - median_of(seconds, beyond), 3),
            "made_by": [command for command, names in asked.items() if name in names],
        }
        for name, beyond in IMPORTS
    ]
    show(table, imports)
    keep(table, imports, rounds)


def median_of(seconds: Mapping[str, Sequence[float]], *imported: str) -> float:
    """CPU seconds of a process that makes these imports."""
    return statistics.median(seconds[imports_of(*imported)])


def imports_of(*names: str) -> str:
    """A program of these imports; an empty name is none."""
    made = ", ".join(name for name in names if name)
    return f"import {made}" if made else "pass"


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def run_command(folder: str, seed: int) -> Command:
    """`mmlab run` of the one cell with this seed."""
    spec, database = f"{folder}/tiny.toml", f"{folder}/mmlab.db"
    return ["run", spec, "--db", database, "--set", f"sweep.seeds=[{seed}]", "--device", "cpu"]


def made_by(folder: str) -> list[str]:
    """Which of IMPORTS the command makes; the first time the cell is new, the second time done."""
    said = Path(folder, "imports.json")
    asking = [sys.executable, "-c", ASK, json.dumps([name for name, _ in IMPORTS]), str(said)]
    cpu_seconds([*asking, *run_command(folder, 0)])
    found: list[str] = json.loads(said.read_text())
    return found


def measure(folder: str, rounds: int) -> dict[str, list[float]]:
    """CPU seconds of every round of every arm."""
    script = str(Path(sys.executable).with_name("mmlab"))
    seconds: dict[str, list[float]] = {}
    programs = {imports_of(beyond, name) for name, beyond in IMPORTS}
    programs |= {imports_of(beyond) for _, beyond in IMPORTS}
    for turn in range(rounds + 1):
        arms: dict[str, Command] = {
            **{code: [sys.executable, "-c", code] for code in sorted(programs)},
            "mmlab run, done already": [script, *run_command(folder, 0)],
            "mmlab run, new": [script, *run_command(folder, 100 + turn)],
        }
        for name, command in arms.items():
            spent = cpu_seconds(command)
            if turn:
                seconds.setdefault(name, []).append(spent)
    return seconds


def cpu_seconds(command: Command) -> float:
    """CPU time of a child process that must succeed, with all it starts."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show(table: Mapping[str, Mapping[str, float]], imports: Sequence[Mapping[str, Any]]) -> None:
    print(f"{'import':26} {'beyond':22} {'CPU':>8}   made by mmlab run of a cell that is")
    for row in imports:
        made = ", ".join(row["made_by"])
        print(f"{row['import']:26} {row['beyond']:22} {row['seconds']:6.2f} s   {made}")
    for name in ("mmlab run, done already", "mmlab run, new"):
        row = table[name]
        print(f"{name:49} {row['median']:6.2f} s ({row['minimum']:.2f}-{row['maximum']:.2f})")


def keep(
    table: Mapping[str, Mapping[str, float]],
    imports: Sequence[Mapping[str, Any]],
    rounds: int,
) -> None:
    found = {
        "unit": "CPU seconds of fresh processes; imports are differences of medians",
        "goal": "a cell that is done pays for no compiler and no augmentation",
        "rounds": rounds,
        "imports": imports,
        "processes": table,
    }
    keep_result("start", torch.device("cpu"), LIBRARIES, found)


if __name__ == "__main__":
    main()
