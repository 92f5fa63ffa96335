"""`mmlab db`: making a database, bringing it up to date, and asking which revision it has."""

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
from mmlab.cli.settings import NamedPath


@click.group(short_help="Make a database or bring it up to date.")
def db() -> None:
    """Make a database or bring it up to date. No other command changes a schema."""


@db.command()
@click.option(
    "--force", is_flag=True, help="Add them to another program's file, too; it is copied first."
)
@db_option
@color_option
@verbosity_options
def init(force: bool, db: str) -> None:
    """Make the tables of mmlab in a new or empty database; an older one is left as it is.

    \b
    Examples:
      mmlab db init
      mmlab db init --db postgresql://me@host/results
    """
    _upgrade(db, is_new=True, beside_others=force)


@db.command()
@db_option
@color_option
@verbosity_options
def upgrade(db: str) -> None:
    """Bring a database to this program's revision; a SQLite file is copied first.

    All or nothing: stopped at any moment, it leaves the database as it was, or done. Processes that
    write wait. What has no tables of mmlab is left as it is.

    \b
    Example:
      mmlab db upgrade --db results.db
    """
    _upgrade(db, is_new=False)


@db.command()
@db_option
@json_option
@color_option
@verbosity_options
def current(db: str, as_json: bool) -> None:
    """Print the database's revision, and whether it is this program's.

    \b
    Example:
      mmlab db current --json
    """
    from mmlab.store.migrate import current as current_revision
    from mmlab.store.tables import REVISION

    revision = current_revision(db)
    if as_json:
        print_json(revision=revision, head=REVISION, is_current=revision == REVISION)
        return
    click.echo(revision or "none")
    say("up to date" if revision == REVISION else f"this program's revision is {REVISION}")


@db.command()
@click.argument("folder", type=NamedPath())
@db_option
@color_option
@verbosity_options
def runs(folder: Path, db: str) -> None:
    """Make FOLDER the one where runs of the database leave weights, from now on.

    The first folder that is used is the database's, and every worker must name the same one: what
    starts from a run's weights looks for them there. Move the files before you say so, or keep what
    is in the old folder for commands that read it (--runs).

    \b
    Example:
      mmlab db runs /shared/mmlab-runs --db postgresql://me@host/results
    """
    from mmlab.runner.runs_folder import adopt
    from mmlab.store import open_store

    with open_store(db) as store:
        adopt(store, folder)
        say(f"runs of {store.url_display} leave their files in {folder.absolute()}")


@db.command()
@click.argument("role")
@db_option
@color_option
@verbosity_options
def grants(role: str, db: str) -> None:
    """Print the SQL that lets ROLE read all results on Postgres, and change nothing.

    SELECT on the views is enough for ls, show, report and mmlab.results. Nothing is executed: make
    the role, and let the database's owner execute what is printed, after each mmlab db upgrade too.

    \b
    Example:
      mmlab db grants analyst --db postgresql://me@host/results | psql results
    """
    from mmlab.store import open_store

    with open_store(db) as store:
        click.echo(store.grants(role), nl=False)


def _upgrade(url: str, *, is_new: bool, beside_others: bool = False) -> None:
    from mmlab.store.address import parse_address
    from mmlab.store.migrate import upgrade as upgrade_database

    done = upgrade_database(url, is_new=is_new, beside_others=beside_others)
    name = parse_address(url).display
    if done.before == done.after:
        say(f"{name} is at revision {done.after} already")
        return
    if done.backup is not None:
        say(f"the database as it was: {done.backup}")
    before = done.before or ("empty" if done.backup is None else "another program's")
    say(f"{name} is now at revision {done.after} (was {before})")
