"""What a person asks of the queue: that runs are tried again, or cancelled.

A name is that of an experiment, @last, or the start of a run's id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, not_, or_, select, update

from mmlab.errors import UsageError, explain
from mmlab.store.bulk import any_of, db_now, lock_queue
from mmlab.store.cells import without_run
from mmlab.store.claims import close_attempts
from mmlab.store.queue import FRESH, OPEN, cell_states, insert_places, new_place
from mmlab.store.rows import CellState, RunRow
from mmlab.store.runs import as_run, find_run, present_runs
from mmlab.store.tables import cells, queue, runs
from mmlab.store.waiting import newest_spec, unblock

_FAILED = ("failed", "cancelled")
_UNFINISHED = ("queued", "running")


def retry(connection: Connection, names: Sequence[str]) -> list[CellState]:
    """Put failed and cancelled runs into the queue again, and blocked cells; all names or none.

    Their places in the queue. Raises UsageError where a name stands for nothing of that kind.
    """
    lock_queue(connection)
    places: list[int] = []
    for name in names:
        run = _run_named(connection, name)
        found = _retry_experiment(connection, name) if run is None else _retry_run(connection, run)
        if not found:
            raise UsageError(_explain(connection, name, run, "tried again", (*_FAILED, "blocked")))
        places += found
    states = cell_states(connection, set(places))
    return [states[place] for place in dict.fromkeys(places)]


def confirm_retried(connection: Connection, places: list[CellState]) -> list[CellState] | None:
    """Places that were put into the queue again, if none stands there as it did before."""
    states = cell_states(connection, [place.id for place in places if place.id is not None])
    before = {*_FAILED, "blocked"} & {state.status for state in states.values()}
    is_so = len(states) == len(places) and not before
    return places if is_so else None


def confirm_cancelled(connection: Connection, ended: list[CellState]) -> list[CellState] | None:
    """What was cancelled, if it is: cells of the queue, and runs that were in none."""
    places = cell_states(connection, [state.id for state in ended if state.id is not None])
    others = [state.run_id for state in ended if state.id is None and state.run_id is not None]
    rows = connection.scalars(select(runs.c.status).where(any_of(connection, runs.c.id, others)))
    statuses = [state.status for state in places.values()] + list(rows)
    is_so = len(statuses) == len(ended) and set(statuses) == {"cancelled"}
    return ended if is_so else None


def _run_named(connection: Connection, name: str) -> RunRow | None:
    """The run that is meant; None for an experiment. UsageError where it is neither."""
    of_queue = exists().where(queue.c.experiment == name)
    is_experiment = or_(of_queue, exists().where(runs.c.experiment == name))
    return None if connection.scalar(select(is_experiment)) else find_run(connection, name)


def _retry_experiment(connection: Connection, name: str) -> list[int]:
    """Of its present version; what a former version of its spec asked for is left alone."""
    present = present_runs(connection, name)
    of_newest = select(cells.c.id).where(cells.c.spec_id == newest_spec(connection, name))
    is_present = or_(
        queue.c.status == "blocked",
        queue.c.cell_id.in_(of_newest),
        any_of(connection, queue.c.run_id, present),
    )
    opened = _open_again(connection, and_(queue.c.experiment == name, is_present))
    failed = select(runs).where(any_of(connection, runs.c.id, present), runs.c.status.in_(_FAILED))
    ordered = connection.execute(failed.order_by(runs.c.created_at, runs.c.id)).all()
    return [*opened, *(place for row in ordered for place in _retry_run(connection, as_run(row)))]


def _retry_run(connection: Connection, run: RunRow) -> list[int]:
    """The place of a run that failed or was cancelled, or whose cell was; else none."""
    is_theirs = queue.c.run_id == run.run_id
    if opened := _open_again(connection, is_theirs):
        return opened
    if run.status not in _FAILED:
        return []
    query = select(queue.c.id).where(is_theirs, queue.c.status.in_(OPEN))
    if (waiting := connection.scalar(query)) is not None:
        return [waiting]
    cell_id = without_run(connection, run.run_id)
    return [] if cell_id is None else [_place_for(connection, run, cell_id)]


def _place_for(connection: Connection, run: RunRow, cell_id: int) -> int:
    """The place of a run's cell, which is another run by now, or has never had a place."""
    is_rerun = run.replicate > 0
    same = and_(queue.c.cell_id == cell_id, not_(queue.c.rerun))
    known = select(queue.c.id).where(same)
    place: int | None = None if is_rerun else connection.scalar(known)
    if place is None:
        asked: dict[str, Any] = {"asked_hash": run.train_hash, "run_id": run.run_id}
        row = new_place(cell_id, run.experiment, rerun=is_rerun, **asked)
        return insert_places(connection, [row])[0]
    _open_again(connection, queue.c.id == place, ("done", *_FAILED, "blocked"))
    return place


def _open_again(
    connection: Connection,
    condition: ColumnElement[bool],
    statuses: Sequence[str] = (*_FAILED, "blocked"),
) -> list[int]:
    chosen = select(queue.c.id).where(queue.c.status.in_(statuses), condition)
    places = list(connection.scalars(chosen.order_by(queue.c.id)))
    again = update(queue).where(any_of(connection, queue.c.id, places))
    connection.execute(again.values(status="queued", **FRESH))
    return places


def cancel(connection: Connection, names: Sequence[str]) -> list[CellState]:
    """Cancel the open cells and unfinished runs of these names, all of them or none.

    Their holders lose their leases. Raises UsageError where a name stands for nothing unfinished.
    """
    lock_queue(connection)
    states: list[CellState] = []
    for name in names:
        run = _run_named(connection, name)
        found = _cancel(connection, name, run)
        if not found:
            raise UsageError(_explain(connection, name, run, "cancelled", OPEN))
        states += found
    return states


def _cancel(connection: Connection, name: str, run: RunRow | None) -> list[CellState]:
    is_theirs = queue.c.experiment == name if run is None else _asks_for(run)
    open_ones = select(queue.c.id, queue.c.experiment, queue.c.run_id)
    open_ones = open_ones.where(queue.c.status.in_(OPEN), is_theirs)
    rows = connection.execute(open_ones.order_by(queue.c.id).with_for_update()).all()
    places = [row.id for row in rows]
    ended = update(queue).where(any_of(connection, queue.c.id, places))
    nobody = {"worker": None, "lease_until": None}
    now = db_now(connection)
    connection.execute(ended.values(status="cancelled", reason=None, ended_at=now, **nobody))
    begun = [row.run_id for row in rows if row.run_id is not None]
    is_run = runs.c.experiment == name if run is None else runs.c.id == run.run_id
    stopped = _cancel_runs(connection, or_(is_run, any_of(connection, runs.c.id, begun)))
    unblock(connection, {row.experiment for row in rows}.union(*map(_names, stopped)))
    others = [state for state in stopped if state.run_id not in begun]
    return [*cell_states(connection, places).values(), *others]


def _asks_for(run: RunRow) -> ColumnElement[bool]:
    """Whether a cell of the queue is this run, or will be once it is claimed."""
    will_be = and_(queue.c.asked_hash == run.train_hash, queue.c.run_id.is_(None))
    return or_(queue.c.run_id == run.run_id, and_(will_be, not_(queue.c.rerun)))


def _cancel_runs(connection: Connection, condition: ColumnElement[bool]) -> list[CellState]:
    unfinished = select(runs.c.id).where(runs.c.status.in_(_UNFINISHED), condition)
    ids = connection.scalars(unfinished.order_by(runs.c.id).with_for_update()).all()
    now = db_now(connection)
    stopped = update(runs).where(any_of(connection, runs.c.id, ids))
    connection.execute(
        stopped.values(status="cancelled", finished_at=now, worker=None, lease_until=None)
    )
    close_attempts(connection, ids, "cancelled", "somebody cancelled the run")
    query = select(runs).where(any_of(connection, runs.c.id, ids)).order_by(runs.c.created_at)
    return [
        CellState(None, row.status, row.experiment, row.cell, row.seed, row.id, None, None)
        for row in connection.execute(query)
    ]


def _names(state: CellState) -> set[str]:
    """What others may call that which they wait for."""
    return {state.experiment, *filter(None, [state.run_id])}


def _explain(
    connection: Connection, name: str, run: RunRow | None, wish: str, allowed: Sequence[str]
) -> str:
    if run is not None:
        found = run.status
    else:
        counts = _statuses(connection, name)
        found = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    return explain(
        f"run {run.run_id}" if run else f"experiment {name}",
        f"there is nothing that can be {wish}",
        found=found,
        allowed=f"{', '.join(allowed[:-1])} or {allowed[-1]}",
        next_step="see them all: mmlab ls; to run a spec anew: mmlab run, with its file",
    )


def _statuses(connection: Connection, name: str) -> Counter[str]:
    """How many runs of an experiment, and cells that are none, have which status."""
    of_runs = select(runs.c.status).where(runs.c.experiment == name)
    unbegun = select(queue.c.status).where(queue.c.experiment == name, queue.c.run_id.is_(None))
    return Counter(connection.scalars(of_runs.union_all(unbegun)))
