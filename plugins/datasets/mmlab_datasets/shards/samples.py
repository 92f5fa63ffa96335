"""The samples of some shards: their values by offsets, their labels, and what of them lacks."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
from PIL import Image

from mmlab.plugin import Origin, Sample, Source
from mmlab_datasets.media import decode_picture
from mmlab_datasets.shards.fields import captions_elsewhere, require_fields
from mmlab_datasets.shards.groups import join_groups
from mmlab_datasets.shards.labels import read_labels
from mmlab_datasets.shards.notes import write_notes
from mmlab_datasets.shards.offsets import read_tables
from mmlab_datasets.shards.reading import Reading
from mmlab_datasets.shards.tars import read_member, without_samples

#: Rows that are written as text at a time, to be hashed.
ROWS = 100_000
#: What of a sample is read, for the revision.
_READ = ("id", "picture_bytes", "picture_hash", "texts", "labels")


class Shards:
    """Samples in the order of their shards; an id is the shard's name without `.tar`, and the key.

    Where shards in several folders share a name, it begins at the folder that all are in.
    `notes` tell what was not read and what was joined, one line each.
    Raises DataError for a shard that is missing or damaged, and where a label has no name.
    """

    def __init__(self, shards: Sequence[Path], reading: Reading, labels: Sequence[str]) -> None:
        self._paths = list(shards)
        table = read_tables(self._paths, reading)
        if table.frame.is_empty() and table.unread.counts:
            raise without_samples(self._paths[0], table.unread)
        require_fields(self._paths, table.frame, reading)
        names = [name.removesuffix(".tar") for name in _names(self._paths)]
        frame = table.frame.with_columns(_ids(names), read_labels(table.frame, labels, self._paths))
        self._frame = join_groups(frame, self._paths) if reading.group_field else frame
        self._places = self._frame.select(
            "shard", "key", "group", "picture_offset", "picture_bytes"
        )
        self._files = [str(path.absolute()) for path in self._paths]
        has_labels = bool(labels)
        self.notes = [
            *write_notes(self._frame, frame.height, table.unread, reading, has_labels=has_labels),
            *captions_elsewhere(self._paths, table.frame, reading),
        ]

    def __len__(self) -> int:
        """Number of samples."""
        return self._frame.height

    @property
    def content(self) -> str:
        """A hash of what is read: ids, captions, labels, the bytes of pictures."""
        content = hashlib.sha256()
        for part in self._frame.select(*_READ).iter_slices(ROWS):
            content.update(part.write_ndjson().encode())
        return content.hexdigest()

    def lacking(self, column: str) -> list[str]:
        """Ids of the samples that have no "picture_offset", or no "texts"."""
        return self._frame.filter(pl.col(column).is_null())["id"].to_list()

    def sample(self, index: int, *, with_picture: bool) -> Sample:
        """One sample; what it lacks has no value. Raises DataError where its picture is damaged."""
        row = self._frame.row(index, named=True)
        values: dict[str, object] = {}
        if row["picture_offset"] is not None:
            values["image"] = self._picture(row) if with_picture else None
        if row["texts"] is not None:
            values["text"] = tuple(row["texts"])
        labels = None if row["labels"] is None else tuple(row["labels"])
        return Sample(row["id"], values, labels)

    def trace(self, index: int) -> Origin:
        """The member that is a sample's picture, by its shard and key, and the group it names."""
        shard, key, group, offset, size = self._places.row(index)
        if offset is None:
            return Origin({}, group)
        return Origin({"image": Source(f"{self._files[shard]}: {key}", size)}, group)

    def open_picture(self, index: int) -> BinaryIO:
        """The bytes of a sample's picture. Raises DataError where the tar is not what it was."""
        shard, _, _, offset, size = self._places.row(index)
        return io.BytesIO(read_member(self._paths[shard], offset, size))

    # A row of the frame: values of several types.
    def _picture(self, row: dict[str, Any]) -> Image.Image:
        path = self._paths[row["shard"]]
        mend = "write the shard again, with another picture or none"
        content = read_member(path, row["picture_offset"], row["picture_bytes"])
        return decode_picture(content, f"{path}: {row['key']}", mend)


def _ids(names: Sequence[str]) -> pl.Expr:
    """The id of every row: the name of its shard, and its key."""
    shard = pl.col("shard").replace_strict(dict(enumerate(names)), return_dtype=pl.String)
    return pl.concat_str(shard, pl.lit("/"), "key").alias("id")


def _names(shards: Sequence[Path]) -> list[str]:
    """What the shards are called, each in its own way."""
    names = [path.name for path in shards]
    if len(set(names)) == len(names):
        return names
    folder = os.path.commonpath([path.parent for path in shards])
    return [path.relative_to(folder).as_posix() for path in shards]
