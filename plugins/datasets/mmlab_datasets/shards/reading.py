"""What of a sample's members in a tar shard is read, as the options of a dataset say."""

from __future__ import annotations

import hashlib
import json
from dataclasses import astuple, dataclass
from typing import Literal

#: Endings that are a sample's picture unless a spec names others.
PICTURES = ("jpg", "jpeg", "png", "webp")
#: Raised when the same members give another table; tables of before are then made anew.
FORMAT = 2

LabelSource = Literal["none", "cls", "npy", "json"]


@dataclass(frozen=True)
class Reading:
    """Which members are the picture, the captions and the labels of a sample.

    Empty `pictures` or `texts` mean that none is read; a spec may have `chosen` their endings. With
    a `text_field`, captions are in that field of `.json`, as labels are in `label_field` where
    their source is "json". With `caption_lines` every line of a text is a caption.
    """

    pictures: tuple[str, ...] = PICTURES
    pictures_chosen: bool = False
    texts: tuple[str, ...] = ("txt",)
    texts_chosen: bool = False
    text_field: str | None = None
    caption_lines: bool = False
    labels: LabelSource = "none"
    label_field: str | None = None
    has_several_labels: bool = False
    group_field: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of `.json` that are read."""
        named = (self.text_field, self.label_field, self.group_field)
        return tuple(field for field in named if field is not None)

    @property
    def digest(self) -> str:
        """Tells one reading from another, in a name of a file."""
        text = json.dumps([FORMAT, *astuple(self)])
        return hashlib.sha256(text.encode()).hexdigest()[:8]
