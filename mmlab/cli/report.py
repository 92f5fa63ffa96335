"""`mmlab report`: what the stored runs say together."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmlab.cli.output import (
    color_option,
    console,
    db_option,
    json_option,
    print_json,
    say,
    table,
    verbosity_options,
)

if TYPE_CHECKING:
    import polars as pl

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
    raise NotImplementedError
