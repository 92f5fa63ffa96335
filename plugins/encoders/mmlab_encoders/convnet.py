"""A small residual convnet, quick on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Context, Features, Size
from mmlab_encoders.images import (
    JITTER_SHARE,
    Blur,
    Crop,
    Flip,
    Grey,
    ImageSize,
    ImageTransform,
    Jitter,
    JitterShare,
    normalise,
)


class ConvNet(nn.Module):
    """Residual convnet (He et al., arXiv:1603.05027: norm before convolution) with group norms.

    uint8 (B, 3, image_size, image_size) -> pooled (B, width * 2**(levels - 1)), the mean of the
    last map; its places are the tokens. A stem of stride 4 comes first; every further level halves
    the map and doubles the width.

    Group norm (Wu and He, arXiv:1803.08494) in place of batch norm: a sample's features then do not
    depend on its batch, so that a batch of one, accumulated gradients and several processes give
    what one large batch gives.
    """

    numerics = 1

    def __init__(
        self,
        context: Context,
        *,
        image_size: ImageSize = 64,
        width: Annotated[Size, Field(ge=8, description="channels of the first level")] = 64,
        levels: Annotated[Size, Field(description="maps of different size")] = 3,
        depth: Annotated[Size, Field(description="residual blocks in each level")] = 1,
        crop: Crop = 1.0,
        flip: Flip = False,
        jitter: Jitter = 0.0,
        jitter_share: JitterShare = JITTER_SHARE,
        grey: Grey = 0.0,
        blur: Blur = 0.0,
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        self.dim = widths[-1]
        self.token_dim = self.dim if "tokens" in context.reads else None
        shares = {"jitter_share": jitter_share, "grey": grey, "blur": blur}
        self.transform = ImageTransform(image_size, crop, flip, jitter=jitter, **shares)
        self.placement = self.transform.placement
        self.stem = nn.Conv2d(3, width, kernel_size=7, stride=4, padding=3)
        self.levels = nn.ModuleList(
            residual_level(widths[max(0, i - 1)], widths[i], depth, halves=i > 0)
            for i in range(levels)
        )
        self.norm = group_norm(self.dim)

    @property
    def augments(self) -> bool:
        """Whether training pictures are cut, mirrored or coloured at random."""
        return self.transform.is_random

    @property
    def preprocessing(self) -> str:
        """What happens to a picture at evaluation."""
        return self.transform.description

    def forward(self, x: Tensor) -> Features:
        """Features of uint8 pictures (B, 3, H, W)."""
        x = self.stem(normalise(x))
        for level in self.levels:
            x = level(x)
        places = F.relu(self.norm(x)).flatten(2).transpose(1, 2)  # (B, h * w, dim)
        return Features.of(places.mean(1), places if self.token_dim else None)

    def stages(self) -> Sequence[nn.Module]:
        """The stem, the levels, the last norm."""
        return [self.stem, *self.levels, self.norm]


class ResidualBlock(nn.Module):
    """x + f(x), f being two 3 x 3 convolutions, each after a group norm and a ReLU.

    (B, inputs, H, W) -> (B, outputs, H / stride, W / stride), rounded up.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first_norm = group_norm(inputs)
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.second_norm = group_norm(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        is_plain = inputs == outputs and stride == 1
        self.shortcut = None if is_plain else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps in, maps out."""
        activated = F.relu(self.first_norm(x))
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        change: Tensor = self.second(F.relu(self.second_norm(self.first(activated))))
        return change + shortcut


def residual_level(inputs: int, outputs: int, depth: int, *, halves: bool) -> nn.Sequential:
    """Residual blocks of one width, the first of which halves the map or does not."""
    first = ResidualBlock(inputs, outputs, 2 if halves else 1)
    return nn.Sequential(first, *(ResidualBlock(outputs, outputs, 1) for _ in range(depth - 1)))


def group_norm(channels: int) -> nn.GroupNorm:
    """Groups of 16 channels (the paper's second best, and well above its worst), or one group."""
    return nn.GroupNorm(channels // 16 if channels % 16 == 0 else 1, channels)
