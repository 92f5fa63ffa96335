"""Parquet files of every type of column that polars, pandas and `datasets` write."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from hypothesis import strategies as st

from support.fuzz.csv_files import CELLS as WORDS
from support.fuzz.csv_files import RARE, TEXTS
from support.fuzz.roles import PATHS, columns, options_for, rows_of

_text = st.sampled_from(TEXTS) | st.text(max_size=8)
_words = st.sampled_from(["cat", "dog", "owl"])
_none = st.none()
_few = st.integers(0, 2)
_wholes: list[Any] = [pl.Int8(), pl.UInt8(), pl.Int32(), pl.Int64(), pl.UInt64()]


class Column(NamedTuple):
    """A type, and the cells that a column of it has."""

    dtype: Any
    cells: st.SearchStrategy[Any]


def _texts(cells: st.SearchStrategy[Any]) -> list[Column]:
    return [Column(pl.String(), cells), Column(pl.Categorical(), cells | _none)]


_numbers = [
    *(Column(dtype, _few | _none) for dtype in _wholes),
    *(
        Column(dtype, st.sampled_from([0.0, 1.0, 2.0]) | _none)
        for dtype in (pl.Float32(), pl.Float64())
    ),
]
_lists = [
    Column(pl.List(pl.String()), st.lists(_words, max_size=2) | _none),
    Column(pl.List(pl.Int64()), st.lists(_few, max_size=2) | _none),
    Column(pl.Array(pl.String(), 2), st.lists(_words, min_size=2, max_size=2) | _none),
    Column(pl.List(pl.Categorical()), st.lists(_words, max_size=2)),
]
KINDS: dict[str, list[Column]] = {
    "caption": [*_texts(_text), *_texts(_text), Column(pl.List(pl.String()), st.lists(_text))],
    "label": [
        *(*_texts(_words), *_numbers, *_lists, Column(pl.Boolean(), st.booleans() | _none)),
        Column(pl.Enum(["owl", "dog", "cat"]), _words | _none),
    ],
    "id": [Column(pl.String(), st.uuids().map(str)), Column(pl.Int64(), st.integers(0, 2**62))],
    "image": _texts(st.sampled_from(PATHS)),
    "cell": [*_texts(WORDS["cell"]), *_numbers, Column(pl.Boolean(), st.booleans())],
    "target": [*_texts(WORDS["target"]), *_numbers],
    "sample": [*_texts(st.sampled_from(["p", "q", ""])), Column(pl.Int16(), _few | _none)],
    "split": _texts(WORDS["split"]),
    "other": [Column(pl.Binary(), st.binary())],
}
_date = st.just(datetime.date(2024, 1, 2))
#: Types and cells that no reader or few can take.
ODD = [
    Column(pl.Null(), _none),
    Column(pl.Binary(), st.just(b"cat")),
    Column(pl.Date(), _date | _none),
    Column(pl.Decimal(10, 2), st.just(Decimal("1.50")) | _none),
    Column(pl.Struct({"en": pl.String(), "de": pl.String()}), st.just({"en": "a", "de": "b"})),
    Column(pl.List(pl.Struct({"raw": pl.String()})), st.lists(st.just({"raw": "a"}), max_size=2)),
    Column(pl.List(pl.List(pl.String())), st.lists(st.lists(_words))),
    Column(pl.List(pl.Boolean()), st.lists(st.booleans(), max_size=2)),
    Column(pl.List(pl.Float64()), st.lists(st.sampled_from([0.0, 1.5, 2.0]), max_size=2)),
    Column(pl.Float64(), st.sampled_from([1.0, 1.5, float("nan"), float("inf"), -1.0, 1e300])),
    Column(pl.Int64(), st.sampled_from([0, 1, -1, 7, 2**53 + 1])),
    Column(pl.Boolean(), st.booleans() | _none),
    Column(pl.List(pl.String()), st.lists(_text | _none, max_size=3) | _none),
    Column(pl.String(), st.sampled_from([*TEXTS, *RARE]) | _none),
    Column(pl.Duration(), st.just(datetime.timedelta(1)) | _none),
    Column(pl.String(), _none),
]


class ParquetFile(NamedTuple):
    """The columns of a file, and what a spec names of it."""

    columns: dict[str, tuple[Any, Sequence[Any]]]
    options: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its rows as Python's values."""
        cells = [values for _, values in self.columns.values()]
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*cells, strict=True)]

    def write(self, path: Path) -> None:
        """Write it with polars."""
        series = [pl.Series(n, list(v), dtype) for n, (dtype, v) in self.columns.items()]
        pl.DataFrame(series).write_parquet(path)


@st.composite
def parquet_files(draw: st.DrawFn, named: Any = None, kinds: Any = None) -> ParquetFile:
    """A table of some type in every column."""
    named = draw(columns() if named is None else named)
    types = {role: draw(st.sampled_from((kinds or KINDS)[role])) for _, role in named}
    for role in types:
        if draw(st.integers(0, 9)) == 3:
            types[role] = draw(st.sampled_from(ODD))
    rows = draw(rows_of({role: column.cells for role, column in types.items()}, named))
    cells = zip(*rows, strict=True) if rows else [()] * len(named)
    options = options_for(named)
    if "sample_column" not in options and draw(st.booleans()):
        options["rows"] = "samples"
    return ParquetFile(
        {n: (types[role].dtype, of) for (n, role), of in zip(named, cells, strict=True)}, options
    )


def has_known(file: ParquetFile) -> bool:
    """Whether all columns that a spec names have a cell with a value in it."""
    return all(any(cell not in (None, []) for cell in cells) for _, cells in file.columns.values())
