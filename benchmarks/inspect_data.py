"""How long `mmlab inspect` takes on a manifest of a million rows, and how much memory.

    python benchmarks/inspect_data.py [--rows 1000000] [--files 1000] [--rounds 3] [--texts]

A fresh process for each round; wall clock and CPU time of it and its children, and the peak
resident memory (VmHWM) of the process that holds the rows. Rows have an id, a picture, a label of a
thousand, a split and a number; with --texts also a caption of six words, which a text encoder reads
in a process of its own, whose peak is stated apart: most of it is torch. Every row is asked for its
file; the files are 200 JPEGs under many names (hard links), a thousand unless --files says more.
Pictures are opened in a sample, whose size is in the result.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from measuring import keep_result, spread
from PIL import Image

SPEC = """
schema_version = 1
name = "million"
[dataset]
use = "manifest"
path = "rows.csv"
rows = "samples"
id_column = "id"
image_column = "image"
tabular_columns = ["age"]
label_column = "label"
split_column = "split"
text_columns = [{texts}]
[encoders.image]
use = "convnet"
[encoders.text]
use = "transformer"
[fusion]
use = "concat"
[head]
use = "linear"
[[losses]]
use = "cross_entropy"
[train]
epochs = 1
batch_size = 64
[[evaluate]]
use = "classification"
"""
#: What the command may take.
SECONDS, MEGABYTES = 20, 500
#: Different pictures that there are, whatever the number of files.
PICTURES = 200
LIBRARIES = ("mmlab", "mmlab-datasets", "polars", "numpy", "pillow")


def main() -> None:
    options = read_options()
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder), options.files)
        write_rows(Path(folder, "rows.csv"), options.rows, options.files)
        texts = '"caption"' if options.texts else ""
        Path(folder, "million.toml").write_text(SPEC.format(texts=texts))
        rounds = [inspect(folder) for _ in range(options.rounds)]
    drawn = rounds[0]["drawn"]
    found = {
        "unit": "seconds and MB of fresh processes",
        "goal": f"at most {SECONDS} s and {MEGABYTES} MB on a million rows",
        "rows": options.rows,
        "files": options.files,
        "with_texts": options.texts,
        "rounds": options.rounds,
        "seconds": spread([one["seconds"] for one in rounds], 1),
        "cpu_seconds": spread([one["cpu_seconds"] for one in rounds], 1),
        "peak_mb": spread([one["peak_mb"] for one in rounds], 0),
        "peak_mb_of_text_encoders": spread([one["children_mb"] for one in rounds], 0),
        "pictures_opened": drawn,
    }
    print(json.dumps(found, indent=2))
    name = "inspect-texts" if options.texts else "inspect"
    keep_result(name, torch.device("cpu"), LIBRARIES, found)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", action="store_true", help="rows have captions")
    return parser.parse_args()


def file_name(number: int) -> str:
    """A file's path below the folder, a thousand in each of its folders."""
    return f"pictures/{number // 1000:04}/{number:07}.jpg"


def write_pictures(folder: Path, files: int) -> None:
    for number in range(files):
        path = folder / file_name(number)
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        if number < PICTURES:
            size = 64 + number, 48 + number % 7
            Image.new("RGB", size, (number, 99, 255 - number)).save(path)
        else:
            os.link(folder / file_name(number % PICTURES), path)


def write_rows(path: Path, rows: int, files: int) -> None:
    draw = random.Random(0)
    words = [f"word{number}" for number in range(3000)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "caption", "label", "split", "age"])
        for number in range(rows):
            part = draw.random()
            split = "train" if part < 0.8 else "validation" if part < 0.9 else "test"
            caption = " ".join(draw.choices(words, k=6))
            label = f"class {draw.randrange(1000)}"
            name = file_name(number % files)
            writer.writerow([f"r{number}", name, caption, label, split, draw.randrange(90)])


def inspect(folder: str) -> dict[str, Any]:
    """One run of the command: its time, its peak memory and that of its children, what it drew."""
    script = str(Path(sys.executable).with_name("mmlab"))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    before, started = cpu_seconds(), time.perf_counter()
    command = [script, "inspect", "million.toml", "--json"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        peaks: dict[int, float] = {}
        watcher = threading.Thread(target=watch, args=(process, peaks))
        watcher.start()
        assert process.stdout is not None, "a pipe was asked for"
        document = json.loads(process.stdout.read())
        watcher.join()
    if process.returncode:
        sys.exit(process.returncode)
    own = peaks.pop(process.pid)
    pictures = document["data"][0]["drawn"]["pictures"]["image"]
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": cpu_seconds() - before,
        "peak_mb": own,
        "children_mb": max(peaks.values(), default=0.0),
        "drawn": pictures["drawn"],
    }


def cpu_seconds() -> float:
    """CPU time of all children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def watch(process: subprocess.Popen[str], peaks: dict[int, float]) -> None:
    """Keep the peak memory of a process and its children, in MB, until it ends."""
    while process.poll() is None:
        for pid in [process.pid, *children(process.pid)]:
            peak = peak_mb(pid)
            if peak:
                peaks[pid] = peak
        time.sleep(0.05)


def children(pid: int) -> Sequence[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


def peak_mb(pid: int) -> float:
    """The peak resident memory of a process; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    told: Mapping[str, str] = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(told["VmHWM"].split()[0]) / 1024 if "VmHWM" in told else 0.0


if __name__ == "__main__":
    main()
