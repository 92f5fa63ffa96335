"""Rows of Parquet files that are one sample: those of one picture or sound, each with a caption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl

from mmlab_datasets.columnar.files import Origins, ParquetFile, unusable
from mmlab_datasets.columnar.media import Media
from mmlab_datasets.index import Index
from mmlab_datasets.rows import JoinedRows

Rows = Literal["auto", "samples"]


def join_rows(
    files: Sequence[ParquetFile],
    media: Sequence[Media],
    sample_column: str | None,
    rows: Rows,
) -> JoinedRows:
    """The rows that are one sample: of one value of the column, else of one file.

    A picture, or where there is none a sound, is of one file as another where both name it, or both
    have its bytes and the same path beside them. Raises DataError where it shall be both.
    """
    if rows == "samples" and sample_column:
        fault = "every row is to be a sample, and yet a column says which rows are one"
        found = f'rows = "samples" and sample_column = {sample_column!r}'
        raise unusable("dataset.rows", fault, found, "one of the two", "remove one of them")
    origins = Origins(files)
    keys: Sequence[str | None] = [None] * len(origins)
    named = "sample"
    if sample_column:
        named = repr(sample_column)
        keys = [key for file in files for key in _texts(file, sample_column)]
    elif rows == "auto" and media:
        named = media[0].modality if len(media) == 1 else "file"
        told = zip(*(one.keys() for one in media), strict=True)
        keys = [next((key for key in row if key), None) for row in told]
    return JoinedRows(keys, origins.of_both, named)


def media_rows(joined: JoinedRows, media: Media) -> list[int | None]:
    """For each sample the first of its rows that has the picture or sound; None where none has.

    Raises DataError where two rows of a sample have different ones.
    """
    told: list[str | None] = [None] * len(media.present)
    for rows in joined.rows:
        for row in rows if len(rows) > 1 else ():
            told[row] = media.identity(row)
    joined.agreed(media.column, told)
    return [next((row for row in rows if media.present[row]), None) for rows in joined.rows]


def _texts(file: ParquetFile, column: str) -> list[str | None]:
    cells = pl.DataFrame({column: file.series(column)})
    return Index(file.path, cells).cells(column)
