"""Confusions: cells and pairs against a slow count of planted predictions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from support.report_values import ranked, record
from support.svg import Drawn, at, outside, overlaps, told

from mmlab.records import Confusions
from mmlab.report.pictures.confusion import Pair, confusion_counts, matrix_picture, pairs_picture
from mmlab.report.pictures.evaluations import read_confusions
from mmlab.store import Store

LABELS = ["cat", "dog", "owl"]


def planted(labels: int, samples: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truths, first labels, and how often each pair of both is there, counted one by one."""
    draw = np.random.default_rng(5)
    truth = draw.integers(labels, size=samples)
    first = np.where(draw.random(samples) < 0.6, truth, draw.integers(labels, size=samples) // 2)
    slow = np.zeros((labels, labels))
    for one, other in zip(truth, first, strict=True):
        slow[one, other] += 1
    return truth, first, slow


def record_planted(store: Store, labels: int, seed: int = 0) -> np.ndarray:
    """A run with these confusions; the slow count."""
    _, _, slow = planted(labels)
    pairs = np.argwhere(slow)
    counts = slow[slow > 0].astype(np.int32)
    found = Confusions(pairs[:, 0].astype(np.int32), pairs[:, 1].astype(np.int32), counts)
    names = [f"label {number}" for number in range(labels)]
    record(store, replace(ranked([1] * labels, names), confusions=found), seed=seed)
    return slow


def numbers(store: Store) -> list[int]:
    from sqlalchemy import select

    from mmlab.store import views

    found = store.frame(select(views.run_evaluations.c.evaluation_id))
    return [int(one) for one in found["evaluation_id"]]


def test_cells_are_as_dark_as_their_share_and_say_it() -> None:
    counts = np.array([[8.0, 2.0, 0.0], [1.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
    drawn = Drawn(matrix_picture(counts, LABELS, "t"))
    right, wrong = drawn.all("rect", "right"), drawn.all("rect", "wrong")
    assert [at(one, "fill-opacity") for one in right] == [0.8, 0.25]
    assert [at(one, "fill-opacity") for one in wrong] == [0.2, 0.25, 0.5]
    assert told(wrong[0]) == ["cat, ranked first: dog", "2 of 10 samples"]
    figures = [text for text in drawn.texts() if text.isdigit()]
    assert figures == ["80", "20", "25", "25", "50"]
    assert overlaps(drawn) == []
    assert outside(drawn) == []


def test_counts_are_those_of_a_slow_loop() -> None:
    truth, first, slow = planted(6)
    names = [f"l{number}" for number in range(6)]
    frame = pl.DataFrame({"truth": truth, "predicted": first}).with_columns(
        ("l" + pl.all().cast(pl.String)).name.keep()
    )
    rows = frame.group_by("truth", "predicted").agg(pl.len().alias("sample_count"))
    assert (confusion_counts(rows, names) == slow).all()


def test_of_few_labels_a_matrix_is_read_as_the_mean_over_seeds(store: Store) -> None:
    for seed in range(2):
        slow = record_planted(store, 5, seed)
    picture = read_confusions(store, numbers(store), "t")
    assert picture is not None
    drawn = Drawn(picture)
    (first, *_) = drawn.all("rect", "right")
    assert at(first, "fill-opacity") == pytest.approx(slow[0, 0] / slow[0].sum(), abs=0.006)
    assert told(first)[1] == f"{slow[0, 0]:.0f} of {slow[0].sum():.0f} samples"
    assert "means over 2 runs" in picture.caption


def test_of_many_labels_the_most_confused_pairs_are_read(store: Store) -> None:
    slow = record_planted(store, 20)
    picture = read_confusions(store, numbers(store), "t")
    assert picture is not None
    wrong = slow.copy()
    np.fill_diagonal(wrong, 0)
    largest = sorted(wrong[wrong > 0], reverse=True)[:15]
    bars = Drawn(picture).all("rect", "worst")
    assert [float(told(bar)[1].split()[0]) for bar in bars] == largest
    widths = np.array([at(bar, "width") for bar in bars])
    assert widths / widths[0] == pytest.approx(np.array(largest) / largest[0], abs=0.01)
    share = 100 * slow.diagonal().sum() / slow.sum()
    assert f"Of all samples {share:.0f}% were right" in picture.caption


def test_pairs_of_long_names_neither_touch_nor_leave() -> None:
    pairs = [Pair(f"{'a' * 60}{n}", f"{'b' * 60}{n}", 5.0 - n / 10, 9.0) for n in range(15)]
    drawn = Drawn(pairs_picture(pairs, 0.5, 100, "t"))
    assert overlaps(drawn) == []
    assert outside(drawn) == []


def test_nothing_confused_is_no_picture(store: Store) -> None:
    record(store, ranked([1, 2]))
    assert read_confusions(store, numbers(store), "t") is None
