"""Comparisons of detections: which true boxes one side finds and another does not."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from support.report_values import ranked, record

from mmlab.records import BoxResults
from mmlab.report.compare.comparison import Comparison, compare
from mmlab.report.render.compared import write_comparison
from mmlab.store import Store

#: Pictures with two true boxes each, by picture.
PICTURES = 20
#: The second box of every picture, in pixels of a picture of 640 x 480.
SECOND = (320.0, 240.0, 480.0, 360.0)


def small() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (128, 96), "blue").save(file, "WEBP", lossless=True)
    return file.getvalue()


def boxes() -> BoxResults:
    count = 2 * PICTURES
    nothing, places = np.zeros(count, bool), np.arange(count, dtype=np.int32)
    corners = np.array([(0.0, 0.0, 100.0, 100.0), SECOND] * PICTURES)
    return BoxResults(
        samples=[f"p{n}" for n in range(PICTURES)],
        sample=np.zeros(0, np.int32),
        label=np.zeros(0, np.int32),
        box=np.zeros((0, 4)),
        score=np.zeros(0),
        truth=np.zeros(0, np.int32),
        true_sample=places // 2,
        true_label=places % 2,
        true_box=corners,
        true_area=np.full(count, 10000.0),
        is_crowd=nothing,
        is_difficult=nothing,
    )


def found(store: Store, cell: str, missed: set[int]) -> None:
    """A run that finds all boxes but these, by their place among all."""
    ranks = [2 if n in missed else 1 for n in range(2 * PICTURES)]
    result = ranked(ranks)
    assert result.samples is not None
    ids = [f"p{n // 2}#{n % 2}" for n in range(2 * PICTURES)]
    result = replace(
        result,
        samples=replace(result.samples, ids=ids, top_label=np.full(len(ids), -1, np.int32)),
        rankings=None,
        boxes=boxes(),
        thumbnails={"p1": small()},
        picture_sizes={"p1": (640, 480)},
    )
    record(store, result, cell=cell)


def compared(store: Store) -> Comparison:
    found(store, "base", {3, 6})
    found(store, "good", {9})
    return compare(store, ["emoji"], with_details=True)


def test_boxes_that_one_side_finds_are_told(store: Store) -> None:
    flips = compared(store).details[0].flips
    assert [(one.sample, one.first_before, one.first_after) for one in flips] == [
        ("p4#1", "found", "missed"),
        ("p1#1", "missed", "found"),
        ("p3#0", "missed", "found"),
    ]


def test_the_box_is_drawn_on_its_picture(sqlite_store: Store) -> None:
    details = compared(sqlite_store).details[0]
    assert set(details.pictures) == {"p1#1"}  # the pictures of the other two are not kept
    drawn = Image.open(io.BytesIO(details.pictures["p1#1"])).convert("RGB")
    pixels = np.asarray(drawn).astype(int)
    is_red = (pixels[..., 0] > 120) & (pixels[..., 2] < 150)
    rows, columns = np.flatnonzero(is_red.any(1)), np.flatnonzero(is_red.any(0))
    expected = [end / 5 for end in SECOND]  # 640 pixels are 128 here
    ends = [columns[0], rows[0], columns[-1], rows[-1]]
    assert np.abs(np.array(ends) - expected).max() <= 2


def test_a_page_shows_it(sqlite_store: Store, tmp_path: Path) -> None:
    write_comparison(compared(sqlite_store), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert 'alt="sample p1#1"' in page
    assert "missed" in page
