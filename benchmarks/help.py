"""What `mmlab --help` costs beside a bare Python, click alone, and the help of peers.

    python benchmarks/help.py [--peer mlflow=/path/to/bin/mlflow] [--rounds 20]

CPU time (user and system) of child processes, arms interleaved; the minimum is compared, the median
shows the spread. Peers that stand beside this Python are found; others are named with --peer. Every
arm runs with compiled modules cached: one round goes first and is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

OURS = "mmlab --help"
PEERS = ("alembic", "mlflow", "optuna", "wandb", "dvc")
RESULT = Path(__file__).parent / "results" / "help-cpu.json"

Command = Sequence[str | Path]


def main() -> None:
    options = read_options()
    commands = arms(options.peer)
    measured = measure(commands, options.rounds)
    table = {name: summarise(seconds) for name, seconds in measured.items()}
    show(table)
    RESULT.parent.mkdir(exist_ok=True)
    document = {"benchmark": "help", "unit": "CPU milliseconds", "rounds": options.rounds}
    document |= {"python": platform.python_version(), "cores": os.cpu_count()}
    document |= {"versions": {name: version(command) for name, command in commands.items()}}
    document |= {"arms": table, "goal": "below 150 ms, and 20 times below mlflow --help"}
    RESULT.write_text(json.dumps(document, indent=2) + "\n")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--rounds", type=int, default=20)
    return parser.parse_args()


def arms(peers: Sequence[str]) -> dict[str, Command]:
    """What is compared, by name."""
    bin_folder = Path(sys.executable).parent
    found: dict[str, Command] = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import click": [sys.executable, "-c", "import click"],
        OURS: [bin_folder / "mmlab", "--help"],
    }
    beside = {name: bin_folder / name for name in PEERS if (bin_folder / name).exists()}
    given = {name: Path(path) for name, _, path in (peer.partition("=") for peer in peers)}
    return found | {f"{name} --help": [path, "--help"] for name, path in (beside | given).items()}


def measure(commands: Mapping[str, Command], rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds of every round of every arm."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for position in range(rounds + 1):
        for name, command in commands.items():
            spent = cpu_seconds(command)
            if position > 0:
                seconds[name].append(1000 * spent)
    return seconds


def cpu_seconds(command: Command) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def version(command: Command) -> str:
    """What the arm's program says of itself."""
    asked = [command[0], "--version"]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
    return said[-1]


def summarise(milliseconds: Sequence[float]) -> dict[str, float]:
    return {
        "minimum": round(min(milliseconds), 1),
        "median": round(statistics.median(milliseconds), 1),
    }


def show(table: dict[str, dict[str, float]]) -> None:
    ours = table[OURS]["minimum"]
    print(f"{'':16} {'minimum':>10} {'median':>10} {'ratio':>8}")
    for name, row in table.items():
        row["ratio_to_ours"] = round(row["minimum"] / ours, 2)
        times = f"{row['minimum']:7.1f} ms {row['median']:7.1f} ms"
        print(f"{name:16} {times} {row['ratio_to_ours']:8.2f}")


if __name__ == "__main__":
    main()
