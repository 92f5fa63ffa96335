"""Changes of labels between two recipes: which rose and fell, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from mmlab.metric import SHARE
from mmlab.report.boards.words import counted, number
from mmlab.report.compare.comparison import Comparison
from mmlab.report.compare.labels import LabelChange
from mmlab.report.compare.verdicts import Verdict
from mmlab.report.pictures.axes import draw_axes, x_axis
from mmlab.report.pictures.charts import padded
from mmlab.report.pictures.drawing import element, hover, joined
from mmlab.report.pictures.lists import WIDTH, draw_list, height, list_frame
from mmlab.report.pictures.picture import Picture, file_name

#: Labels drawn: those that fell most and those that rose most, so many of each.
SHOWN = 10


def label_changes_pictures(comparison: Comparison) -> list[Picture]:
    """The changes of labels behind each verdict whose details were asked for."""
    found = (
        label_changes_picture(details.labels, comparison.verdicts[place])
        for place, details in comparison.details.items()
    )
    return [picture for picture in found if picture is not None]


def label_changes_picture(changes: Sequence[LabelChange], verdict: Verdict) -> Picture | None:
    """The differences of a verdict's labels, its side minus the baseline; None for no change.

    Filled marks are those that are real (Benjamini and Hochberg).
    """
    before, after, unit = verdict.baseline, verdict.side, verdict.question.unit
    is_lower_better = verdict.question.better == "lower"
    shown = most_changed(changes)
    if not shown:
        return None
    factor = 100.0 if unit == SHARE else 1.0
    names = [one.label for one in shown]
    frame = list_frame(names)
    ends = [0.0, *(e * factor for one in shown for e in _ends(one))]
    axis = x_axis(f"{'points, ' * (unit == SHARE)}{after} minus {before}", padded(ends), frame)
    zero = axis.scale(0.0)

    def marks(place: int, y: float) -> Markup:
        one = shown[place]
        low, value, high = (axis.scale(end * factor) for end in _ends(one))
        way = "up" if (one.difference.value > 0) != is_lower_better else "down"
        kind = f"{way}{'' if one.is_marked else ' unsure'}"
        whisker = {"x1": low, "x2": high, "y1": y, "y2": y}
        told = _told(one, unit, factor)
        return joined(
            [
                element("line", class_="whisker", **whisker),
                element("circle", told, class_=f"mark {kind}", cx=value, cy=y, r=5),
            ]
        )

    line = {"x1": zero, "x2": zero, "y1": frame.top, "y2": frame.bottom}
    body = joined(
        [
            draw_list(names, frame, axis, marks),
            element("line", class_="axis", **line),
            draw_axes(frame, axis, None),
        ]
    )
    return Picture(
        name=file_name("labels", after, verdict.question.name),
        title=f"Labels that changed · {verdict.question.name}",
        caption=_caption(changes, len(shown), verdict, "worse" if is_lower_better else "better"),
        width=WIDTH,
        height=height(frame),
        body=body,
    )


def most_changed(changes: Sequence[LabelChange]) -> list[LabelChange]:
    """Those that fell most and those that rose most, from the largest fall to the largest rise."""
    ordered = sorted(changes, key=lambda one: one.difference.value)
    fell = [one for one in ordered if one.difference.value < 0]
    rose = [one for one in ordered if one.difference.value > 0]
    return [*fell[:SHOWN], *rose[-SHOWN:]]


def _ends(one: LabelChange) -> tuple[float, float, float]:
    found, value = one.difference, one.difference.value
    low, high = found.low, found.high
    return (value if low is None else low, value, value if high is None else high)


def _told(one: LabelChange, unit: str, factor: float) -> Markup:
    return hover(
        f"{one.label}: {counted(one.samples, 'sample')}",
        f"{number(unit, one.before)} before, {number(unit, one.after)} after",
        f"{one.difference.value * factor:+.3g}, {'' if one.is_marked else 'not shown to be '}real",
    )


def _caption(changes: Sequence[LabelChange], shown: int, verdict: Verdict, right: str) -> str:
    real = sum(one.is_marked for one in changes)
    hidden = len(changes) - shown
    more = f" Not drawn: {counted(hidden, 'label')} of less change or none." if hidden else ""
    return (
        f"Right of the line {verdict.side} does {right} than {verdict.baseline}, with 95% "
        f"intervals. Filled marks are real changes, of which at most 5% are not: {real} of "
        f"{counted(len(changes), 'label')}.{more}"
    )
