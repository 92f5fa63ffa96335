"""Annotations of Pascal VOC: one XML file a picture, read without entities, and within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from mmlab.plugin import Box, DataError, explain, open_file

FILE_BYTES = 10_000_000
MOST_ELEMENTS = 200_000
#: Levels of elements; VOC has six, of which boxes of parts are the deepest.
DEPTH = 20
PIXELS = 1_000_000
TEXT_LENGTH = 1000


@dataclass(frozen=True)
class Thing:
    """An object of a picture; the box as it is written, from the number of the first pixel on."""

    name: str
    box: Box
    is_difficult: bool


@dataclass(frozen=True)
class Annotation:
    """What a file says of a picture: its size (width, height) if it is told, and its objects."""

    size: tuple[int, int] | None
    things: tuple[Thing, ...]


@dataclass
class Element:
    """An element of XML: its name, its text, and the elements in it."""

    name: str
    text: str = ""
    inner: list[Element] = field(default_factory=list)

    def find(self, name: str) -> Element | None:
        """The first element of this name right in it."""
        return next((one for one in self.inner if one.name == name), None)

    def text_of(self, name: str) -> str:
        """The text of such an element without blanks around it; "" without one."""
        found = self.find(name)
        return "" if found is None else found.text.strip()


def read_annotation(path: Path) -> Annotation:
    """What a file says. Raises DataError, with the line, where that is none of VOC's form.

    A document type is refused before any entity of it is looked at, as are more than 10 MB, 200,000
    elements or 20 levels of them.
    """
    root = _parse(path)
    if root.name != "annotation":
        raise _damaged(str(path), "its element is another", f"<{root.name[:40]}>", "<annotation>")
    size = root.find("size")
    objects = [one for one in root.inner if one.name == "object"]
    return Annotation(
        None if size is None else _size(path, size),
        tuple(_thing(f"{path}: object {number}", one) for number, one in enumerate(objects, 1)),
    )


def _parse(path: Path) -> Element:
    try:
        with open_file(path) as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise _damaged(str(path), "it cannot be read", str(error.strerror), "a file") from error
    if len(content) > FILE_BYTES:
        raise _damaged(str(path), "it is too long", f"over {FILE_BYTES:,} bytes", "VOC's XML")
    tree = _Tree()
    try:
        tree.parser.Parse(content, True)
    except expat.ExpatError as error:
        found = expat.errors.messages[error.code]
        place = f"{path}: line {error.lineno}"
        raise _damaged(place, "it is no whole XML", found, "XML without entities") from error
    except (LookupError, ValueError) as error:  # what expat makes of other encodings' names
        found, allowed = str(error), "XML in UTF-8, or another encoding that expat knows"
        raise _damaged(str(path), "it has no encoding that is read", found, allowed) from error
    except _Refused as error:
        place = f"{path}: line {tree.parser.CurrentLineNumber}"
        raise _damaged(place, "it is refused", str(error), "XML without document type") from error
    return tree.root


class _Refused(Exception):
    pass


class _Tree:
    """The elements of a document, built as expat tells of them."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._open = [Element("")]
        self._count = 0

    @property
    def root(self) -> Element:
        """The outermost element; a document that was parsed to its end has one."""
        return self._open[0].inner[0]

    def _refuse(self, *_: object) -> None:
        raise _Refused("a document type, which could define entities")

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS or len(self._open) > DEPTH:
            what = f"{MOST_ELEMENTS:,} elements" if self._count > MOST_ELEMENTS else f"{DEPTH} deep"
            raise _Refused(f"more than {what}")
        element = Element(name)
        self._open[-1].inner.append(element)
        self._open.append(element)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        self._open[-1].text += text


def _size(path: Path, size: Element) -> tuple[int, int] | None:
    """The size; None where it is 0, as tools write it that did not open the picture."""
    width, height = (_number(size.text_of(name)) for name in ("width", "height"))
    if width == height == 0:
        return None
    if all(side == side // 1 and 0 < side <= PIXELS for side in (width, height)):
        return int(width), int(height)
    found = f"width {size.text_of('width')!r:.40}, height {size.text_of('height')!r:.40}"
    raise _damaged(str(path), "its size is none", found, "a number of pixels for each")


def _thing(place: str, element: Element) -> Thing:
    name, box = element.text_of("name"), element.find("bndbox")
    if not name or len(name) > TEXT_LENGTH:
        raise _damaged(place, "it has no name", repr(name[:40]), f"1 to {TEXT_LENGTH} characters")
    if box is None:
        raise _damaged(place, "it has no box", f"{name!r} without <bndbox>", "one <bndbox>")
    boxes = sum(one.name == "bndbox" for one in element.inner)
    if boxes > 1:
        raise _damaged(place, f"it has {boxes} boxes", repr(name), "one <bndbox>")
    difficult = element.text_of("difficult") or "0"
    if difficult not in ("0", "1"):
        raise _damaged(place, "it is neither difficult nor not", repr(difficult[:40]), "0 or 1")
    x0, y0, x1, y1 = map(_number, _corners(place, box))
    return Thing(name, (x0, y0, x1, y1), difficult == "1")


def _corners(place: str, box: Element) -> Iterator[str]:
    for name in ("xmin", "ymin", "xmax", "ymax"):
        text = box.text_of(name)
        if not text:
            raise _damaged(place, f"its box has no {name}", "nothing", "a number of pixels")
        yield text


def _number(text: str) -> float:
    """The number that a text says; NaN where it says none."""
    try:
        return float(text) if "_" not in text else float("nan")
    except ValueError:
        return float("nan")


def _damaged(place: str, fault: str, found: str, allowed: str) -> DataError:
    return DataError(
        explain(
            place,
            f"this is no annotation of VOC's form: {fault}",
            found=found,
            allowed=allowed,
            next_step="correct the file, or take it and its picture out",
        )
    )
