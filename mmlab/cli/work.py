"""`mmlab work`, `mmlab retry` and `mmlab cancel`: the queue that is in the database."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmlab.cli.output import (
    color_option,
    db_option,
    json_option,
    print_json,
    say,
    verbosity_options,
)
from mmlab.cli.run import (
    Duration,
    cache_option,
    conclude,
    device_option,
    runs_option,
    worker_options,
)

if TYPE_CHECKING:
    from mmlab.store import CellState


@click.command(short_help="Execute cells that are queued in the database, whoever submitted them.")
@db_option
@runs_option
@cache_option
@device_option
@click.option("--forever", is_flag=True, help="Wait for cells that are yet to be submitted.")
@click.option("--idle-exit", type=Duration(), help="End when there was nothing to do for so long.")
@click.option("--max-cells", type=click.IntRange(1, 10**9), help="End after so many cells.")
@worker_options
@json_option
@color_option
@verbosity_options
def work(
    db: str,
    runs: Path | None,
    cache: Path | None,
    device: str,
    forever: bool,
    idle_exit: float | None,
    max_cells: int | None,
    lease: float,
    cell_timeout: float | None,
    max_attempts: int,
    in_process: bool,
    as_json: bool,
) -> None:
    """Execute whatever is queued in the database, from the stored cells alone.

    No spec file is needed, but the data, plugins and versions with which a cell was submitted: one
    for which this machine has others is given back untouched, and told. Weights must land where the
    database's are: name that folder with --runs where it is elsewhere. Several workers share a
    queue. Without --forever or --idle-exit this ends when nothing is left to be claimed.

    \b
    Examples:
      mmlab work
      mmlab work --db postgresql://me@host/results --runs /shared/runs
      mmlab work --idle-exit 10m
    """
    from mmlab.cli.display import make_display
    from mmlab.runner.runner import RunOptions
    from mmlab.runner.runner import work as work_on_queue
    from mmlab.runner.stopping import raised_signals
    from mmlab.runner.worker import WorkOptions

    if forever and idle_exit is not None:
        raise click.UsageError("--forever and --idle-exit exclude each other")
    idle = None if forever else idle_exit or 0.0
    options = RunOptions(
        db,
        runs,
        (),
        device,
        cache=cache,
        in_process=in_process,
        cell_timeout=cell_timeout,
        work=WorkOptions(lease, max_attempts, max_cells=max_cells, idle_seconds=idle),
    )
    with make_display() as display, raised_signals():
        outcomes = work_on_queue(options, display)
    if not outcomes:
        say("nothing was queued that this worker could execute")
    conclude(outcomes, db, as_json=as_json)


@click.command(short_help="Put failed or cancelled runs back into the queue.")
@click.argument("names", nargs=-1, required=True, metavar="RUN...")
@db_option
@json_option
@color_option
@verbosity_options
def retry(names: tuple[str, ...], db: str, as_json: bool) -> None:
    """Put runs that failed or were cancelled back into the queue; a worker takes them up.

    RUN is an id or its first characters, or an experiment's name: all of its runs that failed, were
    cancelled, or are blocked.

    \b
    Examples:
      mmlab retry 3fa8
      mmlab retry emoji-fusion && mmlab work
    """
    from mmlab.store import open_store

    with open_store(db) as store:
        states = store.retry(names)
    if as_json:
        print_json(cells=[asdict(state) for state in states])
    for state in states:
        say(f"queued: {_named(state)}")


@click.command(short_help="Take runs out of the queue, or stop them.")
@click.argument("names", nargs=-1, required=True, metavar="RUN...")
@db_option
@json_option
@color_option
@verbosity_options
def cancel(names: tuple[str, ...], db: str, as_json: bool) -> None:
    """Take runs out of the queue; one that is being executed is stopped, and its checkpoints stay.

    RUN is an id or its first characters, or an experiment's name: all of its cells that are queued
    or executed.

    \b
    Examples:
      mmlab cancel 3fa8
      mmlab cancel emoji-fusion
    """
    from mmlab.store import open_store

    with open_store(db) as store:
        states = store.cancel(names)
    if as_json:
        print_json(cells=[asdict(state) for state in states])
    for state in states:
        say(f"cancelled: {_named(state)}")


def _named(state: CellState) -> str:
    """A cell in a line."""
    from mmlab.records import cell_name

    return f"{state.experiment} {cell_name(state.label, state.seed)}"
