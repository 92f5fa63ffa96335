"""One's own files from their index to the stored figures: how rows are written changes none."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.lab import Lab

SPEC = (
    '[encoders.image]\nuse = "convnet"\nimage_size = 16\nwidth = 8\nlevels = 1\n',
    '[encoders.text]\nuse = "transformer"\nwidth = 16\ndepth = 1\nheads = 2\nlength = 8\n',
    '[fusion]\nuse = "inner_product"\ndim = 8\n',
    '[[losses]]\nuse = "info_nce"\n',
    "[train]\nepochs = 2\nbatch_size = 6\nlr = 0.01\n",
    '[[evaluate]]\nuse = "retrieval"\n',
)


def write_pictures(folder: Path) -> tuple[list[dict[str, str]], list[dict[str, object]]]:
    """Twenty pictures with five captions each: one row a caption, and one row a picture."""
    rows, lists = list[dict[str, str]](), list[dict[str, object]]()
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (2, 2, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((16, 16)).save(folder / f"{number}.png")
        part = "train" if number < 12 else "validation" if number < 15 else "test"
        about = {"image": f"{number}.png", "part": part}
        captions = [f"{word} w{number}" for word in ("a", "the", "one", "some", "that")]
        rows += [{**about, "caption": caption} for caption in captions]
        lists.append({**about, "caption": captions})
    return rows, lists


@pytest.mark.slow
def test_one_row_a_caption_gives_the_figures_of_one_row_a_picture(sqlite_lab: Lab) -> None:
    rows, lists = write_pictures(sqlite_lab.folder)
    with (sqlite_lab.folder / "rows.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    text = "".join(json.dumps(row) + "\n" for row in lists)
    (sqlite_lab.folder / "lists.jsonl").write_text(text)

    found = {}
    for path in ("rows.csv", "lists.jsonl"):
        dataset = f'[dataset]\nuse = "manifest"\npath = "{path}"\nimage_column = "image"\n'
        dataset += 'text_columns = ["caption"]\nsplit_column = "part"\n'
        detail = sqlite_lab.run_one(sqlite_lab.write(path.partition(".")[0], (dataset, *SPEC)))
        found[path] = [(e.name, e.sample_count, e.metrics) for e in detail.evaluations]

    assert found["rows.csv"] == found["lists.jsonl"]
    assert [count for _, count, _ in found["rows.csv"]] == [5, 25]
    told = f"{sqlite_lab.folder / 'rows.csv'}: 100 rows are 20 samples: rows of one image are one"
    assert sum(told in note for note in sqlite_lab.shown.notes) == 1
