"""Scenes of emoji: boxes around what is drawn, the same for a seed, test emoji held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mmlab_datasets.emoji import read_items
from mmlab_datasets.emoji_scenes import EmojiScenes
from PIL import Image

from mmlab.plugin import DataError, Sample
from mmlab.testing import check_dataset

FEW = {"train_samples": 3, "validation_samples": 2, "test_samples": 2}


def pixels(sample: Sample) -> Any:
    picture = sample.values["image"]
    assert isinstance(picture, Image.Image)
    return np.asarray(picture).astype(int)


def test_a_box_ends_where_its_emoji_does() -> None:
    scenes = EmojiScenes("test", most=1, ground="plain")
    looked_at = 0
    for index in range(30):
        sample = scenes[index]
        assert sample.boxes is not None
        picture = pixels(sample)
        differs = np.abs(picture - picture[0, 0]).max(-1) > 24
        if differs.all(-1).any() or not differs.any():
            continue
        looked_at += 1
        rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
        found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        side = max(sample.boxes.corners[0][2] - sample.boxes.corners[0][0], 64.0)
        assert found == pytest.approx(sample.boxes.corners[0], abs=2 + side / 32)
    assert looked_at >= 20


def test_nothing_but_ground_is_outside_of_the_boxes() -> None:
    scenes = EmojiScenes("train", ground="plain", image_size=96)
    for index in range(20):
        sample = scenes[index]
        rest = np.ones((96, 96), bool)
        for x0, y0, x1, y1 in sample.boxes.corners if sample.boxes else ():
            rest[max(0, int(y0) - 1) : int(y1) + 2, max(0, int(x0) - 1) : int(x1) + 2] = False
        colours = pixels(sample)[rest]
        assert len(np.unique(colours, axis=0)) <= 1


def test_a_scene_depends_on_its_number_and_the_seed_alone() -> None:
    one, other = EmojiScenes("test"), EmojiScenes("test", train_samples=7, test_samples=30)
    forward = [one[index] for index in range(5)]
    backward = [other[index] for index in reversed(range(5))][::-1]
    for a, b in zip(forward, backward, strict=True):
        assert (a.id, a.labels, a.boxes, a.values["text"]) == (
            b.id,
            b.labels,
            b.boxes,
            b.values["text"],
        )
        assert np.array_equal(pixels(a), pixels(b))
    again = EmojiScenes("test", seed=1)
    assert all(again.outline(index).boxes != forward[index].boxes for index in range(5))
    assert len({one.revision, other.revision, again.revision}) == 3
    assert EmojiScenes("test").revision == one.revision == EmojiScenes("train").revision


def names(split: Any) -> set[str]:
    scenes = EmojiScenes(split, labels="name", train_samples=500)
    found = (scenes.outline(index).labels or () for index in range(len(scenes)))
    return {scenes.labels[label] for labels in found for label in labels}


def test_emoji_of_test_scenes_are_in_no_other_split() -> None:
    of = {item["name"]: item["split"] for item in read_items()}
    for split in ("train", "validation", "test"):
        own = names(split)
        assert len(own) > 100
        assert {of[name] for name in own} == {split}


def test_scenes_keep_to_their_options() -> None:
    options = {"image_size": 200, "smallest": 0.2, "largest": 0.4, "overlap": 0.1}
    scenes = EmojiScenes("train", least=2, most=5, **options)
    counts = set()
    for index in range(200):
        boxes = scenes.outline(index).boxes
        assert boxes is not None
        boxes.check("here", len(scenes.labels), (200, 200))
        counts.add(len(boxes))
        for place, (x0, y0, x1, y1) in enumerate(boxes.corners):
            assert max(x1 - x0, y1 - y0) <= 80
            for a0, b0, a1, b1 in boxes.corners[:place]:
                common = max(0, min(x1, a1) - max(x0, a0)) * max(0, min(y1, b1) - max(y0, b0))
                assert common <= 0.1 * min((x1 - x0) * (y1 - y0), (a1 - a0) * (b1 - b0)) + 1e-9
    assert counts >= {2, 3, 4, 5}
    assert max(counts) == 5


def test_things_that_others_hide_are_difficult() -> None:
    scenes = EmojiScenes("train", least=6, overlap=1, smallest=0.4, largest=0.6)
    flags = [boxes.difficult for i in range(30) if (boxes := scenes.outline(i).boxes)]
    assert any(map(any, flags))
    assert not any(each[-1] for each in flags)
    apart = EmojiScenes("train", overlap=0)
    free = [boxes.difficult for i in range(30) if (boxes := apart.outline(i).boxes)]
    assert not any(map(any, free))


def test_grounds_are_plain_or_cluttered() -> None:
    def colours(ground: Any) -> list[int]:
        scenes = EmojiScenes("train", most=1, smallest=0.1, largest=0.1, ground=ground)
        return [len(np.unique(pixels(scenes[i])[:6].reshape(-1, 3), axis=0)) for i in range(8)]

    assert np.median(colours("plain")) == 1
    assert min(colours("cluttered")) > 2
    assert len({count > 2 for count in colours("mixed")}) == 2


@pytest.mark.parametrize("labels", ["subcategory", "category", "name"])
def test_labels_are_of_the_size_that_is_asked_for(labels: Any) -> None:
    scenes = EmojiScenes("test", labels=labels, most=1)
    item = {item["name"]: item for item in read_items()}
    assert len(scenes.labels) == {"subcategory": 81, "category": 7, "name": 1412}[labels]
    for index in range(30):
        sample = scenes.outline(index)
        assert sample.labels is not None
        name = str(sample.values["text"])
        assert [scenes.labels[label] for label in sample.labels] == [item[name][labels]]


def test_emoji_scenes_keep_the_contract() -> None:
    check_dataset(EmojiScenes, image_size=64, **FEW)


def test_bounds_in_the_wrong_order_are_told() -> None:
    with pytest.raises(DataError, match=r"more than dataset\.most"):
        EmojiScenes("train", least=3, most=2)
    with pytest.raises(DataError, match=r"more than dataset\.largest"):
        EmojiScenes("train", smallest=0.5, largest=0.2)
    with pytest.raises(IndexError):
        EmojiScenes("test")[500]
