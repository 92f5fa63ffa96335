"""Small real components that tests of core share: datasets and encoders with known answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mmlab.plugin import Features, Sample


@dataclass
class Points:
    """A dataset of vectors: sample i has the inputs `rows[i]`, by modality, and a label."""

    rows: Sequence[Mapping[str, object]]
    targets: Sequence[tuple[int, ...] | None]
    labels: tuple[str, ...] = ("red", "blue")
    templates: tuple[str, ...] = ("a {}.",)
    modalities: tuple[str, ...] = ("image", "text")
    is_multi_label: bool = False
    revision: str = "points-1"
    reads: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        return Sample(f"point-{index}", self.rows[index], self.targets[index])


class Vector(nn.Module):
    """An encoder of vectors: the raw value is a list of floats, `noise` is added in training."""

    preprocessing = "vector"
    token_dim = None

    def __init__(self, width: int = 2, dim: int = 3, noise: float = 0.0) -> None:
        super().__init__()
        self.dim = dim
        self.noise = noise
        self.map = nn.Linear(width, dim)

    def transform(self, raw: object, train: bool) -> Tensor:
        x = torch.tensor(raw, dtype=torch.float32)
        return x + self.noise * torch.randn(x.shape) if train and self.noise else x

    def forward(self, x: Tensor) -> Features:
        return Features.of(self.map(x))


def pairs(count: int) -> Points:
    """Samples whose two vectors are equal, on the unit circle, with alternating labels."""
    angles = torch.arange(count) * (2 * torch.pi / count)
    rows = [[float(a.cos()), float(a.sin())] for a in angles]
    return Points(
        rows=[{"image": row, "text": row} for row in rows],
        targets=[(index % 2,) for index in range(count)],
    )
