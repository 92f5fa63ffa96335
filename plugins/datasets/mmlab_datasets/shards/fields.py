"""Whether samples' JSON has the fields that a spec names, so that no slip is a missing value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mmlab.plugin import DataError, explain
from mmlab_datasets.index import nearest
from mmlab_datasets.shards.reading import Reading
from mmlab_datasets.shards.table import JSON_BYTES
from mmlab_datasets.shards.tars import read_member


def require_fields(paths: Sequence[Path], frame: pl.DataFrame, reading: Reading) -> None:
    """Raise DataError where a field has no value in any sample, and is not in the first one's JSON.

    Some samples may lack it: their captions, labels or groups are missing.
    """
    columns = {
        "text_field": (reading.text_field, "texts"),
        "label_field": (reading.label_field, "label_ids"),
        "group_field": (reading.group_field, "group"),
    }
    for option, (field, column) in columns.items():
        if field is None or frame[column].null_count() < frame.height:
            continue
        fields = first_fields(paths, frame)
        if fields and field not in fields:
            raise _without(paths[0], option, field, fields)


def captions_elsewhere(paths: Sequence[Path], frame: pl.DataFrame, reading: Reading) -> list[str]:
    """A word where no sample has a caption, about fields of the JSON that may hold it."""
    is_read = reading.texts and reading.text_field is None
    fields = first_fields(paths, frame) if is_read and frame["texts"].null_count() else []
    if not fields or frame["texts"].null_count() < frame.height:
        return []
    shown = ascii(", ".join(fields[:20]))[1:-1][:400]
    return [f"no sample has a .txt; text_field names the field of .json with captions: {shown}"]


def first_fields(paths: Sequence[Path], frame: pl.DataFrame) -> list[str]:
    """The names of the fields in the first JSON that can be read; none where there is none."""
    rows = frame.filter(pl.col("json_bytes") <= JSON_BYTES).head(1)
    for row in rows.iter_rows(named=True):
        content = read_member(paths[row["shard"]], row["json_offset"], row["json_bytes"])
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            return []
        return list(found) if isinstance(found, dict) else []
    return []


def _without(path: Path, option: str, field: str, fields: Sequence[str]) -> DataError:
    more = ", ..." if len(fields) > 20 else ""
    return DataError(
        explain(
            f"{path}: dataset.{option}",
            f"no sample's JSON has a value in this field{nearest(field, fields)}",
            found=repr(field),
            allowed=ascii(", ".join(fields[:20]))[1:-1][:400] + more,
            next_step="name a field that the JSON of the samples has",
        )
    )
