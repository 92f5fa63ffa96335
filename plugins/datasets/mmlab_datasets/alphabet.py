"""Letters filled with small emoji, with pairs of letter and thing that are never trained on."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import random
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from pydantic import Field

from mmlab.plugin import DataError, Sample, Split, explain
from mmlab_datasets.emoji import read_index, read_items, read_pictures

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: Of so many pairs of a letter, one is in the test split and one in the validation split.
EVERY = 6
#: Things of which none looks like another at a few pixels.
THINGS = (
    "cat face",
    "frog",
    "tropical fish",
    "deciduous tree",
    "strawberry",
    "banana",
    "grapes",
    "soccer ball",
    "star",
    "blue heart",
    "rocket",
    "sunflower",
)
#: How far a letter is turned, in degrees, and moved, as a share of the picture.
TURN, MOVE = 10.0, 0.04


class Alphabet:
    """Pictures of the 26 letters, each made of many small drawings of one thing (image, text).

    A picture is white but for the letter, whose area is tiled with the thing's emoji on a ground of
    its light mean colour. The text says both: "the letter A made of cat face". Of the pairs of a
    letter and a thing every sixth is in the test split alone and another sixth in the validation
    split alone; so of six things or more each letter is trained with some, and each thing with
    many letters. Letters are of Pillow's own font, turned and moved a little; each of the
    `drawings` of a pair is another one, and depends on options, `seed` and its number alone.
    """

    numerics = 1
    modalities: tuple[str, ...] = ("image", "text")
    is_multi_label = False
    templates: tuple[str, ...] = ("{}.", "a picture of {}.", "it shows {}.")

    def __init__(
        self,
        split: Split,
        *,
        labels: Annotated[
            Literal["letter", "thing"], Field(description="what a sample's label is")
        ] = "letter",
        things: Annotated[
            Sequence[str], Field(min_length=EVERY, max_length=200, description="names of emoji")
        ] = THINGS,
        image_size: Annotated[
            int, Field(ge=16, le=512, description="height and width of a picture in pixels")
        ] = 32,
        tiles: Annotated[
            int, Field(ge=1, le=32, description="drawings of the thing from edge to edge")
        ] = 4,
        drawings: Annotated[
            int, Field(ge=1, le=10_000, description="pictures of each pair of a split")
        ] = 8,
        seed: Annotated[int, Field(ge=0, description="of what is drawn")] = 0,
    ) -> None:
        self._items = _items_of(things)
        self._things, self._size, self._drawings = tuple(things), image_size, drawings
        self._tile = max(2, round(image_size / tiles))
        self._by, self._split, self._seed = labels, split, seed
        letters = tuple(f"the letter {letter}" for letter in LETTERS)
        self.labels = letters if labels == "letter" else self._things
        self.pairs = pairs_of(split, len(things))
        told = [labels, self._things, image_size, tiles, drawings, seed]
        content = hashlib.sha256(read_index() + json.dumps(told).encode())
        self.revision = f"alphabet-{content.hexdigest()[:16]}"

    def __len__(self) -> int:
        """Number of pictures in the split."""
        return len(self.pairs) * self._drawings

    def __getitem__(self, index: int) -> Sample:
        """One picture; its id is the letter, the thing, and its number among those of the pair."""
        return self._sample(index, draw=True)

    def outline(self, index: int) -> Sample:
        """The same without the picture."""
        return self._sample(index, draw=False)

    def _sample(self, index: int, *, draw: bool) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number, place = divmod(index, len(self.pairs))
        letter, thing = self.pairs[place]
        name = self._things[thing]
        text = f"the letter {LETTERS[letter]} made of {name}"
        picture = self._picture(letter, thing, number) if draw else None
        label = letter if self._by == "letter" else thing
        sample_id = f"{LETTERS[letter]}-{name}-{self._split}-{number}"
        return Sample(sample_id, {"image": picture, "text": text}, (label,))

    def _picture(self, letter: int, thing: int, number: int) -> Image.Image:
        # Seeded by a text, `random` gives the same in all versions.
        draw = random.Random(f"{self._seed}/{self._split}/{LETTERS[letter]}/{thing}/{number}")
        mask = letter_mask(LETTERS[letter], self._size, draw)
        tile = self._tiles[thing]
        count = self._size // self._tile + 2
        left, top = (math.floor(draw.random() * self._tile) for _ in range(2))
        texture = np.tile(tile, (count, count, 1))[top : top + self._size, left : left + self._size]
        white = Image.new("RGB", (self._size, self._size), "white")
        return Image.composite(Image.fromarray(texture), white, mask)

    @cached_property
    def _tiles(self) -> list[npt.NDArray[np.uint8]]:
        """Each thing at its size, multiplied with its light mean colour: (side, side, 3)."""
        pictures = read_pictures()
        return [_tile(pictures[item], self._tile) for item in self._items]


def pairs_of(split: Split, things: int) -> list[tuple[int, int]]:
    """The pairs of letter and thing that a split has; every pair is in exactly one split.

    >>> [thing for letter, thing in pairs_of("test", 12) if letter == 1]
    [5, 11]
    """
    places = {"test": [0], "validation": [EVERY // 2]}
    wanted = places.get(split, [n for n in range(EVERY) if n not in (0, EVERY // 2)])
    return [
        (letter, thing)
        for letter in range(len(LETTERS))
        for thing in range(things)
        if (letter + thing) % EVERY in wanted
    ]


def letter_mask(letter: str, size: int, draw: random.Random) -> Image.Image:
    """How much of each pixel a letter covers, 0 to 255: upright and in the middle but a little."""
    large = 4 * size  # reduced afterwards: what FreeType hints at small sizes looks uneven
    font, canvas = ImageFont.load_default(large * 0.76), Image.new("L", (large, large))
    pen, stroke = ImageDraw.Draw(canvas), large // 40
    x0, y0, x1, y1 = pen.textbbox((0, 0), letter, font, stroke_width=stroke)
    corner = ((large - x0 - x1) / 2, (large - y0 - y1) / 2)
    pen.text(corner, letter, 255, font, stroke_width=stroke)
    angle = TURN * (2 * draw.random() - 1)
    right, down = (round(MOVE * large * (2 * draw.random() - 1)) for _ in range(2))
    turned = canvas.rotate(angle, Image.Resampling.BILINEAR, translate=(right, down))
    return turned.resize((size, size), Image.Resampling.BOX)


def _tile(picture: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """A drawing at a side, on its mean colour halfway to white, instead of on white."""
    small = Image.fromarray(picture).resize((side, side), Image.Resampling.BOX)
    drawn = picture.min(-1) < 240
    ground = (picture[drawn].mean(0) + 255) / 2
    tile: npt.NDArray[np.uint8] = (np.asarray(small) / 255 * ground).round().astype(np.uint8)
    return tile


def _items_of(things: Sequence[str]) -> list[int]:
    """The places of emoji by name. Raises DataError for names that repeat or that none has."""
    places = {str(item["name"]): place for place, item in enumerate(read_items())}
    for position, name in enumerate(things):
        if name not in places or name in things[:position]:
            raise _unfit(name, places)
    return [places[name] for name in things]


def _unfit(name: str, names: Collection[str]) -> DataError:
    alike = difflib.get_close_matches(name, names, n=5, cutoff=0.4)
    return DataError(
        explain(
            "dataset.things",
            "a thing is named twice" if name in names else "no emoji has this name",
            found=name,
            allowed="different names of emoji" + (f", such as {', '.join(alike)}" if alike else ""),
            next_step="correct the name, or leave it out",
        )
    )
