"""`mmlab sync`: runs that ended while their database was away are recorded in it."""

from __future__ import annotations

from pathlib import Path

import click

from mmlab.cli.output import (
    color_option,
    db_option,
    json_option,
    print_json,
    say,
    verbosity_options,
)
from mmlab.cli.run import runs_option
from mmlab.errors import harmless


@click.command(short_help="Record runs that ended while the database was away.")
@db_option
@runs_option
@json_option
@color_option
@verbosity_options
def sync(db: str, runs: Path | None, as_json: bool) -> None:
    """Record runs that ended while the database was away.

    What such a run has to record is kept in a file of the folder of weights, its spool. It is
    recorded once, however often it is asked for, and the file goes; `mmlab run` does the same
    before it begins. A file that belongs to another database, or is damaged, is named and kept;
    the exit code is 1 then.

    \b
    Examples:
      mmlab sync
      mmlab sync --db postgresql://me@host/results --runs /shared/runs
    """
    from mmlab.runner.sync import sync_folder
    from mmlab.store import open_store

    with open_store(db) as store:
        folder = runs or store.runs_folder
        found = sync_folder(store, folder)
    if as_json:
        print_json(spools=[vars(one) for one in found])
    else:
        for one in found:
            say(harmless(f"{one.path}: {one.reason}"))
        if not found:
            say(f"nothing to record in {harmless(str(folder))}")
    if any(one.is_fault for one in found):
        click.get_current_context().exit(1)
