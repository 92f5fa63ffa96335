"""Reliability: bins and the calibration error against a slow loop over planted predictions."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from support.svg import Drawn, at, outside, overlaps

from mmlab.report.pictures.reliability import read_reliability, reliability_picture

BINS = 15


def planted(run: int) -> tuple[list[float], list[bool]]:
    """Probabilities of first labels, and whether these were right."""
    draw = np.random.default_rng([9, run])
    probability = draw.beta(4, 2, size=200)
    right = draw.random(200) < probability**2
    return probability.tolist(), right.tolist()


def rows_of(run: int) -> list[dict[str, object]]:
    """The stored bins of one run, made one by one."""
    probability, right = planted(run)
    rows = []
    for place in range(BINS):
        low, high = place / BINS, (place + 1) / BINS
        inside = [n for n, p in enumerate(probability) if low < p <= high]
        count = len(inside)
        rows.append(
            {
                "evaluation_id": run,
                "bin": place,
                "low": low,
                "high": high,
                "sample_count": count,
                "probability": sum(probability[n] for n in inside) / count if count else None,
                "accuracy": sum(right[n] for n in inside) / count if count else None,
            }
        )
    return rows


def frame(*runs: int) -> pl.DataFrame:
    return pl.DataFrame([row for run in runs for row in rows_of(run)], infer_schema_length=None)


def test_bins_of_two_runs_together_are_those_of_a_slow_loop() -> None:
    found = read_reliability(frame(0, 1))
    assert found is not None
    pairs = [pair for run in (0, 1) for pair in zip(*planted(run), strict=True)]
    for one in found.bins:
        inside = [(p, right) for p, right in pairs if one.low < p <= one.high]
        assert one.count == len(inside)
        assert one.probability == pytest.approx(sum(p for p, _ in inside) / len(inside))
        assert one.accuracy == pytest.approx(sum(right for _, right in inside) / len(inside))
    assert sum(one.count for one in found.bins) == 400


def test_the_calibration_error_is_the_mean_of_the_runs_own() -> None:
    errors = []
    for run in (0, 1):
        gaps = [
            row["sample_count"] * abs(row["accuracy"] - row["probability"])  # type: ignore[operator]
            for row in rows_of(run)
            if row["sample_count"]
        ]
        errors.append(sum(gaps) / 200)
    found = read_reliability(frame(0, 1))
    assert found is not None
    assert found.error == pytest.approx(sum(errors) / 2)
    assert (found.count, found.runs) == (400, 2)
    picture = reliability_picture(found, "t")
    told = f"{100 * sum(errors) / 2:.1f} points"
    assert told in Drawn(picture).texts()
    assert f"{told}, the mean of 2 runs over 200 samples each" in picture.caption


def test_dots_stand_at_their_probability_and_accuracy() -> None:
    found = read_reliability(frame(0))
    assert found is not None
    drawn = Drawn(reliability_picture(found, "t"))
    dots = drawn.all("circle", "mark")
    assert len(dots) == len(found.bins) > 5
    for dot, one in zip(dots, found.bins, strict=True):
        assert drawn.x_value(at(dot, "cx")) == pytest.approx(one.probability, abs=0.005)
        assert drawn.y_value(at(dot, "cy")) == pytest.approx(one.accuracy, abs=0.005)
    heights = np.array([at(bar, "height") for bar in drawn.all("rect", "bar")])
    counts = np.array([one.count for one in found.bins])
    assert heights / heights.max() == pytest.approx(counts / counts.max(), abs=0.01)
    assert overlaps(drawn) == []
    assert outside(drawn) == []


def test_scores_that_are_no_probabilities_have_no_picture() -> None:
    nothing = frame(0).with_columns(probability=pl.lit(None, pl.Float64))
    assert read_reliability(nothing) is None
    assert read_reliability(frame(0).clear()) is None
