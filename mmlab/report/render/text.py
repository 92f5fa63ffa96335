"""A leaderboard in the terminal, drawn with rich: folded into blocks where it is too wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mmlab.errors import visible
from mmlab.report.boards.board import Board, Figure
from mmlab.report.contents import FAILURE_HEADINGS, failure_cells

_SEEDS = "seeds"
_GAP = 2


def draw_board(board: Board, width: int) -> Group:
    """One comparison for a rich console: a row per group of seeds, best first, and its notes.

    Metrics that a line of `width` cells has no room for follow below, under a header of their own.
    """
    label_cells = _label_cells(board)
    if board_width(board) > width:
        # Half a line for metrics: a longer label is folded.
        label_cells = min(label_cells, max(cell_len(visible(board.heading)), width // 2))
    blocks = list(_blocks(board, width - _frame_cells(board, label_cells)))
    parts: list[RenderableType] = [Text(visible(board.full_title), style="bold underline")]
    for block in blocks:
        is_last = block is blocks[-1]
        parts += [_draw_block(board, block, label_cells, has_seeds=is_last), Text()]
    notes = Text("; ".join(map(visible, board.notes)), style="dim")
    return Group(*parts[:-1], notes)


def board_width(board: Board) -> int:
    """How many cells a line needs that holds all of the board's columns."""
    used = sum(_GAP + _cells(board, column) for column in range(len(board.metrics)))
    return _frame_cells(board, _label_cells(board)) + used


def _label_cells(board: Board) -> int:
    labels = [board.heading, *(entry.label for entry in board.entries)]
    return max(cell_len(visible(label)) for label in labels)


def _frame_cells(board: Board, label_cells: int) -> int:
    """What a line needs besides its metrics: place, label and seeds."""
    places = max(1, *(len(entry.placing) for entry in board.entries))
    seeds = max(cell_len(visible(entry.progress)) for entry in board.entries)
    return places + _GAP + label_cells + _GAP + max(len(_SEEDS), seeds)


def _cells(board: Board, column: int) -> int:
    figures = (cell_len(entry.figures[column].text) for entry in board.entries)
    return max(cell_len(visible(board.metrics[column])), *figures)


def _blocks(board: Board, room: int) -> Iterator[list[int]]:
    """Columns that fit into the room side by side, one at least, in their order."""
    block: list[int] = []
    used = 0
    for column in range(len(board.metrics)):
        needed = _GAP + _cells(board, column)
        if block and used + needed > room:
            yield block
            block, used = [], 0
        block.append(column)
        used += needed
    yield block


def _draw_block(
    board: Board, columns: Sequence[int], label_cells: int, *, has_seeds: bool
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column(visible(board.heading), overflow="fold", width=label_cells)
    for column in columns:
        table.add_column(visible(board.metrics[column]), justify="right", no_wrap=True)
    if has_seeds:
        table.add_column(_SEEDS, justify="right", no_wrap=True)
    for entry in board.entries:
        table.add_row(
            entry.placing,
            Text(visible(entry.label)),
            *(_figure(entry.figures[column]) for column in columns),
            *([visible(entry.progress)] if has_seeds else []),
        )
    return table


def _figure(figure: Figure) -> Text:
    return Text(figure.text, style="green" if figure.is_best else "")


def draw_findings(findings: pl.DataFrame) -> Group:
    """The sentences that a report begins with, each with what it is about."""
    lines = [Text("what was found", style="bold underline")]
    for row in findings.iter_rows(named=True):
        about = Text(f"{visible(row['about'])}: " if row["about"] else "", style="dim")
        lines.append(about + Text(visible(row["finding"])))
    return Group(*lines)


def draw_failures(failures: pl.DataFrame) -> Group:
    """What has failed, a line each, with the first line of why."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in FAILURE_HEADINGS:
        table.add_column(heading, overflow="fold", no_wrap=heading in ("run", "seed"))
    for row in failure_cells(failures):
        table.add_row(*(Text(visible(cell)) for cell in row))
    return Group(Text("failures", style="bold underline"), table)
