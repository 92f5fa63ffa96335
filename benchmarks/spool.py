"""What recording costs a training: points through the spool, beside writing them to the database.

    python benchmarks/spool.py [--emissions 20000] [--db URL] [--folder .]

An emission has four points. `direct` writes them to the database every two seconds and lets the
training wait for it, as it was before there were spools; `spool` hands them over. For each: what a
call takes (the longest too: that is how long training stands still), CPU time of all threads until
the database has all, and what it takes to be sure of the points before a checkpoint. The database
is a SQLite file in --folder, unless another is named.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from measuring import keep_result, spread

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.store_values import claimed

from mmlab.records import MetricPoint
from mmlab.runner.outbox import FLUSH_SECONDS
from mmlab.runner.writer import RunWriter
from mmlab.store import Claim, Store, open_store

NAMES = ("train/loss", "train/lr", "train/grad_norm", "train/samples_per_second")


class Arm(Protocol):
    """A way to record points."""

    def points(self, points: Sequence[MetricPoint]) -> None:
        """Take an emission in."""

    def hold(self) -> None:
        """Be sure of all until now, before a checkpoint."""

    def close(self) -> None:
        """Wait until the database has all."""


class Direct:
    """Points wait in memory, and training for the database."""

    def __init__(self, store: Store, claim: Claim) -> None:
        self.store = store
        self.claim = claim
        self.waiting: list[MetricPoint] = []
        self.flushed = time.monotonic()

    def points(self, points: Sequence[MetricPoint]) -> None:
        """Keep them, and write them when it is time."""
        self.waiting += points
        if time.monotonic() - self.flushed >= FLUSH_SECONDS:
            self.hold()

    def hold(self) -> None:
        """Write what waits."""
        self.store.record_points(self.claim, self.waiting)
        self.waiting, self.flushed = [], time.monotonic()

    def close(self) -> None:
        """Write what waits."""
        self.hold()


class Spooled:
    """Points go to a file, and a thread brings them to the database."""

    def __init__(self, store: Store, claim: Claim, folder: Path) -> None:
        self.writer = RunWriter(store, claim, folder)
        self.points = self.writer.points
        self.hold = self.writer.hold

    def close(self) -> None:
        """Wait for the thread."""
        assert self.writer.wait(120), "the database has all"
        self.writer.close()


def main() -> None:
    options = read_options()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        db = options.db or str(Path(folder, "mmlab.db"))
        with open_store(db, create=True) as store:
            arms: dict[str, Callable[[Claim], Arm]] = {
                "direct": lambda claim: Direct(store, claim),
                "spool": lambda claim: Spooled(store, claim, Path(folder, "runs")),
            }
            rows = [measure(name, make, store, options) for name, make in arms.items()]
    for row in rows:
        print(
            f"{row['arm']:6} {row['call_us']['median']:7.1f} us a call, the longest "
            f"{row['longest_ms']:7.1f} ms; {row['cpu_us']:6.1f} us CPU an emission; "
            f"{row['hold_ms']['median']:.2f} ms before a checkpoint"
        )
    found = {"clock": "elapsed; cpu_us: CPU time of the process", "rows": rows}
    keep_result("spool", torch.device("cpu"), ("sqlalchemy", "msgspec"), found)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--emissions", type=int, default=20_000)
    parser.add_argument("--db")
    parser.add_argument("--folder", type=Path, default=Path())
    return parser.parse_args()


def measure(
    name: str, make: Callable[[Claim], Arm], store: Store, options: argparse.Namespace
) -> dict[str, Any]:
    arm = make(claimed(store, uuid.uuid4().hex))
    cpu = time.process_time()
    calls = [seconds_of(lambda at=at: arm.points(emission(at))) for at in range(options.emissions)]
    holds = []
    for at in range(options.emissions, options.emissions + 50):
        arm.points(emission(at))
        holds.append(seconds_of(arm.hold))
    arm.close()
    cpu = time.process_time() - cpu
    return {
        "arm": name,
        "emissions": options.emissions,
        "call_us": spread([1e6 * seconds for seconds in calls]),
        "longest_ms": round(1e3 * max(calls), 2),
        "seconds": round(sum(calls), 3),
        "mean_us": round(1e6 * statistics.fmean(calls), 2),
        "cpu_us": round(1e6 * cpu / len(calls), 2),
        "hold_ms": spread([1e3 * seconds for seconds in holds]),
    }


def emission(step: int) -> list[MetricPoint]:
    return [MetricPoint(name, step, 1 / (step + 1)) for name in NAMES]


def seconds_of(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
