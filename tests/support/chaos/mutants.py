"""Guards of mmlab taken out, one at a time: a storm must notice each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, inspect, true

from mmlab.store import Claim, claims
from support.chaos import watch


def without_fence() -> None:
    """Whoever has lost a run writes on."""
    claims.guard = lambda connection, held, cell=None: None


def without_condition() -> None:
    """A run is taken by whoever asks, also one that is done or somebody else's."""
    claims.or_ = lambda *conditions: true()


def without_rewind() -> None:
    """What a former attempt left of curves stays."""

    def rewind(connection: Connection, held: Claim, step: int) -> None:
        claims.guard(connection, held)

    claims.rewind = rewind


def without_unique_runs() -> None:
    """Nothing in the database keeps two runs of one identity apart."""
    add = watch.add_triggers

    def add_and_drop(connection: Connection) -> None:
        add(connection)
        (name,) = (one["name"] for one in inspect(connection).get_unique_constraints("runs"))
        connection.exec_driver_sql(f"ALTER TABLE runs DROP CONSTRAINT {name}")

    watch.add_triggers = add_and_drop


MUTANTS: Mapping[str, Callable[[], None]] = {
    "fence": without_fence,
    "condition": without_condition,
    "rewind": without_rewind,
    "unique": without_unique_runs,
}
