"""A critical-difference picture: recipes on one axis, and bars over those not told apart.

Source: Demsar, Journal of Machine Learning Research 7 (2006), 1-30, figure 1. Which recipes are
told apart is not by Nemenyi's test there, which knows datasets alone, but by
`mmlab.statistics.standing` over their samples and seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from mmlab.report.boards.words import axis_number
from mmlab.report.pictures.axes import extent
from mmlab.report.pictures.charts import Scale, ticks
from mmlab.report.pictures.drawing import LETTER, LINE, element, hover, joined, text
from mmlab.report.pictures.picture import Picture, file_name

#: Recipes of one picture.
FEWEST, MOST = 3, 40
_WIDTH, _LABEL_WIDTH, _AXIS_Y, _BAR_GAP = 480.0, 140.0, 46.0, 8.0

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Placed:
    """A recipe's name, where it stands, and that in words."""

    name: str
    value: float
    told: str


@dataclass(frozen=True)
class Standings:
    """Recipes from the best to the last, and the stretches of them that are not told apart.

    A stretch has the places of its first and its last.
    """

    rows: tuple[Placed, ...]
    groups: tuple[tuple[int, int], ...]
    axis: str
    unit: str
    is_lower_better: bool


def stretches(beats: Flags) -> list[tuple[int, int]]:
    """The longest stretches of two rows or more in which no row beats another.

    `beats` (K, K) is true where the row beats the column; rows are in the order of a picture.
    """
    apart = beats | beats.T
    count, found = len(apart), list[tuple[int, int]]()
    for first in range(count):
        last = first
        while last + 1 < count and not apart[last + 1, first : last + 1].any():
            last += 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def ranks_picture(found: Standings, title: str, over: str) -> Picture:
    """The picture; `over` says of what the groups are, datasets and seeds."""
    values = [row.value for row in found.rows]
    low, high = extent(values, found.unit)
    ends = (high, low) if found.is_lower_better else (low, high)
    scale = Scale(*ends, _LABEL_WIDTH + 8, _WIDTH - _LABEL_WIDTH - 8)
    bars, depth = _packed(found, scale)
    top = _AXIS_Y + 12 + depth * _BAR_GAP + 12
    half = (len(found.rows) + 1) // 2
    body = joined(
        [
            *_axis(found, scale, (low, high)),
            *(
                _elbow(row, scale, top + LINE * place, 1)
                for place, row in enumerate(found.rows[:half])
            ),
            *(
                _elbow(row, scale, top + LINE * place, -1)
                for place, row in enumerate(reversed(found.rows[half:]))
            ),
            *(_bar(bar, found) for bar in bars),
        ]
    )
    caption = (
        "The best stands at the right. A bar joins recipes of which none is shown to be better "
        f"than another: {over}. Differences between recipes that no bar joins are real, all of "
        "them together with 95%."
    )
    return Picture(
        name=file_name("ranks", title),
        title=f"What is told apart · {title}",
        caption=caption,
        width=_WIDTH,
        height=top + LINE * half,
        body=body,
    )


@dataclass(frozen=True)
class _Bar:
    start: float
    end: float
    y: float
    group: tuple[int, int]


def _packed(found: Standings, scale: Scale) -> tuple[list[_Bar], int]:
    """Bars on as few levels as keep them apart, and how many levels these are."""
    ends: list[float] = []
    bars = []
    for first, last in reversed(found.groups):  # from the left
        start, end = (scale(found.rows[place].value) for place in (last, first))
        level = next((i for i, taken in enumerate(ends) if start - 4 > taken + 4), len(ends))
        ends[level : level + 1] = [end]
        bars.append(_Bar(start - 3, end + 3, _AXIS_Y + 14 + _BAR_GAP * level, (first, last)))
    return bars, len(ends)


def _axis(found: Standings, scale: Scale, ends: tuple[float, float]) -> Iterator[Markup]:
    yield text(_WIDTH / 2, LETTER, found.axis, anchor="middle", role="name")
    line = {"y1": _AXIS_Y, "y2": _AXIS_Y}
    yield element("line", class_="axis", x1=scale.start, x2=scale.end, **line)
    for value in ticks(*ends, 3):
        place = scale(value)
        yield element("line", class_="axis", x1=place, x2=place, y1=_AXIS_Y - 5, y2=_AXIS_Y)
        shown = axis_number(found.unit, value)
        yield text(place, _AXIS_Y - 9, shown, anchor="middle")


def _elbow(row: Placed, scale: Scale, y: float, side: int) -> Markup:
    """A line from the axis down and out to the name: the better half at the right (side 1)."""
    x = scale(row.value)
    out = _WIDTH - _LABEL_WIDTH if side > 0 else _LABEL_WIDTH
    path = f"M{x:g} {_AXIS_Y:g}V{y:g}H{out:g}"
    name = text(
        out + 4 * side,
        y + 4,
        row.name,
        anchor="start" if side > 0 else "end",
        limit=_LABEL_WIDTH - 8,
    )
    told = hover(row.name, row.told)
    dot = element("circle", told, class_="mark k0", cx=x, cy=_AXIS_Y, r=3.5)
    return joined([element("path", class_="elbow", d=path), dot, name])


def _bar(bar: _Bar, found: Standings) -> Markup:
    first, last = bar.group
    names = [row.name for row in found.rows[first : last + 1]]
    ends = {"x1": bar.start, "x2": bar.end, "y1": bar.y, "y2": bar.y}
    return element("line", hover("not told apart:", *names), class_="group", **ends)
