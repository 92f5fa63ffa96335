"""Heads: the decision network on a fused vector. Factory: `(dim, outputs, *, options)`.

`outputs` is the number of the dataset's labels, or of its targets where a loss reads those. A head
gives logits, or targets in units of their deviation; what they mean is the business of losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mmlab.errors import SpecError, explain
from mmlab.plugin import LARGEST_SIZE, Size

Activation = Literal["relu", "gelu", "silu", "tanh"]

_ACTIVATIONS: Mapping[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Linear(nn.Module):
    """One affine map: fused (B, dim) -> prediction (B, outputs)."""

    def __init__(self, dim: int, outputs: int) -> None:
        super().__init__()
        self.map = nn.Linear(dim, outputs)

    def forward(self, fused: Tensor) -> Tensor:
        """(B, dim) -> (B, outputs)."""
        return self.map(fused)  # type: ignore[no-any-return]  # torch types modules' calls as Any


class MLP(nn.Module):
    """Affine maps with an activation and dropout between them: (B, dim) -> (B, outputs).

    One hidden layer for every width in `hidden`. Unlike `linear` it can join what a fusion such as
    concatenation has only put side by side, so that the fusions compared under it differ less.
    """

    def __init__(
        self,
        dim: int,
        outputs: int,
        *,
        hidden: Annotated[
            Sequence[Size],
            Field(
                min_length=1,
                max_length=LARGEST_SIZE,
                description="widths of the hidden layers, the first one first",
            ),
        ] = (256,),
        dropout: Annotated[
            float, Field(ge=0, lt=1, description="share of every hidden layer left out in training")
        ] = 0.0,
        activation: Annotated[
            Activation, Field(description="what follows each hidden layer's map")
        ] = "relu",
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((dim, *hidden)):
            layers += [nn.Linear(before, after), _ACTIVATIONS[activation](), nn.Dropout(dropout)]
        self.hidden = nn.Sequential(*layers)
        self.map = nn.Linear(hidden[-1], outputs)

    def forward(self, fused: Tensor) -> Tensor:
        """(B, dim) -> (B, outputs)."""
        return self.map(self.hidden(fused))  # type: ignore[no-any-return]  # as above


class Identity(nn.Module):
    """The fused vector itself as the prediction: for fusions that give predictions.

    Raises SpecError unless the vector has one element for each output.
    """

    def __init__(self, dim: int, outputs: int) -> None:
        super().__init__()
        if dim != outputs:
            raise _widths_differ(dim, outputs)

    def forward(self, fused: Tensor) -> Tensor:
        """(B, outputs), unchanged."""
        return fused


def _widths_differ(dim: int, outputs: int) -> SpecError:
    return SpecError(
        explain(
            "head.use",
            "identity changes no width, so the fusion must give the prediction itself",
            found=f"a vector of width {dim} for {outputs} outputs",
            allowed=f'a fusion of width {outputs}, such as "late_fusion"',
            next_step='use = "linear", or another fusion',
        )
    )


class Ordinal(nn.Module):
    """Proportional odds, for labels that have an order: (B, dim) -> (B, outputs).

    One score s = w . fused, and thresholds t_1 < t_2 < ... between neighbouring labels:
    P(label <= k) = sigmoid(t_k - s). The prediction is log P(label = k), so that its softmax gives
    back these probabilities and `cross_entropy` is the cumulative-link loss. The dataset's order of
    labels is the scale. At the start all labels are equally likely where s = 0.

    Source: McCullagh, J. R. Stat. Soc. B 42 (1980), 109-142. Raises SpecError for a single output.
    """

    def __init__(self, dim: int, outputs: int) -> None:
        super().__init__()
        if outputs < 2:
            raise _no_order(outputs)
        self.map = nn.Linear(dim, 1, bias=False)
        thresholds = torch.logit(torch.arange(1, outputs) / outputs)
        self.first = nn.Parameter(thresholds[:1])
        # Distances are softplus(steps), so that no step of training brings thresholds out of order.
        self.steps = nn.Parameter(torch.log(torch.expm1(thresholds.diff())))

    def forward(self, fused: Tensor) -> Tensor:
        """(B, dim) -> log-probabilities (B, outputs), float32 at least."""
        distances = functional.softplus(self.steps)
        thresholds = torch.cat([self.first, self.first + distances.cumsum(0)])
        below = thresholds - self.map(fused)  # (B, outputs - 1)
        none = below.new_zeros(len(below), 1)
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))
        at_most = torch.cat([functional.logsigmoid(below), none], 1)
        above = torch.cat([none, functional.logsigmoid(-below)], 1)
        between = functional.pad(torch.log(-torch.expm1(-distances)), (1, 1))
        return at_most + above + between


def _no_order(outputs: int) -> SpecError:
    return SpecError(
        explain(
            "head.use",
            "ordinal puts labels in order, and there is nothing to put in order",
            found=f"{outputs} output",
            allowed="two labels or more",
            next_step='use = "linear", or a loss of labels such as cross_entropy',
        )
    )


class Standardized(nn.Module):
    """A head of targets, in their own units: head(fused) * deviation + mean, (B, outputs).

    Means and deviations are the training split's and stay with the weights, so that a head starts
    at the mean whatever a target's unit is, and learns all targets equally fast. mmlab puts this
    around the head of a spec whose losses read targets.
    """

    means: Tensor
    deviations: Tensor

    def __init__(
        self, head: nn.Module, means: Sequence[float], deviations: Sequence[float]
    ) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("means", torch.tensor(means))
        self.register_buffer("deviations", torch.tensor(deviations))

    def forward(self, fused: Tensor) -> Tensor:
        """(B, dim) -> (B, outputs) in the targets' units, float32 at least."""
        prediction: Tensor = self.head(fused)
        return prediction * self.deviations + self.means
