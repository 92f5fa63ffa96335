"""Boards in the terminal: every column is shown, whatever the width."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console
from support.report_values import asked, record

from mmlab.report.boards.board import Board, boards
from mmlab.report.leaderboard import leaderboard
from mmlab.report.render.text import board_width, draw_board
from mmlab.store import Store

METRICS = {name: 0.25 for name in ("top1", "top5", "mean_per_class_recall", "mean_rank", "ece")}
CELL = "fusion=concat(modality_dropout=0.3), train.lr=0.001, losses.weight=0.5"


@pytest.fixture
def board(store: Store) -> Board:
    for cell in ("fusion=sum", CELL):
        record(store, asked([], metrics=METRICS), cell=cell)
    (found,) = boards(store, leaderboard(store))
    return found


def lines(board: Board, width: int) -> list[str]:
    out = Console(width=width, color_system=None)
    with out.capture() as capture:
        out.print(draw_board(board, width))
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 100, 150, 300])
def test_every_column_is_shown_once_and_no_header_is_broken(board: Board, width: int) -> None:
    found = lines(board, width)
    assert max(map(len, found)) <= width
    headers = [line.split() for line in found if line.lstrip().startswith("#")]
    assert all(header[:2] == ["#", "cell"] for header in headers)
    shown = [name for header in headers for name in header[2:]]
    assert shown == [*board.metrics, "seeds"]
    assert sum(line.count("25.0%") for line in found) == 2 * 3  # the shares
    assert sum(line.count("0.25") for line in found) == 2 * 2  # the others


def test_a_board_takes_one_line_a_row_where_there_is_room(board: Board) -> None:
    width = board_width(board)
    title, header, *rows, notes = lines(replace(board, remarks=()), width)
    assert (title, header.split()[0]) == (board.full_title, "#")
    assert len(rows) == 2
    assert len(header) == width > len(notes)
    assert len(lines(board, width - 1)) > len(lines(board, width))
