"""The bilinear form of one modality and gates made of the other."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from mmlab.plugin import Features
from mmlab_fusions.bilinear import Bilinear
from mmlab_fusions.inputs import present_or_zero


class BilinearGated(Bilinear):
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
    use: ClassVar[str] = "bilinear_gated"

    def side(self, position: int, features: Features) -> Features:
        """The first input itself, or gates in [0, 1]: pooled (..., D)."""
        x = present_or_zero(features)
        pooled = x if position == 0 else x.sigmoid()
        return replace(features, pooled=pooled, tokens=None, mask=None)
