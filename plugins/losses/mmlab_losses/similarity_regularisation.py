"""Similarity regularisation: samples are as alike in one modality as in the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from mmlab.plugin import Batch, Encode, Outputs, normalize
from mmlab_losses.blocks import Chunk, full, in_blocks, own, pair_mask, require_several


class SimilarityRegularisation(nn.Module):
    """Mean over i != j of (cos(u_i, u_j) - cos(v_i, v_j))^2, in [0, 4].

    u and v are the fusion's projections of both inputs; widths may differ. Of a fusion that keeps
    several vectors of an input, their mean cosine is compared (`directional_projections`), and of
    `late_interaction`, whose tokens are no single vector, the encoders' pooled features. Pairs with
    an absent side take no part.

    Source: arXiv:2309.08773, as the x-clip library has it. Raises SpecError for a batch of one.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"similarity"})
    views = 0

    def __init__(self, *, chunk: Chunk = None) -> None:
        super().__init__()
        self.chunk = chunk

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss over all pairs of two samples that are whole."""
        assert outputs.similarity is not None, "declared in `reads`"
        size, is_pair = outputs.similarity.size, outputs.similarity.present
        require_several("similarity_regularisation", size)
        u, v = (
            normalize(full(side.pooled)).masked_fill(~is_pair[:, None], 0)
            for side in outputs.similarity.sides.values()
        )

        def block(start: int, stop: int) -> tuple[Tensor]:
            difference = u[start:stop] @ u.T - v[start:stop] @ v.T
            counts = pair_mask(is_pair, start, stop) & ~own(size, start, stop, u.device)
            return (difference.masked_fill(~counts, 0).square().sum(),)

        with torch.autocast(u.device.type, enabled=False):
            total = torch.stack([part for (part,) in in_blocks(size, self.chunk, block)]).sum()
        count = is_pair.sum()
        return {"loss": total / (count * (count - 1)).clamp(min=1)}
