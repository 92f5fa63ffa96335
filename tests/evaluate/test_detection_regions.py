"""Windows, maps, suppression and pointing: known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mmlab.errors import DataError
from mmlab.evaluate.detection import grid as grids
from mmlab.evaluate.detection.boxes import TrueBoxes
from mmlab.evaluate.detection.grid import Grid, check_count, in_blocks
from mmlab.evaluate.detection.pointing import hits_of_labels, point
from mmlab.evaluate.detection.suppress import Candidates, of_regions, suppress, surest
from mmlab.evaluate.detection.tokens import of_peaks, peaks, upsampled


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_windows_of_the_whole_side_lie_half_a_window_apart() -> None:
    (level,) = Grid(scales=(1.0,)).levels((80, 40), (20, 20))
    assert level.boxes.tolist() == [[0, 0, 40, 40], [20, 0, 60, 40], [40, 0, 80, 40]]


def test_windows_reach_every_edge_at_every_scale() -> None:
    for level in Grid(scales=(1.0, 0.7, 0.33, 0.21)).levels((123, 77), (32, 32)):
        assert level.boxes[:, :2].min(0).tolist() == [0, 0]
        assert level.boxes[:, 2:].max(0) == pytest.approx([123, 77])


def test_a_scale_beyond_the_picture_is_the_picture() -> None:
    (level,) = Grid(scales=(3.0, 4.0)).levels((80, 40), (20, 20))
    assert level.boxes.tolist() == [[0, 0, 80, 40]]


def test_an_aspect_of_four_is_twice_as_wide_and_half_as_high() -> None:
    (level,) = Grid(scales=(0.5,), aspects=(4.0,)).levels((64, 64), (16, 16))
    sides = level.boxes[:, 2:] - level.boxes[:, :2]
    assert np.unique(sides, axis=0).tolist() == [[64, 16]]


def test_a_window_shows_what_is_in_its_box() -> None:
    picture = noise(80, 40)
    (level,) = Grid(scales=(1.0,)).levels(picture.size, (40, 40))  # no resizing
    for box, window in zip(level.boxes, level.cut(picture), strict=True):
        expected = np.asarray(picture.crop(tuple(map(int, box))))
        assert (window.permute(1, 2, 0).numpy() == expected).all()


@pytest.mark.parametrize(("scale", "side", "rim"), [(0.25, 16, 4), (1.0, 64, 2)])
def test_a_resized_window_is_the_resized_cut_out_but_for_its_rim(
    scale: float, side: int, rim: int
) -> None:
    """Bicubic reaches two pixels far: of the picture's where enlarged, else of the window's."""
    picture = noise(128, 64)
    (level,) = Grid(scales=(scale,)).levels(picture.size, (32, 32))
    for box, window in zip(level.boxes, level.cut(picture), strict=True):
        corners = tuple(map(int, box))
        assert box.tolist() == list(corners)  # cut-outs are of whole pixels
        assert corners[2] - corners[0] == side
        alone = picture.crop(corners).resize((32, 32), Image.Resampling.BICUBIC)
        inner = slice(rim, 32 - rim)
        expected = np.asarray(alone)[inner, inner]
        assert (window.permute(1, 2, 0).numpy()[inner, inner] == expected).all()


def test_bands_of_a_large_picture_have_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = noise(61, 47)
    levels = Grid(scales=(0.6, 0.3)).levels(picture.size, (16, 12))
    whole = [torch.stack(list(level.cut(picture))) for level in levels]
    monkeypatch.setattr(grids, "BAND_PIXELS", 1)
    for level, expected in zip(levels, whole, strict=True):
        found = torch.stack(list(level.cut(picture)))
        assert len(found) == len(level) == len(level.boxes)
        assert (found.int() - expected.int()).abs().max() <= 1  # rounding of where a band begins


def test_windows_come_in_bounded_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grids, "WINDOWS_AT_ONCE", 4)
    windows = [torch.full((1,), each) for each in range(10)]
    blocks = list(in_blocks(iter(windows)))
    assert [len(block) for block in blocks] == [4, 4, 2]
    assert torch.cat(blocks)[:, 0].tolist() == list(range(10))


def test_too_many_windows_are_refused() -> None:
    levels = Grid(scales=(0.05,), stride=0.1).levels((640, 480), (224, 224))
    with pytest.raises(DataError, match="too many windows") as refused:
        check_count(levels, "sample 'a'")
    assert "up to 10,000" in str(refused.value)


def test_suppression_keeps_the_surest_of_each_label() -> None:
    box = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10], [30, 30, 40, 40]])
    found = Candidates(box, np.array([0, 0, 1, 0]), np.array([0.5, 0.9, 0.4, 0.1]))
    kept = suppress(found, 0.5)
    assert kept.score.tolist() == [0.9, 0.4, 0.1]
    assert kept.label.tolist() == [0, 1, 0]
    assert kept.box.tolist() == box[[1, 2, 3]].tolist()


def test_of_equal_scores_the_first_stands() -> None:
    box = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10]])
    kept = suppress(Candidates(box, np.zeros(2, np.int64), np.array([0.5, 0.5])), 0.5)
    assert kept.box.tolist() == [box[0].tolist()]


def test_every_region_has_every_label() -> None:
    boxes = np.array([[0.0, 0, 1, 1], [1, 1, 2, 2]])
    found = of_regions(boxes, np.array([[0.1, 0.9], [0.8, 0.2]]))
    assert found.score.tolist() == [0.9, 0.8, 0.2, 0.1]
    assert found.label.tolist() == [1, 0, 1, 0]
    assert found.above(0.5).box.tolist() == [[0, 0, 1, 1], [1, 1, 2, 2]]
    assert len(surest(found, 1)) == 1


def test_nothing_is_left_of_nothing() -> None:
    nothing = Candidates(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    assert len(suppress(nothing, 0.5)) == 0


def test_a_box_surrounds_each_connected_peak() -> None:
    one = np.zeros((1, 8, 8))
    one[0, 1:3, 2:5] = 1.0
    one[0, 6, 6] = 0.8
    found = of_peaks(one, np.array([0.0, 0, 80, 160]), 0.5)
    assert found.box.tolist() == [[20, 20, 50, 60], [60, 120, 70, 140]]
    assert found.score.tolist() == [1.0, 0.8]


def test_a_map_points_at_the_middle_of_its_largest_cell() -> None:
    one = np.zeros((2, 4, 4))
    one[0, 3, 1] = one[1, 0, 0] = 1.0
    assert peaks(one, np.array([0.0, 0, 40, 80])).tolist() == [[15, 70], [5, 10]]


def test_a_finer_map_keeps_constants_and_places() -> None:
    scores = np.zeros((9, 2))
    scores[:, 0] = 3.0
    scores[4, 1] = 1.0
    maps = upsampled(scores, (3, 3))
    assert maps.shape == (2, 12, 12)
    assert np.allclose(maps[0], 3.0)
    assert peaks(maps, np.array([0.0, 0, 12, 12]))[1] == pytest.approx([6, 6], abs=1)


def test_pointing_asks_once_a_label_and_forgives_other_boxes_of_it() -> None:
    box = [(0, 0, 10, 10), (20, 20, 30, 30), (0, 0, 10, 10), (0, 0, 5, 5)]
    truths = TrueBoxes.of([0, 0, 0, 1], [0, 0, 1, 1], box)
    points = np.array([[[25.0, 25], [15, 15]], [[0, 0], [5, 5]]])
    picture, label, hits = point(truths, points)
    assert picture.tolist() == [0, 0, 1]
    assert label.tolist() == [0, 1, 1]
    assert hits.tolist() == [True, False, True]
    assert hits_of_labels(label, hits, 3)[:2].tolist() == [1.0, 0.5]
    assert np.isnan(hits_of_labels(label, hits, 3)[2])


def test_a_label_with_difficult_boxes_alone_is_not_asked_about() -> None:
    truths = TrueBoxes.of([0, 0], [0, 1], [(0, 0, 9, 9), (0, 0, 9, 9)])
    truths = TrueBoxes(
        truths.picture, truths.label, truths.box, truths.crowd, np.array([True, False]), truths.area
    )
    assert point(truths, np.ones((1, 2, 2)))[1].tolist() == [1]
