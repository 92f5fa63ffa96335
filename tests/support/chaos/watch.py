"""Triggers in the database that note what must not happen, and what must happen once.

Every write of a run carries, beside its rows, the claim for which it is made: the kit tells the
connection, and a trigger compares that with the run's present claim. mmlab's own guards have no
part in it, so that a write which they let through is noted.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, event

from mmlab.store import Claim, Store

#: Methods of the store that write for a claim.
_WRITES = ("record_points", "rewind", "finish", "fail", "release")
#: Tables whose rows belong to a run, and what is done to them.
_OF_RUNS = ("metrics", "evaluations", "run_artifacts")
_EVENTS = {"INSERT": "NEW", "UPDATE": "NEW", "DELETE": "OLD"}
_present = threading.local()


def tell_claims() -> None:
    """From now on the connections of this process say for which claim they write."""
    for name in _WRITES:
        setattr(Store, name, _telling(getattr(Store, name)))
    event.listen(Engine, "connect", _on_connect)
    event.listen(Engine, "begin", _on_begin)


def _telling(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def told(store: Store, claim: Claim, *values: Any, **named: Any) -> Any:
        _present.claim = f"{claim.run_id}:{claim.fence}"
        try:
            return method(store, claim, *values, **named)
        finally:
            _present.claim = ""

    return told


def _claim() -> str:
    return getattr(_present, "claim", "")


def _on_connect(driver: Any, record: object) -> None:
    if hasattr(driver, "create_function"):
        driver.create_function("kit_claim", 0, _claim)


def _on_begin(connection: Connection) -> None:
    if connection.dialect.name == "postgresql" and _claim():
        connection.exec_driver_sql("SELECT set_config('kit.claim', %s, true)", (_claim(),))


def add_triggers(connection: Connection) -> None:
    """Add the tables of notes, `kit_stale` and `kit_done`, and the triggers that fill them."""
    run = connection.exec_driver_sql
    run("CREATE TABLE kit_stale (place TEXT, run_id TEXT, writer TEXT, present TEXT)")
    run("CREATE TABLE kit_done (run_id TEXT, writer TEXT)")
    is_sqlite = connection.dialect.name == "sqlite"
    add = _add_to_sqlite if is_sqlite else _add_to_postgres
    for table in _OF_RUNS:
        for what, row in _EVENTS.items():
            add(connection, table, what, _STALE.format(place=f"{what} {table}", row=row))
    add(connection, "runs", "UPDATE", _DONE)


_STALE = """
    INSERT INTO kit_stale
    SELECT '{place}', {row}.run_id, {{claim}}, status || ':' || fence
    FROM runs
    WHERE id = {row}.run_id AND {{claim}} <> id || ':' || fence
       OR id = {row}.run_id AND status <> 'running';
"""
_DONE = """
    INSERT INTO kit_done
    SELECT NEW.id, {claim} WHERE NEW.status = 'done';
    INSERT INTO kit_stale
    SELECT 'UPDATE runs', NEW.id, {claim}, OLD.status || ':' || OLD.fence
    WHERE NEW.status = 'done'
      AND ({claim} <> OLD.id || ':' || OLD.fence OR OLD.status <> 'running');
"""


def _add_to_sqlite(connection: Connection, table: str, what: str, body: str) -> None:
    name = f"kit_{table}_{what.lower()}"
    connection.exec_driver_sql(
        f"CREATE TRIGGER {name} AFTER {what} ON {table} "
        f"BEGIN {body.format(claim='kit_claim()')} END"
    )


def _add_to_postgres(connection: Connection, table: str, what: str, body: str) -> None:
    name = f"kit_{table}_{what.lower()}"
    text = body.format(claim="coalesce(current_setting('kit.claim', true), '')")
    connection.exec_driver_sql(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {text} RETURN NULL; END $$"
    )
    connection.exec_driver_sql(
        f"CREATE TRIGGER {name} AFTER {what} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"
    )
