"""Databases that cannot be used, for commands that run and commands that read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from mmlab.store.tables import REVISION
from support.bad_inputs import Case, Says

COMMANDS = {
    "run": ("run", "spec.toml", "--device", "cpu"),
    "ls": ("ls",),
    "show": ("show", "@last"),
    "report": ("report",),
    "report --out": ("report", "--out", "report.html"),
}


def sql(statement: str) -> Callable[[Path], None]:
    """Change the database behind the program's back."""

    def prepare(folder: Path) -> None:
        driver = sqlite3.connect(folder / "mmlab.db")
        with driver:
            driver.execute(statement)
        driver.close()

    return prepare


def revision(number: str) -> Callable[[Path], None]:
    return sql(f"UPDATE mmlab_alembic_version SET version_num = '{number}'")


def overwrite(start: int, content: bytes) -> Callable[[Path], None]:
    """Damage the file, or cut it short where there is no content."""

    def prepare(folder: Path) -> None:
        path = folder / "mmlab.db"
        old = path.read_bytes()
        path.write_bytes(old[:start] + (content + old[start + len(content) :] if content else b""))

    return prepare


def each(
    name: str,
    says: Says,
    prepare: Callable[[Path], None] = lambda folder: None,
    db: str | None = None,
    commands: tuple[str, ...] = tuple(COMMANDS),
) -> list[Case]:
    """One case for each command."""
    given = () if db is None else ("--db", db)
    return [
        Case(f"{name}: {verb}", 5, says, arguments=(*COMMANDS[verb], *given), prepare=prepare)
        for verb in commands
    ]


FEW = ("run", "ls")
READING = ("ls", "show", "report", "report --out")

CASES = [
    *each(
        "an older database",
        Says(
            "sqlite:////",
            "older than this program",
            "revision 0000",
            f"revision {REVISION}",
            "mmlab db up",
        ),
        revision("0000"),
    ),
    *each(
        "a newer database",
        Says(
            "sqlite:////",
            "newer than this program",
            "revision 9999",
            f"revision {REVISION}",
            "pip install",
        ),
        revision("9999"),
    ),
    *each(
        "no database",
        Says(
            "sqlite:////",
            "there is no database",
            "no such file",
            "an existing SQLite",
            "mmlab db init",
        ),
        db="missing.db",
        commands=READING,
    ),
    *each(
        "a folder",
        Says(
            "sqlite:////",
            "there is no database",
            "a folder",
            "an existing SQLite",
            "name a file in it with --db",
        ),
        db="mmlab-runs",
    ),
    *each(
        "a database in a missing folder",
        Says(
            "sqlite:////", "cannot be made", "No such file", "an existing folder", "make the folder"
        ),
        db="nowhere/mmlab.db",
        commands=("run",),
    ),
    *each(
        "another file",
        Says("sqlite:////", "cannot be used", "not a database", "can be reached", "another file"),
        db="spec.toml",
    ),
    *each(
        "another kind of database",
        Says("mysql://...: ", "no such kind", "mysql", "postgresql://USER@HOST", "correct --db"),
        db="mysql://me:CANARY@host/db",
        commands=FEW,
    ),
    *each(
        "an empty address",
        Says("database", "a file to be kept in", "''", "a path to a SQLite", "correct --db"),
        db="",
        commands=FEW,
    ),
    *each(
        "a URI of SQLite",
        Says("file:...", "by its path, not by a URI", "file:", "a path to", "correct --db"),
        db="file:mmlab.db?mode=ro",
        commands=FEW,
    ),
    *each(
        "an endless name",
        Says("sqlite:////", "", "", "", "--db"),
        db="x" * 5000,
        commands=FEW,
    ),
    Case(
        "a revision that no migration knows",
        5,
        Says(
            "sqlite:////", "no migration leads", "revision 0000", f"up to {REVISION}", "from a copy"
        ),
        arguments=("db", "upgrade"),
        prepare=revision("0000"),
    ),
    Case(
        "an upgrade of what is newer",
        5,
        Says(
            "sqlite:////",
            "newer than this program",
            "revision 9999",
            f"revision {REVISION}",
            "pip install",
        ),
        arguments=("db", "upgrade"),
        prepare=revision("9999"),
    ),
]

#: The dump of these fails as the command does: the bytes of the file are compared.
DAMAGED = [
    *each(
        "a damaged database",
        Says("sqlite:////", "cannot be used", "malformed", "can be reached", "from a copy"),
        overwrite(4096, b"x" * 60_000),
    ),
    *each(
        "a database cut short",
        Says("sqlite:////", "cannot be used", "malformed", "can be reached", "from a copy"),
        overwrite(5000, b""),
    ),
]
