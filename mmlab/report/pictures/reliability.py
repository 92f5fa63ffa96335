"""A reliability diagram: whether probabilities are as often right as they say.

Source: Guo et al., arXiv:1706.04599, figure 1 and equation 3 (expected calibration error).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl
from markupsafe import Markup

from mmlab.report.boards.words import counted
from mmlab.report.pictures.axes import Axis, Frame, draw_axes, x_axis, y_axis
from mmlab.report.pictures.drawing import element, hover, joined, text
from mmlab.report.pictures.picture import Picture, file_name

_WIDTH, _SIDE, _HISTOGRAM = 400.0, 250.0, 44.0


@dataclass(frozen=True)
class Bin:
    """Predictions whose first label's probability is in (low, high], of all runs together.

    `probability` is their mean, `accuracy` the share that is right.
    """

    low: float
    high: float
    count: int
    probability: float
    accuracy: float


@dataclass(frozen=True)
class Reliability:
    """Bins of some runs together, and the mean of the runs' expected calibration errors."""

    bins: tuple[Bin, ...]
    error: float
    count: int
    runs: int


def read_reliability(rows: pl.DataFrame) -> Reliability | None:
    """The `reliability_bins` of evaluations of one recipe; None where scores are no probabilities.

    The calibration error is each run's own: that of all predictions together would be smaller, as
    runs that are too sure of different samples cancel.
    """
    known = rows.filter(pl.col("probability").is_not_null() & (pl.col("sample_count") > 0))
    if known.is_empty():
        return None
    known = known.with_columns(pl.col("probability", "accuracy").cast(pl.Float64))
    count, gap = pl.col("sample_count"), (pl.col("accuracy") - pl.col("probability")).abs()
    errors = known.group_by("evaluation_id").agg((gap * count).sum() / count.sum())
    mean = [(pl.col(name) * count).sum() / count.sum() for name in ("probability", "accuracy")]
    pooled = known.group_by("bin").agg(
        pl.col("low").first(), pl.col("high").first(), count.sum(), *mean
    )
    bins = pooled.sort("bin").select("low", "high", "sample_count", "probability", "accuracy")
    found = tuple(Bin(*row) for row in bins.iter_rows())
    error = float(errors.drop("evaluation_id").to_series().mean() or 0.0)  # type: ignore[arg-type]
    return Reliability(found, error, sum(one.count for one in found), len(errors))


def reliability_picture(found: Reliability, title: str) -> Picture:
    """Share of right predictions against their probability, and how many of them there are."""
    frame = Frame(50, 34, 50 + _SIDE, 34 + _SIDE)
    lower = Frame(frame.left, frame.bottom + 16, frame.right, frame.bottom + 16 + _HISTOGRAM)
    x = x_axis("probability of the label ranked first", (0.0, 1.0), lower, "share")
    y = y_axis("ranked first and right", (0.0, 1.0), frame, "share")
    ideal = {"x1": frame.left, "y1": frame.bottom, "x2": frame.right, "y2": frame.top}
    body = joined(
        [
            draw_axes(frame, None, y),
            element("line", class_="ideal", **ideal),
            draw_axes(lower, x, None),
            *_bins(found.bins, x, y, frame),
            *_histogram(found.bins, x, lower),
            *_said(found, frame.right + 10, frame.top + 10),
        ]
    )
    caption = (
        "Dots below the line are too sure, dots above it not sure enough; bars from the line are "
        "the gap. Below: how many predictions are of each probability, and dots of few of them "
        "are small and say little. ECE: expected calibration error, the mean gap over predictions"
    )
    return Picture(
        name=file_name("reliability", title),
        title=f"Reliability · {title}",
        caption=f"{caption}; {_over(found)}.",
        width=_WIDTH,
        height=lower.bottom + 40,
        body=body,
    )


def _bins(bins: Sequence[Bin], x: Axis, y: Axis, frame: Frame) -> Iterator[Markup]:
    largest = max(one.count for one in bins)
    for one in bins:
        place, top = x.scale(one.probability), y.scale(one.accuracy)
        gap = {"x1": place, "x2": place, "y1": y.scale(one.probability), "y2": top}
        yield element("line", class_="gap", **gap)
        radius = 2 + 5 * math.sqrt(one.count / largest)
        yield element("circle", _told(one), class_="mark k0", cx=place, cy=top, r=radius)


def _histogram(bins: Sequence[Bin], x: Axis, frame: Frame) -> Iterator[Markup]:
    largest = max(one.count for one in bins)
    for one in bins:
        height = (frame.bottom - frame.top) * one.count / largest
        left, right = x.scale(one.low), x.scale(one.high)
        bar = {"x": left + 0.5, "width": right - left - 1, "height": height}
        yield element("rect", _told(one), class_="bar", y=frame.bottom - height, **bar)
    yield text(frame.left - 5, frame.top + 8, f"{largest:,}", anchor="end", role="count")


def _told(one: Bin) -> Markup:
    return hover(
        f"probability {one.low:.2f} to {one.high:.2f}: {counted(one.count, 'prediction')}",
        f"mean probability {100 * one.probability:.1f}%",
        f"right {100 * one.accuracy:.1f}%",
    )


def _said(found: Reliability, x: float, y: float) -> Iterator[Markup]:
    yield text(x, y, "ECE", role="name")
    yield text(x, y + 16, f"{100 * found.error:.1f} points", role="strong")


def _over(found: Reliability) -> str:
    samples = counted(found.count // found.runs, "sample")
    if found.runs == 1:
        return f"{100 * found.error:.1f} points over {samples}"
    return f"{100 * found.error:.1f} points, the mean of {found.runs} runs over {samples} each"
