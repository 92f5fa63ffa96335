"""From an RGB picture to a uint8 tensor on the host, and from there to numbers on the device."""

from __future__ import annotations

from typing import Annotated

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from mmlab.plugin import DataError, explain

Crop = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        description="smallest share of the area that a random training crop keeps; 1 is off",
    ),
]
Flip = Annotated[bool, Field(description="mirror half of the training pictures left to right")]
ImageSize = Annotated[int, Field(ge=8, description="height and width of the input in pixels")]

_BICUBIC = InterpolationMode.BICUBIC


class ImageTransform:
    """RGB picture -> uint8 (3, size, size).

    At evaluation the shorter side is resized to `size` and the middle is cut out. In training a
    random part of at least `crop` of the area, of aspect ratio 3/4 to 4/3, is cut out and resized,
    and mirrored if `flip`. With `crop = 1` training pictures are cut as at evaluation.
    """

    def __init__(self, size: int, crop: float, flip: bool) -> None:
        self.size = size
        self.is_random = crop < 1 or flip  # in training
        self._cut = v2.Compose([v2.Resize(size, _BICUBIC), v2.CenterCrop(size)])
        self._augment = v2.Compose(_training_steps(size, crop, flip, self._cut))

    def __call__(self, raw: object, train: bool) -> Tensor:
        """One picture, cut for training or evaluation."""
        if not isinstance(raw, Image.Image):
            raise _not_a_picture(raw)
        x = v2.functional.pil_to_tensor(raw)  # (3, H, W)
        result: Tensor = self._augment(x) if train else self._cut(x)
        return result

    @property
    def description(self) -> str:
        """What happens to a picture at evaluation."""
        return f"shorter side to {self.size} px bicubic, centre crop, values to -1..1"


def normalise(x: Tensor) -> Tensor:
    """uint8 in 0..255 -> float in -1..1."""
    return x.to(torch.get_default_dtype()) / 127.5 - 1


def _training_steps(size: int, crop: float, flip: bool, cut: v2.Transform) -> list[v2.Transform]:
    first = cut if crop == 1 else v2.RandomResizedCrop(size, (crop, 1.0), interpolation=_BICUBIC)
    return [first, v2.RandomHorizontalFlip()] if flip else [first]


def _not_a_picture(raw: object) -> DataError:
    return DataError(
        explain(
            "image encoder",
            "a raw value is no picture",
            found=type(raw).__name__,
            allowed="PIL images",
            next_step="let this encoder read a modality of pictures (encoders.KEY.modality)",
        )
    )
