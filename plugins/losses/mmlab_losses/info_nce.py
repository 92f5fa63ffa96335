"""CLIP's loss: each sample must find its partner among those of its batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Calibration, Encode, Metric, Outputs, Shapes
from mmlab_losses.alike import Alike, check_alike
from mmlab_losses.blocks import Chunk
from mmlab_losses.contrast import Contrast
from mmlab_losses.positives import Positives, check_positives, inputs_read
from mmlab_losses.rows import Hardness, Rows
from mmlab_losses.scalars import IN_NATS, OF_VIEWS, SCALE
from mmlab_losses.temperature import Learnt, Scale, Temperature
from mmlab_losses.views import NO_VIEWS, Views, ViewWeight


class InfoNCE(nn.Module):
    """Symmetric cross entropy of scaled similarities against the diagonal.

    With S = scale * similarity (B, B):  1/2 [CE(rows of S_forward) + CE(columns of S_backward)],
    in nats; log(n) for n pairs that all look alike, 0 at best. Computed in float32 at least.

    `positives` spreads the truth evenly over several right answers (soft targets, as UniCL has
    them: Yang et al., arXiv:2204.03610). `label_smoothing` e gives e / n of it to each of n
    answers. `hardness` weighs wrong answers. Pairs of which one side is absent take no part,
    neither as a question nor as an answer; without any pair the loss is 0.

    `alike` names an input whose questions spread the truth over all answers j by the weights
    (1 + cos(x_i, x_j)) / 2 of its encoder's features x, divided by their sum: the continuously
    weighted contrastive loss (CWCL: Srinivasa et al., arXiv:2309.14580), made for a frozen encoder.
    The features get no gradient from it. The other input's questions stay as they are.

    Source: Radford et al., arXiv:2103.00020, section 2.3 and figure 3. The lower clamp of the scale
    is ours. Raises SpecError for a batch of one, for which the loss is 0 whatever the model says.
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
        positives: Positives = "pairs",
        label_smoothing: Annotated[
            float, Field(ge=0, lt=1, description="share of the truth given to all answers alike")
        ] = 0.0,
        alike: Alike = None,
        hardness: Hardness = 0.0,
        chunk: Chunk = None,
        views: Views = NO_VIEWS,
        view_weight: ViewWeight = 1.0,
    ) -> None:
        super().__init__()
        self.scale = Scale(temperature, learnt)
        self.label_smoothing = label_smoothing
        positives = check_positives(positives, shapes)
        self.reads_inputs = inputs_read(positives)
        means, alike = label_smoothing > 0, check_alike(alike, positives, shapes)
        self.contrast = Contrast(
            "info_nce", positives, hardness, chunk, views, view_weight, means=means, alike=alike
        )
        self.views = max(views.values(), default=0)

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss, and the scale that the similarities were multiplied with."""
        return self.contrast(self._mean, self.scale(), outputs, batch, encode)

    def after_step(self) -> None:
        """Bring the scale back into [1, 100]."""
        self.scale.clamp()

    def calibration(self) -> Calibration:
        """Probabilities of an answer are the softmax of scale * score."""
        return Calibration(self.scale.value())

    def _mean(self, rows: Rows) -> Tensor:
        """Of each question, the logarithm of the sum over all answers less what is true of them."""
        share = self.label_smoothing
        truth = torch.lerp(rows.right, rows.all, share) if share else rows.right
        return rows.mean(torch.logaddexp(rows.log_right, rows.log_wrong) - truth, rows.is_asked)
