"""Cross entropy of a prediction against one label per sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Encode, Metric, Outputs, Shapes, SpecError, explain
from mmlab_losses.label_weights import LabelWeight, named_weights
from mmlab_losses.scalars import ACCURACY, IN_NATS

UNKNOWN = -1


class CrossEntropy(nn.Module):
    """Negative log-probability of the true label, -log softmax(prediction)[target], in nats.

    A mean over the samples whose label is known, weighted by the label's weight; 0 where no label
    is known. With `label_smoothing` e, the truth is a mixture of 1 - e for the label and e / C for
    each of the C labels (Szegedy et al., arXiv:1512.00567, section 7). The weight is the sample's:
    torch weighs each part of a smoothed truth by that part's label instead, so that equal logits no
    longer cost log C and balanced labels do not balance. "balanced" weighs a label by
    samples / (C * samples of that label), so that every label counts alike; a label without
    training samples has weight 0. A table gives weights by label, 1 for those it does not name.
    Computed in float32 at least.

    Also gives "accuracy": the share of known samples whose true label scores highest, unweighted.
    Raises SpecError for a multi-label dataset, and for a weight of an unknown label.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"prediction", "labels"})
    metrics: ClassVar[tuple[Metric, ...]] = (IN_NATS, ACCURACY)
    views = 0
    label_weights: Tensor

    def __init__(
        self,
        shapes: Shapes,
        *,
        label_smoothing: Annotated[
            float, Field(ge=0, lt=1, description="share of the truth given to all labels alike")
        ] = 0.0,
        label_weight: Annotated[
            LabelWeight,
            Field(description='samples alike, labels alike ("balanced"), or a table by label'),
        ] = "equal",
    ) -> None:
        super().__init__()
        if shapes.is_multi_label:
            raise _several_labels()
        self.label_smoothing = label_smoothing
        weights = _weights(shapes, label_weight)
        self.register_buffer("label_weights", weights, persistent=False)

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss and the accuracy on this batch."""
        assert outputs.prediction is not None, "declared in `reads`"
        logits = outputs.prediction
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # (B, C)
        is_known = batch.target != UNKNOWN
        is_right = (logits.argmax(dim=1) == batch.target) & is_known
        accuracy = is_right.sum() / is_known.sum().clamp(min=1)
        return {"loss": self._loss(logits, batch.target, is_known), "accuracy": accuracy}

    def _loss(self, logits: Tensor, target: Tensor, is_known: Tensor) -> Tensor:
        """The weighted mean; the library's own gives NaN where nothing is known."""
        losses = F.cross_entropy(
            logits,
            target,
            ignore_index=UNKNOWN,
            label_smoothing=self.label_smoothing,
            reduction="none",
        )  # (B,)
        weights = self.label_weights.to(logits.dtype)[target.clamp(min=0)] * is_known
        total = weights.sum()
        return (weights * losses).sum() / torch.where(total > 0, total, 1)


def _weights(shapes: Shapes, option: LabelWeight) -> Tensor:
    """One weight per label, (C,)."""
    counts, total = shapes.label_counts, sum(shapes.label_counts)
    if isinstance(option, Mapping):
        return torch.tensor(named_weights("label_weight", option, shapes))
    if option == "equal":
        return torch.ones(len(counts))
    return torch.tensor([total / (len(counts) * n) if n else 0.0 for n in counts])


def _several_labels() -> SpecError:
    return SpecError(
        explain(
            "losses",
            "cross_entropy needs one label per sample",
            found="a multi-label dataset",
            allowed="a single-label dataset",
            next_step="choose a multi-label loss, or single labels in [dataset]",
        )
    )
