"""Pictures as SVG files of their own, for papers and slides."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from markupsafe import Markup

from mmlab.errors import UsageError, explain
from mmlab.files import write_whole
from mmlab.report.pictures.drawing import element, root
from mmlab.report.pictures.picture import Picture

_NAMED = re.compile(r"--(\w+): ([^;]+);")
_BLOCKS = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^}]*\})*\s*\}")


def to_svg(picture: Picture) -> str:
    """A picture as a document that stands alone: light colours, written out, on white.

    Programs that draw for print know neither variables of a style nor dark screens.
    """
    inside = (
        element("title", picture.title),
        element("desc", picture.caption),
        element("style", Markup(_style())),
        element("rect", width=picture.width, height=picture.height, fill="#ffffff"),
        picture.body,
    )
    return root(picture.width, picture.height, picture.title, *inside) + "\n"


def write_pictures(pictures: Iterable[Picture], folder: Path) -> list[Path]:
    """Write each picture as NAME.svg into a folder, which is made; each whole or not at all.

    A file of that name is replaced, others stay. Raises UsageError where that cannot be done.
    """
    made = [(folder / f"{picture.name}.svg", to_svg(picture)) for picture in pictures]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            explain(
                str(folder),
                "pictures cannot be written here",
                found=error.strerror or type(error).__name__,
                allowed="a folder, or a name that a folder can have",
                next_step="name another folder",
            )
        ) from error
    for path, text in made:
        write_whole(path, text.encode(), "picture")
    return [path for path, _ in made]


@cache
def _style() -> str:
    """The style of a page's pictures, with its light colours in the place of their names."""
    style = Path(__file__).with_name("templates").joinpath("picture.css").read_text()
    style = _BLOCKS.sub("", style)
    colours = dict(_NAMED.findall(style))
    style = _NAMED.sub("", style)
    return re.sub(r"var\(--(\w+)\)", lambda match: colours[match[1]], style)
