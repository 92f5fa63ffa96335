"""Critical differences: planted groups, bars over them, and several datasets together."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.report_values import asked, record
from support.svg import Drawn, at, outside, overlaps, told

from mmlab.report.leaderboard import comparisons, leaderboard
from mmlab.report.outcomes import Answered
from mmlab.report.pictures.ranks import Placed, Standings, ranks_picture, stretches
from mmlab.report.pictures.standings import (
    Dataset,
    one_dataset,
    over_datasets,
    over_words,
    read_dataset,
    same_recipes,
)
from mmlab.statistics.standing import told_apart
from mmlab.store import Store


@given(st.integers(2, 8), st.randoms(use_true_random=False))
def test_stretches_are_those_of_a_slow_loop(count: int, chance: st.DrawFn) -> None:
    beats = np.array([[chance.random() < 0.2 for _ in range(count)] for _ in range(count)])  # type: ignore[attr-defined]
    np.fill_diagonal(beats, False)

    def holds(first: int, last: int) -> bool:
        pairs = combinations(range(first, last + 1), 2)
        return not any(beats[a, b] or beats[b, a] for a, b in pairs)

    every = [(a, b) for a in range(count) for b in range(a + 1, count) if holds(a, b)]
    longest = [
        (a, b)
        for a, b in every
        if not any(c <= a and b <= d and (a, b) != (c, d) for c, d in every)
    ]
    assert stretches(beats) == longest


def hits(
    shares: list[float], samples: int = 400, seeds: int = 3, stream: int = 1
) -> list[np.ndarray]:
    """Rows of hits of recipes that find the same samples hard."""
    draw = np.random.default_rng([21, stream])
    hard = draw.normal(size=samples)
    return [
        (hard + 0.4 * draw.normal(size=(seeds, samples)) < 4 * share - 2).astype(float)
        for share in shares
    ]


def test_planted_groups_are_told_apart_and_those_within_are_not() -> None:
    beats = told_apart(hits([0.9, 0.9, 0.3, 0.3]))
    assert stretches(beats) == [(0, 1), (2, 3)]
    assert beats[:2, 2:].all()
    assert not beats[2:, :2].any()


def test_too_few_samples_tell_nothing_apart() -> None:
    assert not told_apart([row[:, :4] for row in hits([0.95, 0.05])]).any()


def standings() -> Standings:
    rows = (("a", 0.9), ("b", 0.85), ("c", 0.5), ("d", 0.45), ("e", 0.4))
    placed = tuple(Placed(name, value, f"{value}") for name, value in rows)
    return Standings(placed, ((0, 1), (2, 4)), "top1", "share", is_lower_better=False)


def test_bars_reach_over_their_recipes_and_the_best_stands_right() -> None:
    drawn = Drawn(ranks_picture(standings(), "t", "100 samples"))
    dots = {told(one)[0]: at(one, "cx") for one in drawn.all("circle", "mark")}
    assert dots["a"] > dots["b"] > dots["c"] > dots["d"] > dots["e"]
    lower, upper = drawn.all("line", "group")
    assert told(lower) == ["not told apart:", "c", "d", "e"]
    assert (at(lower, "x1"), at(lower, "x2")) == pytest.approx((dots["e"] - 3, dots["c"] + 3))
    assert told(upper) == ["not told apart:", "a", "b"]
    assert (at(upper, "x1"), at(upper, "x2")) == pytest.approx((dots["b"] - 3, dots["a"] + 3))
    step = (dots["a"] - dots["e"]) / (0.9 - 0.4)
    assert dots["c"] - dots["e"] == pytest.approx(step * 0.1, abs=0.1)
    assert overlaps(drawn) == []
    assert outside(drawn) == []


def test_bars_that_share_recipes_stand_on_levels_of_their_own() -> None:
    rows = tuple(Placed(f"r{n}", 5.0 - n, "") for n in range(4))
    found = Standings(rows, ((0, 2), (1, 3)), "x", "", is_lower_better=False)
    one, other = Drawn(ranks_picture(found, "t", "")).all("line", "group")
    assert at(one, "y1") != at(other, "y1")


def record_planted(store: Store, shares: dict[str, float]) -> None:
    rows = dict(zip(shares, hits(list(shares.values()), samples=200, seeds=2), strict=True))
    for cell, of_seeds in rows.items():
        for seed, values in enumerate(of_seeds):
            record(store, asked(values.tolist()), cell=f"fusion={cell}", seed=seed)


def test_a_comparison_is_read_from_the_store_with_its_groups(store: Store) -> None:
    record_planted(store, {"low": 0.2, "high": 0.9, "also": 0.9})
    board = leaderboard(store)
    (part,) = comparisons(board.filter(pl.col("metric") == "top1"))
    dataset = read_dataset(store, part)
    assert dataset is not None
    found = one_dataset(dataset)
    assert [row.name for row in found.rows][2] == "low"
    assert found.groups == ((0, 1),)
    assert over_words([dataset]) == "200 samples, 2 seeds each"
    assert read_dataset(store, part.head(2)) is None  # two are no picture


def dataset(name: str, shares: dict[str, float], samples: int) -> Dataset:
    rows = hits(list(shares.values()), samples, stream=samples)
    part = pl.DataFrame(
        {
            "experiment": "e",
            "cell": list(shares),
            "group_hash": list(shares),
            "metric": "top1",
            "unit": "share",
            "better": "higher",
            "dataset_revision": name,
        }
    )
    answers = {
        ("e", cell): Answered(np.arange(samples), row)
        for cell, row in zip(shares, rows, strict=True)
    }
    return Dataset(part, answers, {key: (0, 1, 2) for key in answers})


def test_over_datasets_ranks_are_means_and_each_dataset_weighs_the_same() -> None:
    one = dataset("one", {"a": 0.9, "b": 0.5, "c": 0.2}, 150)
    other = dataset("other", {"a": 0.5, "b": 0.9, "c": 0.2}, 600)
    found = over_datasets([one, other])
    assert found is not None
    assert {row.name: row.value for row in found.rows} == {"a": 1.5, "b": 1.5, "c": 3.0}
    assert found.groups == ((0, 1),)  # by samples alone b would be far ahead
    assert found.axis == "mean rank over 2 datasets"
    assert [len(each) for each in same_recipes([one, other])] == [2]
    assert list(same_recipes([one, one])) == []
