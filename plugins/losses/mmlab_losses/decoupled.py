"""DCL and DCLW: the right answer does not compete with itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Calibration, Encode, Metric, Outputs, Shapes
from mmlab_losses.blocks import Chunk
from mmlab_losses.contrast import Contrast
from mmlab_losses.positives import Positives, check_positives, inputs_read
from mmlab_losses.rows import Hardness, Rows
from mmlab_losses.scalars import IN_NATS, OF_VIEWS, SCALE
from mmlab_losses.temperature import Learnt, Scale, Temperature
from mmlab_losses.views import NO_VIEWS, Views, ViewWeight


class Decoupled(nn.Module):
    """Mean over both directions of -w_i S_ii + logsumexp of S_ij over the wrong answers j.

    S = scale * similarity. InfoNCE without the right answer in its sum: it has no softmax that
    shrinks the gradient of pairs that are nearly right. It may be negative. w_i = 1 (DCL), or, with
    `sigma`, DCLW's w_i = 2 - n softmax(similarity_ii / sigma) over the n pairs: 1 on average, more
    for pairs that are far apart. Of several right answers (`positives`), S_ii is their mean.

    Absent pairs take no part, nor does a question without any wrong answer.
    Source: Yeh et al., arXiv:2110.06848, for one view of two modalities. The weight's gradient is
    kept, as in the authors' code. Raises SpecError for a batch of one, which has no wrong answer.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"similarity"})
    metrics: ClassVar[tuple[Metric, ...]] = (IN_NATS, OF_VIEWS, SCALE)

    def __init__(
        self,
        shapes: Shapes,
        *,
        temperature: Temperature = 0.07,
        learnt: Learnt = True,
        sigma: Annotated[
            float | None,
            Field(
                gt=0,
                description="temperature of DCLW's weights, 0.5 in its paper; DCL unless given",
            ),
        ] = None,
        positives: Positives = "pairs",
        hardness: Hardness = 0.0,
        chunk: Chunk = None,
        views: Views = NO_VIEWS,
        view_weight: ViewWeight = 1.0,
    ) -> None:
        super().__init__()
        self.scale = Scale(temperature, learnt)
        self.sigma = sigma
        positives = check_positives(positives, shapes)
        self.reads_inputs = inputs_read(positives)
        self.contrast = Contrast("decoupled", positives, hardness, chunk, views, view_weight)
        self.views = max(views.values(), default=0)

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss, and the scale that the similarities were multiplied with."""
        scale = self.scale()

        def mean(rows: Rows) -> Tensor:
            right = rows.right if self.sigma is None else self._weights(rows, scale) * rows.right
            return rows.mean(rows.log_wrong - right, rows.is_asked & (rows.wrongs > 0))

        return self.contrast(mean, scale, outputs, batch, encode)

    def after_step(self) -> None:
        """Bring the scale back into [1, 100]."""
        self.scale.clamp()

    def calibration(self) -> Calibration:
        """Probabilities of an answer are the softmax of scale * score."""
        return Calibration(self.scale.value())

    def _weights(self, rows: Rows, scale: Tensor) -> Tensor:
        """DCLW's weight of each right answer, (B,)."""
        assert self.sigma is not None
        similarity = rows.right / scale / self.sigma
        similarity = similarity.masked_fill(~rows.is_asked, torch.finfo(similarity.dtype).min)
        return 2 - rows.is_asked.sum() * similarity.softmax(dim=0)
