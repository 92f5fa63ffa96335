"""How often rank groups keep the truly best rows, and rank intervals hold every true rank."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mmlab.statistics.crossed import Measured, mean_squares
from mmlab.statistics.estimates import Array
from mmlab.statistics.joint import compare_rows
from mmlab.statistics.standing import standing_of
from support.coverage.worlds import World, draw_hits, draw_samples

Ladder = Literal["equal", "one better", "ladder"]
ROWS, SEED_SDS = (3, 13, 40), (0.0, 0.1, 0.3)
LADDERS: tuple[Ladder, ...] = ("equal", "one better", "ladder")
#: Data sets, by the number of rows; equal rows count each, so many rows need fewer.
SETS: Mapping[int, int] = {3: 1000, 13: 400, 40: 150}
#: Draws of the bootstrap: a tenth of what users get.
_DRAWS = 1000


@dataclass(frozen=True)
class Board:
    """Rows on the same samples."""

    rows: int
    ladder: Ladder
    seed_sd: float
    seeds: int = 3
    samples: int = 150
    cluster: int = 1

    @property
    def accuracies(self) -> Array:
        """Of each row: all the same, the first 3 points better, or falling by 30 in all."""
        if self.ladder == "ladder":
            return np.linspace(0.85, 0.55, self.rows)
        equal = np.full(self.rows, 0.8)
        equal[0] += 0.03 * (self.ladder == "one better")
        return equal


@dataclass(frozen=True)
class BoardCell:
    """`kept`: how often a truly best row is tied for first; `held`: all ranks at once.

    `tied` and `length` are the mean size of the group and the mean length of a rank's interval.
    """

    board: Board
    kept: float
    held: float
    tied: float
    length: float


def boards() -> list[Board]:
    """The whole grid: three seeds on 150 samples, and a few others of equal rows."""
    grid = [Board(*axes) for axes in itertools.product(ROWS, LADDERS, SEED_SDS)]
    equal = Board(13, "equal", 0.1)
    other = [
        replace(equal, seeds=1, seed_sd=0.0),
        replace(equal, seeds=2),
        replace(equal, seeds=5),
        replace(equal, samples=30),
        replace(equal, samples=1000),
        replace(equal, cluster=5),
    ]
    return [*grid, *other]


def cell_of(board: Board, place: int, sets: int | None = None) -> BoardCell:
    """What was found on one kind of board."""
    stream = np.random.default_rng([13, place])
    found = [_standing(board, stream) for _ in range(sets or SETS[board.rows])]
    accuracies = board.accuracies
    best = np.isclose(accuracies, accuracies.max())
    first = 1 + (accuracies > accuracies[:, None] + 1e-9).sum(1)
    last = board.rows - (accuracies < accuracies[:, None] - 1e-9).sum(1)
    tied, low, high = (np.array(part) for part in zip(*found, strict=True))
    return BoardCell(
        board=board,
        kept=float(tied[:, best].mean()),
        held=float(((low <= first) & (high >= last)).all(1).mean()),
        tied=float(tied.sum(1).mean()),
        length=float((high - low + 1).mean()),
    )


def _standing(
    board: Board, stream: np.random.Generator
) -> tuple[tuple[bool, ...], tuple[int, ...], tuple[int, ...]]:
    """One data set: rows share nine tenths of what makes a sample hard."""
    values = []
    base = World(0.8, board.samples, board.seed_sd, 10**0.5, board.cluster)
    shared = draw_samples(base, stream, 1)
    for accuracy in board.accuracies:
        own = draw_samples(base, stream, 1)
        samples = (0.9**0.5 * shared + 0.1**0.5 * own).astype(np.float32)
        world = replace(base, accuracy=float(accuracy))
        values.append(draw_hits(world, stream, samples, board.seeds)[0] / board.cluster)
    stack = np.stack(values)  # (rows, seeds, clusters)
    measured = Measured(stack.mean(1), mean_squares(stack, board.samples))
    found = standing_of(compare_rows(measured, draws=_DRAWS))
    return found.tied, found.low, found.high
