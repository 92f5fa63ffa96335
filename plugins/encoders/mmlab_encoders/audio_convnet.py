"""A small residual convnet over the log-mel picture of a sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Context, Features, Size
from mmlab_encoders.convnet import group_norm, residual_level
from mmlab_encoders.sound import (
    AnyPart,
    Hop,
    LogMel,
    Mels,
    Rate,
    Seconds,
    SoundEncoder,
    SoundTransform,
    Window,
)


class AudioConvNet(SoundEncoder):
    """Residual convnet over time and frequency: a sound -> pooled (B, width * 2**(levels - 1)).

    The blocks are those of `convnet`; a stem of stride 2 comes first, and every further level
    halves the map and doubles the width. Tokens are steps of time, each the mean over frequency;
    pooled features are the mean of those that hold sound. Padded frames are the clip's mean.
    """

    numerics = 1

    def __init__(
        self,
        context: Context,
        *,
        rate: Rate = 16_000,
        seconds: Seconds = 2.0,
        any_part: AnyPart = True,
        window: Window = 0.025,
        hop: Hop = 0.01,
        mels: Mels = 64,
        width: Annotated[Size, Field(ge=8, description="channels of the first level")] = 32,
        levels: Annotated[Size, Field(description="maps of different size")] = 3,
        depth: Annotated[Size, Field(description="residual blocks in each level")] = 1,
    ) -> None:
        widths = [width * 2**level for level in range(levels)]
        transform = SoundTransform(rate, seconds, any_part=any_part)
        super().__init__(context, widths[-1], transform, LogMel(rate, window, hop, mels))
        self.stem = nn.Conv2d(1, width, kernel_size=5, stride=2, padding=2)
        self.levels = nn.ModuleList(
            residual_level(widths[max(0, i - 1)], widths[i], depth, halves=i > 0)
            for i in range(levels)
        )
        self.norm = group_norm(self.dim)

    def forward(self, x: Tensor) -> Features:
        """Features of sounds (B, samples + 1)."""
        frames, mask = self.log_mel(x)
        maps = self.stem(frames.unsqueeze(1))  # (B, width, time, frequency)
        for level in self.levels:
            maps = level(maps)
        tokens = F.relu(self.norm(maps)).mean(3).transpose(1, 2)  # (B, time, dim)
        stride = 2 ** len(self.levels)
        mask = mask[:, ::stride]  # every map begins at the first frame, and halves rounding up
        return self.features(tokens, mask)

    def stages(self) -> Sequence[nn.Module]:
        """The stem, the levels, the last norm."""
        return [self.stem, *self.levels, self.norm]
