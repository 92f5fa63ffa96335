"""COCO's JSON of instances: boxes of pictures, compared with a plain reader."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmlab_datasets import coco_json
from mmlab_datasets.coco import Coco
from PIL import Image

from mmlab.data.skipped import without_unreadable
from mmlab.plugin import Boxes, DataError
from mmlab.testing import check_dataset

SIZE = (20, 10)
CATEGORIES = [{"id": 90, "name": "cup"}, {"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}]


def annotation(number: int, image: int, box: Any, category: int = 1, **more: Any) -> dict[str, Any]:
    told = {"id": number, "image_id": image, "category_id": category, "bbox": box, "iscrowd": 0}
    return {**told, **more}


ANNOTATIONS = [
    annotation(1, 7, [1, 2, 3.5, 4], 90, area=9.5),
    annotation(2, 5, [0, 0, 20, 10], 1, iscrowd=1),
    annotation(3, 7, [4, 5, 6, 5], 3),
]
IMAGES = [
    {"id": number, "file_name": f"{number}.png", "width": 20, "height": 10} for number in (5, 6, 7)
]


def write(folder: Path, name: str = "val2017", **changes: Any) -> Path:
    """A file of three pictures in COCO's layout, the second of them without annotations."""
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / name).mkdir(exist_ok=True)
    for image in IMAGES:
        Image.new("RGB", SIZE, (image["id"], 2, 3)).save(folder / name / str(image["file_name"]))
    document = {"images": IMAGES, "categories": CATEGORIES, "annotations": ANNOTATIONS, **changes}
    path = folder / "annotations" / f"instances_{name}.json"
    path.write_text(json.dumps({k: v for k, v in document.items() if v is not None}))
    return path


def test_boxes_are_corners_with_labels_in_the_order_of_the_ids(tmp_path: Path) -> None:
    dataset = Coco("test", test=write(tmp_path))
    assert dataset.labels == ("cat", "dog", "cup")
    crowd, nothing, two = (dataset[index] for index in range(3))
    assert crowd.boxes == Boxes(((0.0, 0.0, 20.0, 10.0),), (0,), (True,))
    assert nothing.boxes == Boxes()
    corners = ((1.0, 2.0, 4.5, 6.0), (4.0, 5.0, 10.0, 10.0))
    assert two.boxes == Boxes(corners, (2, 1), areas=(9.5, 30.0))
    assert [one.labels for one in (crowd, nothing, two)] == [(0,), (), (1, 2)]
    assert two.id == "val2017/7.png"
    assert isinstance(two.values["image"], Image.Image)


def test_coco_keeps_the_contract(tmp_path: Path) -> None:
    files = {split: write(tmp_path, split) for split in ("train", "validation")}
    check_dataset(
        Coco,
        expected_failed_checks={"disjoint_contents": "the pictures drawn here are equal"},
        **files,
    )


def test_files_without_annotations_do_not_say_what_is_there(tmp_path: Path) -> None:
    dataset = Coco("test", test=write(tmp_path, annotations=None))
    assert [dataset[index].boxes for index in range(3)] == [None] * 3
    assert [dataset[index].labels for index in range(3)] == [None] * 3
    assert len(Coco("train", test=write(tmp_path))) == 0


def test_a_box_that_reaches_a_little_over_the_edge_is_cut_and_told(tmp_path: Path) -> None:
    path = write(tmp_path, annotations=[annotation(1, 5, [-0.3, 0, 20.9, 10.01])])
    dataset = Coco("test", test=path)
    assert dataset.outline(0).boxes == Boxes(((0.0, 0.0, 20.0, 10.0),), (0,), areas=(200.0,))
    assert "1 of 1 boxes" in dataset.notes[0]


BAD_BOXES = {
    "outside": ([15, 2, 7, 4], "outside of the picture"),
    "above": ([1, -2, 7, 4], "outside of the picture"),
    "inverted": ([5, 2, -3, 4], "ends before it begins"),
    "empty": ([5, 2, 0, 4], "it is empty"),
    "shares": ([0.1, 0.2, 0.3, 0.4], "shares of the picture"),
    "nan": ([0.1, float("nan"), 3, 4], "no number"),
    "huge": ([0, 0, 10**400, 4], "it has no box"),
    "three": ([0, 0, 3], "it has no box"),
    "text": ("0 0 3 4", "it has no box"),
    "none": (None, "it has no box"),
    "words": (["0", "0", "3", "4"], r"it has no box.*\n.*bbox \['0', '0', '3', '4'\]"),
}


@pytest.mark.parametrize("name", BAD_BOXES)
def test_a_box_that_is_none_is_its_samples_error_and_can_be_left_out(
    tmp_path: Path, name: str
) -> None:
    box, fault = BAD_BOXES[name]
    others = [one for one in ANNOTATIONS if one["image_id"] != 5]
    path = write(tmp_path, annotations=[*others, annotation(8, 5, box)])
    dataset = Coco("test", test=path)
    for read in (dataset.__getitem__, dataset.outline):
        with pytest.raises(DataError, match=fault) as caught:
            read(0)
        assert str(path) in str(caught.value)
        assert "'5.png'" in str(caught.value)
    kept, skipped = without_unreadable(dataset, "test", 0.5, "coco")
    assert [kept[index].id for index in range(len(kept))] == ["val2017/6.png", "val2017/7.png"]
    assert [one.position for one in skipped] == [0]


@pytest.mark.parametrize(
    "area",
    [-9.5, "9.5", math.inf, 10**400, True, [9.5]],
    ids=["negative", "text", "infinite", "huge", "flag", "list"],
)
def test_an_area_that_is_none_is_its_samples_error(tmp_path: Path, area: Any) -> None:
    found = [*ANNOTATIONS, annotation(9, 5, [1, 1, 3, 4], area=area)]
    dataset = Coco("test", test=write(tmp_path, annotations=found))
    with pytest.raises(DataError, match="its area is none") as caught:
        dataset.outline(0)
    assert "'5.png'" in str(caught.value)
    assert dataset.outline(2).boxes is not None


def test_an_area_that_is_not_told_is_that_of_the_box(tmp_path: Path) -> None:
    told = [annotation(9, 5, [1, 1, 3, 4], area=None), annotation(10, 6, [1, 1, 3, 4], area=0)]
    dataset = Coco("test", test=write(tmp_path, annotations=told))
    found = [one.areas for index in range(2) if (one := dataset.outline(index).boxes) is not None]
    assert found == [(12.0,), (0.0,)]


def test_a_file_of_no_annotations_says_that_nothing_is_in_any_picture(tmp_path: Path) -> None:
    dataset = Coco("test", test=write(tmp_path, annotations=[]))
    assert [dataset[index].boxes for index in range(3)] == [Boxes()] * 3
    assert dataset.revision != Coco("test", test=write(tmp_path, annotations=None)).revision


@pytest.mark.parametrize("category", [2, "cat", None, 10**400, True])
def test_an_unknown_label_is_its_samples_error(tmp_path: Path, category: Any) -> None:
    found = [*ANNOTATIONS, annotation(9, 5, [1, 1, 3, 4], category)]
    dataset = Coco("test", test=write(tmp_path, annotations=found))
    with pytest.raises(DataError, match="label is unknown"):
        dataset.outline(0)
    assert dataset.outline(2).boxes is not None


def test_a_picture_of_another_size_than_was_annotated_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    Image.new("RGB", (10, 20)).save(tmp_path / "val2017" / "5.png")
    dataset = Coco("test", test=path)
    with pytest.raises(DataError, match="another size than its boxes are for"):
        dataset[0]
    assert dataset[1].boxes == Boxes()


def test_without_told_sizes_boxes_are_checked_with_the_picture(tmp_path: Path) -> None:
    images = [{key: image[key] for key in ("id", "file_name")} for image in IMAGES]
    found = [annotation(1, 5, [0, 0, 21, 10])]
    dataset = Coco("test", test=write(tmp_path, images=images, annotations=found))
    assert dataset.outline(0).boxes is not None
    with pytest.raises(DataError, match="outside of the picture"):
        dataset[0]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"images": None}, "no list of images"),
    "images no list": ({"images": {"5": 1}}, "no list of images"),
    "no categories": ({"categories": None}, "no list of categories"),
    "annotations no list": ({"annotations": "all"}, "no list of annotations"),
    "annotation no object": ({"annotations": [3]}, "it is no object"),
    "unknown image": ({"annotations": [annotation(1, 99, [0, 0, 1, 1])]}, "no image has its"),
    "image twice": ({"images": [*IMAGES, IMAGES[0]]}, "its id is that of image 1"),
    "file twice": ({"images": [*IMAGES, {"id": 8, "file_name": "5.png"}]}, "file_name is that of"),
    "image without id": ({"images": [{"file_name": "a.png"}]}, "it has no id"),
    "image without file": ({"images": [{"id": 1}]}, "no file_name"),
    "outside": ({"images": [{"id": 1, "file_name": "../a.png"}]}, "not below the folder"),
    "size": ({"images": [{"id": 1, "file_name": "a", "width": -1, "height": 2}]}, "size is none"),
    "category twice": ({"categories": [CATEGORIES[0]] * 2}, "another category's"),
    "name twice": ({"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}, "another"),
    "category without name": ({"categories": [{"id": 1}]}, "no name"),
    "nul": ({"categories": [{"id": 1, "name": "a\0"}]}, "no name"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_told_apart_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    changes, fault = WRONG[name]
    path = write(tmp_path, **changes)
    with pytest.raises(DataError, match=fault) as caught:
        Coco("test", test=path)
    assert str(path) in str(caught.value)


HOSTILE = {
    "no JSON": '{"images": [',
    "deep": '{"images": ' + "[" * 200_000,
    "long number": '{"images": [' + "9" * 5000 + "]}",
    "one key twice": '{"images": [], "images": []}',
    "no object": "[]",
    "empty": "",
    "latin": b'{"images": "\xe9"}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_json_is_refused_with_its_file(tmp_path: Path, name: str) -> None:
    content = HOSTILE[name]
    path = tmp_path / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match="these are no instances") as caught:
        Coco("test", test=path)
    assert str(path) in str(caught.value)


def test_more_bytes_or_boxes_than_are_read_are_refused_before_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(coco_json.FILE_BYTES + 1)
    with pytest.raises(DataError, match="bytes, of at most"):
        Coco("test", test=large)
    monkeypatch.setattr(coco_json, "MOST_BOXES", 2)
    with pytest.raises(DataError, match="more than 2 boxes"):
        Coco("test", test=write(tmp_path))


def test_a_pipe_and_a_missing_file_are_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("pipe.json", "nothing.json"):
        with pytest.raises(DataError, match="cannot be read"):
            Coco("test", test=tmp_path / name)
    with pytest.raises(DataError, match="no file of any split"):
        Coco("test")


def test_pictures_that_are_not_there_are_told(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "val2017" / "6.png").unlink()
    with pytest.raises(DataError, match=r"no 6\.png"):
        Coco("test", test=path)


def test_files_of_other_categories_are_refused(tmp_path: Path) -> None:
    one, other = write(tmp_path, "one"), write(tmp_path, "other", categories=CATEGORIES[:2])
    with pytest.raises(DataError, match="categories are not those"):
        Coco("test", train=one, test=write(tmp_path, "other", categories=CATEGORIES[:2]))
    assert other != one


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> str:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return Coco("test", test=path).revision


def test_the_revision_tells_boxes_flags_and_pictures(tmp_path: Path) -> None:
    path = write(tmp_path)
    first = Coco("test", test=path).revision
    found = {first, changed(path, lambda one: one["annotations"][0].update(iscrowd=1))}
    found.add(changed(path, lambda one: one["annotations"][0].update(bbox=[1, 2, 3, 4])))
    found.add(changed(path, lambda one: one["annotations"].pop()))
    found.add(changed(path, lambda one: one["categories"][0].update(name="mug")))
    Image.new("RGB", SIZE, (200, 1, 7)).save(tmp_path / "val2017" / "5.png", compress_level=0)
    found.add(Coco("test", test=path).revision)
    assert len(found) == 6
    assert changed(path, lambda one: one.update(info="of 2017")) in found


def test_roots_and_roboflows_layout(tmp_path: Path) -> None:
    path = write(tmp_path)
    moved = tmp_path / "val2017" / "_annotations.coco.json"
    moved.write_bytes(path.read_bytes())
    assert Coco("test", test=moved).outline(0).id == "val2017/5.png"
    rooted = Coco("test", test=moved, root=tmp_path / "val2017")
    assert rooted.outline(0).id == "5.png"
    assert rooted[0].boxes == Coco("test", test=path)[0].boxes


def plain(document: dict[str, Any]) -> dict[str, list[tuple[Any, ...]]]:
    """Boxes by file, as a plain reader of the format has them."""
    names = {one["id"]: one["name"] for one in document["categories"]}
    found: dict[str, list[tuple[Any, ...]]] = {}
    for image in document["images"]:
        own = [one for one in document["annotations"] if one["image_id"] == image["id"]]
        found[image["file_name"]] = [
            (x, y, x + w, y + h, names[one["category_id"]], bool(one["iscrowd"]))
            for one in own
            for x, y, w, h in [one["bbox"]]
        ]
    return found


def test_many_boxes_in_any_order_are_those_of_a_plain_reader(tmp_path: Path) -> None:
    found = []
    for n in range(200):
        box = [n % 7, n % 3, 1 + n % 11, 2 + n % 5]
        image, category = (5, 6, 7)[n * n % 3], (1, 3, 90)[n % 3]
        found.append(annotation(n, image, box, category, iscrowd=n % 2))
    path = write(tmp_path, annotations=found)
    dataset = Coco("test", test=path)
    expected = plain(json.loads(path.read_text()))
    for index, (file, boxes) in enumerate(expected.items()):
        own = dataset.outline(index).boxes
        assert own is not None
        told = zip(own.corners, own.labels, own.crowd, strict=True)
        assert dataset.outline(index).id == f"val2017/{file}"
        assert [(*c, dataset.labels[label], crowd) for c, label, crowd in told] == boxes
