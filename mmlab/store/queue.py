"""The queue of cells: submit, claim, renew, give back and end, one row for each submission.

A claim is one conditional update by the database's clock, so two processes never hold one cell. It
raises the row's fence; whatever is written afterwards is guarded by the fence of its claim. Rows
are locked in one order: those of the queue first, then runs. Whoever changes rows that it has not
claimed locks the whole queue before.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    false,
    insert,
    not_,
    or_,
    select,
    true,
    tuple_,
    update,
)

from mmlab.errors import explain, storable
from mmlab.store import views
from mmlab.store.bulk import any_of, db_now, from_json, has_expired, listed, lock_queue, sound
from mmlab.store.cells import SEEN, WHOLE, add_cells, as_cell, viewed
from mmlab.store.rows import CellClaim, CellState, LeaseLost, QueuedCell, Submission
from mmlab.store.runs import as_utc
from mmlab.store.tables import cells, queue, specs
from mmlab.store.waiting import Group, are_waited_for, settle, unblock

OPEN = ("queued", "running", "blocked")
#: The order in which cells are claimed.
ORDER = (queue.c.priority.desc(), queue.c.id)
# Statements with this many columns take longer to make than to execute.
_JOINED = queue.join(cells, cells.c.id == queue.c.cell_id)
_WHOLE = select(queue, *WHOLE).select_from(_JOINED.join(specs, specs.c.id == cells.c.spec_id))
_WHOLE_AT = _WHOLE.where(queue.c.id == bindparam("place"))
#: So many ranges of places are compared one by one; more of them are looked up.
_FEW = 8
#: What a place is rid of when its cell is asked for again.
FRESH: Mapping[str, Any] = {"reason": None, "ended_at": None, "deaths": 0, "death": None}


def submit_cells(connection: Connection, submissions: Sequence[Submission]) -> list[int]:
    """Put cells into the queue; their places, in order. One that has a place keeps it."""
    lock_queue(connection)
    numbers = add_cells(connection, [one.cell for one in submissions])
    known = {("cell", cell): place for cell, place in _places(connection, numbers).items()}
    asked = [
        # A rerun is equal to nothing, not even to another one.
        (("rerun", n) if one.rerun else ("cell", number), _asked(one, number))
        for n, (one, number) in enumerate(zip(submissions, numbers, strict=True))
    ]
    _ask_again(connection, [(known[key], row) for key, row in asked if key in known])
    added = {key: row for key, row in asked if key not in known}
    places = known | dict(zip(added, insert_places(connection, added.values()), strict=True))
    return [places[key] for key, _ in asked]


def new_place(
    cell_id: int,
    experiment: str,
    priority: int = 0,
    waits_for: str = "[]",
    asked_hash: str | None = None,
    rerun: bool = False,
    run_id: str | None = None,
) -> dict[str, object]:
    """A row of the queue for a cell, which may be a run already. `waits_for` is a JSON list."""
    return {
        "cell_id": cell_id,
        "experiment": experiment,
        "status": "queued",
        "priority": priority,
        "waits_for": waits_for,
        "asked_hash": asked_hash,
        "rerun": rerun,
        "run_id": run_id,
        "fence": 0,
        "deaths": 0,
    }


def _asked(one: Submission, cell_id: int) -> dict[str, object]:
    waits_for = json.dumps(list(one.waits_for), ensure_ascii=False)
    name = one.cell.experiment
    return new_place(cell_id, name, one.priority, waits_for, one.asked_hash, one.rerun)


def insert_places(connection: Connection, rows: Collection[Mapping[str, object]]) -> list[int]:
    """Add rows to the queue; their ids, in order."""
    if not rows:
        return []
    now = connection.scalar(select(db_now(connection)))
    statement = insert(queue).returning(queue.c.id, sort_by_parameter_order=True)
    return list(connection.scalars(statement, [{**row, "created_at": now} for row in rows]))


def _places(connection: Connection, numbers: Collection[int]) -> dict[int, int]:
    """The newest places of those of these cells that have one, apart from reruns."""
    is_same = any_of(connection, queue.c.cell_id, set(numbers))
    query = select(queue.c.cell_id, queue.c.id).where(is_same, not_(queue.c.rerun))
    return {row.cell_id: row.id for row in connection.execute(query.order_by(queue.c.id))}


def _ask_again(connection: Connection, asked: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
    """What second submissions change of places, unless a process has them: they are open again.

    Whether what has ended is done is known when it is claimed: its data may have changed.
    """
    columns = ("status", "waits_for", "asked_hash", "priority")
    query = select(queue.c.id, *(queue.c[name] for name in columns)).where(
        any_of(connection, queue.c.id, {place for place, _ in asked}),
        queue.c.status != "running",
    )
    # What is being claimed at this moment needs no change, and must not be waited for.
    free = connection.execute(query.with_for_update(skip_locked=True))
    now = {row.id: dict(row._mapping) for row in free}
    changed: dict[int, dict[str, object]] = {}
    for place, row in asked:
        if (before := now.get(place)) is None:
            continue
        after = {
            "id": place,
            "status": "queued",
            "waits_for": row["waits_for"],
            "asked_hash": row["asked_hash"] or before["asked_hash"],
            "priority": max(row["priority"], before["priority"])
            if before["status"] in OPEN
            else row["priority"],
        }
        if after != before:
            now[place] = changed[place] = after
    if changed:
        again = update(queue).where(queue.c.id == bindparam("place"))
        new: dict[str, object] = {name: bindparam(f"new_{name}") for name in columns}
        connection.execute(
            again.values({**new, **FRESH}),
            [
                {"place": place, **{f"new_{name}": after[name] for name in columns}}
                for place, after in changed.items()
            ],
        )


def claim_cell(
    connection: Connection,
    worker: str,
    lease_seconds: float,
    among: Collection[int] | None,
    without: Collection[int],
) -> CellClaim | None:
    """Take the first cell, by priority and place, that is queued or whose lease has run out.

    None where there is none. Cells that wait for an experiment with open cells are left out; those
    that wait for one which has ended without a run that is done become blocked.
    """
    wanted = [_is_among(connection, among), _is_not_among(connection, without)]
    queued = and_(queue.c.status == "queued", _may_start(settle(connection)), *wanted)
    expired = and_(has_expired(connection, queue, lease_seconds), *wanted)
    for source in _in_order(connection, queued, expired):
        if (place := _take(connection, source, worker, lease_seconds)) is not None:
            cell = whole_cell(connection, place.id)
            return CellClaim(place.id, place.fence, worker, lease_seconds, cell)
    return None


def confirm(connection: Connection, made: CellClaim | None) -> CellClaim | None:
    """A claim that was made, if it was committed and holds."""
    if made is None:
        return None
    return made if connection.scalar(select(queue.c.id).where(_is_held(made))) else None


def confirm_places(connection: Connection, places: list[int]) -> list[int] | None:
    """Places of which some were new, if they are there; a server gives no number twice."""
    return places if set(cell_states(connection, places)) == set(places) else None


def has_failed(connection: Connection, held: CellClaim) -> bool | None:
    """Whether a cell of which this claim has let go is failed; None if it has not."""
    of_claim = and_(queue.c.id == held.id, queue.c.fence == held.fence, queue.c.worker.is_(None))
    status = connection.scalar(select(queue.c.status).where(of_claim))
    return None if status is None else status == "failed"


def _in_order(
    connection: Connection, queued: ColumnElement[bool], expired: ColumnElement[bool]
) -> list[ColumnElement[bool]]:
    """The two kinds that can be claimed, that of the first cell first. Apart they use the index."""
    best = select(queue.c.priority, queue.c.id).order_by(*ORDER).limit(1)
    abandoned = connection.execute(best.where(expired)).first()
    if abandoned is None:
        return [queued]
    waiting = connection.execute(best.where(queued)).first()
    if waiting is None or _rank(abandoned) < _rank(waiting):
        return [expired, queued]
    return [queued, expired]


def _rank(found: Sequence[Any]) -> tuple[int, int]:  # Any: a row of two integers
    priority, place = found
    return -priority, place


def _take(
    connection: Connection, source: ColumnElement[bool], worker: str, lease_seconds: float
) -> Row[Any] | None:
    first = select(queue.c.id).where(source).order_by(*ORDER).limit(1)
    # Others that claim at this moment take the next ones; SQLite has one writer at a time.
    first = first.with_for_update(skip_locked=True)
    taken = (
        update(queue)
        .where(queue.c.id == first.scalar_subquery())
        .values(
            status="running",
            fence=queue.c.fence + 1,
            worker=worker,
            lease_until=db_now(connection, lease_seconds),
            reason=None,
        )
        .returning(queue.c.id, queue.c.fence)
    )
    return connection.execute(taken).first()


def _is_among(connection: Connection, ids: Collection[int] | None) -> ColumnElement[bool]:
    if ids is None:
        return true()
    # Adding 0 keeps planners from looking each of the ids up, and sorting what they found: rows are
    # read in the order of claiming.
    place = queue.c.id + 0
    ranges = _ranges(ids)
    if len(ranges) <= _FEW:
        return or_(false(), *(place.between(first, last) for first, last in ranges))
    # `IS TRUE` for the same reason: rows are looked up in a table of the ids, which is made once.
    return place.in_(select(listed(connection, ids, queue.c.id.type))).is_(True)


def _ranges(ids: Collection[int]) -> list[tuple[int, int]]:
    """The first and last of each row of ids without a gap; what one command submits has none."""
    ordered = sorted(set(ids))
    starts = [n for n, one in enumerate(ordered) if n == 0 or one != ordered[n - 1] + 1]
    ends = [*(n - 1 for n in starts[1:]), len(ordered) - 1]
    return [(ordered[first], ordered[last]) for first, last in zip(starts, ends, strict=False)]


def _is_not_among(connection: Connection, ids: Collection[int]) -> ColumnElement[bool]:
    return not_(_is_among(connection, ids)) if ids else true()


def _may_start(ready: Collection[Group]) -> ColumnElement[bool]:
    """Whether a cell waits for nothing, or is of a group whose waiting has ended."""
    waits_not = queue.c.waits_for == "[]"
    if not ready:
        return waits_not
    return or_(waits_not, tuple_(queue.c.experiment, queue.c.waits_for).in_(ready))


def renew_cell(connection: Connection, held: CellClaim, lease_seconds: float) -> bool:
    """Extend the lease; False if the cell is another's by now. Locks its row."""
    lease = db_now(connection, lease_seconds)
    changed = connection.execute(update(queue).where(_is_held(held)).values(lease_until=lease))
    return changed.rowcount == 1


def guard_cell(connection: Connection, held: CellClaim) -> None:
    """First statement of every write of a claim: renew it, or raise LeaseLost."""
    if renew_cell(connection, held, held.lease_seconds):
        return
    status = connection.scalar(select(queue.c.status).where(queue.c.id == held.id))
    cell = held.queued.cell
    raise LeaseLost(
        explain(
            f"cell {cell.label or 'of the only kind'} of {cell.experiment}, seed {cell.seed}",
            "the cell was cancelled"
            if status == "cancelled"
            else "this process no longer holds the cell",
            found=f"claim {held.fence} of worker {held.worker} is void",
            allowed="writes of the latest claim only; nothing was written",
            next_step="leave the cell alone, or ask for it again: mmlab retry"
            if status == "cancelled"
            else "leave the cell to the process that took it over",
        )
    )


def prepare_end(connection: Connection, held: CellClaim) -> None:
    """Before anything else in a transaction that ends a cell, which may let others start."""
    if are_waited_for(connection, _names(connection, held)):
        lock_queue(connection)


def _names(connection: Connection, held: CellClaim) -> set[str]:
    """What others may call that which they wait for."""
    run_id = connection.scalar(select(queue.c.run_id).where(queue.c.id == held.id))
    return {held.queued.cell.experiment, *filter(None, [run_id])}


def end_cell(
    connection: Connection, held: CellClaim, status: str, run_id: str | None, reason: str | None
) -> bool:
    """Let go of a cell that is done, failed, cancelled or blocked; False if it is another's by now.

    Those that wait for its experiment, and are blocked, are queued again if a run of it is done.
    """
    values: dict[str, object] = {"status": status, "reason": reason}
    if run_id is not None:
        values["run_id"] = run_id
    if status != "blocked":
        values["ended_at"] = db_now(connection)
    if not _let_go(connection, held, values):
        return False
    unblock(connection, _names(connection, held))
    return True


def give_back(
    connection: Connection, held: CellClaim, reason: str | None, **values: object
) -> bool:
    """Put a cell back into its place of the queue; False if it is another's by now."""
    return _let_go(connection, held, {"status": "queued", "reason": reason, **values})


def _let_go(connection: Connection, held: CellClaim, values: dict[str, object]) -> bool:
    reason = values.pop("reason")
    text = None if reason is None else storable(str(reason))
    statement = update(queue).where(_is_held(held))
    changed = connection.execute(
        statement.values(worker=None, lease_until=None, reason=text, **values)
    )
    return changed.rowcount == 1 or _was_let_go(connection, held, str(values["status"]))


def _was_let_go(connection: Connection, held: CellClaim, status: str) -> bool:
    """Whether this claim has done so already: the answer to its commit was lost, say."""
    of_claim = and_(queue.c.id == held.id, queue.c.fence == held.fence, queue.c.status == status)
    return connection.scalar(select(queue.c.id).where(of_claim)) is not None


def count_death(connection: Connection, held: CellClaim, signature: str) -> int | None:
    """How often in a row the process of a cell died so; None if the cell is another's by now."""
    if not renew_cell(connection, held, held.lease_seconds):
        return None
    query = select(queue.c.death, queue.c.deaths).where(queue.c.id == held.id)
    before = connection.execute(query).one()
    deaths = before.deaths + 1 if before.death == signature else 1
    counted = update(queue).where(queue.c.id == held.id)
    connection.execute(counted.values(death=signature, deaths=deaths))
    return deaths


def run_of(connection: Connection, held: CellClaim) -> str | None:
    """The run that a cell is, as far as it was begun."""
    return connection.scalar(select(queue.c.run_id).where(queue.c.id == held.id))


def becomes(connection: Connection, held: CellClaim, run_id: str) -> None:
    """Keep which run a guarded cell is."""
    connection.execute(update(queue).where(queue.c.id == held.id).values(run_id=run_id))


def _is_held(held: CellClaim) -> ColumnElement[bool]:
    return and_(
        queue.c.id == held.id,
        queue.c.fence == held.fence,
        queue.c.worker == held.worker,
        queue.c.status == "running",
    )


def whole_cell(connection: Connection, place: int) -> QueuedCell:
    """A cell of the queue, whole."""
    return as_queued(connection.execute(_WHOLE_AT, {"place": place}).one())


def queued_cells(connection: Connection, experiment: str | None) -> list[QueuedCell]:
    """The open cells of an experiment, or of all, in the order in which they are claimed."""
    place, cell = views.queue_places, views.whole_cells
    query = (
        select(*viewed(queue, place, id="place", fence="claims"), *SEEN)
        .join_from(place, cell, cell.c.cell_id == place.c.cell_id)
        .where(place.c.status.in_(OPEN))
        .order_by(place.c.priority.desc(), place.c.place)
    )
    if experiment is not None:
        query = query.where(place.c.experiment == experiment)
    return [as_queued(row) for row in connection.execute(query).all()]


def as_queued(row: Row[Any]) -> QueuedCell:
    """A row of `queue` that has the columns WHOLE, too, as a value."""
    sound(row, queue)
    return QueuedCell(
        id=row.id,
        cell=as_cell(row),
        status=row.status,
        priority=row.priority,
        waits_for=from_json(row.waits_for, queue.c.waits_for),
        asked_hash=row.asked_hash,
        rerun=row.rerun,
        run_id=row.run_id,
        reason=row.reason,
        deaths=row.deaths,
    )


def cell_states(connection: Connection, ids: Collection[int]) -> dict[int, CellState]:
    """How the cells at these places stand; places that are not there are left out."""
    query = select(queue, cells.c.label, cells.c.seed).join_from(queue, cells)
    rows = connection.execute(query.where(any_of(connection, queue.c.id, ids)))
    return {row.id: as_state(row) for row in rows}


def as_state(row: Row[Any]) -> CellState:
    """A row of `queue` with the cell's label and seed, as a value."""
    return CellState(
        id=row.id,
        status=row.status,
        experiment=row.experiment,
        label=row.label,
        seed=row.seed,
        run_id=row.run_id,
        reason=row.reason,
        lease_until=as_utc(row.lease_until) if row.lease_until else None,
    )
