"""Pictures and videos as tensors of one shape, and back: the transform of a generator's target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from mmlab.plugin import DataError, explain


@dataclass(frozen=True)
class Frames:
    """Raw pictures and videos <-> uint8 tensors (3, count, size, size).

    A picture is a video of one frame. Of every frame the square in the middle is taken, and resized
    with antialiasing; of a video as many frames as wanted, evenly from the first to the last.
    """

    size: int
    count: int = 1

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of one tensor: channels, frames, height, width."""
        return 3, self.count, self.size, self.size

    @property
    def description(self) -> str:
        """What `read` does, in words."""
        return f"middle square, antialiased bilinear {self.size} px, {self.count} frames"

    def read(self, raw: object) -> Tensor:
        """A picture, a list of pictures, or uint8 frames (time, 3, H, W) -> uint8 tensor.

        Raises DataError for anything else, and for a video without frames.
        """
        frames = _frames_of(raw)
        if not len(frames):
            raise _no_picture("a video without frames")
        chosen = torch.linspace(0, len(frames) - 1, self.count).round().long()
        resized = _resize(_square(frames[chosen]), self.size)
        return resized.transpose(0, 1).contiguous()  # (3, count, size, size)

    def write(self, x: Tensor) -> Image.Image | Tensor:
        """uint8, or floating point with black at -1 and white at 1 -> a picture, or uint8 frames.

        Frames are (count, 3, size, size). What is beyond black and white is cut off.
        """
        if x.is_floating_point():
            x = ((x.detach().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        frames = x.cpu().transpose(0, 1)
        if self.count > 1:
            return frames.contiguous()
        return Image.fromarray(frames[0].permute(1, 2, 0).numpy(), "RGB")


def normalized(x: Tensor, dtype: torch.dtype) -> Tensor:
    """uint8 -> [-1, 1] of a dtype; floating point is so already."""
    return x.to(dtype) if x.is_floating_point() else x.to(dtype) / 127.5 - 1


def _frames_of(raw: object) -> Tensor:
    """uint8 (time, 3, H, W)."""
    if isinstance(raw, Image.Image):
        return _pixels([raw])
    if isinstance(raw, np.ndarray):
        raw = torch.from_numpy(raw)
    if isinstance(raw, Tensor) and raw.ndim == 4 and raw.dtype == torch.uint8:
        return raw
    if isinstance(raw, Sequence) and all(isinstance(each, Image.Image) for each in raw):
        return _pixels(raw) if raw else torch.empty(0)
    raise _no_picture(type(raw).__name__)


def _pixels(pictures: Sequence[Image.Image]) -> Tensor:
    arrays = [np.array(picture.convert("RGB")) for picture in pictures]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)


def _square(frames: Tensor) -> Tensor:
    height, width = frames.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return frames[..., top : top + side, left : left + side]


def _resize(frames: Tensor, size: int) -> Tensor:
    if frames.shape[-1] == size:
        return frames
    resized = functional.interpolate(frames.float(), size, mode="bilinear", antialias=True)
    return resized.round().clamp(0, 255).to(torch.uint8)


def _no_picture(found: str) -> DataError:
    return DataError(
        explain(
            "generator.target",
            "is no picture or video, which this generator makes",
            found=found,
            allowed="an RGB picture, a list of them, or uint8 frames (time, 3, height, width)",
            next_step="name a modality of pictures or videos",
        )
    )
