"""Rows of a manifest: their modalities, which of them are one sample, and their splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from mmlab.plugin import DataError, explain
from mmlab_datasets.columns import join_groups, read_splits
from mmlab_datasets.index import Index
from mmlab_datasets.rows import JoinedRows, file_keys, plain_path
from mmlab_datasets.sample_table import Distinct
from mmlab_datasets.splits import draw_distinct

#: Which files a sample without a group is drawn by: the last of these that it has.
FILES_RANKED = ("video", "audio", "image")
MODALITIES = ("image", "text", "audio", "video", "tabular")


def told_splits(index: Index, column: str, joined: JoinedRows) -> Distinct[str]:
    """The splits that a column says."""
    return Distinct.of(joined.column(column, read_splits(index, column)))


def drawn_splits(
    ids: pl.Series,
    files: Mapping[str, pl.Series],
    groups: pl.Series | None,
    fractions: Mapping[str, float],
    seed: int,
) -> Distinct[str]:
    """Splits that are drawn by group, or else by file, or else by id."""
    named = join_groups(ids, *(files.get(key) for key in FILES_RANKED), groups)
    return draw_distinct(Distinct.of(named), fractions, seed)


def join_samples(
    index: Index, columns: Mapping[str, str | None], rows: str, sample_column: str | None
) -> tuple[JoinedRows, dict[str, pl.Series]]:
    """The rows that are one sample, and each sample's files by modality."""
    cells = {key: index.files(column) for key, column in columns.items() if column}
    keys = pl.Series([None], dtype=pl.String).new_from_index(0, len(index))
    if sample_column and rows == "samples":
        raise _contradiction(sample_column)
    if sample_column:
        keys = index.texts(sample_column)
    elif cells and rows == "auto":
        keys = file_keys([*cells.values()])
    (only,) = cells if len(cells) == 1 else ("file",)
    named = repr(sample_column) if sample_column else only
    joined = JoinedRows(keys, index.places.of_both, named)
    return joined, {key: joined.column(columns[key], found, _path) for key, found in cells.items()}


def _path(cell: str | None) -> str:
    return repr(plain_path(cell))


def _contradiction(sample_column: str) -> DataError:
    return DataError(
        explain(
            "dataset.rows",
            "every row is to be a sample, and yet a column says which rows are one",
            found=f'rows = "samples" and sample_column = {sample_column!r}',
            allowed="one of the two",
            next_step="remove one of them",
        )
    )


def named_modalities(
    index: Index, columns: Mapping[str, str | Sequence[str] | None]
) -> tuple[str, ...]:
    """The modalities of which a column is named. Raises DataError where there is none."""
    modalities = tuple(key for key in MODALITIES if columns[key])
    if modalities:
        return modalities
    raise DataError(
        explain(
            str(index.path),
            "no column is named that a model could read",
            found=f"columns {', '.join(map(repr, index.table.columns))}",
            allowed="at least one of image_column, text_columns, audio_column, video_column, "
            "tabular_columns",
            next_step="name the columns in [dataset]",
        )
    )
