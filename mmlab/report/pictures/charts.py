"""Scales, ticks and the dots of tables: where marks stand, in SVG units; nothing is markup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from mmlab.metric import SHARE

DOT_WIDTH = 150.0
_DOT_MARGIN = 7.0


@dataclass(frozen=True)
class Scale:
    """A straight line from values in [low, high] to units in [start, end].

    With `is_log` equal ratios of values, which are above 0, take equal room.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value, rounded to what an eye can tell."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = (value - low) / (high - low)
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


def axis_range(unit: str, part: pl.DataFrame) -> tuple[float, float]:
    """The range of a comparison's dots: all means and intervals, within [0, 1] for shares."""
    columns = [part[name].drop_nulls() for name in ("mean", "low", "high")]
    values = [value for value in pl.concat(columns) if math.isfinite(value)]
    low, high = padded(values)
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


def padded(values: Sequence[float]) -> tuple[float, float]:
    """The range of values with a little room around them; 0 to 1 for none."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or abs(low) * 0.1 or 0.5
    return low - margin, high + margin
