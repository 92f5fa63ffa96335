"""Intervals of a leaderboard's means and medians: over new samples and seeds, where one holds.

Which rows of samples a metric is the mean of, and which metrics are ends of another's interval, is
what they are declared to be. The forms are in `mmlab.statistics`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from mmlab.metric import MEDIAN_RANK, SHARE
from mmlab.report.outcomes import Answered, BySeed, Outcomes
from mmlab.statistics.crossed import measure, stacked
from mmlab.statistics.estimates import TOO_FEW_VALUES, Estimate, Scale, scale_of
from mmlab.statistics.means import estimate_mean
from mmlab.statistics.quantiles import estimate_quantile
from mmlab.statistics.shares import estimate_share
from mmlab.statistics.standing import rank_groups
from mmlab.statistics.variance import SeedScatter, board_scatter
from mmlab.store import Store

#: What an interval covers; "draws": those that an evaluation made, of shots say, for one seed.
IntervalKind = Literal["seeds and samples", "samples", "draws", "none"]
INTERVAL_KINDS: tuple[IntervalKind, ...] = get_args(IntervalKind)

# How far a metric may be from a mean over samples and still be that mean, relative to it or to 1:
# outcomes are float32.
_SAME = 1e-5
#: Why there is no interval.
NO_MEAN = "it is no mean over stored samples, the same for every seed"
NO_FORM = "none of it is known to hold"
UNDEFINED = "not finite or not defined for every seed"

# Rows of frames: values of whatever type.
Row = dict[str, Any]
_FOUND: dict[str, pl.DataType | type[pl.DataType]] = {
    "row": pl.UInt32,
    "pooled": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "interval": pl.String,
    "reason": pl.String,
    "advice": pl.String,
    "is_tied": pl.Boolean,
    "rank_low": pl.Int64,
    "rank_high": pl.Int64,
}
#: Rows of one comparison for which ranks are told: 200 take a fifth of a second.
_MOST_RANKED = 300


def with_intervals(store: Store, board: pl.DataFrame, comparison: Sequence[str]) -> pl.DataFrame:
    """The board with `low`, `high`, `interval`, `reason`, `advice`, and how sure its places are.

    `is_tied` are rows that may be the best of their metric, `rank_low` and `rank_high` the ends of
    a row's rank; null where that cannot be told. `comparison` are the columns that name one: its
    rows lend each other what their seeds do. `evaluations` has those of each seed of a row. The
    `mean` of a median that has an interval becomes the median over all seeds, which that is of.
    """
    board = board.with_row_index("row")
    found = [
        one
        for part in board.partition_by(comparison, maintain_order=True)
        for one in _of_comparison(store, part)
    ]
    intervals = pl.DataFrame(found, schema=_FOUND, orient="row")
    board = board.join(intervals, on="row", how="left", maintain_order="left")
    return board.with_columns(pl.coalesce("pooled", "mean").alias("mean")).drop("row", "pooled")


def _of_comparison(store: Store, part: pl.DataFrame) -> Iterator[tuple[object, ...]]:
    means = part.filter(pl.col("mean_of").is_not_null() & pl.col("mean").is_not_null())
    numbers = {one for row in means["evaluations"] for seed in row for one in seed["numbers"]}
    outcomes = Outcomes.read(store, numbers) if numbers else None
    for rows in part.partition_by("metric", maintain_order=True):
        asked = rows.to_dicts()
        answers = [answered(outcomes, row) if outcomes else None for row in asked]
        yield from _of_metric(asked, answers)


def answered(outcomes: Outcomes, row: Row) -> Answered | None:
    """The samples of a row whose mean, or in each seed whose median, its metric is.

    Where it is not quite that there are none: an mse over targets of which some are unknown weighs
    the samples otherwise.
    """
    if row["mean_of"] is None or row["mean"] is None:
        return None
    by_seed: BySeed = {one["seed"]: one["numbers"] for one in row["evaluations"]}
    found = outcomes.answered(by_seed, row["mean_of"])
    if found is None:
        return None
    is_median = row["mean_of"] == MEDIAN_RANK
    mean = np.median(found.values, axis=1).mean() if is_median else found.values.mean()
    return found if abs(mean - row["mean"]) <= _SAME * max(abs(row["mean"]), 1) else None


def _of_metric(
    rows: Sequence[Row], answers: Sequence[Answered | None]
) -> Iterator[tuple[object, ...]]:
    """The intervals of one metric: seeds of a row are known better by those of the others."""
    if rows[0]["mean_of"] == MEDIAN_RANK:
        for row, answer in zip(rows, answers, strict=True):
            yield (row["row"], *_of_median(row, answer), *_UNRANKED)
        return
    known = [one for one in answers if one is not None]
    every = np.concatenate([[], *(one.values.ravel() for one in known)])
    scale = scale_of(every, is_share=rows[0]["unit"] == SHARE)
    squares = [measure(one.values, one.clusters).squares for one in known]
    scatter = board_scatter(stacked(squares), scale) if squares else None
    ranks = iter(_ranks(rows[0]["better"], known, scale))
    for row, answer in zip(rows, answers, strict=True):
        ranked = next(ranks) if answer is not None else _UNRANKED
        yield (row["row"], None, *_interval(row, answer, scale, scatter), *ranked)


def _of_median(row: Row, answer: Answered | None) -> tuple[object, ...]:
    """The median over all seeds, and its interval. A mean of seeds' medians has none that holds."""
    if answer is None:
        return None, *_absent(row)
    pooled = float(np.median(answer.values))
    return pooled, *_told(estimate_quantile(answer.values, answer.clusters))


def _interval(
    row: Row, answer: Answered | None, scale: Scale, scatter: SeedScatter | None
) -> tuple[object, ...]:
    if row["seeds"] == 1 and row["draws_low"] is not None and row["draws_high"] is not None:
        if row["draws_low"] == row["draws_high"]:  # nor is a spread known of draws that agree
            return None, None, "none", TOO_FEW_VALUES, "more draws"
        return row["draws_low"], row["draws_high"], "draws", None, None
    if answer is None:
        return _absent(row)
    if scale == "unbounded":
        return _told(estimate_mean(answer.values, answer.clusters, scatter=scatter))
    return _told(estimate_share(answer.values, answer.clusters, scale=scale, scatter=scatter))


def _absent(row: Row) -> tuple[object, ...]:
    if row["mean"] is None:
        return None, None, "none", UNDEFINED, None
    return None, None, "none", NO_MEAN if row["mean_of"] else NO_FORM, None


def _told(found: Estimate) -> tuple[object, ...]:
    return found.low, found.high, found.covers, found.reason, found.advice


_UNRANKED = (None, None, None)


def _ranks(
    better: str | None, answers: Sequence[Answered], scale: Scale
) -> Sequence[tuple[object, ...]]:
    """Of each row whether it may be the best, and the ends of its rank."""
    is_alike = all(np.array_equal(answers[0].samples, one.samples) for one in answers)
    if better is None or not is_alike or not 2 <= len(answers) <= _MOST_RANKED:
        return [_UNRANKED] * len(answers)
    # Minus a share is no share: nothing that is better low is one.
    sign, scale = (1, scale) if better == "higher" else (-1, "unbounded")
    values, clusters = [sign * one.values for one in answers], answers[0].clusters
    found = rank_groups(values, clusters, scale=scale)
    if found.reason is not None:
        return [_UNRANKED] * len(answers)
    return list(zip(found.tied, found.low, found.high, strict=True))


def give_bounds(board: pl.DataFrame) -> pl.DataFrame:
    """Without the rows of bounds; `draws_low` and `draws_high` of the rows they bound, else null.

    They are the stored ones, which the evaluator may have cut to [0, 1].
    """
    key = ["evaluation_id", "metric"]
    rest = board.filter(pl.col("low_of").is_null() & pl.col("high_of").is_null())
    for end in ("low", "high"):
        bounds = board.filter(pl.col(f"{end}_of").is_not_null())
        ends = bounds.select(
            "evaluation_id",
            pl.col(f"{end}_of").alias("metric"),
            pl.col("mean").alias(f"draws_{end}"),
        )
        rest = rest.join(ends, on=key, how="left", maintain_order="left")
    return rest
