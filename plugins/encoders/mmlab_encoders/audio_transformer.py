"""A transformer over the log-mel frames of a sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Context, Features, Size
from mmlab_encoders.blocks import Trunk
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


class AudioTransformer(SoundEncoder):
    """Transformer over groups of frames: a sound -> pooled (B, width), the mean over its tokens.

    A token is `patch` frames, all bands of them, with a learnt position; the last is filled up with
    zeros. Tokens without sound are not attended to and not counted. (Of the audio spectrogram
    transformer, Gong et al., arXiv:2104.01778, it differs in patches that span all frequencies.)
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
        patch: Annotated[Size, Field(description="frames in a token")] = 4,
        width: Annotated[Size, Field(description="width of a token and of the result")] = 128,
        depth: Annotated[Size, Field(description="number of blocks")] = 2,
        heads: Annotated[Size, Field(description="attention heads; they divide width")] = 4,
    ) -> None:
        transform = SoundTransform(rate, seconds, any_part=any_part)
        super().__init__(context, width, transform, LogMel(rate, window, hop, mels))
        frames = self.transform.samples // self.log_mel.hop + 1
        self.embedding = FrameEmbedding(frames, mels, patch, width)
        self.trunk = Trunk(width, depth, heads)

    def forward(self, x: Tensor) -> Features:
        """Features of sounds (B, samples + 1)."""
        frames, mask = self.log_mel(x)
        mask = mask[:, :: self.embedding.patch]  # sound is at the beginning, so the first decides
        tokens = self.trunk(self.embedding(frames), mask)
        return self.features(tokens, mask)

    def stages(self) -> Sequence[nn.Module]:
        """The embedding of frames, the blocks, the last norm."""
        return [self.embedding, *self.trunk.stages()]


class FrameEmbedding(nn.Module):
    """Frames (B, frames, mels) -> tokens (B, ceil(frames / patch), width) with their positions."""

    def __init__(self, frames: int, mels: int, patch: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.read = nn.Linear(patch * mels, width)
        self.position = nn.Parameter(torch.randn(-(-frames // patch), width) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Frames in, tokens out."""
        filled = F.pad(x, (0, 0, 0, -x.shape[1] % self.patch))
        groups = filled.reshape(len(x), -1, self.patch * x.shape[2])
        tokens: Tensor = self.read(groups)
        return tokens + self.position
