"""Simulated coverage: whether intervals hold the truth as often as they say, in worlds that vary.

A quarter of the grid; `make coverage` runs all of it and writes docs/inside/coverage.md.
"""

from __future__ import annotations

import numpy as np
import pytest
from support.coverage import cells, numbers, pairs, suites

#: 2,000 data sets a cell leave a standard error of .006: a cell fails below its bound less this.
TOLERANCE = 0.012
RECIPE, DIFFERENCE, TYPE_I = 0.93, 0.92, 0.06


@pytest.fixture(scope="module")
def recipes() -> list[cells.Cell]:
    """A quarter of the cells of one recipe."""
    worlds = cells.quarter(cells.worlds())
    assert len(worlds) == 54
    return [cell for place, world in enumerate(worlds) for cell in cells.cells_of(world, place)]


def test_a_quarter_of_the_grid_has_every_value_of_every_axis() -> None:
    for grid, part in (
        (cells.worlds(), cells.quarter(cells.worlds())),
        ([pair.left for pair in pairs.pairs()], [p.left for p in pairs.quarter(pairs.pairs())]),
    ):
        assert len(part) == len(grid) / 4
        for axis in vars(grid[0]):
            assert {getattr(w, axis) for w in part} == {getattr(w, axis) for w in grid}
    levels = {(pair.left.accuracy, pair.right.accuracy) for pair in pairs.quarter(pairs.pairs())}
    assert levels == set(pairs.ACCURACIES)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["alone", "pooled"])
def test_every_interval_of_a_recipe_holds_its_accuracy(
    recipes: list[cells.Cell], rule: cells.Rule
) -> None:
    found = [cell for cell in recipes if cell.rule == rule]
    assert len(found) >= 216
    assert [cell for cell in found if cell.coverage < RECIPE - TOLERANCE] == []


@pytest.mark.slow
def test_intervals_are_not_wider_than_they_need_to_be(recipes: list[cells.Cell]) -> None:
    """Mean coverage of three seeds on at most .99, and widths beside those of a known variance."""
    kept = [cell for cell in recipes if cell.rule != "usual" and cell.world.samples >= 150]
    for seeds in (3, 5, 10):
        assert np.mean([cell.coverage for cell in kept if cell.seeds == seeds]) <= 0.99
    known = [c for c in recipes if c.rule == "alone" and c.seeds >= 5 and c.world.accuracy < 0.96]
    assert np.median([cell.median_width / cell.ideal_width for cell in known]) <= 1.3


@pytest.mark.slow
def test_what_is_usual_does_not_hold_in_these_worlds(recipes: list[cells.Cell]) -> None:
    """So that a simulation that any interval would pass is noticed."""
    usual = [cell.coverage for cell in recipes if cell.rule == "usual"]
    assert min(usual) < 0.3
    assert np.mean([coverage < 0.9 for coverage in usual]) > 0.5


@pytest.fixture(scope="module")
def differences() -> list[pairs.PairCell]:
    """A quarter of the cells of differences."""
    grid = pairs.quarter(pairs.pairs())
    assert len(grid) == 54
    return [cell for place, pair in enumerate(grid) for cell in pairs.cells_of(pair, place)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["paired", "unpaired"])
def test_every_interval_of_a_difference_holds_it_and_finds_none_where_there_is_none(
    differences: list[pairs.PairCell], kind: pairs.Kind
) -> None:
    found = [cell for cell in differences if cell.kind == kind]
    assert len(found) > 216
    assert [cell for cell in found if cell.coverage < DIFFERENCE - TOLERANCE] == []
    equal = [cell for cell in found if cell.pair.left == cell.pair.right]
    assert len(equal) > 90
    assert [cell for cell in equal if cell.rejected > TYPE_I + TOLERANCE] == []
    better = [cell for cell in found if cell.pair.right.accuracy == 0.7 and cell.seeds >= 5]
    assert np.mean([cell.rejected for cell in better if cell.pair.left.samples == 1000]) > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("kind", numbers.KINDS.values(), ids=list(numbers.KINDS))
def test_means_of_numbers_and_medians_of_ranks_are_held(kind: numbers.Kind) -> None:
    bound = DIFFERENCE if kind.name.startswith("differences") else RECIPE
    worlds = [w for w in numbers.worlds() if (w.samples, w.cluster) in ((150, 1), (30, 5))]
    found = [
        numbers.cell_of(kind, world, seeds, place)
        for place, world in enumerate(worlds)
        for seeds in (1, 3)
    ]
    held = [cell for cell in found if cell is not None]
    assert len(held) == (3 if kind.fewest > 6 else 6)
    # Half as many data sets as in the other cells.
    assert [cell for cell in held if cell.coverage < bound - 1.4 * TOLERANCE] == []


@pytest.mark.slow
def test_means_over_datasets_are_held_whether_seeds_are_alike_on_them_or_not() -> None:
    grid = suites.suites()
    assert len(grid) == 18
    found = [cell for place, one in enumerate(grid) for cell in suites.cells_of(one, place, 1000)]
    assert len(found) == 60
    # Half as many data sets as in the other cells.
    tolerance = 1.4 * TOLERANCE
    assert [cell for cell in found if min(cell.coverage, cell.pooled) < RECIPE - tolerance] == []
    assert [cell for cell in found if cell.difference_coverage < DIFFERENCE - tolerance] == []
    equal = [cell for cell in found if cell.suite.left == cell.suite.right]
    assert [cell for cell in equal if cell.rejected > TYPE_I + tolerance] == []
    better = [cell for cell in found if cell not in equal and cell.suite.samples == 150]
    assert np.mean([cell.rejected for cell in better if cell.seeds == 5]) > 0.85
