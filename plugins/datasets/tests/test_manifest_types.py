"""Types of columns in a manifest's Parquet file: read as what they say, or refused by name."""

from __future__ import annotations

import datetime
import decimal
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mmlab_datasets.manifest import Manifest

from mmlab.plugin import DataError

NONE_HELD_OUT = {"validation_fraction": 0.0, "test_fraction": 0.0}


def opened(folder: Path, columns: dict[str, Any], **options: Any) -> Manifest:
    pl.DataFrame(columns).write_parquet(folder / "index.parquet")
    return Manifest("train", path=folder / "index.parquet", **NONE_HELD_OUT, **options)


def labelled(folder: Path, cells: pl.Series, **options: Any) -> list[list[str]]:
    columns = {"t": ["x"] * len(cells), "kind": cells}
    dataset = opened(folder, columns, text_columns=["t"], label_column="kind", **options)
    rows = (dataset.outline(row).labels or () for row in range(len(dataset)))
    return [[dataset.labels[label] for label in labels] for labels in rows]


NAMES = ["dog", None, "cat"]
LABELS: dict[str, tuple[pl.Series, list[list[str]]]] = {
    "categories": (pl.Series(NAMES, dtype=pl.Categorical), [["dog"], [], ["cat"]]),
    "an Enum": (pl.Series(NAMES, dtype=pl.Enum(["dog", "cat"])), [["dog"], [], ["cat"]]),
    "booleans": (pl.Series([True, None, False]), [["true"], [], ["false"]]),
    "floats": (pl.Series([3.0, None, 1.0]), [["3"], [], ["1"]]),
    "floats, NaN": (pl.Series([3.0, math.nan, 1.0], dtype=pl.Float32), [["3"], [], ["1"]]),
    "small numbers": (pl.Series([3, None, 1], dtype=pl.UInt8), [["3"], [], ["1"]]),
    "large numbers": (pl.Series([2**63, None, 1], dtype=pl.UInt64), [[str(2**63)], [], ["1"]]),
    "lists": (pl.Series([["dog", "cat"], None, ["cat"]]), [["cat", "dog"], [], ["cat"]]),
    "lists of categories": (
        pl.Series([["dog"], [], ["cat"]], dtype=pl.List(pl.Categorical)),
        [["dog"], [], ["cat"]],
    ),
    "lists of floats": (pl.Series([[3.0], [], [1.0]]), [["3"], [], ["1"]]),
    "arrays": (
        pl.Series([["dog"], None, ["cat"]], dtype=pl.Array(pl.String, 1)),
        [["dog"], [], ["cat"]],
    ),
}


@pytest.mark.parametrize("layout", LABELS)
def test_labels_are_read_from_every_type(tmp_path: Path, layout: str) -> None:
    cells, truth = LABELS[layout]
    assert labelled(tmp_path, cells) == truth


def test_labels_may_be_a_field(tmp_path: Path) -> None:
    columns = {"t": ["x"] * 3, "kind": [{"name": name} for name in NAMES]}
    dataset = opened(tmp_path, columns, text_columns=["t"], label_column="kind.name")
    assert [dataset.outline(row).labels or () for row in range(3)] == [(1,), (), (0,)]


def test_arrays_are_lists(tmp_path: Path) -> None:
    cells = pl.Series([["a", "b"], ["c", "c"]], dtype=pl.Array(pl.String, 2))
    dataset = opened(tmp_path, {"t": cells, "k": cells}, text_columns=["t"], label_column="k")
    assert dataset.is_multi_label
    assert [dataset.outline(row).labels for row in (0, 1)] == [(0, 1), (2,)]
    assert dataset.outline(0).values["text"] == ("a", "b")


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (pl.Series([0.5]), "Float64"),
        (pl.Series([math.inf]), "Float64"),
        (pl.Series([decimal.Decimal("1.0")]), "Decimal"),
        (pl.Series([datetime.date(2020, 1, 1)]), "Date"),
        (pl.Series([datetime.datetime(2020, 1, 1)]), "Datetime"),
        (pl.Series([b"cat"]), "Binary"),
        (pl.Series([[["cat"]]]), r"List\(String\)"),
        (pl.Series([{"name": "cat"}]), 'Struct(.|\n)*name one of its fields: "kind.name"'),
        (pl.Series([[{"name": "cat"}]]), 'Struct(.|\n)*name one of its fields: "kind.name"'),
    ],
)
def test_other_types_are_refused_by_name(tmp_path: Path, cells: pl.Series, told: str) -> None:
    fault = f"column 'kind': its cells are neither text nor whole numbers(.|\n)*{told}"
    with pytest.raises(DataError, match=fault):
        labelled(tmp_path, cells)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (pl.Series([1.0]), "Float64"),
        (pl.Series([True]), "Boolean"),
        (pl.Series([[2.0]]), r"List\(Float64\)"),
        (pl.Series([{"en": "a", "de": "b"}]), r'Struct(.|\n)*fields: "t\.en", "t\.de"'),
        (pl.Series([[{"raw": "a"}]]), r'Struct(.|\n)*fields: "t\.raw"'),
    ],
)
def test_captions_are_texts(tmp_path: Path, cells: pl.Series, told: str) -> None:
    with pytest.raises(DataError, match=f"column 't': its cells are neither text(.|\n)*{told}"):
        opened(tmp_path, {"t": cells}, text_columns=["t"])


def test_captions_may_be_a_field(tmp_path: Path) -> None:
    columns = {"t": [{"en": "a", "de": "b"}], "s": [[{"raw": "c"}, {"raw": "d"}]]}
    dataset = opened(tmp_path, columns, text_columns=["t.de", "s.raw"])
    assert dataset.outline(0).values["text"] == ("b", "c", "d")
    with pytest.raises(DataError, match=r"there is no column 't\.fr'"):
        opened(tmp_path, columns, text_columns=["t.fr"])


@pytest.mark.parametrize(
    "cells",
    [
        pl.Series(["0.5", None], dtype=pl.Categorical),
        pl.Series([decimal.Decimal("0.5"), None]),
        pl.Series([0.5, None], dtype=pl.Float32),
    ],
)
def test_targets_are_read_from_every_type_of_number(tmp_path: Path, cells: pl.Series) -> None:
    dataset = opened(
        tmp_path, {"t": ["x", "y"], "y": cells}, text_columns=["t"], target_columns=["y"]
    )
    assert dataset.outline(0).targets == (0.5,)
    assert math.isnan(dataset.outline(1).targets[0])


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (pl.Series([None, True]), "True; Boolean"),
        (pl.Series([None, [1, 2]]), r"\[1, 2\]; List\(Int64\)"),
        (pl.Series([None, datetime.date(2020, 1, 1)]), "2020, 1, 1.; Date"),
        (pl.Series([None, {"a": 1}]), "'a': 1}; Struct"),
        (pl.Series([None, b"1"]), "b'1'; Binary"),
    ],
)
def test_other_targets_are_refused_by_type(tmp_path: Path, cells: pl.Series, told: str) -> None:
    with pytest.raises(DataError, match=f"row 2, column 'y': .*not a finite number(.|\n)*{told}"):
        opened(tmp_path, {"t": ["x", "y"], "y": cells}, text_columns=["t"], target_columns=["y"])


@pytest.mark.parametrize("kind", ["image", "audio", "video"])
@pytest.mark.parametrize("cells", [[None, None], ["", ""]])
def test_a_column_of_files_that_names_none_is_refused(
    tmp_path: Path, kind: str, cells: list[str | None]
) -> None:
    with pytest.raises(DataError, match=r"column 'f': no cell names a file(.|\n)*2 empty cells"):
        opened(tmp_path, {"f": cells}, **{f"{kind}_column": "f"})
