"""Quality against cost: parameters, FLOPs, time and memory, with the Pareto front."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl
from markupsafe import Markup

from mmlab.report.boards.words import figure_text
from mmlab.report.costs import COSTS, Cost, pareto_front
from mmlab.report.pictures.axes import (
    Axis,
    Frame,
    draw_axes,
    extent,
    short,
    wide_extent,
    x_axis,
    y_axis,
)
from mmlab.report.pictures.drawing import element, fitted, hover, joined, text, units
from mmlab.report.pictures.marks import Box, place_labels
from mmlab.report.pictures.names import Key, group_names
from mmlab.report.pictures.picture import Picture, file_name

_WIDTH, _FRAME = 460.0, Frame(56, 34, 444, 254)
#: Groups beyond the front that are drawn: the best of them.
_MOST_MARKS = 200
_NAME_WIDTH = 150.0


@dataclass(frozen=True)
class Mark:
    """A recipe at its cost; `told` is its value with the interval."""

    name: str
    cost: float
    value: float
    low: float | None
    high: float | None
    told: str


def cost_pictures(
    part: pl.DataFrame, costs: Mapping[Key, Mapping[str, float]], title: str
) -> Iterator[Picture]:
    """A picture for each cost in which the rows differ.

    `part` are a comparison's leaderboard rows of one metric that has a direction.
    """
    rows = part.filter(pl.col("mean").is_not_null()).to_dicts()
    names = group_names(rows)
    metric, better, unit = part["metric"][0], part["better"][0], part["unit"][0]
    for cost in COSTS:
        marks = []
        for row in rows:
            key = row["experiment"], row["group_hash"]
            value = costs.get(key, {}).get(cost.name)
            if value is not None:
                ends = row["mean"], row["low"], row["high"]
                marks.append(Mark(names[key], value, *ends, figure_text(row)))
        if len({mark.cost for mark in marks}) > 1:
            yield cost_picture(marks, cost, metric, unit, title, 1 if better == "higher" else -1)


def cost_picture(
    marks: Sequence[Mark], cost: Cost, metric: str, unit: str, title: str, sign: int
) -> Picture:
    """The recipes of a comparison at one cost; `sign` is minus one where less is better."""
    front = pareto_front([(mark.cost, sign * mark.value) for mark in marks])
    is_front = set(front)
    shown = [marks[place] for place in front]
    shown += [mark for place, mark in enumerate(marks) if place not in is_front][:_MOST_MARKS]
    x_extent, is_log = wide_extent([mark.cost for mark in shown])
    x = x_axis(cost.axis + ", logarithmic" * is_log, x_extent, _FRAME, None, is_log=is_log)
    y = y_axis(metric, extent([end for mark in shown for end in _ends(mark)], unit), _FRAME, unit)
    body = joined(
        [
            draw_axes(_FRAME, x, y),
            *(_whisker(mark, x, y) for mark in shown),
            _front_line(shown[: len(front)], x, y),
            *(_mark(mark, place < len(front), cost, x, y) for place, mark in enumerate(shown)),
            *_labels(shown, len(front), x, y),
        ]
    )
    hidden = len(marks) - len(shown)
    caption = (
        "The line is the Pareto front: nothing that costs as little is better. Bars are 95% "
        "intervals, so that a neighbour below the front may belong to it"
        f"{f'; {hidden:,} more are not drawn' if hidden else ''}."
    )
    return Picture(
        name=file_name("cost", cost.name, title),
        title=f"{metric} against {cost.name} · {title}",
        caption=caption,
        width=_WIDTH,
        height=_FRAME.bottom + 40,
        body=body,
    )


def _ends(mark: Mark) -> list[float]:
    """Its value, and the ends of its interval where it has one."""
    return [end for end in (mark.value, mark.low, mark.high) if end is not None]


def _box(places: Iterable[tuple[float, float]]) -> Box:
    """The room that a thin line between places takes."""
    across, down = zip(*places, strict=True)
    return Box(min(across) - 1, min(down) - 1, max(across) + 1, max(down) + 1)


def _whisker(mark: Mark, x: Axis, y: Axis) -> Markup:
    if mark.low is None or mark.high is None:
        return Markup("")
    place = x.scale(mark.cost)
    ends = {"y1": y.scale(mark.low), "y2": y.scale(mark.high)}
    return element("line", class_="whisker", x1=place, x2=place, **ends)


def _front_line(front: Iterable[Mark], x: Axis, y: Axis) -> Markup:
    """Steps from each of the front to the next: in between the cheaper one is the best there is."""
    places = [(x.scale(mark.cost), y.scale(mark.value)) for mark in front]
    start, *others = places
    path = f"M{units(start[0])} {units(start[1])}"
    return element("path", class_="front", d=path + "".join(_step(*place) for place in others))


def _step(x: float, y: float) -> str:
    return f"H{units(x)}V{units(y)}"


def _mark(mark: Mark, is_front: bool, cost: Cost, x: Axis, y: Axis) -> Markup:
    return element(
        "circle",
        hover(mark.name, mark.told, f"{cost.axis}: {short(mark.cost)}"),
        class_="mark k0" if is_front else "mark other",
        cx=x.scale(mark.cost),
        cy=y.scale(mark.value),
        r=5,
    )


def _labels(marks: Sequence[Mark], front: int, x: Axis, y: Axis) -> Iterator[Markup]:
    """Names that cover neither marks nor intervals nor the line of the front."""
    places = [(x.scale(mark.cost), y.scale(mark.value)) for mark in marks]
    names = [fitted(mark.name, _NAME_WIDTH) for mark in marks]
    drawn = [_box((x.scale(m.cost), y.scale(end)) for end in _ends(m)) for m in marks]
    for (from_x, from_y), (to_x, to_y) in pairwise(places[:front]):
        drawn += [_box([(from_x, from_y), (to_x, from_y)]), _box([(to_x, from_y), (to_x, to_y)])]
    for label in place_labels(places, names, _FRAME, drawn):
        yield text(label.x, label.y, label.text)
