"""Databases as releases of before left them, on SQLite and on Postgres, and all that is in one."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import URL, MetaData, func, select, text

from alembic import command
from mmlab.store.address import parse_address
from mmlab.store.engine import Database
from mmlab.store.migrate import alembic_config, upgrade
from support.checkout import TESTS
from support.postgres_server import create_database, drop_database
from support.snapshots import Snapshot, snapshot

FOLDER = TESTS / "old_databases"
#: Every revision that a migration makes, oldest first; the last one is this program's.
REVISIONS = sorted(
    s.revision for s in ScriptDirectory.from_config(alembic_config()).walk_revisions()
)
OLDER = REVISIONS[:-1]
#: Whether to take the time for all that can be tried: `make migrations` does.
EVERYTHING = os.environ.get("MMLAB_MIGRATIONS") == "all"

#: Seconds of January 2026 at which runs were submitted, by their train hashes.
_SUBMITTED = {
    "train-done-0": 10,
    "train-done-1": 20,
    "train-failed-0": 30,
    "train-released-0": 40,
    "train-running-0": 50,
}
_RUN_ROW = re.compile(r"""INSERT INTO "runs" VALUES\('([0-9a-f]{32})'.*?'(train-\w+-\d)'""")
_TIME = re.compile(r"'20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}'")

#: What no kept database holds: a cancelled run, imported results, and rows of tables without any.
_CANCELLED = (
    """INSERT INTO runs (id, spec_id, experiment, cell, axes, resolved, train_hash, group_hash,
        seed, replicate, status, fence, created_at, started_at, finished_at, provenance, summary)
    SELECT '2b', spec_id, experiment, cell, axes, resolved, 'train-cancelled-0', 'group-cancelled',
        seed, replicate, 'cancelled', 2, '2026-01-01 00:00:35.000', '2026-01-01 00:00:36.000',
        '2026-01-01 00:00:37.000', provenance, summary
    FROM runs WHERE train_hash = 'train-failed-0'""",
    """INSERT INTO attempts (run_id, fence, worker, started_at, finished_at, outcome, message)
    SELECT id, 1, 'one', created_at, finished_at, 'lost', NULL FROM runs WHERE id = '2b'
    UNION ALL
    SELECT id, 2, 'two', created_at, finished_at, 'oom', '🦜' FROM runs WHERE id = '2b'""",
)
_IMPORTED = (
    """INSERT INTO runs (id, experiment, cell, axes, resolved, train_hash, group_hash, seed,
        replicate, status, fence, created_at, finished_at, provenance, summary, origin)
    VALUES ('1a', 'published', '', '{}', '{}', 'published', 'published', 0, 0, 'done', 0,
        '2026-01-01 00:00:05.678', '2026-01-01 00:00:05.678', '{}', '{}', 'papers.toml')""",
    """INSERT INTO evaluations (id, run_id, name, evaluator, condition, split, dataset_revision,
        evaluation_hash, protocol_hash, protocol, subject_hash, subject, templates, sample_count,
        skipped_count, created_at)
    SELECT 77, '1a', name, evaluator, condition, split, dataset_revision, 'evaluation-published',
        protocol_hash, protocol, 'subject', '{}', templates, sample_count, 0, created_at
    FROM evaluations WHERE id = 1""",
    """INSERT INTO metrics (run_id, name, evaluation_id, value, value_kind)
    VALUES ('1a', 'top1', 77, 0.1, 'finite')""",
)
_OF_TABLES = {
    "queue": """INSERT INTO queue (cell_id, experiment, status, priority, waits_for, rerun, run_id,
        fence, deaths, created_at, ended_at)
    SELECT cells.id, cells.experiment, 'done', 1, '[]', 0, run_id, 1, 0, runs.created_at,
        finished_at
    FROM cells JOIN runs ON runs.id = run_id WHERE train_hash = 'train-done-0'""",
    "evaluation_parts": """INSERT INTO evaluation_parts
    SELECT id, 'evaluation of parts', 'images', 0, 0, 9, 'done', 1, NULL, NULL, 'ab', '🦜'
    FROM runs""",
    "skipped_samples": """INSERT INTO skipped_samples
    SELECT id, 'revision-1', 'test', 4, 'x 🦜', 'broken' FROM runs WHERE status = 'done'""",
    "cells": """INSERT INTO cells (spec_id, run_id, hash, experiment, position, seed, label, axes,
        overrides, budget, resolved, created_at, submitted_at)
    SELECT cells.spec_id, '2b', 'of a cancelled run', cells.experiment, position, cells.seed,
        label, cells.axes, overrides, budget, cells.resolved, cells.created_at, submitted_at
    FROM cells JOIN runs ON runs.id = run_id WHERE train_hash = 'train-failed-0'""",
    "metric_declarations": """UPDATE metrics SET metric_declaration_id = (
        SELECT metric_declaration_id FROM metrics WHERE name = 'top1' AND run_id <> '1a')
    WHERE run_id = '1a'""",
    "identities": """INSERT INTO identities SELECT DISTINCT group_hash, '{"🦜": 1}' FROM runs""",
}


def restore(revision: str, target: Path) -> str:
    """The URL of a SQLite file of this revision with rows in all of its tables.

    What differs between kept databases by chance, ids of runs and times, is the same in all.
    """
    # As bytes: a label holds a carriage return, which reading a text would leave out.
    script = (FOLDER / f"{revision}.sql").read_bytes().decode()
    for run_id, train_hash in _RUN_ROW.findall(script):
        script = script.replace(run_id, hashlib.sha256(train_hash.encode()).hexdigest()[:32])
    with closing(sqlite3.connect(target)) as connection:
        connection.executescript(_TIME.sub("'2026-01-01 00:00:00.000'", script))
        _set_times(connection)
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        has_origin = "skipped_samples" in {name for (name,) in found}
        for statement in (*_CANCELLED, *(_IMPORTED if has_origin else ())):
            connection.execute(statement)
        for table, statement in _OF_TABLES.items():
            if (table,) in found:
                connection.execute(statement)
        connection.commit()
    return f"sqlite:///{target}"


def _set_times(connection: sqlite3.Connection) -> None:
    """A second between one time of a run and the next, so that its order among runs is known."""
    for train_hash, seconds in _SUBMITTED.items():
        for after, name in enumerate(("created_at", "started_at", "finished_at")):
            connection.execute(
                f"UPDATE runs SET {name} = ? WHERE train_hash = ? AND {name} IS NOT NULL",
                (f"2026-01-01 00:00:{seconds + after}.000", train_hash),
            )


#: Statements that take from a database what no one of before these revisions could hold.
_FORGET = {
    "0002": (
        *(
            f"DELETE FROM {table} WHERE run_id = '1a'"
            for table in ("metrics", "evaluations", "skipped_samples")
        ),
        "DELETE FROM runs WHERE id = '1a'",
        "DELETE FROM confusions",
        "DELETE FROM reliability",
    ),
    "0003": (
        "UPDATE metric_declarations SET better = 'higher', unit = '' WHERE name = 'down'",
        *(
            statement
            for number, name in enumerate(("nan", "up"), start=90)
            for statement in (
                f"""INSERT INTO metric_declarations
                    (id, hash, name, better, unit, position, board, has_gain)
                VALUES ({number}, '{name}', '{name}', 'higher', '', 17, 'leaderboard', 0)""",
                f"UPDATE metrics SET metric_declaration_id = {number} WHERE name = '{name}'",
            )
        ),
    ),
    "0004": ("UPDATE cells SET position = NULL, overrides = NULL, budget = NULL",),
    "0006": (
        "DELETE FROM queue",
        "DELETE FROM evaluation_parts",
        "DELETE FROM cells WHERE run_id IS NULL",
        "DELETE FROM properties WHERE key <> 'id'",
    ),
    "0010": (
        "DELETE FROM detections",
        "DELETE FROM true_boxes",
        "UPDATE thumbnails SET width = NULL, height = NULL",
    ),
}


def forget(url: str, revision: str) -> None:
    """Take from a SQLite file of this program's revision what one of this revision did not hold."""
    with closing(sqlite3.connect(str(parse_address(url).path))) as connection:
        for added, statements in _FORGET.items():
            for statement in statements if revision < added else ():
                connection.execute(statement)
        connection.commit()


def _copy_to_postgres(source: str, target: str, revision: str) -> None:
    """Make an empty Postgres database one of this revision, with the rows of a SQLite file."""
    old, new = Database(parse_address(source)), Database(parse_address(target))
    command.upgrade(alembic_config(new), revision)
    metadata = MetaData()
    metadata.reflect(old.engine)
    with old.read() as reader, new.write() as writer:
        for table in metadata.sorted_tables:
            writer.execute(table.delete())
            rows = [dict(row) for row in reader.execute(select(table)).mappings()]
            if rows:
                writer.execute(table.insert(), rows)
            if table.name != "runs" and "id" in table.c:
                sequence = f"{table.name}_id_seq"
                highest = writer.scalar(select(func.max(table.c.id))) or 1
                writer.execute(text(f"SELECT setval('{sequence}', {highest})"))
    old.close()
    new.close()


class OldDatabases:
    """Copies of databases of every revision, on SQLite in a folder and on a Postgres server."""

    def __init__(self, folder: Path, server: URL | None) -> None:
        """Make none yet; without a server all are files."""
        self._folder = folder
        self._server = server
        self.are_files = server is None

    @contextmanager
    def copy(self, revision: str) -> Iterator[str]:
        """The URL of a fresh copy, gone at the end."""
        name = f"copy_{uuid.uuid4().hex[:12]}"
        template = self._template(revision)
        if self._server is None:
            folder = self._folder / name
            folder.mkdir()
            yield f"sqlite:///{shutil.copy(template, folder / 'mmlab.db')}"
            shutil.rmtree(folder)
        else:
            url = create_database(self._server, name, template)
            yield url.render_as_string(hide_password=False)
            drop_database(self._server, name)

    @cache  # noqa: B019  # as few as there are revisions, for as long as the tests of one module
    def _template(self, revision: str) -> str:
        file = self._folder / f"{revision}_{uuid.uuid4().hex[:12]}.db"
        url = restore(revision, file)
        if self._server is None:
            return str(file)
        name = f"old_{revision}_{uuid.uuid4().hex[:12]}"
        target = create_database(self._server, name)
        _copy_to_postgres(url, target.render_as_string(hide_password=False), revision)
        return name

    @cache  # noqa: B019  # the same
    def upgraded(self, revision: str) -> tuple[Snapshot, Snapshot]:
        """All of it before and after an upgrade that nothing disturbed."""
        with self.copy(revision) as url:
            before = snapshot(url)
            upgrade(url)
            return before, snapshot(url)
