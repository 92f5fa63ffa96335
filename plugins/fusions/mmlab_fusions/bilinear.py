"""The bilinear form: every pair of one element of each modality has a weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Size
from mmlab_fusions.fold import Fold, Rule, operands
from mmlab_fusions.inputs import present_or_zero
from mmlab_fusions.weight_tensor import bilinear_form, weight_tensor


class Bilinear(nn.Module):
    """Bilinear forms of two inputs: z_k = u^T W_k v, no bias.

    u: (..., dims[0]), v: (..., dims[1]) -> (..., dim). Leading axes broadcast. Parameters: W (dim,
    dims[0], dims[1]); at widths of 512 and a result of 512 that is 134 million, so that weights of
    more than `limit_mib` are refused before they are allocated. Their start has the standard
    deviation 1 / sqrt(du dv), that of z is then 1 for standard normal inputs.

    Linear in each argument, so that `project` can do no more than look who is there: W applied to
    one input alone is `dim` times as wide as the other input.

    An absent input counts as the zero vector, and gives z = 0: a bilinear form has no neutral
    element.

    Of more inputs `fold` "pairwise" is the mean of the forms x_i^T W_ij,k x_j over all pairs i < j,
    and "left" the form z^T W_2,k w, where z is that of u and v: all three are multiplied, by a
    tensor of weights of rank `dim`, not by a full one, whose size each further width would
    multiply. A pair with an absent input counts only where none is whole; "left" leaves out an
    absent third. `limit_mib` is for the weights of all forms together.

    Source: the symmetric bilinear model of Tenenbaum and Freeman 2000.
    Joins two inputs or more. Raises SpecError where the weights exceed the limit.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "features"
    input_range: ClassVar[tuple[int, int | None]] = (2, None)
    #: what specs call it, for messages
    use: ClassVar[str] = "bilinear"

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[Size, Field(description="width of the result")] = 256,
        limit_mib: Annotated[
            int, Field(ge=1, le=10**9, description="most memory for the weights")
        ] = 256,
        fold: Rule = "pairwise",
    ) -> None:
        super().__init__()
        self.dim = dim
        self.weight = weight_tensor(self.use, operands(fold, dims, dim), dim, limit_mib)
        self.fold = Fold(fold, dims, dim, partial(type(self), dim=dim, limit_mib=limit_mib))

    def project(self, position: int, features: Features) -> Features:
        """The input itself: pooled (..., dims[position])."""
        return self.fold.project(self, position, features)

    def fuse(self, *features: Features) -> Tensor:
        """The forms, folded, (..., dim)."""
        return self.fold.fuse(self, features)

    def side(self, position: int, features: Features) -> Features:
        """The input itself, zeros where it is absent: pooled (..., D)."""
        return replace(features, pooled=present_or_zero(features), tokens=None, mask=None)

    def join(self, u: Features, v: Features) -> Tensor:
        """The forms, (..., dim)."""
        return bilinear_form(self.weight, u.pooled, v.pooled)
