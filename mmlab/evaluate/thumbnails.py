"""Small pictures of a few samples, so that a report needs no dataset."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Annotated

from PIL import Image
from pydantic import Field

from mmlab.plugin import Dataset

CardsOption = Annotated[int, Field(ge=0, le=1000, description="samples with a picture")]

#: Longest side, in pixels.
SIDE = 128


def make_thumbnails(
    dataset: Dataset, ids: Sequence[str], indexes: Sequence[int], count: int
) -> dict[str, bytes]:
    """WebP bytes by id for up to `count` results; `indexes` are their samples in the dataset.

    The ids with the smallest sha256 are chosen: a choice that looks random, is the same in every
    run, and hardly changes when samples are added. Empty where the dataset has no images.
    """
    if "image" not in dataset.modalities:
        return {}
    order = sorted(range(len(ids)), key=lambda row: hashlib.sha256(ids[row].encode()).digest())
    found = {ids[row]: _picture(dataset, indexes[row]) for row in order[:count]}
    return {key: picture for key, picture in found.items() if picture is not None}


def _picture(dataset: Dataset, index: int) -> bytes | None:
    image = dataset[index].values.get("image")
    if not isinstance(image, Image.Image):
        return None
    small = image.copy()  # thumbnail() changes the picture, which the dataset may keep
    small.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    small.save(file, "WEBP", quality=80)
    return file.getvalue()
