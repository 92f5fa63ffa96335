"""A prompt study: what each template is worth alone, and what is lost without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from markupsafe import Markup

from mmlab.report.boards.words import figure_text
from mmlab.report.pictures.axes import Axis, Frame, draw_axes, extent, x_axis
from mmlab.report.pictures.drawing import LINE, element, hover, joined, text, text_width
from mmlab.report.pictures.lists import WIDTH, draw_list, height, list_frame
from mmlab.report.pictures.picture import Picture, file_name

#: Templates drawn: the best of them alone.
SHOWN = 24
ALONE, WITHOUT = "alone: ", "without: "
_TOGETHER = ("all", "selected")

# Rows of frames: values of whatever column.
Row = dict[str, Any]


@dataclass(frozen=True)
class Template:
    """A template's row alone, and that of all others without it."""

    name: str
    alone: Row
    without: Row | None


def templates_of(by_condition: Mapping[str, Row]) -> list[Template]:
    """The templates of a study, the best alone first (of errors the least)."""
    found = [
        Template(name, row, by_condition.get(f"{WITHOUT}{name}"))
        for name, row in (
            (condition.removeprefix(ALONE), row)
            for condition, row in by_condition.items()
            if condition.startswith(ALONE)
        )
    ]
    return sorted(found, key=lambda one: one.alone["mean"] * _sign(one.alone))


def prompts_picture(rows: pl.DataFrame, group: str, title: str) -> Picture | None:
    """The picture of one group's leaderboard rows of one study and metric; None for no template."""
    known = rows.filter(pl.col("mean").is_not_null())
    by_condition = {row["condition"]: row for row in known.to_dicts()}
    templates = templates_of(by_condition)
    if not templates:
        return None
    shown = templates[:SHOWN]
    together = [by_condition[name] for name in _TOGETHER if name in by_condition]
    drawn = [*together, *(r for one in shown for r in (one.alone, one.without) if r)]
    metric, unit = drawn[0]["metric"], drawn[0]["unit"]
    frame = list_frame([one.name for one in shown], top=3.4 * LINE)
    axis = x_axis(metric, extent([row["mean"] for row in drawn], unit), frame, unit)

    def marks(place: int, y: float) -> Markup:
        return joined(_marks(shown[place], axis, y))

    body = joined(
        [
            *_legend(frame),
            *_together(together, axis, frame),
            draw_list([one.name for one in shown], frame, axis, marks),
            draw_axes(frame, axis, None),
        ]
    )
    hidden = len(templates) - len(shown)
    return Picture(
        name=file_name("prompts", title),
        title=f"Prompts · {title} · {group}",
        caption=_CAPTION
        + (f" {hidden} templates that are worse alone are not drawn." * (hidden > 0)),
        width=WIDTH,
        height=height(frame),
        body=body,
    )


_CAPTION = (
    "A filled mark is a template alone, a ring all others without it: where the ring lies on the "
    "worse side of the line of all, the template helps the others, and where it lies on the better "
    "side, they do better without it."
)


def _sign(row: Row) -> int:
    return 1 if row["better"] == "lower" else -1


def _marks(one: Template, axis: Axis, y: float) -> Sequence[Markup]:
    told = hover(f"alone: {one.name}", figure_text(one.alone))
    alone = element("circle", told, class_="mark k0", cx=axis.scale(one.alone["mean"]), cy=y, r=5)
    if one.without is None:
        return [alone]
    told = hover(f"without: {one.name}", figure_text(one.without))
    place = axis.scale(one.without["mean"])
    return [element("circle", told, class_="ring k1", cx=place, cy=y, r=6), alone]


def _together(rows: Sequence[Row], axis: Axis, frame: Frame) -> Sequence[Markup]:
    """A line for all templates and one for those that were selected, named above."""
    parts, taken = [], 0.0
    for row in sorted(rows, key=lambda row: axis.scale(row["mean"])):
        x, name = axis.scale(row["mean"]), row["condition"]
        told = hover(f"{name}: {figure_text(row)}")
        ends = {"x1": x, "x2": x, "y1": frame.top - 4, "y2": frame.bottom}
        parts.append(element("line", told, class_=f"together {name}", **ends))
        half = text_width(name) / 2
        middle = max(min(x, frame.right - half), taken + half)
        parts.append(text(middle, frame.top - 8, name, anchor="middle", role="name"))
        taken = middle + half + LINE / 2
    return parts


def _legend(frame: Frame) -> Sequence[Markup]:
    start = 12.0
    parts = []
    for kind, words in (("mark k0", "this template alone"), ("ring k1", "all others without it")):
        parts.append(element("circle", class_=kind, cx=start, cy=LINE - 4, r=5))
        parts.append(text(start + 10, LINE, words))
        start += text_width(words) + 34
    return parts
