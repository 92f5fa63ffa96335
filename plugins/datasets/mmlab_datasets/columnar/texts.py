"""Captions in the columns of Parquet files: a text or a list of texts in every cell."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mmlab.plugin import DataError
from mmlab_datasets.celltypes import as_lists, is_list, is_text, item_type, offer_fields
from mmlab_datasets.columnar.files import ParquetFile, unusable

Captions = tuple[str, ...]
ALLOWED = "a text or a list of texts in every cell, or null where there is none"


def read_captions(files: Sequence[ParquetFile], columns: Sequence[str]) -> list[Captions]:
    """The captions of every row of all files, from all columns in their order.

    Raises DataError for a column of another type, and where no row has a caption.
    """
    captions = [row for file in files for row in _rows(file, columns)]
    if captions and columns and not any(captions):
        types = ", ".join(str(files[0].series(column).dtype) for column in columns)
        named = f"{files[0].path}: column {', '.join(map(repr, columns))}"
        fault = "every caption of the split is missing"
        step = "name a column that has captions, or leave text_columns out"
        raise unusable(named, fault, f"{len(captions)} empty rows of {types}", ALLOWED, step)
    return captions


def _rows(file: ParquetFile, columns: Sequence[str]) -> list[Captions]:
    rows: list[Captions] = [()] * file.frame.height
    for column in columns:
        told = _texts(file, column)
        rows = [row + more for row, more in zip(rows, told, strict=True)]
    return rows


def _texts(file: ParquetFile, column: str) -> list[Captions]:
    """The texts of every cell; what is blank is left out."""
    series = as_lists(file.series(column))
    inner = item_type(series.dtype)
    if not (is_text(inner) or inner == pl.Null):
        raise _no_captions(file, column, series.dtype)
    cells = series.to_list() if is_list(series.dtype) else [[text] for text in series.to_list()]
    rows = [_stripped(texts or []) for texts in cells]
    for row, texts in enumerate(rows, start=1):
        for text in texts:
            if "\0" in text:
                raise _holds_nul(file, column, row, text)
    return rows


def _stripped(texts: Sequence[str | None]) -> Captions:
    return tuple(text.strip() for text in texts if text and text.strip())


def _no_captions(file: ParquetFile, column: str, dtype: pl.DataType) -> DataError:
    step = offer_fields(column, dtype) or "name another column in text_columns, or write it as text"
    fault = "its cells are no captions: they are neither texts nor lists of texts"
    return unusable(file.place(column), fault, dtype, ALLOWED, step)


def _holds_nul(file: ParquetFile, column: str, row: int, text: str) -> DataError:
    fault, allowed = "the caption holds a NUL", "texts without NUL"
    return unusable(file.place(column, row), fault, repr(text[:80]), allowed, "correct the cell")
