"""A loss: the multi-class hinge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Encode, Outputs, Shapes, SpecError


class Hinge(nn.Module):
    """How far the best wrong label comes within `margin` of the true one, averaged over samples.

    max(0, margin + best wrong score - true score); samples without a known label take no part.
    Raises SpecError for data of several labels.
    Source: Crammer and Singer, JMLR 2 (2001), equation 3, with their margin of 1 made an option.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"prediction"})
    views = 0

    def __init__(
        self,
        shapes: Shapes,
        *,
        margin: Annotated[float, Field(gt=0, description="by how much the truth must lead")] = 1.0,
    ) -> None:
        super().__init__()
        if shapes.is_multi_label:
            raise SpecError("hinge: takes data of one label a sample, and these have several")
        self.margin = margin

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss on this batch."""
        assert outputs.prediction is not None, "declared in `reads`"
        scores = outputs.prediction  # (B, C)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        is_known = batch.target >= 0
        target = batch.target.clamp(min=0).unsqueeze(1)
        true = scores.gather(1, target).squeeze(1)
        wrong = scores.scatter(1, target, float("-inf")).amax(dim=1)
        excess = torch.where(is_known, F.relu(self.margin + wrong - true), 0)
        return {"loss": excess.sum() / is_known.sum().clamp(min=1)}
