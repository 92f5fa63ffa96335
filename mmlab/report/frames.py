"""Results as polars frames: runs, curves, rankings and labels, of the runs that are selected."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import polars as pl
from sqlalchemy import BigInteger, ColumnElement, Double, Select, Table, case, func, select

from mmlab.metric import by_number
from mmlab.store import Store, views
from mmlab.store.bulk import among

#: Points of one drawn curve; longer ones are averaged over stretches of equal length.
DRAWN_POINTS = 200

_LABEL_INDEX = ("experiment", "cell", "group_hash", "evaluation", "condition", "protocol_hash")
#: How rows of views are ordered: the same on every database.
_ORDER = (
    *("experiment", "cell", "group_hash", "seed", "replicate", "run_id", "evaluation_id"),
    *("position", "sample_id", "rank", "number", "metric", "step", "path"),
)


def in_number(names: pl.Series) -> pl.Expr:
    """A column of a frame, to sort it by with the numbers in its names as numbers."""
    known = sorted(names.drop_nulls().unique().to_list(), key=by_number)
    return pl.col(names.name).cast(pl.Enum(known))


def done_runs(store: Store, ids: Runs = None) -> pl.DataFrame:
    """One row per done run, oldest first, with `provenance` and `summary` as JSON text."""
    row = views.all_runs.c
    query = (
        select(
            row.run_id,
            row.experiment,
            row.cell,
            row.axes,
            row.seed,
            row.replicate,
            row.group_hash,
            row.started_at,
            row.finished_at,
            row.provenance,
            row.summary,
        )
        .where(row.status == "done")
        .order_by(row.created_at, row.experiment, row.cell, row.seed, row.replicate)
    )
    return store.frame(of_runs(query, row.run_id, ids))


def group_costs(store: Store, ids: Runs = None) -> pl.DataFrame:
    """Of every group with done runs: `parameters` of its model, `seconds` of a run, the median."""
    row = views.all_runs.c
    columns = (row.experiment, row.group_hash, row.parameters, row.seconds)
    query = select(*columns).where(row.status == "done", row.origin.is_(None))
    found = store.frame(of_runs(query, row.run_id, ids))
    medians = pl.col("parameters").median().cast(pl.Int64), pl.col("seconds").median()
    return found.group_by("experiment", "group_hash").agg(*medians)


def of_view(store: Store, view: Table, ids: Runs = None) -> pl.DataFrame:
    """The rows of a view that are of these runs, all columns, in an order that is always the same.

    Mind what there is of it: `sample_outcomes` has a row for every sample of every evaluation.
    """
    found = store.frame(of_runs(select(view), view.c.run_id, ids))
    return found.sort(*(name for name in _ORDER if name in found.columns), nulls_last=True)


def submitted_cells(store: Store, ids: Runs = None) -> pl.DataFrame:
    """One row per cell that was submitted, oldest first, with the run it is and how that stands.

    `axes` and `overrides` are JSON text; `position` and `overrides` are null where unknown.
    """
    row = views.submitted_cells.c
    query = select(views.submitted_cells).order_by(row.cell_id)
    return store.frame(of_runs(query, row.run_id, ids))


def curves(store: Store, run: str) -> pl.DataFrame:
    """Every point of a done run's training curves: metric, step, value, value_kind.

    `value` is null where it is not finite; `value_kind` then says nan, inf or -inf.
    """
    row = views.curves.c
    query = select(row.metric, row.step, row.value, row.value_kind).where(row.run_id == run)
    found = store.frame(query)
    return found.sort(in_number(found["metric"]), "step")


def rankings(store: Store, run: str, evaluation: str | None = None) -> pl.DataFrame:
    """The first labels of every sample of a done run, best first, for one evaluation or all."""
    row = views.label_rankings.c
    query = select(
        row.evaluation,
        row.condition,
        row.split,
        row.protocol_hash,
        row.sample,
        row.rank,
        row.label,
        row.score,
        row.is_truth,
    ).where(row.run_id == run)
    if evaluation is not None:
        query = query.where(row.evaluation == evaluation)
    return store.frame(query.order_by(row.evaluation_id, row.sample, row.rank))


def label_table(store: Store, ids: Runs = None) -> pl.DataFrame:
    """One row per group of seeds, evaluation and label, one column per metric of labels.

    A value is the mean over the runs in which it is defined, null where it is in none; `runs`
    counts the runs of the group. Labels are in the order of their label set.
    """
    row = views.label_results.c
    query = select(row.evaluation_id, row.position, row.label, row.metric, row.value)
    long = store.frame(of_runs(query, row.run_id, ids))
    long = long.join(_evaluated(store, ids), on="evaluation_id").sort("seed", "evaluation_id")
    index = [*_LABEL_INDEX, "position", "label"]
    means = long.group_by(*index, "metric", maintain_order=True).agg(
        pl.col("value").cast(pl.Float64).mean(), pl.col("run_id").n_unique().alias("runs")
    )
    index.append("runs")
    means = means.sort(*index, in_number(means["metric"]))
    return means.pivot(on="metric", index=index, values="value")


def _evaluated(store: Store, ids: Runs) -> pl.DataFrame:
    """What each evaluation is: by it rows are grouped that are too many to have it each."""
    row = views.run_evaluations.c
    names = [row[name] for name in _LABEL_INDEX]
    query = select(row.evaluation_id, row.run_id, row.seed, *names)
    return store.frame(of_runs(query, row.run_id, ids))


def label_units(store: Store, ids: Runs = None) -> dict[str, str]:
    """The units of the metrics of labels that runs have, in the order in which they are shown."""
    row, declared = views.label_results.c, views.declared_metrics
    is_its = declared.c.metric_declaration_id == row.metric_declaration_id
    query = select(row.metric, row.unit, declared.c.position).outerjoin(declared, is_its).distinct()
    found = store.frame(of_runs(query, row.run_id, ids))
    found = found.sort("position", in_number(found["metric"]), nulls_last=True)
    named = found.unique("metric", keep="first", maintain_order=True)
    return dict(named.select("metric", pl.col("unit").fill_null("")).iter_rows())


def curve_metrics(store: Store, ids: Runs = None) -> pl.DataFrame:
    """The metrics of each experiment's curves, in the order in which they are shown.

    `position` is the metric's place among them and `unit` its unit, null where nobody declares it.
    Of every curve one point is read.
    """
    lengths, last = _lengths(ids).subquery(), views.curves.c
    is_last = (last.run_id == lengths.c.run_id) & (last.metric == lengths.c.metric)
    declared = views.declared_metrics
    query = (
        select(last.experiment, last.metric, declared.c.position, declared.c.unit)
        .select_from(lengths)
        .join(views.curves, is_last & (last.step == lengths.c.last))
        .outerjoin(declared, declared.c.metric_declaration_id == last.metric_declaration_id)
        .distinct()
    )
    found = store.frame(query)
    found = found.group_by("experiment", "metric").agg(pl.col("position", "unit").min())
    return found.sort("experiment", "position", in_number(found["metric"]), nulls_last=True)


def drawn_curves(
    store: Store,
    ids: Runs = None,
    points: int = DRAWN_POINTS,
    metrics: Collection[str] | None = None,
) -> pl.DataFrame:
    """The curves of every group of seeds in at most `points` points each, averaged in the database.

    A point is the mean over a run's finite values in a stretch of steps, at the last of them; of
    a group's curves whose longest has no more than `points`, every step is a stretch of its own.
    `mean`, `low` and `high` are then mean, least and greatest over the group's runs. Null where a
    stretch has no finite value. `position` and `unit` are as in `curve_metrics`.
    """
    binned = store.frame(_binned(ids, points, metrics))
    group = ("experiment", "cell", "group_hash", "metric", "bin")
    return (
        binned.sort("run_id")
        .group_by(group, maintain_order=True)
        .agg(
            pl.col("step").max(),
            pl.col("value").mean().alias("mean"),
            pl.col("value").min().alias("low"),
            pl.col("value").max().alias("high"),
        )
        .join(curve_metrics(store, ids), on=["experiment", "metric"], how="left")
        .sort(group)
    )


# Statements of several column types; the store reads them from the statement.
def _lengths(ids: Runs, metrics: Collection[str] | None = None) -> Select[Any]:
    """How many points each curve has, and from where to where: an index alone tells it."""
    row = views.curves.c
    query = select(
        row.run_id,
        row.experiment,
        row.group_hash,
        row.metric,
        func.count().label("total"),
        func.min(row.step, type_=BigInteger).label("first"),
        func.max(row.step, type_=BigInteger).label("last"),
    )
    if metrics is not None:
        query = query.where(among(row.metric, metrics))
    query = of_runs(query, row.run_id, ids)
    return query.group_by(row.run_id, row.experiment, row.group_hash, row.metric)


def _binned(ids: Runs, points: int, metrics: Collection[str] | None) -> Select[Any]:
    row, lengths = views.curves.c, _lengths(ids, metrics).subquery().c
    extent = select(
        lengths.experiment,
        lengths.group_hash,
        lengths.metric,
        func.max(lengths.total).label("total"),
        func.min(lengths.first).label("first"),
        (func.max(lengths.last) - func.min(lengths.first) + 1).label("steps"),
    ).group_by(lengths.experiment, lengths.group_hash, lengths.metric)
    group = extent.subquery()
    spread = (row.step - group.c.first) * points // group.c.steps
    number = case((group.c.total > points, spread), else_=row.step - group.c.first)
    columns = (
        row.run_id,
        row.experiment,
        row.cell,
        row.group_hash,
        row.metric,
        number.label("bin"),
    )
    value = func.avg(row.value, type_=Double).label("value")
    is_of = (group.c.experiment == row.experiment) & (group.c.group_hash == row.group_hash)
    query = select(*columns, func.max(row.step, type_=BigInteger).label("step"), value)
    query = query.join(group, is_of & (group.c.metric == row.metric))
    return of_runs(query, row.run_id, ids).group_by(*columns[:-1], number)


#: The runs to report on by their ids; None for every run that is done.
Runs = Sequence[str] | None


# A statement of whatever columns passes through.
def of_runs(query: Select[Any], column: ColumnElement[Any], runs: Runs) -> Select[Any]:
    """The statement restricted to these runs."""
    return query if runs is None else query.where(among(column, runs))


def run_ids(store: Store, names: Collection[str]) -> list[str]:
    """Every run of the experiments, and the single runs, that are named.

    Raises UsageError for a name that no run has.
    """
    ids: list[str] = []
    for name in names:
        of_experiment = [row.run_id for row in store.runs(experiment=name)]
        ids += of_experiment or [store.find_run(name).run_id]
    return ids
