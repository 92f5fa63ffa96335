"""Training curves: a picture for each quantity, its train and validation values together."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import polars as pl
from markupsafe import Markup

from mmlab.report.boards.words import number
from mmlab.report.frames import in_number
from mmlab.report.pictures.axes import (
    Axis,
    Frame,
    draw_axes,
    extent,
    x_axis,
    y_axis,
)
from mmlab.report.pictures.drawing import (
    COLOURS,
    LINE,
    element,
    fitted,
    hover,
    joined,
    text,
    text_width,
    units,
)
from mmlab.report.pictures.marks import END_GAP, End, end_labels, end_width
from mmlab.report.pictures.picture import Picture, file_name

#: The two splits that curves are of, and the first part of their names.
SPLITS = ("validation", "train")
#: Pictures of one experiment, and how many of them are shown at once.
CHARTS, SHOWN = 9, 2
_WIDTH, _PLOT_HEIGHT = 460.0, 190.0
_LEFT, _TOP, _BELOW = 56.0, 34.0, 40.0
#: Places along the steps at which values are told.
_SLICES = 24

# Rows of frames: values of whatever column.
Row = dict[str, Any]
Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """One group's values of a quantity on one split, in the order of steps."""

    colour: int
    name: str
    split: str
    rows: Sequence[Row]


def ordered_quantities(metrics: Iterable[str], main: str | None) -> list[str]:
    """What curves are of, without their split: the main metric, the loss, then as given.

    >>> ordered_quantities(["train/lr", "train/loss", "validation/a/top1"], "a/top1")
    ['a/top1', 'loss', 'lr']
    """
    found = list(dict.fromkeys(map(quantity_of, metrics)))
    return sorted(found, key=lambda one: (one != main, one != "loss", found.index(one)))


def curve_pictures(
    experiment: str,
    points: pl.DataFrame,
    names: Mapping[str, str],
    main: str | None = None,
    more: str = "",
) -> list[Picture]:
    """A picture for each quantity of one experiment's `drawn_curves`.

    `names` are those of the groups to draw by their hash, at most COLOURS, in the order of their
    colours; `main` is the quantity that stands first, `more` what the captions say besides.
    """
    points = points.filter(pl.col("group_hash").is_in(list(names)[:COLOURS]))
    ordered = points.sort("position", in_number(points["metric"]), nulls_last=True)
    metrics = ordered["metric"].unique(maintain_order=True).to_list()
    quantities = ordered_quantities(metrics, main)
    found = (_picture(experiment, one, points, names) for one in quantities)
    drawn = [picture for picture in found if picture is not None]
    return [
        Picture(
            name=file_name("curves", experiment, quantity),
            title=f"{quantity} in training · {experiment}",
            caption=_caption(curves, more) if place < SHOWN else _CAPTION,
            width=_WIDTH,
            height=height,
            body=body,
            is_more=place >= SHOWN,
        )
        for place, (quantity, curves, height, body) in enumerate(drawn)
    ]


Drawn = tuple[str, Sequence[Curve], float, Markup]


def _picture(
    experiment: str, quantity: str, points: pl.DataFrame, names: Mapping[str, str]
) -> Drawn | None:
    curves = list(_curves(quantity, points, names))
    if not curves:
        return None
    unit = next((row["unit"] for row in curves[0].rows if row["unit"]), "")
    labels = _labelled(curves)
    width = end_width([one.name for one in labels])
    bottom = _TOP + max(_PLOT_HEIGHT, LINE * len(labels))
    frame = Frame(_LEFT, _TOP, _WIDTH - width - END_GAP - 2, bottom)
    steps = [row["step"] for one in curves for row in one.rows]
    first, last = min(steps), max(steps)
    x = x_axis("step", (first, last if last > first else first + 1), frame, None)
    values = [row[end] for one in curves for row in one.rows for end in ("low", "high")]
    y = y_axis(
        fitted(quantity, 200), extent([v for v in values if v is not None], unit), frame, unit
    )
    body = joined(
        [
            draw_axes(frame, x, y),
            *(_band(one, x, y) for one in curves),
            *(_line(one, x, y) for one in curves),
            *end_labels([_end(one, x, y) for one in labels], frame, width),
            *_legend(curves, frame),
            *_slices(curves, frame, x, unit),
        ]
    )
    return quantity, curves, bottom + _BELOW, body


def _curves(quantity: str, points: pl.DataFrame, names: Mapping[str, str]) -> Iterator[Curve]:
    for split in (*SPLITS, ""):
        metric = f"{split}/{quantity}" if split else quantity
        of_metric = points.filter(pl.col("metric") == metric).sort("step")
        for colour, (group, name) in enumerate(list(names.items())[:COLOURS]):
            rows = of_metric.filter(pl.col("group_hash") == group).to_dicts()
            if any(row["mean"] is not None for row in rows):
                yield Curve(colour, name, split, rows)


def quantity_of(metric: str) -> str:
    """What a curve is of, without its split."""
    split, slash, rest = metric.partition("/")
    return rest if slash and split in SPLITS else metric


def _labelled(curves: Sequence[Curve]) -> list[Curve]:
    """Of each group the curve whose end is labelled: on validation where there is one."""
    found: dict[int, Curve] = {}
    for one in curves:
        found.setdefault(one.colour, one)
    return list(found.values())


def _line(curve: Curve, x: Axis, y: Axis) -> Markup:
    """A curve with gaps where the mean is undefined."""
    path = "".join(
        _path((x.scale(row["step"]), y.scale(row["mean"])) for row in stretch)
        for stretch in _stretches(curve.rows)
    )
    dashed = " dashed" if curve.split == "train" else ""
    return element("path", class_=f"line k{curve.colour}{dashed}", d=path)


def _band(curve: Curve, x: Axis, y: Axis) -> Markup:
    """From the least to the greatest seed, each stretch by itself."""
    outline = []
    for stretch in _stretches(curve.rows):
        if any(row["high"] > row["low"] for row in stretch):
            upper = [(x.scale(row["step"]), y.scale(row["high"])) for row in stretch]
            lower = [(x.scale(row["step"]), y.scale(row["low"])) for row in reversed(stretch)]
            outline.append(_path([*upper, *lower]) + "Z")
    return element("path", class_=f"band k{curve.colour}", d="".join(outline)) if outline else _NONE


_NONE = Markup("")


def _stretches(rows: Iterable[Row]) -> list[list[Row]]:
    found: list[list[Row]] = [[]]
    for row in rows:
        if row["mean"] is not None:
            found[-1].append(row)
        elif found[-1]:
            found.append([])
    return [stretch for stretch in found if stretch]


def _path(points: Iterable[Point]) -> str:
    corners = [f"{units(x)} {units(y)}" for x, y in points]
    # A single point has no length; a round line cap still draws it.
    return "M" + "L".join(corners if len(corners) > 1 else corners * 2)


def _end(curve: Curve, x: Axis, y: Axis) -> End:
    last = next(row for row in reversed(curve.rows) if row["mean"] is not None)
    return End(curve.name, curve.colour, x.scale(last["step"]), y.scale(last["mean"]))


def _legend(curves: Sequence[Curve], frame: Frame) -> Iterator[Markup]:
    """Which lines are of which split, where both are drawn; at the upper right."""
    drawn = [split for split in SPLITS if any(one.split == split for one in curves)]
    right, y = _WIDTH - 2, frame.top - 14
    for split in reversed(drawn):
        start = right - text_width(split)
        dashed = " dashed" if split == "train" else ""
        yield element("line", class_=f"sample{dashed}", x1=start - 24, x2=start - 5, y1=y, y2=y)
        yield text(start, y + 4, split)
        right = start - 36


def _slices(curves: Sequence[Curve], frame: Frame, x: Axis, unit: str) -> Iterator[Markup]:
    """Stripes that tell all values where the pointer is."""
    steps = sorted({row["step"] for one in curves for row in one.rows})
    shown = steps[:: max(1, -(-len(steps) // _SLICES))]
    shown = shown if shown[-1] == steps[-1] else [*shown, steps[-1]]
    edges = [x.scale((a + b) / 2) for a, b in pairwise(shown)]
    bounds = [frame.left, *edges, frame.right]
    for place, step in enumerate(shown):
        told = [
            f"{one.name} {one.split}: {number(unit, _at(one.rows, step))}"
            for one in curves
            if one.rows[0]["step"] <= step
        ]
        left, right = bounds[place], bounds[place + 1]
        yield element(
            "rect",
            hover(f"step {step:,}", *told),
            class_="slice",
            x=left,
            y=frame.top,
            width=max(right - left, 0.0),
            height=frame.bottom - frame.top,
        )


def _at(rows: Sequence[Row], step: int) -> float | None:
    """The newest mean at a step."""
    found: float | None = rows[bisect_right(rows, step, key=lambda row: row["step"]) - 1]["mean"]
    return found


def _caption(curves: Sequence[Curve], more: str) -> str:
    last = {one.split for one in curves}
    both = (
        "Where the dashed line (train) goes on and the solid one (validation) does not, more "
        "training no longer helps new samples."
        if last >= set(SPLITS)
        else ""
    )
    long = "Long curves are averaged over stretches of steps."
    return " ".join(filter(None, (both, _CAPTION, long, more)))


_CAPTION = "Lines are means over the seeds of a group, bands reach from the least to the greatest."
