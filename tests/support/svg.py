"""What a picture shows, read from its SVG: texts with their room, marks, and values on axes."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np

from mmlab.report.pictures.marks import Box, text_box
from mmlab.report.pictures.picture import Picture
from mmlab.report.render.svg import to_svg

NAMESPACE = "{http://www.w3.org/2000/svg}"


class Drawn:
    """A picture as a program that reads SVG sees it."""

    def __init__(self, picture: Picture) -> None:
        self.root = ET.fromstring(to_svg(picture))
        self.size = picture.width, picture.height

    def all(self, tag: str, *classes: str) -> list[ET.Element]:
        """The elements of a tag that have all of the classes."""
        found = self.root.iter(f"{NAMESPACE}{tag}")
        return [one for one in found if set(classes) <= set(one.get("class", "").split())]

    def texts(self) -> list[str]:
        """Every text that is shown."""
        return [shown(one) for one in self.all("text")]

    def boxes(self) -> list[tuple[str, Box]]:
        """Every level text with its room; those that are turned stand in groups of their own."""
        turned = {id(one) for group in self.all("g") for one in group}
        return [
            (shown(one), text_box(at(one, "x"), at(one, "y"), shown(one), anchor(one)))
            for one in self.all("text")
            if id(one) not in turned
        ]

    def x_value(self, place: float) -> float:
        """The value at a place, by the ticks of the axis below."""
        lowest = max(at(one, "y") for one in self._ticks("middle"))
        ticks = [one for one in self._ticks("middle") if at(one, "y") == lowest]
        return read([(at(one, "x"), value(one)) for one in ticks], place)

    def y_value(self, place: float) -> float:
        """The value at a height, by the ticks of the axis at the left."""
        ticks = self._ticks("end")
        return read([(at(one, "y") - 4, value(one)) for one in ticks], place)

    def _ticks(self, side: str) -> list[ET.Element]:
        found = [one for one in self.all("text") if anchor(one) == side]
        return [one for one in found if not one.get("class") and is_number(shown(one))]


def shown(one: ET.Element) -> str:
    """The text itself, without what is told of it."""
    parts = [one.text or "", *(child.tail or "" for child in one)]
    return "".join(parts)


def told(one: ET.Element) -> list[str]:
    """The lines that a pointer shows."""
    title = one.find(f"{NAMESPACE}title")
    return [] if title is None else (title.text or "").splitlines()


def at(one: ET.Element, name: str) -> float:
    return float(one.get(name, "nan"))


def anchor(one: ET.Element) -> str:
    return one.get("text-anchor", "start")


def is_number(text: str) -> bool:
    return text.strip("%kMG").replace(".", "", 1).replace("-", "", 1).isdigit()


def value(one: ET.Element) -> float:
    text = shown(one)
    factor = {"%": 0.01, "k": 1e3, "M": 1e6, "G": 1e9}.get(text[-1], 1.0)
    return float(text.rstrip("%kMG")) * factor


def read(ticks: Sequence[tuple[float, float]], place: float) -> float:
    """The value at a place of a straight axis with two ticks or more."""
    (a, low), (b, high) = ticks[0], ticks[-1]
    assert a != b
    return low + (place - a) / (b - a) * (high - low)


def corners(path: str) -> list[tuple[float, float]]:
    """The points of a path of straight lines."""
    numbers = path.replace("M", " ").replace("L", " ").replace("Z", " ").split()
    return list(zip(map(float, numbers[::2]), map(float, numbers[1::2]), strict=True))


def overlaps(drawn: Drawn) -> list[tuple[str, str]]:
    """Texts that stand over each other."""
    pairs = itertools.combinations(drawn.boxes(), 2)
    return [(a, b) for (a, one), (b, other) in pairs if one.touches(other)]


def outside(drawn: Drawn) -> list[str]:
    """Texts that leave the drawing."""
    width, height = drawn.size
    return [
        text
        for text, box in drawn.boxes()
        if box.left < -1 or box.right > width + 1 or box.top < -1 or box.bottom > height + 1
    ]


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb: WCAG 2.2."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, from 1 to 21: WCAG 2.2."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
