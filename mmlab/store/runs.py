"""Looking runs up: lists, one by its id or name, all about one, and the weights runs left.

Weights that others may start from are those of an experiment's present version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, exists, false, func, select, true

from mmlab.errors import UsageError, explain
from mmlab.metric import by_number
from mmlab.store import views
from mmlab.store.bulk import all_texts, among, db_now, from_json, sound
from mmlab.store.cells import newest_cell, viewed
from mmlab.store.rows import ArtifactRow, AttemptRow, BestWeights, EvaluationRow, RunDetail, RunRow
from mmlab.store.tables import artifacts, attempts, evaluations, runs

#: The columns of `runs`, and the run they are of, from the view: who only reads may see no table.
_SEEN = viewed(runs, views.all_runs, id="run_id", fence="attempts")
_seen = views.all_runs.c

# A row of whatever query; its columns are named where it is read.
AnyRow = Row[Any]


def as_run(row: AnyRow) -> RunRow:
    """A row of `runs` as a value."""
    sound(row, runs)
    return RunRow(
        run_id=row.id,
        experiment=row.experiment,
        cell=row.cell,
        axes=from_json(row.axes, runs.c.axes),
        seed=row.seed,
        replicate=row.replicate,
        status=row.status,
        train_hash=row.train_hash,
        group_hash=row.group_hash,
        fence=row.fence,
        created_at=as_utc(row.created_at),
        started_at=as_utc(row.started_at) if row.started_at else None,
        finished_at=as_utc(row.finished_at) if row.finished_at else None,
        error=row.error,
        origin=row.origin,
    )


def as_utc(moment: datetime) -> datetime:
    """A time of the database; SQLite's drivers leave out that it is UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def list_runs(
    connection: Connection, experiment: str | None, status: str | None, limit: int | None
) -> list[RunRow]:
    """Runs, newest first."""
    query = (
        select(*_SEEN)
        .where(
            _seen.experiment == experiment if experiment else true(),
            _seen.status == status if status else true(),
        )
        .order_by(_seen.created_at.desc(), _seen.run_id)
        .limit(limit)
    )
    return [as_run(row) for row in connection.execute(query).all()]


def find_run(connection: Connection, name: str) -> RunRow:
    """The run that a person means: @last, an id or the start of one, or an experiment's newest run.

    Raises UsageError when there is none, or when several ids start so.
    """
    newest = select(*_SEEN).order_by(_seen.created_at.desc(), _seen.run_id).limit(1)
    if name == "@last":
        found = connection.execute(newest).all()
    else:
        is_meant = _seen.run_id.startswith(name.lower(), autoescape=True) if name else false()
        found = connection.execute(select(*_SEEN).where(is_meant).limit(5)).all()
        found = found or connection.execute(newest.where(_seen.experiment == name)).all()
    if len(found) == 1:
        return as_run(found[0])
    raise UsageError(_no_such_run(connection, name, [row.id for row in found]))


def _no_such_run(connection: Connection, name: str, ids: list[str]) -> str:
    names = connection.scalars(select(_seen.experiment).distinct().limit(20)).all()
    known = ", ".join(sorted(names)) or "none yet"
    return explain(
        f"run {name!r}",
        "several runs have ids that start so" if ids else "there is no such run",
        found=", ".join(ids) or "none",
        allowed=f"@last, the start of one run's id, or an experiment: {known}",
        next_step="see them all: mmlab ls",
    )


def run_row(connection: Connection, run_id: str) -> RunRow | None:
    """The run of this id, if there is one."""
    row = connection.execute(select(runs).where(runs.c.id == run_id)).first()
    return None if row is None else as_run(row)


def lock_done_run(connection: Connection, run_id: str) -> None:
    """Let nobody else add to this run until the transaction ends. UsageError unless it is done."""
    query = select(runs.c.status).where(runs.c.id == run_id).with_for_update()
    require_done(run_id, connection.scalar(query))


def require_done(run_id: str, status: str | None) -> None:
    """Raise UsageError unless the run of this status may be evaluated further."""
    if status != "done":
        raise UsageError(
            explain(
                f"run {run_id}",
                "evaluations can be added to a finished run only",
                found=status or "no such run",
                allowed="done",
                next_step="finish the run first: mmlab run with its spec",
            )
        )


def run_detail(connection: Connection, run_id: str) -> RunDetail:
    """All about one run. Raises UsageError if there is none of this id."""
    query: Select[Any] = select(*_SEEN, _seen.spec.label("spec_name"), _seen.spec_text)
    row = connection.execute(query.where(_seen.run_id == run_id)).first()
    if row is None:
        raise UsageError(_no_such_run(connection, run_id, []))
    if row.spec_id is not None:
        all_texts(row.spec_name, row.spec_text)
    return RunDetail(
        run=as_run(row),
        cell=newest_cell(connection, run_id),
        spec_name=row.spec_name or "",
        spec_text=row.spec_text or "",
        resolved=from_json(row.resolved, runs.c.resolved),
        provenance=from_json(row.provenance, runs.c.provenance),
        summary=from_json(row.summary, runs.c.summary),
        attempts=_attempts(connection, run_id),
        evaluations=_evaluations(connection, run_id),
        artifacts=_artifacts(connection, run_id),
    )


def _sound(connection: Connection, query: Select[Any], table: Table) -> Iterator[AnyRow]:
    """Rows with all columns of a table, all fetched: an open cursor would keep a file locked."""
    return (sound(row, table) for row in connection.execute(query).all())


def _attempts(connection: Connection, run_id: str) -> list[AttemptRow]:
    seen = views.run_attempts
    query = select(*viewed(attempts, seen, fence="attempt"))
    query = query.where(seen.c.run_id == run_id).order_by(seen.c.attempt)
    return [
        AttemptRow(
            fence=row.fence,
            worker=row.worker,
            started_at=as_utc(row.started_at),
            finished_at=as_utc(row.finished_at) if row.finished_at else None,
            outcome=row.outcome,
            message=row.message,
            traceback=row.traceback,
        )
        for row in _sound(connection, query, attempts)
    ]


def _evaluations(connection: Connection, run_id: str) -> list[EvaluationRow]:
    seen = views.run_evaluations
    query = select(*viewed(evaluations, seen, id="evaluation_id", name="evaluation"))
    query = query.where(seen.c.run_id == run_id).order_by(seen.c.evaluation_id)
    values = _final_metrics(connection, run_id)
    return [
        EvaluationRow(
            id=row.id,
            name=row.name,
            evaluator=row.evaluator,
            condition=row.condition,
            split=row.split,
            dataset_revision=row.dataset_revision,
            step=row.step,
            evaluation_hash=row.evaluation_hash,
            protocol_hash=row.protocol_hash,
            protocol=from_json(row.protocol, evaluations.c.protocol),
            subject=from_json(row.subject, evaluations.c.subject),
            templates=from_json(row.templates, evaluations.c.templates),
            sample_count=row.sample_count,
            skipped_count=row.skipped_count,
            metrics=values.get(row.id, {}),
            test_set=row.test_set,
        )
        for row in _sound(connection, query, evaluations)
    ]


def _final_metrics(connection: Connection, run_id: str) -> Mapping[int, dict[str, float | None]]:
    """Values by evaluation and name, in the order of their declarations; others by name, last."""
    final, declared_as = views.leaderboard, views.declared_metrics.c
    is_its = declared_as.metric_declaration_id == final.c.metric_declaration_id
    query = select(final, declared_as.position).outerjoin(views.declared_metrics, is_its)
    rows = list(_sound(connection, query.where(final.c.run_id == run_id), final))
    declared = [row for row in rows if row.metric_declaration_id is not None]
    if not all(isinstance(row.position, int) for row in declared):
        raise ValueError("metric_declarations.position")
    values: dict[int, dict[str, float | None]] = {}
    for row in sorted(rows, key=lambda row: (*_place(row.position), by_number(row.metric))):
        values.setdefault(row.evaluation_id, {})[row.metric] = as_value(row.value, row.value_kind)
    return values


def _place(position: int | None) -> tuple[bool, int]:
    """What sorts positions, those that nobody declares last."""
    return position is None, position or 0


def as_value(value: float | None, kind: str) -> float | None:
    """The metric that was stored as this pair; None where it is not defined."""
    return value if kind in ("finite", "undefined") else float(kind)


def _artifacts(connection: Connection, run_id: str) -> list[ArtifactRow]:
    seen = views.artifacts
    query = select(seen).where(seen.c.run_id == run_id).order_by(seen.c.path)
    return [
        ArtifactRow(row.role, row.path, row.sha256, row.size_bytes)
        for row in _sound(connection, query, seen)
    ]


def present_runs(connection: Connection, name: str) -> list[str]:
    """Ids of the runs that are an experiment's present version, or the run of this id.

    Present is the newest spec of that name of which a run was submitted: its runs, and earlier ones
    that differ from one of these in the seed only. Former versions of the spec have no part in it.
    """
    own = select(runs.c.id).where(runs.c.id == name)
    of_name = runs.c.experiment == name
    newest = (
        select(runs.c.spec_id)
        .where(of_name, runs.c.spec_id.is_not(None))
        .order_by(runs.c.created_at.desc(), runs.c.id)
        .limit(1)
        .scalar_subquery()
    )
    groups = select(runs.c.group_hash).where(of_name, runs.c.spec_id == newest)
    query = select(runs.c.id).where(of_name, runs.c.group_hash.in_(groups))
    return list(connection.scalars(own).all() or connection.scalars(query))


def held_until(connection: Connection, run_ids: Collection[str]) -> datetime | None:
    """When the last lease of these runs ends (UTC), unless renewed; None if no process has one."""
    is_held = (runs.c.status == "running") & (runs.c.lease_until >= db_now(connection))
    query = select(func.max(runs.c.lease_until)).where(among(runs.c.id, run_ids), is_held)
    found = connection.scalar(query)
    return None if found is None else as_utc(found)


def best_weights(connection: Connection, run_ids: Collection[str]) -> list[BestWeights]:
    """The best weights of those of these runs that are done, newest first."""
    query = (
        select(runs.c.id, runs.c.summary, artifacts.c.path, artifacts.c.sha256)
        .join(artifacts, artifacts.c.run_id == runs.c.id)
        .where(artifacts.c.role == "best", runs.c.status == "done", among(runs.c.id, run_ids))
        .order_by(runs.c.finished_at.desc(), runs.c.id)
    )
    return [
        BestWeights(row.id, row.path, row.sha256, from_json(row.summary, runs.c.summary))
        for row in connection.execute(query).all()
    ]


def trained_experiments(connection: Connection) -> list[str]:
    """The names of the experiments of which a run is done and has weights, in order."""
    has_weights = exists().where(artifacts.c.run_id == runs.c.id, artifacts.c.role == "best")
    query = select(runs.c.experiment).where(runs.c.status == "done", has_weights)
    return sorted(connection.scalars(query.distinct()))


def run_statuses(connection: Connection) -> dict[str, str]:
    """The status of every run, by id."""
    rows = connection.execute(select(runs.c.id, runs.c.status))
    return {row.id: row.status for row in rows}


def artifact_paths(connection: Connection) -> set[str]:
    """Every file that a run names, relative to the folder of runs."""
    return set(connection.scalars(select(artifacts.c.path)))
