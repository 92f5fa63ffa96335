"""The runs whose weights others may start from: those of an experiment's present version."""

from __future__ import annotations

import json
from collections.abc import Collection

from sqlalchemy import Connection, exists, select

from mmlab.store.dialect import db_now
from mmlab.store.rows import Weights
from mmlab.tables import artifacts, runs


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


def are_running(connection: Connection, run_ids: Collection[str]) -> bool:
    """Whether a process is executing one of these runs at this moment."""
    is_held = (runs.c.status == "running") & (runs.c.lease_until >= db_now(connection))
    query = select(exists().where(runs.c.id.in_(run_ids), is_held))
    return bool(connection.scalar(query))


def best_weights(connection: Connection, run_ids: Collection[str]) -> list[Weights]:
    """The best weights of those of these runs that are done, newest first."""
    query = (
        select(runs.c.id, runs.c.summary, artifacts.c.path, artifacts.c.sha256)
        .join(artifacts, artifacts.c.run_id == runs.c.id)
        .where(artifacts.c.role == "best", runs.c.status == "done", runs.c.id.in_(run_ids))
        .order_by(runs.c.finished_at.desc(), runs.c.id)
    )
    return [
        Weights(row.id, row.path, row.sha256, json.loads(row.summary))
        for row in connection.execute(query)
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
