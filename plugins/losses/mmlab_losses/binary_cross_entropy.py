"""Binary cross entropy: every label of a multi-label dataset is a yes or a no of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Encode, Metric, Outputs, Shapes, SpecError, explain
from mmlab_losses.label_weights import LabelWeight, named_weights
from mmlab_losses.scalars import IN_NATS


class BinaryCrossEntropy(nn.Module):
    """-(p * y * log s + (1 - y) * log(1 - s)), s = sigmoid(prediction), in nats.

    A mean over the labels and the samples whose labels are known, those that none of the labels is
    true of included; 0 where all are unknown. p is the label's `positive_weight`: how much its
    presence counts beside its absence. "balanced" takes p = samples without the label / samples
    with it, so that both sides of every label weigh alike; 1 for a label without training samples.
    Computed in float32 at least.

    Raises SpecError for a single-label dataset, and for a weight of an unknown label.
    """

    numerics = 2
    reads: ClassVar[frozenset[str]] = frozenset({"prediction", "labels"})
    metrics: ClassVar[tuple[Metric, ...]] = (IN_NATS,)
    views = 0
    positive_weights: Tensor

    def __init__(
        self,
        shapes: Shapes,
        *,
        positive_weight: Annotated[
            LabelWeight,
            Field(description='of a label\'s presence: 1, "balanced", or a table by label'),
        ] = "equal",
    ) -> None:
        super().__init__()
        if not shapes.is_multi_label:
            raise _one_label()
        weights = torch.tensor(_weights(shapes, positive_weight))
        self.register_buffer("positive_weights", weights, persistent=False)

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss on this batch."""
        assert outputs.prediction is not None, "declared in `reads`"
        logits = outputs.prediction
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # (B, C)
        target = batch.target.to(logits.dtype)
        is_known = ~target.isnan().any(1)
        target = torch.where(is_known[:, None], target, 0)
        weights = self.positive_weights.to(logits.dtype)
        losses = F.binary_cross_entropy_with_logits(
            logits, target, pos_weight=weights, reduction="none"
        ).mean(1)  # (B,)
        return {"loss": losses.where(is_known, 0).sum() / is_known.sum().clamp(min=1)}


def _weights(shapes: Shapes, option: LabelWeight) -> list[float]:
    """One weight per label."""
    if isinstance(option, Mapping):
        return named_weights("positive_weight", option, shapes)
    if option == "equal":
        return [1.0] * len(shapes.labels)
    total = shapes.labelled_count
    return [(total - count) / count if count else 1.0 for count in shapes.label_counts]


def _one_label() -> SpecError:
    return SpecError(
        explain(
            "losses",
            "binary_cross_entropy is for samples with several labels",
            found="a single-label dataset",
            allowed="a multi-label dataset",
            next_step="use cross_entropy, or several labels in [dataset]",
        )
    )
