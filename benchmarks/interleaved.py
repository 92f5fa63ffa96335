"""Arms measured in turns on both databases: medians, spread, ratios, one JSON file."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.postgres_server import create_database, running_server  # noqa: E402  # needs the path above

from mmlab.store.migrate import upgrade  # noqa: E402

Arm = Callable[[], object]


@dataclass(frozen=True)
class Spent:
    """Seconds of one round: of this process' CPU, and by the clock, which has the server's too."""

    cpu: float
    wall: float


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """Migrated databases by kind; Postgres is left out, and said so, where there is none."""
    with tempfile.TemporaryDirectory() as folder, running_server() as server:
        urls = {"sqlite": f"sqlite:///{folder}/mmlab.db"}
        if server is None:
            print("no Postgres on this machine: only SQLite is measured", file=sys.stderr)
        else:
            name = f"benchmark_{os.getpid()}"
            made = create_database(server, name)
            urls["postgres"] = made.render_as_string(hide_password=False)
        for url in urls.values():
            upgrade(url)
        yield urls


def measure(arms: Mapping[str, Arm], rounds: int) -> dict[str, list[Spent]]:
    """Every arm once a round, in turns; a first round warms up and is not counted."""
    spent: dict[str, list[Spent]] = {name: [] for name in arms}
    for position in range(rounds + 1):
        for name, arm in arms.items():
            cpu, wall = time.process_time(), time.perf_counter()
            arm()
            taken = Spent(time.process_time() - cpu, time.perf_counter() - wall)
            if position > 0:
                spent[name].append(taken)
    return spent


def summarise(spent: Mapping[str, Sequence[Spent]], ours: str, peer: str) -> dict[str, object]:
    """Medians in milliseconds, their range, and how many times longer the peer takes."""
    table: dict[str, object] = {}
    for clock in ("cpu", "wall"):
        seconds = {name: [getattr(s, clock) for s in rows] for name, rows in spent.items()}
        table[clock] = {name: _spread(values) for name, values in seconds.items()}
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        table[f"{clock}_ratio"] = round(medians[peer] / medians[ours], 2)
    return table


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    marks = {"minimum": min, "median": statistics.median, "maximum": max}
    return {name: round(1000 * pick(seconds), 2) for name, pick in marks.items()}


def show(tables: Mapping[str, Mapping[str, object]]) -> None:
    """One line per database: ours and the peer's median, and the ratios."""
    for kind, table in tables.items():
        for clock in ("cpu", "wall"):
            arms = table[clock]
            assert isinstance(arms, dict), "summarise gives a table per clock"
            medians = "  ".join(
                f"{name} {row['median']:9.1f} ms ({row['minimum']:.1f}-{row['maximum']:.1f})"
                for name, row in arms.items()
            )
            print(f"{kind:9} {clock:4}  {medians}  ratio {table[f'{clock}_ratio']}")


def keep(name: str, goal: str, tables: Mapping[str, object], **facts: object) -> None:
    """Write `results/NAME-cpu.json`."""
    libraries = ("mmlab", "sqlalchemy", "polars", "psycopg", "adbc-driver-postgresql", "numpy")
    document = {
        "benchmark": name,
        "unit": "milliseconds; ratios of medians, peer / ours",
        "goal": goal,
        **facts,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "versions": {library: version(library) for library in libraries},
        "databases": tables,
    }
    target = ROOT / "benchmarks" / "results" / f"{name}-cpu.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(document, indent=2) + "\n")
