"""Results as polars frames: runs, curves, rankings and labels, of the runs that are selected."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, Double, Integer, Select, case, cast, func, select

from mmlab.metric import by_number
from mmlab.store import Store, views
from mmlab.store.tables import evaluations, label_metrics, labels, metric_declarations, runs

#: Points of one drawn curve; longer ones are averaged over stretches of equal length.
DRAWN_POINTS = 200

_LABEL_INDEX = ("experiment", "cell", "group_hash", "evaluation", "condition", "protocol_hash")


def in_number(names: pl.Series) -> pl.Expr:
    """A column of a frame, to sort it by with the numbers in its names as numbers."""
    known = sorted(names.drop_nulls().unique().to_list(), key=by_number)
    return pl.col(names.name).cast(pl.Enum(known))


def done_runs(store: Store, ids: Runs = None) -> pl.DataFrame:
    """One row per done run, oldest first, with `provenance` and `summary` as JSON text."""
    row = runs.c
    query = (
        select(
            row.id.label("run_id"),
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
    return store.frame(of_runs(query, row.id, ids))


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
    long = store.frame(of_runs(_label_means(), runs.c.id, ids))
    index = [*_LABEL_INDEX, "position", "label", "runs"]
    return long.sort(*index, in_number(long["name"])).pivot(on="name", index=index, values="value")


# Statements of several column types; the store reads them from the statement.
def _label_means() -> Select[Any]:
    group = (
        runs.c.experiment,
        runs.c.cell,
        runs.c.group_hash,
        evaluations.c.name,
        evaluations.c.condition,
        evaluations.c.protocol_hash,
        labels.c.position,
        labels.c.text,
        label_metrics.c.name,
    )
    source = (
        label_metrics.join(evaluations, evaluations.c.id == label_metrics.c.evaluation_id)
        .join(runs, runs.c.id == evaluations.c.run_id)
        .join(labels, labels.c.id == label_metrics.c.label_id)
    )
    names = [column.label(name) for column, name in zip(group, _LABEL_NAMES, strict=True)]
    mean = func.avg(cast(label_metrics.c.value, Double), type_=Double)
    count = func.count(runs.c.id.distinct())
    query = select(*names, mean.label("value"), count.label("runs")).select_from(source)
    return query.where(runs.c.status == "done").group_by(*group)


def label_units(store: Store, ids: Runs = None) -> dict[str, str]:
    """The units of the metrics of labels that runs have, in the order in which they are shown."""
    row, declared = label_metrics.c, metric_declarations.c
    query = (
        select(row.name, declared.unit, declared.position)
        .join(evaluations, evaluations.c.id == row.evaluation_id)
        .join(runs, runs.c.id == evaluations.c.run_id)
        .outerjoin(metric_declarations, declared.id == row.metric_declaration_id)
        .distinct()
    )
    found = store.frame(of_runs(query, runs.c.id, ids))
    found = found.sort("position", in_number(found["name"]), nulls_last=True)
    named = found.unique("name", keep="first", maintain_order=True)
    return dict(named.select("name", pl.col("unit").fill_null("")).iter_rows())


_LABEL_NAMES = (*_LABEL_INDEX, "position", "label", "name")


def drawn_curves(store: Store, ids: Runs = None, points: int = DRAWN_POINTS) -> pl.DataFrame:
    """The curves of every group of seeds in at most `points` points each, averaged in the database.

    A point is the mean over a stretch of a run's consecutive finite values, at the stretch's last
    step; `mean`, `low` and `high` are then mean, least and greatest over the group's runs. Null
    where a stretch has no finite value. `position` is the metric's place among the experiment's
    curves, null where nobody declares it.
    """
    binned = store.frame(_binned(ids, points))
    positions = store.frame(_positions(ids))
    group = ("experiment", "cell", "group_hash", "metric", "bin")
    return (
        binned.group_by(group)
        .agg(
            pl.col("step").max(),
            pl.col("value").mean().alias("mean"),
            pl.col("value").min().alias("low"),
            pl.col("value").max().alias("high"),
        )
        .join(positions, on=["experiment", "metric"], how="left")
        .sort(group)
    )


def _positions(ids: Runs) -> Select[Any]:
    """Where each metric stands among the curves of its experiment."""
    row, declared = views.curves.c, metric_declarations.c
    place = func.min(declared.position, type_=Integer).label("position")
    query = select(row.experiment, row.metric, place).join(
        metric_declarations, declared.id == row.metric_declaration_id
    )
    return of_runs(query, row.run_id, ids).group_by(row.experiment, row.metric)


def _binned(ids: Runs, points: int) -> Select[Any]:
    row = views.curves.c
    series = (row.run_id, row.metric)
    position = func.row_number().over(partition_by=series, order_by=row.step) - 1
    point: Select[Any] = select(
        row.run_id,
        row.experiment,
        row.cell,
        row.group_hash,
        row.metric,
        row.step,
        row.value,
        position.label("position"),
        func.count().over(partition_by=series).label("total"),
    )
    inner = of_runs(point, row.run_id, ids).subquery()
    spread = inner.c.position * points // inner.c.total
    number = case((inner.c.total > points, spread), else_=inner.c.position).label("bin")
    group = (
        inner.c.run_id,
        inner.c.experiment,
        inner.c.cell,
        inner.c.group_hash,
        inner.c.metric,
        number,
    )
    value = func.avg(inner.c.value, type_=Double).label("value")
    return select(*group, func.max(inner.c.step).label("step"), value).group_by(*group)


#: The runs to report on by their ids; None for every run that is done.
Runs = Sequence[str] | None


# A statement of whatever columns passes through.
def of_runs(query: Select[Any], column: ColumnElement[Any], runs: Runs) -> Select[Any]:
    """The statement restricted to these runs."""
    return query if runs is None else query.where(column.in_(list(runs)))


def run_ids(store: Store, names: Collection[str]) -> list[str]:
    """Every run of the experiments, and the single runs, that are named.

    Raises UsageError for a name that no run has.
    """
    ids: list[str] = []
    for name in names:
        of_experiment = [row.run_id for row in store.runs(experiment=name)]
        ids += of_experiment or [store.find_run(name).run_id]
    return ids
