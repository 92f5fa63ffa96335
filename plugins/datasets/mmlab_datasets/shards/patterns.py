"""Shards by their patterns: braces stand for several names, as in a shell."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mmlab.plugin import DataError, explain
from mmlab_datasets.shards.tars import unreadable

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
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        more = f" and {len(missing) - 1:,} more of {len(paths):,}" if len(missing) > 1 else ""
        raise unreadable(missing[0], f"there is no such file{more}")
    return paths
