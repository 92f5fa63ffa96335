"""Shards by their patterns, and the table of offsets that is kept beside each.

Reading every header of a tar takes a seek for each; so it is done once, and what was found is kept
in a file beside the shard. It is written whole or not at all, and used only while the shard has the
size and the time of change that it had.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from mmlab.plugin import DataError, atomic_file, explain
from mmlab_datasets.shards.tars import SCHEMA, read_tar, unreadable

logger = logging.getLogger(__name__)

#: Added to a shard's name.
ENDING = ".offsets.parquet"
#: Shards of one pattern.
SHARDS = 100_000
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def expand_braces(pattern: str) -> list[str]:
    """The names that a pattern stands for.

    >>> expand_braces("a-{08..11}.tar")
    ['a-08.tar', 'a-09.tar', 'a-10.tar', 'a-11.tar']
    >>> expand_braces("{x,y}/{0..1}.tar")
    ['x/0.tar', 'x/1.tar', 'y/0.tar', 'y/1.tar']

    Raises DataError for a range that runs backwards, or more than 100,000 names.
    """
    names = [pattern]
    while any(_BRACES.search(name) for name in names):
        names = [each for name in names for each in _expand_first(pattern, name)]
        if len(names) > SHARDS:
            raise _bad_pattern(pattern, f"more than {SHARDS:,} names")
    return names


def _expand_first(pattern: str, name: str) -> Iterator[str]:
    match = _BRACES.search(name)
    if match is None:
        yield name
        return
    for choice in _choices(pattern, match[1]):
        yield f"{name[: match.start()]}{choice}{name[match.end() :]}"


def _choices(pattern: str, inside: str) -> Iterator[str]:
    span = _RANGE.fullmatch(inside)
    if span is None:
        yield from inside.split(",")
        return
    first, last = int(span[1]), int(span[2])
    if not first <= last < first + SHARDS:
        raise _bad_pattern(pattern, inside)
    width = len(span[1]) if span[1].startswith("0") or len(span[1]) == len(span[2]) else 0
    yield from (f"{number:0{width}d}" for number in range(first, last + 1))


def _bad_pattern(pattern: str, found: str) -> DataError:
    return DataError(
        explain(
            pattern,
            "the pattern cannot be expanded",
            found=found,
            allowed=f"{{000..009}} or {{a,b}}, {SHARDS:,} names at most, each once",
            next_step="correct what is in braces",
        )
    )


def find_shards(pattern: Path) -> list[Path]:
    """The shards of a pattern, in its order.

    Raises DataError where any is not there, or there twice.
    """
    paths = [Path(name) for name in expand_braces(str(pattern))]
    repeated = next((path for path, count in Counter(paths).items() if count > 1), None)
    if repeated is not None:
        raise _bad_pattern(str(pattern), f"{repeated} twice")
    missing = [path for path in paths if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 1:,} more of {len(paths):,}" if len(missing) > 1 else ""
        raise unreadable(missing[0], f"there is no such file{more}")
    return paths


def read_offsets(path: Path) -> pl.DataFrame:
    """The samples of a shard: from the table beside it, else from the shard itself."""
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    stamp = (status.st_size, status.st_mtime_ns)
    kept = path.with_name(path.name + ENDING)
    known = _read_kept(kept, stamp)
    if known is not None:
        return known
    frame = read_tar(path)
    _keep(kept, frame, stamp)
    return frame


def _read_kept(kept: Path, stamp: tuple[int, int]) -> pl.DataFrame | None:
    """The table of a shard of this size and time; None where there is none, or it is damaged."""
    try:
        frame = pl.read_parquet(kept)
    except (OSError, pl.exceptions.PolarsError):
        return None
    if frame.schema != {**SCHEMA, "shard_bytes": pl.Int64, "shard_changed_ns": pl.Int64}:
        return None
    stamps = frame.select("shard_bytes", "shard_changed_ns").unique().rows()
    return frame.select(*SCHEMA) if stamps == [stamp] else None


def _keep(kept: Path, frame: pl.DataFrame, stamp: tuple[int, int]) -> None:
    """Write a table whole, or not at all where the folder cannot be written."""
    size, changed = (pl.lit(value, pl.Int64) for value in stamp)
    stamped = frame.with_columns(size.alias("shard_bytes"), changed.alias("shard_changed_ns"))
    try:
        with atomic_file(kept) as partial:
            stamped.write_parquet(partial)
    except OSError as error:
        logger.info("offsets are not kept in %s: %s", kept, error)


def read_all(shards: Sequence[Path]) -> pl.DataFrame:
    """The samples of all shards in order, with the number of their shard."""
    frames = [
        read_offsets(path).with_columns(pl.lit(number, pl.Int64).alias("shard"))
        for number, path in enumerate(shards)
    ]
    empty = pl.DataFrame(schema={**SCHEMA, "shard": pl.Int64})
    return pl.concat([empty, *frames])
