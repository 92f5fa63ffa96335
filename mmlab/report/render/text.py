"""A leaderboard or a card in the terminal, drawn with rich: folded where it is too wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mmlab.errors import visible
from mmlab.report.boards.board import Board, Figure
from mmlab.report.cards import Bar, Card

_LABEL, _SEEDS = "experiment", "seeds"
_GAP = 2


def draw_board(board: Board, width: int) -> Group:
    """One comparison for a rich console: a row per group of seeds, best first, and its notes.

    Metrics that a line of `width` cells has no room for follow below, under a header of their own.
    """
    label_cells = _label_cells(board)
    if board_width(board) > width:
        # Half a line for metrics: a longer label is folded.
        label_cells = min(label_cells, max(len(_LABEL), width // 2))
    blocks = list(_blocks(board, width - _frame_cells(board, label_cells)))
    parts: list[RenderableType] = [Text(visible(board.title), style="bold underline")]
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
    return max(len(_LABEL), *(cell_len(visible(entry.label)) for entry in board.entries))


def _frame_cells(board: Board, label_cells: int) -> int:
    """What a line needs besides its metrics: place, label and seeds."""
    return len(str(len(board.entries))) + _GAP + label_cells + _GAP + len(_SEEDS)


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
    table.add_column(_LABEL, overflow="fold", width=label_cells)
    for column in columns:
        table.add_column(visible(board.metrics[column]), justify="right", no_wrap=True)
    if has_seeds:
        table.add_column(_SEEDS, justify="right", no_wrap=True)
    for entry in board.entries:
        table.add_row(
            str(entry.place or ""),
            Text(visible(entry.label)),
            *(_figure(entry.figures[column]) for column in columns),
            *([str(entry.seeds)] if has_seeds else []),
        )
    return table


def _figure(figure: Figure) -> Text:
    return Text(figure.text, style="green" if figure.is_best else "")


_BAR_CELLS = 20


def draw_card(card: Card) -> Group:
    """The card for a rich console: headline, prompts with check or cross, bars, and a note."""
    headline = Text.assemble(
        (visible(card.title), "bold"),
        *(f" {part}" for part in (card.percent, card.placing) if part),
    )
    place = " · ".join(
        filter(
            None, (card.experiment, card.cell, f"seed {card.seed}", card.evaluation, card.condition)
        )
    )
    sample = Text(f"sample {visible(card.sample)} · {visible(place)}", style="dim")
    return Group(headline, sample, Text(), _rows(card), Text(), Text(card.note, style="dim"))


def _rows(card: Card) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column()
    table.add_column(justify="right", style="dim")
    table.add_column(overflow="fold", ratio=1)
    table.add_column(no_wrap=True, width=_BAR_CELLS)
    table.add_column(justify="right", no_wrap=True)
    for bar in card.bars:
        if bar.is_beyond:
            table.add_row("", "", Text("…", style="dim"), "", "")
        table.add_row(*_row(card, bar))
    return table


def _row(card: Card, bar: Bar) -> tuple[Text, Text, Text, Text, Text]:
    style = "green" if bar.is_truth else "red"
    prompt = Text(visible(bar.before))
    for place, label in enumerate(bar.labels):
        prompt.append(" or " if place else "").append(visible(label), style="bold")
    prompt.append(visible(bar.after))
    mark = Text("✓" if bar.is_truth else "✗", style=style)
    length = round((bar.score or 0.0) * _BAR_CELLS) if card.has_probabilities else 0
    drawn = Text("█" * length, style=style)
    return mark, Text(str(bar.rank)), prompt, drawn, Text(card.score_text(bar))
