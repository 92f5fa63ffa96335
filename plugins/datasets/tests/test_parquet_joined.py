"""Rows of a Parquet file that are one sample, since people write one row a caption."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mmlab_datasets.parquet import Parquet
from PIL import Image

from mmlab.plugin import DataError
from mmlab.testing import check_dataset

TEXTS = ["one", "two", "three", "four"]


def picture(red: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 4), (red, 0, 0)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    for red in (7, 9):
        (tmp_path / f"{red}.png").write_bytes(picture(red))
    return tmp_path / "t.parquet"


def opened(path: Path, images: Any, **options: Any) -> Parquet:
    more = options.pop("columns", {})
    pl.DataFrame({"image": images, "text": TEXTS, **more}).write_parquet(path)
    return Parquet("train", train=path, image_column="image", text_columns=["text"], **options)


def told(dataset: Parquet) -> list[tuple[str, int, Any]]:
    samples = [dataset[row] for row in range(len(dataset))]
    return [(s.id, s.values["image"].getpixel((0, 0))[0], s.values["text"]) for s in samples]


JOINED = [("train-0", 7, ("one", "three")), ("train-1", 9, ("two", "four"))]
NAMES = ["7.png", "9.png", "./7.png", "9.png"]
LAYOUTS: dict[str, list[Any]] = {
    "paths": NAMES,
    "a struct of paths": [{"bytes": None, "path": name} for name in NAMES],
    "bytes and paths": [{"bytes": picture(n), "path": f"{n}.png"} for n in (7, 9, 7, 9)],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_of_one_file_are_one_sample(path: Path, layout: str) -> None:
    dataset = opened(path, LAYOUTS[layout])
    assert told(dataset) == JOINED
    assert dataset.notes[0].startswith(f"train of {path}: 4 rows are 2 samples")


def test_rows_are_samples_where_the_spec_says_so(path: Path) -> None:
    dataset = opened(path, NAMES, rows="samples")
    reds = [7, 9, 7, 9]
    assert told(dataset) == [(f"train-{n}", reds[n], (TEXTS[n],)) for n in range(4)]
    assert dataset.notes == ()
    assert dataset.revision != opened(path, NAMES).revision


def test_bytes_with_one_path_but_another_content_are_two_samples(path: Path) -> None:
    images = [{"bytes": picture(red), "path": "image.png"} for red in (1, 2, 3, 2)]
    assert [row[1:] for row in told(opened(path, images))] == [
        (1, ("one",)),
        (2, ("two", "four")),
        (3, ("three",)),
    ]


def test_equal_bytes_that_nothing_names_are_several_samples(path: Path) -> None:
    assert len(opened(path, [picture(7)] * 4)) == 4
    assert len(opened(path, [{"bytes": picture(7), "path": None}] * 4)) == 4


def test_rows_of_one_value_of_a_column_are_one_sample(path: Path) -> None:
    images = [picture(7), None, None, picture(9)]
    columns = {"key": [3, 3, 5, 5]}
    dataset = opened(path, images, columns=columns, sample_column="key")
    assert told(dataset) == [("train-0", 7, ("one", "two")), ("train-2", 9, ("three", "four"))]
    check_dataset(
        Parquet, train=path, image_column="image", text_columns=["text"], sample_column="key"
    )


def test_rows_of_one_sample_agree_on_their_label(path: Path) -> None:
    columns = {"label": ["cat", "dog", None, "dog"]}
    dataset = opened(path, NAMES, columns=columns, label_column="label")
    assert [dataset[row].labels for row in range(2)] == [(0,), (1,)]
    columns = {"label": ["cat", "dog", "cat", "cat"]}
    with pytest.raises(DataError, match=r"row 2, column 'label' and .*row 4, column 'label'"):
        opened(path, NAMES, columns=columns, label_column="label")


def test_rows_of_one_sample_have_one_picture(path: Path) -> None:
    images = [picture(7), picture(9), None, None]
    with pytest.raises(DataError, match=r"row 1, .*row 2, column 'image'"):
        opened(path, images, columns={"key": ["a"] * 4}, sample_column="key")


def test_a_key_and_every_row_a_sample_contradict_each_other(path: Path) -> None:
    with pytest.raises(DataError, match="every row is to be a sample, and yet"):
        opened(path, NAMES, columns={"key": TEXTS}, sample_column="key", rows="samples")
