"""Missing-modality curves: what is left with fewer inputs, and with noise in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import polars as pl
from markupsafe import Markup

from mmlab.metric import SHARE
from mmlab.report.boards.words import figure_text
from mmlab.report.pictures.axes import Axis, Frame, draw_axes, extent, x_axis, y_axis
from mmlab.report.pictures.charts import Scale, Tick
from mmlab.report.pictures.drawing import (
    COLOURS,
    LINE,
    element,
    fitted,
    hover,
    joined,
    units,
)
from mmlab.report.pictures.marks import END_GAP, End, end_labels, end_width
from mmlab.report.pictures.names import Key, group_names
from mmlab.report.pictures.picture import Picture, file_name

#: Subsets of inputs that stand beside each other; of more only how many inputs are there.
_MOST_SUBSETS = 8
_WIDTH, _TOP, _BOTTOM = 460.0, 34.0, 214.0

# Rows of frames: values of whatever column.
Row = dict[str, Any]


@dataclass(frozen=True)
class Spot:
    """A value of one group at a place of the axis, and what is told of it."""

    x: float
    value: float
    width: float | None
    told: tuple[str, ...]


@dataclass(frozen=True)
class Series:
    """One group's values from left to right."""

    colour: int
    name: str
    spots: tuple[Spot, ...]


def missing_pictures(rows: pl.DataFrame, metric: str, title: str) -> Iterator[Picture]:
    """A picture of the subsets of inputs, and one of the noise in each of them.

    `rows` are those of a frame of `robustness` of one evaluation and metric, groups in the order in
    which they are drawn; more than COLOURS are left out.
    """
    known = rows.filter(pl.col("mean").is_not_null() & pl.col("present").is_not_null())
    keys = list(dict.fromkeys(known.select("experiment", "group_hash").iter_rows()))[:COLOURS]
    names = group_names(known.to_dicts())
    by_group = {key: _of(known, key) for key in keys}
    hidden = known.select("experiment", "group_hash").n_unique() - len(keys)
    labelled = [(names[key], by_group[key]) for key in keys]
    yield from _subsets(labelled, metric, title, hidden)
    noisy = sorted({row["noisy"] for _, of in labelled for row in of if row["noisy"]})
    for modality in noisy:
        yield _noise(labelled, modality, metric, title, hidden)


Labelled = Sequence[tuple[str, Sequence[Row]]]


def _subsets(groups: Labelled, metric: str, title: str, hidden: int) -> Iterator[Picture]:
    """Of few subsets each by itself, all inputs first; of many the means by how many there are."""
    clean = [(name, [row for row in rows if not row["noisy"]]) for name, rows in groups]
    subsets = _falling([row for _, rows in clean for row in rows])
    if len(subsets) < 2:
        return
    is_each = len(subsets) <= _MOST_SUBSETS
    places = {one: float(n if is_each else -_size(one)) for n, one in enumerate(subsets)}
    words = {places[one]: one if is_each else f"{-places[one]:g}" for one in subsets}
    series = [
        Series(colour, name, tuple(_spots(rows, lambda row: places[row["present"]], metric)))
        for colour, (name, rows) in enumerate(clean)
    ]
    yield _picture(
        [one for one in series if one.spots],
        metric,
        "inputs that are there" if is_each else "how many inputs are there (mean over subsets)",
        words,
        clean[0][1][0]["unit"],
        title=f"{metric} with fewer inputs · {title}",
        caption="How far a line falls is what the model loses with the inputs that are missing; "
        "one that was trained on an input alone has no value elsewhere",
        hidden=hidden,
        name=file_name("inputs", metric, title),
    )


def _noise(groups: Labelled, modality: str, metric: str, title: str, hidden: int) -> Picture:
    """Against the noise in one input; without noise is what the group reaches with all inputs."""
    series = []
    for colour, (name, rows) in enumerate(groups):
        noisy = [row for row in rows if row["noisy"] == modality]
        all_inputs = max((row["present"] for row in noisy), default="", key=len)
        clean = [row for row in rows if not row["noisy"] and row["present"] == all_inputs]
        spots = tuple(_spots([*clean, *noisy], lambda row: row["level"] or 0.0, metric))
        if noisy:
            series.append(Series(colour, name, spots))
    return _picture(
        series,
        metric,
        f"noise in {modality}, deviations of its features",
        None,
        groups[0][1][0]["unit"],
        title=f"{metric} with noise in {modality} · {title}",
        caption="A flat line is a model that hardly uses this input, or does not need it; one that "
        "falls relies on it",
        hidden=hidden,
        name=file_name("noise", modality, metric, title),
    )


# How a row is placed is a function of the caller's.
def _spots(rows: Sequence[Row], place: Any, metric: str) -> Iterator[Spot]:
    by_place: dict[float, list[Row]] = {}
    for row in rows:
        by_place.setdefault(float(place(row)), []).append(row)
    for x in sorted(by_place):
        found = by_place[x]
        told = tuple(f"{row['condition']}: {figure_text(row)}" for row in found[:_MOST_SUBSETS])
        widths = [r["high"] - r["low"] for r in found if r["low"] is not None]
        width = fmean(widths) if widths else None
        yield Spot(x, fmean(row["mean"] for row in found), width, told)


def _picture(
    series: Sequence[Series],
    metric: str,
    axis: str,
    words: dict[float, str] | None,
    unit: str,
    *,
    title: str,
    caption: str,
    hidden: int,
    name: str,
) -> Picture:
    width = end_width([one.name for one in series])
    right = _WIDTH - width - END_GAP - 2
    frame = Frame(56, _TOP, right, max(_BOTTOM, _TOP + LINE * len(series)))
    places = [spot.x for one in series for spot in one.spots]
    x = _categories(axis, words, frame) if words else _levels(axis, places, frame)
    values = [spot.value for one in series for spot in one.spots]
    interval = _typical_width(series)
    room = max((interval or 0.0) - (max(values) - min(values)), 0.0) / 2
    values += [min(values) - room, max(values) + room]
    y = y_axis(metric, extent(values, unit), frame, unit)
    drawn = (part for one in series for part in _draw(one, x, y))
    ends = [_end(one, x, y) for one in series]
    body = joined([draw_axes(frame, x, y), *drawn, *end_labels(ends, frame, width)])
    more = f" {hidden} more groups are not drawn." if hidden else ""
    said = f"{caption}.{_interval_words(interval, unit)}{more}"
    return Picture(name, title, said, _WIDTH, frame.bottom + 40, body)


def _levels(axis: str, places: Sequence[float], frame: Frame) -> Axis:
    last = max(places)
    return x_axis(axis, (0.0, last if last > 0 else 1.0), frame)


def _categories(axis: str, words: dict[float, str], frame: Frame) -> Axis:
    """Names at equal distances, each cut to the room that it has."""
    low, high = min(words), max(words)
    room = (frame.right - frame.left) / (high - low + 1) - 3
    scale = Scale(low - 0.5, high + 0.5, frame.left, frame.right)
    ticks = (Tick(scale(x), fitted(word, room)) for x, word in words.items())
    return Axis(scale, axis, tuple(ticks))


def _draw(one: Series, x: Axis, y: Axis) -> Iterator[Markup]:
    places = [(x.scale(spot.x), y.scale(spot.value)) for spot in one.spots]
    path = "M" + "L".join(f"{units(a)} {units(b)}" for a, b in places)
    yield element("path", class_=f"line k{one.colour}", d=path)
    for spot, (a, b) in zip(one.spots, places, strict=True):
        told = hover(one.name, *spot.told)
        yield element("circle", told, class_=f"mark k{one.colour}", cx=a, cy=b, r=4)


def _end(one: Series, x: Axis, y: Axis) -> End:
    last = one.spots[-1]
    return End(one.name, one.colour, x.scale(last.x), y.scale(last.value))


def _of(rows: pl.DataFrame, key: Key) -> list[Row]:
    is_of = (pl.col("experiment") == key[0]) & (pl.col("group_hash") == key[1])
    return rows.filter(is_of).to_dicts()


def _falling(rows: Sequence[Row]) -> list[str]:
    """Subsets of inputs: all of them first, then fewer, of equally many the best first."""
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row["present"], []).append(row["mean"])
    sign = 1 if rows and rows[0]["better"] == "lower" else -1
    return sorted(values, key=lambda one: (-_size(one), sign * fmean(values[one]), one))


def _size(present: str) -> int:
    return present.count("+") + 1


def _typical_width(series: Sequence[Series]) -> float | None:
    """The median width of the intervals of what is drawn; None where there are none."""
    widths = [spot.width for one in series for spot in one.spots if spot.width is not None]
    return median(widths) if widths else None


def _interval_words(width: float | None, unit: str) -> str:
    """How much of what is seen may be chance."""
    if width is None:
        return ""
    size = f"{100 * width:.2g} points" if unit == SHARE else f"{width:.2g}"
    return f" Intervals (95%) are about {size} wide: smaller steps may be chance."
