"""The embedded emoji: 1,412 small drawings with English names and tags, in two sizes of label.

The pictures are Noto's, 64 x 64 pixels on white, without flags, symbols and components. Near-twins
(man, woman and person running; clock faces; hearts of all colours; ...) form families, and a family
is in one split only. `rebuild_emoji.py` beside this package made the data; NOTICE names sources.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import Field

from mmlab.plugin import Added, Sample, Split

PIXELS = 64
DATA = Path(__file__).parent / "data"

Caption = Annotated[
    str, Field(pattern=r"^([^{}]|\{(name|tags|subcategory|category)\})+$", max_length=200)
]


class Emoji:
    """Pictures of emoji (image), what they are called (text), and the group they belong to (label).

    `captions` are patterns, one caption each; `{name}`, `{tags}`, `{subcategory}` and `{category}`
    stand for the words of the item. The default says the label in every training caption, so label
    words are seen in training and only the held-out pictures are new. `{tags}` never says a word of
    a label, singular or plural: tags that do are left out, and the name stands where none is left.
    `random_labels` tells of each training picture what another one is: a control, from which
    nothing of a new picture can be learnt (Zhang et al., arXiv:1611.03530).
    The pictures are decoded when the first is asked for, and kept (12 KiB each).
    """

    numerics = 1
    modalities: tuple[str, ...] = ("image", "text")
    is_multi_label = False
    templates: tuple[str, ...] = (
        "{}.",
        "a picture of {}.",
        "a drawing of {}.",
        "an emoji of {}.",
    )

    def __init__(
        self,
        split: Split,
        *,
        labels: Annotated[
            Literal["subcategory", "category"],
            Field(description="81 fine or 7 coarse labels"),
        ] = "subcategory",
        captions: Annotated[
            Sequence[Caption],
            Field(
                min_length=1,
                description="patterns of {name}, {tags}, {subcategory}, {category}",
            ),
        ] = ("{name}, {subcategory}",),
        random_labels: Annotated[
            bool,
            Field(description="training pictures have words and labels of others: a control"),
            Added(False),
        ] = False,
    ) -> None:
        items = read_items()
        self.labels = tuple(dict.fromkeys(item[labels] for item in items))
        self.revision = _revision(labels, captions, random_labels)
        self._places = [place for place, item in enumerate(items) if item["split"] == split]
        chosen = [items[place] for place in self._places]
        self._ids = [item["id"] for item in chosen]
        said = _exchanged(chosen) if random_labels and split == "train" else chosen
        self._targets = [self.labels.index(item[labels]) for item in said]
        label_words = _words(self.labels)
        self._captions = [_captions(item, captions, label_words) for item in said]

    def __len__(self) -> int:
        """Number of emoji in the split."""
        return len(self._ids)

    def __getitem__(self, index: int) -> Sample:
        """One emoji; its id is its code points in hexadecimal, joined by hyphens."""
        return self._sample(index, Image.fromarray(self._pictures[index]))

    def outline(self, index: int) -> Sample:
        """The same without the picture."""
        return self._sample(index, None)

    def _sample(self, index: int, picture: Image.Image | None) -> Sample:
        values = {"image": picture, "text": self._captions[index]}
        return Sample(self._ids[index], values, (self._targets[index],))

    @cached_property
    def _pictures(self) -> npt.NDArray[np.uint8]:
        return read_pictures()[self._places]


def read_items() -> list[dict[str, Any]]:  # Any: a line of JSON
    """All emoji, each with id, name, tags, category, subcategory, family and split."""
    lines = (DATA / "emoji.jsonl").read_bytes().splitlines()
    return [json.loads(line) for line in lines]


def read_pictures() -> npt.NDArray[np.uint8]:
    """The pictures of all emoji, on white, in the order of the items: (items, 64, 64, 3)."""
    with Image.open(DATA / "emoji.webp") as image:
        sheet = np.asarray(image.convert("RGB"))
    rows, columns = sheet.shape[0] // PIXELS, sheet.shape[1] // PIXELS
    grid = sheet.reshape(rows, PIXELS, columns, PIXELS, 3).swapaxes(1, 2)
    count = len(read_items())
    return grid.reshape(-1, PIXELS, PIXELS, 3)[:count]


def read_index() -> bytes:
    """Every byte of the embedded data: what identifies them."""
    return (DATA / "emoji.jsonl").read_bytes() + (DATA / "emoji.webp").read_bytes()


def _revision(labels: str, captions: Sequence[str], random_labels: bool) -> str:
    content = hashlib.sha256(read_index())
    content.update(json.dumps([labels, *captions]).encode())
    if random_labels:
        content.update(b" random labels")
    return f"emoji-{content.hexdigest()[:16]}"


def _exchanged(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:  # Any: as above
    """The items in an order of chance, which is the same in every process and version."""
    draw = random.Random("random labels")
    return sorted(items, key=lambda item: draw.random())


def _captions(
    item: Mapping[str, Any], patterns: Iterable[str], label_words: set[str]
) -> tuple[str, ...]:  # Any: a line of JSON
    tags = [tag for tag in item["tags"] if not _words([tag]) & label_words]
    words = {**item, "tags": ", ".join(tags or [item["name"]])}
    return tuple(pattern.format_map(words) for pattern in patterns)


def _words(texts: Iterable[str]) -> set[str]:
    """The words of the texts, plurals as singulars."""
    found = {word for text in texts for word in re.findall(r"\w+", text.lower())}
    return {re.sub(r"ies$", "y", word).removesuffix("s") for word in found}
