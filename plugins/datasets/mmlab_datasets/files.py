"""The files that an index names: below its folder, and there."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from mmlab.plugin import DataError, explain, file_sha256
from mmlab_datasets.index import Index, Places
from mmlab_datasets.rows import SPELLED

#: Names of files, None where a row names none.
Cells = Sequence[str | None] | pl.Series
#: Stands for the size of a file that is not there.
_MISSING = -2


def absolute_path(folder: str, name: str) -> str:
    """A file's path below an absolute folder, the same in whichever way its name is spelled."""
    if name[0] == os.sep or SPELLED.search(name):
        return os.path.normpath(os.path.join(folder, name))
    return f"{folder}/{name}"


def has_detours(names: Cells) -> bool:
    """Whether any name may be spelled otherwise, or lead out of a folder that it is below."""
    texts = pl.Series(names, dtype=pl.String)
    return bool((texts.str.contains(SPELLED.pattern) | texts.str.starts_with(os.sep)).any())


def file_sizes(
    index: Index, column: str | None, cells: Cells, folder: Path, rows: Sequence[int] | None = None
) -> list[int]:
    """The sizes that `size_array` gives, as a list."""
    sizes: list[int] = size_array(index, column, cells, folder, rows).tolist()
    return sizes


def size_array(
    index: Index, column: str | None, cells: Cells, folder: Path, rows: Sequence[int] | None = None
) -> npt.NDArray[np.int64]:
    """The size of every named file, -1 where none is named. Raises DataError if one is missing.

    `rows` are the numbers of the rows that name them, where these are not all rows in order.
    """
    named = _Named(index.places, column, cells, rows or range(1, len(cells) + 1))
    root = os.path.abspath(folder)
    if has_detours(cells):
        _check_below(named, folder)
        paths = (cell and absolute_path(root, cell) for cell in cells)
    else:
        paths = (cell and f"{root}/{cell}" for cell in cells)
    sizes = np.fromiter((_file_size(path) for path in paths), np.int64, len(cells))
    faulty = np.flatnonzero(sizes == _MISSING)
    if not faulty.size:
        return sizes
    others = f" (nor in {faulty.size - 1} further rows)" if faulty.size > 1 else ""
    raise DataError(
        explain(
            named.place(faulty.item(0)),
            f"there is no file of this name{others}",
            found=repr(cells[faulty.item(0)]),
            allowed=f"a file below {folder}",
            next_step="correct the cell or dataset.root, or empty the cell to mark it missing",
        )
    )


def file_hashes(
    index: Index, column: str | None, cells: Cells, folder: Path, rows: Sequence[int] | None = None
) -> list[str]:
    """The sha256 of every named file, "" where none is named; a file that has not changed is read
    once in a process. Raises DataError if one is missing or cannot be read.
    """
    size_array(index, column, cells, folder, rows)
    named = _Named(index.places, column, cells, rows or range(1, len(cells) + 1))
    return [
        "" if cell is None else _sha256(named, position, folder / cell)
        for position, cell in enumerate(cells)
    ]


@dataclass(frozen=True)
class _Named:
    """The files that a column names, and the rows that name them."""

    places: Places
    column: str | None
    cells: Cells
    rows: Sequence[int]

    def place(self, position: int) -> str:
        """Where a name is, for a message."""
        return self.places.of(self.rows[position], self.column)


def _sha256(named: _Named, position: int, file: Path) -> str:
    try:
        return file_sha256(file)
    except OSError as error:
        raise DataError(
            explain(
                named.place(position),
                "the file cannot be read",
                found=f"{file.name}: {error.strerror or error}",
                allowed="a file that this user may read",
                next_step="mend its permissions, or set dataset.hash_files = false",
            )
        ) from error


def _check_below(named: _Named, folder: Path) -> None:
    """Raise DataError for a name that leads out of the folder, whether or not a file is there."""
    below = os.path.abspath(folder).rstrip(os.sep) + os.sep
    for position, cell in enumerate(named.cells):
        if cell is None or f"{os.path.abspath(folder / cell)}{os.sep}".startswith(below):
            continue
        raise DataError(
            explain(
                named.place(position),
                "the file lies outside of the root and is refused",
                found=repr(cell),
                allowed=f"a file below {folder}",
                next_step="correct the cell, set dataset.root to a folder that holds all files, "
                "or copy the file there",
            )
        )


def _file_size(path: str | None) -> int:
    """The size in bytes, unless it is no regular file; -1 without a path."""
    if path is None:
        return -1
    try:
        status = os.stat(path)
    except OSError:
        return _MISSING
    return status.st_size if stat.S_ISREG(status.st_mode) else _MISSING
