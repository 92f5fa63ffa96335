"""A vision transformer of the plain kind, for small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Context, Features, Size, SpecError, explain
from mmlab_encoders.blocks import Trunk
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


class ViT(nn.Module):
    """Vision transformer (Dosovitskiy et al., arXiv:2010.11929): patches, blocks, and one pooling.

    uint8 (B, 3, image_size, image_size) -> pooled (B, width), tokens (B, patches, width).
    `pool` takes the class token or the mean over patches (then there is no class token); `tokens`
    are the patches alone. In training, `patch_dropout` leaves out that share of each picture's
    patches, and so of the tokens (FLIP, Li et al., arXiv:2212.00794); never the class token.
    """

    numerics = 1

    def __init__(
        self,
        context: Context,
        *,
        image_size: ImageSize = 64,
        patch_size: Annotated[Size, Field(description="side of a patch in pixels")] = 8,
        width: Annotated[Size, Field(description="width of a token and of the result")] = 128,
        depth: Annotated[Size, Field(description="number of blocks")] = 4,
        heads: Annotated[Size, Field(description="attention heads; they divide width")] = 4,
        patch_dropout: Annotated[
            float, Field(ge=0, lt=1, description="share of patches left out in training")
        ] = 0.0,
        pool: Annotated[
            Literal["mean", "class"], Field(description="mean over patches, or a class token")
        ] = "mean",
        crop: Crop = 1.0,
        flip: Flip = False,
        jitter: Jitter = 0.0,
        jitter_share: JitterShare = JITTER_SHARE,
        grey: Grey = 0.0,
        blur: Blur = 0.0,
    ) -> None:
        super().__init__()
        self.dim = width
        self.token_dim = width if "tokens" in context.reads else None
        shares = {"jitter_share": jitter_share, "grey": grey, "blur": blur}
        self.transform = ImageTransform(image_size, crop, flip, jitter=jitter, **shares)
        self.placement = self.transform.placement
        has_class_token = pool == "class"
        self.embedding = PatchEmbedding(image_size, patch_size, width, has_class_token)
        self.embedding.dropout = patch_dropout
        side = image_size // patch_size
        self.patch_grid = (side, side)
        self.trunk = Trunk(width, depth, heads)

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
        tokens = self.trunk(self.embedding(normalise(x)))
        class_token, patches = tokens[:, 0], tokens[:, self.embedding.class_tokens :]
        pooled = class_token if self.embedding.class_tokens else patches.mean(1)
        return Features.of(pooled, patches if self.token_dim else None)

    def patches(self, x: Tensor) -> Tensor:
        """Features of each patch, (B, rows, columns, width), whose mean is pooled without a class.

        With a class token they have been through the same last norm as that.
        """
        tokens = self.trunk(self.embedding(normalise(x)))[:, self.embedding.class_tokens :]
        result: Tensor = tokens.unflatten(1, self.patch_grid)
        return result

    def stages(self) -> Sequence[nn.Module]:
        """Patch embedding, the blocks, the last norm."""
        return [self.embedding, *self.trunk.stages()]


class PatchEmbedding(nn.Module):
    """Patches as tokens with their learnt positions, after a class token if there is one.

    (B, 3, image_size, image_size) -> (B, class_tokens + patches, width). In training, `dropout` is
    the share of patches left out, drawn for each sample. Raises SpecError unless patches tile it.
    """

    dropout: float = 0.0

    def __init__(self, image_size: int, patch_size: int, width: int, has_class_token: bool) -> None:
        super().__init__()
        if image_size % patch_size:
            raise _uneven_patches(image_size, patch_size)
        self.class_tokens = int(has_class_token)
        self.patches = nn.Conv2d(3, width, patch_size, patch_size)
        self.position = nn.Parameter(torch.randn((image_size // patch_size) ** 2, width) * 0.02)
        if has_class_token:
            self.class_token = nn.Parameter(torch.randn(width) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures in, tokens out."""
        tokens: Tensor = self.patches(x).flatten(2).transpose(1, 2) + self.position  # (B, N, width)
        if self.training and self.dropout > 0:
            tokens = keep_some(tokens, self.dropout)
        if not self.class_tokens:
            return tokens
        class_tokens = self.class_token.expand(len(x), 1, -1)
        return torch.cat([class_tokens, tokens], dim=1)


def keep_some(tokens: Tensor, dropout: float) -> Tensor:
    """A random max(1, int(N * (1 - dropout))) of the N tokens of each sample, drawn for itself."""
    size, count = tokens.shape[:2]
    kept = max(1, int(count * (1 - dropout)))
    order = torch.rand(size, count, device=tokens.device).argsort(dim=1)[:, :kept]
    return tokens.gather(1, order.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def _uneven_patches(image_size: int, patch_size: int) -> SpecError:
    return SpecError(
        explain(
            "patch_size",
            "patches must tile the picture",
            found=f"image_size {image_size}, patch_size {patch_size}",
            allowed="an image_size that is a multiple of patch_size",
            next_step="change `image_size` or `patch_size` of this encoder",
        )
    )
