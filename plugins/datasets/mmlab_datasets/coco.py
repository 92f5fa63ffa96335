"""Pictures with boxes in COCO's form (object detection): JSON files of instances, and pictures."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import Field

from mmlab.plugin import (
    DataError,
    Origin,
    Sample,
    Source,
    Split,
    explain,
    file_sha256,
    open_file,
)
from mmlab_datasets.coco_json import Instances, read_instances
from mmlab_datasets.media import read_picture
from mmlab_datasets.texts import Template

File = Annotated[Path | None, Field(description="JSON file of instances")]
PREFIX = "instances_"


class Coco:
    """One picture a sample, with the boxes of the things in it; labels are the categories.

    `annotations/instances_NAME.json` is about the pictures of the folder NAME beside `annotations`,
    as COCO has it; any other file about those below its own folder; `root` is another folder for
    all of them. A picture without annotations has no boxes. All files name the same categories,
    which are in the order of their ids. The labels of a sample are those of its boxes. The id is
    the path of the picture from the root, or else with its folder's name. The revision tells the
    sizes of pictures, or with `hash_files` every byte.

    Raises DataError for files that cannot be understood, and for pictures that are not there. A box
    that is none, or of no category, is an error of its sample, raised when that is read.
    """

    numerics = 1
    modalities: tuple[str, ...] = ("image",)
    is_multi_label = True
    has_boxes = True

    def __init__(
        self,
        split: Split,
        *,
        train: File = None,
        validation: File = None,
        test: File = None,
        root: Annotated[Path | None, Field(description="folder of all pictures")] = None,
        templates: Annotated[
            Sequence[Template], Field(min_length=1, description="prompts with one {} each")
        ] = ("{}",),
        hash_files: Annotated[
            bool, Field(description="read every picture, to see changes that keep its size")
        ] = False,
    ) -> None:
        named = {"train": train, "validation": validation, "test": test}
        paths = {name: path for name, path in named.items() if path is not None}
        if not paths:
            raise _no_file()
        self._files = {name: read_instances(path) for name, path in paths.items()}
        self.labels = _labels([*self._files.values()])
        self.templates = tuple(templates)
        self._folders = {name: root or _folder(path) for name, path in paths.items()}
        self._has_root, self._hash_files = root is not None, hash_files
        self._split(split)

    def sibling(self, split: Split) -> Coco:
        """Another split, of what this one has read."""
        other = copy.copy(self)
        other._split(split)
        return other

    def _split(self, split: Split) -> None:
        self._own = self._files.get(split)
        self._folder = self._folders.get(split, Path())
        names = () if self._own is None else self._own.files
        # Pictures of two folders may have one name; those of one root are told apart by theirs.
        prefix = "" if self._has_root else f"{self._folder.name}/"
        self._ids = [f"{prefix}{name}" for name in names]
        self._sizes = _file_sizes(self._own, self._folder)
        boxes = None if self._own is None else self._own.boxes
        self.notes = (
            () if self._own is None or boxes is None else tuple(boxes.notes(self._own.path))
        )
        stamps: list[object] = [*self._sizes]
        if self._hash_files:
            stamps = [file_sha256(self._folder / name) for name in names]
        marks = None if boxes is None else boxes.digest()
        content = json.dumps([self.labels, self.templates, self._ids, stamps, marks]).encode()
        self.revision = f"coco-{hashlib.sha256(content).hexdigest()[:16]}"

    def __len__(self) -> int:
        """Number of pictures in the split."""
        return len(self._ids)

    def __getitem__(self, index: int) -> Sample:
        """One picture with its boxes. Raises DataError where it cannot be read, or a box is none.

        Also where the picture has another size than the file says, for then the boxes are not its.
        """
        sample, own = self.outline(index), self._instances
        picture = read_picture(self._folder / own.files[index], own.place(index))
        told = own.sizes[index]
        if told is not None and told != picture.size:
            raise _other_size(own.place(index), told, picture.size)
        if sample.boxes is not None:
            sample.boxes.check(own.place(index), len(self.labels), picture.size)
        return replace(sample, values={"image": picture})

    def outline(self, index: int) -> Sample:
        """The same without the picture. Raises DataError where a box is none."""
        table = self._instances.boxes
        boxes = None if table is None else table.of(index)
        labels = None if boxes is None else tuple(sorted({*boxes.labels}))
        return Sample(self._ids[index], {"image": None}, labels, boxes=boxes)

    def trace(self, index: int) -> Origin:
        """The picture's file."""
        file = os.path.abspath(self._folder / self._instances.files[index])
        return Origin({"image": Source(file, self._sizes[index])})

    def open_source(self, index: int, modality: str) -> BinaryIO:
        """The bytes of the picture."""
        return open_file(self._folder / self._instances.files[index])

    @property
    def _instances(self) -> Instances:
        if self._own is None:
            raise IndexError("the split has no file, and so no samples")
        return self._own


def _folder(path: Path) -> Path:
    """Where the pictures of a file are: in COCO's layout, or below the file's own folder."""
    name = path.stem.removeprefix(PREFIX)
    if name != path.stem and (beside := path.parent.parent / name).is_dir():
        return beside
    return path.parent


def _labels(files: Sequence[Instances]) -> tuple[str, ...]:
    first = files[0]
    for other in files[1:]:
        if other.categories != first.categories:
            raise DataError(
                explain(
                    str(other.path),
                    f"its categories are not those of {first.path}",
                    found=_difference(first.categories, other.categories),
                    allowed="the same ids and names in the files of all splits",
                    next_step="write both files with the categories of both",
                )
            )
    return tuple(first.categories.values())


def _difference(one: Mapping[int, str], other: Mapping[int, str]) -> str:
    differing = sorted(set(one.items()) ^ set(other.items()))
    number, name = differing[0]
    return f"{len(differing)} differ; the first is {name!r}, id {number}"


def _file_sizes(own: Instances | None, folder: Path) -> list[int]:
    """The size of every picture's file in bytes. Raises DataError where some are missing."""
    sizes: list[int] = []
    missing: list[str] = []
    for name in () if own is None else own.files:
        try:
            sizes.append(os.stat(folder / name).st_size)
        except OSError:
            missing.append(name)
    if own is None or not missing:
        return sizes
    raise DataError(
        explain(
            str(folder),
            f"the folder lacks pictures that {own.path.name} names",
            found=f"no {missing[0]}" + f" and {len(missing) - 1:,} more" * (len(missing) > 1),
            allowed="all pictures of the split",
            next_step="unpack the dataset's pictures there, or set dataset.root",
        )
    )


def _no_file() -> DataError:
    return DataError(
        explain(
            "dataset coco",
            "no file of any split is named",
            found="no train, validation or test",
            allowed="a JSON file of instances for one split or more",
            next_step='name one: test = "annotations/instances_val2017.json"',
        )
    )


def _other_size(place: str, told: tuple[int, int], found: tuple[int, int]) -> DataError:
    return DataError(
        explain(
            place,
            "the picture has another size than its boxes are for",
            found=f"{found[0]} x {found[1]} pixels",
            allowed=f"{told[0]} x {told[1]}, as the annotations say",
            next_step="put the picture there that was annotated, or correct the size",
        )
    )
