"""Intervals of a leaderboard's means: over seeds, over draws, or over one run's samples.

Which rows of samples a metric is the mean of, and which metrics are ends of another's interval, is
what they are declared to be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import Double, Integer, Select, case, cast, func, select

from mmlab.metric import SHARE
from mmlab.statistics.intervals import normal_half_width, student_half_width, wilson_interval
from mmlab.store import Store
from mmlab.store.tables import sample_results

# How far a metric may be from a mean over samples and still be that mean, relative to it or to 1:
# outcomes are float32.
_SAME = 1e-5
#: The K of the share of ranks up to K; null for means of outcomes and for what is no mean.
_CUTOFF = pl.col("mean_of").str.extract(r"^rank<=(\d+)$", 1).cast(pl.Int32)


def with_intervals(store: Store, board: pl.DataFrame) -> pl.DataFrame:
    """The board with `low`, `high` and `interval`."""
    return _with_interval(board, _moments(store, board))


def _moments(store: Store, board: pl.DataFrame) -> pl.DataFrame:
    """Count, mean and mean square over samples, per one-seed evaluation and measure.

    A measure is the outcome, or for each K a hit within the first K. One statement reads them, and
    no row per sample leaves the database.
    """
    single = board.filter(pl.col("seeds") == 1)
    cutoffs = single.select(_CUTOFF.unique().drop_nulls().sort()).to_series().to_list()
    evaluations = single["evaluation_id"].unique().to_list()
    if not evaluations:
        return pl.DataFrame(schema=_MOMENTS)
    sums = store.frame(_sums(cutoffs).where(sample_results.c.evaluation_id.in_(evaluations)))
    return pl.concat([_moment(sums, None), *(_moment(sums, k) for k in cutoffs)])


_MOMENTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "evaluation_id": pl.Int64,
    "cutoff": pl.Int32,
    "count": pl.Float64,
    "sample_mean": pl.Float64,
    "sample_square": pl.Float64,
    "is_binary": pl.Boolean,
}


# A select of columns of several types.
def _sums(cutoffs: Iterable[int]) -> Select[Any]:
    row = sample_results.c
    outcome = cast(row.outcome, Double)
    hits = [
        cast(func.sum(case((row.rank <= k, 1), else_=0)), Double).label(f"hits_{k}")
        for k in cutoffs
    ]
    # Imported first labels may not hold the truth: it has an outcome and no rank.
    has_truth = row.rank.is_not(None) | row.outcome.is_not(None)
    is_other = case((row.outcome.in_([0.0, 1.0]), 0), else_=1)
    return select(
        row.evaluation_id,
        cast(func.count(row.outcome), Double).label("count"),
        cast(func.sum(case((has_truth, 1), else_=0)), Double).label("ranked"),
        func.sum(outcome).label("total"),
        func.sum(outcome * outcome).label("square"),
        cast(func.sum(case((row.outcome.is_(None), 0), else_=is_other)), Integer).label("others"),
        *hits,
    ).group_by(row.evaluation_id)


def _moment(sums: pl.DataFrame, k: int | None) -> pl.DataFrame:
    """The moments of one measure: of the outcome for None, of hits up to rank k otherwise."""
    total = pl.col("total" if k is None else f"hits_{k}")
    square = pl.col("square") if k is None else total
    count = pl.col("count" if k is None else "ranked")
    return sums.select(
        "evaluation_id",
        pl.lit(k, pl.Int32).alias("cutoff"),
        count.alias("count"),
        (total / count).alias("sample_mean"),
        (square / count).alias("sample_square"),
        (pl.col("others") == 0 if k is None else pl.lit(True)).alias("is_binary"),
    )


def _with_interval(board: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    board = _with_moments(board, moments)
    mean, seeds = board["mean"].to_numpy(), board["seeds"].to_numpy()
    count, average = board["count"].to_numpy(), board["sample_mean"].to_numpy()
    half = student_half_width(board["deviation"].to_numpy(), seeds)
    normal = normal_half_width(average, board["sample_square"].to_numpy(), count)
    wilson_low, wilson_high = wilson_interval(average * count, count)
    is_share = (board["unit"] == SHARE).to_numpy()
    is_wilson = board["is_binary"].fill_null(False).to_numpy() & is_share
    is_drawn = board["draws_low"].is_not_null().to_numpy()
    which = [seeds > 1, is_drawn, is_wilson]
    draws_low, draws_high = board["draws_low"].to_numpy(), board["draws_high"].to_numpy()
    low = np.select(which, [mean - half, draws_low, wilson_low], mean - normal)
    high = np.select(which, [mean + half, draws_high, wilson_high], mean + normal)
    known = np.isfinite(low) & np.isfinite(high) & np.isfinite(mean)
    kind = np.select(which, ["seeds", "draws", "wilson"], "normal")
    return board.with_columns(
        pl.Series("low", low).set(pl.Series(~known), None),
        pl.Series("high", high).set(pl.Series(~known), None),
        pl.Series("interval", np.where(known, kind, "none")),
    )


def _with_moments(board: pl.DataFrame, moments: pl.DataFrame) -> pl.DataFrame:
    """Each row with the moments of what its metric is declared to be the mean of.

    Where a metric is not quite their mean they are left out: an mse over targets of which some are
    unknown weighs the samples otherwise, and repetitions of a seed may differ.
    """
    sign = pl.when(pl.col("mean_of").str.starts_with("-")).then(-1.0).otherwise(1.0)
    rows = board.filter(pl.col("mean_of").is_not_null()).select(
        "evaluation_id", "metric", (sign * pl.col("mean")).alias("mean"), _CUTOFF.alias("cutoff")
    )
    matched = rows.join(moments, on=["evaluation_id", "cutoff"], nulls_equal=True).filter(
        _equals(pl.col("mean"), pl.col("sample_mean"))
    )
    return board.join(matched.drop("mean"), on=["evaluation_id", "metric"], how="left")


def _equals(metric: pl.Expr, mean: pl.Expr) -> pl.Expr:
    return (metric - mean).abs() <= _SAME * pl.max_horizontal(metric.abs(), 1.0)


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
