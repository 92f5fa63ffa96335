"""From two inputs to more: how an operator of two joins three, said once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Annotated, Literal, Protocol, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features
from mmlab_fusions.inputs import side_by_side

Rule = Annotated[
    Literal["pairwise", "left"], Field(description="how three inputs or more are joined")
]


class Operator(Protocol):
    """An operator o of two inputs, in the two steps of a fusion."""

    def side(self, position: int, features: Features) -> Features:
        """The part that depends on one input alone, the first (0) or the second (1)."""

    def join(self, u: Features, v: Features) -> Tensor:
        """Both sides' parts -> (..., dim)."""


class Fold(nn.Module):
    """Joins two inputs by an operator, and more of them by several of its kind.

        pairwise: z = mean over all pairs i < j of  x_i o_ij x_j
        left:     z = ((x_1 o_1 x_2) o_2 x_3) o_3 ...

    Every o has weights of its own. The operator that holds the fold is the first, o_12 or o_1, and
    `make` gives the others for the widths of their two inputs, so that of two inputs nothing is
    here. The order of the spec's inputs says which is the first of a pair.

    What an absent input counts as is the operator's to say, with these rules for more than two.
    `pairwise` takes the mean over those pairs of a sample of which most are there: if two inputs or
    more are present, over the whole pairs, as if the absent inputs were not in the spec; if one is,
    over its pairs; if none is, over all. `left` leaves out a step whose own input is absent, the
    first one aside, which is that of two inputs; what came before counts as absent where all of it
    is. The scale of neither depends on how many inputs are missing.
    """

    def __init__(
        self,
        rule: Rule,
        dims: Sequence[int],
        dim: int,
        make: Callable[[Sequence[int]], nn.Module],
    ) -> None:
        super().__init__()
        self.rule = rule
        self.is_of_two = len(dims) == 2
        self.further = nn.ModuleList(make(widths) for widths in operands(rule, dims, dim)[1:])

    def project(self, operator: Operator, position: int, features: Features) -> Features:
        """One side of the operator; of three inputs or more the input, which several will read."""
        if self.is_of_two:
            return operator.side(position, features)
        return replace(features, tokens=None, mask=None)

    def fuse(self, operator: Operator, features: Sequence[Features]) -> Tensor:
        """The result for what `project` gave, (..., dim)."""
        if self.is_of_two:
            return operator.join(*features)
        operators = [operator, *(cast(Operator, module) for module in self.further)]
        if self.rule == "pairwise":
            return _mean_of_pairs(operators, features)
        return _from_left(operators, features)


def operands(rule: Rule, dims: Sequence[int], dim: int) -> list[tuple[int, int]]:
    """Widths of both inputs of every operator of a fold, whose results are `dim` wide.

    >>> operands("pairwise", (5, 4, 3), 7), operands("left", (5, 4, 3), 7)
    ([(5, 4), (5, 3), (4, 3)], [(5, 4), (7, 3)])
    """
    if rule == "pairwise":
        return list(combinations(dims, 2))
    return [(dims[0], dims[1]), *((dim, width) for width in dims[2:])]


def _mean_of_pairs(operators: Sequence[Operator], features: Sequence[Features]) -> Tensor:
    pairs = combinations(features, 2)
    parts = [_apply(operator, u, v) for operator, (u, v) in zip(operators, pairs, strict=True)]
    shares = _shares(features).to(parts[0].dtype).unsqueeze(-1).unbind(dim=-2)  # each (..., 1)
    products = [share * part for share, part in zip(shares, parts, strict=True)]
    return sum(products, start=torch.zeros_like(parts[0]))


def _shares(features: Sequence[Features]) -> Tensor:
    """Shares of all pairs in the mean, (..., pairs): equal ones of those that most is there of."""
    there = side_by_side([f.present for f in features]).int().unbind(dim=-1)
    counts = torch.stack([a + b for a, b in combinations(there, 2)], dim=-1)
    counted = counts == counts.amax(dim=-1, keepdim=True)
    return counted / counted.sum(dim=-1, keepdim=True)


def _from_left(operators: Sequence[Operator], features: Sequence[Features]) -> Tensor:
    first, second, *rest = features
    fused = _apply(operators[0], first, second)
    present = first.present | second.present
    for operator, v in zip(operators[1:], rest, strict=True):
        joined = _apply(operator, Features(fused, None, None, present), v)
        fused = torch.where(v.present.unsqueeze(-1), joined, fused)
        present = present | v.present
    return fused


def _apply(operator: Operator, u: Features, v: Features) -> Tensor:
    return operator.join(operator.side(0, u), operator.side(1, v))
