"""What is where in one tar: its samples in order, by the offsets of their members.

A sample is a run of members that share a key: the name up to the first dot after the last slash.
What is short and needed of every sample (labels, captions) is read at once; pictures stay where
they are.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from mmlab.plugin import DataError, explain

PICTURES = ("jpg", "jpeg", "png", "webp")
TEXT_BYTES = 64 * 1024
BLOCK = 512

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "key": pl.String,
    "picture_offset": pl.Int64,
    "picture_bytes": pl.Int64,
    "json_offset": pl.Int64,
    "json_bytes": pl.Int64,
    "text": pl.String,
    "labels": pl.List(pl.Int64),
}


@dataclass
class _Row:
    """One sample while its members are met."""

    key: str
    seen: set[str] = field(default_factory=set)
    values: dict[str, object] = field(default_factory=dict)


def read_tar(path: Path) -> pl.DataFrame:
    """The samples of a tar, by SCHEMA; what a sample lacks is null.

    Raises DataError for a tar that is missing, compressed, cut short or damaged, for a key that
    comes twice, and for labels or captions that are none.
    """
    rows: list[_Row] = []
    try:
        with tarfile.open(path, "r:") as tar, path.open("rb") as file:
            for member in tar:
                _add(path, rows, member, file)
            _require_end(path, tar.offset)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise unreadable(path, error) from error
    keys = [row.key for row in rows]
    if len(set(keys)) != len(keys):
        repeated = next(key for place, key in enumerate(keys) if key in keys[:place])
        raise _bad_member(path, repeated, "two samples have this key", repeated, "each key once")
    values = [{"key": row.key, **row.values} for row in rows]
    return pl.DataFrame(values, schema=SCHEMA)


def _require_end(path: Path, offset: int) -> None:
    """A whole tar ends with two empty blocks; one that was cut between members has none."""
    with path.open("rb") as file:
        file.seek(max(0, offset - BLOCK))
        rest = file.read()
    if len(rest) < 2 * BLOCK or any(rest[-2 * BLOCK :]):
        raise tarfile.ReadError("it is cut short: its end is missing")


def _add(path: Path, rows: list[_Row], member: tarfile.TarInfo, file: io.BufferedReader) -> None:
    if member.isdir():
        return
    if not member.isreg() or member.sparse is not None:
        found = "a link, a device or a sparse file"
        raise _bad_member(path, member.name, "it is no regular file", found, "plain files only")
    key, ending = split_name(member.name)
    if not rows or rows[-1].key != key:
        rows.append(_Row(key))
    row = rows[-1]
    if ending in row.seen:
        raise _bad_member(path, member.name, "it is there twice", member.name, "each once")
    row.seen.add(ending)
    if ending in PICTURES:
        row.values |= {"picture_offset": member.offset_data, "picture_bytes": member.size}
    elif ending == "json":
        row.values |= {"json_offset": member.offset_data, "json_bytes": member.size}
    elif ending in _SHORT:
        file.seek(member.offset_data)
        content = file.read(min(member.size, TEXT_BYTES + 1))
        row.values |= _short(path, member.name, ending, content)


def split_name(name: str) -> tuple[str, str]:
    """Key and ending of a member: the ending begins at the first dot of the last part.

    >>> split_name("./a.b/0001.seg.png")
    ('a.b/0001', 'seg.png')
    """
    folder, slash, last = name.removeprefix("./").rpartition("/")
    stem, _, ending = last.partition(".")
    return f"{folder}{slash}{stem}", ending.lower()


_SHORT = ("txt", "cls", "npy")


def _short(path: Path, name: str, ending: str, content: bytes) -> dict[str, object]:
    """The caption or the labels in a short member."""
    if len(content) > TEXT_BYTES:
        found = f"over {TEXT_BYTES:,} bytes"
        raise _bad_member(path, name, "it is too long", found, f"at most {TEXT_BYTES:,} bytes")
    try:
        if ending == "txt":
            return {"text": content.decode("utf-8")}
        if ending == "cls":
            return {"labels": [int(content.decode("ascii"))]}
        flags = np.load(io.BytesIO(content), allow_pickle=False)
        return {"labels": np.flatnonzero(flags).tolist()}
    except (ValueError, EOFError, OSError) as error:
        allowed = {"txt": "UTF-8 text", "cls": "a whole number", "npy": "an array of 0 and 1"}
        raise _bad_member(path, name, "its content is damaged", error, allowed[ending]) from error


def read_member(path: Path, offset: int, size: int) -> bytes:
    """The bytes of a member. Raises DataError where the tar is not what it was."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(size)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(content) < size:
        raise unreadable(path, f"it ends before byte {offset + size:,}")
    return content


def unreadable(path: Path, found: object) -> DataError:
    """The error for a shard that cannot be used."""
    return DataError(
        explain(
            str(path),
            "the shard cannot be read",
            found=found,
            allowed="a whole tar file that is not compressed",
            next_step="fetch or write it again, or leave it out of the pattern",
        )
    )


def _bad_member(path: Path, name: str, fault: str, found: object, allowed: str) -> DataError:
    return DataError(
        explain(
            f"{path}: member {name!r}",
            fault,
            found=found,
            allowed=allowed,
            next_step="write the shard again",
        )
    )
