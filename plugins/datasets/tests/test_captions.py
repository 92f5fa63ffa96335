"""COCO and Flickr in Karpathy's splits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmlab_datasets.captions import Captions
from support.layouts import write_picture

from mmlab.plugin import DataError, Published
from mmlab.testing import check_dataset


def image(number: int, split: str, **changes: Any) -> dict[str, Any]:
    return {
        "filepath": "val2014",
        "filename": f"{number}.jpg",
        "split": split,
        "sentences": [{"raw": f"caption {number} {k}.", "tokens": []} for k in range(5)],
        **changes,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures in COCO's layout."""
    splits = ("train", "restval", "val", "test", "test", "train")
    images = [image(number, split) for number, split in enumerate(splits)]
    for number in range(len(splits)):
        write_picture(tmp_path / "coco" / "val2014" / f"{number}.jpg", number)
    return write(tmp_path, images)


def write(folder: Path, images: object, dataset: str = "coco") -> Path:
    document = {"images": images, "dataset": dataset}
    (folder / "dataset.json").write_text(json.dumps(document))
    return folder


def read(folder: Path, split: Any = "test", **options: Any) -> Captions:
    return Captions(split, path=folder / "dataset.json", root=folder / "coco", **options)


def test_captions_keep_the_contract(folder: Path) -> None:
    check_dataset(Captions, path=folder / "dataset.json", root=folder / "coco")


def test_every_picture_has_all_its_captions(folder: Path) -> None:
    test = read(folder)
    assert [test.outline(i).id for i in range(len(test))] == ["val2014/3.jpg", "val2014/4.jpg"]
    assert test[0].values["text"] == tuple(f"caption 3 {k}." for k in range(5))
    assert test[0].values["image"].size == (5, 4)


def test_restval_is_for_training(folder: Path) -> None:
    assert [len(read(folder, split)) for split in ("train", "validation", "test")] == [3, 1, 2]


def test_the_test_split_has_the_name_under_which_it_is_published(folder: Path) -> None:
    assert isinstance(read(folder), Published)
    assert read(folder).test_set == "coco-captions/karpathy-test"
    assert read(folder, captions=1).test_set == "coco (part)"
    assert read(folder, captions=1)[0].values["text"] == ("caption 3 0.",)


def test_the_revision_changes_with_a_caption(folder: Path) -> None:
    before = read(folder).revision
    images = json.loads((folder / "dataset.json").read_text())["images"]
    images[3]["sentences"][0]["raw"] = "another"
    assert read(write(folder, images)).revision != before


def test_missing_pictures_are_named_and_counted(folder: Path) -> None:
    for number in (3, 4):
        (folder / "coco" / "val2014" / f"{number}.jpg").unlink()
    with pytest.raises(DataError, match=r"no val2014/3\.jpg and 1 more"):
        read(folder)


BAD: dict[str, Callable[[Path], object]] = {
    "no file": lambda p: (p / "dataset.json").unlink(),
    "half a file": lambda p: (p / "dataset.json").write_text('{"images": ['),
    "a list": lambda p: (p / "dataset.json").write_text("[]"),
    "another split": lambda p: write(p, [image(3, "dev")]),
    "no sentences": lambda p: write(p, [image(3, "test", sentences=[])]),
    "a sentence of another type": lambda p: write(p, [image(3, "test", sentences=["text"])]),
    "an empty sentence": lambda p: write(p, [image(3, "test", sentences=[{"raw": " "}])]),
    "no name": lambda p: write(p, [image(3, "test", filename=None)]),
    "a path out of the folder": lambda p: write(p, [image(3, "test", filename="../../x.jpg")]),
    "an absolute path": lambda p: write(p, [image(3, "test", filepath="/etc")]),
}


@pytest.mark.parametrize("damage", BAD.values(), ids=BAD)
def test_another_file_is_refused_with_its_place(
    folder: Path, damage: Callable[[Path], object]
) -> None:
    damage(folder)
    with pytest.raises(DataError, match="these are no captions") as caught:
        read(folder)
    assert str(folder / "dataset.json") in str(caught.value)
