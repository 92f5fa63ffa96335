"""CLIP's loss: each sample must find its partner among those of its batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Calibration, Encode, Outputs, SpecError, explain

#: The scale stays in [1, 100]: beyond, float16 overflows and training becomes unstable.
MAX_LOG_SCALE = math.log(100)


class InfoNCE(nn.Module):
    """Symmetric cross entropy of scaled similarities against the diagonal.

    With S = exp(t) * similarity (B, B):  1/2 [CE(rows of S_forward) + CE(columns of S_backward)],
    in nats; log(n) for n pairs that all look alike, 0 at best. Computed in float32 at least.

    t is learnt, starts at log(1 / temperature), and is clamped to [0, log 100] after each step. It
    has no axis, which keeps weight decay from it. Pairs of which one side is absent take no part,
    neither as a question nor as an answer; without any pair the loss is 0.

    Source: Radford et al., arXiv:2103.00020, section 2.3 and figure 3. The lower clamp is ours.
    Raises SpecError for a batch of one, for which the loss is 0 whatever the model says.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"similarity"})
    views = 0

    def __init__(
        self,
        *,
        temperature: Annotated[
            float, Field(ge=0.01, le=1, description="temperature at the start; it is learnt")
        ] = 0.07,
    ) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss, and the scale that the similarities were multiplied with."""
        assert outputs.similarity is not None, "declared in `reads`"
        if outputs.similarity.size < 2:
            raise _lonely()
        scores = outputs.similarity.dense()
        scale = self.log_scale.exp()
        is_pair = outputs.similarity.present
        forward = _mean_cross_entropy(scale * _full(scores.forward), is_pair)
        backward = _mean_cross_entropy(scale * _full(scores.backward).T, is_pair)
        return {"loss": (forward + backward) / 2, "scale": scale.detach()}

    @torch.no_grad()
    def after_step(self) -> None:
        """Bring the scale back into [1, 100]."""
        self.log_scale.clamp_(0, MAX_LOG_SCALE)

    def calibration(self) -> Calibration:
        """Probabilities of an answer are the softmax of scale * score."""
        return Calibration(scale=float(self.log_scale.detach().exp()))


def _mean_cross_entropy(logits: Tensor, is_pair: Tensor) -> Tensor:
    """Mean over pairs of -log softmax(logits)[i, i], the softmax over pairs alone.

    An absent row keeps its diagonal only: its softmax is 1 there, and its loss and gradient are 0
    without a division by nothing and without asking the device which rows they are.
    """
    takes_part = is_pair[:, None] & is_pair[None, :]
    takes_part = takes_part | torch.eye(len(is_pair), dtype=torch.bool, device=is_pair.device)
    logits = logits.masked_fill(~takes_part, -math.inf)
    losses = logits.logsumexp(dim=1) - logits.diagonal()  # (B,)
    return losses.sum() / is_pair.sum().clamp(min=1)


def _full(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _lonely() -> SpecError:
    return SpecError(
        explain(
            "train.batch_size",
            "info_nce compares the samples of a batch with each other",
            found="a batch of 1",
            allowed="2 samples or more",
            next_step="raise train.batch_size",
        )
    )
