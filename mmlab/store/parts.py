"""Parts of evaluations that are under way: claimed, fenced and marked as done, like runs.

A part is a range of the items of one work. Its row is there from its claim until the evaluation is
recorded, in whose transaction it goes. Whoever executes the run may write, or, where the run is
done and asked more, whoever claimed the part last.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, delete, or_, select, update

from mmlab.store.bulk import db_now, has_expired, insert_into, sound
from mmlab.store.claims import guard
from mmlab.store.rows import Evaluating, Part
from mmlab.store.runs import lock_done_run
from mmlab.store.tables import evaluation_parts as parts


def list_parts(connection: Connection, run_id: str, evaluation: str) -> list[Part]:
    """The parts of an evaluation, work by work, the first in front."""
    query = select(parts).where(parts.c.run_id == run_id, parts.c.evaluation_hash == evaluation)
    found = connection.execute(query.order_by(parts.c.work, parts.c.first)).all()
    rows = [sound(row, parts)._mapping for row in found]
    return [
        Part(
            evaluation=row["evaluation_hash"],
            work=row["work"],
            number=row["part"],
            first=row["first"],
            count=row["count"],
            fence=row["fence"],
            path=row["path"],
            sha256=row["digest"],
        )
        for row in rows
    ]


def claim_part(connection: Connection, who: Evaluating, asked: Part) -> Part | None:
    """Take a part that nobody has, or whose lease has run out; None where another is at it.

    None also where it is done. Raises LeaseLost where the run is another process's.
    """
    _guard(connection, who)
    new = {
        "run_id": who.run_id,
        "evaluation_hash": asked.evaluation,
        "work": asked.work,
        "part": asked.number,
        "fence": 1,
        **_claimed(connection, who, asked),
    }
    statement = insert_into(connection, parts).values(new)
    is_own = and_(parts.c.status == "running", parts.c.worker == who.worker)
    is_free = or_(is_own, has_expired(connection, parts, who.lease_seconds))
    again = {**_claimed(connection, who, asked), "fence": parts.c.fence + 1}
    taken = statement.on_conflict_do_update(
        index_elements=list(parts.primary_key), set_=again, where=is_free
    ).returning(parts.c.fence)
    fence = connection.scalar(taken)
    if fence is None:
        return None
    return Part(asked.evaluation, asked.work, asked.number, asked.first, asked.count, fence=fence)


def _claimed(connection: Connection, who: Evaluating, asked: Part) -> dict[str, object]:
    return {
        "first": asked.first,
        "count": asked.count,
        "status": "running",
        "worker": who.worker,
        "lease_until": db_now(connection, who.lease_seconds),
    }


def is_held(connection: Connection, who: Evaluating, claimed: Part | None) -> bool:
    """Whether a part was claimed by this very claim: the answer to its commit was lost, say."""
    if claimed is None:
        return False
    query = select(parts.c.fence).where(_is_held(who, claimed))
    return connection.scalar(query) is not None


def _is_held(who: Evaluating, claimed: Part) -> ColumnElement[bool]:
    return and_(
        _is(who.run_id, claimed),
        parts.c.fence == claimed.fence,
        parts.c.worker == who.worker,
        parts.c.status == "running",
    )


def finish_part(connection: Connection, who: Evaluating, made: Part) -> bool:
    """Mark a claimed part as done; False if another process has claimed it since.

    Its range may be another than was claimed. Raises LeaseLost where the run is another process's.
    """
    _guard(connection, who)
    values = {
        "status": "done",
        "first": made.first,
        "count": made.count,
        "worker": None,
        "lease_until": None,
        "path": made.path,
        "digest": made.sha256,
    }
    return connection.execute(update(parts).where(_is_held(who, made)).values(values)).rowcount == 1


def is_finished(connection: Connection, who: Evaluating, made: Part) -> bool:
    """Whether a part is done by this very file."""
    query = select(parts.c.path, parts.c.digest).where(_is(who.run_id, made))
    return connection.execute(query).one_or_none() == (made.path, made.sha256)


def drop_part(connection: Connection, who: Evaluating, part: Part) -> None:
    """Forget a part whose file is of no use, unless it was claimed since."""
    _guard(connection, who)
    connection.execute(delete(parts).where(_is(who.run_id, part), parts.c.fence == part.fence))


def live_parts(connection: Connection) -> set[str]:
    """The runs of which a process is at a part at this moment."""
    query = select(parts.c.run_id).where(parts.c.lease_until >= db_now(connection))
    return set(connection.scalars(query))


def _guard(connection: Connection, who: Evaluating) -> None:
    """First of every transaction: be sure of the run, and let nobody else write to it meanwhile."""
    if who.claim is not None:
        guard(connection, who.claim)
    else:
        lock_done_run(connection, who.run_id)


def _is(run_id: str, part: Part) -> ColumnElement[bool]:
    return and_(
        parts.c.run_id == run_id,
        parts.c.evaluation_hash == part.evaluation,
        parts.c.work == part.work,
        parts.c.part == part.number,
    )
