"""Resizing and centre-cropping of pictures in plain torch, bit by bit as torchvision v2 does it.

Importing torchvision takes longer than all other imports of an encoder together, since it imports
torch's compiler: a cell that is done, or whose encoders are only asked for their options, should
not pay for that. Tests compare every result with torchvision's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def to_tensor(picture: Image.Image) -> Tensor:
    """RGB picture -> uint8 (3, H, W), a copy of its own."""
    values = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return values.view(picture.height, picture.width, -1).permute(2, 0, 1)


def middle(x: Tensor, size: int) -> Tensor:
    """Bring the shorter side to `size` and cut out the centre: uint8 (..., 3, size, size)."""
    return centre_crop(resize(x, size), size)


def resize(x: Tensor, size: int) -> Tensor:
    """Resize the shorter side of uint8 (..., 3, H, W) to `size`: bicubic, antialiased."""
    height, width = x.shape[-2:]
    shorter, longer = sorted((height, width))
    if shorter == size:
        return x
    other = int(size * longer / shorter)
    wanted = (other, size) if width <= height else (size, other)
    resized = F.interpolate(_channels_last(x), wanted, mode="bicubic", antialias=True)
    return resized.reshape(*x.shape[:-2], *wanted)


def centre_crop(x: Tensor, size: int) -> Tensor:
    """Cut the middle out of (..., 3, H, W), neither side of which is below `size`."""
    # Python rounds a half to the even number; so does torchvision.
    top, left = (round((side - size) / 2) for side in x.shape[-2:])
    return x[..., top : top + size, left : left + size]


def _channels_last(x: Tensor) -> Tensor:
    """One batch (N, 3, H, W), in the memory format in which a picture was read.

    A single picture does not say its format, and torch would repack the result: its first stride
    has to be that of a batch (https://github.com/pytorch/pytorch/issues/68430).
    """
    batch = x.reshape(-1, *x.shape[-3:])
    if len(batch) > 1 or not batch.is_contiguous(memory_format=torch.channels_last):
        return batch
    return batch.as_strided(batch.shape, (batch.numel(), *batch.stride()[1:]))
