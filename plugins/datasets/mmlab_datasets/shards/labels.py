"""What members say of labels, as label ids. Raises DataError at the first sample that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from mmlab.plugin import DataError, explain
from mmlab_datasets.index import nearest


def read_labels(frame: pl.DataFrame, labels: Sequence[str], paths: Sequence[Path]) -> pl.Series:
    """The label ids of every row, null where they are unknown: everywhere without names of labels.

    A label that is no number is one of the names.
    """
    if not labels:
        return pl.Series("labels", [None] * frame.height, pl.List(pl.Int64))
    _check_flags(frame, labels, paths)
    found = frame["label_ids"].alias("labels")
    if frame["label_texts"].list.len().sum():
        known = {label: number for number, label in enumerate(labels)}
        rows = [_ids(row, known, paths) for row in frame.iter_rows(named=True)]
        found = pl.Series("labels", rows, found.dtype)
    ids = found.list.unique().list.sort()
    wrong = ((ids.list.max() >= len(labels)) | (ids.list.min() < 0)).fill_null(False).arg_true()
    if len(wrong):
        row = frame.row(wrong[0], named=True)
        raise _without_name(row, paths, ids[wrong[0]].to_list(), f"0 to {len(labels) - 1}")
    return ids


# A row of the table: values of several types.
def _ids(row: dict[str, Any], known: Mapping[str, int], paths: Sequence[Path]) -> list[int] | None:
    if row["label_ids"] is None:
        return None
    texts = row["label_texts"] or ()
    for text in texts:
        if text not in known:
            raise _without_name(
                row, paths, f"{text!r}{nearest(text, known)}", ", ".join([*known][:20])
            )
    return [*row["label_ids"], *(known[text] for text in texts)]


def _check_flags(frame: pl.DataFrame, labels: Sequence[str], paths: Sequence[Path]) -> None:
    """An array of 0 and 1 has one for every label; it is no single label."""
    is_array, is_read = frame["flag_count"].is_not_null(), frame["label_ids"].is_not_null()
    is_whole = (frame["flag_count"] == len(labels)).fill_null(False)
    wrong = (is_array & is_read & ~is_whole).arg_true()
    if len(wrong):
        row = frame.row(wrong[0], named=True)
        found, allowed = f"{row['flag_count']} values", f"{len(labels)}, one for each label"
        raise _without_name(row, paths, found, allowed)
    unread = (is_array & ~is_read & is_whole).arg_true()
    if len(unread):
        raise DataError(
            explain(
                _place(frame.row(unread[0], named=True), paths),
                "its labels are in .npy, which are read where several labels are asked for",
                found=f"no .cls, and an array of {len(labels)} values of 0 and 1",
                allowed="one label in .cls",
                next_step="set multi_label = true in [dataset]",
            )
        )


def _place(row: dict[str, Any], paths: Sequence[Path]) -> str:
    return f"{paths[row['shard']]}: {row['key']}"


def _without_name(
    row: dict[str, Any], paths: Sequence[Path], found: object, allowed: str
) -> DataError:
    return DataError(
        explain(
            _place(row, paths),
            "a label has no name",
            found=found,
            allowed=allowed,
            next_step="name all labels in the spec, or in the folder's classnames.txt",
        )
    )
