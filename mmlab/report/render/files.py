"""Reports as files: HTML, Markdown, CSV, JSON and Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from mmlab.errors import UsageError, explain
from mmlab.files import write_whole
from mmlab.report.boards.board import Board, Entry
from mmlab.report.contents import TABLES, Contents, Table, all_boards, read_contents
from mmlab.report.frames import Runs
from mmlab.store import Store

Format = Literal["html", "md", "csv", "json", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
JSON_SCHEMA_VERSION = 1
_FORMULA = r"^[=+\-@\t\r]"
_SPECIAL = str.maketrans(
    {character: f"\\{character}" for character in "\\`*_[]|~#"}
    | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": "<br>", "\r": ""}
)


def write_report(
    store: Store,
    runs: Runs,
    path: Path,
    format: Format | None = None,
    *,
    cards: int = 12,
    table: Table | None = None,
) -> None:
    """Write a report on the done runs (all of them for None) to a file, whole or not at all.

    Without a format the file's ending decides. Markdown and HTML are for reading; JSON holds the
    rows of every table, CSV and Parquet those of the leaderboard. `table` names the only one that
    is written instead; an HTML page always shows all. Raises UsageError for a format that is none
    of FORMATS.
    """
    chosen = report_format(path, format)
    if chosen == "html":
        from mmlab.report.page import gather
        from mmlab.report.render.html import render_page

        content = render_page(gather(store, runs, cards)).encode()
    else:
        content = _table(store, read_contents(store, runs), chosen, table)
    write_whole(path, content, "report")


def to_markdown(parts: Iterable[Board]) -> str:
    """GitHub tables, one per comparison, every mean with its interval."""
    return "\n".join(_markdown_board(part) for part in parts) or "Nothing to show yet.\n"


def to_csv(board: pl.DataFrame) -> str:
    """A table as CSV. Text that a spreadsheet would take for a formula gets a `'` first."""
    harmless = board.with_columns(pl.col("interval").cast(pl.String))
    text = pl.col(pl.String)
    guarded = pl.when(text.str.contains(_FORMULA)).then(pl.lit("'") + text).otherwise(text)
    return harmless.with_columns(guarded.name.keep()).write_csv()


def to_json(contents: Contents, table: Table | None = None) -> str:
    """Every table, or one, as one JSON document; what is undefined is null."""
    document: dict[str, object] = {"schema_version": JSON_SCHEMA_VERSION}
    document |= {name: contents.table(name).to_dicts() for name in ([table] if table else TABLES)}
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _table(store: Store, contents: Contents, format: str, table: Table | None) -> bytes:
    if format == "md":
        return to_markdown(all_boards(store, contents, table)).encode()
    if format == "json":
        return to_json(contents, table).encode()
    frame = contents.table(table or "leaderboard")
    if format == "csv":
        return to_csv(frame).encode()
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def report_format(path: Path, format: str | None = None) -> Format:
    """The named format, or the one that the file's ending names; UsageError if there is no such."""
    ending = path.suffix.lower().removeprefix(".")
    name = format or {"htm": "html", "markdown": "md"}.get(ending, ending)
    for known in FORMATS:
        if name == known:
            return known
    raise UsageError(
        explain(
            str(path),
            "no such format of reports",
            found=name or "neither a format nor an ending",
            allowed=", ".join(FORMATS),
            next_step="name one of these formats, or a file that ends in one",
        )
    )


def _markdown_board(board: Board) -> str:
    header = ["#", "experiment", *(plain(metric) for metric in board.metrics), "seeds"]
    rows = [
        [str(entry.place or ""), plain(entry.label), *_figures(entry), str(entry.seeds)]
        for entry in board.entries
    ]
    rule = ["--:", "---", *("--:" for _ in board.metrics), "--:"]
    lines = [f"### {plain(board.title)}", "", *map(markdown_row, [header, rule, *rows]), ""]
    return "\n".join([*lines, plain("; ".join(board.notes)), ""])


def _figures(entry: Entry) -> list[str]:
    return [f"**{f.text}**" if f.is_best else f.text for f in entry.figures]


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a GitHub table."""
    return f"| {' | '.join(cells)} |"


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return text.translate(_SPECIAL)
