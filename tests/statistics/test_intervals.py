from __future__ import annotations

import math

import numpy as np
import pytest

from mmlab.statistics.intervals import normal_half_width, student_half_width, wilson_interval


def test_two_seeds_give_the_tangent_interval() -> None:
    # Student's t with one degree of freedom is Cauchy's: its quantile is a tangent.
    quantile = math.tan(math.pi * (0.975 - 0.5))
    values = np.array([0.4, 0.6])
    half = student_half_width(np.array([values.std(ddof=1)]), np.array([2.0]))
    assert half[0] == pytest.approx(quantile * 0.1)


def test_many_seeds_approach_the_normal_interval() -> None:
    half = student_half_width(np.array([1.0]), np.array([1e8]))
    assert half[0] == pytest.approx(1.959963984540054 / 1e4, rel=1e-6)


def test_one_seed_has_no_student_interval() -> None:
    assert np.isnan(student_half_width(np.array([np.nan]), np.array([1.0])))[0]


def test_wilson_ends_solve_the_score_equation() -> None:
    hits, count = np.array([3.0, 0.0, 40.0]), np.array([10.0, 12.0, 40.0])
    for end in wilson_interval(hits, count):
        inside = (end > 0) & (end < 1)
        share, end, size = (hits / count)[inside], end[inside], count[inside]
        score = np.abs(share - end) / np.sqrt(end * (1 - end) / size)
        assert score == pytest.approx(1.959963984540054)


def test_wilson_stays_inside_zero_and_one() -> None:
    low, high = wilson_interval(np.array([0.0, 5.0]), np.array([5.0, 5.0]))
    assert low[0] == 0
    assert high[1] == 1
    assert 0 < high[0] < 1
    assert 0 < low[1] < 1


def test_no_samples_have_no_interval() -> None:
    low, high = wilson_interval(np.array([0.0]), np.array([0.0]))
    assert np.isnan([low[0], high[0]]).all()


def test_normal_half_width_is_the_standard_error_times_its_quantile() -> None:
    outcomes = np.array([0.1, 0.4, 0.7, 0.2])
    half = normal_half_width(
        np.array([outcomes.mean()]), np.array([(outcomes**2).mean()]), np.array([4.0])
    )
    assert half[0] == pytest.approx(1.959963984540054 * outcomes.std(ddof=1) / 2)
