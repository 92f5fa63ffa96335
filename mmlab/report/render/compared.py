"""A comparison in the terminal, as Markdown, as an HTML page and as plain facts for JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mmlab.errors import UsageError, explain, visible
from mmlab.files import write_whole
from mmlab.report.compare.comparison import Comparison
from mmlab.report.compare.details import Section
from mmlab.report.compare.labels import Details
from mmlab.report.compare.tables import By, sections, summary
from mmlab.report.compare.tradeoffs import TradeOff
from mmlab.report.compare.verdicts import Verdict
from mmlab.report.render.files import markdown_row, plain

FORMATS = ("md", "html", "json")
JSON_SCHEMA_VERSION = 1


def draw_section(section: Section) -> Group:
    """A table for a rich console, with its title and notes."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(section.columns):
        side: Literal["right", "left"] = "right" if section.is_number(place) else "left"
        table.add_column(visible(column), overflow="fold", justify=side)
    for row in section.rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    notes = Text("\n".join(map(visible, section.notes)), style="dim")
    title = Text(visible(section.title), style="bold underline")
    return Group(title, *([table] if section.rows else []), notes)


def facts_of(comparison: Comparison) -> dict[str, object]:
    """All of a comparison as plain values: `verdicts`, `sides`, `ranks`, `trade_offs` and so on."""
    return {
        "summary": summary(comparison),
        "sides": [asdict(side) for side in comparison.sides],
        "verdicts": [_verdict(one) for one in comparison.verdicts],
        "changes": [asdict(change) for change in comparison.changes],
        "details": [
            {"verdict": place, **_of_details(found)} for place, found in comparison.details.items()
        ],
        "ranks": [asdict(one) for one in comparison.ranks],
        "trade_offs": [_trade_off(one) for one in comparison.trade_offs],
        "published": [asdict(one) for one in comparison.published],
        "left_out": {
            "sides": comparison.left_out,
            "samples": comparison.dropped,
            "means": comparison.lacking,
        },
    }


def write_comparison(comparison: Comparison, path: Path, by: By | None = None) -> None:
    """Write a comparison to a file, whole or not at all. UsageError for an unknown ending.

    `by` is as `mmlab.report.compare.tables.sections` has it; JSON has everything.
    """
    write_whole(path, _content(comparison, format_of(path), by).encode(), "comparison")


def format_of(path: Path) -> str:
    """The format that a file's ending names, one of FORMATS. UsageError for an unknown one."""
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise UsageError(
            explain(
                str(path),
                "no such format of comparisons",
                found=ending or "no ending",
                allowed=", ".join(f".{each}" for each in FORMATS),
                next_step="name a file that ends in one of these",
            )
        )
    return ending


def _content(comparison: Comparison, ending: str, by: By | None) -> str:
    if ending == "html":
        from mmlab.report.pictures.comparison import comparison_pictures
        from mmlab.report.render.html import render_comparison

        pictures = comparison_pictures(comparison)
        return render_comparison(summary(comparison), sections(comparison, by), pictures)
    if ending == "md":
        return to_markdown(comparison, by)
    document = {"schema_version": JSON_SCHEMA_VERSION, **facts_of(comparison)}
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def to_markdown(comparison: Comparison, by: By | None = None) -> str:
    """What was found as a list, then a GitHub table for each section."""
    lines = [f"- {plain(line)}" for line in summary(comparison)]
    for section in sections(comparison, by):
        columns = range(len(section.columns))
        rule = ["--:" if section.is_number(place) else "---" for place in columns]
        rows = [[plain(cell) for cell in row] for row in section.rows]
        header = [plain(column) for column in section.columns]
        table = [markdown_row(row) for row in (header, rule, *rows)] if rows else []
        notes = [plain(note) + "  " for note in section.notes]
        lines += ["", f"### {plain(section.title)}", "", *table, "", *notes]
    return "\n".join(lines) + "\n"


def _verdict(verdict: Verdict) -> dict[str, object]:
    question = {k: v for k, v in asdict(verdict.question).items() if k != "evaluations"}
    told = {k: v for k, v in asdict(verdict).items() if k != "question"}
    return {**question, **told, "verdict": verdict.word, "is_real": verdict.is_real}


def _trade_off(found: TradeOff) -> dict[str, object]:
    told = ("value", "low", "high", "covers", "reason")
    rows = zip(found.sides, found.values, found.costs, strict=True)
    sides = [
        {"side": side, **{name: getattr(value, name) for name in told}, "costs": dict(costs)}
        for side, value, costs in rows
    ]
    kept = {name: getattr(found, name) for name in ("question", "metric", "unit", "better")}
    return {**kept, "sides": sides, "fronts": dict(found.fronts)}


def _of_details(found: Details) -> dict[str, object]:
    labels = [{**asdict(one), "is_marked": one.is_marked} for one in found.labels]
    whole = {k: v for k, v in asdict(replace(found, pictures={})).items() if k != "pictures"}
    return {**whole, "labels": labels}
