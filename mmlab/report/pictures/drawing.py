"""SVG elements with escaped text, and how wide a text is: what every picture is drawn with.

A picture has classes and no colours: a page's style, or its own in a file, gives them.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable

from markupsafe import Markup, escape

from mmlab.errors import visible

#: Characters of a text from which on no picture has room for it, nor a pointer patience.
LONGEST = 400
#: Height of a letter, and of a line of text, in units of a drawing.
LETTER, LINE = 12.0, 15.0
#: Further colours of groups do not exist; see `k0` to `k7` in the style.
COLOURS = 8

# Widths of letters in parts of their height: those of DejaVu Sans, which is wider than others.
_WIDTHS = {
    letter: width
    for letters, width in (
        ("ijl'", 0.29),
        ("fIrt.,:;!()[]/|- ", 0.42),
        ("csxyzvkJ", 0.6),
        ("ABCEFKLPRSTVXYZ", 0.7),
        ("w^~#+=<>&DGHNOQU", 0.84),
        ("mMW@%—…", 1.01),
    )
    for letter in letters
}
_OTHER_WIDTH, _UPPER_WIDTH = 0.645, 0.8
# XML knows no way to write these.
_UNKNOWN_TO_XML = str.maketrans({"\ufffe": "\ufffd", "\uffff": "\ufffd"})


def element(tag: str, *inside: str, **attributes: object) -> Markup:
    """An element; text inside and values are escaped, `class_` is the class, "_" means "-".

    Numbers are written with two decimals at most, attributes of None are left out.

    >>> element("circle", element("title", "a < b"), r=4.0, class_="k0")
    Markup('<circle r="4" class="k0"><title>a &lt; b</title></circle>')
    """
    written = [
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _written(value))
        for name, value in attributes.items()
        if value is not None
    ]
    start = Markup("<") + tag + Markup("").join(written)
    if not inside:
        return start + Markup("/>")
    return start + Markup(">") + joined(inside) + Markup("</{}>").format(tag)


def joined(parts: Iterable[str]) -> Markup:
    """Elements and texts one after the other; texts are escaped."""
    return Markup("").join(part if isinstance(part, Markup) else _escaped(part) for part in parts)


def root(width: float, height: float, label: str, *inside: str) -> Markup:
    """A whole drawing; `label` says to a reader of the screen what it shows."""
    return element(
        "svg",
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        class_="picture",
        viewBox=f"0 0 {units(width)} {units(height)}",
        role="img",
        aria_label=label,
    )


def hover(*lines: str) -> Markup:
    """What is told where a pointer rests on a mark: a line each, the beginning of a long one."""
    shown = (one if len(one) <= LONGEST else f"{one[:LONGEST]}…" for one in lines)
    return element("title", Markup("\n").join(map(_escaped, shown)))


def text(
    x: float,
    y: float,
    content: str,
    *,
    anchor: str = "start",
    role: str | None = None,
    limit: float | None = None,
) -> Markup:
    """A text whose base line is at y; cut to `limit` units, and then whole when pointed at.

    `anchor` is start, middle or end.
    """
    shown = content if limit is None else fitted(content, limit)
    whole = () if shown == content else (hover(content),)
    place = None if anchor == "start" else anchor
    return element("text", *whole, shown, x=x, y=y, class_=role, text_anchor=place)


def text_width(content: str) -> float:
    """How many units a text takes, rather too many than too few; of a very long one its beginning.

    >>> text_width("iii") < text_width("mmm") < text_width("\u6587\u5b57\u6587")
    True
    """
    return LETTER * sum(map(_width, visible(content[:LONGEST])))


def fitted(content: str, limit: float) -> str:
    """A text, cut in its middle where it would be wider than `limit`: ends tell more apart.

    >>> fitted("fusion=low_rank_bilinear", 100), fitted("sum", 100)
    ('fusion=…ilinear', 'sum')
    """
    if len(content) < 2 or (len(content) <= LONGEST and text_width(content) <= limit):
        return content

    def cut(kept: int) -> str:
        return f"{content[: kept // 2]}…{content[len(content) - (kept - kept // 2) :]}"

    lengths = range(1, min(len(content), LONGEST))
    fits = bisect_right(lengths, limit, key=lambda kept: text_width(cut(kept)))
    return cut(max(1, fits))


def units(value: float) -> str:
    """A length or a place as text.

    >>> units(3.0), units(0.126), units(-0.001)
    ('3', '0.13', '0')
    """
    return f"{round(value, 2) + 0.0:g}" if abs(value) < 1e5 else f"{value:.0f}"


def _width(character: str) -> float:
    if unicodedata.combining(character) or character in "\u200d\ufe0f":
        return 0.0
    if unicodedata.east_asian_width(character) in "WF" or ord(character) > 0x2FFF:
        return 1.3
    return _WIDTHS.get(character, _UPPER_WIDTH if character.isupper() else _OTHER_WIDTH)


def _written(value: object) -> str:
    if isinstance(value, float | int):
        return units(value)
    return visible(str(value)).translate(_UNKNOWN_TO_XML)


def _escaped(content: str) -> Markup:
    return escape(visible(content).translate(_UNKNOWN_TO_XML))
