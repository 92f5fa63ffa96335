"""Heads: the decision network on a fused vector. Factory: `(dim, outputs, *, options)`."""

from __future__ import annotations

from torch import Tensor, nn


class Linear(nn.Module):
    """One affine map: fused (B, dim) -> prediction (B, outputs)."""

    def __init__(self, dim: int, outputs: int) -> None:
        super().__init__()
        self.map = nn.Linear(dim, outputs)

    def forward(self, fused: Tensor) -> Tensor:
        """(B, dim) -> (B, outputs)."""
        return self.map(fused)  # type: ignore[no-any-return]  # torch types modules' calls as Any
