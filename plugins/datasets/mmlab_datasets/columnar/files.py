"""Parquet files: found by a pattern, their named columns read, with what `datasets` says of them.

Hugging Face's `datasets` writes what a column means, its feature, into the file's metadata.
"""

from __future__ import annotations

import glob
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from mmlab.plugin import DataError, explain, kind_at
from mmlab_datasets.celltypes import fields_of, parted, within
from mmlab_datasets.index import nearest

#: All pictures of a split are kept in memory, as they are compressed.
SPLIT_BYTES = 16_000_000_000
READABLE = f"Parquet files with the named columns, up to {SPLIT_BYTES:,} bytes a split"
CORRECT = "correct the pattern or the name of the column in [dataset], or label_names"
Feature = Mapping[str, Any]  # Any: JSON that a file holds


@dataclass(frozen=True)
class ParquetFile:
    """The named columns of one file, and the features of all of its columns."""

    path: Path
    frame: pl.DataFrame
    features: Feature

    def series(self, name: str) -> pl.Series:
        """A column, or the field `column.field`. Raises DataError where there is neither."""
        found = parted(name, self.frame.columns)
        assert found is not None, "the named columns were read"
        series = within(self.frame[found[0]], found[1])
        if series is not None:
            return series
        known = [f"{found[0]}.{field}" for field in fields_of(self.frame[found[0]].dtype)]
        fault = f"there is no field {name!r}{nearest(name, known)}"
        raise unusable(str(self.path), fault, ", ".join(known) or self.frame[found[0]].dtype)

    def feature(self, name: str) -> Feature:
        """What the schema says of a column or a field, or of the items of its lists; or {}."""
        found = parted(name, self.features)
        if found is None:
            return {}
        feature = _item(self.features[found[0]])
        for field in found[1]:
            feature = _item(feature.get(field))
        return feature

    def place(self, column: str, row: int | None = None) -> str:
        """Where a fault is; rows count from 1."""
        where = "" if row is None else f"row {row}, "
        return f"{self.path}: {where}column {column!r}"


class Origins:
    """Where the rows of several files came from, which count from 0 through all of them."""

    def __init__(self, files: Sequence[ParquetFile]) -> None:
        self._files = list(files)
        self._starts = [0]
        for file in files:
            self._starts.append(self._starts[-1] + file.frame.height)

    def __len__(self) -> int:
        """Number of rows of all files."""
        return self._starts[-1]

    def of(self, row: int, column: str) -> str:
        """The file, its own row and the column, for the first part of a message."""
        number = bisect_right(self._starts, row) - 1
        return self._files[number].place(column, row - self._starts[number] + 1)

    def of_both(self, one: int, other: int, column: str | None) -> str:
        """Two rows that do not go together; these count from 1."""
        return " and ".join(self.of(row - 1, column or "") for row in (one, other))


def find_files(pattern: Path | None) -> list[Path]:
    """The files of a pattern in which * stands for anything, by name; none without one.

    Raises DataError where there is none, for a folder, and for more than 16 GB.
    """
    if pattern is None:
        return []
    text = glob.escape(str(pattern)).replace("[*]", "*")  # "[1]" in a name is no pattern
    found = sorted(Path(name) for name in glob.glob(text))
    if not found:
        raise unusable(str(pattern), "there is no such file", "none")
    for path in found:
        if (kind := _kind(path)) != "a file":
            step = f"{path}/*.parquet" if kind == "a folder" else "correct the pattern"
            raise unusable(str(path), "it is no file", kind or "nothing", READABLE, step)
    size = sum(path.stat().st_size for path in found)
    if size > SPLIT_BYTES:
        found_size = f"{size:,} bytes"
        raise unusable(str(pattern), "its files are too large to keep in memory", found_size)
    return found


def _kind(path: Path) -> str | None:
    try:
        return kind_at(path)
    except OSError as error:
        raise unusable(str(path), "it cannot be read", error.strerror) from error


def read_file(path: Path, names: Sequence[str]) -> ParquetFile:
    """The columns that `names` need. Raises DataError for a damaged file, and where one lacks."""
    try:
        known = pl.scan_parquet(path, glob=False).collect_schema().names()
        needed = {name: parted(name, known) for name in names}
        columns = dict.fromkeys(found[0] for found in needed.values() if found)
        if all(needed.values()):
            frame = pl.read_parquet(path, columns=list(columns), glob=False)
            return ParquetFile(path, frame, _features(path))
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise unusable(str(path), "it is no whole Parquet file", error) from error
    missing = next(name for name, found in needed.items() if not found)
    fault = f"there is no column {missing!r}{nearest(missing, known)}"
    raise unusable(str(path), fault, ", ".join(known))


def _features(path: Path) -> Feature:
    """The features of all columns, as `datasets` writes them; {} without, and for other JSON."""
    try:
        told = json.loads(pl.read_parquet_metadata(path).get("huggingface", "{}"))
        features = told["info"]["features"]
    except (KeyError, RecursionError, TypeError, ValueError):
        return {}
    return features if isinstance(features, dict) else {}


def _item(feature: object) -> Feature:
    """A feature, or that of the items where it is of lists: `Sequence`, `List` or `[item]`."""
    while True:
        if isinstance(feature, list) and len(feature) == 1:
            feature = feature[0]
        elif isinstance(feature, dict) and "feature" in feature and "_type" in feature:
            feature = feature["feature"]
        else:
            return feature if isinstance(feature, dict) else {}


def unusable(
    place: str, fault: str, found: object, allowed: str = READABLE, next_step: str = CORRECT
) -> DataError:
    """The error of files or columns that cannot be used."""
    told = str(found)[:300]
    return DataError(explain(place, fault, found=told, allowed=allowed, next_step=next_step))
