"""What a report says: its tables as frames, and the boards that show them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl

from mmlab.report.boards import Board, boards
from mmlab.report.gain import fusion_gain
from mmlab.report.gain_boards import gain_boards
from mmlab.report.leaderboard import leaderboard
from mmlab.report.robustness import conditions_of
from mmlab.report.robustness_boards import robustness_boards
from mmlab.report.selection import Runs
from mmlab.store import Store

Table = Literal["leaderboard", "fusion_gain", "robustness"]
TABLES: tuple[Table, ...] = get_args(Table)
_EMPTY: dict[Table, str] = {
    "leaderboard": "no run is done yet: mmlab run SPEC...",
    "fusion_gain": "no experiment has done runs of a fusion and of one of its inputs alone, both "
    "asked by classification or by regression",
    "robustness": "no done run was asked by missing_modality",
}


@dataclass(frozen=True)
class Contents:
    """The frames of a report; the last two are empty where nothing of the kind was asked."""

    leaderboard: pl.DataFrame
    fusion_gain: pl.DataFrame
    robustness: pl.DataFrame

    def table(self, name: Table) -> pl.DataFrame:
        """One of the frames."""
        frame: pl.DataFrame = getattr(self, name)
        return frame


def read_contents(store: Store, runs: Runs = None) -> Contents:
    """All frames of the done runs, or of some."""
    board = leaderboard(store, runs)
    return Contents(board, fusion_gain(store, runs), conditions_of(store, board))


def why_empty(contents: Contents, table: Table) -> str | None:
    """What would have to be there for a table to have rows; None where it has some."""
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
