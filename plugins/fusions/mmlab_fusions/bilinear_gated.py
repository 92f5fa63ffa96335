"""The bilinear form of one modality and gates made of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features
from mmlab_fusions.fold import Fold, Rule, operands
from mmlab_fusions.inputs import present_or_zero
from mmlab_fusions.weight_tensor import bilinear_form, weight_tensor


class BilinearGated(nn.Module):
    """Bilinear forms with a sigmoid on the second input: z_k = u^T W_k sigmoid(v), no bias.

    u: (..., dims[0]), v: (..., dims[1]) -> (..., dim). Leading axes broadcast. Parameters: W (dim,
    dims[0], dims[1]), refused above `limit_mib` and started as in `bilinear`. The second of the
    spec's inputs is the gate. Linear in u, not in v: at v = 0 the gates stand half open.

    An absent gate stands half open too, sigmoid(0) = 1/2; where u is absent, or both, z = 0.
    Prompts are averaged as gates, after the sigmoid, in which z is linear.

    Of more inputs `fold` "pairwise" is the mean of x_i^T W_ij,k sigmoid(x_j) over all pairs i < j,
    and "left" z^T W_2,k sigmoid(w), where z is that of u and v. A pair with an absent input counts
    only where none is whole; "left" leaves out an absent third.
    Joins two inputs or more. Raises SpecError where the weights exceed the limit.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[int, Field(ge=1, description="width of the result")] = 256,
        limit_mib: Annotated[int, Field(ge=1, description="most memory for the weights")] = 256,
        fold: Rule = "pairwise",
    ) -> None:
        super().__init__()
        self.dim = dim
        self.weight = weight_tensor("bilinear_gated", operands(fold, dims, dim), dim, limit_mib)
        self.fold = Fold(fold, dims, dim, partial(BilinearGated, dim=dim, limit_mib=limit_mib))

    def project(self, position: int, features: Features) -> Features:
        """One side of the operator; of three inputs or more, the input: pooled (..., D)."""
        return self.fold.project(self, position, features)

    def fuse(self, *features: Features) -> Tensor:
        """The forms, folded, (..., dim)."""
        return self.fold.fuse(self, features)

    def side(self, position: int, features: Features) -> Features:
        """The first input itself, or gates in [0, 1]: pooled (..., D)."""
        x = present_or_zero(features)
        pooled = x if position == 0 else x.sigmoid()
        return replace(features, pooled=pooled, tokens=None, mask=None)

    def join(self, u: Features, v: Features) -> Tensor:
        """The forms, (..., dim)."""
        return bilinear_form(self.weight, u.pooled, v.pooled)
