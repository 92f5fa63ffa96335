"""`mmlab inspect` of data with boxes: how many, of which labels and sizes, and which are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from mmlab.cli import main

SPEC = """
schema_version = 1
name = "things"
[dataset]
use = "coco"
train = "train.json"
test = "test.json"
[encoders.image]
use = "convnet"
[fusion]
use = "concat"
[head]
use = "linear"
[[losses]]
use = "binary_cross_entropy"
[train]
epochs = 1
batch_size = 2
[[evaluate]]
use = "classification"
"""
CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 5, "name": "dog"}]
#: Image, category, x, y, width, height, iscrowd.
TRAIN = [(1, 1, 0, 0, 10, 20, 0), (1, 5, 5, 5, 40, 60, 1), (2, 1, 0, 0, 100, 110, 0)]
TEST = [(1, 5, 9, 9, 10, 10, 0), (2, 5, 3, 3, -4, 8, 0)]


def write(name: str, first: int, boxes: list[tuple[int, ...]]) -> None:
    """A file of three pictures; the last of them has no boxes."""
    images: list[dict[str, Any]] = []
    for number in (1, 2, 3):
        file = f"{name}{number}.png"
        Image.new("RGB", (128, 112), (first, number, 0)).save(file)
        images.append({"id": number, "file_name": file, "width": 128, "height": 112})
    keys = ("image_id", "category_id", "bbox", "iscrowd")
    told = [dict(zip(keys, (i, c, box, crowd), strict=True)) for i, c, *box, crowd in boxes]
    document = {"images": images, "categories": CATEGORIES, "annotations": told}
    Path(f"{name}.json").write_text(json.dumps(document))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of boxes and a spec, in the working directory."""
    monkeypatch.chdir(tmp_path)
    write("train", 10, TRAIN)
    write("test", 20, TEST)
    Path("things.toml").write_text(SPEC)


def test_boxes_are_counted_by_split_label_and_size_and_bad_ones_end_nothing() -> None:
    result = CliRunner().invoke(main, ["inspect", "things.toml", "--json"])
    assert result.exit_code == 0, result.output
    (data,) = json.loads(result.stdout)["data"]
    train, test = (data["splits"][name]["boxes"] for name in ("train", "test"))
    assert (train["boxes"], train["known"], train["empty"]) == (3, 3, 1)
    assert train["labels"] == {"cat": 2, "dog": 1}
    assert (train["crowd"], train["difficult"]) == (1, 0)
    assert train["sizes"] == {"small": 1, "medium": 1, "large": 1}
    assert train["width"] == {"minimum": 10, "median": 40, "maximum": 100}
    assert (test["boxes"], test["known"]) == (1, 2)
    assert test["unreadable"]["count"] == 1
    assert "ends before it begins" in test["unreadable"]["first"]


def test_people_see_the_same() -> None:
    result = CliRunner().invoke(main, ["inspect", "things.toml"], env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert "train: width: 10 to 100, median 40; height: 20 to 110, median 60" in shown
    assert "test: cannot be read: 1; the first:" in shown
    assert "boxes: 2: cat (0, 0, 10, 20), dog (5, 5, 45, 65)" in shown
    for row in ("small 1 0 1", "medium 1 0 0", "large 1 0 0", "crowd 1 0 0"):
        assert row in shown
