"""SigLIP's loss: each pair of a picture and a text is right or wrong on its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Calibration, Encode, Metric, Outputs, Scores, Shapes, Similarity
from mmlab_losses.blocks import Chunk, full, in_blocks, own, pair_mask
from mmlab_losses.positives import Positives, check_positives, find_groups, inputs_read
from mmlab_losses.scalars import IN_NATS, OF_VIEWS, SCALE
from mmlab_losses.temperature import Scale, Temperature
from mmlab_losses.views import NO_VIEWS, Views, ViewWeight, over_views

#: SigLIP's published weights lie above CLIP's limit of 100.
LARGEST = 1000.0


class Sigmoid(nn.Module):
    """1/n sum over all n x n pairs of softplus(-y_ij (scale * similarity_ij + bias)), in nats.

    y_ij is 1 for a right pair and -1 for any other. The sum is divided by the number n of pairs
    that are there, not by n^2. Scale and bias start at 10 and -10, so that the n - 1 wrong answers
    of each sample do not outweigh the right one at the start. A similarity whose directions differ
    counts with the mean of both. With `positives`, y_ij is 1 for all pairs of one group.

    A batch of one is defined: its pair is right. Without any pair the loss is 0.
    Source: Zhai et al., arXiv:2303.15343, section 3.2 and algorithm 1.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"similarity"})
    metrics: ClassVar[tuple[Metric, ...]] = (IN_NATS, OF_VIEWS, SCALE, Metric("bias"))

    def __init__(
        self,
        shapes: Shapes,
        *,
        temperature: Temperature = 0.1,
        bias: Annotated[float, Field(description="added to scaled scores, at the start")] = -10.0,
        learnt: Annotated[
            bool, Field(description="whether training changes temperature and bias")
        ] = True,
        positives: Positives = "pairs",
        chunk: Chunk = None,
        views: Views = NO_VIEWS,
        view_weight: ViewWeight = 1.0,
    ) -> None:
        super().__init__()
        self.scale = Scale(temperature, learnt, LARGEST)
        self.bias = nn.Parameter(torch.tensor(bias), requires_grad=learnt)
        self.positives = check_positives(positives, shapes)
        self.reads_inputs = inputs_read(positives)
        self.chunk = chunk
        self.view_counts, self.view_weight = views, view_weight
        self.views = max(views.values(), default=0)

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss, and the scale and the bias that it was computed with."""
        groups, scale = find_groups(self.positives, batch), self.scale()

        def loss_of(similarity: Similarity) -> Tensor:
            return self._loss(similarity, groups, scale)

        counts, weight = self.view_counts, self.view_weight
        scalars = over_views(loss_of, counts, weight, outputs, batch, encode)
        return {**scalars, "scale": scale.detach(), "bias": self.bias.detach().clone()}

    def after_step(self) -> None:
        """Bring the scale back into [1, 1000]."""
        self.scale.clamp()

    def calibration(self) -> Calibration:
        """Each label's own probability is the sigmoid of scale * score + bias."""
        return Calibration(self.scale.value(), float(self.bias.detach()), "sigmoid")

    def _loss(self, similarity: Similarity, groups: Tensor | None, scale: Tensor) -> Tensor:
        size, is_pair = similarity.size, similarity.present

        def block(start: int, stop: int) -> tuple[Tensor]:
            is_right = own(size, start, stop, is_pair.device)
            if groups is not None:
                is_right = groups[start:stop, None] == groups
            counts = pair_mask(is_pair, start, stop)
            losses = [
                F.softplus(torch.where(is_right, -1, 1) * (scale * full(scores) + self.bias))
                for scores in _directions(similarity.block(start, stop))
            ]
            return (torch.stack([x.masked_fill(~counts, 0).sum() for x in losses]).mean(),)

        total = torch.stack([part for (part,) in in_blocks(size, self.chunk, block)]).sum()
        return total / is_pair.sum().clamp(min=1)


def _directions(scores: Scores) -> tuple[Tensor, ...]:
    if scores.forward is scores.backward:
        return (scores.forward,)
    return scores.forward, scores.backward
