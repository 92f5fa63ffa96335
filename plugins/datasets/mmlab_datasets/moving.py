"""Short videos of one emoji that moves left, right, up or down, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from mmlab.plugin import Split
from mmlab_datasets.composed import Composed, Recipe, Samples, Things
from mmlab_datasets.cutouts import cut_out, find_things
from mmlab_datasets.texts import Template

if TYPE_CHECKING:
    from torch import Tensor

#: Of each direction, how far right and how far down a step of it goes.
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
THINGS = ("cat", "frog", "bus", "banana", "tomato", "rocket", "whale", "crown", "pizza", "umbrella")
#: Height of the emoji, and least and largest way that it goes, of the picture's height.
SIDE, NEAR, FAR = 0.45, 0.3, 0.5


@dataclass(frozen=True)
class _Clip:
    """What a video shows: a thing, a direction, and both ends of its way in pixels."""

    thing: int
    direction: str
    start: tuple[float, float]
    end: tuple[float, float]


class MovingEmoji(Composed[_Clip]):
    """Videos of one emoji that moves across white, and texts such as "a cat moving left".

    `video` is uint8 (frames, 3, image_size, image_size). Labels are the four directions, the
    things, or both together. With `unseen_pairs` every thing has one direction in which no training
    or validation video shows it, and the test videos show only these: thing number n of `things`
    and direction number n, modulo 4, of left, right, up, down. Without, all splits have all pairs
    and differ in places and ways.

    A video is drawn when it is asked for, and depends on the options, `seed`, split and its number
    alone. Raises DataError for a thing that is no emoji's name.
    """

    numerics = 1
    modalities: tuple[str, ...] = ("video", "text")
    drawn = "video"

    def __init__(
        self,
        split: Split,
        *,
        labels: Annotated[
            Literal["pair", "thing", "direction"], Field(description="what a label names")
        ] = "pair",
        things: Things = THINGS,
        image_size: Annotated[
            int, Field(ge=16, le=512, description="height and width of a frame in pixels")
        ] = 32,
        frames: Annotated[int, Field(ge=2, le=64, description="of a video")] = 8,
        unseen_pairs: Annotated[
            bool, Field(description="test only things with directions not trained together")
        ] = True,
        seed: Annotated[int, Field(ge=0, description="of what is drawn")] = 0,
        train_samples: Annotated[Samples, Field(description="training videos")] = 2000,
        validation_samples: Annotated[Samples, Field(description="validation videos")] = 200,
        test_samples: Annotated[Samples, Field(description="test videos")] = 200,
        templates: Annotated[
            Sequence[Template], Field(min_length=1, description="prompts with one {} each")
        ] = ("{}",),
    ) -> None:
        self._things = find_things(things)
        self._names = tuple(things)
        self._pairs = _pairs(len(things), split == "test", unseen_pairs)
        self._choice: Literal["pair", "thing", "direction"] = labels
        self.templates = tuple(templates)
        self._size, self._frames = image_size, frames
        sizes: dict[Split, int] = {
            "train": train_samples,
            "validation": validation_samples,
            "test": test_samples,
        }
        options = [labels, *things, image_size, frames, unseen_pairs, *templates]
        names = _label_names(labels, things)
        super().__init__(Recipe("moving_emoji", split, seed, sizes, names, options))

    def _plan(self, draw: random.Random, index: int) -> _Clip:
        """Pairs in turn, places and ways drawn."""
        thing, direction = self._pairs[index % len(self._pairs)]
        free = self._size - round(SIDE * self._size)
        way = self._size * (NEAR + (FAR - NEAR) * draw.random())
        along, across = draw.random() * (free - way), draw.random() * free
        right, down = DIRECTIONS[direction]
        first, last = (along, along + way) if right + down > 0 else (along + way, along)
        if right:
            return _Clip(thing, direction, (first, across), (last, across))
        return _Clip(thing, direction, (across, first), (across, last))

    def _describe(self, shown: _Clip) -> tuple[str, str]:
        thing = self._names[shown.thing]
        text = _wording(thing, shown.direction)
        return text, {"thing": thing, "direction": shown.direction}.get(self._choice, text)

    def _render(self, shown: _Clip) -> Tensor:
        import torch  # here: names and labels alone need none

        emoji = cut_out(self._things[shown.thing], round(SIDE * self._size))
        frames = []
        for number in range(self._frames):
            share = number / (self._frames - 1)
            ends = zip(shown.start, shown.end, strict=True)
            left, top = (round(a + share * (b - a)) for a, b in ends)
            frame = Image.new("RGB", (self._size, self._size), "white")
            frame.paste(emoji, (left, top), emoji)
            frames.append(np.asarray(frame))
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).contiguous()


def _wording(thing: str, direction: str) -> str:
    """A text as a person says it: "an umbrella moving left"."""
    article = "an" if thing[0] in "aeiou" else "a"
    return f"{article} {thing} moving {direction}"


def _pairs(count: int, is_test: bool, unseen: bool) -> list[tuple[int, str]]:
    """The things with directions that a split shows."""
    every = list(product(range(count), DIRECTIONS))
    if not unseen:
        return every
    kept_out = [(thing, tuple(DIRECTIONS)[thing % len(DIRECTIONS)]) for thing in range(count)]
    return kept_out if is_test else [pair for pair in every if pair not in kept_out]


def _label_names(choice: str, things: Sequence[str]) -> tuple[str, ...]:
    if choice == "thing":
        return tuple(things)
    if choice == "direction":
        return tuple(DIRECTIONS)
    return tuple(_wording(thing, direction) for thing, direction in product(things, DIRECTIONS))
