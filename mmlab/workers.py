"""Processes that read samples beside the one that trains."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypedDict


class WorkerArguments(TypedDict):
    """What torch's DataLoader is told about its workers."""

    num_workers: int
    multiprocessing_context: str | None
    worker_init_fn: Callable[[int], None]


def worker_arguments(count: int) -> WorkerArguments:
    """The arguments of a DataLoader with this many workers; with 0 it reads samples itself.

    Workers are forked: they share what a dataset holds in memory and encoders whose weights are on
    a GPU, neither of which has to be copied or pickled. What a thread of this process holds at that
    moment is never let go of in a worker, so it uses none of it: neither the database (the lease's)
    nor the terminal (the bar's). Python warns of that from 3.12 on, where asked to with `-W`.
    """
    return {
        "num_workers": count,
        "multiprocessing_context": "fork" if count else None,
        "worker_init_fn": _write_past_the_bar,
    }


def _write_past_the_bar(worker: int) -> None:
    # A bar on the terminal takes the streams over, and its thread may hold it at the fork.
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
