"""InfoLOOB: the leave-one-out bound on mutual information, as a loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from mmlab.plugin import Batch, Calibration, Encode, Metric, Outputs, Shapes
from mmlab_losses.blocks import Chunk
from mmlab_losses.contrast import Contrast
from mmlab_losses.positives import Positives, check_positives, inputs_read
from mmlab_losses.rows import Hardness, Rows
from mmlab_losses.scalars import IN_NATS, OF_VIEWS, SCALE
from mmlab_losses.temperature import Learnt, Scale, Temperature
from mmlab_losses.views import NO_VIEWS, Views, ViewWeight


class InfoLOOB(nn.Module):
    """Mean over both directions of -S_ii + log of the mean of exp(S_ij) over the wrong answers j.

    S = scale * similarity. It is `decoupled` less log(n - 1) for n pairs: its gradient is the
    same, and its value, 0 where all pairs look alike, does not grow with the batch. Its negative
    estimates an upper bound on the mutual information of the two inputs, in nats.

    Source: the leave-one-out upper bound of Poole et al., arXiv:1905.06922, as a loss in Fuerst et
    al., arXiv:2110.11316 (CLOOB), which leaves the constant out; `cloob` adds the retrieval of that
    paper. Raises SpecError for a batch of one, which has no wrong answer.
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
        hardness: Hardness = 0.0,
        chunk: Chunk = None,
        views: Views = NO_VIEWS,
        view_weight: ViewWeight = 1.0,
    ) -> None:
        super().__init__()
        self.scale = Scale(temperature, learnt)
        positives = check_positives(positives, shapes)
        self.reads_inputs = inputs_read(positives)
        self.contrast = Contrast("info_loob", positives, hardness, chunk, views, view_weight)
        self.views = max(views.values(), default=0)

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss, and the scale that the similarities were multiplied with."""
        return self.contrast(leave_one_out, self.scale(), outputs, batch, encode)

    def after_step(self) -> None:
        """Bring the scale back into [1, 100]."""
        self.scale.clamp()

    def calibration(self) -> Calibration:
        """Probabilities of an answer are the softmax of scale * score."""
        return Calibration(self.scale.value())


def leave_one_out(rows: Rows) -> Tensor:
    """Mean over questions with a wrong answer of how far its mean exceeds the right answer."""
    wrongs = rows.wrongs.clamp(min=1).to(rows.right.dtype)
    losses = rows.log_wrong - wrongs.log() - rows.right
    return rows.mean(losses, rows.is_asked & (rows.wrongs > 0))
