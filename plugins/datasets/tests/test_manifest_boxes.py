"""Boxes in the columns of a manifest: lists of JSON, of JSONL and of Parquet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mmlab_datasets.manifest import Manifest
from PIL import Image

from mmlab.data.skipped import without_unreadable
from mmlab.plugin import Boxes, DataError
from mmlab.testing import check_dataset

SIZE = (20, 10)
ROWS: list[dict[str, Any]] = [
    {"file": "0.png", "boxes": [[1, 2, 4.5, 6], [0, 0, 20, 10]], "names": ["dog", "cat"]},
    {"file": "1.png", "boxes": [], "names": []},
    {"file": "2.png", "boxes": None, "names": None},
    {"file": "3.png", "boxes": [[4, 5, 10, 10]], "names": ["cat"]},
]
FLAGS: list[list[bool] | None] = [[True, False], [], None, [False]]


def write(folder: Path, ending: str, rows: list[dict[str, Any]] = ROWS, **flags: Any) -> Path:
    """An index of four pictures, one of them without things and one of which nobody knows."""
    for number in range(len(rows)):
        Image.new("RGB", SIZE, (number, 0, 0)).save(folder / f"{number}.png")
    told = [
        {**row, "split": "train" if number < 2 else "test"}
        | {name: column[number] for name, column in flags.items()}
        for number, row in enumerate(rows)
    ]
    path = folder / f"index{ending}"
    if ending == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in told))
    elif ending == ".parquet":
        pl.DataFrame(told, strict=False).write_parquet(path)
    else:
        cells = [
            {k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in told
        ]
        pl.DataFrame(cells).write_csv(path, separator="\t" if ending == ".tsv" else ",")
    return path


OPTIONS = {"image_column": "file", "box_column": "boxes", "box_label_column": "names"}


def read(path: Path, split: Any = "train", **options: Any) -> Manifest:
    return Manifest(split, path=path, split_column="split", **OPTIONS, **options)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_boxes_are_read_from_lists_of_every_kind_of_file(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path, ending, crowd=FLAGS, hard=FLAGS[::-1])
    train, test = read(path), read(path, "test", box_crowd_column="crowd")
    assert train.labels == ("cat", "dog")
    assert train.is_multi_label
    assert train.has_boxes
    corners = ((1.0, 2.0, 4.5, 6.0), (0.0, 0.0, 20.0, 10.0))
    assert train[0].boxes == Boxes(corners, (1, 0))
    assert (train[0].labels, train[1].labels, test[0].labels) == ((0, 1), (), None)
    assert (train[1].boxes, test[0].boxes) == (Boxes(), None)
    flagged = read(path, box_crowd_column="crowd")
    assert flagged[0].boxes == Boxes(corners, (1, 0), (True, False))
    check_dataset(Manifest, path=path, split_column="split", **OPTIONS)


def test_boxes_may_be_a_corner_and_a_size(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "boxes": [[1, 2, 3.5, 4], [0, 0, 20, 10]]}, *ROWS[1:]]
    dataset = read(write(tmp_path, ".jsonl", rows), box_form="size")
    assert dataset[0].boxes == Boxes(((1.0, 2.0, 4.5, 6.0), (0.0, 0.0, 20.0, 10.0)), (1, 0))


def test_a_jsonl_file_of_flags_and_of_many_rows_is_read_as_a_whole(tmp_path: Path) -> None:
    path = write(tmp_path, ".jsonl", crowd=FLAGS, difficult=FLAGS)
    flags = {"box_crowd_column": "crowd", "box_difficult_column": "difficult"}
    boxes = read(path, **flags)[0].boxes
    assert boxes is not None
    assert boxes.crowd == boxes.difficult == (True, False)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "outside": ({"boxes": [[1, 2, 21, 6], [0, 0, 20, 10]]}, "outside of the picture"),
    "negative": ({"boxes": [[-3, 2, 20, 6], [0, 0, 20, 10]]}, "outside of the picture"),
    "inverted": ({"boxes": [[5, 2, 4, 6], [0, 0, 20, 10]]}, "ends before it begins"),
    "empty": ({"boxes": [[4, 2, 4, 6], [0, 0, 20, 10]]}, "it is empty"),
    "shares": ({"boxes": [[0.1, 0.2, 0.4, 0.6], [0, 0, 1, 1]]}, "shares of the picture"),
    "three": ({"boxes": [[4, 2, 4], [0, 0, 20, 10]]}, "item 1 is none"),
    "flat": ({"boxes": [4, 2, 9, 9]}, "item 1 is none|kinds that do not go together"),
    "fewer": ({"boxes": [[4, 2, 9, 9]]}, "the list has 2 items for 1 boxes"),
    "no labels": ({"names": None}, "the cell is no list"),
    "empty name": ({"names": ["cat", ""]}, "item 2 is none"),
    "no boxes": ({"boxes": None}, "labels of boxes, and no boxes"),
    "no picture": ({"file": None}, "there are boxes, and no picture"),
}


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
@pytest.mark.parametrize("name", BAD)
def test_a_cell_that_holds_no_boxes_is_its_rows_error(
    tmp_path: Path, name: str, ending: str
) -> None:
    change, fault = BAD[name]
    path = write(tmp_path, ending, [{**ROWS[0], **change}, *ROWS[1:]])
    with pytest.raises(DataError, match=fault) as caught:
        read(path)[0]
    assert str(path) in str(caught.value)
    assert "row 1" in str(caught.value)
    if "together" not in str(caught.value):
        kept, skipped = without_unreadable(read(path), "train", 0.5, "manifest")
        assert [kept[index].id for index in range(len(kept))] == ["2"]
        assert len(skipped) == 1


HOSTILE = {"damaged": "[[1, 2", "deep": "[" * 100_000, "nan": "[[NaN, 1, 2, 3]]", "text": "all"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_cells_are_their_rows_errors(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, ".csv")
    cell = HOSTILE[name].replace('"', '""')[:4000]
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], f'0.png,"{cell}","[""cat""]",train', *lines[2:]]))
    with pytest.raises(DataError, match=r"no list|no number") as caught:
        read(path).outline(0)
    assert "row 1" in str(caught.value)
    assert read(path, "test")[1].boxes is not None


def test_nan_in_jsonl_is_no_json(tmp_path: Path) -> None:
    path = write(tmp_path, ".jsonl", [{**ROWS[0], "boxes": [[float("nan"), 1, 2, 3]]}, *ROWS[1:]])
    with pytest.raises(DataError, match="no finite number") as caught:
        read(path)
    assert "row 1" in str(caught.value)


def test_unknown_labels_are_told_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, ".jsonl")
    dataset = read(path, label_names=["cats", "dog"])
    with pytest.raises(DataError, match='did you mean "cats"'):
        dataset[0]
    assert dataset[1].boxes == Boxes()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"box_label_column": None}, "without box_label_column"),
        ({"image_column": None, "text_columns": ["file"]}, "without image_column"),
        ({"box_column": None}, "box_label_column without box_column"),
        ({"label_column": "file"}, "beside label_column"),
    ],
)
def test_columns_that_do_not_go_together_are_told(
    tmp_path: Path, options: dict[str, Any], found: str
) -> None:
    path = write(tmp_path, ".jsonl")
    with pytest.raises(DataError, match="do not go together") as caught:
        Manifest("train", path=path, split_column="split", **{**OPTIONS, **options})
    assert found in str(caught.value)


def test_the_revision_tells_boxes_and_is_as_before_without_them(tmp_path: Path) -> None:
    path = write(tmp_path, ".jsonl")
    first = read(path).revision
    other = [{**ROWS[0], "boxes": [[1, 2, 4, 6], [0, 0, 20, 10]]}, *ROWS[1:]]
    assert read(write(tmp_path, ".jsonl", other)).revision != first
    known = [*ROWS[:2], {**ROWS[2], "boxes": [], "names": []}, ROWS[3]]
    assert read(write(tmp_path, ".jsonl", known)).revision != first
    plain = {"path": path, "split_column": "split", "image_column": "file"}
    without = Manifest("train", **plain)
    write(tmp_path, ".jsonl", other)
    assert Manifest("train", **plain).revision == without.revision
    assert not without.has_boxes
    assert without[0].boxes is None


def test_captions_of_one_picture_share_its_boxes(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "title": "one"}, {**ROWS[0], "title": "two"}, {**ROWS[3], "file": "2.png"}]
    path = write(tmp_path, ".jsonl", rows)
    dataset = read(path, text_columns=["title"])
    assert dataset[0].values["text"] == ("one", "two")
    assert len(dataset[0].boxes or ()) == 2
    rows[1] = {**rows[1], "names": ["cat", "cat"]}
    with pytest.raises(DataError, match="differ in more than captions"):
        read(write(tmp_path, ".jsonl", rows), text_columns=["title"])


def test_lists_of_lists_are_no_captions(tmp_path: Path) -> None:
    path = write(tmp_path, ".jsonl")
    with pytest.raises(DataError, match="do not go together"):
        Manifest("train", path=path, text_columns=["boxes"], split_column="split")
