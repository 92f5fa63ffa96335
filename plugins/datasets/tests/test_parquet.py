"""Hugging Face's Parquet files, as `datasets` writes them."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mmlab_datasets.parquet import Parquet
from PIL import Image

from mmlab.plugin import DataError
from mmlab.testing import check_dataset

FEATURES = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}


def picture(colour: int) -> dict[str, Any]:
    file = io.BytesIO()
    Image.new("RGB", (6, 4), (colour, 0, 0)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": f"{colour}.png"}


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "image": picture(n) if n != 3 else None,
            "caption": [f"text {n}", f"more {n}"],
            "label": n % 2 if n != 2 else -1,
            "kind": "dog" if n % 2 else "cat",
        }
        for n in range(start, start + count)
    ]


def write(path: Path, content: list[dict[str, Any]], features: object = FEATURES) -> Path:
    told = json.dumps({"info": {"features": features}})
    pl.DataFrame(content).write_parquet(path, metadata={"huggingface": told})
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "train-00000-of-00002.parquet", rows(3))
    write(tmp_path / "train-00001-of-00002.parquet", rows(2, start=3))
    write(tmp_path / "test-00000-of-00001.parquet", rows(1, start=9))
    return tmp_path


def read(folder: Path, **options: Any) -> Parquet:
    given = {"image_column": "image", "text_columns": ["caption"], "label_column": "label"}
    return Parquet("train", train=folder / "train-*.parquet", **{**given, **options})


def test_parquet_keeps_the_contract(folder: Path) -> None:
    patterns = {"train": folder / "train-*.parquet", "test": folder / "test-*.parquet"}
    check_dataset(
        Parquet,
        **patterns,
        image_column="image",
        text_columns=["caption"],
        label_column="label",
    )


def test_rows_come_in_the_order_of_the_files(folder: Path) -> None:
    dataset = read(folder)
    assert [dataset[i].values["text"][0] for i in range(5)] == [f"text {n}" for n in range(5)]
    assert dataset[1].values["image"].getpixel((0, 0)) == (1, 0, 0)
    assert "image" not in dataset[3].values


def test_labels_have_the_names_of_the_schema(folder: Path) -> None:
    dataset = read(folder)
    assert dataset.labels == ("cat", "dog")
    assert [dataset.outline(i).labels or () for i in range(5)] == [(0,), (1,), (), (1,), (0,)]


def test_labels_may_be_texts(folder: Path) -> None:
    dataset = read(folder, label_column="kind")
    assert dataset.labels == ("cat", "dog")
    assert [dataset.outline(i).labels or () for i in range(3)] == [(0,), (1,), (0,)]


def test_bytes_without_a_struct_are_pictures(tmp_path: Path) -> None:
    pl.DataFrame({"image": [picture(7)["bytes"]]}).write_parquet(tmp_path / "train-0.parquet")
    dataset = Parquet("train", train=tmp_path / "train-*.parquet", image_column="image")
    assert dataset[0].values["image"].getpixel((0, 0)) == (7, 0, 0)
    assert dataset.modalities == ("image",)


def test_the_revision_of_pictures_in_cells_is_a_hash_of_options_and_files(folder: Path) -> None:
    options = ["train", "image", "caption", "label", "cat", "dog"]
    content = hashlib.sha256(json.dumps(options).encode())
    for path in sorted(folder.glob("train-*.parquet")):
        content.update(hashlib.sha256(path.read_bytes()).digest())
    assert read(folder).revision == f"parquet-{content.hexdigest()[:16]}"


def test_the_revision_changes_with_the_bytes(folder: Path) -> None:
    before = read(folder).revision
    write(folder / "train-00001-of-00002.parquet", rows(2, start=5))
    assert read(folder).revision != before


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"train": Path("nope-*.parquet")}, "there is no such file"),
        ({"image_column": "imag"}, 'did you mean "image"'),
        ({"label_names": ["cat"]}, "a label has no name"),
        ({"label_names": ["cat", "cat"]}, "a label is named more than once"),
        ({"image_column": None, "text_columns": []}, "no column is named"),
    ],
)
def test_what_cannot_be_used_is_said(folder: Path, options: Any, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        read(folder, **options) if "train" not in options else Parquet(
            "train", image_column="image", **options
        )


def test_numbers_that_nothing_names_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "train-0.parquet", rows(2), features={})
    with pytest.raises(DataError, match="nothing names them"):
        read(tmp_path)


def test_a_file_cut_short_is_named(folder: Path) -> None:
    path = folder / "train-00001-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="no whole Parquet file") as caught:
        read(folder)
    assert str(path) in str(caught.value)


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    write(tmp_path / "train-0.parquet", [{**rows(1)[0], "image": {"bytes": b"x", "path": "a"}}])
    with pytest.raises(DataError, match=r"picture cannot be read(.|\n)*next: write the file again"):
        read(tmp_path)[0]
