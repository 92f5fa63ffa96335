"""The samples of some shards: raw values by offsets, and what of them lacks."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from PIL import Image

from mmlab.plugin import DataError, Sample, explain
from mmlab_datasets.media import decode_picture
from mmlab_datasets.shards.offsets import read_all
from mmlab_datasets.shards.tars import read_member

JSON_BYTES = 1 << 20
#: Rows that are written as text at a time, to be hashed.
ROWS = 100_000


@dataclass(frozen=True)
class Texts:
    """Where captions come from: `.txt`, one a line if there are several, or a field of `.json`."""

    field: str | None = None
    is_lines: bool = False


class Shards:
    """Samples in the order of their shards; an id is the shard's name without `.tar`, and the key.

    Where shards in several folders share a name, it begins at the folder that all are in.
    Without names of labels, samples have none, whatever the shards hold.
    Raises DataError for a shard that is missing or damaged, and where a label has no name.
    """

    def __init__(self, shards: Sequence[Path], texts: Texts, label_count: int) -> None:
        self._paths, self._texts = list(shards), texts
        self._names = _names(self._paths)
        self._frame = read_all(self._paths)
        self._has_labels = label_count > 0
        self._check_labels(label_count)

    def __len__(self) -> int:
        """Number of samples."""
        return self._frame.height

    @property
    def content(self) -> str:
        """A hash of what is where: names and sizes of shards, keys, labels, captions."""
        told = self._frame.drop("picture_offset", "json_offset")
        content = hashlib.sha256(json.dumps(self._names).encode())
        for part in told.iter_slices(ROWS):
            content.update(part.write_ndjson().encode())
        return content.hexdigest()

    @property
    def holds_none(self) -> bool:
        """Whether some sample says that none of the labels is true."""
        return self._has_labels and bool((self._frame["labels"].list.len() == 0).any())

    def lacking(self, column: str) -> int:
        """How many samples have no "picture_offset" or "text"."""
        return self._frame[column].null_count()

    def sample(self, index: int, *, with_picture: bool) -> Sample:
        """One sample; what it lacks has no value. Raises DataError where its picture is damaged."""
        row = self._frame.row(index, named=True)
        path = self._paths[row["shard"]]
        place = f"{path}: {row['key']}"
        values: dict[str, object] = {}
        if row["picture_offset"] is not None:
            values["image"] = None
            if with_picture:
                values["image"] = self._picture(
                    row["picture_offset"], row["picture_bytes"], path, place
                )
        captions = self._captions(row, path, place)
        if captions:
            values["text"] = captions
        told = row["labels"] if self._has_labels else None
        labels = None if told is None else tuple(told)
        shard = self._names[row["shard"]].removesuffix(".tar")
        return Sample(f"{shard}/{row['key']}", values, labels)

    def _picture(self, offset: int, size: int, path: Path, place: str) -> Image.Image:
        mend = "write the shard again, with another picture or none"
        return decode_picture(read_member(path, offset, size), place, mend)

    # A row of the frame: values of several types.
    def _captions(self, row: dict[str, object], path: Path, place: str) -> tuple[str, ...]:
        if self._texts.field is not None:
            return self._from_json(row, self._texts.field, path, place)
        text = row["text"]
        if not isinstance(text, str):
            return ()
        parts = text.split("\n") if self._texts.is_lines else [text]
        return tuple(part.strip() for part in parts if part.strip())

    def _from_json(
        self, row: dict[str, object], name: str, path: Path, place: str
    ) -> tuple[str, ...]:
        """The captions in a field of the sample's JSON: a text, or a list of some."""
        offset, size = row["json_offset"], row["json_bytes"]
        if not isinstance(offset, int) or not isinstance(size, int):
            return ()
        try:
            content = read_member(path, offset, min(size, JSON_BYTES))
            value = json.loads(content).get(name)
        except (ValueError, AttributeError, RecursionError) as error:
            raise _bad_json(place, error) from error
        values = [value] if isinstance(value, str) else value or []
        if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
            raise _bad_json(place, f"{name!r} is {type(value).__name__}")
        return tuple(one for one in values if one.strip())

    def _check_labels(self, label_count: int) -> None:
        """Raise DataError at the first sample with a label that has no name, if some have one."""
        if not self._has_labels:
            return
        named = pl.col("labels").list
        bad = self._frame.filter((named.max() >= label_count) | (named.min() < 0)).head(1)
        if bad.is_empty():
            return
        row = bad.row(0, named=True)
        raise DataError(
            explain(
                f"{self._paths[row['shard']]}: {row['key']}",
                "a label has no name",
                found=row["labels"],
                allowed=f"0 to {label_count - 1}",
                next_step="name all labels in the spec, or in the folder's classnames.txt",
            )
        )


def _names(shards: Sequence[Path]) -> list[str]:
    """What the shards are called, each in its own way."""
    names = [path.name for path in shards]
    if len(set(names)) == len(names):
        return names
    folder = os.path.commonpath([path.parent for path in shards])
    return [path.relative_to(folder).as_posix() for path in shards]


def _bad_json(place: str, found: object) -> DataError:
    return DataError(
        explain(
            place,
            "the sample's JSON holds no captions",
            found=found,
            allowed="an object whose field is a text, or a list of texts",
            next_step="name another field in text_field, or write the shard again",
        )
    )
