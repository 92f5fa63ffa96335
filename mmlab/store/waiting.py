"""Cells that start from others: which may begin, which must wait, and which cannot begin at all.

Cells of one experiment that wait for the same are a group; what holds for one holds for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    text,
    tuple_,
    update,
)

from mmlab.store.bulk import any_of, from_json, listed
from mmlab.store.runs import present_runs
from mmlab.store.tables import cells, queue, runs

#: An experiment, and the JSON list of what its cells wait for.
Group = tuple[str, str]
_GROUPS = (
    select(queue.c.experiment, queue.c.waits_for)
    .where(queue.c.status == bindparam("status"), text("waits_for <> '[]'"))  # as in the index
    .distinct()
)


def settle(connection: Connection) -> list[Group]:
    """Block the queued cells that cannot start; the groups of which those that wait may start."""
    groups = {group: _names(group) for group in _groups(connection, "queued")}
    if not groups:
        return []
    outlook = _Outlook.of(connection, groups)
    for group, names in groups.items():
        if faults := list(filter(None, map(outlook.fault, names))):
            _block(connection, group, faults[0])
    return [group for group, names in groups.items() if all(map(outlook.has_ended, names))]


def _groups(connection: Connection, status: str) -> list[Group]:
    """Experiments with cells of this status that wait for something, and for what."""
    rows = connection.execute(_GROUPS, {"status": status})
    return [(row.experiment, row.waits_for) for row in rows]


def _names(group: Group) -> set[str]:
    """What a group waits for; an experiment that starts from its own earlier runs does not wait."""
    experiment, waits_for = group
    return {name for name in from_json(waits_for, queue.c.waits_for) if name != experiment}


@dataclass(frozen=True)
class _Outlook:
    """What is to be expected of that which others wait for, by its name.

    `going` have cells that are executed, or can be. `stuck` have open cells, none of which can be:
    they are blocked, or wait for one another. `failed` have ended without a run that is done.
    """

    going: Collection[str]
    stuck: Collection[str]
    failed: Mapping[str, str]

    @classmethod
    def of(cls, connection: Connection, groups: Mapping[Group, set[str]]) -> _Outlook:
        names = {name for waited_for in groups.values() for name in waited_for}
        going = _with_cells(connection, names, _is_going())
        are_open = going | _with_cells(
            connection, names - going, queue.c.status.in_(("queued", "blocked"))
        )
        failed = {name: said for name in names - are_open if (said := _failure(connection, name))}
        ended = names - are_open - failed.keys()
        # A group that waits only for what goes on, or has ended, will go on itself.
        while more := {
            experiment
            for (experiment, _), waited_for in groups.items()
            if experiment not in going and waited_for <= going | ended
        }:
            going |= more
        return cls(going, are_open - going, failed)

    def has_ended(self, name: str) -> bool:
        """Whether there is something to start from, or nothing is known of it at all."""
        return name not in self.going and self.fault(name) is None

    def fault(self, name: str) -> str | None:
        """Why nothing can start from this; None where it may, now or later."""
        if name in self.failed:
            return f"it starts from {name}, of which no run is done: {self.failed[name]}"
        if name in self.stuck:
            return f"it starts from {name}, which cannot start either"
        return None


def _is_going() -> ColumnElement[bool]:
    waits_not = or_(queue.c.waits_for == "[]", queue.c.run_id.is_not(None))
    return or_(queue.c.status == "running", and_(queue.c.status == "queued", waits_not))


def _with_cells(
    connection: Connection, names: Collection[str], condition: ColumnElement[bool]
) -> set[str]:
    """Those of these experiments and runs that have a cell in the queue of which this holds."""
    name = listed(connection, names, queue.c.experiment.type)
    of_experiment = exists().where(queue.c.experiment == name, condition)
    of_run = exists().where(queue.c.run_id == name, condition)
    return set(connection.scalars(select(name).where(or_(of_experiment, of_run))))


def _failure(connection: Connection, name: str) -> str | None:
    """How often something that has ended failed; None where a run of it is done, or none is known.

    Of an experiment in the queue only cells of its newest spec count.
    """
    if _has_done(connection, name):
        return None
    counts = _counts(connection, name)
    said = [f"{count} {status}" for status in ("failed", "cancelled") if (count := counts[status])]
    return ", ".join(said) or None


def _has_done(connection: Connection, name: str) -> bool:
    """Whether there is a run to start from."""
    newest = newest_spec(connection, name)
    if newest is None:
        present = any_of(connection, runs.c.id, present_runs(connection, name))
        return bool(connection.scalar(select(exists().where(present, runs.c.status == "done"))))
    in_queue = exists().where(
        queue.c.experiment == name,
        queue.c.status == "done",
        queue.c.cell_id == cells.c.id,
        cells.c.spec_id == newest,
    )
    before = exists().where(
        runs.c.experiment == name, runs.c.spec_id == newest, runs.c.status == "done"
    )
    return bool(connection.scalar(select(or_(in_queue, before))))


def _counts(connection: Connection, name: str) -> Counter[str]:
    newest = newest_spec(connection, name)
    if newest is None:
        is_meant = any_of(connection, runs.c.id, present_runs(connection, name))
        query = select(runs.c.status, func.count()).where(is_meant).group_by(runs.c.status)
    else:
        query = (
            select(queue.c.status, func.count())
            .join_from(queue, cells)
            .where(queue.c.experiment == name, cells.c.spec_id == newest)
            .group_by(queue.c.status)
        )
    return Counter(dict(connection.execute(query).all()))


def newest_spec(connection: Connection, name: str) -> int | None:
    """The spec of an experiment that was put into the queue last."""
    newest_first = select(cells.c.spec_id).join_from(queue, cells).order_by(queue.c.id.desc())
    return connection.scalar(newest_first.where(queue.c.experiment == name).limit(1))


def _block(connection: Connection, group: Group, reason: str) -> None:
    experiment, waits_for = group
    queued = select(queue.c.id).where(
        queue.c.status == "queued",
        queue.c.experiment == experiment,
        queue.c.waits_for == waits_for,
    )
    # Others that claim at this moment do the same.
    chosen = queue.c.id.in_(queued.with_for_update(skip_locked=True))
    connection.execute(update(queue).where(chosen).values(status="blocked", reason=reason))


def are_waited_for(connection: Connection, names: set[str]) -> bool:
    """Whether blocked cells wait for one of these experiments and runs."""
    return bool(_waiting(connection, names))


def unblock(connection: Connection, names: set[str]) -> None:
    """Queue the blocked cells again that wait for one of these, now that a run of it is done."""
    waiting = _waiting(connection, names)
    ended = {name for name in names if waiting and _has_done(connection, name)}
    if groups := _waiting(connection, ended) if ended else []:
        is_group = tuple_(queue.c.experiment, queue.c.waits_for).in_(groups)
        blocked = update(queue).where(queue.c.status == "blocked", is_group)
        connection.execute(blocked.values(status="queued", reason=None))


def _waiting(connection: Connection, names: set[str]) -> list[Group]:
    return [group for group in _groups(connection, "blocked") if names & _names(group)]
