"""Axes of a picture: ranges, round ticks, names, a grid, and labels that keep apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from scipy.optimize import isotonic_regression

from mmlab.metric import SHARE
from mmlab.report.boards.words import axis_number
from mmlab.report.pictures.charts import Scale, Tick, padded, ticks
from mmlab.report.pictures.drawing import LETTER, LINE, element, joined, text, text_width

#: Values whose ratio is larger stand on a logarithmic axis, where they may.
_LOG_RATIO = 30.0
_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Frame:
    """The part of a drawing that the axes enclose, in its units."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Axis:
    """A scale with its name and the ticks on it."""

    scale: Scale
    name: str
    ticks: tuple[Tick, ...]


def x_axis(
    name: str,
    extent: tuple[float, float],
    frame: Frame,
    unit: str | None = "",
    count: int = 4,
    *,
    is_log: bool = False,
) -> Axis:
    """The axis below a frame; values of no unit (None) are written short: 12k."""
    scale = Scale(*extent, frame.left, frame.right, is_log)
    found = (Tick(scale(value), _value(unit, value)) for value in _round(scale, count))
    return Axis(scale, name, _apart(found))


def y_axis(
    name: str, extent: tuple[float, float], frame: Frame, unit: str = "", count: int = 5
) -> Axis:
    """The axis left of a frame, upwards."""
    scale = Scale(*extent, frame.bottom, frame.top)
    found = [Tick(scale(value), _value(unit, value)) for value in ticks(*extent, count)]
    return Axis(scale, name, tuple(found))


def extent(values: Iterable[float], unit: str = "") -> tuple[float, float]:
    """The range of an axis: of the finite values with a little room, within [0, 1] for shares."""
    low, high = padded([value for value in values if math.isfinite(value)])
    return (max(low, 0.0), min(high, 1.0)) if unit == SHARE else (low, high)


def wide_extent(values: Sequence[float]) -> tuple[tuple[float, float], bool]:
    """The range of an axis, and whether it is logarithmic: for values of very different size."""
    low, high = min(values), max(values)
    if low > 0 and high / low > _LOG_RATIO:
        room = (high / low) ** 0.06
        return (low / room, high * room), True
    return extent(values), False


def draw_axes(frame: Frame, x: Axis | None, y: Axis | None) -> Markup:
    """Grid lines of y, ticks of x, and the names of both: y's above the frame, x's below."""
    return joined([*(_draw_x(frame, x) if x else ()), *(_draw_y(frame, y) if y else ())])


def short(value: float) -> str:
    """A large number in a few letters.

    >>> short(129127), short(36_110_336), short(4.25), short(0)
    ('129k', '36.1M', '4.25', '0')
    """
    for size, suffix in _SUFFIXES:
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places for labels, at least `gap` apart and in order, as near as may be to those wanted.

    They stay within [low, high] where all have room. Least squares: isotonic regression.

    >>> spread([5.0, 5.0, 30.0], 10.0, 0.0, 100.0)
    [0.0, 10.0, 30.0]
    """
    order = np.argsort(places, kind="stable")
    steps = np.arange(len(order)) * gap
    wanted = np.asarray(places, dtype=np.float64)[order] - steps
    fitting = isotonic_regression(wanted).x if len(order) else wanted
    last = max(low, high - (steps[-1] if len(order) else 0.0))
    found = np.empty(len(order))
    found[order] = np.clip(fitting, low, last) + steps
    return [float(place) for place in found]


def _draw_x(frame: Frame, axis: Axis) -> Iterable[Markup]:
    line = {"y1": frame.bottom, "y2": frame.bottom}
    yield element("line", class_="axis", x1=frame.left, x2=frame.right, **line)
    for tick in axis.ticks:
        ends = {"y1": frame.bottom, "y2": frame.bottom + 4}
        yield element("line", class_="axis", x1=tick.place, x2=tick.place, **ends)
        yield text(tick.place, frame.bottom + 4 + LETTER, tick.text, anchor="middle")
    middle = (frame.left + frame.right) / 2
    below = frame.bottom + 4 + LETTER + LINE
    yield text(middle, below, axis.name, anchor="middle", role="name")


def _draw_y(frame: Frame, axis: Axis) -> Iterable[Markup]:
    for tick in axis.ticks:
        line = {"y1": tick.place, "y2": tick.place}
        yield element("line", class_="grid", x1=frame.left, x2=frame.right, **line)
        yield text(frame.left - 5, tick.place + 4, tick.text, anchor="end")
    yield text(2, frame.top - 12, axis.name, role="name")


def _round(scale: Scale, count: int) -> list[float]:
    if not scale.is_log:
        return ticks(scale.low, scale.high, count)
    powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    found = [
        factor * 10.0**power
        for power in powers
        for factor in (1, 3)
        if scale.low <= factor * 10.0**power <= scale.high
    ]
    step = max(1, math.ceil(len(found) / (2 * count)))
    return found[::step]


def _value(unit: str | None, value: float) -> str:
    return short(value) if unit is None else axis_number(unit, value)


def _apart(found: Iterable[Tick]) -> tuple[Tick, ...]:
    """The ticks whose texts do not touch those before."""
    kept: list[Tick] = []
    for tick in found:
        if not kept or tick.place - kept[-1].place > _room(tick, kept[-1]):
            kept.append(tick)
    return tuple(kept)


def _room(one: Tick, other: Tick) -> float:
    return (text_width(one.text) + text_width(other.text)) / 2 + LETTER / 2
