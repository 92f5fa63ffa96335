"""Which process executes which run: submit, claim, renew, and how an attempt ends.

A claim is one conditional update by the database's clock, so two processes never hold one run. It
raises the run's fence; whatever is written afterwards is guarded by the fence of its claim, so a
process that was thought dead and comes back writes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    true,
    update,
)

from mmlab.errors import explain, shortened, storable
from mmlab.hashing import ordered_json
from mmlab.store.bulk import db_now, insert_missing, to_json
from mmlab.store.cells import add_cell, add_spec
from mmlab.store.rows import Claim, LeaseLost, RunIdentity, RunRow
from mmlab.store.runs import as_run
from mmlab.store.tables import OUTCOMES, attempts, metrics, runs, specs


def submit(connection: Connection, identity: RunIdentity, *, rerun: bool) -> RunRow:
    """The run of a cell, queued unless it is there. With `rerun`, always one more replicate.

    Of several replicates the first done one is given, else the first. The cell is added as this
    run's, unless it is that already.
    """
    spec_id = add_spec(connection, identity.cell.spec)
    same = runs.c.train_hash == identity.train_hash
    # Two reruns at once must not choose one number; on SQLite the transaction sees to that.
    connection.execute(select(specs.c.id).where(specs.c.id == spec_id).with_for_update())
    count = connection.scalar(select(func.count()).where(same)) or 0
    if rerun or not count:
        insert_missing(connection, runs, _new_run(connection, identity, spec_id, count))
    wanted = runs.c.replicate == count if rerun else true()
    query = select(runs).where(same, wanted).order_by(runs.c.status != "done", runs.c.replicate)
    run = as_run(connection.execute(query.limit(1)).one())
    add_cell(connection, identity.cell, spec_id, run.run_id)
    return run


def _new_run(
    connection: Connection, identity: RunIdentity, spec_id: int, replicate: int
) -> dict[str, object]:
    return {
        "id": uuid.uuid4().hex,
        "spec_id": spec_id,
        "experiment": identity.cell.experiment,
        "cell": identity.cell.label,
        "axes": ordered_json(identity.cell.axes),
        "resolved": ordered_json(identity.resolved),
        "train_hash": identity.train_hash,
        "group_hash": identity.group_hash,
        "seed": identity.cell.seed,
        "replicate": replicate,
        "status": "queued",
        "fence": 0,
        "created_at": db_now(connection),
        "provenance": "{}",
        "summary": "{}",
    }


def claim(
    connection: Connection,
    run_id: str,
    worker: str,
    lease_seconds: float,
    provenance: Mapping[str, object],
) -> Claim | None:
    """Take a run that is queued, failed, or whose lease has run out; None if it is none of these.

    A former attempt is closed as lost. The points of its curves are there until `rewind`.
    """
    taken = (
        update(runs)
        .where(runs.c.id == run_id, _is_free(connection, lease_seconds))
        .values(
            status="running",
            fence=runs.c.fence + 1,
            worker=worker,
            lease_until=db_now(connection, lease_seconds),
            started_at=db_now(connection),
            finished_at=None,
            error=None,
            provenance=to_json(provenance),
        )
        .returning(runs.c.fence)
    )
    fence = connection.scalar(taken)
    if fence is None:
        return None
    _close_attempts(connection, run_id, "lost", "its lease ran out")
    connection.execute(
        insert(attempts).values(
            run_id=run_id, fence=fence, worker=worker, started_at=db_now(connection)
        )
    )
    return Claim(run_id, fence, worker, lease_seconds)


def _is_free(connection: Connection, lease_seconds: float) -> ColumnElement[bool]:
    expired = and_(runs.c.status == "running", runs.c.lease_until < db_now(connection))
    if connection.dialect.name == "postgresql":
        # While the server was away nobody could renew: after a restart owners get one lease's time.
        up_since = text(
            "pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => :s)"
        )
        expired = and_(expired, up_since.bindparams(s=lease_seconds))
    return or_(runs.c.status.in_(("queued", "failed")), expired)


def renew(connection: Connection, held: Claim, lease_seconds: float) -> bool:
    """Extend the lease; False if the run is another's by now. Locks the run in this transaction."""
    changed = connection.execute(
        update(runs).where(_is_held(held)).values(lease_until=db_now(connection, lease_seconds))
    )
    return changed.rowcount == 1


def guard(connection: Connection, held: Claim) -> None:
    """First statement of every write of a claim: renew it, or raise LeaseLost."""
    if not renew(connection, held, held.lease_seconds):
        raise LeaseLost(
            explain(
                f"run {held.run_id}",
                "this process no longer holds the run",
                found=f"claim {held.fence} of worker {held.worker} is void",
                allowed="writes of the latest claim only; nothing was written",
                next_step="leave the run to the process that took it over",
            )
        )


def rewind(connection: Connection, held: Claim, step: int) -> None:
    """Delete the points of curves after this step, which a former attempt has left."""
    guard(connection, held)
    is_point = and_(metrics.c.run_id == held.run_id, metrics.c.evaluation_id.is_(None))
    connection.execute(delete(metrics).where(is_point, metrics.c.step > step))


def is_completed(connection: Connection, held: Claim) -> bool:
    """Whether this very claim has marked its run done: the answer to its commit was lost, say."""
    query = select(runs.c.status, runs.c.fence).where(runs.c.id == held.run_id)
    return connection.execute(query).one() == ("done", held.fence)


def release(connection: Connection, held: Claim, outcome: str) -> bool:
    """Put a run back into the queue; False if it is another's by now."""
    values: dict[str, object] = {"status": "queued"}
    return _end(connection, held, values, outcome, None, None)


def fail(connection: Connection, held: Claim, outcome: str, message: str, traceback: str) -> bool:
    """Mark a run failed and keep why; False if it is another's by now."""
    # A plugin's error may name a reason of its own; the message says more than the word.
    outcome = outcome if outcome in OUTCOMES else "error"
    message, traceback = shortened(storable(message)), shortened(storable(traceback))
    values = {"status": "failed", "finished_at": db_now(connection), "error": message}
    return _end(connection, held, values, outcome, message, traceback)


def complete(connection: Connection, held: Claim, summary: Mapping[str, object]) -> None:
    """Mark a guarded run done."""
    values = {
        "status": "done",
        "finished_at": db_now(connection),
        "summary": to_json(summary),
    }
    _end(connection, held, values, "ok", None, None)


def _end(
    connection: Connection,
    held: Claim,
    values: Mapping[str, object],
    outcome: str,
    message: str | None,
    traceback: str | None,
) -> bool:
    changed = connection.execute(
        update(runs).where(_is_held(held)).values(worker=None, lease_until=None, **values)
    )
    if changed.rowcount == 0:
        return False
    _close_attempts(connection, held.run_id, outcome, message, traceback)
    return True


def _close_attempts(
    connection: Connection,
    run_id: str,
    outcome: str,
    message: str | None = None,
    traceback: str | None = None,
) -> None:
    is_open = and_(attempts.c.run_id == run_id, attempts.c.finished_at.is_(None))
    connection.execute(
        update(attempts)
        .where(is_open)
        .values(
            finished_at=db_now(connection), outcome=outcome, message=message, traceback=traceback
        )
    )


def _is_held(held: Claim) -> ColumnElement[bool]:
    return and_(
        runs.c.id == held.run_id,
        runs.c.fence == held.fence,
        runs.c.worker == held.worker,
        runs.c.status == "running",
    )
