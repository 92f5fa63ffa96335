from __future__ import annotations

import polars as pl

from mmlab.report.pictures.charts import axis_range, dot, dot_scale, ticks


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
