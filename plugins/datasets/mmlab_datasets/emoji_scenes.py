"""Scenes of the embedded emoji with a box for each (object detection), drawn from a seed."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from PIL import Image, ImageDraw
from pydantic import Field

from mmlab.plugin import Box, Boxes, DataError, Sample, Split, explain
from mmlab_datasets.cutouts import cut_out, ends_of
from mmlab_datasets.emoji import PIXELS, read_index, read_items
from mmlab_datasets.texts import Template

Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1, le=6)]
Samples = Annotated[int, Field(ge=1, le=1_000_000)]

#: Places that are tried for a thing before it is left out, where things may not cover each other.
TRIES = 30
SHAPES = 40
#: Of a thing of which more is covered, finding it counts neither for nor against.
MOST_COVERED = 0.5


@dataclass(frozen=True)
class _Thing:
    """An emoji in a scene: its number, its upper left corner and its side in pixels, its box."""

    item: int
    left: int
    top: int
    side: int
    box: Box


class EmojiScenes:
    """Pictures with `least` to `most` emoji of known names, each with its box, on a ground.

    A scene has emoji of its own split alone: those of the test scenes were never trained on, nor
    were their near-twins. Labels are the emoji's subcategory, category or name; of names, most of
    the test scenes' are in no training scene. The side of an emoji is `smallest` to `largest` of
    the picture's, small ones as likely as large ones by ratio. A box may cover up to `overlap` of
    another one, of the smaller of the two; later emoji lie above. Where no place is left, fewer
    emoji are there. One whose box others cover by more than half is `difficult`. The ground is of
    one colour, or cluttered with lines, rectangles and ellipses, or by chance either. The text
    names the emoji in order.

    A scene is drawn when it is asked for, and depends on the options, `seed`, split and its number
    alone, not on how many there are.
    """

    numerics = 1
    modalities: tuple[str, ...] = ("image", "text")
    is_multi_label = True
    has_boxes = True

    def __init__(
        self,
        split: Split,
        *,
        labels: Annotated[
            Literal["subcategory", "category", "name"],
            Field(description="81 fine or 7 coarse labels, or 1,412 names"),
        ] = "subcategory",
        image_size: Annotated[
            int, Field(ge=32, le=2048, description="height and width of a scene in pixels")
        ] = 224,
        least: Annotated[Count, Field(description="emoji of a scene, at least")] = 1,
        most: Annotated[Count, Field(description="emoji of a scene, at most")] = 6,
        smallest: Annotated[Share, Field(description="side of an emoji, of the scene's")] = 0.15,
        largest: Annotated[Share, Field(description="side of an emoji, of the scene's")] = 0.5,
        overlap: Annotated[
            float, Field(ge=0, le=1, description="share of a box that another may cover")
        ] = 0.3,
        ground: Annotated[
            Literal["plain", "cluttered", "mixed"], Field(description="what emoji lie on")
        ] = "mixed",
        seed: Annotated[int, Field(ge=0, description="of what is drawn")] = 0,
        train_samples: Annotated[Samples, Field(description="training scenes")] = 2000,
        validation_samples: Annotated[Samples, Field(description="validation scenes")] = 300,
        test_samples: Annotated[Samples, Field(description="test scenes")] = 500,
        templates: Annotated[
            Sequence[Template], Field(min_length=1, description="prompts with one {} each")
        ] = ("an emoji of {}.",),
    ) -> None:
        _check_order("least", least, "most", most)
        _check_order("smallest", smallest, "largest", largest)
        items = read_items()
        self.labels = tuple(dict.fromkeys(item[labels] for item in items))
        self.templates = tuple(templates)
        self._names = [str(item["name"]) for item in items]
        numbers = {label: number for number, label in enumerate(self.labels)}
        self._targets = [numbers[item[labels]] for item in items]
        self._items = [place for place, item in enumerate(items) if item["split"] == split]
        sizes = {"train": train_samples, "validation": validation_samples, "test": test_samples}
        self._count, self._size = sizes[split], image_size
        self._least, self._most = least, most
        self._smallest, self._largest = smallest, largest
        self._overlap, self._ground = overlap, ground
        self._scope = f"{seed}/{split}"
        options = [labels, image_size, least, most, smallest, largest, overlap, ground, seed]
        told = [*options, self.templates, *sizes.values()]
        content = hashlib.sha256(read_index() + json.dumps(told).encode())
        self.revision = f"emoji_scenes-{content.hexdigest()[:16]}"

    def __len__(self) -> int:
        """Number of scenes in the split."""
        return self._count

    def __getitem__(self, index: int) -> Sample:
        """One scene; its id is its split and number."""
        sample = self.outline(index)
        draw = self._draw(index, "ground")
        picture = _ground(draw, self._size, self._ground)
        for thing in self._things(index):
            drawing = cut_out(thing.item, thing.side)
            picture.paste(drawing, (thing.left, thing.top), drawing)
        return replace(sample, values={**sample.values, "image": picture})

    def outline(self, index: int) -> Sample:
        """The same without the picture."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        things = self._things(index)
        labels = tuple(self._targets[thing.item] for thing in things)
        boxes = Boxes(tuple(thing.box for thing in things), labels, difficult=_hidden(things))
        names = ", ".join(self._names[thing.item] for thing in things)
        values = {"image": None, "text": names}
        scene = f"{self._scope.partition('/')[2]}-{index}"
        return Sample(scene, values, tuple(sorted({*labels})), boxes=boxes)

    def _draw(self, index: int, what: str) -> random.Random:
        """A generator of its own: seeded by a text, `random` gives the same in all versions."""
        return random.Random(f"{self._scope}/{index}/{what}")

    def _things(self, index: int) -> list[_Thing]:
        """The emoji of a scene from below to above; one at least."""
        draw, found = self._draw(index, "things"), list[_Thing]()
        for _ in range(_whole(draw, self._least, self._most)):
            item = self._items[_whole(draw, 0, len(self._items) - 1)]
            for _ in range(TRIES):
                thing = self._thing(draw, item)
                if all(_covered(thing.box, other.box) <= self._overlap for other in found):
                    found.append(thing)
                    break
        return found

    def _thing(self, draw: random.Random, item: int) -> _Thing:
        """An emoji at a place and of a size that are drawn, whole within the scene."""
        share = self._smallest * (self._largest / self._smallest) ** draw.random()
        side = max(8, round(share * self._size))
        left, top = (_whole(draw, 0, self._size - side) for _ in range(2))
        x0, y0, x1, y1 = (end * side / PIXELS for end in ends_of(item))
        return _Thing(item, left, top, side, (left + x0, top + y0, left + x1, top + y1))


def _covered(one: Box, other: Box) -> float:
    """The share of the smaller box that both cover."""
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return _common(one, other) / min(areas)


def _common(one: Box, other: Box) -> float:
    """The area that both boxes cover, in square pixels."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def _hidden(things: Sequence[_Thing]) -> tuple[bool, ...]:
    """Whether the boxes that lie above cover most of each."""
    found = []
    for place, thing in enumerate(things):
        x0, y0, x1, y1 = thing.box
        above = sum(_common(thing.box, other.box) for other in things[place + 1 :])
        found.append(above > MOST_COVERED * (x1 - x0) * (y1 - y0))
    return tuple(found)


def _ground(draw: random.Random, size: int, kind: str) -> Image.Image:
    """A ground of one colour; a cluttered one has shapes of other colours on it."""
    is_cluttered = draw.random() < {"plain": 0.0, "cluttered": 1.0, "mixed": 0.5}[kind]
    picture = Image.new("RGB", (size, size), _colour(draw))
    if is_cluttered:
        pen = ImageDraw.Draw(picture)
        for _ in range(SHAPES):
            _shape(draw, pen, size)
    return picture


def _shape(draw: random.Random, pen: ImageDraw.ImageDraw, size: int) -> None:
    x, y = (_whole(draw, -size // 4, size) for _ in range(2))
    right, low = (start + _whole(draw, 2, size // 3) for start in (x, y))
    kind, colour = _whole(draw, 0, 2), _colour(draw)
    if kind == 0:
        pen.rectangle((x, y, right, low), fill=colour)
    elif kind == 1:
        pen.ellipse((x, y, right, low), fill=colour)
    else:
        pen.line((x, y, right, low), fill=colour, width=_whole(draw, 1, max(1, size // 40)))


def _colour(draw: random.Random) -> tuple[int, int, int]:
    red, green, blue = (_whole(draw, 0, 255) for _ in range(3))
    return red, green, blue


def _whole(draw: random.Random, least: int, most: int) -> int:
    """A whole number, all of them as likely; of `random` alone, which no version changes."""
    return least + math.floor(draw.random() * (most - least + 1))


def _check_order(one: str, low: float, other: str, high: float) -> None:
    if low <= high:
        return
    raise DataError(
        explain(
            f"dataset.{one}",
            f"it is more than dataset.{other}",
            found=f"{one} = {low:g}, {other} = {high:g}",
            allowed=f"{one} of at most {other}",
            next_step="correct one of them",
        )
    )
