"""Late fusion: each modality predicts on its own, and the predictions are joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size, SpecError, explain
from mmlab_fusions.inputs import present_or_zero, side_by_side

Rule = Literal["mean", "product", "learned"]


class LateFusion(nn.Module):
    """Join the logits l_i of one expert for each input; the result is the prediction.

        mean:     z = (l_1 + l_2 + ...) / number of inputs that are present
        product:  z = l_1 + l_2 + ...
        learned:  z_c = sum of a_ic l_ic, (a_1c, a_2c, ...) = softmax(s_1c, s_2c, ...)

    u: (..., dims[0]), v: (..., dims[1]), ... -> (..., outputs), for the head `identity`. Leading
    axes broadcast. An expert is an affine map, W (outputs, dims[i]) and a constant, or with
    `hidden` a layer of that width and a ReLU before it. Parameters: the experts', and for
    `learned` s (inputs, outputs), which starts at 0, the mean.

    A sum of logits is a product of experts: softmax(l_1 + l_2) is the product of both softmaxes,
    brought back to sum 1, and likewise of sigmoids. The mean is its geometric mean. With affine
    experts all three are one class of functions, that of `concat` with a linear head, and differ in
    how they learn and in what is left where an input is absent; with `hidden` they are not.

    An absent expert has no say: the mean and the weights are those of the others, the product is
    theirs. Where all are absent, z = 0: every output is as likely as the others.

    Source: product of experts, Hinton 2002; late fusion, Snoek et al. 2005; learned weights stand
    for its second classifier, which is here linear, convex and by output.
    Joins two inputs or more. Raises SpecError where nothing is to be predicted.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    # Experts are projected; what follows is linear in them.
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)
    width_option: ClassVar[str | None] = "hidden"

    def __init__(
        self,
        dims: Sequence[int],
        outputs: int | None,
        *,
        rule: Annotated[Rule, Field(description="how the logits are joined")] = "mean",
        hidden: Annotated[
            Size | None, Field(description="hidden width of each expert; none unless given")
        ] = None,
    ) -> None:
        super().__init__()
        self.dim = _require_outputs(outputs)
        self.rule = rule
        self.experts = nn.ModuleList(_expert(width, hidden, self.dim) for width in dims)
        if rule == "learned":
            self.logit_weights = nn.Parameter(torch.zeros(len(dims), self.dim))

    def project(self, position: int, features: Features) -> Features:
        """One expert's logits: pooled (..., outputs), 0 where the input is absent."""
        logits: Tensor = self.experts[position](present_or_zero(features))
        logits = logits.masked_fill(~features.present.unsqueeze(-1), 0)
        return replace(features, pooled=logits, tokens=None, mask=None)

    def fuse(self, *features: Features) -> Tensor:
        """The joined logits, (..., outputs)."""
        if self.rule == "learned":
            return self._weighted(features)
        total = reduce(torch.add, (f.pooled for f in features))
        if self.rule == "product":
            return total
        count = reduce(torch.add, (f.present.to(total.dtype) for f in features))
        return total / count.clamp(min=1).unsqueeze(-1)

    def _weighted(self, features: Sequence[Features]) -> Tensor:
        present = side_by_side([f.present for f in features]).unsqueeze(-1)  # (..., inputs, 1)
        # The lowest number, not -inf: a softmax of nothing but -inf is NaN. Logits are then 0.
        lowest = torch.finfo(self.logit_weights.dtype).min
        weights = self.logit_weights.masked_fill(~present, lowest).softmax(dim=-2)
        parts = [w * f.pooled for w, f in zip(weights.unbind(dim=-2), features, strict=True)]
        return reduce(torch.add, parts)


def _expert(width: int, hidden: int | None, outputs: int) -> nn.Module:
    if hidden is None:
        return nn.Linear(width, outputs)
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def _require_outputs(outputs: int | None) -> int:
    if outputs is not None:
        return outputs
    raise SpecError(
        explain(
            "fusion.use",
            "late_fusion joins predictions, and there is nothing to predict",
            found="a dataset without labels",
            allowed="a dataset with labels",
            next_step="choose labels in [dataset], or another fusion",
        )
    )
