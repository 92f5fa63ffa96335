"""Rows of a picture below each other: a name at the left, marks on one axis at the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from mmlab.report.pictures.axes import Axis, Frame
from mmlab.report.pictures.drawing import LINE, element, joined, text, text_width

WIDTH, ROW = 460.0, 22.0
_NAME_WIDTH, _TOP = 205.0, 10.0


def list_frame(names: Sequence[str], top: float = _TOP) -> Frame:
    """The frame right of the names, as high as they need."""
    width = min(max(map(text_width, names)), _NAME_WIDTH)
    return Frame(width + 12, top, WIDTH - 14, top + ROW * len(names))


def draw_list(
    names: Sequence[str], frame: Frame, axis: Axis, marks: Callable[[int, float], Markup]
) -> Markup:
    """The names, grid lines of the axis, and what `marks` draws for a row at its height."""
    grid = (
        element("line", class_="grid", x1=t.place, x2=t.place, y1=frame.top, y2=frame.bottom)
        for t in axis.ticks
    )
    rows = []
    for place, name in enumerate(names):
        y = frame.top + ROW * (place + 0.5)
        rows.append(text(frame.left - 8, y + 4, name, anchor="end", limit=_NAME_WIDTH))
        rows.append(marks(place, y))
    return joined([*grid, *rows])


def height(frame: Frame) -> float:
    """That of the drawing, with the axis below."""
    return frame.bottom + LINE + 26
