"""What a cell costs in a sweep of many: executed in child processes, and in the command's own.

    python benchmarks/many_cells.py [--cells 2000] [--db URL]

One `mmlab run` of one spec each, on SQLite in this folder's file system unless a database is given:
a cell trains one step of a small encoder on 4 texts, evaluates 8 and records. What the command
needs to start, a run of one cell before, is taken off. CPU time is that of all its processes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from measuring import keep_result

SPEC = """
schema_version = 1
name = "tiny"
[dataset]
use = "manifest"
path = "rows.csv"
text_columns = ["text"]
label_column = "label"
split_column = "split"
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
[sweep]
seeds = {seeds}
"""
SPLITS = ("train", "validation", "test")
ROWS = [f"number {n},{'odd' if n % 2 else 'even'},{SPLITS[n % 3]}" for n in range(24)]
LIBRARIES = ("mmlab", "torch", "numpy", "sqlalchemy")
#: How a command executes cells, by the name of the arm.
ARMS = {"in children": "0", "in process": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--db", help="an empty database that was made with mmlab db init")
    given = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for number, (name, in_process) in enumerate(ARMS.items()):
            url = given.db or f"{folder}/{number}.db"
            first = 2 * number * given.cells
            start = measure(folder, url, in_process, range(first, first + 1))
            whole = measure(folder, url, in_process, range(first + 1, first + 1 + given.cells))
            found[name] = {
                "milliseconds_a_cell": round(1000 * (whole[0] - start[0]) / given.cells, 1),
                "cpu_milliseconds_a_cell": round(1000 * (whole[1] - start[1]) / given.cells, 1),
                "seconds_to_start": round(start[0], 1),
            }
            print(f"{name:12} {found[name]}")
    about = {
        "unit": "milliseconds a cell, elapsed and CPU",
        "goal": "under 100 ms a cell in children",
        "cells": given.cells,
        "load": os.getloadavg()[1],
        "arms": found,
    }
    keep_result("many-cells", torch.device("cpu"), LIBRARIES, about)


def measure(folder: str, url: str, in_process: str, seeds: range) -> tuple[float, float]:
    """Elapsed and CPU seconds of a command that runs one cell for each seed."""
    spec = Path(folder, "tiny.toml")
    spec.write_text(SPEC.format(seeds=[*seeds]))
    spec.with_name("rows.csv").write_text("\n".join(["text,label,split", *ROWS, ""]))
    command = ["run", str(spec), "--db", url, "--runs", f"{folder}/{in_process}", "--device", "cpu"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "mmlab", *command],
        check=True,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MMLAB_IN_PROCESS": in_process},
    )
    spent, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, cpu


if __name__ == "__main__":
    main()
