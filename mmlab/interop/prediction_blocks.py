"""Rows of a file of predictions, in whatever form they are: sample ids, labels and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mmlab.errors import DataError, explain
from mmlab.records import Doubles

SAMPLE, LABEL, SCORE = "sample", "label", "score"
#: Scores that are read at a time: so few that Python's collector of garbage costs little.
BLOCK_SCORES = 1 << 16
FORMS = (
    "columns sample, label, score; or sample and one column per label; or in an npz file the "
    "arrays ids, labels and scores"
)


@dataclass(frozen=True)
class Block:
    """m rows that follow each other, from row `first` of the file, counted from 1.

    `samples` are their ids as the file has them. `labels` are those of the columns of `scores`
    (m, w), or (m, w) themselves where each row has its own. `is_given` (m, w) is False where a cell
    is empty. `is_long`: a sample has several rows.
    """

    first: int
    samples: Sequence[object]
    labels: Sequence[str] | npt.NDArray[np.object_]
    scores: Doubles
    is_given: npt.NDArray[np.bool_]
    is_long: bool = False

    def place(self, path: Path, row: int, column: int | None = None) -> str:
        """Where a row of the block, and a column of its scores, stand in the file."""
        named = f"{path}: row {self.first + row}"
        if column is None:
            return named
        if self.is_long:
            return f"{named}, column {SCORE!r}"
        if isinstance(self.labels, np.ndarray):
            return f"{named}, score {column + 1}"
        return f"{named}, column {self.labels[column]!r}"


def unusable(place: str, fault: str, found: object, allowed: str = FORMS) -> DataError:
    """The error for a file of predictions, or a part of it, that cannot be used."""
    return DataError(
        explain(
            place,
            fault,
            found=str(found)[:300],
            allowed=allowed,
            next_step="correct the file and import it again; nothing was imported",
        )
    )
