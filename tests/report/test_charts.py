from __future__ import annotations

import polars as pl

from mmlab.report.charts import axis_range, curve_charts, dot, dot_scale, ticks


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0.13, 0.87) == [0.2, 0.4, 0.6, 0.8]
    assert ticks(-3.0, 1200.0) == [0.0, 500.0, 1000.0]


def test_an_interval_beyond_the_axis_is_cut_and_says_so() -> None:
    part = pl.DataFrame({"mean": [0.5, 0.6], "low": [-3.0, 0.55], "high": [4.0, 0.65]})
    scale = dot_scale(axis_range("share", part))
    wide, narrow = (dot(scale, *row) for row in part.iter_rows())
    assert (scale.low, scale.high) == (0, 1)
    assert (wide.start, wide.end, wide.is_cut) == (scale.start, scale.end, True)
    assert not narrow.is_cut


def test_equal_means_still_have_an_axis() -> None:
    nothing = pl.Series([None], dtype=pl.Float64)
    part = pl.DataFrame({"mean": [0.0], "low": nothing, "high": nothing})
    scale = dot_scale(axis_range("share", part))
    assert scale.low < scale.high
    assert dot(scale, 0.0, None, None).start is None
    assert dot(scale, None, None, None).centre is None


def test_curves_have_gaps_where_nothing_is_finite() -> None:
    values = [1.0, None, 2.0, 3.0]
    points = pl.DataFrame({"step": range(4), "mean": values, "low": values, "high": values})
    points = points.with_columns(group_hash=pl.lit("a"), metric=pl.lit("train/loss"), position=0)
    (chart,) = curve_charts(points, ["a", "b"])
    (line,) = chart.lines
    assert line.path.count("M") == 2
    assert line.outline == ""


def test_charts_stand_in_the_order_of_declarations_and_others_last_by_name() -> None:
    names = ["train/lr", "x", "train/other", "validation/top1", "validation/loss", "train/loss"]
    positions = [3, None, None, 0, 1, 1]
    points = pl.DataFrame({"metric": names, "position": positions}).with_columns(
        group_hash=pl.lit("a"), step=0, mean=1.0, low=1.0, high=1.0
    )
    charts = curve_charts(points, ["a"])
    assert [c.metric for c in charts] == [
        "validation/top1",
        "train/loss",
        "validation/loss",
        "train/lr",
        "train/other",
        "x",
    ]
