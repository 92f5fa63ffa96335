"""Labels in a picture: beside marks and at the ends of lines, none over another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mmlab.report.pictures.axes import Frame, spread
from mmlab.report.pictures.drawing import LETTER, LINE, element, text, text_width

#: Free room around a mark.
_RADIUS = 6.0


@dataclass(frozen=True)
class Box:
    """A rectangle in a drawing."""

    left: float
    top: float
    right: float
    bottom: float

    def touches(self, other: Box) -> bool:
        """Whether they share any room."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


@dataclass(frozen=True)
class Label:
    """A text whose base line begins at (x, y), and which mark it names."""

    mark: int
    x: float
    y: float
    text: str

    @property
    def box(self) -> Box:
        """The room that it takes."""
        return text_box(self.x, self.y, self.text)


def text_box(x: float, y: float, content: str, anchor: str = "start") -> Box:
    """The room that a text takes, rather too much than too little."""
    width = text_width(content)
    left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return Box(left, y - LETTER * 0.9, left + width, y + LETTER * 0.3)


def place_labels(
    marks: Sequence[tuple[float, float]],
    names: Sequence[str],
    frame: Frame,
    drawn: Iterable[Box] = (),
) -> list[Label]:
    """Labels of marks, those first that matter most; one that finds no room is left out.

    `drawn` are what else they shall not cover.
    """
    taken = [Box(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in marks]
    taken += drawn
    found: list[Label] = []
    for mark, (x, y) in enumerate(marks):
        for label in _tries(mark, x, y, names[mark]):
            box = label.box
            is_inside = box.left >= frame.left and box.right <= frame.right
            is_inside = is_inside and box.top >= frame.top and box.bottom <= frame.bottom
            if is_inside and not any(box.touches(other) for other in taken):
                taken.append(box)
                found.append(label)
                break
    return found


def _tries(mark: int, x: float, y: float, name: str) -> Iterator[Label]:
    """Right and left of a mark, at its corners, above and below it."""
    width, gap = text_width(name), _RADIUS + 2
    left, middle, right = x - gap - width, x - width / 2, x + gap
    above, level, below = y - gap, y + LETTER * 0.3, y + gap + LETTER * 0.9
    sides, ends = ((right, level), (left, level)), ((middle, above), (middle, below))
    corners = ((right, above), (right, below), (left, above), (left, below))
    for at_x, at_y in (*sides, *corners, *ends):
        yield Label(mark, at_x, at_y, name)


@dataclass(frozen=True)
class End:
    """Where a line of this colour ends, and its name."""

    name: str
    colour: int
    x: float
    y: float


def end_width(names: Sequence[str]) -> float:
    """The room for names at the ends of lines."""
    return min(max(map(text_width, names)), _END_WIDTH)


_END_WIDTH = 150.0
#: From the frame to the names: room for the lines that lead there.
END_GAP = 14.0


def end_labels(ends: Sequence[End], frame: Frame, width: float) -> Iterator[Markup]:
    """Names right of the frame, each as near its line's end as the others leave room."""
    places = spread([one.y for one in ends], LINE, frame.top + LINE / 2, frame.bottom)
    x = frame.right + END_GAP
    for one, place in zip(ends, places, strict=True):
        leader = {"x1": one.x + 4, "y1": one.y, "x2": x - 3, "y2": place}
        yield element("line", class_=f"leader k{one.colour}", **leader)
        yield text(x, place + 4, one.name, role=f"k{one.colour}", limit=width)
