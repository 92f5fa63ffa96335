"""Simulate the whole grid and write the page of it: `make coverage`.

    PYTHONPATH=tests python -m support.coverage.page docs/inside/coverage.md

Ends with 1 where a cell is below its bound. Five minutes of a core, shared by all there are.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from support.coverage import cells, groups, numbers, pairs, suites
from support.coverage.worlds import SEEDS

#: A cell of 2,000 data sets has a standard error of .006, and fails below its bound less this.
TOLERANCE = 0.012
BOUNDS = {"recipe": 0.93, "difference": 0.92, "type_i": 0.06, "best": 0.945}

_INTRODUCTION = """\
# How often the intervals hold

An interval of 95 % should hold the truth in 95 of 100 studies. Whether those that mmlab prints do
is simulated: worlds whose true accuracy is known, {sets:,} data sets of each, and the share of
intervals that hold it. `make coverage` runs all of it and writes this page; the test suite runs a
quarter, and fails where a cell is below its bound less {tolerance}.

In these worlds a seed hits a sample where `mu + a + b + c + logistic noise > 0`: `a` is the
seed's, of standard deviation 0, .1 or .3 in logits; `b` the sample's, of 1 or 3, of which four
fifths of the variance is the cluster's (a picture with its captions, a speaker with his shots);
`c` the seed's own view of the sample, of 1. Accuracies are .5, .8, .95 and .995. An interval from
0 to 1 holds every truth too, so widths stand beside.
"""
_RECIPE = """\
## One recipe

Smallest and mean coverage over all accuracies and deviations, then the mean width in points at .8
and .95. "alone" is the interval of one row, "pooled" lends the seeds' variance among five rows of
a board, and "usual" is what is often printed: Student's t over the means of seeds, or for one
seed Wilson's interval over all samples. With one seed the claim is about this model, and seeds do
not differ. The bound of "alone" and "pooled" is {recipe}.
"""
_DIFFERENCE = """\
## Two recipes

In each cell: smallest coverage, at least {difference}; the largest share of differences called
real where there is none (type I error), at most {type_i}; the share found where .8 stands against
.7 (power); and the mean width in points where both are .8.
"""
_NUMBERS = """\
## Means of numbers, and medians of ranks

Smallest coverage over clusters of one and of five and over two deviations of seeds, and the mean
width in units of the truth where that is not 0. {sets:,} data sets a cell; a dash where no
interval is printed. Seeds' deviations are 0 and .3 where samples have 1.
The bounds are those above.
"""
_SUITES = """\
## Means over datasets

Two recipes on three datasets of different sizes, the smallest of which has so many samples; their
accuracies are .5, .8 and .95, all .95, or .5, .8 and .95 beside .4, .7 and .9. "alike" are models
whose seeds are good or bad on all three datasets, "apart" on each by itself; "-" where seeds do not
differ. In each cell: the smallest coverage of the mean alone and pooled over five rows, at least
{recipe}, and that of the difference, at least {difference}, then the largest share called real
where there is no difference, at most {type_i}, and the mean width of the mean's interval in points.
"""
_GROUPS = """\
## Rank groups

How often a truly best row is tied for first (at least {best}), how often the intervals of all
ranks hold together, and how large the group and a rank's interval are on average. Of equal rows,
of one that is 3 points better, and of a ladder from 85 to 55 %.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def recipe_table(found: Sequence[cells.Cell]) -> str:
    """By clusters, seeds and rule; a column for each number of samples."""
    rows = []
    for cluster, seeds, rule in itertools.product(
        cells.CLUSTERS, SEEDS, ("usual", "alone", "pooled")
    ):
        own = [
            cell
            for cell in found
            if (cell.world.cluster, cell.seeds, cell.rule) == (cluster, seeds, rule)
        ]
        if own:
            columns = [_recipe(own, samples) for samples in cells.SAMPLES]
            rows.append([str(cluster), str(seeds), rule, *columns])
    return table(["cluster", "seeds", "interval", *_samples()], rows)


def _samples() -> list[str]:
    return [f"{samples:,} samples" for samples in cells.SAMPLES]


def _recipe(found: Sequence[cells.Cell], samples: int) -> str:
    own = [cell for cell in found if cell.world.samples == samples]
    coverages = [cell.coverage for cell in own]
    widths = [
        _points(np.mean([cell.mean_width for cell in own if cell.world.accuracy == accuracy]))
        for accuracy in (0.8, 0.95)
    ]
    return f"{_share(min(coverages))} / {_share(np.mean(coverages))}, {', '.join(widths)}"


def pair_table(found: Sequence[pairs.PairCell]) -> str:
    """By clusters, seeds and kind; a column for each number of samples."""
    rows = []
    for cluster, seeds, kind in itertools.product(cells.CLUSTERS, SEEDS, ("paired", "unpaired")):
        own = [
            cell
            for cell in found
            if (cell.pair.left.cluster, cell.seeds, cell.kind) == (cluster, seeds, kind)
        ]
        columns = [_pair(own, samples) for samples in cells.SAMPLES]
        rows.append([str(cluster), str(seeds), kind, *columns])
    return table(["cluster", "seeds", "samples are", *_samples()], rows)


def _pair(found: Sequence[pairs.PairCell], samples: int) -> str:
    own = [cell for cell in found if cell.pair.left.samples == samples]
    equal = [cell.rejected for cell in own if cell.pair.left == cell.pair.right]
    power = np.mean([cell.rejected for cell in own if cell.pair.right.accuracy == 0.7])
    level = [cell for cell in own if cell.pair.left.accuracy == cell.pair.right.accuracy == 0.8]
    width = _points(np.mean([cell.mean_width for cell in level]))
    coverage = _share(min(cell.coverage for cell in own))
    return f"{coverage}, {_share(max(equal))}, {power:.2f}, {width}"


def number_table(found: Sequence[numbers.NumberCell]) -> str:
    """By kind and seeds; a column for each number of samples."""
    rows = []
    for kind, seeds in itertools.product(numbers.KINDS, numbers.SEEDS):
        own = [cell for cell in found if (cell.kind, cell.seeds) == (kind, seeds)]
        columns = [_number(own, samples) for samples in numbers.SAMPLES]
        rows.append([kind, str(seeds), *columns])
    return table(["outcome", "seeds", *_samples()], rows)


def _number(found: Sequence[numbers.NumberCell], samples: int) -> str:
    own = [cell for cell in found if cell.world.samples == samples]
    if not own:
        return "-"
    width = np.mean([cell.mean_width for cell in own])
    return f"{_share(min(cell.coverage for cell in own))}, {width:.2g}"


def suite_table(found: Sequence[suites.SuiteCell]) -> str:
    """By what seeds do and their number; a column for each number of samples."""
    kinds = [("-", 0.0, "alike"), ("alike", 0.3, "alike"), ("apart", 0.3, "apart")]
    rows = []
    for (word, seed_sd, skills), seeds in itertools.product(kinds, suites.SEEDS):
        own = [
            cell
            for cell in found
            if (cell.suite.seed_sd, cell.suite.skills, cell.seeds) == (seed_sd, skills, seeds)
        ]
        if own:
            rows.append([word, str(seeds), *(_suite(own, n) for n in suites.SAMPLES)])
    return table(["seeds are", "seeds", *(f"{n} samples" for n in suites.SAMPLES)], rows)


def _suite(found: Sequence[suites.SuiteCell], samples: int) -> str:
    own = [cell for cell in found if cell.suite.samples == samples]
    lowest = [
        min(getattr(cell, name) for cell in own)
        for name in ("coverage", "pooled", "difference_coverage")
    ]
    equal = max(cell.rejected for cell in own if cell.suite.left == cell.suite.right)
    width = _points(np.mean([cell.mean_width for cell in own]))
    return f"{' / '.join(map(_share, lowest))}, {_share(equal)}, {width}"


def group_table(found: Sequence[groups.BoardCell]) -> str:
    """A row for each kind of board."""
    rows = [
        [
            str(cell.board.rows),
            cell.board.ladder,
            str(cell.board.seeds),
            f"{cell.board.samples:,}",
            str(cell.board.cluster),
            f"{cell.board.seed_sd:g}",
            _share(cell.kept),
            _share(cell.held),
            f"{cell.tied:.1f}",
            f"{cell.length:.1f}",
        ]
        for cell in found
    ]
    head = ["rows", "truth", "seeds", "samples", "cluster", "seed sd"]
    return table([*head, "best kept", "ranks held", "tied", "rank interval"], rows)


def _share(value: float) -> str:
    """A share with three digits and without the 0 in front.

    >>> _share(0.9312), _share(1.0)
    ('.931', '1.000')
    """
    return f"{value:.3f}".removeprefix("0")


def _points(width: float) -> str:
    return f"{100 * width:.2g}" if width < 0.1 else f"{100 * width:.0f}"


def write(path: Path) -> list[str]:
    """Simulate on all cores, write the page, and give what is below its bound."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        parts = [
            pool.map(work, range(len(grid)), chunksize=2)
            for work, grid in (
                (_recipes, cells.worlds()),
                (_pairs, pairs.pairs()),
                (_means, numbers.worlds()),
                (_boards, groups.boards()),
                (_suites, suites.suites()),
            )
        ]
        found = [list(itertools.chain.from_iterable(part)) for part in parts]
    recipes, both, means, boards, over = found
    sections = [
        _INTRODUCTION.format(sets=cells.SETS, tolerance=f"{TOLERANCE:g}".removeprefix("0")),
        _RECIPE.format(recipe=_share(BOUNDS["recipe"])),
        recipe_table(recipes),
        _DIFFERENCE.format(**{name: _share(BOUNDS[name]) for name in ("difference", "type_i")}),
        pair_table(both),
        _NUMBERS.format(sets=numbers.SETS),
        number_table(means),
        _SUITES.format(**{name: _share(BOUNDS[name]) for name in BOUNDS}),
        suite_table(over),
        _GROUPS.format(best=_share(BOUNDS["best"])),
        group_table(boards),
    ]
    path.write_text("\n".join(sections), encoding="utf-8")
    return [*_below(recipes, both), *_below_of_numbers(means, boards), *_below_of_suites(over)]


def _recipes(place: int) -> list[cells.Cell]:
    return list(cells.cells_of(cells.worlds()[place], place))


def _pairs(place: int) -> list[pairs.PairCell]:
    return list(pairs.cells_of(pairs.pairs()[place], place))


def _means(place: int) -> list[numbers.NumberCell]:
    world = numbers.worlds()[place]
    kinds = itertools.product(numbers.KINDS.values(), numbers.SEEDS)
    found = (numbers.cell_of(kind, world, seeds, place) for kind, seeds in kinds)
    return [cell for cell in found if cell is not None]


def _boards(place: int) -> list[groups.BoardCell]:
    return [groups.cell_of(groups.boards()[place], place)]


def _suites(place: int) -> list[suites.SuiteCell]:
    return [*suites.cells_of(suites.suites()[place], place)]


def _below_of_suites(found: Sequence[suites.SuiteCell]) -> list[str]:
    low = [
        cell
        for cell in found
        if min(cell.coverage, cell.pooled) < BOUNDS["recipe"] - TOLERANCE
        or cell.difference_coverage < BOUNDS["difference"] - TOLERANCE
    ]
    equal = [cell for cell in found if cell.suite.left == cell.suite.right]
    wrong = [cell for cell in equal if cell.rejected > BOUNDS["type_i"] + TOLERANCE]
    return [str(cell) for cell in (*low, *wrong)]


def _below(recipes: Sequence[cells.Cell], both: Sequence[pairs.PairCell]) -> list[str]:
    low = [
        cell
        for cell in recipes
        if cell.rule != "usual" and cell.coverage < BOUNDS["recipe"] - TOLERANCE
    ]
    apart = [cell for cell in both if cell.coverage < BOUNDS["difference"] - TOLERANCE]
    found = [
        cell
        for cell in both
        if cell.pair.left == cell.pair.right and cell.rejected > BOUNDS["type_i"] + TOLERANCE
    ]
    return [str(cell) for cell in (*low, *apart, *found)]


def _below_of_numbers(
    means: Sequence[numbers.NumberCell], boards: Sequence[groups.BoardCell]
) -> list[str]:
    kinds = {kind: "difference" if kind.startswith("diff") else "recipe" for kind in numbers.KINDS}
    low = [cell for cell in means if cell.coverage < BOUNDS[kinds[cell.kind]] - TOLERANCE]
    lost = [cell for cell in boards if cell.kept < BOUNDS["best"] - TOLERANCE]
    return [str(cell) for cell in (*low, *lost)]


if __name__ == "__main__":
    failed = write(Path(sys.argv[1]))
    sys.exit("\n".join(["below its bound:", *failed]) if failed else 0)
