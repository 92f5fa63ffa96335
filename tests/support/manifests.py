"""A small manifest of pictures and texts, and files to make others of."""

import json
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from mmlab_datasets.manifest import Manifest
from PIL import Image

from mmlab.plugin import Sample

ROWS = [
    {"file": "a.png", "title": "a red square", "kind": "red", "part": "train"},
    {"file": "b.jpg", "title": 'a blue one, "really"', "kind": "blue", "part": "train"},
    {"file": "", "title": "no picture 🙂", "kind": "red", "part": "train"},
    {"file": "d.webp", "title": "", "kind": "", "part": "test"},
]
COLUMNS = {
    "image_column": "file",
    "text_columns": ["title"],
    "label_column": "kind",
    "split_column": "part",
}


def write_folder(folder: Path) -> Path:
    """A folder with the pictures, a sound, and `index.csv` of `ROWS`."""
    for name, colour in (("a.png", "red"), ("b.jpg", "blue"), ("d.webp", "white")):
        Image.new("RGB", (6, 4), colour).save(folder / name)
    write_sound(folder / "a.wav", [[0, 16384, -32768], [1, 2, 3]])
    write_csv(folder / "index.csv", ROWS)
    return folder


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    pl.DataFrame(rows).write_csv(path)
    return path


def write_jsonl(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_sound(path: Path, channels: Sequence[Sequence[int]]) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((len(channels), 2, 8000, 0, "NONE", ""))
        sound.writeframes(np.array(channels, "<i2").T.tobytes())


def samples(dataset: Manifest) -> list[Sample]:
    return [dataset[index] for index in range(len(dataset))]
