"""The files that an index names: below its folder, and there."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmlab.plugin import DataError, explain, file_sha256
from mmlab_datasets.index import Index, Places


def file_sizes(
    index: Index,
    column: str | None,
    cells: Sequence[str | None],
    folder: Path,
    rows: Sequence[int] | None = None,
) -> list[int]:
    """The size of every named file, -1 where none is named. Raises DataError if one is missing.

    `rows` are the numbers of the rows that name them, where these are not all rows in order.
    """
    named = _Named(index.places, column, cells, rows or range(1, len(cells) + 1))
    _check_below(named, folder)
    sizes = [-1 if cell is None else _file_size(folder / cell) for cell in cells]
    faulty = [position for position, size in enumerate(sizes) if size is None]
    if not faulty:
        return [size for size in sizes if size is not None]
    others = f" (nor in {len(faulty) - 1} further rows)" if len(faulty) > 1 else ""
    raise DataError(
        explain(
            named.place(faulty[0]),
            f"there is no file of this name{others}",
            found=repr(cells[faulty[0]]),
            allowed=f"a file below {folder}",
            next_step="correct the cell or dataset.root, or empty the cell to mark it missing",
        )
    )


def file_hashes(
    index: Index,
    column: str | None,
    cells: Sequence[str | None],
    folder: Path,
    rows: Sequence[int] | None = None,
) -> list[str]:
    """The sha256 of every named file, "" where none is named; a file that has not changed is read
    once in a process. Raises DataError if one is missing or cannot be read.
    """
    file_sizes(index, column, cells, folder, rows)
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
    cells: Sequence[str | None]
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


def _file_size(file: Path) -> int | None:
    """The size in bytes, or None unless it is a regular file."""
    try:
        status = os.stat(os.path.abspath(file))
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
