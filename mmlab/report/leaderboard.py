"""The leaderboard: what every group of seeds reached, with an interval that says what it means."""

from __future__ import annotations

import polars as pl
from sqlalchemy import select

from mmlab.metric import LEADERBOARD
from mmlab.report.frames import Runs, in_number, of_runs
from mmlab.report.intervals import give_bounds, with_intervals
from mmlab.statistics.intervals import INTERVAL_KINDS
from mmlab.store import Store
from mmlab.store.tables import metric_declarations
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
    "better": pl.String,
    "unit": pl.String,
    "board": pl.String,
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
_SORTED = (
    *COMPARISON[:3],
    "size",
    "protocol_hash",
    "is_other",
    "is_aimless",
    "position",
    "metric",
    "place",
    "experiment",
    "cell",
)


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
    - `better`, `unit`, `board`: what the metric is, as the newest of these results declare it:
      "higher", "lower" or null, a share or another unit, and the table of a report it stands on.
    - `origin`: the tool that published the figures; null for runs executed here.
    - `test_set`, `main_metric`: what the samples are called elsewhere, and the metric quoted there.
    - `samples`, `skipped`: of one seed's evaluation; the largest where seeds differ.
    - `place`: 1 for the best mean among rows of equal evaluation, condition, split, protocol hash
      and metric; equal means share a place. Results under different protocols are never ranked
      against each other: each has its own place 1. Null where `better` is.

    Ordered by comparison, metric (as declared, those without a direction last) and place.
    """
    values = _latest(store.frame(of_runs(select(finals), finals.c.run_id, runs)))
    if values.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    # Sums of floats depend on their order, which must not depend on the database.
    board = _over_seeds(_per_seed(values.sort("replicate")).sort("seed"))
    board = give_bounds(_with_declarations(store, board, values))
    return _placed(with_intervals(store, board)).select(
        pl.col(name).cast(kind) for name, kind in SCHEMA.items()
    )


def comparisons(board: pl.DataFrame) -> list[pl.DataFrame]:
    """The leaderboard cut into parts whose rows may be compared, in its order."""
    return board.partition_by(COMPARISON, maintain_order=True)


def main_metric(part: pl.DataFrame) -> str:
    """The metric by which a comparison is ordered: the test set's own, else the first declared."""
    return ordered_metrics(part)[0]


def ordered_metrics(part: pl.DataFrame) -> list[str]:
    """The metrics of a comparison, the one by which it is ordered first."""
    return part["metric"].unique(maintain_order=True).to_list()


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


def _with_declarations(store: Store, board: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    """Each row with what its metric is, by the newest result of its comparison that says so.

    One declaration for all rows of a metric: they are ranked against each other.
    """
    row = metric_declarations.c
    columns = (row.better, row.unit, row.position, row.mean_of, row.low_of, row.high_of, row.board)
    declared = store.frame(select(row.id.label("metric_declaration_id"), *columns))
    key = [*COMPARISON, "metric"]
    newest = (
        values.sort("evaluation_id")
        .group_by(key)
        .agg(pl.col("metric_declaration_id").drop_nulls().last())
        .join(declared, on="metric_declaration_id", how="left")
        .with_columns(pl.col("unit").fill_null(""), pl.col("board").fill_null(LEADERBOARD))
    )
    return board.join(newest, on=key, how="left", maintain_order="left")


def _placed(board: pl.DataFrame) -> pl.DataFrame:
    better, mean = pl.col("better"), pl.col("mean")
    numbered = {name: in_number(board[name]) for name in ("condition", "metric")}
    goodness = pl.when(better == "higher").then(mean).when(better == "lower").then(-mean)
    return board.with_columns(
        goodness.rank("min", descending=True).over(*COMPARISON, "metric").alias("place"),
        pl.col("metric").ne_missing(pl.col("main_metric")).alias("is_other"),
        better.is_null().alias("is_aimless"),
        (-pl.len().cast(pl.Int64)).over(*COMPARISON).alias("size"),
    ).sort(*(numbered.get(name, name) for name in _SORTED), nulls_last=True)
