"""A storm: workers on one queue, killed and frozen at random, and what became of their cells.

    python -m support.chaos.storm --kills 100 --freezes 6 --seed 7 [--db URL | --postgres]

Prints a report as JSON; the exit code is 1 where anything is not as it must be. Its seed decides
whom it strikes, and when; what that meets is the machine's.
"""

from __future__ import annotations

import argparse
import functools
import json
import mmap
import os
import random
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import text

from mmlab.errors import StoppedError
from mmlab.runner import runner
from mmlab.runner.runner import RunOptions
from mmlab.runner.worker import WorkOptions
from mmlab.store import open_store
from mmlab.store.migrate import upgrade
from support.chaos import mutants, verdict, watch
from support.chaos.cells import later_submissions, submissions
from support.chaos.clocks import DAY, put_off
from support.chaos.executor import Silent, TorchFree
from support.chaos.nursery import Nursery
from support.chaos.undisturbed import run_undisturbed
from support.postgres_server import Server, create_database, find_binaries, started_server

#: By this all processes of a storm are known, whoever their parents are.
MARK = "MMLAB_STORM"
WORKERS = 4
#: Seeds that are submitted at once, each for two specs; and cells that wait for the end of all.
BATCH, LATER = 12, 4


@dataclass(frozen=True)
class Weather:
    """What a storm does. `lease` seconds; a worker naps `nap` seconds a step in the mean."""

    kills: int = 100
    freezes: int = 6
    outages: int = 0
    seed: int = 0
    lease: float = 1.0
    nap: float = 0.02
    mutant: str | None = None


@dataclass
class Report:
    """What was done, and the faults that were found."""

    weather: Weather
    cells: int = 0
    attempts: int = 0
    lost_attempts: int = 0
    kills: int = 0
    freezes: int = 0
    outages: int = 0
    seconds: float = 0.0
    calm_seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class Beats:
    """What workers tell the storm: whether they are at a cell. In memory which all of them share.

    A storm that struck blindly would mostly meet those that start, or wait.
    """

    def __init__(self, workers: int) -> None:
        self._bytes = mmap.mmap(-1, workers)

    def beat(self, number: int, is_at_work: bool) -> None:
        """Worker `number` is at a cell, or no longer."""
        self._bytes[number] = 1 if is_at_work else 2

    def of(self, number: int) -> bool:
        """Whether it is."""
        return self._bytes[number] == 1

    def has_begun(self, number: int) -> bool:
        """Whether it ever was."""
        return self._bytes[number] > 0


def work(url: str, folder: Path, weather: Weather, beats: Beats, number: int) -> None:
    """What a worker does: all that `mmlab work --forever` does, but its cells need no torch."""
    log = os.open(folder / "workers.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    watch.tell_claims()
    put_off(DAY * (number % 3 - 1))  # no two neighbours have one clock
    seed = weather.seed * 100_003 + number
    executor = TorchFree(weather.nap, seed, functools.partial(beats.beat, number))
    with suppress(StoppedError):
        work_with(executor, url, folder / "runs", WorkOptions(weather.lease, idle_seconds=None))


def work_with(executor: TorchFree, url: str, runs: Path, options: WorkOptions) -> None:
    """`mmlab work` with this executor in the place of child processes."""
    runner.executor_of = lambda options: nullcontext(executor)
    runner.work(RunOptions(url, runs, work=options), Silent())


@dataclass
class Storm:
    """One storm over one database."""

    url: str
    folder: Path
    weather: Weather
    server: Server | None = None

    def __post_init__(self) -> None:
        self.report = Report(self.weather)
        self._random = random.Random(self.weather.seed)
        self._beats = Beats(2 * (WORKERS + self.weather.kills) + 100)
        self._living: dict[int, int] = {}
        self._frozen: dict[int, threading.Timer] = {}
        self._may_end: set[int] = set()
        self._born = 0
        self._seeds = 0

    def rage(self) -> Report:
        """Do all that the weather says, wait for the calm, and look at what is left."""
        began = time.monotonic()
        run_undisturbed(self.folder / "warm", 1, 0)  # what is imported late is imported now
        body = functools.partial(work, self.url, self.folder, self.weather, self._beats)
        nursery = Nursery(body)
        try:
            watch.tell_claims()
            with open_store(self.url) as self.store:
                with self.store._database.write() as connection:
                    watch.add_triggers(connection)
                self._submit()
                for _ in range(WORKERS):
                    self._spawn(nursery)
                self._strike_all(nursery)
                self._calm(nursery)
                self._end(nursery)
            self.report.faults += verdict.faults_of(self.url, self.folder, self._seeds, LATER)
        finally:
            nursery.close()
        self.report.faults += [f"a process is left: {one}" for one in left_behind()]
        self.report.seconds = round(time.monotonic() - began, 1)
        return self.report

    # --- while it rages ---------------------------------------------------------------------

    def _strike_all(self, nursery: Nursery) -> None:
        weather, report = self.weather, self.report
        blows = ["kill"] * weather.kills + ["freeze"] * weather.freezes
        self._random.shuffle(blows)
        for number in range(weather.outages):  # far apart
            blows.insert((number + 1) * len(blows) // (weather.outages + 1), "outage")
        for blow in blows:
            while blow == "freeze" and len(self._frozen) >= WORKERS // 2:
                self._wait(nursery, 0.05)  # somebody has to take the cells over
            self._wait(nursery, self._random.uniform(0, 12 * weather.nap))
            victim = self._choose(nursery, self._frozen if blow == "freeze" else ())
            if blow == "outage":
                self._stop_server()
                report.outages += 1
            elif blow == "freeze":
                self._freeze(victim)
                report.freezes += 1
            else:
                self._kill(nursery, victim)
                report.kills += 1
            self._submit_if_few()

    def _choose(self, nursery: Nursery, without: Collection[int]) -> int:
        """Whom to strike: somebody who is at work, or four in five times."""
        while True:
            whole = [one for one in self._living if one not in without]
            busy = [one for one in whole if self._beats.of(self._living[one])]
            if self._random.random() < 0.2:
                return self._random.choice(whole)
            if busy:
                return self._random.choice(busy)
            self._wait(nursery, 0.01)

    def _kill(self, nursery: Nursery, victim: int) -> None:
        if timer := self._frozen.pop(victim, None):
            timer.cancel()
        os.kill(victim, signal.SIGKILL)
        del self._living[victim]
        self._spawn(nursery)

    def _freeze(self, victim: int) -> None:
        """Longer than the lease; the fastest of the others takes the cell over."""
        os.kill(victim, signal.SIGSTOP)
        seconds = self._random.uniform(1.2, 2.5) * self.weather.lease
        self._frozen[victim] = timer = threading.Timer(seconds, self._thaw, [victim])
        timer.start()

    def _stop_server(self) -> None:
        assert self.server is not None, "only a server of its own is stopped"
        # A database that a command has never reached is not waited for.
        self._may_end |= {n for n, born in self._living.items() if not self._beats.has_begun(born)}
        self.server.stop()
        time.sleep(self._random.uniform(0, self.weather.lease))
        self.server.start()

    def _wait(self, nursery: Nursery, seconds: float) -> None:
        """Let time pass, and notice those that end meanwhile."""
        until = time.monotonic() + seconds
        while True:
            self._look(nursery)
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.05))

    def _thaw(self, victim: int) -> None:
        # By a thread of its own: who is frozen in a transaction keeps the storm's own ones waiting.
        if self._frozen.pop(victim, None):
            os.kill(victim, signal.SIGCONT)

    def _look(self, nursery: Nursery) -> None:
        """Nobody ends whom we have not killed."""
        for number, code in nursery.ended().items():
            if number in self._living:
                del self._living[number]
                if number not in self._may_end:
                    self.report.faults.append(f"a worker ended by itself, with {code}")
                self._spawn(nursery)

    def _spawn(self, nursery: Nursery) -> None:
        self._living[nursery.fork(self._born)] = self._born
        self._born += 1

    def _submit(self) -> None:
        self.store.submit_cells(submissions(self._seeds, BATCH))
        self._seeds += BATCH

    def _submit_if_few(self) -> None:
        if self._count("status IN ('queued', 'running')") < BATCH:
            self._submit()

    def _count(self, condition: str) -> int:
        with self.store._database.read() as connection:
            query = text(f"SELECT count(*) FROM queue WHERE {condition}")
            return int(connection.scalar(query) or 0)

    # --- afterwards -------------------------------------------------------------------------

    def _calm(self, nursery: Nursery) -> None:
        """Wait until every cell has ended; nobody holds any for two leases: they are stuck."""
        while self._frozen:
            self._wait(nursery, 0.05)
        self.store.submit_cells(later_submissions(LATER))
        began = moved = time.monotonic()
        is_sqlite = self.url.startswith("sqlite")
        now = "strftime('%Y-%m-%d %H:%M:%f')" if is_sqlite else "clock_timestamp()"
        while open_cells := self._count("status IN ('queued', 'running', 'blocked')"):
            if self._count(f"status = 'running' AND lease_until > {now}"):
                moved = time.monotonic()
            if time.monotonic() - moved > 2 * self.weather.lease:
                self.report.faults.append(f"{open_cells} cells are stuck for two leases")
                break
            self._wait(nursery, 0.05)
        self.report.calm_seconds = round(time.monotonic() - began, 1)

    def _end(self, nursery: Nursery) -> None:
        """Stop the workers as a scheduler would; each ends by itself, and well."""
        waiting, self._living = set(self._living), {}
        for number in waiting:
            os.kill(number, signal.SIGTERM)
        until = time.monotonic() + 10 + 2 * self.weather.lease
        while waiting and time.monotonic() < until:
            for number, code in nursery.ended().items():
                if number in waiting and code:
                    self.report.faults.append(f"a worker that was stopped ended with {code}")
                waiting.discard(number)
            time.sleep(0.02)
        for number in waiting:
            self.report.faults.append(f"worker {number} did not stop")
            os.kill(number, signal.SIGKILL)
        self.report.cells = self._count("1 = 1")
        with self.store._database.read() as connection:
            query = "SELECT count(*), count(*) - count(DISTINCT run_id) FROM attempts"
            made, lost = connection.execute(text(query)).one()
        self.report.attempts, self.report.lost_attempts = made, lost


def left_behind() -> list[str]:
    """Processes of this storm, whoever their parents are, apart from this one and the server."""
    mark, found = f"{MARK}={os.environ[MARK]}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            is_ours = mark in (folder / "environ").read_bytes().split(b"\0")
            if is_ours and int(folder.name) != os.getpid() and "postgres" not in command:
                found.append(command[:200])
    return found


@contextmanager
def database(
    url: str | None, folder: Path, *, on_postgres: bool
) -> Iterator[tuple[str, Server | None]]:
    """A migrated database: the one given, one on a server of its own, or a file."""
    with ExitStack() as stack:
        server = None
        if on_postgres:
            binaries = find_binaries()
            if binaries is None:
                sys.exit("no Postgres server could be found")
            server = stack.enter_context(started_server(binaries))
            url = create_database(server.url, "storm").render_as_string(hide_password=False)
        url = url or f"sqlite:///{folder / 'mmlab.db'}"
        if on_postgres or not Path(url.removeprefix("sqlite:///")).exists():
            upgrade(url)
        yield url, server


def memory() -> str | None:
    """A folder in memory, if there is one: the disk of a busy machine would be the slowest part."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main(arguments: Sequence[str]) -> int:
    """Read the command line, rage, and print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--db", help="a migrated, empty database")
    parser.add_argument("--postgres", action="store_true", help="start a server of its own")
    parser.add_argument("--mutant", choices=sorted(mutants.MUTANTS))
    for name, value in asdict(Weather()).items():
        if name != "mutant":
            parser.add_argument(f"--{name}", type=type(value), default=value)
    given = vars(parser.parse_args(arguments))
    url, on_postgres = given.pop("db"), given.pop("postgres")
    weather = Weather(**given)
    os.environ[MARK] = uuid.uuid4().hex
    if weather.mutant:
        mutants.MUTANTS[weather.mutant]()
    with (
        tempfile.TemporaryDirectory(prefix="mmlab-storm-", dir=memory()) as name,
        database(url, Path(name), on_postgres=on_postgres) as (url, server),
    ):
        report = Storm(url, Path(name), weather, server).rage()
        if report.faults:
            print((Path(name) / "workers.log").read_text(), file=sys.stderr)
    print(json.dumps(asdict(report), indent=2))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
