"""The embedded emoji without their white ground, to be laid on pictures at any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from mmlab.plugin import DataError, explain
from mmlab_datasets.emoji import read_items, read_pictures

#: What all channels of the white ground reach; the sheet is compressed with losses.
WHITE = 240

Ends = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Cutouts:
    """Every emoji without its ground, (n, 64, 64, 4), and the ends of what is left, (n, 4)."""

    pictures: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]


def cut_out(item: int, side: int) -> Image.Image:
    """An emoji, RGBA, `side` pixels high and wide; its number is its place in `read_items`.

    Colours are weighted by how much of them there is (premultiplied).
    """
    whole = Image.fromarray(_cutouts().pictures[item], "RGBA").convert("RGBa")
    return whole.resize((side, side), Image.Resampling.BILINEAR).convert("RGBA")


def ends_of(item: int) -> Ends:
    """Left, upper, right and lower end of what is drawn, in the 64 pixels of an emoji."""
    left, upper, right, lower = map(int, _cutouts().ends[item])
    return left, upper, right, lower


def find_things(things: Sequence[str]) -> list[int]:
    """The numbers of emoji by their names, for a dataset whose option is `things`.

    Raises DataError for a name that no emoji has, and for one that is given twice.
    """
    names = {str(item["name"]): place for place, item in enumerate(read_items())}
    unknown = [thing for thing in things if thing not in names]
    twice = [thing for thing in dict.fromkeys(things) if things.count(thing) > 1]
    if not unknown and not twice:
        return [names[thing] for thing in things]
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


@cache
def _cutouts() -> _Cutouts:
    """All emoji, cut out once in a process."""
    pictures = read_pictures()
    masks = np.stack([_mask(picture) for picture in pictures])
    ends = np.array([_ends(mask) for mask in masks])
    alpha = (masks * 255).astype(np.uint8)[..., None]
    return _Cutouts(np.concatenate([pictures, alpha], axis=-1), ends)


def _mask(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """What is no white ground that reaches the picture's edge: (64, 64)."""
    white = np.pad(picture.min(-1) >= WHITE, 1, constant_values=True)
    regions, _ = ndimage.label(white)
    outside = regions == regions[0, 0]
    return np.asarray(~outside[1:-1, 1:-1])


def _ends(mask: npt.NDArray[np.bool_]) -> Ends:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
