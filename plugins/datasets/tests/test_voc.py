"""Pascal VOC's folders of XML files: boxes of pictures, compared with a plain reader."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
from mmlab_datasets import voc_xml
from mmlab_datasets.voc import Voc
from PIL import Image

from mmlab.data.skipped import without_unreadable
from mmlab.plugin import Boxes, DataError
from mmlab.testing import check_dataset

SIZE = (20, 10)


def thing(name: str, x0: Any, y0: Any, x1: Any, y1: Any, difficult: Any = 0) -> str:
    box = f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    told = f"<name>{name}</name><difficult>{difficult}</difficult><truncated>1</truncated>"
    return f"<object>{told}<bndbox>{box}</bndbox>{part}</object>"


def xml(*things: str, size: tuple[int, int] = SIZE) -> str:
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>a.jpg</filename>{sides}{''.join(things)}</annotation>"


THINGS = {
    "000001": xml(thing("cat", 1, 1, 20, 10), thing("dog", 3, 4, 5, 6, 1)),
    "000002": xml(),
    "000003": xml(thing("person", "2.5", 2, "7.25", 3)),
}


def write(folder: Path, files: dict[str, str] | None = None, sets: bool = True) -> Path:
    """Three pictures in VOC's layout: one for training, one for validation and one for test."""
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    files = THINGS if files is None else files
    for number, (name, text) in enumerate(files.items()):
        (folder / "Annotations" / f"{name}.xml").write_text(text)
        Image.new("RGB", SIZE, (number, 9, 9)).save(folder / "JPEGImages" / f"{name}.jpg")
    for split, name in zip(("train", "val", "test"), files, strict=False):
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text(f"{name}\n")
    if not sets:
        for file in (folder / "ImageSets" / "Main").iterdir():
            file.unlink()
        (folder / "ImageSets" / "Main").rmdir()
    return folder


def one(folder: Path, text: str | bytes) -> Voc:
    """The training split, whose only annotation this is."""
    write(folder)
    path = folder / "Annotations" / "000001.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Voc("train", path=folder, label_names=["cat", "dog", "person"])


def test_boxes_begin_a_pixel_before_the_first_that_is_counted_from_one(tmp_path: Path) -> None:
    dataset = Voc("train", path=write(tmp_path))
    assert dataset.labels == ("cat", "dog", "person")
    corners = ((0.0, 0.0, 20.0, 10.0), (2.0, 3.0, 5.0, 6.0))
    sample = dataset[0]
    assert sample.boxes == Boxes(corners, (0, 1), difficult=(False, True))
    assert (sample.id, sample.labels) == ("000001", (0, 1))
    assert Voc("validation", path=tmp_path)[0].boxes == Boxes()
    fractional = Voc("test", path=tmp_path)[0].boxes
    assert fractional == Boxes(((1.5, 1.0, 7.25, 3.0),), (2,))


def test_pixels_may_be_counted_from_zero(tmp_path: Path) -> None:
    text = xml(thing("cat", 0, 0, 19, 9))
    write(tmp_path, {**THINGS, "000001": text})
    dataset = Voc("train", path=tmp_path, first_pixel=0)
    assert dataset[0].boxes == Boxes(((0.0, 0.0, 20.0, 10.0),), (0,))
    from_one = Voc("train", path=tmp_path)
    assert from_one[0].boxes == Boxes(((0.0, 0.0, 19.0, 9.0),), (0,))
    assert "1 of 1 boxes" in from_one.notes[0]


def test_voc_keeps_the_contract(tmp_path: Path) -> None:
    check_dataset(
        Voc,
        path=write(tmp_path),
        expected_failed_checks={"disjoint_contents": "the pictures drawn here are equal"},
    )


def test_without_sets_pictures_are_drawn_into_splits(tmp_path: Path) -> None:
    files = {f"{number:02}": xml(thing("cat", 1, 1, 5, 5)) for number in range(20)}
    path = write(tmp_path, files, sets=False)
    sizes = [len(Voc(split, path=path)) for split in ("train", "validation", "test")]
    assert sizes == [16, 2, 2]
    check_dataset(
        Voc,
        expected_failed_checks={"disjoint_contents": "the pictures drawn here are equal"},
        path=path,
    )


BAD: dict[str, tuple[str, str]] = {
    "outside": (thing("cat", 1, 1, 23, 5), "outside of the picture"),
    "inverted": (thing("cat", 9, 1, 3, 5), "ends before it begins"),
    "nan": (thing("cat", "nan", 1, 3, 5), "no number"),
    "word": (thing("cat", "left", 1, 3, 5), "no number"),
    "huge": (thing("cat", 1, 1, "9" * 500, 5), "no number"),
    "shares": (thing("cat", 1.1, 1.2, 0.8, 0.9), "shares of the picture"),
    "label": (thing("cow", 1, 1, 3, 5), "label is unknown"),
    "no name": (thing("", 1, 1, 3, 5), "it has no name"),
    "difficult": (thing("cat", 1, 1, 3, 5, "maybe"), "neither difficult nor not"),
    "no box": ("<object><name>cat</name></object>", "it has no box"),
    "half a box": ("<object><name>cat</name><bndbox><xmin>1</xmin></bndbox></object>", "no ymin"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_box_that_is_none_is_its_samples_error_and_can_be_left_out(
    tmp_path: Path, name: str
) -> None:
    text, fault = BAD[name]
    dataset = one(tmp_path, xml(thing("dog", 1, 1, 3, 5) if name != "shares" else "", text))
    for read in (dataset.__getitem__, dataset.outline):
        with pytest.raises(DataError, match=fault) as caught:
            read(0)
        assert str(tmp_path / "Annotations" / "000001.xml") in str(caught.value)
    kept, skipped = without_unreadable(dataset, "train", 1.0, "voc")
    assert (len(kept), len(skipped)) == (0, 1)


BOMB = """<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<annotation><object><name>&b;</name></object></annotation>"""
OUTER = """<!DOCTYPE a [<!ENTITY secret SYSTEM "file:///etc/passwd">]>
<annotation><object><name>&secret;</name></object></annotation>"""
SCHEME = '<!DOCTYPE annotation SYSTEM "http://localhost/a.dtd"><annotation/>'
HOSTILE = {
    "entities": (BOMB, "a document type"),
    "file": (OUTER, "a document type"),
    "scheme": (SCHEME, "a document type"),
    "undefined": ("<annotation>&b;</annotation>", "undefined entity"),
    "deep": ("<annotation>" + "<a>" * 100_000, "more than 20 deep"),
    "many": ("<annotation>" + "<a/>" * 200_001 + "</annotation>", "more than 200,000 elements"),
    "cut short": (THINGS["000001"][:-20], "no whole XML"),
    "empty": ("", "no whole XML"),
    "other": ("<svg/>", "its element is another"),
    "bytes": (b"<annotation>\xff\xfe</annotation>", "no whole XML"),
    "size": (xml(size=(-1, 5)), "its size is none"),
    "encoding": ('<?xml version="1.0" encoding="none"?><annotation/>', "no encoding that is read"),
    "utf-7": ('<?xml version="1.0" encoding="utf-7"?><annotation/>', "no encoding that is read"),
    "two boxes": (THINGS["000001"].replace("<bndbox>", "<bndbox/><bndbox>", 1), "it has 2 boxes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_xml_is_its_samples_error_before_any_entity_is_looked_at(
    tmp_path: Path, name: str
) -> None:
    text, fault = HOSTILE[name]
    dataset = one(tmp_path, text)
    with pytest.raises(DataError, match=fault) as caught:
        dataset[0]
    assert str(caught.value).startswith(str(tmp_path / "Annotations" / "000001.xml"))


def test_a_file_that_is_too_long_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voc_xml, "FILE_BYTES", 100)
    with pytest.raises(DataError, match="it is too long"):
        one(tmp_path, THINGS["000001"])[0]


def test_a_picture_of_another_size_than_was_annotated_is_refused(tmp_path: Path) -> None:
    dataset = one(tmp_path, xml(thing("cat", 1, 1, 3, 3), size=(10, 20)))
    with pytest.raises(DataError, match="another size"):
        dataset[0]
    unknown = one(tmp_path, xml(thing("cat", 1, 1, 3, 3), size=(0, 0)))
    assert unknown[0].boxes == Boxes(((0.0, 0.0, 3.0, 3.0),), (0,))
    beyond = one(tmp_path, xml(thing("cat", 1, 1, 30, 3), size=(0, 0)))
    with pytest.raises(DataError, match="outside of the picture"):
        beyond[0]


def test_folders_that_are_none_of_vocs_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be listed"):
        Voc("train", path=tmp_path / "nothing")
    write(tmp_path)
    picture = tmp_path / "JPEGImages" / "000001.jpg"
    picture.with_suffix(".png").write_bytes(picture.read_bytes())
    with pytest.raises(DataError, match="several pictures"):
        Voc("train", path=tmp_path)
    picture.unlink()
    picture.with_suffix(".png").unlink()
    with pytest.raises(DataError, match="no picture"):
        Voc("train", path=tmp_path)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("000009\n")
    with pytest.raises(DataError, match="name 1 has no annotation"):
        Voc("train", path=tmp_path)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("000003\n000003\n")
    with pytest.raises(DataError, match="a name is there twice"):
        Voc("train", path=tmp_path)


def test_the_revision_tells_boxes_and_flags(tmp_path: Path) -> None:
    found = {one(tmp_path, THINGS["000001"]).revision}
    found.add(one(tmp_path, THINGS["000001"].replace("<difficult>1", "<difficult>0")).revision)
    found.add(one(tmp_path, THINGS["000001"].replace("<xmin>3", "<xmin>2")).revision)
    assert len(found) == 3
    assert one(tmp_path, THINGS["000001"].replace("<truncated>1", "<truncated>0")).revision in found


def plain(text: str) -> list[tuple[float, float, float, float, str, bool]]:
    """Boxes as regular expressions find them, VOC's first pixel being 1."""
    found = []
    for own in re.findall(r"<object>(.*?)</object>", text):
        own = re.sub(r"<part>.*?</part>", "", own)
        name, difficult = re.findall(r"<name>(.*?)<.*<difficult>(\d)", own)[0]
        x0, y0, x1, y1 = (float(n) for n in re.findall(r"<[xy]m..>(.*?)<", own))
        found.append((x0 - 1, y0 - 1, x1, y1, name, difficult == "1"))
    return found


def test_many_boxes_are_those_of_a_plain_reader(tmp_path: Path) -> None:
    draw = random.Random(5)
    things = []
    for number in range(100):
        x, y = draw.randint(1, 9), draw.randint(1, 5)
        things.append(thing(draw.choice("abc"), x, y, x + 3, y + 4, number % 2))
    write(tmp_path, {**THINGS, "000001": xml(*things)})
    dataset = Voc("train", path=tmp_path)
    boxes = dataset[0].boxes
    assert boxes is not None
    told = zip(boxes.corners, boxes.labels, boxes.difficult, strict=True)
    found = [(*corners, dataset.labels[label], flag) for corners, label, flag in told]
    assert found == plain(xml(*things))
