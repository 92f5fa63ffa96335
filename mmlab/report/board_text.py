"""A leaderboard in the terminal, drawn with rich."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mmlab.report.boards import Board, Figure
from mmlab.report.cards import visible


def draw_board(board: Board) -> Group:
    """One comparison for a rich console: a row per group of seeds, best first, and its notes."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("experiment", overflow="fold")
    for metric in board.metrics:
        table.add_column(visible(metric), justify="right", no_wrap=True)
    table.add_column("seeds", justify="right")
    for entry in board.entries:
        table.add_row(
            str(entry.place or ""),
            Text(visible(entry.label)),
            *map(_figure, entry.figures),
            str(entry.seeds),
        )
    notes = Text("; ".join(map(visible, board.notes)), style="dim")
    return Group(Text(visible(board.title), style="bold underline"), table, notes)


def _figure(figure: Figure) -> Text:
    return Text(figure.text, style="green" if figure.is_best else "")
