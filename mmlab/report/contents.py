"""What a report says: its tables as frames, and the boards that show them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl
from sqlalchemy import select

from mmlab.report.boards.board import Board, boards
from mmlab.report.boards.gain import gain_boards
from mmlab.report.boards.robustness import conditions_of, robustness_boards
from mmlab.report.frames import Runs, of_runs
from mmlab.report.gain import fusion_gain
from mmlab.report.leaderboard import leaderboard
from mmlab.store import Store, tables

Table = Literal["leaderboard", "fusion_gain", "robustness"]
TABLES: tuple[Table, ...] = get_args(Table)
_EMPTY: dict[Table, str] = {
    "fusion_gain": "no experiment has done runs of a fusion and of one of its inputs alone, both "
    "asked what they predict, by classification or regression, say",
    "robustness": "no done run was asked under missing modalities, by missing_modality, say",
}


@dataclass(frozen=True)
class Contents:
    """The frames of a report; the last two are empty where nothing of the kind was asked.

    `lacks` says why the leaderboard is empty where it is.
    """

    leaderboard: pl.DataFrame
    fusion_gain: pl.DataFrame
    robustness: pl.DataFrame
    lacks: str | None

    def table(self, name: Table) -> pl.DataFrame:
        """One of the frames."""
        frame: pl.DataFrame = getattr(self, name)
        return frame


def read_contents(store: Store, runs: Runs = None) -> Contents:
    """All frames of the done runs, or of some."""
    board = leaderboard(store, runs)
    lacks = _why_no_results(store, runs) if board.is_empty() else None
    return Contents(board, fusion_gain(store, runs), conditions_of(store, board), lacks)


def _why_no_results(store: Store, runs: Runs) -> str:
    row = tables.runs.c
    query = select(row.id).where(row.status == "done").limit(1)
    if not store.frame(of_runs(query, row.id, runs)).is_empty():
        return "no done run was asked anything: add [[evaluate]] to the spec, and mmlab run SPEC..."
    if runs is not None:
        return "none of these runs is done yet"
    return "no run is done yet: mmlab run SPEC..."


def why_empty(contents: Contents, table: Table) -> str | None:
    """What would have to be there for a table to have rows; None where it has some."""
    if table == "leaderboard":
        return contents.lacks
    return _EMPTY[table] if contents.table(table).is_empty() else None


def all_boards(store: Store, contents: Contents, table: Table | None = None) -> Iterator[Board]:
    """Every board: comparisons, what fusions gain over single modalities, and robustness.

    Those of one table, where it is named.
    """
    if table in (None, "leaderboard"):
        yield from boards(store, contents.leaderboard)
    if table in (None, "fusion_gain"):
        yield from gain_boards(contents.fusion_gain)
    if table in (None, "robustness"):
        yield from robustness_boards(contents.robustness)
