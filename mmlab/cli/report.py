"""`mmlab report`: what the stored runs say together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from mmlab.cli.output import (
    color_option,
    console,
    db_option,
    json_option,
    say,
    verbosity_options,
)

if TYPE_CHECKING:
    from polars import DataFrame

    from mmlab.report.boards import Board
    from mmlab.store import Store

FORMATS = ("html", "md", "csv", "json", "parquet")


@click.command(short_help="Print the leaderboard, or write it as HTML, Markdown, CSV, ...")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--out", type=click.Path(path_type=Path), help="Write a file instead.")
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
      mmlab report emoji-fusion --format md
      mmlab report --json | jq '.leaderboard[0]'
    """
    chosen = "json" if as_json else file_format
    if out is not None:
        _write(runs, out, chosen, db)
    elif chosen is None:
        show_leaderboard(db, runs)
    else:
        _print_text(runs, chosen, db)


def show_leaderboard(db: str, runs: Collection[str] = ()) -> None:
    """Print the leaderboard of all runs, or of these runs and experiments."""
    from mmlab.report.board_text import draw_board
    from mmlab.report.boards import boards
    from mmlab.report.leaderboard import leaderboard
    from mmlab.store import open_store

    with open_store(db) as store:
        frame = leaderboard(store, _run_ids(store, runs))
        say(f"results in {store.url_display}")
        out = console()
        for board in boards(store, frame):
            out.print(draw_board(fit(board, out.width)))
            out.print()
    if frame.is_empty():
        say("no finished run yet: mmlab run SPEC...")


def fit(board: Board, width: int) -> Board:
    """The board with the metrics that a terminal of this width has room for, one at least."""
    used = len("#  seeds  ") + max(len(entry.label) for entry in board.entries)
    kept = 0
    for position, metric in enumerate(board.metrics):
        used += 2 + max(len(metric), *(len(e.figures[position].text) for e in board.entries))
        if used > width and kept:
            break
        kept += 1
    entries = tuple(replace(entry, figures=entry.figures[:kept]) for entry in board.entries)
    return replace(board, metrics=board.metrics[:kept], entries=entries)


def _run_ids(store: Store, names: Collection[str]) -> list[str] | None:
    """Every run of the experiments, and the single runs, that were named; None for all."""
    if not names:
        return None
    ids: list[str] = []
    for name in names:
        of_experiment = [row.run_id for row in store.runs(experiment=name)]
        ids += of_experiment or [store.find_run(name).run_id]
    return ids


def _print_text(runs: Collection[str], file_format: str, db: str) -> None:
    """Print the leaderboard as Markdown, CSV or JSON."""
    from mmlab.report.leaderboard import leaderboard
    from mmlab.store import open_store

    if file_format in ("html", "parquet"):
        raise click.UsageError(f"{file_format} is for files; add --out report.{file_format}")
    with open_store(db) as store:
        frame = leaderboard(store, _run_ids(store, runs))
        click.echo(_text(store, frame, file_format), nl=False)


def _text(store: Store, frame: DataFrame, file_format: str) -> str:
    from mmlab.report.boards import boards
    from mmlab.report.tables import to_csv, to_json, to_markdown

    if file_format == "md":
        return to_markdown(boards(store, frame))
    return to_csv(frame) if file_format == "csv" else to_json(frame)


def _write(runs: Collection[str], out: Path, file_format: str | None, db: str) -> None:
    from mmlab.report.tables import Format, write_report
    from mmlab.store import open_store

    with open_store(db) as store:
        write_report(store, _run_ids(store, runs), out, cast("Format | None", file_format))
    say(f"wrote {out}")
