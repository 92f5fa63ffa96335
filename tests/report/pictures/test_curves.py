"""Curves: where planted values stand, which come first, and what a pointer tells."""

from __future__ import annotations

import polars as pl
import pytest
from support.svg import Drawn, corners, outside, overlaps, told

from mmlab.report.pictures.curves import curve_pictures

NAMES = {"g0": "sum", "g1": "gating"}


def points(metric: str, group: str, values: list[float | None], step: int = 10) -> pl.DataFrame:
    """A curve whose seeds lie 0.1 around the values."""
    known = [value for value in values if value is not None]
    assert known
    return pl.DataFrame(
        {
            "metric": metric,
            "group_hash": group,
            "step": [step * place for place in range(len(values))],
            "mean": values,
            "low": [None if value is None else value - 0.1 for value in values],
            "high": [None if value is None else value + 0.1 for value in values],
            "position": 0 if "top1" in metric else 1,
            "unit": "share" if "top1" in metric else "",
        },
        schema_overrides={name: pl.Float64 for name in ("mean", "low", "high")},
    )


def test_lines_run_through_the_planted_values_and_bands_around_them() -> None:
    values = [3.0, 2.0, 1.0, 0.5]
    (picture,) = curve_pictures("e", points("train/loss", "g0", values), NAMES)
    drawn = Drawn(picture)
    (line,) = drawn.all("path", "line", "k0")
    places = corners(line.get("d", ""))
    assert [drawn.x_value(x) for x, _ in places] == pytest.approx([0, 10, 20, 30], abs=0.1)
    assert [drawn.y_value(y) for _, y in places] == pytest.approx(values, abs=0.02)
    (band,) = drawn.all("path", "band", "k0")
    heights = [drawn.y_value(y) for _, y in corners(band.get("d", ""))]
    assert heights[:4] == pytest.approx([value + 0.1 for value in values], abs=0.02)
    assert heights[4:] == pytest.approx([value - 0.1 for value in values[::-1]], abs=0.02)


def test_train_and_validation_share_a_picture_and_groups_are_named_at_their_ends() -> None:
    parts = [
        points(f"{split}/loss", group, [2.0, 1.0 + place])
        for place, group in enumerate(NAMES)
        for split in ("train", "validation")
    ]
    (picture,) = curve_pictures("e", pl.concat(parts), NAMES)
    drawn = Drawn(picture)
    assert len(drawn.all("path", "line")) == 4
    assert len(drawn.all("path", "line", "dashed")) == 2
    texts = drawn.texts()
    assert {"sum", "gating", "validation", "train", "loss", "step"} <= set(texts)
    assert overlaps(drawn) == []
    assert outside(drawn) == []


def test_the_main_metric_comes_first_then_the_loss_and_the_rest_is_folded() -> None:
    metrics = ["train/lr", "validation/loss", "train/loss", "validation/a/top1", "train/x"]
    frame = pl.concat([points(metric, "g0", [0.2, 0.4]) for metric in metrics])
    made = curve_pictures("e", frame, NAMES, main="a/top1")
    assert [one.title.split()[0] for one in made] == ["a/top1", "loss", "lr", "x"]
    assert [one.is_more for one in made] == [False, False, True, True]


def test_curves_have_gaps_where_nothing_is_finite() -> None:
    frame = points("train/loss", "g0", [1.0, None, 2.0, 3.0])
    (picture,) = curve_pictures("e", frame, NAMES)
    (line,) = Drawn(picture).all("path", "line")
    assert line.get("d", "").count("M") == 2


def test_a_pointer_tells_every_curve_at_a_step() -> None:
    frame = pl.concat([points("train/loss", "g0", [2.0, 1.0]), points("train/loss", "g1", [4.0])])
    (picture,) = curve_pictures("e", frame, NAMES)
    slices = [told(one) for one in Drawn(picture).all("rect", "slice")]
    assert slices == [
        ["step 0", "sum train: 2", "gating train: 4"],
        ["step 10", "sum train: 1", "gating train: 4"],
    ]


def test_long_names_of_eight_groups_at_one_height_neither_touch_nor_leave() -> None:
    names = {f"g{place}": f"fusion={'long' * 9}{place}" for place in range(8)}
    frame = pl.concat([points("train/loss", group, [1.0, 1.0]) for group in names])
    (picture,) = curve_pictures("e", frame, names)
    drawn = Drawn(picture)
    assert len([text for text in drawn.texts() if "…" in text]) == 8
    assert overlaps(drawn) == []
    assert outside(drawn) == []


def test_a_curve_that_is_nowhere_finite_is_not_drawn() -> None:
    frame = points("train/loss", "g0", [1.0]).with_columns(mean=pl.lit(None, pl.Float64))
    assert curve_pictures("e", frame, NAMES) == []
