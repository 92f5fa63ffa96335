"""The index file of a manifest, whatever its ending: CSV, TSV, JSONL or Parquet."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from mmlab.plugin import DataError, explain, read_file
from mmlab_datasets.csv_table import read_csv
from mmlab_datasets.damage import damaged
from mmlab_datasets.index import Index
from mmlab_datasets.json_lines import read_jsonl


def _read_parquet(path: Path, content: bytes) -> Index:
    try:
        return Index(path, pl.read_parquet(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise damaged(
            path,
            "",
            "it is damaged",
            found=str(error).split("\n")[0],
            allowed="a whole Parquet file",
            next_step="write or copy the file anew",
        ) from error


READERS = {".tsv": read_csv, ".csv": read_csv, ".jsonl": read_jsonl, ".parquet": _read_parquet}


def read_index(path: Path) -> Index:
    """The table in an index file. Raises DataError where there is none."""
    ending = path.suffix.lower()
    if ending not in READERS:
        raise _unreadable(path, "its ending is unknown", ending or "no ending")
    try:
        content = read_file(path)
    except OSError as error:
        raise _unreadable(path, "it cannot be read", error.strerror) from error
    if not content.strip():
        raise _unreadable(path, "it is empty", f"{len(content)} bytes")
    index = READERS[ending](path, content)
    if index.table.is_empty():
        raise _unreadable(path, "it has no rows", "0 rows")
    return index


def _unreadable(path: Path, fault: str, found: object) -> DataError:
    return DataError(
        explain(
            str(path),
            f"this is no manifest: {fault}",
            found=found,
            allowed=f"a file of at least one row that ends in {', '.join(READERS)}",
            next_step="set dataset.path to the index of your data, or repair the file",
        )
    )
