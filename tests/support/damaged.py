"""A database with a row in every table, and values in it that nobody stores there."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import REAL, Boolean, Column, DateTime, Double, Integer, LargeBinary, Text

from mmlab.records import SkippedSample
from mmlab.store import open_store
from mmlab.store.rows import Evaluating, Part
from mmlab.store.tables import metadata
from support.store_values import claimed, evaluation, finish, points, queued

#: Texts that are no JSON, and JSON of another kind than a column holds.
NO_JSON = ("", "{", '{"a": }', "nul", "'a'", "[" * 100_000, '{"a": "\\ud8"')
OTHER_JSON = ("3", "null", '"text"', "true")
#: Columns of lists of texts.
_LISTS = ("suite", "templates", "waits_for")


@dataclass(frozen=True)
class Damage:
    """What is put into a column of the first row of a table."""

    table: str
    column: str
    value: object

    def __str__(self) -> str:
        return f"{self.table}.{self.column}={str(self.value)[:20]!r}"


def make_database(path: Path) -> None:
    """A database with rows in every table."""
    with open_store(str(path), create=True) as store:
        failed = claimed(store, "two")
        store.fail(failed, "error", "it failed", "Traceback: here")
        for seed in (0, 1):
            claim = claimed(store, seed=seed)
            store.record_points(claim, points(0.5, 0.25))
            finish(store, claim, replace(evaluation(), metrics={"top1": 0.5, "top5": None}))
        store.keep_contents({"group-one": '{"a": 1}'})
        skipped = [SkippedSample("revision-1", "test", 3, "d", "no picture")]
        store.add_evaluations(claim.run_id, [], {}, skipped=skipped)
        store.submit_cells([queued(waits_for=["another"])])
        done = Evaluating(claim.run_id, "worker", 60)
        store.claim_part(done, Part("hash", "images", 0, 0, 9))
        store.adopt_runs("token")


def _let_null_into(driver: sqlite3.Connection, damage: Damage) -> str:
    """Let a column of a table take NULL; gives the table as it was declared."""
    query = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?"
    (declared,) = driver.execute(query, [damage.table]).fetchone()
    loose = re.sub(rf'(^\s*"?{damage.column}"? \w+) NOT NULL', r"\1", declared, flags=re.MULTILINE)
    _declare(driver, damage.table, loose)
    return str(declared)


def _declare(driver: sqlite3.Connection, table: str, declared: str) -> None:
    driver.execute("PRAGMA writable_schema = ON")
    driver.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", [declared, table])
    driver.execute("PRAGMA writable_schema = RESET")


def apply(damage: Damage, path: Path, *, everywhere: bool = False) -> None:
    """Put the value into the table's first row that has one in this column, or into all rows."""
    table = damage.table
    keys = ", ".join(f'"{key.name}"' for key in metadata.tables[table].primary_key) or "rowid"
    first = f'SELECT {keys} FROM {table} ORDER BY "{damage.column}" IS NULL, {keys} LIMIT 1'
    where = "" if everywhere else f" WHERE ({keys}) = ({first})"
    with closing(sqlite3.connect(path, isolation_level=None)) as driver:
        driver.execute("PRAGMA ignore_check_constraints = ON")
        declared = _let_null_into(driver, damage)
        change = f'UPDATE {table} SET "{damage.column}" = ?{where}'
        assert driver.execute(change, [damage.value]).rowcount >= 1, damage
        _declare(driver, table, declared)


def damages() -> Iterator[Damage]:
    """Every damage of every column of every table."""
    for table in metadata.sorted_tables:
        if table.name == "column_docs":
            continue
        for column in table.columns:
            for value in _values(column):
                yield Damage(table.name, column.name, value)


def _values(column: Column[object]) -> Iterator[object]:
    is_rowid = (
        column.primary_key
        and len(column.table.primary_key) == 1
        and isinstance(column.type, Integer)
    )
    if is_rowid:  # SQLite itself takes nothing else there
        return
    if not column.nullable and not column.primary_key:
        yield None
    if isinstance(column.type, Text):
        yield b"\xff\xfe"
        yield b"bytes"
        if (column.comment or "").startswith("JSON"):
            yield from NO_JSON
            if column.name != "content":
                yield from OTHER_JSON
                yield from ("{}", "[1]") if column.name in _LISTS else ("[1]",)
    elif isinstance(column.type, LargeBinary):
        yield "text"
    elif isinstance(column.type, DateTime):
        yield from ("yesterday", "2024-02-31 00:00:00.000", b"2024-01-01 00:00:00", 3)
    else:
        yield from ("text", b"\x01")
        if isinstance(column.type, (Double, REAL)):
            return
        if isinstance(column.type, Boolean):
            yield 7
        yield 0.5
