"""Where the marks of a chart stand, in SVG units. Templates draw them; nothing here is markup."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from mmlab.metric import SHARE
from mmlab.report.frames import in_number

#: Colours that a chart can tell apart; further groups are left out of it and said to be.
COLOURS = 8
#: Curves have this shape; the page scales them.
WIDTH, HEIGHT = 320.0, 170.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 16.0, 8.0, 22.0
DOT_WIDTH = 150.0
_DOT_MARGIN = 7.0


@dataclass(frozen=True)
class Scale:
    """A straight line from values in [low, high] to units in [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value, rounded to what an eye can tell."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    place: float
    text: str


@dataclass(frozen=True)
class Dot:
    """A mean and its interval on the axis of its table; `centre` is None for an undefined mean.

    An interval that leaves the axis ends at its border, and `is_cut` says so.
    """

    centre: float | None
    start: float | None
    end: float | None
    is_cut: bool


@dataclass(frozen=True)
class Line:
    """One group's curve: the path of its means, and the outline from least to greatest."""

    colour: int
    path: str
    outline: str


@dataclass(frozen=True)
class Chart:
    """One metric over training steps."""

    metric: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def axis_range(unit: str, part: pl.DataFrame) -> tuple[float, float]:
    """The range of a comparison's dots: all means and intervals, within [0, 1] for shares."""
    columns = [part[name].drop_nulls() for name in ("mean", "low", "high")]
    values = [value for value in pl.concat(columns) if math.isfinite(value)]
    low, high = _padded(values)
    return (max(low, 0.0), min(high, 1.0)) if unit == SHARE else (low, high)


def dot_scale(extent: tuple[float, float]) -> Scale:
    """The axis on which the dots of one table stand."""
    return Scale(*extent, _DOT_MARGIN, DOT_WIDTH - _DOT_MARGIN)


def dot(scale: Scale, mean: float | None, low: float | None, high: float | None) -> Dot:
    """Where one row's mean and interval stand."""
    if mean is None:
        return Dot(None, None, None, False)
    if low is None or high is None:
        return Dot(scale(mean), None, None, False)
    start, end = max(low, scale.low), min(high, scale.high)
    return Dot(scale(mean), scale(start), scale(end), (start, end) != (low, high))


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round values inside [low, high], about `count` of them.

    >>> ticks(0.0, 1.0)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def curve_charts(points: pl.DataFrame, groups: Sequence[str]) -> list[Chart]:
    """One chart per metric of one experiment's `drawn_curves`, a colour per group hash.

    Metrics come in the order in which they are declared, those that nobody declares last. Groups
    beyond COLOURS are not drawn.
    """
    shown = list(groups)[:COLOURS]
    points = points.filter(pl.col("group_hash").is_in(shown))
    ordered = points.sort("position", in_number(points["metric"]), nulls_last=True)
    metrics = ordered["metric"].unique(maintain_order=True)
    return [_chart(m, points.filter(pl.col("metric") == m), shown) for m in metrics]


def _chart(metric: str, points: pl.DataFrame, groups: Sequence[str]) -> Chart:
    values = [v for v in pl.concat([points["low"], points["high"]]).drop_nulls()]
    low, high = _padded(values)
    steps = points["step"].to_list()
    first, last = min(steps), max(steps)
    x = Scale(first, last if last > first else first + 1, _LEFT, WIDTH - _RIGHT)
    y = Scale(low, high, HEIGHT - _BOTTOM, _TOP)
    lines = [
        _line(colour, points.filter(pl.col("group_hash") == group), x, y)
        for colour, group in enumerate(groups)
    ]
    return Chart(
        metric,
        tuple(line for line in lines if line.path),
        tuple(Tick(x(value), f"{value:,.0f}") for value in _whole(ticks(x.low, x.high, 3))),
        tuple(Tick(y(value), f"{value:.4g}") for value in ticks(low, high)),
    )


def _line(colour: int, points: pl.DataFrame, x: Scale, y: Scale) -> Line:
    """A curve with gaps where the mean is undefined; the outline spans each stretch by itself."""
    path, outline = [], []
    for stretch in _stretches(points.sort("step").iter_rows(named=True)):
        path.append(_path((x(p["step"]), y(p["mean"])) for p in stretch))
        upper = [(x(p["step"]), y(p["high"])) for p in stretch]
        lower = [(x(p["step"]), y(p["low"])) for p in stretch]
        if any(p["high"] > p["low"] for p in stretch):
            outline.append(_path([*upper, *reversed(lower)]) + "Z")
    return Line(colour, "".join(path), "".join(outline))


Point = dict[str, float]


def _stretches(points: Iterable[Point]) -> list[list[Point]]:
    found: list[list[Point]] = [[]]
    for point in points:
        if point["mean"] is not None:
            found[-1].append(point)
        elif found[-1]:
            found.append([])
    return [stretch for stretch in found if stretch]


def _path(points: Iterable[tuple[float, float]]) -> str:
    corners = [f"{x:g} {y:g}" for x, y in points]
    # A single point has no length; a round line cap still draws it.
    return "M" + "L".join(corners if len(corners) > 1 else corners * 2)


def _padded(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or abs(low) * 0.1 or 0.5
    return low - margin, high + margin


def _whole(values: Iterable[float]) -> list[float]:
    return [value for value in values if value == int(value)]
