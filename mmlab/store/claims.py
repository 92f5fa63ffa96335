"""Which process executes which run: submit, claim, renew, and how an attempt ends.

A claim is one conditional update by the database's clock, so two processes never hold one run. It
raises the run's fence; whatever is written afterwards is guarded by the fence of its claim, so a
process that was thought dead and comes back writes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from mmlab.errors import explain, shortened, storable
from mmlab.hashing import ordered_json
from mmlab.store.bulk import any_of, db_now, has_expired, insert_missing, to_json
from mmlab.store.cells import add_cell, add_spec
from mmlab.store.queue import (
    becomes,
    count_death,
    end_cell,
    give_back,
    guard_cell,
    renew_cell,
    run_of,
)
from mmlab.store.rows import CellClaim, Claim, LeaseLost, RunIdentity, RunRow
from mmlab.store.runs import as_run
from mmlab.store.tables import OUTCOMES, attempts, metrics, runs, specs


def submit(
    connection: Connection,
    identity: RunIdentity,
    new_id: str,
    *,
    rerun: bool,
    cell: CellClaim | None = None,
) -> RunRow:
    """The run of a cell, queued unless it is there. With `rerun`, always one more replicate.

    Of several replicates the first done one is given, else the first. The cell is added as this
    run's, unless it is that already. With a claimed `cell` the run is kept as what it became, and
    it stays that: of two submissions of one cell of the queue a rerun adds one replicate.
    """
    if cell is not None:
        guard_cell(connection, cell)
    spec_id = add_spec(connection, identity.cell.spec)
    # Two reruns at once must not choose one number; on SQLite the transaction sees to that.
    connection.execute(select(specs.c.id).where(specs.c.id == spec_id).with_for_update())
    run = _former(connection, identity, cell)
    run = run or _run(connection, identity, new_id, spec_id, rerun=rerun)
    add_cell(connection, identity.cell, spec_id, run.run_id)
    if cell is not None:
        becomes(connection, cell, run.run_id)
    return run


def _former(connection: Connection, identity: RunIdentity, cell: CellClaim | None) -> RunRow | None:
    """The run that a cell became at an earlier claim, unless it has another identity by now."""
    if cell is None:
        return None
    same = and_(runs.c.id == run_of(connection, cell), runs.c.train_hash == identity.train_hash)
    row = connection.execute(select(runs).where(same)).first()
    return None if row is None else as_run(row)


def _run(
    connection: Connection, identity: RunIdentity, new_id: str, spec_id: int, *, rerun: bool
) -> RunRow:
    same = runs.c.train_hash == identity.train_hash
    count = connection.scalar(select(func.count()).where(same)) or 0
    if rerun or not count:
        insert_missing(connection, runs, _new_run(connection, identity, new_id, spec_id, count))
    wanted = runs.c.replicate == count if rerun else true()
    query = select(runs).where(same, wanted).order_by(runs.c.status != "done", runs.c.replicate)
    return as_run(connection.execute(query.limit(1)).one())


def _new_run(
    connection: Connection, identity: RunIdentity, new_id: str, spec_id: int, replicate: int
) -> dict[str, object]:
    return {
        "id": new_id,
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
    cell: CellClaim | None = None,
) -> Claim | None:
    """Take a run that is queued, failed, or whose lease has run out; None if it is none of these.

    A cancelled one is taken for a claimed `cell` only: somebody has asked for it again. None also
    if that claim is void. A former attempt is closed as lost. The points of its curves are there
    until `rewind`.
    """
    if cell is not None and not renew_cell(connection, cell, cell.lease_seconds):
        return None
    free = ("queued", "failed") if cell is None else ("queued", "failed", "cancelled")
    is_free = or_(runs.c.status.in_(free), has_expired(connection, runs, lease_seconds))
    taken = (
        update(runs)
        .where(runs.c.id == run_id, is_free)
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
    close_attempts(connection, [run_id], "lost", "its lease ran out")
    connection.execute(
        insert(attempts).values(
            run_id=run_id, fence=fence, worker=worker, started_at=db_now(connection)
        )
    )
    return Claim(run_id, fence, worker, lease_seconds)


def confirm(connection: Connection, made: Claim | None) -> Claim | None:
    """A claim that was made, if it was committed and holds."""
    if made is None:
        return None
    return made if connection.scalar(select(runs.c.id).where(_is_held(made))) else None


def renew(
    connection: Connection, held: Claim, lease_seconds: float, cell: CellClaim | None = None
) -> bool:
    """Extend the lease; False if the run is another's by now. Locks the run in this transaction.

    With `cell` also that of the cell in the queue; False if either is another's.
    """
    if cell is not None and not renew_cell(connection, cell, lease_seconds):
        return False
    changed = connection.execute(
        update(runs).where(_is_held(held)).values(lease_until=db_now(connection, lease_seconds))
    )
    return changed.rowcount == 1


def guard(connection: Connection, held: Claim, cell: CellClaim | None = None) -> None:
    """First statement of every write of a claim: renew it, or raise LeaseLost."""
    if cell is not None:
        guard_cell(connection, cell)
    if renew(connection, held, held.lease_seconds):
        return
    cancelled = is_cancelled(connection, held.run_id)
    raise LeaseLost(
        explain(
            f"run {held.run_id}",
            "the run was cancelled" if cancelled else "this process no longer holds the run",
            found=f"claim {held.fence} of worker {held.worker} is void",
            allowed="writes of the latest claim only; nothing was written",
            next_step=f"leave it, or ask for it again: mmlab retry {held.run_id[:12]}"
            if cancelled
            else "leave the run to the process that took it over",
        )
    )


def is_cancelled(connection: Connection, run_id: str) -> bool:
    """Whether somebody has cancelled a run, and nobody has claimed it since."""
    return connection.scalar(select(runs.c.status).where(runs.c.id == run_id)) == "cancelled"


def rewind(connection: Connection, held: Claim, step: int) -> None:
    """Delete the points of curves after this step, which a former attempt has left."""
    guard(connection, held)
    is_point = and_(metrics.c.run_id == held.run_id, metrics.c.evaluation_id.is_(None))
    connection.execute(delete(metrics).where(is_point, metrics.c.step > step))


def is_completed(connection: Connection, held: Claim) -> bool:
    """Whether this very claim has marked its run done: the answer to its commit was lost, say."""
    query = select(runs.c.status, runs.c.fence).where(runs.c.id == held.run_id)
    return connection.execute(query).one() == ("done", held.fence)


def release(
    connection: Connection, held: Claim, outcome: str, cell: CellClaim | None = None
) -> bool:
    """Put a run back into the queue, if that is not done; False if it is another's by now."""
    if _has_ended(connection, held, outcome):
        return True
    if cell is not None and not give_back(connection, cell, None):
        return False
    return _end(connection, held, {"status": "queued"}, outcome, None, None)


def fail(
    connection: Connection,
    held: Claim,
    outcome: str,
    message: str,
    traceback: str,
    cell: CellClaim | None = None,
) -> bool:
    """Mark a run failed and keep why, if that is not done; False if it is another's by now."""
    # A plugin's error may name a reason of its own; the message says more than the word.
    outcome = outcome if outcome in OUTCOMES else "error"
    message, traceback = shortened(storable(message)), shortened(storable(traceback))
    if _has_ended(connection, held, outcome):
        return True
    if cell is not None and not end_cell(connection, cell, "failed", held.run_id, message):
        return False
    return _end(connection, held, _failed(connection, message), outcome, message, traceback)


def died(
    connection: Connection,
    cell: CellClaim,
    held: Claim | None,
    outcome: str,
    signature: str,
    message: str,
    traceback: str,
    max_attempts: int,
) -> bool:
    """Put the cell of a process that died back, or mark it failed after so many equal deaths.

    Whether it is failed. `held` is the run, if it had begun; its attempt ends with `outcome`.
    """
    deaths = count_death(connection, cell, signature)
    if deaths is None:
        return False
    message, traceback = shortened(storable(message)), shortened(storable(traceback))
    is_failed = deaths >= max_attempts
    if is_failed:
        message = f"{_died_often(cell, deaths, signature, max_attempts)}\n{message}"
        end_cell(connection, cell, "failed", None, message)
    else:
        give_back(connection, cell, f"its process died: {signature}")
    values = _failed(connection, message) if is_failed else {"status": "queued"}
    if held is not None:
        _end(connection, held, values, outcome, message, traceback)
    elif is_failed:
        # Begun at an earlier claim, and nobody has it.
        waits = and_(runs.c.id == run_of(connection, cell), runs.c.status == "queued")
        connection.execute(update(runs).where(waits).values(**values))
    return is_failed


def _died_often(cell: CellClaim, deaths: int, signature: str, max_attempts: int) -> str:
    asked = cell.queued.cell
    return explain(
        f"cell {asked.label!r} of {asked.experiment}, seed {asked.seed}",
        f"its process died in the same way {deaths} times in a row",
        found=storable(signature),
        allowed=f"fewer than {max_attempts} equal deaths",
        next_step="mend what ends it, then ask for it again: mmlab retry",
    )


def _failed(connection: Connection, message: str) -> dict[str, object]:
    return {"status": "failed", "finished_at": db_now(connection), "error": message}


def complete(
    connection: Connection,
    held: Claim,
    summary: Mapping[str, object],
    cell: CellClaim | None = None,
) -> None:
    """Mark a guarded run done."""
    values = {
        "status": "done",
        "finished_at": db_now(connection),
        "summary": to_json(summary),
    }
    _end(connection, held, values, "ok", None, None)
    if cell is not None:
        end_cell(connection, cell, "done", held.run_id, None)


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
    close_attempts(connection, [held.run_id], outcome, message, traceback)
    return True


def _has_ended(connection: Connection, held: Claim, outcome: str) -> bool:
    """Whether this claim's attempt has ended so: the answer to its commit was lost, say."""
    of_claim = and_(attempts.c.run_id == held.run_id, attempts.c.fence == held.fence)
    ended = select(attempts.c.outcome).where(of_claim, attempts.c.worker == held.worker)
    return connection.scalar(ended) == outcome


def close_attempts(
    connection: Connection,
    run_ids: Collection[str],
    outcome: str,
    message: str | None = None,
    traceback: str | None = None,
) -> None:
    """Note how the attempts at these runs that are going on have ended."""
    is_theirs = any_of(connection, attempts.c.run_id, run_ids)
    is_open = and_(is_theirs, attempts.c.finished_at.is_(None))
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
