"""A gate: one modality decides how much of the other passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.fold import Fold, Rule
from mmlab_fusions.inputs import present_or_zero


class Gating(nn.Module):
    """Sigmoid of one input times the other: z = sigmoid(W u) * (V v), elementwise, no biases.

    u: (..., dims[0]), v: (..., dims[1]) -> (..., dim). Leading axes broadcast. The operator is not
    symmetric: `gate` names the input that is the gate, "u" the first and "v" the second, so that
    with "v" z = (V u) * sigmoid(W v).

    An absent gate stands half open, sigmoid(0) = 1/2, its mean at the start; an absent value gives
    z = 0, and so do two absent inputs. Prompts are averaged as gates or values, after `project`, in
    both of which z is linear: the mean of the results is the result of the mean.

    Of more inputs `fold` "pairwise" is the mean, over all pairs i < j, of sigmoid(W_ij x_i) *
    (V_ij x_j), and "left" gates again: sigmoid(W_2 z) * (V_2 w), where z is that of u and v. `gate`
    holds in every pair and step. A pair with an absent input counts only where none is whole;
    "left" leaves out an absent third.

    Source: gated linear unit, Dauphin et al., arXiv:1612.08083, equation 1, but gate and value come
    from two modalities, and without its biases.
    Joins two inputs or more.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="width of the result")] = 256,
        gate: Annotated[
            Literal["u", "v"], Field(description="the input that gates: u the first, v the second")
        ] = "u",
        fold: Rule = "pairwise",
    ) -> None:
        super().__init__()
        self.dim = dim
        self.gate = 0 if gate == "u" else 1
        self.maps = nn.ModuleList(nn.Linear(width, dim, bias=False) for width in dims[:2])
        self.fold = Fold(fold, dims, dim, partial(type(self), dim=dim, gate=gate))

    def project(self, position: int, features: Features) -> Features:
        """One side of the operator; of three inputs or more, the input: pooled (..., D)."""
        return self.fold.project(self, position, features)

    def fuse(self, *features: Features) -> Tensor:
        """Gate times value, folded, (..., dim)."""
        return self.fold.fuse(self, features)

    def side(self, position: int, features: Features) -> Features:
        """The gate, in [0, 1], or the value: pooled (..., dim)."""
        mapped = self.maps[position](present_or_zero(features))
        pooled = mapped.sigmoid() if position == self.gate else mapped
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def join(self, u: Features, v: Features) -> Tensor:
        """Gate times value, (..., dim)."""
        return u.pooled * v.pooled
