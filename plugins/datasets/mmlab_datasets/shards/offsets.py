"""The table of a shard that is kept beside it, so that a shard is read whole once (cache).

What is kept is written whole or not at all, and used only while the shard has the size, the times
of change and the inode that it had. Where the shard's folder cannot be written, it lies in the
user's cache folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mmlab.plugin import atomic_file
from mmlab_datasets.shards.reading import Reading
from mmlab_datasets.shards.table import SCHEMA, Table, read_tar
from mmlab_datasets.shards.tars import Unread, unreadable

logger = logging.getLogger(__name__)

#: Added to a shard's name, after what tells one reading from another.
ENDING = ".offsets.parquet"
#: So many bytes take long enough to read for a word about it.
TOLD_BYTES = 5_000_000_000
#: A shard changed so recently may change again within the same tick of its file system's clock.
_SETTLED_NS = 2_000_000_000

_BESIDE = {"stamp": pl.String, "unread": pl.String}


def read_tables(shards: Sequence[Path], reading: Reading) -> Table:
    """The samples of all shards in order, with the number of their shard.

    Raises DataError for a shard that is missing or damaged.
    """
    stamps = [_stamp(path) for path in shards]
    known = [_kept(*each, reading) for each in zip(shards, stamps, strict=True)]
    if reading.pictures:
        _tell_size([stamp[0] for stamp, table in zip(stamps, known, strict=True) if table is None])
    tables = [
        table or _read(path, stamp, reading)
        for path, stamp, table in zip(shards, stamps, known, strict=True)
    ]
    frames = [
        table.frame.with_columns(pl.lit(number, pl.Int64).alias("shard"))
        for number, table in enumerate(tables)
    ]
    unread = Unread()
    for table in tables:
        unread.add_all(table.unread)
    return Table(pl.concat([pl.DataFrame(schema={**SCHEMA, "shard": pl.Int64}), *frames]), unread)


def _tell_size(sizes: Sequence[int]) -> None:
    if sum(sizes) > TOLD_BYTES:
        # A warning, so that it is seen without asking: it may take minutes.
        logger.warning(
            "reading %s shards once, %.0f GB; what they hold is kept for the next time",
            *(f"{len(sizes):,}", sum(sizes) / 1e9),
        )


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes with a shard: its size, the times of its change, and its inode."""
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _read(path: Path, stamp: tuple[int, ...], reading: Reading) -> Table:
    began = time.time_ns()
    table = read_tar(path, reading)
    if began - stamp[1] >= _SETTLED_NS and _stamp(path) == stamp:
        _keep(path, table, stamp, reading)
    return table


def _places(path: Path, reading: Reading) -> list[Path]:
    """Where a shard's table may be kept, the first choice first."""
    ending = f".{reading.digest}{ENDING}"
    beside = path.with_name(path.name + ending)
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        return [beside]
    name = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:32]
    return [beside, home / "mmlab" / "shards" / (name + ending)]


def _kept(path: Path, stamp: tuple[int, ...], reading: Reading) -> Table | None:
    """The table of a shard as it is now; None where there is none, or it is damaged."""
    tables = (_read_kept(place, stamp) for place in _places(path, reading))
    return next((table for table in tables if table is not None), None)


def _read_kept(place: Path, stamp: tuple[int, ...]) -> Table | None:
    if not os.path.isfile(place):  # reading a pipe would wait
        return None
    try:
        frame = pl.read_parquet(place)
    except (OSError, pl.exceptions.PolarsError):
        return None
    if frame.schema != {**SCHEMA, **_BESIDE} or frame.is_empty():
        return None
    told = frame.select(*_BESIDE).unique().rows()
    if len(told) != 1 or told[0][0] != json.dumps(stamp):
        return None
    try:
        counts, firsts = json.loads(told[0][1])
    except (RecursionError, TypeError, ValueError):
        return None
    return Table(frame.select(*SCHEMA), Unread(counts, firsts))


def _keep(path: Path, table: Table, stamp: tuple[int, ...], reading: Reading) -> None:
    """Write a table to the first place that can be written, whole or not at all."""
    unread = json.dumps([table.unread.counts, table.unread.firsts])
    told = {"stamp": json.dumps(stamp), "unread": unread}
    stamped = table.frame.with_columns(pl.lit(text).alias(name) for name, text in told.items())
    for place in _places(path, reading):
        try:
            if place.parent != path.parent:
                place.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(place) as partial:
                stamped.write_parquet(partial)
        except OSError as error:
            logger.info("offsets are not kept in %s: %s", place, error)
        else:
            return
