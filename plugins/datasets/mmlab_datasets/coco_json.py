"""COCO's JSON of instances: images, categories, and annotations with a box each."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmlab.plugin import Boxes, DataError, explain, read_file
from mmlab_datasets.boxes import MOST_BOXES, BoxTable, Marks, as_box, as_number, is_box
from mmlab_datasets.json_lines import KeyTwice, unique_keys

#: COCO's largest file, of its training pictures, has 449 MB.
FILE_BYTES = 2_000_000_000
TEXT_BYTES = 1000
PIXELS = 1_000_000


@dataclass(frozen=True)
class Instances:
    """What a file says: pictures in its order, label names by category id, boxes by picture.

    `sizes` are (width, height) in pixels where they are told. `boxes` is None where the file has no
    list of annotations: what is in its pictures is not known.
    """

    path: Path
    files: Sequence[str]
    sizes: Sequence[tuple[int, int] | None]
    categories: Mapping[int, str]
    boxes: BoxTable | None

    def place(self, picture: int) -> str:
        """A picture, for the first part of a message."""
        return f"{self.path}: picture {self.files[picture]!r}"


def read_instances(path: Path) -> Instances:
    """What a file of COCO's form says.

    Raises DataError for one that is damaged, whose images, categories or annotations cannot be told
    apart, or that is larger than 2 GB. What is wrong with a box is kept as its picture's fault.
    """
    document = _read(path)
    categories = _categories(path, document)
    images, ids = _images(path, document)
    files = [_file(f"{path}: image {number}", image) for number, image in enumerate(images, 1)]
    _check_unique(path, "file_name", files)
    sizes = [_size(f"{path}: image {number}", image) for number, image in enumerate(images, 1)]
    if "annotations" not in document:
        return Instances(path, files, sizes, categories, None)
    found = Instances(path, files, sizes, categories, BoxTable(len(files)))
    _add_boxes(found, ids, _list(path, document, "annotations"))
    return found


def _read(path: Path) -> dict[str, object]:
    try:
        size = os.stat(path).st_size
        if size > FILE_BYTES:
            raise ValueError(f"{size:,} bytes, of at most {FILE_BYTES:,}")
        document = json.loads(read_file(path), object_pairs_hook=unique_keys)
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(str(path), "it cannot be read", f"{error}"[:200]) from error
    except KeyTwice as error:
        raise _damaged(str(path), "an object has one key twice", repr(error.key)[:80]) from error
    if not isinstance(document, dict):
        raise _damaged(str(path), "it is no JSON object", type(document).__name__)
    return document


def _list(path: Path, document: Mapping[str, object], key: str) -> Sequence[object]:
    found = document.get(key)
    if not isinstance(found, list):
        told = f"{key}: {type(found).__name__}" if key in document else f"no {key}"
        raise _damaged(str(path), f"it has no list of {key}", told)
    return found


def _objects(
    path: Path, document: Mapping[str, object], key: str
) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The objects of a list, each with its place."""
    for number, value in enumerate(_list(path, document, key), start=1):
        place = f"{path}: {key}, number {number}"
        if not isinstance(value, dict):
            raise _damaged(place, "it is no object", ascii(value)[:80])
        yield place, value


def _categories(path: Path, document: Mapping[str, object]) -> dict[int, str]:
    """Names by id, in the order of the ids, which may have gaps: COCO's 80 go up to 90."""
    found: dict[int, str] = {}
    for place, category in _objects(path, document, "categories"):
        number, name = category.get("id"), category.get("name")
        if type(number) is not int or not isinstance(name, str) or not _is_text(name):
            raise _damaged(place, "it has no whole id or no name", ascii(category)[:80])
        if number in found or name in found.values():
            raise _damaged(place, "its id or its name is another category's", ascii(category)[:80])
        found[number] = name
    return dict(sorted(found.items()))


def _images(
    path: Path, document: Mapping[str, object]
) -> tuple[list[Mapping[str, object]], dict[object, int]]:
    """The images, and the place of each by its id."""
    images: list[Mapping[str, object]] = []
    ids: dict[object, int] = {}
    for place, image in _objects(path, document, "images"):
        own = image.get("id")
        if type(own) not in (int, str):
            raise _damaged(place, "it has no id", ascii(image)[:80])
        if own in ids:
            raise _damaged(place, f"its id is that of image {ids[own] + 1}", ascii(own)[:80])
        ids[own] = len(images)
        images.append(image)
    return images, ids


def _file(place: str, image: Mapping[str, object]) -> str:
    name = image.get("file_name")
    if not isinstance(name, str) or not _is_text(name):
        raise _damaged(place, "it has no file_name", ascii(image)[:80])
    file = PurePosixPath(name)
    if file.is_absolute() or ".." in file.parts:
        raise _damaged(place, "its file is not below the folder of pictures", repr(name))
    return str(file)


def _size(place: str, image: Mapping[str, object]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    if width is None and height is None:
        return None
    sides = [side for side in (width, height) if type(side) is int and 0 < side <= PIXELS]
    if len(sides) == 2:
        return sides[0], sides[1]
    raise _damaged(place, "its size is none", f"width {width!r:.40}, height {height!r:.40}")


def _is_text(text: str) -> bool:
    """Whether a database can hold it, and it is short enough."""
    is_whole = not any("\ud800" <= character <= "\udfff" for character in text)
    return bool(text.strip()) and is_whole and "\0" not in text and len(text) <= TEXT_BYTES


def _check_unique(path: Path, what: str, names: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if first.setdefault(name, number) != number:
            fault = f"its {what} is that of image {first[name]}"
            raise _damaged(f"{path}: image {number}", fault, repr(name))


def _add_boxes(found: Instances, ids: Mapping[object, int], annotations: Sequence[object]) -> None:
    assert found.boxes is not None, "whoever adds has made a table"
    if len(annotations) > MOST_BOXES:
        told = f"{len(annotations):,} annotations"
        raise _damaged(str(found.path), f"it has more than {MOST_BOXES:,} boxes", told)
    labels = {number: label for label, number in enumerate(found.categories)}
    for position, annotation in enumerate(annotations, start=1):
        place = f"{found.path}: annotations, number {position}"
        if not isinstance(annotation, dict):
            raise _damaged(place, "it is no object", ascii(annotation)[:80])
        own = annotation.get("image_id")
        picture = ids.get(own) if type(own) in (int, str) else None
        if picture is None:
            raise _damaged(place, "no image has its image_id", ascii(own)[:80])
        _add(found, picture, f"{place} (of {found.files[picture]!r})", annotation, labels)
    found.boxes.check(found.place, found.sizes)


def _add(
    found: Instances,
    picture: int,
    place: str,
    annotation: Mapping[str, object],
    labels: Mapping[int, int],
) -> None:
    """Add the box of an annotation, or keep what is wrong with it as its picture's fault."""
    boxes, size = found.boxes, found.sizes[picture]
    assert boxes is not None, "as above"
    category, crowd = annotation.get("category_id"), annotation.get("iscrowd", 0)
    label = labels.get(category) if type(category) is int else None
    corner = as_box(annotation.get("bbox"))
    if label is None:
        allowed = "the id of a category of the file"
        told = explain(
            place, "its label is unknown", found=f"category_id {category!r:.40}", allowed=allowed,
            next_step="correct it, or add the category",
        )  # fmt: skip
        boxes.faults.setdefault(picture, told)
    elif corner is None or crowd not in (0, 1):
        told = explain(
            place, "it has no box, or is neither crowd nor not",
            found=f"bbox {annotation.get('bbox')!r:.60}, iscrowd {crowd!r:.20}",
            allowed="bbox = [x, y, width, height] in pixels; iscrowd 0 or 1",
            next_step="correct the annotation",
        )  # fmt: skip
        boxes.faults.setdefault(picture, told)
    else:
        x, y, width, height = corner
        box = (x, y, x + width, y + height)
        area = as_number(annotation.get("area"))
        if not is_box(box, size):
            boxes.note(picture, place, Boxes((box,), (label,)), size)
        elif annotation.get("area") is not None and not 0 <= area < math.inf:
            told = explain(
                place, "its area is none",
                found=f"{annotation['area']!r:.60}", allowed="square pixels, 0 and more, or null",
                next_step="correct the annotation",
            )  # fmt: skip
            boxes.faults.setdefault(picture, told)
        else:
            boxes.add(picture, box, Marks(label, bool(crowd), area=area), size)


def _damaged(place: str, fault: str, found: str) -> DataError:
    return DataError(
        explain(
            place,
            f"these are no instances: {fault}",
            found=found,
            allowed="COCO's JSON of at most 2 GB: images (id, file_name, width, height), "
            "categories (id, name), annotations (image_id, category_id, bbox, iscrowd)",
            next_step="mend the file, or write it anew",
        )
    )
