"""A generator of toys' vectors: an affine map under the fusion's vector, by flow matching."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Condition


class Dreamer(nn.Module):
    """The image of `clusters`, four numbers, as a picture of one row."""

    reads: ClassVar[frozenset[str]] = frozenset({"fused"})
    augments = False
    shape = (1, 1, 1, 4)
    preprocessing = "four numbers"

    def __init__(
        self, fused: int, modality: str, *, hidden: Annotated[int, Field(ge=1)] = 16
    ) -> None:
        super().__init__()
        self.modality = modality
        self.none = nn.Parameter(torch.zeros(fused))
        self.map = nn.Sequential(nn.Linear(5 + fused, hidden), nn.ReLU(), nn.Linear(hidden, 4))

    def transform(self, raw: object, train: bool) -> Tensor:
        return torch.tensor(raw, dtype=torch.float32).view(self.shape)

    def predict(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        assert condition.fused is not None
        given = torch.where(condition.present[:, None], condition.fused, self.none)
        seen = torch.cat([noisy.flatten(1), time[:, None], given], 1)
        predicted: Tensor = self.map(seen).view_as(noisy)
        return predicted

    def terms(
        self, target: Tensor, condition: Condition, noise: Tensor, time: Tensor
    ) -> Mapping[str, Tensor]:
        t = time.view(-1, 1, 1, 1, 1)
        error = self.predict(t * target + (1 - t) * noise, time, condition) - target
        squares = error.square().flatten(1).mean(1)
        return {"loss": squares, "time": time}

    def sample(self, condition: Condition, noise: Tensor, *, steps: int, guidance: float) -> Tensor:
        sample = noise
        for step in range(steps):
            time = torch.full((len(noise),), step / steps)
            none = self.predict(sample, time, condition.absent())
            clean = none + guidance * (self.predict(sample, time, condition) - none)
            sample = sample + (clean - sample) / (steps - step)
        return sample

    def to_raw(self, sample: Tensor) -> list[float]:
        values: list[float] = sample.flatten().tolist()
        return values
