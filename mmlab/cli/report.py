"""`mmlab report`: what the stored runs say together."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from mmlab.cli.output import (
    color_option,
    console,
    db_option,
    json_option,
    print_json,
    say,
    verbosity_options,
)

if TYPE_CHECKING:
    from mmlab.store import Store

FORMATS = ("html", "md", "csv", "json", "parquet")


@click.command(short_help="Print the leaderboard, or write it as HTML, Markdown, CSV, ...")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a file instead."
)
@click.option(
    "--format", "file_format", type=click.Choice(FORMATS), help="[default: from the file's name]"
)
@db_option
@json_option
@color_option
@verbosity_options
def report(
    runs: tuple[str, ...], out: Path | None, file_format: str | None, db: str, as_json: bool
) -> None:
    """Print the leaderboard of all runs or some, or write it to a file.

    Means and 95 % intervals are over seeds. RUN is an id or its first characters, an experiment's
    name, or @last.

    \b
    Examples:
      mmlab report
      mmlab report --out report.html
      mmlab report emoji-fusion --out fusion.md
      mmlab report --json | jq '.leaderboard[0]'
    """
    if out is not None:
        _write(runs, out, file_format, db)
        return
    if file_format is not None:
        raise click.UsageError("--format says what to write, and --out says where; give --out too")
    show_leaderboard(db, runs, as_json=as_json)


def show_leaderboard(db: str, runs: Collection[str] = (), *, as_json: bool = False) -> None:
    """Print the leaderboard of all runs, or of these runs and experiments."""
    from mmlab.report.board_text import draw_board
    from mmlab.report.boards import boards
    from mmlab.report.leaderboard import leaderboard
    from mmlab.store import open_store

    with open_store(db) as store:
        frame = leaderboard(store, _run_ids(store, runs))
        if as_json:
            print_json(database=store.url_display, leaderboard=frame.to_dicts())
            return
        say(f"results in {store.url_display}")
        out = console()
        for board in boards(store, frame):
            out.print(draw_board(board))
            out.print()
    if frame.is_empty():
        say("no finished run yet: mmlab run SPEC...")


def _run_ids(store: Store, names: Collection[str]) -> list[str] | None:
    """Every run of the experiments, and the single runs, that were named; None for all."""
    if not names:
        return None
    ids: list[str] = []
    for name in names:
        of_experiment = [row.run_id for row in store.runs(experiment=name)]
        ids += of_experiment or [store.find_run(name).run_id]
    return ids


def _write(runs: Collection[str], out: Path, file_format: str | None, db: str) -> None:
    from mmlab.report.tables import Format, write_report
    from mmlab.store import open_store

    with open_store(db) as store:
        write_report(store, _run_ids(store, runs), out, cast("Format | None", file_format))
    say(f"wrote {out}")
