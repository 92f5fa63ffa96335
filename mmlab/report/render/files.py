"""Reports as files: HTML, Markdown, LaTeX, CSV, JSON and Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from mmlab.errors import UsageError, explain
from mmlab.files import write_whole
from mmlab.report.boards.board import Board, Entry
from mmlab.report.contents import (
    FAILURE_HEADINGS,
    TABLES,
    VIEWS,
    Contents,
    Table,
    ViewName,
    all_boards,
    failure_cells,
    read_contents,
)
from mmlab.report.frames import Runs, of_view
from mmlab.store import Store

Format = Literal["html", "md", "tex", "csv", "json", "parquet"]
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
    table: Table | ViewName | None = None,
    curves: Runs = None,
) -> None:
    """Write a report on the done runs (all of them for None) to a file, whole or not at all.

    Without a format the file's ending decides. Markdown and HTML are for reading, LaTeX for a
    paper; JSON holds the rows of every table, CSV and Parquet those of the leaderboard. `table`
    names the only one that is written instead, one of TABLES, or a whole view (VIEWS); an HTML page
    always shows all,
    and draws also the groups of the runs in `curves`.
    Raises UsageError for a format that is none of FORMATS.
    """
    chosen = report_format(path, format)
    if chosen == "html":
        from mmlab.report.page import gather
        from mmlab.report.render.html import render_page

        content = render_page(gather(store, runs, cards, curves)).encode()
    elif table is not None and table not in TABLES:
        content = _view(store, runs, chosen, table)
    else:
        content = _table(store, read_contents(store, runs), chosen, table)
    write_whole(path, content, "report")


def to_text(store: Store, contents: Contents, format: str, table: Table | None = None) -> str:
    """All tables, or one, as Markdown ("md") or LaTeX ("tex")."""
    found = contents.findings if table in (None, "findings") else None
    failures = contents.failures if table in (None, "failures") else None
    parts = all_boards(store, contents, table)
    if format == "md":
        return to_markdown(parts, failures, found)
    from mmlab.report.render.latex import to_latex

    return to_latex(parts, failures, found)


def to_markdown(
    parts: Iterable[Board],
    failures: pl.DataFrame | None = None,
    findings: pl.DataFrame | None = None,
) -> str:
    """What was found; GitHub tables, one per comparison; and what has failed."""
    tables = [] if findings is None or findings.is_empty() else [_markdown_findings(findings)]
    tables += [_markdown_board(part) for part in parts]
    if failures is not None and not failures.is_empty():
        tables.append(_markdown_failures(failures))
    return "\n".join(tables) or "Nothing to show yet.\n"


def to_csv(board: pl.DataFrame) -> str:
    """A table as CSV. Text that a spreadsheet would take for a formula gets a `'` first."""
    harmless = board.with_columns(pl.col(pl.Enum).cast(pl.String))
    text = pl.col(pl.String)
    guarded = pl.when(text.str.contains(_FORMULA)).then(pl.lit("'") + text).otherwise(text)
    return harmless.with_columns(guarded.name.keep()).write_csv()


def to_json(contents: Contents, table: Table | None = None) -> str:
    """Every table, or one, as one JSON document; what is undefined is null."""
    document: dict[str, object] = {"schema_version": JSON_SCHEMA_VERSION}
    document |= {name: contents.table(name).to_dicts() for name in ([table] if table else TABLES)}
    return _dumped(document)


def view_to_json(name: str, rows: pl.DataFrame) -> str:
    """The rows of a view as a JSON document; times as ISO 8601, in UTC."""
    return _dumped({"schema_version": JSON_SCHEMA_VERSION, name: rows.to_dicts()})


def _dumped(document: Mapping[str, object]) -> str:
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1, default=_iso)
    return text + "\n"


def _iso(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(type(value).__name__)
    return value.isoformat()


def _table(store: Store, contents: Contents, format: str, table: Table | None) -> bytes:
    if format in ("md", "tex"):
        return to_text(store, contents, format, table).encode()
    if format == "json":
        return to_json(contents, table).encode()
    return _rows(contents.table(table or "leaderboard"), format)


def _view(store: Store, runs: Runs, format: str, name: str) -> bytes:
    """All rows of a view, for programs. UsageError for Markdown and LaTeX, which are to be read."""
    if format in ("md", "tex"):
        raise UsageError(
            explain(
                name,
                "this table is for programs: it may have a million rows",
                found="Markdown" if format == "md" else "LaTeX",
                allowed="csv, json or parquet",
                next_step=f"name a file that ends so, or add --format csv: {name}.csv, say",
            )
        )
    rows = of_view(store, VIEWS[name], runs)
    return view_to_json(name, rows).encode() if format == "json" else _rows(rows, format)


def _rows(frame: pl.DataFrame, format: str) -> bytes:
    if format == "csv":
        return to_csv(frame).encode()
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def report_format(path: Path, format: str | None = None) -> Format:
    """The named format, or the one that the file's ending names; UsageError if there is no such."""
    ending = path.suffix.lower().removeprefix(".")
    name = format or {"htm": "html", "markdown": "md", "latex": "tex"}.get(ending, ending)
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
    header = ["#", plain(board.heading), *(plain(metric) for metric in board.metrics), "seeds"]
    rows = [
        [entry.placing, plain(entry.label), *_figures(entry), plain(entry.progress)]
        for entry in board.entries
    ]
    rule = ["--:", "---", *("--:" for _ in board.metrics), "--:"]
    lines = [f"### {plain(board.full_title)}", "", *map(markdown_row, [header, rule, *rows]), ""]
    return "\n".join([*lines, plain("; ".join(board.notes)), ""])


def _markdown_findings(findings: pl.DataFrame) -> str:
    told = [f"- {_about(row)}{plain(row['finding'])}" for row in findings.iter_rows(named=True)]
    return "\n".join(["### what was found", "", *told, ""])


def _about(row: Mapping[str, str]) -> str:
    return f"{plain(row['about'])}: " if row["about"] else ""


def _markdown_failures(failures: pl.DataFrame) -> str:
    rows = [[plain(cell) for cell in row] for row in failure_cells(failures)]
    header = [*FAILURE_HEADINGS]
    lines = map(markdown_row, [header, ["---"] * len(header), *rows])
    return "\n".join(["### failures", "", *lines, ""])


def _figures(entry: Entry) -> list[str]:
    return [f"**{f.text}**" if f.is_best else f.text for f in entry.figures]


def markdown_row(cells: Sequence[str]) -> str:
    """A row of a GitHub table."""
    return f"| {' | '.join(cells)} |"


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return text.translate(_SPECIAL)
