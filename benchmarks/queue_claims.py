"""How long it takes to claim a cell where thousands are queued, on SQLite and on Postgres.

    python benchmarks/queue_claims.py [--queued 10000] [--claims 200] [--workers 4]

Arms: a plain claim; one `among` all the cells that a command has submitted, in one piece or with
gaps; one `without` as many that it could not execute; and one behind as many cells that wait for
an experiment that is still running.
Workers are threads with a connection of their own, each claiming in turn; the clock counts what a
worker waits for the others. CPU is this process', the server's is not in it. Each claim is one
transaction, which SQLite syncs to disk.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from interleaved import databases, keep
from support.store_values import queued

from mmlab.store import CellClaim, Store, open_store

GOAL = "95 % of claims under 10 ms where 10,000 cells are queued"

Claim = Callable[[Store, str], CellClaim | None]


def claims_by(url: str, worker: str, count: int, claim: Claim) -> list[float]:
    """Seconds of each claim of one worker."""
    taken = []
    with open_store(url) as store:
        for _ in range(count):
            started = time.perf_counter()
            cell = claim(store, worker)
            taken.append(time.perf_counter() - started)
            assert cell is not None, "there are more cells than claims"
    return taken


def measure(url: str, workers: int, count: int, claim: Claim) -> dict[str, float]:
    """Milliseconds of a claim while so many workers claim, and of this process' CPU."""
    cpu = time.process_time()
    with ThreadPoolExecutor(workers) as pool:
        asked = [
            pool.submit(claims_by, url, str(n), count // workers, claim) for n in range(workers)
        ]
        seconds = [one for future in asked for one in future.result()]
    cpu = (time.process_time() - cpu) / len(seconds)
    found = {f"p{share}": float(np.percentile(seconds, share)) for share in (50, 95, 99)}
    return {name: round(1000 * value, 2) for name, value in {**found, "cpu": cpu}.items()}


def fill(url: str, count: int) -> list[int]:
    """Queue so many cells, and claim one of another experiment for good; the places of the many."""
    with open_store(url) as store:
        places = store.submit_cells([queued(seed) for seed in range(count)])
        store.submit_cells([queued(0, "first", priority=9)])
        assert store.claim_cell("holder", 24 * 3600) is not None
    return places


def let_wait(url: str, count: int) -> None:
    """Put as many cells in front of the others that wait for the one that is executed."""
    with open_store(url) as store:
        asked = [queued(n, "next", waits_for=["first"], priority=5) for n in range(count)]
        store.submit_cells(asked)


def compare(url: str, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Every arm on one database."""
    places = fill(url, options.queued)
    others = places[: -5 * options.claims]

    def spent(**asked: Sequence[int]) -> dict[str, float]:
        def claim(store: Store, worker: str) -> CellClaim | None:
            return store.claim_cell(worker, 3600, **asked)

        measure(url, options.workers, options.workers, claim)  # warm up
        return measure(url, options.workers, options.claims, claim)

    found = {
        "plain": spent(),
        "among": spent(among=places),
        "among, with gaps": spent(among=places[::2]),
        "without": spent(without=others),
    }
    let_wait(url, options.queued)
    return {**found, "behind others that wait": spent()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--queued", type=int, default=10_000)
    parser.add_argument("--claims", type=int, default=200)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    with databases() as urls:
        results = {kind: compare(url, options) for kind, url in urls.items()}
    for kind, arms in results.items():
        for name, found in arms.items():
            marks = "  ".join(f"{mark} {value:6.1f} ms" for mark, value in found.items())
            print(f"{kind:9} {name:24} {marks}")
    keep("queue-claims", GOAL, results, **vars(options))


if __name__ == "__main__":
    main()
