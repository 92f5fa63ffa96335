"""The evaluator `detection`: a model of colours finds squares in known places."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.scenes import LABELS, Colours, Plain, Squares, seen, seer

from mmlab.errors import DataError, SpecError
from mmlab.evaluate import Encoded, encode_split
from mmlab.evaluate.detection import proposals
from mmlab.evaluate.detection.boxes import Detections, TrueBoxes
from mmlab.evaluate.detection.choose import choose_backgrounds, choose_threshold
from mmlab.evaluate.detection.grid import WINDOWS_AT_ONCE
from mmlab.evaluate.detection.regions import Patches, Windows
from mmlab.evaluate.detection.scene import Crops, Scenes
from mmlab.evaluate.evaluators.detection import Detection
from mmlab.evaluate.evaluators.zero_shot import ZeroShot
from mmlab.evaluate.subject import Make, Piece, Work
from mmlab.records import EvaluationResult

#: Squares of the sides of windows at a scale of 0.25, where these stand; one picture is empty.
SCENES = (
    [("red", (32, 32, 64, 64))],
    [("green", (0, 16, 32, 48)), ("blue", (80, 80, 112, 112))],
    [],
    [("red", (96, 96, 128, 128)), ("red", (16, 0, 48, 32))],
)
FOUND, ORACLE, POINTING = range(3)


def asked(dataset: Squares, **options: object) -> list[EvaluationResult]:
    subject = seer()
    return Detection(**options)(subject, seen(subject, dataset), "d")  # type: ignore[arg-type]


def with_validation(encoded: Encoded, validation: Encoded) -> Encoded:
    return replace(encoded, other=lambda split: {"validation": validation}[split])


def test_squares_in_windows_are_all_found_exactly() -> None:
    found, oracle, pointing = asked(Squares(SCENES), scales=[0.25])
    assert [each.condition for each in (found, oracle, pointing)] == ["found", "oracle", "pointing"]
    for name in ("AP50:95", "AP50", "AR@100", "found@0.5"):
        assert found.metrics[name] == pytest.approx(1), name
    assert oracle.metrics["top1"] == 1.0
    assert pointing.metrics == {"hits": 1.0, "mean_hits": 1.0}


def test_patches_find_squares_of_their_own_places() -> None:
    found, _, pointing = asked(Squares(SCENES), regions="tokens", level=0.9)
    assert found.metrics["AP50"] == pytest.approx(1)
    assert pointing.metrics["hits"] == 1.0


def test_patches_of_an_encoder_that_crops_lie_where_they_are_in_the_picture() -> None:
    subject = seer(Colours(zooms=True))
    dataset = Squares([[("red", (32, 64, 64, 96))]])
    scenes = Scenes.of(seen(subject, dataset), "image", "image")
    regions = Patches(subject, "image")(scenes.picture(0), "scene-0")
    assert regions.features is not None
    redness = regions.features.pooled[:, 0].numpy()
    reds = regions.boxes[redness > 0.9]
    assert (reds[:, :2].min(0) >= [28, 60]).all()
    assert (reds[:, 2:].max(0) <= [68, 100]).all()
    # The crop leaves out a tenth of each side, which the lattice does not reach.
    assert regions.boxes[0, :2] == pytest.approx([12.8, 12.8])
    assert regions.boxes[-1, 2:] == pytest.approx([115.2, 115.2])


def test_proposals_are_ranked_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps({"scene-0": [[32, 32, 64, 64], [0, 0, 20, 20]]}))
    found, _, pointing = asked(Squares(SCENES), regions="proposals", proposals=file)
    assert found.metrics["found@0.5"] == pytest.approx(1 / 5)
    assert pointing.metrics["hits"] == pytest.approx(1 / 4)  # both reds of scene 3 are one pair


def test_proposals_may_come_with_the_dataset() -> None:
    class Proposed(Squares):
        def proposals(self, index: int) -> list[tuple[float, float, float, float]]:
            boxes = self.outline(index).boxes
            assert boxes is not None
            return list(boxes.corners)

    found, _, _ = asked(Proposed(SCENES), regions="proposals")
    assert found.metrics["AP50:95"] == pytest.approx(1)


BAD_PROPOSALS = {
    "cut": ("[", "cannot be read"),
    "list": ("[1]", "no table"),
    "number": ('{"scene-0": 1}', "no list of boxes"),
    "empty": ('{"scene-0": [[0, 0, 0, 1]]}', "a box that is none"),
    "short": ('{"scene-0": [[1]]}', "a box that is none"),
    "flag": ('{"scene-0": [[0, 0, true, 9]]}', "a box that is none"),
    "huge": ('{"scene-0": [[0, 0, 1' + "0" * 400 + ", 9]]}", "a box that is none"),
    "twice": ('{"scene-0": [], "scene-0": [[0, 0, 9, 9]]}', "'scene-0' is there twice"),
    "others": ('{"a.png": [[0, 0, 9, 9]]}', "boxes for no sample of the split"),
    "outside": ('{"scene-0": [[0, 0, 9, 9], [100, 100, 140, 120]]}', "box 1: it lies outside"),
    "shares": ('{"scene-0": [[0.1, 0.1, 0.5, 0.9]]}', "shares of the picture"),
    "long": (" " * 300, "too long"),
}


@pytest.mark.parametrize("name", BAD_PROPOSALS)
def test_a_file_that_proposes_no_boxes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text, fault = BAD_PROPOSALS[name]
    file = tmp_path / "boxes.json"
    file.write_text(text)
    monkeypatch.setattr(proposals, "FILE_BYTES", 299 if name == "long" else 1000)
    with pytest.raises(DataError, match=fault) as refused:
        asked(Squares(SCENES), regions="proposals", proposals=file)
    assert re.search(r"boxes\.json|proposals of sample 'scene-0'", str(refused.value))


def test_a_proposal_that_reaches_a_little_over_the_edge_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps({"scene-3": [[96, 96, 128.7, 128.2], [15.5, -0.5, 48, 32]]}))
    found, _, _ = asked(Squares(SCENES), regions="proposals", proposals=file)
    assert found.metrics["found@0.5"] == pytest.approx(2 / 5)


@pytest.mark.parametrize("text", ["a photo of nothing.", "a photo of red."])
def test_a_background_that_is_an_answer_already_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="is an answer already") as refused:
        asked(Squares(SCENES), background=["a photo of nothing.", text], choose_background=False)
    assert repr(text) in str(refused.value)


def test_true_boxes_are_zero_shot_of_their_crops() -> None:
    """The oracle equals the evaluator zero_shot on a dataset of the crops."""
    dataset, subject = Squares(SCENES), seer()
    oracle = asked(dataset)[ORACLE]
    scenes = Scenes.of(seen(subject, dataset), "image", "image")
    crops = encode_split(subject, Crops(scenes), "test", 2)
    (own,) = ZeroShot()(subject, crops, "z")
    assert oracle.metrics == own.metrics
    assert oracle.samples is not None
    assert own.samples is not None
    assert (oracle.samples.probability == own.samples.probability).all()
    assert oracle.samples.ids == ["scene-0#0", "scene-1#0", "scene-1#1", "scene-3#0", "scene-3#1"]
    assert oracle.samples.clusters == ["scene-0", "scene-1", "scene-1", "scene-3", "scene-3"]


def test_each_true_box_has_a_row_that_says_whether_it_is_found() -> None:
    dataset = Squares([[("red", (32, 32, 64, 64)), ("green", (0, 0, 7, 7))]])
    rows = asked(dataset, scales=[0.25])[FOUND].samples
    assert rows is not None
    assert rows.outcome.tolist() == [1.0, 0.0]
    assert rows.rank.tolist() == [1, 0]
    assert rows.truths == [(0,), (1,)]
    assert rows.clusters == ["scene-0", "scene-0"]
    assert np.isnan(rows.probability).tolist() == [False, True]


def test_samples_whose_boxes_nobody_knows_are_left_out() -> None:
    found = asked(Squares((*SCENES, None)), scales=[0.25])[FOUND]
    assert found.skipped == 1
    assert found.metrics["AP50"] == pytest.approx(1)


def test_windows_that_the_encoder_would_not_change_go_to_it_as_they_are() -> None:
    subject, dataset = seer(), Squares(SCENES)
    scenes = Scenes.of(seen(subject, dataset), "image", "image")
    plain, zooming = (
        Windows(each, "image", Detection().grid) for each in (subject, seer(Colours(zooms=True)))
    )
    assert plain._is_as_read
    assert not zooming._is_as_read
    boxes = plain(scenes.picture(0), "a").boxes
    assert (zooming(scenes.picture(0), "a").boxes == boxes).all()


def test_a_tower_without_patches_is_refused() -> None:
    subject = seer(Plain())
    encoded = seen(subject, Squares(SCENES))
    with pytest.raises(SpecError, match="gives no features of patches") as refused:
        Detection(regions="tokens")(subject, encoded, "d")
    assert "windows" in str(refused.value)


def test_a_dataset_without_boxes_is_refused() -> None:
    with pytest.raises(DataError, match="does not say where things are"):
        asked(Squares(SCENES, has_boxes=False))


def test_boxes_outside_of_the_picture_are_refused() -> None:
    with pytest.raises(DataError, match="outside of the picture"):
        asked(Squares([[("red", (100, 100, 150, 120))]]))


def test_a_split_of_pictures_without_things_is_refused() -> None:
    with pytest.raises(DataError, match="no sample can take part"):
        asked(Squares([[], []]))


def test_backgrounds_compete_with_labels_and_are_told() -> None:
    without = asked(Squares(SCENES), scales=[0.25])[FOUND]
    options = {"scales": [0.25], "background": ["nothing"], "choose_background": False}
    with_it = asked(Squares(SCENES), threshold=0.98, **options)[FOUND]
    bare = asked(Squares(SCENES), threshold=0.98, scales=[0.25])[FOUND]
    assert with_it.subject["background"] == ["nothing"]
    assert without.subject["background"] == []
    assert with_it.protocol != without.protocol
    # Every window that is partly coloured is sure of its colour where nothing else can be said.
    assert bare.metrics["precision@0.5"] is not None
    assert with_it.metrics["precision@0.5"] is not None
    assert with_it.metrics["precision@0.5"] > bare.metrics["precision@0.5"]


def test_validation_chooses_the_threshold_of_the_best_f1() -> None:
    subject = seer()
    encoded = with_validation(seen(subject, Squares(SCENES)), seen(subject, Squares(SCENES[:2])))
    evaluator = Detection(scales=[0.25], threshold="validation")
    assert [each.split for each in evaluator.learns_from] == ["validation"]
    found = evaluator(subject, encoded, "d")[FOUND]
    assert found.metrics["f1@0.5"] == pytest.approx(1)
    assert found.metrics["precision@0.5"] == 1.0
    assert "selected_on" in found.protocol["options"]  # type: ignore[operator]


def test_validation_takes_a_background_only_where_it_helps() -> None:
    subject = seer()
    encoded = with_validation(seen(subject, Squares(SCENES)), seen(subject, Squares(SCENES[:2])))
    found = Detection(scales=[0.25], background=["nothing"])(subject, encoded, "d")[FOUND]
    assert found.subject["background"] == []  # AP50 is 1 without it
    assert Detection().learns_from == ()
    qualities = {(): 0.1, (1,): 0.3, (1, 0): 0.5}
    assert choose_backgrounds(3, lambda some: qualities.get(tuple(some), 0.0)) == (1, 0)


def test_the_threshold_of_the_best_f1_stands_between_right_and_wrong() -> None:
    box, far = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)
    truths = TrueBoxes.of([0, 1], [0, 0], [box, box])
    found = Detections.of([0, 0, 1], [0, 0, 0], [box, far, box], [0.9, 0.3, 0.6])
    assert choose_threshold(found, truths) == 0.6
    nothing = Detections.of([0], [0], [far], [0.5])
    assert choose_threshold(nothing, truths) == -np.inf


class Kept:
    """Keeps the pieces of a work, and says what it was asked to make."""

    def __init__(self) -> None:
        self.pieces: dict[str, list[Piece]] = {}
        self.made: list[str] = []

    def each(self, work: Work, make: Make) -> Iterator[Piece]:
        name = f"{work.name} {work.count} {work.about()}"
        if name not in self.pieces:
            self.made.append(work.name)
            self.pieces[name] = list(make(0))
        assert sum(piece.count for piece in self.pieces[name]) == work.count
        yield from self.pieces[name]


def test_what_is_found_is_kept_in_parts_and_read_again() -> None:
    kept = Kept()
    subject = seer(parts=kept)
    encoded = seen(subject, Squares(SCENES))
    first = Detection(scales=[0.25])(subject, encoded, "d")
    made = len(kept.made)
    again = Detection(scales=[0.25])(subject, encoded, "d")
    assert "regions test" in kept.made
    assert len(kept.made) == made
    assert [each.metrics for each in again] == [each.metrics for each in first]
    Detection(scales=[0.25], overlap=0.3)(subject, encoded, "d")
    assert kept.made[made:] == ["regions test"]


def test_parts_of_pictures_are_never_read_as_those_of_their_boxes() -> None:
    two = Squares([[("red", (0, 0, 64, 64)), ("blue", (64, 64, 80, 80))], []])
    found = []
    for subject in (seer(), seer(parts=Kept())):
        encoded = encode_split(subject, two, "test", WINDOWS_AT_ONCE)
        found.append(Detection(scales=[0.25])(subject, encoded, "d")[1])
    assert found[0].metrics["top1"] == 1
    assert found[1].metrics == found[0].metrics


def test_every_metric_is_declared() -> None:
    for result in asked(Squares(SCENES)):
        for name in result.metrics:
            own = [each.of(name, result.condition) for each in Detection.metrics]
            assert any(own), name
        for name in result.label_metrics:
            assert any(each.of(name) for each in Detection.label_metrics), name
    assert len(LABELS) == 3
