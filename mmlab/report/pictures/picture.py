"""A picture of a report: what it shows, what to read in it, and its drawing as SVG."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from markupsafe import Markup

from mmlab.report.pictures.drawing import root

_UNSAFE = re.compile(r"[^a-z0-9.@+=-]+")
#: Characters of a file's name, so that with an ending and a number it is one everywhere.
_LONGEST = 100


@dataclass(frozen=True)
class Picture:
    """A drawing of `width` by `height` units, `body`, with what a page says beside it.

    `caption` says what to read in it; `name` is that of its file, without the ending. One that
    `is_more` is shown where it is asked for.
    """

    name: str
    title: str
    caption: str
    width: float
    height: float
    body: Markup
    is_more: bool = False

    @property
    def svg(self) -> Markup:
        """The drawing for a page, whose style it needs; a reader of the screen has it in words."""
        return root(self.width, self.height, f"{self.title}. {self.caption}", self.body)


def file_name(*words: str) -> str:
    """A name of a file from words that may hold anything.

    >>> file_name("curves", "emoji fusion", "validation/top1")
    'curves-emoji-fusion-validation-top1'
    """
    text = "-".join(filter(None, words)).lower()
    return _UNSAFE.sub("-", text).strip("-.")[:_LONGEST] or "picture"


def named_apart(pictures: Iterable[Picture]) -> list[Picture]:
    """The pictures with names of which no two are equal: later ones have a number."""
    seen: Counter[str] = Counter()
    found = []
    for picture in pictures:
        name = picture.name
        while seen[name]:
            seen[picture.name] += 1
            name = f"{picture.name}-{seen[picture.name]}"
        seen[name] += 1
        found.append(replace(picture, name=name))
    return found
