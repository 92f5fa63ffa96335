"""Metrics of detection: known answers, and the very numbers of pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mmlab.evaluate.detection import matching
from mmlab.evaluate.detection.boxes import Detections, TrueBoxes, overlaps
from mmlab.evaluate.detection.matching import match
from mmlab.evaluate.detection.metrics import (
    Curves,
    curves_of,
    detection_curves,
    find_boxes,
    measure,
    measure_labels,
)

BOX = (0.0, 0.0, 10.0, 10.0)
FAR = (50.0, 50.0, 60.0, 60.0)


def truths_of(*rows: tuple[int, int, Sequence[float]]) -> TrueBoxes:
    pictures, labels, boxes = zip(*rows, strict=True) if rows else ((), (), ())
    return TrueBoxes.of(pictures, labels, boxes)


def found_of(*rows: tuple[int, int, Sequence[float], float]) -> Detections:
    pictures, labels, boxes, scores = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Detections.of(pictures, labels, boxes, scores)


def measured(found: Detections, truths: TrueBoxes, labels: int = 1) -> dict[str, float | None]:
    matches = match(found, truths)
    values = measure(curves_of(matches, found, truths, labels), find_boxes(matches, truths))
    # COCO divides by a little more than the number of boxes: 1 is 1 - 2e-16 there and here.
    return {name: value and round(value, 12) for name, value in values.items()}


def test_overlap_is_intersection_over_union_and_of_a_crowd_over_the_found_box() -> None:
    found = np.array([[0.0, 0, 10, 10], [20, 20, 20, 20]])
    truth = np.array([[5.0, 0, 15, 10], [0, 0, 100, 100], [10, 0, 20, 10]])
    iou = overlaps(found, truth, np.array([False, True, False]))
    assert iou.tolist() == [[pytest.approx(1 / 3), 1.0, 0.0], [0.0, 0.0, 0.0]]


def test_every_box_found_exactly_is_worth_one() -> None:
    values = measured(
        found_of((0, 0, BOX, 0.9), (1, 0, FAR, 0.1)), truths_of((0, 0, BOX), (1, 0, FAR))
    )
    assert values["AP50:95"] == values["AP50"] == values["AR@1"] == values["found@0.5"] == 1.0
    assert values["AP_small"] == 1.0
    assert values["AP_medium"] is None
    assert values["AR_large"] is None


def test_a_wrong_box_above_the_right_one_halves_the_precision() -> None:
    values = measured(found_of((0, 0, FAR, 0.9), (0, 0, BOX, 0.8)), truths_of((0, 0, BOX)))
    assert values["AP50"] == pytest.approx(0.5)
    assert (values["AR@1"], values["AR@10"]) == (0.0, 1.0)


def test_a_wrong_box_below_the_right_one_costs_nothing() -> None:
    assert (
        measured(found_of((0, 0, FAR, 0.1), (0, 0, BOX, 0.8)), truths_of((0, 0, BOX)))["AP50"] == 1
    )


def test_the_second_box_on_one_object_is_wrong() -> None:
    truths = truths_of((0, 0, BOX), (0, 0, FAR))
    found = found_of((0, 0, BOX, 0.9), (0, 0, BOX, 0.8), (0, 0, FAR, 0.7))
    # Precision 1 up to a recall of 1/2 (51 of 101 levels), 2/3 from there on.
    assert measured(found, truths)["AP50"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_the_threshold_itself_counts_as_found() -> None:
    half = (0.0, 0.0, 10.0, 5.0)
    values = measured(found_of((0, 0, half, 0.9)), truths_of((0, 0, BOX)))
    assert values["AP50"] == 1.0
    assert values["AP50:95"] == pytest.approx(0.1)


def test_found_boxes_of_a_picture_without_boxes_are_wrong() -> None:
    values = measured(found_of((0, 0, BOX, 0.9), (1, 0, BOX, 0.8)), truths_of((1, 0, BOX)))
    assert values["AP50"] == pytest.approx(0.5)


def test_a_label_without_boxes_is_left_out_whatever_is_found_of_it() -> None:
    found, truths = found_of((0, 0, BOX, 0.9), (0, 1, BOX, 0.8)), truths_of((0, 0, BOX))
    curves = detection_curves(found, truths, 3)
    assert measured(found, truths, 3)["AP50"] == 1.0
    assert np.isnan(measure_labels(curves)["AP50"]).tolist() == [False, True, True]
    assert measure_labels(curves)["support"].tolist() == [1, 0, 0]


def test_nothing_found_is_worth_nothing_and_no_truth_is_worth_none() -> None:
    assert measured(found_of(), truths_of((0, 0, BOX)))["AP50:95"] == 0.0
    values = measured(found_of((0, 0, BOX, 0.9)), truths_of())
    assert set(values.values()) == {None}
    assert measured(found_of(), truths_of())["found@0.5"] is None


def test_what_is_found_in_a_crowd_is_neither_right_nor_wrong_however_often() -> None:
    truths = truths_of((0, 0, (0, 0, 40, 40)), (0, 0, FAR))
    truths = replace(truths, crowd=np.array([True, False]))
    inside = [(0, 0, (x, 0.0, x + 10.0, 10.0), 0.9) for x in (0.0, 10.0, 20.0)]
    values = measured(found_of(*inside, (0, 0, FAR, 0.1)), truths)
    assert values["AP50"] == values["found@0.5"] == 1.0


def test_a_difficult_box_may_be_found_often_and_need_not_be() -> None:
    truths = replace(truths_of((0, 0, BOX), (0, 0, FAR)), difficult=np.array([True, False]))
    twice = found_of((0, 0, BOX, 0.9), (0, 0, BOX, 0.8), (0, 0, FAR, 0.1))
    assert measured(twice, truths)["AP50"] == 1.0
    assert measured(found_of((0, 0, FAR, 0.1)), truths)["AP50"] == 1.0


def test_a_box_takes_an_object_to_be_found_before_one_that_need_not_be() -> None:
    truths = truths_of((0, 0, (0, 0, 10, 10)), (0, 0, (0, 0, 10, 9)))
    truths = replace(truths, difficult=np.array([True, False]))
    assert measured(found_of((0, 0, BOX, 0.9)), truths)["AP50"] == 1.0


def test_equal_scores_keep_the_order_in_which_they_come() -> None:
    truths = truths_of((0, 0, BOX))
    first = found_of((0, 0, BOX, 0.5), (0, 0, FAR, 0.5))
    second = found_of((0, 0, FAR, 0.5), (0, 0, BOX, 0.5))
    assert measured(first, truths)["AP50"] == 1.0
    assert measured(second, truths)["AP50"] == pytest.approx(0.5)


def test_the_first_hundred_of_a_picture_and_label_take_part() -> None:
    wrong = [(0, 0, FAR, 0.9)] * 100
    values = measured(found_of(*wrong, (0, 0, BOX, 0.1)), truths_of((0, 0, BOX)))
    assert values["AP50"] == values["AR@100"] == 0.0


def random_scene(seed: int) -> tuple[Detections, TrueBoxes]:
    """Boxes on whole pixels with many ties of scores and overlaps, crowds, and empty pictures."""
    draw = np.random.default_rng(seed)
    pictures, labels = 12, 5
    count = 60
    corner = draw.integers(0, 80, (count, 2))
    size = draw.choice([6, 20, 40, 70, 130], (count, 2))
    box = np.concatenate([corner, corner + size], 1).astype(float)
    truths = TrueBoxes.of(
        draw.integers(0, pictures - 3, count), draw.integers(0, labels - 1, count), box
    )
    truths = replace(
        truths, crowd=draw.random(count) < 0.15, area=truths.area * draw.choice([1.0, 0.5], count)
    )
    near = draw.integers(0, count, 300)
    moved = truths.box[near] + draw.choice([-6, -2, -1, 0, 0, 0, 1, 3, 10], (300, 4))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    picture = np.where(
        draw.random(300) < 0.8, truths.picture[near], draw.integers(0, pictures, 300)
    )
    label = np.where(draw.random(300) < 0.8, truths.label[near], draw.integers(0, labels, 300))
    order = np.argsort(truths.picture, kind="stable")
    truths = TrueBoxes(*(getattr(truths, name)[order] for name in TrueBoxes.__dataclass_fields__))
    return Detections.of(picture, label, moved, draw.integers(0, 15, 300) / 15), truths


def test_memory_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    found, truths = random_scene(7)
    whole = match(found, truths)
    monkeypatch.setattr(matching, "CHUNK_ELEMENTS", 1)
    alone = match(found, truths)
    assert (whole.is_matched == alone.is_matched).all()
    assert (whole.is_ignored == alone.is_ignored).all()
    assert (whole.truth == alone.truth).all()
    assert whole.is_right.any()


def peers_curves(found: Detections, truths: TrueBoxes, labels: int) -> tuple[Curves, list[float]]:
    """What pycocotools says: its precision and recall, and its twelve figures."""
    coco_api = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    def box(row: np.ndarray) -> list[float]:
        return [row[0], row[1], row[2] - row[0], row[3] - row[1]]

    with contextlib.redirect_stdout(io.StringIO()):
        coco = coco_api.COCO()
        coco.dataset = {
            "images": [{"id": each + 1} for each in range(12)],
            "categories": [{"id": each} for each in range(labels)],
            "annotations": [
                {
                    "id": at + 1,
                    "image_id": int(truths.picture[at]) + 1,
                    "category_id": int(truths.label[at]),
                    "bbox": box(truths.box[at]),
                    "area": float(truths.area[at]),
                    "iscrowd": int(truths.crowd[at]),
                }
                for at in range(len(truths))
            ],
        }
        coco.createIndex()
        results = [
            {
                "image_id": int(found.picture[at]) + 1,
                "category_id": int(found.label[at]),
                "bbox": box(found.box[at]),
                "score": float(found.score[at]),
            }
            for at in range(len(found))
        ]
        peer = COCOeval(coco, coco.loadRes(results), "bbox")
        peer.evaluate()
        peer.accumulate()
        peer.summarize()
    precision = peer.eval["precision"][..., -1]  # (T, R, C, S)
    recall = peer.eval["recall"]  # (T, C, S, K)
    undefined = (precision == -1).any(1)
    mean = np.where(undefined, np.nan, precision.mean(1))
    shares = np.where(recall == -1, np.nan, recall)
    curves = Curves(mean.transpose(2, 0, 1), shares.transpose(3, 2, 0, 1), np.zeros(0, np.int64))
    return curves, [float(each) for each in peer.stats]


@pytest.mark.parametrize("seed", range(6))
def test_figures_are_those_of_pycocotools(seed: int) -> None:
    found, truths = random_scene(seed)
    peer, figures = peers_curves(found, truths, 5)
    own = detection_curves(found, truths, 5)
    np.testing.assert_allclose(own.precision, peer.precision, atol=1e-12)
    np.testing.assert_allclose(own.recall, peer.recall, atol=1e-12)
    values = measured(found, truths, 5)
    names = ["AP50:95", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"]
    names += ["AR@1", "AR@10", "AR@100", "AR_small", "AR_medium", "AR_large"]
    defined = [None if each == -1 else pytest.approx(each, abs=1e-12) for each in figures]
    assert [values[name] for name in names] == defined
    assert 0.1 < figures[0] < 0.9
