"""`mmlab report`: what the stored runs say together."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from mmlab.cli.output import (
    PIPE_WIDTH,
    color_option,
    console,
    db_option,
    json_option,
    reading,
    say,
    verbosity_options,
)
from mmlab.cli.settings import NamedPath

if TYPE_CHECKING:
    from mmlab.report.contents import Contents, Table, ViewName
    from mmlab.store import Store


FORMATS = ("html", "md", "tex", "csv", "json", "parquet")
TABLES = ("findings", "leaderboard", "fusion_gain", "robustness", "failures")
VIEWS = (
    *("all_runs", "label_results", "sample_outcomes", "box_detections", "box_truths"),
    *("live_curves", "artifacts"),
)


@click.command(short_help="Print the leaderboard, or write it as HTML, Markdown, LaTeX, ...")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--out", type=NamedPath(), help="Write a file instead.")
@click.option(
    "--format", "file_format", type=click.Choice(FORMATS), help="[default: from the file's name]"
)
@click.option(
    "--curves",
    multiple=True,
    metavar="RUN",
    help="Draw this run's group too, beside those that lead; in HTML and pictures.",
)
@click.option(
    "--pictures",
    type=NamedPath(),
    metavar="DIR",
    help="Write each picture of the HTML page as an SVG file into a folder.",
)
@click.option(
    "--table",
    type=click.Choice([*TABLES, *VIEWS]),
    metavar="NAME",
    help="Only this one.  [default: all but views; in CSV and Parquet the leaderboard]",
)
@db_option
@json_option
@color_option
@verbosity_options
def report(
    runs: tuple[str, ...],
    out: Path | None,
    file_format: str | None,
    curves: tuple[str, ...],
    pictures: Path | None,
    table: Table | None,
    db: str,
    as_json: bool,
) -> None:
    """Print what was found and the leaderboard of all runs or some, or write it to a file.

    Means and 95 % intervals are over seeds. What fusions gain over their best input alone, and what
    missing modalities do, is shown where it was asked, and what has failed. RUN is an id or its
    first characters, an experiment's name, or @last.

    Tables are findings, leaderboard, fusion_gain, robustness and failures. Views are given whole,
    as JSON, CSV or Parquet: all_runs, label_results, sample_outcomes, box_detections,
    box_truths, live_curves and artifacts.

    \b
    Examples:
      mmlab report
      mmlab report --out report.html
      mmlab report --pictures figures/
      mmlab report emoji-fusion --format md
      mmlab report --table fusion_gain
      mmlab report --table fusion_gain --out gain.csv
      mmlab report --out table.tex
      mmlab report --json | jq '.leaderboard[0]'
      mmlab report --table all_runs --json
    """
    chosen = "json" if as_json else file_format
    if pictures is not None:
        _write_pictures(runs, curves, pictures, db)
        if out is None and chosen is None and table is None:
            return
    if out is not None:
        _write(runs, out, chosen, table, db, curves)
    elif curves and pictures is None:
        raise click.UsageError("--curves draws; add --out report.html or --pictures DIR")
    elif table in VIEWS:
        _print_view(runs, chosen, cast("ViewName", table), db)
    elif chosen is None:
        show_leaderboard(db, runs, table)
    else:
        _print_text(runs, chosen, table, db)


def show_leaderboard(db: str, runs: Collection[str] = (), table: Table | None = None) -> None:
    """Print all tables, or one, of all runs, or of these runs and experiments."""
    from mmlab.report.contents import all_boards, read_contents
    from mmlab.report.render.text import board_width, draw_board, draw_failures, draw_findings

    with reading(db) as store:
        contents = read_contents(store, _run_ids(store, runs))
        say(f"results in {store.url_display}")
        shown = list(all_boards(store, contents, table))
        # A pipe gets every row in one line, for whoever greps it.
        out = console(pipe_width=max([PIPE_WIDTH, *map(board_width, shown)]))
        if table == "findings" or (table is None and contents.lacks is None):
            out.print(draw_findings(contents.findings))
            out.print()
        for board in shown:
            out.print(draw_board(board, out.width))
            out.print()
        if table in (None, "failures") and not contents.failures.is_empty():
            out.print(draw_failures(contents.failures))
            out.print()
    _say_if_empty(contents, table)


def _print_view(runs: Collection[str], file_format: str | None, name: ViewName, db: str) -> None:
    """Print a whole view as JSON or CSV."""
    from mmlab.report.contents import VIEWS as FOUND
    from mmlab.report.frames import of_view
    from mmlab.report.render.files import to_csv, view_to_json

    if file_format not in ("json", "csv"):
        raise click.UsageError(
            f"{name} is for programs; add --json or --format csv, or --out {name}.parquet"
        )
    with reading(db) as store:
        rows = of_view(store, FOUND[name], _run_ids(store, runs))
    click.echo(view_to_json(name, rows) if file_format == "json" else to_csv(rows), nl=False)


def _say_if_empty(contents: Contents, table: Table | None) -> None:
    from mmlab.report.contents import why_empty

    reason = why_empty(contents, table or "leaderboard")
    if reason is not None:
        say(f"{table} is empty: {reason}" if table else reason)


def _run_ids(store: Store, names: Collection[str]) -> list[str] | None:
    """The runs of what was named; None for all."""
    from mmlab.report.frames import run_ids

    return run_ids(store, names) if names else None


def _print_text(runs: Collection[str], file_format: str, table: Table | None, db: str) -> None:
    """Print the tables as Markdown, LaTeX or JSON, or one as CSV."""
    from mmlab.report.contents import read_contents
    from mmlab.report.render.files import to_csv, to_json, to_text

    if file_format in ("html", "parquet"):
        raise click.UsageError(f"{file_format} is for files; add --out report.{file_format}")
    with reading(db) as store:
        contents = read_contents(store, _run_ids(store, runs))
        if file_format in ("md", "tex"):
            text = to_text(store, contents, file_format, table)
        elif file_format == "csv":
            text = to_csv(contents.table(table or "leaderboard"))
        else:
            text = to_json(contents, table)
        click.echo(text, nl=False)
    _say_if_empty(contents, table)


def _write(
    runs: Collection[str],
    out: Path,
    file_format: str | None,
    table: Table | None,
    db: str,
    curves: Collection[str],
) -> None:
    from mmlab.report.contents import read_contents
    from mmlab.report.render.files import Format, report_format, write_report

    if table and report_format(out, file_format) == "html":
        raise click.UsageError("an HTML page shows every table; leave out --table")
    with reading(db) as store:
        ids, drawn = _run_ids(store, runs), _run_ids(store, curves)
        chosen = cast("Format | None", file_format)
        write_report(store, ids, out, chosen, table=table, curves=drawn)
        if table and table not in VIEWS:
            _say_if_empty(read_contents(store, ids), table)
    say(f"wrote {out}")


def _write_pictures(runs: Collection[str], curves: Collection[str], folder: Path, db: str) -> None:
    from mmlab.report.pictures.gather import read_pictures
    from mmlab.report.render.svg import write_pictures

    with reading(db) as store:
        found = read_pictures(store, _run_ids(store, runs), _run_ids(store, curves))
    paths = write_pictures(found, folder)
    if not paths:
        say("there is nothing to draw")
    for path in paths:
        say(f"wrote {path}")
