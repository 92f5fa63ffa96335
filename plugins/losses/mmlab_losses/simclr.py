"""SimCLR: each view of a sample finds the other among the views of all samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Encode, Metric, Outputs, Shapes, Size, normalize
from mmlab_losses.blocks import Chunk, full, in_blocks, own, require_several
from mmlab_losses.encoders import TrainedEncoder, require_encoder, two_views
from mmlab_losses.scalars import IN_NATS


class SimCLR(nn.Module):
    """NT-Xent: cross entropy of each of 2 n views against all others but itself, in nats.

    z = W2 relu(W1 f) at length 1, of one encoder's features f of two views of each sample;
    -log softmax over k != i of (z_i . z_k / temperature) at i's other view, averaged over all 2 n.
    The first view is the batch's own input, which training has augmented like any further view.
    The temperature is fixed. Samples that are not there take no part.

    Source: Chen et al., arXiv:2002.05709, algorithm 1. Raises SpecError for a batch of one, whose
    views have nothing to choose from, and for an encoder that is not there.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"features"})
    metrics: ClassVar[tuple[Metric, ...]] = (IN_NATS,)
    views = 1

    def __init__(
        self,
        shapes: Shapes,
        *,
        encoder: TrainedEncoder = "image",
        dim: Annotated[Size, Field(description="width of a projection")] = 128,
        hidden: Annotated[Size, Field(description="width inside the projector")] = 512,
        temperature: Annotated[
            float, Field(ge=0.01, description="cosines are divided by it")
        ] = 0.1,
        chunk: Chunk = None,
    ) -> None:
        super().__init__()
        require_encoder("simclr", "encoder", encoder, shapes.dims)
        self.encoder = encoder
        self.temperature = temperature
        self.chunk = chunk
        self.projector = nn.Sequential(
            nn.Linear(shapes.dims[encoder], hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, dim, bias=False),
        )

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss over both views of the samples that are there."""
        first, second, is_there = two_views(self.encoder, outputs, batch, encode)
        require_several("simclr", len(first))
        views = torch.cat([first, second]).masked_fill(~is_there.repeat(2).unsqueeze(1), 0)
        z = normalize(full(self.projector(views)))  # (2 B, dim)
        losses = self._cross_entropy(z, is_there.repeat(2))
        return {"loss": torch.where(is_there.repeat(2), losses, 0).sum() / _count(is_there)}

    def _cross_entropy(self, z: Tensor, is_there: Tensor) -> Tensor:
        """Of each view, with the other view half the batch away, (2 B,)."""
        size = len(z)
        other = torch.arange(size, device=z.device).roll(size // 2)

        def block(start: int, stop: int) -> tuple[Tensor]:
            logits = z[start:stop] @ z.T / self.temperature
            is_answer = is_there & ~own(size, start, stop, z.device)
            right = logits.gather(1, other[start:stop, None]).squeeze(1)
            lowest = torch.finfo(logits.dtype).min
            return (logits.masked_fill(~is_answer, lowest).logsumexp(1) - right,)

        with torch.autocast(z.device.type, enabled=False):
            return torch.cat([part for (part,) in in_blocks(size, self.chunk, block)])


def _count(is_there: Tensor) -> Tensor:
    return 2 * is_there.sum().clamp(min=1)
