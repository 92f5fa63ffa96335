"""The leaderboard: what every group of seeds reached, with an interval that says what it means."""

from __future__ import annotations

from typing import Any

import polars as pl
from sqlalchemy import select

from mmlab.metric import LEADERBOARD, OF_SUITE
from mmlab.report.frames import Runs, group_costs, in_number, of_runs
from mmlab.report.intervals import INTERVAL_KINDS, give_bounds, with_intervals
from mmlab.store import Store
from mmlab.store.views import all_runs, declared_metrics, queue_places, whole_cells
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
    "suite": pl.String,
    "dataset": pl.String,
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
    "reason": pl.String,
    "advice": pl.String,
    "is_tied": pl.Boolean,
    "rank_low": pl.Int64,
    "rank_high": pl.Int64,
    "is_best": pl.Boolean,
    "seeds": pl.Int64,
    "undefined": pl.Int64,
    "samples": pl.Int64,
    "skipped": pl.Int64,
    "planned": pl.Int64,
    "done": pl.Int64,
    "failed": pl.Int64,
    "running": pl.Int64,
    "failures": pl.String,
    "parameters": pl.Int64,
    "seconds": pl.Float64,
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
    "group_hash",
)


def leaderboard(store: Store, runs: Runs = None) -> pl.DataFrame:
    """One row per group of seeds, evaluation, condition, protocol and metric.

    A group is the runs of one experiment whose train hashes differ in the seed only; repetitions of
    a seed count as that seed, once, with their mean. Columns:

    - `mean`: over the seeds, each weighing the same; null if any seed's value is undefined or not
      finite (`undefined` says how many), for a mean without them would flatter the group. Of a
      median with an interval it is the median of all seeds' samples, which that is of.
    - `low`, `high`, `interval`: 95 %, where the recipe's mean lies on new samples of this kind with
      new seeds ("seeds and samples"); with one seed, where this model's does ("samples": another
      seed is not in it), or over draws of shots that the evaluation made ("draws"). "none" where no
      interval holds; `reason` says why. A `reason` beside an interval marks it as too wide to be of
      use, and `advice` says what would help. `mmlab.statistics` has the formulas.
    - `is_tied`, `rank_low`, `rank_high`: whether the row may be the best of its comparison (each
      that truly is, is among those tied with 95 %), and the ends of its rank, which hold for all
      rows together; null where samples do not tell. `is_best`: tied for first, where some are not.
    - `better`, `unit`, `board`: what the metric is, as the newest of these results declare it:
      "higher", "lower" or null, a share or another unit, and the table of a report it stands on.
    - `suite`, `dataset`: of an evaluation of several datasets its name, and a dataset's key there.
      Rows without a dataset are the mean over all of them, each weighing the same: of these
      datasets, with new samples of each and new seeds. `reason` says which of them a group lacks,
      which has no mean then.
    - `origin`: the tool that published the figures; null for runs executed here.
    - `test_set`, `main_metric`: what the samples are called elsewhere, and the metric quoted there.
    - `samples`, `skipped`: of one seed's evaluation; the largest where seeds differ.
    - `planned`, `done`, `failed`, `running`, `failures`: how many seeds were asked for and how they
      stand, and how failed ones ended ("nan, oom"): `progress`.
    - `parameters`, `seconds`: of the whole model, and the time of one run: the median of the group.
    - `place`: 1 for the best mean among rows of equal evaluation, condition, split, protocol hash
      and metric; equal means share a place. Groups with failed seeds have the places after those of
      groups without: a mean over what is left may flatter them. Results under different protocols
      are never ranked against each other: each has its own place 1. Null where `better` is.

    Ordered by comparison, metric (as declared, those without a direction last) and place.
    """
    values = _latest(store.frame(of_runs(select(finals), finals.c.run_id, runs)))
    if values.is_empty():
        return pl.DataFrame(schema=SCHEMA)
    # Sums of floats depend on their order, which must not depend on the database.
    board = _over_seeds(_per_seed(values.sort("replicate")).sort("seed"))
    board = give_bounds(_with_declarations(store, board, values))
    for beside in (progress(store, runs), group_costs(store, runs)):
        board = board.join(beside, on=list(SEED_GROUP), how="left", maintain_order="left")
    told = with_intervals(store, board, COMPARISON)
    if told["evaluation"].str.contains(OF_SUITE, literal=True).any():
        from mmlab.report.suites import with_suites  # only where there may be one

        told = with_suites(store, told)
    else:
        told = told.with_columns(pl.lit(None).alias("suite"), pl.lit(None).alias("dataset"))
    return _placed(told).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def comparisons(board: pl.DataFrame) -> list[pl.DataFrame]:
    """The leaderboard cut into parts whose rows may be compared, in its order."""
    return board.partition_by(COMPARISON, maintain_order=True)


def main_metric(part: pl.DataFrame) -> str:
    """The metric by which a comparison is ordered: the test set's own, else the first declared."""
    return ordered_metrics(part)[0]


def leaders(board: pl.DataFrame) -> list[dict[str, Any]]:
    """Of every comparison and experiment the row with samples that leads by the main metric.

    Means over datasets have no samples of their own.
    """
    found: list[dict[str, Any]] = []
    has_samples = pl.col("origin").is_null() | (pl.col("samples") > 0)
    is_mean = pl.col("suite").is_not_null() & pl.col("dataset").is_null()
    board = board.filter(has_samples & ~is_mean & (pl.col("board") == LEADERBOARD))
    for part in comparisons(board):
        rows = part.filter(pl.col("metric") == main_metric(part))
        found += rows.unique("experiment", keep="first", maintain_order=True).to_dicts()
    return found


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
        pl.col("evaluation_id").unique().sort().alias("numbers"),
        pl.col("sample_count", "skipped_count").max(),
    )


def _over_seeds(per_seed: pl.DataFrame) -> pl.DataFrame:
    return per_seed.group_by(GROUP).agg(
        pl.col("cell", "axes").sort_by("seed").first(),
        pl.when(pl.col("value").null_count() == 0).then(pl.col("value").mean()).alias("mean"),
        pl.len().alias("seeds"),
        pl.col("value").null_count().alias("undefined"),
        pl.col("sample_count").max().alias("samples"),
        pl.col("skipped_count").max().alias("skipped"),
        pl.col("evaluation_id").max(),
        pl.struct("seed", "numbers").alias("evaluations"),
    )


def _with_declarations(store: Store, board: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    """Each row with what its metric is, by the newest result of its comparison that says so.

    One declaration for all rows of a metric: they are ranked against each other.
    """
    row = declared_metrics.c
    columns = (row.better, row.unit, row.position, row.mean_of, row.low_of, row.high_of, row.board)
    declared = store.frame(select(row.metric_declaration_id, *columns))
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
    has_failed, key = (pl.col("failed") > 0).alias("has_failed"), (*COMPARISON, "metric")
    whole = goodness.filter(~has_failed).count().over(*key).cast(pl.Int64)
    place = goodness.rank("min", descending=True).over(*key, has_failed).cast(pl.Int64)
    return board.with_columns(
        (place + pl.when(has_failed).then(whole).otherwise(0)).alias("place"),
        pl.col("metric").ne_missing(pl.col("main_metric")).alias("is_other"),
        better.is_null().alias("is_aimless"),
        (pl.col("is_tied") & ~pl.col("is_tied").all().over(*key)).fill_null(False).alias("is_best"),
        (-pl.len().cast(pl.Int64)).over(*COMPARISON).alias("size"),
    ).sort(*(numbered.get(name, name) for name in _SORTED), nulls_last=True)


#: What names a group of seeds.
SEED_GROUP = ("experiment", "group_hash")
#: How a run or a cell in the queue stands; a seed counts as the first of these that any of it is.
_STANDS = ("done", "running", "waiting", "failed", "cancelled")
_STANDING = {"queued": "waiting", "blocked": "waiting"}


def progress(store: Store, runs: Runs = None) -> pl.DataFrame:
    """How the seeds of every group stand: `planned`, `done`, `failed`, `running`, `failures`.

    Planned are all that were asked for, also those that wait in the queue, but where only some of
    a group's runs were chosen. `failures` says how failed seeds ended, as attempts do ("nan, oom").
    """
    row = all_runs.c
    columns = (row.run_id, row.experiment, row.cell, row.group_hash, row.seed, row.status)
    found = store.frame(select(*columns, row.outcome, row.created_at))
    newest = found.sort("created_at", "run_id").unique(["experiment", "cell"], keep="last")
    asked = _without_run(store).join(
        newest.select("experiment", "cell", "group_hash"), on=["experiment", "cell"]
    )
    if runs is not None:
        is_chosen = pl.col("run_id").is_in(list(runs))
        asked = asked.join(found.filter(~is_chosen), on=list(SEED_GROUP), how="anti")
        found = found.filter(is_chosen)
    columns_of_both = [*SEED_GROUP, "seed", "status", "outcome"]
    seeds = pl.concat([found.select(columns_of_both), asked.select(columns_of_both)])
    return _counted(seeds)


def _without_run(store: Store) -> pl.DataFrame:
    """The cells in the queue that are to become a run, or have failed to."""
    place, cell = queue_places.c, whole_cells.c
    query = (
        select(cell.experiment, cell.cell, cell.seed, place.status)
        .join_from(queue_places, whole_cells, cell.cell_id == place.cell_id)
        .where(place.run_id.is_(None), place.status != "done")
    )
    return store.frame(query).with_columns(pl.lit("error").alias("outcome"))


def _counted(seeds: pl.DataFrame) -> pl.DataFrame:
    stands = pl.col("status").replace(_STANDING).cast(pl.Enum(_STANDS))
    first = (
        seeds.with_columns(stands.alias("stands"))
        .sort("stands", "outcome", nulls_last=True)
        .unique([*SEED_GROUP, "seed"], keep="first", maintain_order=True)
    )
    is_failed = pl.col("stands") == "failed"
    ends = pl.col("outcome").filter(is_failed).drop_nulls().unique().sort().str.join(", ")
    return first.group_by(SEED_GROUP).agg(
        pl.len().cast(pl.Int64).alias("planned"),
        *((pl.col("stands") == name).sum().cast(pl.Int64).alias(name) for name in _COUNTED),
        pl.when(is_failed.any()).then(ends).alias("failures"),
    )


_COUNTED = ("done", "failed", "running")
