"""What datasets of two drawn parts share: every sample shows a thing and something done with it."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Generic, TypeVar

from pydantic import Field

from mmlab.plugin import Sample, Split
from mmlab_datasets.emoji import read_index

Samples = Annotated[int, Field(ge=1, le=1_000_000)]
Things = Annotated[
    Sequence[str], Field(min_length=1, max_length=1000, description="names of emoji")
]
Shown = TypeVar("Shown")


@dataclass(frozen=True)
class Recipe:
    """Of which split how many samples are drawn, from which seed, and what they are labelled.

    `options` are all that decide what is drawn, for the revision.
    """

    name: str
    split: Split
    seed: int
    sizes: Mapping[Split, int]
    labels: tuple[str, ...]
    options: Sequence[object]

    def revision(self) -> str:
        """Tells options, seed, sizes, labels and every byte of the embedded drawings."""
        told = json.dumps([self.options, self.seed, [*self.sizes.values()], self.labels])
        return f"{self.name}-{hashlib.sha256(read_index() + told.encode()).hexdigest()[:16]}"


class Composed(Generic[Shown]):
    """A dataset that draws its samples when asked; a subclass says what one shows and draws it."""

    is_multi_label = False
    #: The modality that is drawn; the other one is the text.
    drawn = "image"

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self.labels = recipe.labels
        self.revision = recipe.revision()

    def _plan(self, draw: random.Random, index: int) -> Shown:
        """What a sample shows, with all that is drawn by lot."""
        raise NotImplementedError

    def _describe(self, shown: Shown) -> tuple[str, str]:
        """The text of what is shown, and its label."""
        raise NotImplementedError

    def _render(self, shown: Shown) -> object:
        """The picture or video of what is shown."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Number of samples in the split."""
        return self._recipe.sizes[self._recipe.split]

    def __getitem__(self, index: int) -> Sample:
        """One sample; its id is its split and number."""
        sample = self.outline(index)
        return replace(sample, values={**sample.values, self.drawn: self._render(self._at(index))})

    def outline(self, index: int) -> Sample:
        """The same without what is drawn."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        text, label = self._describe(self._at(index))
        values = {self.drawn: None, "text": text}
        return Sample(f"{self._recipe.split}-{index}", values, (self.labels.index(label),))

    def _at(self, index: int) -> Shown:
        """Seeded by a text, `random` gives the same in all versions."""
        scope = f"{self._recipe.seed}/{self._recipe.split}/{index}"
        return self._plan(random.Random(scope), index)
