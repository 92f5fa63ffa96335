"""Drawn shapes with a caption each: a dataset that needs no files."""

from __future__ import annotations

import hashlib
from typing import Annotated

from PIL import Image, ImageDraw
from pydantic import Field

from mmlab.plugin import Sample, Split

FORMS = ("disk", "square", "triangle")
COLORS = {"red": (220, 40, 40), "green": (40, 160, 60), "blue": (50, 80, 220)}
PIXELS = 32
#: Where a split's drawings begin in one endless row of drawings.
STARTS: dict[Split, int] = {"train": 0, "validation": 100_000, "test": 200_000}


class Shapes:
    """Pictures of one shape (image), what they show (text), and its form (label).

    Drawing number n has form n mod 3 and colour n div 3 mod 3; n also decides its place and size.
    """

    modalities: tuple[str, ...] = ("image", "text")
    labels: tuple[str, ...] = FORMS
    templates: tuple[str, ...] = ("a {}", "a drawing of a {}")
    is_multi_label = False

    def __init__(
        self,
        split: Split,
        *,
        count: Annotated[
            int, Field(ge=9, le=90_000, description="drawings to train with; a third for the rest")
        ] = 90,
    ) -> None:
        self._start = STARTS[split]
        self._count = count if split == "train" else count // 3
        self.revision = f"shapes-1-{count}"

    def __len__(self) -> int:
        """Number of drawings in the split."""
        return self._count

    def __getitem__(self, index: int) -> Sample:
        """One drawing."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        number = self._start + index
        form, color = FORMS[number % 3], list(COLORS)[number // 3 % 3]
        values = {"image": _draw(number, form, color), "text": f"a {color} {form}"}
        return Sample(f"shape-{number}", values, (number % 3,))


def _draw(number: int, form: str, color: str) -> Image.Image:
    noise = hashlib.sha256(str(number).encode()).digest()
    size = 10 + noise[0] % 10
    left, top = noise[1] % (PIXELS - size), noise[2] % (PIXELS - size)
    right, bottom = left + size, top + size
    image = Image.new("RGB", (PIXELS, PIXELS), "white")
    draw = ImageDraw.Draw(image)
    if form == "disk":
        draw.ellipse((left, top, right, bottom), fill=COLORS[color])
    elif form == "square":
        draw.rectangle((left, top, right, bottom), fill=COLORS[color])
    else:
        corners = [(left, bottom), (right, bottom), ((left + right) // 2, top)]
        draw.polygon(corners, fill=COLORS[color])
    return image
