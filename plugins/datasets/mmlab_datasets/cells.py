"""Columns of an index as the cells of a table's row: numbers where a column has nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from mmlab_datasets.index import Index

#: The cells of a row by column; None where one is empty.
Cells = tuple[tuple[str, str | float | None], ...]


def read_cells(index: Index, columns: Sequence[str]) -> list[Cells]:
    """Each row's cells in these columns. Raises DataError for a column that is not there.

    A column is of numbers where every cell that is not empty says a finite number; else of texts.
    """
    read = {column: _column(index, column) for column in columns}
    return [
        tuple((column, cells[row]) for column, cells in read.items()) for row in range(len(index))
    ]


def _column(index: Index, column: str) -> Sequence[str | float | None]:
    series = index.series(column)
    if series.dtype in (pl.Float32, pl.Float64):
        return [_finite(cell) for cell in series.to_list()]
    texts = index.cells(column)
    numbers = [None if text is None else _number(text) for text in texts]
    if any(
        text is not None and number is None for text, number in zip(texts, numbers, strict=True)
    ):
        return texts
    return numbers


def _number(text: str) -> float | None:
    try:
        return _finite(float(text))
    except ValueError:
        return None


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
