"""Means over datasets: one dataset is as by itself; seeds that are good on all of them count."""

from __future__ import annotations

import numpy as np
import pytest

from mmlab.statistics.crossed import measure, measure_rows, stacked
from mmlab.statistics.differences import paired_difference
from mmlab.statistics.estimates import Array
from mmlab.statistics.joint import compare_rows
from mmlab.statistics.shares import estimate_share
from mmlab.statistics.standing import rank_groups
from mmlab.statistics.suite_differences import (
    compare_suites,
    suite_difference,
    suite_standing,
)
from mmlab.statistics.suites import (
    board_suite_scatter,
    estimate_suite,
    joined_parts,
    measure_dataset,
    suite_parts,
)
from mmlab.statistics.variance import board_scatter


def hits(place: int, seeds: int, samples: int, share: float, skills: Array | None = None) -> Array:
    """Outcomes (seeds, samples) of about this share."""
    stream = np.random.default_rng(place)
    of_seeds = np.zeros(seeds) if skills is None else skills
    return (stream.random((seeds, samples)) < share + of_seeds[:, None]).astype(float)


def approximately(found: object) -> object:
    return pytest.approx([value for value in vars(found).values() if isinstance(value, float)])


@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
@pytest.mark.parametrize("cluster", [1, 4])
def test_one_dataset_is_as_by_itself(seeds: int, cluster: int) -> None:
    rows = [hits(place, seeds, 80, share) for place, share in enumerate((0.8, 0.7, 0.7, 0.6))]
    clusters = np.arange(80) // cluster
    each = [[measure_dataset(row, clusters)] for row in rows]
    scatter = board_scatter(stacked([measure(row, clusters).squares for row in rows]))
    same = board_suite_scatter(joined_parts([suite_parts(row) for row in each]))
    alone = estimate_share(rows[0], clusters, scatter=scatter)
    assert vars(estimate_suite(each[0], same)).keys() == vars(alone).keys()
    assert [*vars(estimate_suite(each[0], same)).values()][:3] == approximately(alone)
    apart = paired_difference(rows[0], rows[1], clusters)
    found = suite_difference(each[0], each[1])
    assert (found.low, found.high, found.p_value) == pytest.approx(
        (apart.low, apart.high, apart.p_value)
    )
    assert (found.reason, found.differing, found.covers) == (
        apart.reason,
        apart.differing,
        apart.covers,
    )
    assert suite_standing(each) == rank_groups(rows, clusters)
    joint, both = compare_suites(each), compare_rows(measure_rows(rows, clusters))
    assert joint.error == pytest.approx(both.error)
    assert joint.draws == pytest.approx(both.draws)


def test_samples_of_datasets_are_drawn_apart_so_their_variances_add_up() -> None:
    """One seed: the variance of the mean of two datasets is a quarter of the sum of theirs."""
    parts = [measure_dataset(hits(n, 1, 400, share)) for n, share in enumerate((0.5, 0.8))]
    found = suite_parts(parts)
    single = [suite_parts([part]) for part in parts]
    assert found.of_clusters.sum() == pytest.approx(
        sum(one.of_clusters.sum() for one in single) / 4
    )
    assert estimate_suite(parts).value == pytest.approx(
        np.mean([one.measured.squares.mean for one in parts])
    )


def test_seeds_that_are_good_on_all_datasets_do_not_cancel() -> None:
    """Equal outcomes but for which seed has them: only the first are one skill on all datasets."""
    skills = np.array([-0.1, 0.0, 0.1])
    one, other = (hits(n, 3, 2000, 0.7, skills) for n in (1, 2))
    alike = estimate_suite([measure_dataset(one), measure_dataset(other)])
    apart = estimate_suite([measure_dataset(one), measure_dataset(other[::-1])])
    assert alike.value == apart.value
    assert alike.low is not None
    assert alike.high is not None
    assert apart.low is not None
    assert apart.high is not None
    assert alike.high - alike.low > 3 * (apart.high - apart.low)


def test_a_dataset_of_too_few_samples_leaves_no_interval() -> None:
    rows = [
        [measure_dataset(hits(n, 3, 100, 0.7)), measure_dataset(hits(n, 3, 4, 0.7))] for n in (0, 1)
    ]
    found = estimate_suite(rows[0])
    assert (found.low, found.covers, found.reason) == (None, "none", "too few samples")
    assert suite_difference(*rows).low is None
    assert suite_standing(rows).reason == "too few samples"


def test_what_is_better_on_the_whole_is_first_alone() -> None:
    rows = [
        [
            measure_dataset(hits(10 * k + n, 3, 400, share - 0.1 * k))
            for n, share in enumerate((0.9, 0.6))
        ]
        for k in range(4)
    ]
    found = suite_standing(rows)
    assert found.tied == (True, False, False, False)
    assert found.low[0] == found.high[0] == 1
    assert found.high[-1] == 4
