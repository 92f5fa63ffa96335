"""Letters made of things: each of 26 letters filled with small emoji, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from string import ascii_uppercase
from typing import Annotated, Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydantic import Field

from mmlab.plugin import Split
from mmlab_datasets.composed import Composed, Recipe, Samples, Things
from mmlab_datasets.cutouts import cut_out, ends_of, find_things
from mmlab_datasets.emoji import PIXELS
from mmlab_datasets.texts import Template

THINGS = (
    "cat",
    "frog",
    "tomato",
    "banana",
    "whale",
    "rose",
    "pizza",
    "cookie",
    "grapes",
    "broccoli",
)
#: Of the letter's height, the least and largest share of the picture's.
SMALL, LARGE = 0.75, 0.95
#: Letters are drawn so many times as large and then made small, for smooth edges.
FINER = 4
#: One in so many letters of a thing is kept for the test split.
HELD_OUT = 5


@dataclass(frozen=True)
class _Letter:
    """A letter and its thing, its height and upper left corner, and where the tiling begins."""

    letter: str
    thing: int
    height: int
    corner: tuple[int, int]
    begin: tuple[int, int]


class Alphabet(Composed[_Letter]):
    """Pictures of a letter that is filled with small emoji: "the letter A made of cats".

    `image` is RGB, `image_size` square, on white; the font is Pillow's own. Labels are the 26
    letters, the things, or both together. With `unseen_pairs` one in five letters of every thing is
    in no training or validation picture of it, and the test pictures show only these: letter
    number l with thing number t where l + 2 t is a multiple of 5. Without, all splits have all
    pairs and differ in places and sizes.

    A picture is drawn when it is asked for, and depends on the options, `seed`, split and its
    number alone. Raises DataError for a thing that is no emoji's name.
    """

    numerics = 1
    modalities: tuple[str, ...] = ("image", "text")

    def __init__(
        self,
        split: Split,
        *,
        labels: Annotated[
            Literal["pair", "letter", "thing"], Field(description="what a label names")
        ] = "pair",
        things: Things = THINGS,
        image_size: Annotated[
            int, Field(ge=24, le=1024, description="height and width of a picture in pixels")
        ] = 40,
        tile: Annotated[
            float, Field(ge=0.05, le=0.5, description="height of an emoji, of the picture's")
        ] = 0.2,
        unseen_pairs: Annotated[
            bool, Field(description="test only letters with things not trained together")
        ] = True,
        seed: Annotated[int, Field(ge=0, description="of what is drawn")] = 0,
        train_samples: Annotated[Samples, Field(description="training pictures")] = 4000,
        validation_samples: Annotated[Samples, Field(description="validation pictures")] = 400,
        test_samples: Annotated[Samples, Field(description="test pictures")] = 520,
        templates: Annotated[
            Sequence[Template], Field(min_length=1, description="prompts with one {} each")
        ] = ("{}",),
    ) -> None:
        self._things = find_things(things)
        self._names = tuple(things)
        self._pairs = _pairs(len(things), split == "test", unseen_pairs)
        self._choice: Literal["pair", "letter", "thing"] = labels
        self.templates = tuple(templates)
        self._size, self._tile = image_size, max(4, round(tile * image_size))
        sizes: dict[Split, int] = {
            "train": train_samples,
            "validation": validation_samples,
            "test": test_samples,
        }
        options = [labels, *things, image_size, tile, unseen_pairs, *templates]
        names = _label_names(labels, things)
        super().__init__(Recipe("alphabet", split, seed, sizes, names, options))

    def _plan(self, draw: random.Random, index: int) -> _Letter:
        """Pairs in turn, sizes and places drawn."""
        letter, thing = self._pairs[index % len(self._pairs)]
        height = round(self._size * (SMALL + (LARGE - SMALL) * draw.random()))
        mask = _mask(letter, height)
        across, down = (self._size - side for side in mask.size)
        corner = int(draw.random() * (across + 1)), int(draw.random() * (down + 1))
        begin = int(draw.random() * self._tile), int(draw.random() * self._tile)
        return _Letter(letter, thing, height, corner, begin)

    def _describe(self, shown: _Letter) -> tuple[str, str]:
        thing = self._names[shown.thing]
        text = _wording(shown.letter, thing)
        return text, {"letter": shown.letter, "thing": thing}.get(self._choice, text)

    def _render(self, shown: _Letter) -> Image.Image:
        whole = (self._size, self._size)
        cover = Image.new("L", whole, 0)
        cover.paste(_mask(shown.letter, shown.height), shown.corner)
        picture = Image.new("RGB", whole, "white")
        picture.paste(self._ground(shown), mask=cover)
        return picture

    def _ground(self, drawn: _Letter) -> Image.Image:
        """The whole picture full of the thing, rows shifted as bricks are."""
        emoji = _tight(self._things[drawn.thing], self._tile)
        ground = Image.new("RGB", (self._size, self._size), _colour(emoji))
        right, down = drawn.begin
        for row in range(-1, self._size // self._tile + 2):
            shift = right + (row % 2) * self._tile // 2
            for column in range(-2, self._size // self._tile + 2):
                place = (column * self._tile + shift, row * self._tile + down)
                ground.paste(emoji, place, emoji)
        return ground


@cache
def _mask(letter: str, height: int) -> Image.Image:
    """A letter of this height in pixels, at most as wide as high: its cover, 0 to 255, tight."""
    font, stroke = ImageFont.load_default(size=height * FINER), height * FINER // 20
    left, upper, right, lower = map(int, font.getbbox(letter, stroke_width=stroke))
    large = Image.new("L", (right - left, lower - upper), 0)
    pen = ImageDraw.Draw(large)
    pen.text((-left, -upper), letter, fill=255, font=font, stroke_width=stroke)
    width = min(height, max(1, round(height * large.width / large.height)))
    return large.resize((width, height), Image.Resampling.BOX)


@cache
def _tight(item: int, side: int) -> Image.Image:
    """An emoji whose drawing, not its ground, is `side` pixels high and wide, RGBA."""
    left, upper, right, lower = ends_of(item)
    whole = cut_out(item, PIXELS).convert("RGBa").crop((left, upper, right, lower))
    return whole.resize((side, side), Image.Resampling.BOX).convert("RGBA")


def _colour(emoji: Image.Image) -> tuple[int, int, int]:
    """A pale form of an emoji's mean colour, for what is between the emoji."""
    pixels = np.asarray(emoji.convert("RGBa"), dtype=np.float64).reshape(-1, 4).sum(0)
    red, green, blue = (round(255 - (255 - 255 * c / pixels[3]) / 3) for c in pixels[:3])
    return red, green, blue


def _wording(letter: str, thing: str) -> str:
    """A text as a person says it: "the letter A made of cats"."""
    return f"the letter {letter} made of {_plural(thing)}"


def _plural(thing: str) -> str:
    """Several of a thing, by the common rules of English.

    >>> _plural("cat"), _plural("box"), _plural("cherry"), _plural("grapes")
    ('cats', 'boxes', 'cherries', 'grapes')
    """
    if thing.endswith("s") and not thing.endswith(("ss", "us")):
        return thing
    if thing.endswith(("s", "x", "z", "ch", "sh")):
        return f"{thing}es"
    if thing.endswith("y") and thing[-2:-1] not in set("aeiou"):
        return f"{thing[:-1]}ies"
    return f"{thing}s"


def _pairs(count: int, is_test: bool, unseen: bool) -> list[tuple[str, int]]:
    """The letters with things that a split shows."""
    every = list(product(range(len(ascii_uppercase)), range(count)))
    if unseen:
        every = [(a, b) for a, b in every if ((a + 2 * b) % HELD_OUT == 0) == is_test]
    return [(ascii_uppercase[letter], thing) for letter, thing in every]


def _label_names(choice: str, things: Sequence[str]) -> tuple[str, ...]:
    if choice == "letter":
        return tuple(ascii_uppercase)
    if choice == "thing":
        return tuple(things)
    return tuple(_wording(letter, thing) for letter, thing in product(ascii_uppercase, things))
