"""SimSiam: one view's features predict the other's, without wrong answers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Encode, Metric, Outputs, Shapes, Size, normalize
from mmlab_losses.batch_norm import BatchNorm
from mmlab_losses.blocks import require_several
from mmlab_losses.encoders import TrainedEncoder, require_encoder, two_views


class SimSiam(nn.Module):
    """[2 - 2 cos(h(z1), sg z2)] + [2 - 2 cos(h(z2), sg z1)], in [0, 8], averaged over samples.

    z1 and z2 are projections of one encoder's features of two views of each sample, h a predictor,
    sg a stopped gradient. The first view is the batch's own input, which training has augmented
    like any further view. The projector is three linear maps, each with batch norm over the samples
    that are there, the predictor two with `predictor` numbers between them: the paper's bottleneck
    of a quarter, unless given.

    Also gives "spread": the standard deviation of z at length 1 times sqrt(dim), near 1 where
    features differ and 0 where all have collapsed into one.

    Source: Chen and He, arXiv:2011.10566, whose loss is a quarter of this, less 1; in the form that
    BYOL (Grill et al., arXiv:2006.07733) and x-clip have. Raises SpecError for
    a batch of one, which batch norm makes zero, and for an encoder that is not there.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"features"})
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("spread", "higher"),)
    views = 1

    def __init__(
        self,
        shapes: Shapes,
        *,
        encoder: TrainedEncoder = "image",
        dim: Annotated[Size, Field(ge=4, description="width of a projection")] = 256,
        hidden: Annotated[Size, Field(description="width inside the projector")] = 512,
        predictor: Annotated[
            Size | None,
            Field(description="width inside the predictor; a quarter of dim unless given"),
        ] = None,
    ) -> None:
        super().__init__()
        require_encoder("simsiam", "encoder", encoder, shapes.dims)
        self.encoder = encoder
        widths = [shapes.dims[encoder], hidden, hidden, dim]
        self.maps = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(widths))
        last = [False, False, True]
        self.norms = nn.ModuleList(
            BatchNorm(width, is_affine=not is_last)
            for width, is_last in zip(widths[1:], last, strict=True)
        )
        predictor = predictor or dim // 4
        self.narrow = nn.Linear(dim, predictor, bias=False)
        self.narrow_norm = BatchNorm(predictor)
        self.widen = nn.Linear(predictor, dim)

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss over the samples that are there, and how far their projections spread."""
        first, second, is_there = two_views(self.encoder, outputs, batch, encode)
        require_several("simsiam", len(first))
        z1, z2 = self._project(first, is_there), self._project(second, is_there)
        losses = self._miss(z1, z2, is_there) + self._miss(z2, z1, is_there)  # (B,)
        loss = torch.where(is_there, losses, 0).sum() / is_there.sum().clamp(min=1)
        return {"loss": loss, "spread": _spread(z1.detach(), is_there)}

    def _project(self, x: Tensor, is_there: Tensor) -> Tensor:
        last = len(self.maps) - 1
        for i, (linear, norm) in enumerate(zip(self.maps, self.norms, strict=True)):
            x = norm(linear(x), is_there)
            x = x if i == last else F.relu(x)
        return x

    def _miss(self, z: Tensor, target: Tensor, is_there: Tensor) -> Tensor:
        """2 - 2 cos of the prediction and its target, (B,)."""
        predicted = self.widen(F.relu(self.narrow_norm(self.narrow(z), is_there)))
        predicted = predicted.to(z.dtype)
        return 2 - 2 * (normalize(predicted) * normalize(target.detach())).sum(1)


def _spread(z: Tensor, is_there: Tensor) -> Tensor:
    z = normalize(z)
    weight = is_there.to(z.dtype).unsqueeze(1) / is_there.sum().clamp(min=1)
    variance = (weight * (z - (weight * z).sum(0)).square()).sum(0)  # (dim,)
    spread: Tensor = variance.sqrt().mean() * z.shape[1] ** 0.5
    return spread
