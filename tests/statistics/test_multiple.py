"""P values of many tests, beside SciPy's and formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from mmlab.statistics.multiple import benjamini_hochberg, holm

CHANCES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def holm_slowly(chances: list[float]) -> list[float]:
    """Each value's largest step down to it: its place's factor times the value, capped at 1."""
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    found = [0.0] * len(chances)
    worst = 0.0
    for rank, place in enumerate(order):
        worst = max(worst, (len(chances) - rank) * chances[place])
        found[place] = min(1.0, worst)
    return found


@given(CHANCES)
def test_holm_is_the_step_down_of_its_definition(chances: list[float]) -> None:
    assert holm(chances) == pytest.approx(holm_slowly(chances))


@given(CHANCES)
def test_holm_is_between_the_plain_values_and_bonferronis(chances: list[float]) -> None:
    adjusted = np.array(holm(chances))
    assert (adjusted >= np.array(chances)).all()
    assert (adjusted <= np.minimum(1, len(chances) * np.array(chances)) + 1e-12).all()


@given(CHANCES)
def test_benjamini_hochberg_is_scipys(chances: list[float]) -> None:
    assert benjamini_hochberg(chances) == pytest.approx(list(false_discovery_control(chances)))


def test_of_nothing_there_is_nothing() -> None:
    assert (holm([]), benjamini_hochberg([])) == ([], [])


def test_holm_wrongly_rejects_in_five_tables_of_a_hundred() -> None:
    """20 tests without any effect, 2,000 times: the share of tables with a finding."""
    chances = np.random.default_rng(1).random((2_000, 20))
    share = np.mean([min(holm(list(row))) < 0.05 for row in chances])
    assert 0.035 < share < 0.065
