"""Boxes of things in pictures, and where transforms put them."""

from __future__ import annotations

import math
import random

import pytest

from mmlab.plugin import Boxes, DataError, Placement

WHOLE = (0.0, 0.0, 640.0, 480.0)


def test_columns_that_are_left_out_say_no_and_the_areas_of_the_boxes() -> None:
    boxes = Boxes(((1.0, 2.0, 4.0, 6.0), WHOLE), (0, 1))
    assert boxes.crowd == boxes.difficult == (False, False)
    assert boxes.areas == (12.0, 640.0 * 480)
    assert len(boxes) == 2
    assert len(Boxes()) == 0


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(DataError, match="column crowd") as caught:
        Boxes((WHOLE,), (0,), crowd=(True, False))
    assert "2 crowd of 1 boxes" in str(caught.value)


BAD = {
    "inverted": ((9.0, 2.0, 4.0, 6.0), "ends before it begins"),
    "empty": ((4.0, 2.0, 4.0, 6.0), "empty"),
    "left": ((-0.5, 2.0, 4.0, 6.0), "outside"),
    "right": ((1.0, 2.0, 640.5, 6.0), "outside"),
    "below": ((1.0, 2.0, 4.0, 481.0), "outside"),
    "nan": ((1.0, math.nan, 4.0, 6.0), "no number"),
    "inf": ((1.0, 2.0, math.inf, 6.0), "no number"),
    "shares": ((0.1, 0.2, 0.9, 1.0), "shares"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_box_that_is_none_is_told_with_its_place(name: str) -> None:
    box, fault = BAD[name]
    others = () if name == "shares" else (WHOLE,)
    boxes = Boxes((*others, box), tuple(range(len(others) + 1)))
    with pytest.raises(DataError, match=fault) as caught:
        boxes.check("a.json: picture 7", 2, (640, 480))
    assert str(caught.value).startswith("a.json: picture 7" + ", box 1" * len(others))


def test_a_label_that_does_not_exist_is_told() -> None:
    with pytest.raises(DataError, match="no label"):
        Boxes((WHOLE,), (2,)).check("here", 2)


def test_an_area_below_zero_is_told() -> None:
    Boxes((WHOLE,), (0,), areas=(0.0,)).check("here", 1)
    with pytest.raises(DataError, match="area is below 0") as caught:
        Boxes((WHOLE,), (0,), areas=(-4.5,)).check("here", 1)
    assert "-4.5" in str(caught.value)


def test_sound_boxes_pass_with_and_without_a_size_and_so_does_a_pixel() -> None:
    boxes = Boxes((WHOLE, (0.0, 0.0, 1.0, 1.0)), (0, 1))
    boxes.check("here", 2)
    boxes.check("here", 2, (640, 480))
    Boxes(((0.0, 0.0, 1.0, 1.0),), (0,)).check("here", 1, (1, 1))
    Boxes().check("here", 0, (1, 1))


def test_what_a_placement_does_is_undone_by_it() -> None:
    draw = random.Random(3)
    for _ in range(50):
        width, height = draw.randint(8, 700), draw.randint(8, 700)
        placement = Placement.of(width, height).shorter_side(64).centred(48, 56)
        x0, y0, x1, y1 = placement.seen
        box = (x0 + 0.1, y0 + 0.2, x0 + (x1 - x0) / 2, y0 + (y1 - y0) / 3)
        assert placement.to_picture(placement.to_result(box)) == pytest.approx(box)


def test_a_crop_of_the_resized_picture_shows_its_middle() -> None:
    placement = Placement.of(400, 200).shorter_side(100).centred(100, 100)
    assert placement.result == (100, 100)
    assert placement.scale == (0.5, 0.5)
    assert placement.shift == (-50.0, 0.0)
    assert placement.seen == (100.0, 0.0, 300.0, 200.0)
    assert placement.to_result((100.0, 0.0, 300.0, 200.0)) == (0.0, 0.0, 100.0, 100.0)


def test_padding_is_outside_of_the_picture() -> None:
    placement = Placement.of(400, 200).resized(100, 50).centred(100, 100)
    assert placement.to_result((0.0, 0.0, 400.0, 200.0)) == (0.0, 25.0, 100.0, 75.0)
    assert placement.to_picture((0.0, 0.0, 100.0, 100.0)) == (0.0, 0.0, 400.0, 200.0)


def test_squashing_scales_each_side_on_its_own() -> None:
    placement = Placement.of(400, 200).resized(100, 100)
    assert placement.scale == (0.25, 0.5)
    assert placement.to_picture((25.0, 25.0, 50.0, 50.0)) == (100.0, 50.0, 200.0, 100.0)
