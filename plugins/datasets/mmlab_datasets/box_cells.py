"""Columns of an index that hold lists of boxes, and lists of what is said of each box."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from mmlab.plugin import Box, Boxes, DataError, explain
from mmlab_datasets.boxes import BoxTable, Marks, as_box, is_box
from mmlab_datasets.columns import given_labels
from mmlab_datasets.index import Index, nearest
from mmlab_datasets.rows import JoinedRows

Form = Literal["corners", "size"]
T = TypeVar("T")


@dataclass(frozen=True)
class BoxColumns:
    """The columns: of boxes, of their labels, and where they are named of flags of each.

    Boxes are [x0, y0, x1, y1], or of the form "size" [x0, y0, width, height].
    """

    boxes: str
    labels: str
    crowd: str | None
    difficult: str | None
    form: Form


def box_columns(
    boxes: str | None,
    labels: str | None,
    crowd: str | None,
    difficult: str | None,
    form: Form,
    *,
    others: Mapping[str, str | None],
    needs: Mapping[str, str | None],
) -> BoxColumns | None:
    """The columns that a spec names; None where it names none.

    Raises DataError for some of them without the others, beside `others` (labels of pictures, which
    are those of their boxes), or without what they need (pictures).
    """
    named = {
        "box_label_column": labels,
        "box_crowd_column": crowd,
        "box_difficult_column": difficult,
    }
    if boxes is None:
        for option in (option for option, column in named.items() if column is not None):
            raise _contradiction(f"{option} without box_column")
        return None
    for option in (option for option, column in needs.items() if column is None):
        raise _contradiction(f"box_column without {option}")
    for option in (option for option, column in others.items() if column is not None):
        raise _contradiction(f"box_column beside {option}")
    if labels is None:
        raise _contradiction("box_column without box_label_column")
    return BoxColumns(boxes, labels, crowd, difficult, form)


def _contradiction(found: str) -> DataError:
    return DataError(
        explain(
            "dataset.box_column",
            "these columns do not go together",
            found=found,
            allowed="image_column, box_column and box_label_column, without label_column: the "
            "labels of a picture are those of its boxes",
            next_step="name the columns that are missing, or remove the other ones",
        )
    )


@dataclass(frozen=True)
class _Cells:
    """What the columns say of one sample, before it is understood."""

    boxes: object
    labels: object
    crowd: object
    difficult: object


class CellBoxes:
    """The boxes of every sample of an index; an empty cell says that they are not known.

    A cell of JSON, or of lists, has a box each, and the other columns as many values. Labels are
    the names given, by default all that occur, sorted as text. What is wrong with a cell is the
    fault of its sample.
    """

    def __init__(
        self,
        index: Index,
        columns: BoxColumns,
        names: Sequence[str],
        joined: JoinedRows,
        has_picture: Sequence[bool],
    ) -> None:
        self._index, self._columns = index, columns
        self._rows = joined.first(range(1, len(index) + 1))
        read = [self._agreed(column, joined) for column in (columns.boxes, columns.labels)]
        flags = [self._agreed(column, joined) for column in (columns.crowd, columns.difficult)]
        cells = [_Cells(*each) for each in zip(*read, *flags, strict=True)]
        self.labels = given_labels(names) or tuple(sorted({*_names(cells)}))
        self._ids = {label: number for number, label in enumerate(self.labels)}
        self.unknown = {place for place, one in enumerate(cells) if one.boxes is None}
        self.table = BoxTable(len(cells))
        for place, one in enumerate(cells):
            self._understand(place, one, has_picture=has_picture[place])
        self.table.check(lambda place: self.place(place, columns.boxes), [None] * len(cells))

    def of(self, place: int) -> Boxes | None:
        """The boxes of a sample, None where they are not known. Raises DataError, its fault."""
        boxes = self.table.of(place)
        return None if place in self.unknown else boxes

    def truths(self) -> list[tuple[int, ...] | None]:
        """The labels of every sample: those of its boxes, each once; None where unknown."""
        known = self.unknown | self.table.faults.keys()
        places = range(self.table.pictures)
        return [
            None if at in known else tuple(sorted({*self.table.of(at).labels})) for at in places
        ]

    def identity(self) -> tuple[str, ...]:
        """What tells a change of any box, and of which samples have none that are known."""
        return "boxes", self.table.digest(), *map(str, sorted(self.unknown))

    def place(self, place: int, column: str) -> str:
        """A sample's cell, for the first part of a message."""
        return self._index.places.of(self._rows[place], column)

    def check(self, place: int, boxes: Boxes, size: tuple[int, int]) -> None:
        """Raise DataError where a box is none of a picture of this size."""
        boxes.check(self.place(place, self._columns.boxes), len(self.labels), size)

    def _agreed(self, column: str | None, joined: JoinedRows) -> Sequence[object]:
        if column is None:
            return [None] * len(joined)
        return joined.agreed(column, self._index.nested(column))

    def _understand(self, place: int, cells: _Cells, *, has_picture: bool) -> None:
        """Add the boxes of a sample, or keep what is wrong with them."""
        columns = self._columns
        try:
            if cells.boxes is None:
                self._require_none(place, cells)
                return
            if not has_picture:
                raise self._wrong(
                    place, columns.boxes, "there are boxes, and no picture", cells.boxes
                )
            boxes = self._each(place, columns.boxes, cells.boxes, None, as_box)
            count = len(boxes)
            labels = self._each(place, columns.labels, cells.labels, count, _name)
            crowd = self._flags(place, columns.crowd, cells.crowd, count)
            difficult = self._flags(place, columns.difficult, cells.difficult, count)
            for number, (box, label) in enumerate(zip(boxes, labels, strict=True)):
                marks = Marks(self._id(place, label), crowd[number], difficult[number])
                self._add(place, number, box, marks)
        except DataError as error:
            self.table.faults.setdefault(place, str(error))

    def _add(self, place: int, number: int, box: Box, marks: Marks) -> None:
        x, y, right, low = box
        box = box if self._columns.form == "corners" else (x, y, x + right, y + low)
        if is_box(box, None):
            self.table.add(place, box, marks)
            return
        where = f"{self.place(place, self._columns.boxes)}: number {number + 1}"
        self.table.note(place, where, Boxes((box,), (marks.label,)), None)

    def _require_none(self, place: int, cells: _Cells) -> None:
        if cells.labels:
            fault = "there are labels of boxes, and no boxes"
            raise self._wrong(place, self._columns.labels, fault, cells.labels)

    def _flags(self, place: int, column: str | None, cell: object, count: int) -> Sequence[bool]:
        if column is None or cell is None:
            return [False] * count
        return self._each(place, column, cell, count, _flag)

    def _each(
        self,
        place: int,
        column: str,
        cell: object,
        count: int | None,
        read: Callable[[object], T | None],
    ) -> list[T]:
        """The items of a list, as many as there are boxes. Raises DataError where one is none."""
        if not isinstance(cell, list):
            raise self._wrong(place, column, "the cell is no list", cell)
        if count is not None and len(cell) != count:
            fault = f"the list has {len(cell)} items for {count} boxes"
            raise self._wrong(place, column, fault, cell)
        items = [read(item) for item in cell]
        found = [item for item in items if item is not None]
        if len(found) < len(items):
            number = items.index(None)
            raise self._wrong(place, column, f"item {number + 1} is none", cell[number])
        return found

    def _id(self, place: int, label: str) -> int:
        if label in self._ids:
            return self._ids[label]
        fault = f"there is no label of this name{nearest(label, self.labels)}"
        raise self._wrong(place, self._columns.labels, fault, label)

    def _wrong(self, place: int, column: str, fault: str, found: object) -> DataError:
        form = "x1, y1" if self._columns.form == "corners" else "width, height"
        return DataError(
            explain(
                self.place(place, column),
                fault,
                found=f"{found!r:.80}",
                allowed=f"lists of one length: of boxes [x0, y0, {form}] in pixels, of labels, of "
                "flags true or false; an empty cell where nobody knows the boxes",
                next_step="correct the cell",
            )
        )


def _names(cells: Sequence[_Cells]) -> Iterator[str]:
    for one in cells:
        for item in one.labels if isinstance(one.labels, list) else ():
            if (name := _name(item)) is not None:
                yield name


_FLAGS: Mapping[object, bool] = {True: True, False: False, "0": False, "1": True}


def _flag(item: object) -> bool | None:
    return _FLAGS.get(item) if isinstance(item, bool | int | str) else None


def _name(item: object) -> str | None:
    if isinstance(item, bool) or not isinstance(item, int | str):
        return None
    text = str(item).strip()
    return text if text and "\0" not in text and len(text) <= 1000 else None
