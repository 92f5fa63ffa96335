"""A picture as the mean colours of a grid of places, mapped once."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Context, DataError, Features, explain


class Grid(nn.Module):
    """Mean colours of cells x cells places, mapped, and a ReLU: uint8 (B, 3, P, P) -> (B, dim).

    The places are the tokens, where someone reads tokens.
    """

    def __init__(
        self,
        context: Context,
        *,
        pixels: Annotated[int, Field(ge=4, description="side of the resized picture")] = 32,
        cells: Annotated[int, Field(ge=1, description="places along a side")] = 8,
        dim: Annotated[int, Field(ge=1, description="width of the result")] = 64,
    ) -> None:
        super().__init__()
        self.pixels = pixels
        self.cells = cells
        self.dim = dim
        self.token_dim = 3 if "tokens" in context.reads else None
        self.map = nn.Linear(3 * cells * cells, dim)

    @property
    def preprocessing(self) -> str:
        """What happens to a picture at evaluation."""
        return f"bilinear {self.pixels} px"

    def transform(self, raw: object, train: bool) -> Tensor:
        """An RGB picture -> uint8 (3, pixels, pixels)."""
        if not isinstance(raw, Image.Image):
            raise DataError(_not_a_picture(raw))
        resized = raw.resize((self.pixels, self.pixels), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()

    def forward(self, x: Tensor) -> Features:
        """Features of uint8 pictures (B, 3, pixels, pixels)."""
        colors = F.adaptive_avg_pool2d(x.to(self.map.weight.dtype) / 127.5 - 1, self.cells)
        places = colors.flatten(2).transpose(1, 2)  # (B, cells * cells, 3)
        pooled = F.relu(self.map(places.flatten(1)))
        return Features.of(pooled, places if self.token_dim else None)


def _not_a_picture(raw: object) -> str:
    return explain(
        "encoder grid",
        "reads pictures only",
        found=type(raw).__name__,
        allowed="an RGB picture",
        next_step="give it a modality that holds pictures",
    )
