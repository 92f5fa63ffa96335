"""Differences that could have been shown, and what would show more, beside simulated tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmlab.statistics.differences import paired_difference
from mmlab.statistics.planning import (
    POWER,
    Design,
    clusters_needed,
    design_of,
    seeds_needed,
    smallest_detectable,
)

#: Normal outcomes, so that variances are what they are said to be; sizes of their parts.
SEEDS, SAMPLES, REST = 0.05, 0.3, 0.4


def sides(seeds: int, samples: int, gain: float, stream: np.random.Generator) -> list[np.ndarray]:
    """Two recipes on the same samples, of which the first is better by `gain`."""
    shared = stream.normal(0, 1, samples)
    return [
        shared
        + stream.normal(0, SAMPLES, samples)
        + stream.normal(0, SEEDS, (seeds, 1))
        + stream.normal(0, REST, (seeds, samples))
        + own
        for own in (gain, 0.0)
    ]


def planted(seeds: int, samples: int) -> Design:
    """The design as it was planted, as if it were well known."""
    return Design(
        of_seeds=2 * SEEDS**2,
        of_clusters=2 * SAMPLES**2,
        of_rest=2 * REST**2,
        freedom=2.0 * (seeds - 1),
        seeds=seeds,
        clusters=samples,
        cluster_size=1.0,
        scale="unbounded",
    )


def test_parts_are_found_again() -> None:
    stream = np.random.default_rng(2)
    found = [design_of(*sides(10, 300, 0.1, stream), scale="unbounded") for _ in range(30)]
    mean = {
        name: np.mean([getattr(one, name) for one in found])
        for name in ("of_seeds", "of_clusters", "of_rest")
    }
    assert mean["of_seeds"] == pytest.approx(2 * SEEDS**2, rel=0.15)
    assert mean["of_clusters"] == pytest.approx(2 * SAMPLES**2, rel=0.1)
    assert mean["of_rest"] == pytest.approx(2 * REST**2, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "samples"), [(3, 60), (5, 150)])
def test_a_detectable_difference_is_shown_four_times_in_five(seeds: int, samples: int) -> None:
    design = planted(seeds, samples)
    gain = smallest_detectable(design)
    stream = np.random.default_rng([seeds, samples])
    shown = [
        paired_difference(*sides(seeds, samples, gain, stream), scale="unbounded").p_value
        for _ in range(400)
    ]
    share = np.mean([value is not None and value < 0.05 for value in shown])
    assert POWER - 0.08 < share < POWER + 0.08


def test_more_of_anything_shows_smaller_differences() -> None:
    design = planted(3, 60)
    sizes = [
        smallest_detectable(one)
        for one in (
            design,
            replace(design, clusters=120),
            replace(design, seeds=6, freedom=10.0),
            replace(design, clusters=480, seeds=6, freedom=10.0),
        )
    ]
    assert sizes[0] > max(sizes[1:3]) > min(sizes[1:3]) > sizes[3]


def test_what_is_needed_shows_the_difference_and_one_less_does_not() -> None:
    design = planted(3, 200)
    wanted = 0.9 * smallest_detectable(design)
    seeds = seeds_needed(design, wanted).likely
    assert seeds is not None
    assert seeds > 3
    shown = [
        smallest_detectable(replace(design, seeds=count, freedom=2.0 * (count - 1))) <= wanted
        for count in (seeds - 1, seeds)
    ]
    assert shown == [False, True]
    clusters = clusters_needed(design, wanted).likely
    assert clusters is not None
    assert smallest_detectable(replace(design, clusters=clusters)) <= wanted
    assert smallest_detectable(replace(design, clusters=int(0.9 * clusters))) > wanted


def test_where_samples_alone_hide_it_no_number_of_seeds_helps() -> None:
    design = planted(3, 30)
    assert seeds_needed(design, 0.02).likely is None
    assert clusters_needed(replace(design, of_seeds=1.0), 0.02).likely is None


def test_a_range_has_the_likely_number_in_it() -> None:
    needed = seeds_needed(planted(3, 2_000), 0.1)
    assert needed.low is not None
    assert needed.likely is not None
    assert needed.low <= needed.likely
    assert needed.high is None or needed.likely <= needed.high
