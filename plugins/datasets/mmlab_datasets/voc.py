"""Pictures with boxes in Pascal VOC's folders (object detection): an XML file for each picture."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from pydantic import Field

from mmlab.plugin import (
    SPLITS,
    Boxes,
    DataError,
    Origin,
    Sample,
    Source,
    Split,
    explain,
    file_sha256,
    message_of,
    open_file,
    read_file,
)
from mmlab_datasets.boxes import BoxTable, Marks, is_box
from mmlab_datasets.columns import given_labels
from mmlab_datasets.media import read_picture
from mmlab_datasets.splits import draw_splits
from mmlab_datasets.texts import Label, Template, read_lines
from mmlab_datasets.voc_xml import Annotation, read_annotation

Fraction = Annotated[float, Field(ge=0, lt=0.5)]
Folder = Annotated[str, Field(min_length=1)]
SetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".JPG", ".JPEG", ".PNG")
SETS = "ImageSets/Main"


@dataclass(frozen=True)
class _Picture:
    """A picture by its name without ending; `fault` says why its annotation cannot be read."""

    name: str
    file: str
    annotation: Annotation
    fault: str = ""


class Voc:
    """One picture a sample, with the boxes of the things in it; labels are the objects' names.

    `path` holds the folder `annotations` of XML files and the folder `images` of pictures of the
    same names. Which picture is in which split is said by the files of `ImageSets/Main`, one name a
    line; where there is no such folder, pictures are drawn into splits by a hash of `seed` and
    their name. Labels are the `label_names`, by default all names that occur, sorted as text. VOC
    counts pixels from 1 and the last one in, so that its box (1, 1, 10, 10) is (0, 0, 10, 10) here;
    `first_pixel = 0` reads files of which the first pixel is 0. The id is the picture's name.

    Raises DataError for folders that cannot be understood. An annotation that is damaged, and a box
    that is none or of no label, is an error of its sample, raised when that is read.
    """

    numerics = 1
    modalities: tuple[str, ...] = ("image",)
    is_multi_label = True
    has_boxes = True

    def __init__(
        self,
        split: Split,
        *,
        path: Annotated[Path, Field(description="folder of the two folders, such as VOC2007")],
        annotations: Annotated[Folder, Field(description="folder of XML files")] = "Annotations",
        images: Annotated[Folder, Field(description="folder of pictures")] = "JPEGImages",
        train: Annotated[SetName, Field(description="file of ImageSets/Main")] = "train",
        validation: Annotated[SetName, Field(description="file of ImageSets/Main")] = "val",
        test: Annotated[SetName, Field(description="file of ImageSets/Main")] = "test",
        first_pixel: Annotated[
            Literal[0, 1], Field(description="number of the first pixel of a row")
        ] = 1,
        label_names: Annotated[Sequence[Label], Field(description="all labels, in order")] = (),
        templates: Annotated[
            Sequence[Template], Field(min_length=1, description="prompts with one {} each")
        ] = ("{}",),
        validation_fraction: Annotated[Fraction, Field(description="part of the pictures")] = 0.1,
        test_fraction: Annotated[Fraction, Field(description="part of the pictures")] = 0.1,
        seed: Annotated[int, Field(description="of the drawn splits")] = 0,
        hash_files: Annotated[
            bool, Field(description="read every picture, to see changes that keep its size")
        ] = False,
    ) -> None:
        self._path, self._xml, self._images = path, path / annotations, path / images
        sets = {"train": train, "validation": validation, "test": test}
        fractions = {"validation": validation_fraction, "test": test_fraction}
        pictures = _find(self._xml, self._images)
        names = _split_names(path, sets, pictures, fractions, seed)
        used = chain(*names.values())
        files = {name: _one_file(self._images, name, pictures[name]) for name in used}
        read = {name: _read(self._xml, name, file) for name, file in files.items()}
        self._pictures = {each: [read[name] for name in own] for each, own in names.items()}
        self.labels = given_labels(label_names) or _labels([*read.values()])
        self.templates = tuple(templates)
        self._first_pixel, self._hash_files = first_pixel, hash_files
        self._split(split)

    def sibling(self, split: Split) -> Voc:
        """Another split, of what this one has read."""
        other = copy.copy(self)
        other._split(split)
        return other

    def _split(self, split: Split) -> None:
        self._own = self._pictures.get(split, [])
        self._boxes = self._table()
        self.notes = tuple(self._boxes.notes(f"{self._path}, {split}"))
        self._sizes = [os.stat(self._images / one.file).st_size for one in self._own]
        stamps: list[object] = [*self._sizes]
        if self._hash_files:
            stamps = [file_sha256(self._images / one.file) for one in self._own]
        files = [one.file for one in self._own]
        told = [self.labels, self.templates, files, stamps, self._boxes.digest()]
        content = json.dumps(told).encode()
        self.revision = f"voc-{hashlib.sha256(content).hexdigest()[:16]}"

    def _table(self) -> BoxTable:
        table, sizes = BoxTable(len(self._own)), [one.annotation.size for one in self._own]
        labels = {label: number for number, label in enumerate(self.labels)}
        for number, one in enumerate(self._own):
            if one.fault:
                table.faults[number] = one.fault
            self._fill(table, number, one.annotation, labels)
        table.check(self._place, sizes)
        return table

    def _fill(
        self, table: BoxTable, number: int, annotation: Annotation, labels: Mapping[str, int]
    ) -> None:
        for count, thing in enumerate(annotation.things, start=1):
            place = f"{self._place(number)}: object {count}"
            x0, y0, x1, y1 = thing.box
            first = self._first_pixel
            box = (x0 - first, y0 - first, x1 + 1 - first, y1 + 1 - first)
            label = labels.get(thing.name)
            if label is None:
                table.faults.setdefault(number, _unknown(place, thing.name, self.labels))
            elif is_box(box, annotation.size):
                marks = Marks(label, is_difficult=thing.is_difficult)
                table.add(number, box, marks, annotation.size)
            else:
                table.note(number, place, Boxes((box,), (label,)), annotation.size)

    def _place(self, index: int) -> str:
        return f"{self._xml / self._own[index].name}.xml"

    def __len__(self) -> int:
        """Number of pictures in the split."""
        return len(self._own)

    def __getitem__(self, index: int) -> Sample:
        """One picture with its boxes. Raises DataError where either cannot be read."""
        sample, one, place = self.outline(index), self._own[index], self._place(index)
        picture = read_picture(self._images / one.file, place)
        told = one.annotation.size
        if told is not None and told != picture.size:
            raise _other_size(place, told, picture.size)
        assert sample.boxes is not None, "every picture has an annotation"
        sample.boxes.check(place, len(self.labels), picture.size)
        return replace(sample, values={"image": picture})

    def outline(self, index: int) -> Sample:
        """The same without the picture. Raises DataError where a box is none."""
        boxes = self._boxes.of(index)
        labels = tuple(sorted({*boxes.labels}))
        return Sample(self._own[index].name, {"image": None}, labels, boxes=boxes)

    def trace(self, index: int) -> Origin:
        """The picture's file."""
        file = os.path.abspath(self._images / self._own[index].file)
        return Origin({"image": Source(file, self._sizes[index])})

    def open_source(self, index: int, modality: str) -> BinaryIO:
        """The bytes of the picture."""
        return open_file(self._images / self._own[index].file)


def _find(xml: Path, images: Path) -> dict[str, list[str]]:
    """The pictures of each annotation, by its name without ending; one, if all is well."""
    try:
        named = sorted(name[:-4] for name in os.listdir(xml) if name.endswith(".xml"))
        files = set(os.listdir(images))
    except OSError as error:
        raise _unusable(Path(error.filename), "it cannot be listed", str(error.strerror)) from error
    found: dict[str, list[str]] = {}
    for name in named:
        if name.startswith("."):
            continue
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise _unusable(xml, "the name of a file is no UTF-8", ascii(name))
        found[name] = [name + ending for ending in ENDINGS if name + ending in files]
    if not found:
        raise _unusable(xml, "there is no annotation in it", "no .xml")
    return found


def _split_names(
    path: Path,
    sets: Mapping[str, str],
    pictures: Mapping[str, Sequence[str]],
    fractions: Mapping[str, float],
    seed: int,
) -> dict[str, list[str]]:
    """The names of each split's pictures."""
    if not (path / SETS).is_dir():
        names = list(pictures)
        drawn = draw_splits(names, fractions, seed)
        pairs = [*zip(names, drawn, strict=True)]
        return {split: [name for name, of in pairs if of == split] for split in SPLITS}
    found = {split: _listed(path / SETS / f"{name}.txt", pictures) for split, name in sets.items()}
    if not any(found.values()):
        raise _unusable(path / SETS, "none of the sets has a picture", ", ".join(sets.values()))
    return found


def _listed(file: Path, pictures: Mapping[str, Sequence[str]]) -> list[str]:
    """The names in a file, one a line; none where there is no such file, as of VOC2012's test."""
    if not file.exists():
        return []
    try:
        lines = read_lines(read_file(file).decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(file, "it cannot be read", str(error)[:80]) from error
    names = [line for line in lines if line]
    for number, name in enumerate(names, start=1):
        if name not in pictures:
            raise _unusable(file, f"name {number} has no annotation", repr(name)[:80])
    if len(set(names)) < len(names):
        raise _unusable(file, "a name is there twice", f"{len(names) - len(set(names))} again")
    return names


def _one_file(images: Path, name: str, files: Sequence[str]) -> str:
    if len(files) == 1:
        return files[0]
    fault = "an annotation has several pictures" if files else "an annotation has no picture"
    raise _unusable(images, fault, f"{name}.xml: {', '.join(files) or 'none'}")


def _read(xml: Path, name: str, file: str) -> _Picture:
    try:
        return _Picture(name, file, read_annotation(xml / f"{name}.xml"))
    except DataError as error:
        return _Picture(name, file, Annotation(None, ()), message_of(error))


def _labels(pictures: Sequence[_Picture]) -> tuple[str, ...]:
    return tuple(sorted({thing.name for one in pictures for thing in one.annotation.things}))


def _unknown(place: str, name: str, labels: Sequence[str]) -> str:
    return explain(
        place,
        "its label is unknown",
        found=repr(name)[:80],
        allowed=", ".join(labels[:20]) + f" and {len(labels) - 20} more" * (len(labels) > 20),
        next_step="correct the name, or add it to label_names",
    )


def _other_size(place: str, told: tuple[int, int], found: tuple[int, int]) -> DataError:
    return DataError(
        explain(
            place,
            "the picture has another size than its boxes are for",
            found=f"{found[0]} x {found[1]} pixels",
            allowed=f"{told[0]} x {told[1]}, as the annotation says",
            next_step="put the picture there that was annotated, or correct the size",
        )
    )


def _unusable(place: Path, fault: str, found: str) -> DataError:
    return DataError(
        explain(
            str(place),
            f"these are no folders of VOC's form: {fault}",
            found=found,
            allowed="Annotations/NAME.xml, JPEGImages/NAME.jpg (.png, .webp), and where splits are "
            "said ImageSets/Main/train.txt, val.txt, test.txt",
            next_step="correct dataset.path, or name the folders: annotations, images",
        )
    )
