"""The files that an index names: below its folder, and there."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from mmlab.plugin import DataError, explain
from mmlab_datasets.index import Index, place


def file_sizes(
    index: Index, column: str | None, cells: Sequence[str | None], folder: Path
) -> list[int]:
    """The size of every row's file, -1 where none is named. Raises DataError if one is missing."""
    sizes = [-1 if cell is None else _file_size(folder, cell) for cell in cells]
    faulty = [number for number, size in enumerate(sizes) if size is None]
    if not faulty:
        return [size for size in sizes if size is not None]
    others = f" (nor in {len(faulty) - 1} further rows)" if len(faulty) > 1 else ""
    raise DataError(
        explain(
            place(index.path, faulty[0] + 1, column),
            f"there is no file of this name{others}",
            found=repr(cells[faulty[0]]),
            allowed=f"a file below {folder}",
            next_step="correct the cell or dataset.root, or empty the cell to mark it missing",
        )
    )


def _file_size(folder: Path, cell: str) -> int | None:
    """The size in bytes, or None unless it is a regular file whose name stays below the folder."""
    below = os.path.abspath(folder).rstrip(os.sep) + os.sep
    file = os.path.abspath(folder / cell)
    try:
        status = os.stat(file)
    except OSError:
        return None
    is_file = stat.S_ISREG(status.st_mode) and file.startswith(below)
    return status.st_size if is_file else None
