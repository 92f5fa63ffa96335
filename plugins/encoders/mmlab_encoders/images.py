"""From an RGB picture to a uint8 tensor on the host, and from there to numbers on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from mmlab.plugin import DataError, Size, explain
from mmlab_encoders.resize import middle, to_tensor

if TYPE_CHECKING:
    from mmlab.plugin import Placement

Crop = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        description="smallest share of the area that a random training crop keeps; 1 is off",
    ),
]
Flip = Annotated[bool, Field(description="mirror half of the training pictures left to right")]
Jitter = Annotated[
    float,
    Field(ge=0, le=1, description="how far colours change in training; 0 is off"),
]
JitterShare = Annotated[
    float, Field(ge=0, le=1, description="share of training pictures whose colours change")
]
JITTER_SHARE = 0.8
Grey = Annotated[float, Field(ge=0, le=1, description="share of training pictures without colour")]
Blur = Annotated[
    float, Field(ge=0, le=1, description="share of training pictures that are blurred")
]
ImageSize = Annotated[Size, Field(ge=8, description="height and width of the input in pixels")]

_Step = Callable[[Tensor], Tensor]


class ImageTransform:
    """RGB picture -> uint8 (3, size, size).

    At evaluation the shorter side is resized to `size` and the middle is cut out. In training a
    random part of at least `crop` of the area, of aspect ratio 3/4 to 4/3, is cut out and resized,
    and mirrored if `flip`. With `crop = 1` training pictures are cut as at evaluation.

    `jitter`, `grey` and `blur` are SimCLR's further augmentations (Chen et al., arXiv:2002.05709,
    appendix A), drawn for each picture and each view: brightness, contrast and saturation by up to
    0.8 and hue by up to 0.2 times `jitter`, with probability `jitter_share`; no colour with
    probability `grey`; a Gaussian blur over a tenth of the picture with probability `blur`.
    """

    def __init__(
        self,
        size: int,
        crop: float,
        flip: bool,
        *,
        jitter: float = 0.0,
        jitter_share: float = JITTER_SHARE,
        grey: float = 0.0,
        blur: float = 0.0,
    ) -> None:
        self.size = size
        self._crops = crop < 1
        self._steps = _augmentations(size, crop, flip, (jitter, jitter_share, grey, blur))
        self.is_random = bool(self._steps)  # in training

    def __call__(self, raw: object, train: bool) -> Tensor:
        """One picture, cut for training or evaluation."""
        if not (isinstance(raw, Image.Image) and raw.mode == "RGB"):
            raise _not_a_picture(raw)
        return self.cut(to_tensor(raw), train)

    def cut(self, x: Tensor, train: bool) -> Tensor:
        """Pictures of one size, uint8 (..., 3, H, W); what is drawn is the same for all of them."""
        if not train:
            return middle(x, self.size)
        x = x if self._crops else middle(x, self.size)
        for step in self._steps:
            x = step(x)
        return x

    def placement(self, width: int, height: int) -> Placement:
        """Where evaluation puts a picture of this size."""
        from mmlab.plugin import Placement  # boxes alone need it

        return Placement.of(width, height).shorter_side(self.size).centred(self.size, self.size)

    @property
    def description(self) -> str:
        """What happens to a picture at evaluation."""
        return f"shorter side to {self.size} px bicubic, centre crop, values to -1..1"


def normalise(x: Tensor) -> Tensor:
    """uint8 in 0..255 -> float in -1..1."""
    return x.to(torch.get_default_dtype()) / 127.5 - 1


def _augmentations(
    size: int, crop: float, flip: bool, colours: tuple[float, float, float, float]
) -> Sequence[_Step]:
    """What is drawn in training; torchvision is imported only where there is any."""
    jitter, jitter_share, grey, blur = colours
    changes = (1 - crop, flip, jitter * jitter_share, grey, blur)
    if not any(changes):
        return []
    from torchvision.transforms import InterpolationMode, v2  # a second; most cells need none

    bicubic = InterpolationMode.BICUBIC
    strengths = (0.8 * jitter, 0.8 * jitter, 0.8 * jitter, 0.2 * jitter)
    kernel = size // 20 * 2 + 1  # a tenth of the picture, odd
    steps: list[_Step] = [
        v2.RandomResizedCrop(size, (crop, 1.0), interpolation=bicubic),
        v2.RandomHorizontalFlip(),
        v2.RandomApply([v2.ColorJitter(*strengths)], p=jitter_share),
        v2.RandomGrayscale(p=grey),
        v2.RandomApply([v2.GaussianBlur(kernel, (0.1, 2.0))], p=blur),
    ]
    return [step for step, change in zip(steps, changes, strict=True) if change]


def _not_a_picture(raw: object) -> DataError:
    return DataError(
        explain(
            "image encoder",
            "a raw value is no picture",
            found=f"{type(raw).__name__} {getattr(raw, 'mode', '')}".rstrip(),
            allowed="PIL images of mode RGB",
            next_step="let this encoder read a modality of pictures (encoders.KEY.modality)",
        )
    )
