"""A signed gate: one modality decides how much of the other passes, and with which sign."""

from __future__ import annotations

from dataclasses import replace

from mmlab.plugin import Features
from mmlab_fusions.gating import Gating
from mmlab_fusions.inputs import present_or_zero


class TanhGating(Gating):
    """Hyperbolic tangent of one input times the other: z = tanh(W u) * (V v), without biases.

    u: (..., dims[0]), v: (..., dims[1]) -> (..., dim). Leading axes broadcast. Parameters: W
    (dim, dims[0]) and V (dim, dims[1]). z is odd in u and linear in v. `gate` names the input under
    the tanh, "u" the first and "v" the second, so that with "v" z = (V u) * tanh(W v).

    The table's "LSTM-style" row. An LSTM (Hochreiter and Schmidhuber 1997) multiplies a tanh by a
    sigmoid; here the second factor is linear, and there is neither state nor bias.

    tanh(0) = 0, so that an absent gate would let nothing pass and the other modality would be lost;
    it counts as fully open instead, the factor 1: z = V v. An absent value gives z = 0, and so do
    two absent inputs.

    Of more inputs `fold` "pairwise" is the mean of tanh(W_ij x_i) * (V_ij x_j) over all pairs i <
    j, and "left" gates again: tanh(W_2 z) * (V_2 w), where z is that of u and v. `gate` holds in
    every pair and step. A pair with an absent input counts only where none is whole; "left" leaves
    out an absent third.
    Joins two inputs or more.
    """

    numerics = 1

    def side(self, position: int, features: Features) -> Features:
        """The gate, in [-1, 1], or the value: pooled (..., dim)."""
        mapped = self.maps[position](present_or_zero(features))
        if position == self.gate:
            mapped = mapped.tanh().masked_fill(~features.present.unsqueeze(-1), 1)
        return replace(features, pooled=mapped, tokens=None, mask=None)
