"""Short videos of one emoji that moves left, right, up or down, drawn from a seed."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from mmlab.plugin import DataError, Sample, Split, explain
from mmlab_datasets.cutouts import cut_out
from mmlab_datasets.emoji import read_index, read_items
from mmlab_datasets.texts import Template

if TYPE_CHECKING:
    from torch import Tensor

Samples = Annotated[int, Field(ge=1, le=1_000_000)]
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


class MovingEmoji:
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
    is_multi_label = False

    def __init__(
        self,
        split: Split,
        *,
        labels: Annotated[
            Literal["pair", "thing", "direction"], Field(description="what a label names")
        ] = "pair",
        things: Annotated[
            Sequence[str], Field(min_length=1, max_length=1000, description="names of emoji")
        ] = THINGS,
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
        names = {str(item["name"]): place for place, item in enumerate(read_items())}
        _check_things(things, names)
        self._things = [names[thing] for thing in things]
        self._names = tuple(things)
        self._pairs = _pairs(len(things), split == "test", unseen_pairs)
        self._choice: Literal["pair", "thing", "direction"] = labels
        self.labels = _label_names(labels, things)
        self.templates = tuple(templates)
        self._size, self._frames = image_size, frames
        sizes = {"train": train_samples, "validation": validation_samples, "test": test_samples}
        self._split, self._count, self._seed = split, sizes[split], seed
        told = [labels, *things, image_size, frames, unseen_pairs, seed, *templates]
        content = hashlib.sha256(read_index() + json.dumps([told, [*sizes.values()]]).encode())
        self.revision = f"moving_emoji-{content.hexdigest()[:16]}"

    def __len__(self) -> int:
        """Number of videos in the split."""
        return self._count

    def __getitem__(self, index: int) -> Sample:
        """One video; its id is its split and number."""
        sample = self.outline(index)
        return replace(sample, values={**sample.values, "video": self._draw(self._clip(index))})

    def outline(self, index: int) -> Sample:
        """The same without the video."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        clip = self._clip(index)
        text = _wording(self._names[clip.thing], clip.direction)
        values = {"video": None, "text": text}
        return Sample(f"{self._split}-{index}", values, (self.labels.index(self._label(clip)),))

    def _label(self, clip: _Clip) -> str:
        thing = self._names[clip.thing]
        both = {"thing": thing, "direction": clip.direction}
        return both.get(self._choice, _wording(thing, clip.direction))

    def _clip(self, index: int) -> _Clip:
        """What is shown: pairs in turn, places and ways drawn."""
        draw = random.Random(f"{self._seed}/{self._split}/{index}")
        thing, direction = self._pairs[index % len(self._pairs)]
        free = self._size - round(SIDE * self._size)
        way = self._size * (NEAR + (FAR - NEAR) * draw.random())
        along, across = draw.random() * (free - way), draw.random() * free
        right, down = DIRECTIONS[direction]
        first, last = (along, along + way) if right + down > 0 else (along + way, along)
        if right:
            return _Clip(thing, direction, (first, across), (last, across))
        return _Clip(thing, direction, (across, first), (across, last))

    def _draw(self, clip: _Clip) -> Tensor:
        import torch  # here: names and labels alone need none

        emoji = cut_out(self._things[clip.thing], round(SIDE * self._size))
        shown = []
        for number in range(self._frames):
            share = number / (self._frames - 1)
            ends = zip(clip.start, clip.end, strict=True)
            left, top = (round(a + share * (b - a)) for a, b in ends)
            frame = Image.new("RGB", (self._size, self._size), "white")
            frame.paste(emoji, (left, top), emoji)
            shown.append(np.asarray(frame))
        return torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).contiguous()


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


def _check_things(things: Sequence[str], names: dict[str, int]) -> None:
    unknown = [thing for thing in things if thing not in names]
    twice = [thing for thing in dict.fromkeys(things) if things.count(thing) > 1]
    if not unknown and not twice:
        return
    raise DataError(
        explain(
            "dataset.things",
            "no embedded emoji has this name" if unknown else "a thing is named twice",
            found=repr((unknown or twice)[0]),
            allowed="names of emoji, each once: cat, fire, rocket, ... (labels of `emoji` with "
            'labels = "name")',
            next_step="correct dataset.things",
        )
    )
