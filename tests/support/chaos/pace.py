"""How long workers take for cells that sleep, from the first beginning to the last end.

python -m support.chaos.pace URL RUNS --workers 2 --cells 8 --nap 0.08
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mmlab.runner.worker import WorkOptions
from mmlab.store import Store, open_store
from support.chaos.cells import submissions
from support.chaos.executor import TorchFree
from support.chaos.nursery import Nursery
from support.chaos.storm import work_with


def seconds_for(url: str, runs: Path, workers: int, cells: int, nap: float) -> float:
    """Let workers do these cells; each ends when nothing is left."""
    nursery = Nursery(lambda number: work_with(TorchFree(nap), url, runs, WorkOptions()))
    with open_store(url) as store:
        store.submit_cells(submissions(0, cells)[::2])  # those of one spec
        living = {nursery.fork(number) for number in range(workers)}
        codes: dict[int, int] = {}
        while living - codes.keys():
            codes |= nursery.ended()
            time.sleep(0.05)
        nursery.close()
        if any(codes.values()):
            raise SystemExit(f"workers ended with {codes}")
        return _span(store)


def _span(store: Store) -> float:
    details = [store.run_detail(run_id) for run_id in store.run_statuses()]
    attempts = [attempt for detail in details for attempt in detail.attempts]
    ends = [attempt.finished_at for attempt in attempts if attempt.finished_at is not None]
    return (max(ends) - min(attempt.started_at for attempt in attempts)).total_seconds()


def main(arguments: Sequence[str]) -> None:
    """Print the seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--nap", type=float, default=0.08)
    print(seconds_for(**vars(parser.parse_args(arguments))))


if __name__ == "__main__":
    main(sys.argv[1:])
