"""Quality against cost: the Pareto front against a slow loop, and where marks stand."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.svg import Drawn, at, outside, overlaps, told

from mmlab.report.costs import pareto_front, read_costs
from mmlab.report.pictures.cost import cost_pictures

POINT = st.tuples(st.integers(0, 6), st.integers(0, 6))


@given(st.lists(POINT, min_size=1, max_size=25))
def test_the_front_is_that_of_a_slow_loop(points: list[tuple[int, int]]) -> None:
    slow = [
        place
        for place, (cost, good) in enumerate(points)
        if not any((c <= cost and g >= good) and (c < cost or g > good) for c, g in points)
    ]
    found = pareto_front([(float(cost), float(good)) for cost, good in points])
    assert sorted(found) == slow
    costs = [points[place][0] for place in found]
    assert costs == sorted(costs)


def part(means: dict[str, float], better: str = "higher") -> pl.DataFrame:
    """The leaderboard rows of cells."""
    return pl.DataFrame(
        [
            {
                "experiment": "e",
                "cell": f"fusion={cell}",
                "group_hash": cell,
                "metric": "top1",
                "better": better,
                "unit": "share",
                "mean": mean,
                "low": mean - 0.05,
                "high": mean + 0.05,
            }
            for cell, mean in means.items()
        ]
    )


def runs(costs: dict[str, list[dict[str, object]]]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"experiment": "e", "group_hash": cell, "summary": json.dumps(summary)}
            for cell, summaries in costs.items()
            for summary in summaries
        ]
    )


def test_costs_are_medians_of_what_was_measured() -> None:
    seconds: list[dict[str, object]] = [{"seconds": s, "parameters": 7} for s in (30.0, 4.0, 5.0)]
    flops: dict[str, object] = {"flops_per_sample": {"encoders": 10, "head": 2}, "seconds": None}
    found = read_costs(runs({"a": seconds, "b": [flops], "c": [{}]}))
    assert found == {
        ("e", "a"): {"time": 5.0, "parameters": 7.0},
        ("e", "b"): {"FLOPs": 12.0},
        ("e", "c"): {},
    }


MEANS = {"sum": 0.6, "gate": 0.8, "big": 0.7, "tiny": 0.4}
COSTS = {
    ("e", cell): {"parameters": cost}
    for cell, cost in {"sum": 2e5, "gate": 4e5, "big": 6e5, "tiny": 1e5}.items()
}


def test_marks_stand_at_their_cost_and_value_and_the_front_is_marked() -> None:
    (picture,) = cost_pictures(part(MEANS), COSTS, "t")
    drawn = Drawn(picture)
    marks = {told(one)[0]: one for one in drawn.all("circle", "mark")}
    assert set(marks) == set(MEANS)
    for name, mark in marks.items():
        cost = COSTS["e", name]["parameters"]
        assert drawn.x_value(at(mark, "cx")) == pytest.approx(cost, rel=0.01)
        assert drawn.y_value(at(mark, "cy")) == pytest.approx(MEANS[name], abs=0.003)
    front = [told(one)[0] for one in drawn.all("circle", "k0")]
    assert front == ["tiny", "sum", "gate"]
    (line,) = drawn.all("path", "front")
    assert line.get("d", "").count("H") == 2
    assert overlaps(drawn) == []
    assert outside(drawn) == []


def test_where_less_is_better_the_front_is_the_other_one() -> None:
    (picture,) = cost_pictures(part(MEANS, "lower"), COSTS, "t")
    assert [told(one)[0] for one in Drawn(picture).all("circle", "k0")] == ["tiny"]


def test_a_cost_that_all_share_or_none_has_is_no_picture() -> None:
    same = {key: {"parameters": 5.0} for key in COSTS}
    assert list(cost_pictures(part(MEANS), same, "t")) == []
    assert list(cost_pictures(part(MEANS), {}, "t")) == []
