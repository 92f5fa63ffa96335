"""Paths among the options of a component: changed wherever they are, or hashed by content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmlab.errors import DataError, explain
from mmlab.files import tree_sha256
from mmlab.spec.faults import Where


def path_content(factory: Callable[..., Any], key: str, path: Path) -> str:
    """What stands for a path among a factory's options: the sha256 of what is there.

    A folder's covers the names, sizes and bytes of all files in it. Raises DataError for a path
    that is not there or cannot be read.
    """
    try:
        return f"sha256:{tree_sha256(path)}"
    except OSError as error:
        name = getattr(factory, "__name__", str(factory))
        raise _unreadable(f"{name}, option {key!r}", path, error) from error


def map_paths(value: Any, change: Callable[[Path], object], kind: type[Any] = Path) -> Any:
    """A value with every path in it changed, in lists, tuples, sets and tables too."""
    return map_placed_paths(value, lambda path, where: change(path), kind)


def map_placed_paths(
    value: Any, change: Callable[[Path, Where], object], kind: type[Any] = Path, where: Where = ()
) -> Any:
    """As `map_paths`, the place of each path given too; members of a set have the set's."""
    if isinstance(value, kind):
        return change(Path(value.__fspath__()), where)  # `os.fspath` takes a str as it is
    if isinstance(value, Mapping):
        return {
            key: map_placed_paths(item, change, kind, (*where, key)) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        members = enumerate(value)
        return type(value)(map_placed_paths(v, change, kind, (*where, i)) for i, v in members)
    if isinstance(value, (set, frozenset)):
        return type(value)(map_placed_paths(item, change, kind, where) for item in value)
    return value


def _unreadable(place: str, path: Path, error: OSError) -> DataError:
    return DataError(
        explain(
            place,
            "the file cannot be read",
            found=f"{path}: {error.strerror}",
            allowed="a file or folder that exists; a path is relative to the file that names it",
            next_step="correct the path, or put the file there",
        )
    )
