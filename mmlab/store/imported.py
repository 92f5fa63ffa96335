"""Results of other tools: runs that are done as soon as they are there, and have no spec."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import Connection, select

from mmlab.store import results, runs
from mmlab.store.dialect import db_now, insert_missing
from mmlab.store.rows import ImportedRun
from mmlab.store.text import to_json
from mmlab.tables import runs as run_table


def add_imported(connection: Connection, imported: Sequence[ImportedRun]) -> int:
    """Add results that are not there yet, by their identities; returns how many were added."""
    return sum(_add_run(connection, run) for run in imported)


def _add_run(connection: Connection, run: ImportedRun) -> int:
    insert_missing(connection, run_table, _row(connection, run))
    query = select(run_table.c.id).where(run_table.c.train_hash == run.train_hash)
    run_id = connection.execute(query.limit(1)).scalar_one()
    runs.lock_done_run(connection, run_id)
    known = results.evaluation_hashes(connection, run_id)
    new = [(identity, result) for identity, result in run.evaluations if identity not in known]
    for identity, result in new:
        results.write_result(connection, run_id, result, identity, None)
    return len({identity for identity, _ in new})


def _row(connection: Connection, run: ImportedRun) -> dict[str, object]:
    now = db_now(connection)
    return {
        "id": uuid.uuid4().hex,
        "spec_id": None,
        "experiment": run.origin,
        "cell": run.cell,
        "axes": to_json(run.axes),
        "resolved": "{}",
        "train_hash": run.train_hash,
        "group_hash": run.train_hash,
        "seed": 0,
        "replicate": 0,
        "status": "done",
        "fence": 0,
        "created_at": now,
        "finished_at": now,
        "provenance": to_json({"imported_from": run.origin}),
        "summary": "{}",
        "origin": run.origin,
    }
