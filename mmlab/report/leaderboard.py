"""The leaderboard: what every group of seeds reached, with an interval that says what it means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from sqlalchemy import Double, Integer, Select, case, cast, func, select

from mmlab.report.frames import Runs, of_runs
from mmlab.report.metric_names import (
    cutoff,
    is_fraction,
    is_lower_better,
    is_of_outcomes,
    metric_order,
)
from mmlab.statistics.intervals import (
    INTERVAL_KINDS,
    normal_half_width,
    student_half_width,
    wilson_interval,
)
from mmlab.store import Store
from mmlab.store.tables import sample_results
from mmlab.store.views import leaderboard as finals

#: What makes two results comparable: within one comparison, and only there, rows have places.
COMPARISON = ("evaluation", "condition", "split", "protocol_hash")
GROUP = (
    "experiment",
    "group_hash",
    "origin",
    "evaluator",
    "dataset_revision",
    "test_set",
    "main_metric",
    *COMPARISON,
    "metric",
)

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "experiment": pl.String,
    "cell": pl.String,
    "axes": pl.String,
    "group_hash": pl.String,
    "origin": pl.String,
    "evaluation": pl.String,
    "condition": pl.String,
    "split": pl.String,
    "evaluator": pl.String,
    "dataset_revision": pl.String,
    "test_set": pl.String,
    "main_metric": pl.String,
    "protocol_hash": pl.String,
    "metric": pl.String,
    "place": pl.Int64,
    "mean": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "interval": pl.Enum(INTERVAL_KINDS),
    "seeds": pl.Int64,
    "undefined": pl.Int64,
    "samples": pl.Int64,
    "skipped": pl.Int64,
}
# Of the protocols of one name, the one with the most rows first.
_SORTED = (*COMPARISON[:3], "size", "protocol_hash", "order", "place", "experiment", "cell")
# How far a metric may be from a mean over samples and still be that mean, relative to it or to 1:
# outcomes are float32.
_SAME = 1e-5


def leaderboard(store: Store, runs: Runs = None) -> pl.DataFrame:
    """One row per group of seeds, evaluation, condition, protocol and metric.

    A group is the runs of one experiment whose train hashes differ in the seed only; repetitions of
    a seed count as that seed, once, with their mean. Columns:

    - `mean`: over the seeds, each weighing the same; null if any seed's value is undefined or not
      finite (`undefined` says how many), for a mean without them would flatter the group.
    - `low`, `high`, `interval`: 95 %; over two or more `seeds` Student's t, for one seed over the
      draws of shots (`draws`), or over the samples (`wilson` or `normal`) where the metric is a
      mean over stored samples, else `none`.
      `mmlab.statistics.intervals` has the formulas. A t interval may leave [0, 1].
    - `origin`: the tool that published the figures; null for runs executed here.
    - `test_set`, `main_metric`: what the samples are called elsewhere, and the metric quoted there.
    - `samples`, `skipped`: of one seed's evaluation; the largest where seeds differ.
    - `place`: 1 for the best mean among rows of equal evaluation, condition, split, protocol hash
      and metric; equal means share a place. Results under different protocols are never ranked
      against each other: each has its own place 1.

    Ordered by comparison, metric (the usual first one first) and place.
    """
    values = _latest(store.frame(of_runs(select(finals), finals.c.run_id, runs)))
    if values.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    # Sums of floats depend on their order, which must not depend on the database.
    board = give_bounds(_over_seeds(_per_seed(values.sort("replicate")).sort("seed")))
    board = _with_interval(board, _moments(store, board))
    return _placed(board).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def comparisons(board: pl.DataFrame) -> list[pl.DataFrame]:
    """The leaderboard cut into parts whose rows may be compared, in its order."""
    return board.partition_by(COMPARISON, maintain_order=True)


def main_metric(part: pl.DataFrame) -> str:
    """The metric by which a comparison is ordered: the test set's own, else the usual first."""
    return ordered_metrics(part)[0]


def ordered_metrics(part: pl.DataFrame) -> list[str]:
    """The metrics of a comparison, the one by which it is ordered first."""
    quoted = set(part["main_metric"].drop_nulls())
    names = map(str, part["metric"].unique())
    return sorted(names, key=lambda name: (name not in quoted, metric_order(name)))


def _latest(values: pl.DataFrame) -> pl.DataFrame:
    """Without results that the same run has again under the same name and protocol, but newer."""
    return values.filter(
        pl.col("evaluation_id") == pl.col("evaluation_id").max().over("run_id", *COMPARISON)
    )


def _per_seed(values: pl.DataFrame) -> pl.DataFrame:
    finite = pl.col("value").is_finite().fill_null(False)
    return values.group_by(*GROUP, "seed").agg(
        pl.col("cell", "axes").first(),
        pl.when(finite.all()).then(pl.col("value").mean()).alias("value"),
        pl.col("evaluation_id").max(),
        pl.col("sample_count", "skipped_count").max(),
    )


def _over_seeds(per_seed: pl.DataFrame) -> pl.DataFrame:
    return per_seed.group_by(GROUP).agg(
        pl.col("cell", "axes").sort_by("seed").first(),
        pl.when(pl.col("value").null_count() == 0).then(pl.col("value").mean()).alias("mean"),
        pl.col("value").std().alias("deviation"),
        pl.len().alias("seeds"),
        pl.col("value").null_count().alias("undefined"),
        pl.col("sample_count").max().alias("samples"),
        pl.col("skipped_count").max().alias("skipped"),
        pl.col("evaluation_id").max(),
    )


def _moments(store: Store, board: pl.DataFrame) -> pl.DataFrame:
    """Count, mean and mean square over samples, per one-seed evaluation and measure.

    The measure `outcome` is what the evaluator says its main metric averages; `rank<=K` is a hit
    within the first K. One statement reads them, and no row per sample leaves the database.
    """
    single = board.filter(pl.col("seeds") == 1)
    cutoffs = sorted({k for k in map(cutoff, single["metric"].unique()) if k is not None})
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
    is_other = case((row.outcome.in_([0.0, 1.0]), 0), else_=1)
    return select(
        row.evaluation_id,
        cast(func.count(row.outcome), Double).label("count"),
        cast(func.count(row.rank), Double).label("ranked"),
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
    is_share = np.array([is_fraction(metric) for metric in board["metric"]], dtype=np.bool_)
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
    """Each row with the moments that belong to its metric by name.

    Where a metric is not quite their mean they are left out: an mse over targets of which some are
    unknown weighs the samples otherwise, and repetitions of a seed may differ.
    """
    rows = board.select("evaluation_id", "evaluator", "metric", "mean")
    names = rows.select("evaluator", "metric").unique().iter_rows()
    measures = [(*name, *_measure(*name)) for name in names]
    schema = {"evaluator": pl.String, "metric": pl.String, "cutoff": pl.Int32, "known": pl.Boolean}
    known = pl.DataFrame(measures, schema, orient="row").filter("known").drop("known")
    matched = (
        rows.join(known, on=["evaluator", "metric"])
        .join(moments, on=["evaluation_id", "cutoff"], nulls_equal=True)
        .filter(_equals(pl.col("mean"), pl.col("sample_mean")))
    )
    return board.join(matched.drop("mean", "evaluator"), on=["evaluation_id", "metric"], how="left")


def _measure(evaluator: str, metric: str) -> tuple[int | None, bool]:
    """The cutoff of the moments of a metric, None for those of outcomes; and whether it has any."""
    if is_of_outcomes(evaluator, metric):
        return None, True
    k = cutoff(metric)
    return k, k is not None


def _equals(metric: pl.Expr, mean: pl.Expr) -> pl.Expr:
    """Whether a metric is the mean of the outcomes; or minus that, as an error is."""
    return (metric.abs() - mean.abs()).abs() <= _SAME * pl.max_horizontal(metric.abs(), 1.0)


def _placed(board: pl.DataFrame) -> pl.DataFrame:
    metrics = board["metric"].unique().to_list()
    lower = [metric for metric in metrics if is_lower_better(metric)]
    order = {name: place for place, name in enumerate(sorted(metrics, key=metric_order))}
    goodness = pl.when(pl.col("metric").is_in(lower)).then(-pl.col("mean")).otherwise("mean")
    place = goodness.rank("min", descending=True).over(*COMPARISON, "metric")
    return board.with_columns(
        place.alias("place"),
        pl.when(pl.col("metric") == pl.col("main_metric"))
        .then(-1)
        .otherwise(pl.col("metric").replace_strict(order, return_dtype=pl.Int32))
        .alias("order"),
        (-pl.len().cast(pl.Int64)).over(*COMPARISON).alias("size"),
    ).sort(*_SORTED, nulls_last=True)


FEW_SHOT = "few_shot"
_BOUND = r"^(.+)_(low|high)$"


def give_bounds(board: pl.DataFrame) -> pl.DataFrame:
    """Without the rows of bounds; `draws_low` and `draws_high` of the rows they bound, else null.

    They are the stored ones, which the evaluator has cut to [0, 1].
    """
    name = pl.col("metric").str.extract(_BOUND, 1)
    is_bound = (pl.col("evaluator") == FEW_SHOT) & name.is_not_null()
    found = board.filter(is_bound).with_columns(
        name.alias("metric"), pl.col("metric").str.extract(_BOUND, 2).alias("end")
    )
    key = ["evaluation_id", "metric"]
    rest = board.filter(~is_bound)
    for end in ("low", "high"):
        ends = found.filter(pl.col("end") == end).select(*key, pl.col("mean").alias(f"draws_{end}"))
        rest = rest.join(ends, on=key, how="left", maintain_order="left")
    return rest
