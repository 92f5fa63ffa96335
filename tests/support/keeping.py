"""A plugin of components that have more of a state than their parameters, and one that hides it."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from mmlab_fusions.sum import Sum
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Encode, Features, Outputs, Shapes, hookimpl


@hookimpl
def mmlab_losses() -> dict[str, str]:
    return {
        "remembering": "support.keeping:Remembering",
        "gambling": "support.keeping:Gambling",
        "hiding": "support.keeping:Hiding",
        "slow": "support.keeping:Slow",
        "uneven": "support.keeping:Uneven",
        "turning": "support.keeping:Turning",
    }


@hookimpl
def mmlab_fusions() -> dict[str, str]:
    return {"normed": "support.keeping:Normed"}


class Remembering(nn.Module):
    """Cross entropy, scaled by a running mean of itself and by how many steps there were."""

    reads: ClassVar[frozenset[str]] = frozenset({"prediction"})
    views = 0
    mean: Tensor

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self.register_buffer("mean", torch.ones(()))
        self.steps = 0

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None
        loss = F.cross_entropy(outputs.prediction.float(), batch.target, ignore_index=-1)
        if self.training:
            self.steps += 1
            self.mean.lerp_(loss.detach(), 0.1)
        return {"loss": loss * self.factor()}

    def factor(self) -> Tensor:
        return 1 / self.mean + 0.1 * self.steps

    def get_extra_state(self) -> object:
        return torch.tensor(self.steps)

    def set_extra_state(self, state: Any) -> None:
        self.steps = int(state)


class Gambling(Remembering):
    """The same, but of chance: it draws from the generators of NumPy and Python."""

    def factor(self) -> Tensor:
        return super().factor() * (1 + np.random.rand() + random.gauss(0, 0.1))


class Hiding(Remembering):
    """The same, but its state is a thing of its own."""

    def get_extra_state(self) -> object:
        return {"steps": [self.steps, np.zeros(2)]}


class Slow(Remembering):
    """The same, in steps long enough to be killed in: `MMLAB_TEST_PACE` seconds each."""

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        if self.training:
            time.sleep(float(os.environ.get("MMLAB_TEST_PACE", "0.05")))
        return super().forward(outputs, batch, encode)


class Uneven(Slow):
    """The same, but each process of a group counts at a pace of its own."""

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        self.steps += int(os.environ.get("RANK", "0")) * self.training
        return super().forward(outputs, batch, encode)


class Turning(Remembering):
    """The same, with a buffer of a type that no file holds."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.register_buffer("angle", torch.ones(2, dtype=torch.complex128))


class Normed(Sum):
    """A sum of maps after batch norm, whose running statistics are buffers."""

    def __init__(self, dims: Sequence[int], *, dim: Annotated[int, Field(ge=1)] = 8) -> None:
        super().__init__(dims, dim=dim)
        self.norms = nn.ModuleList(nn.BatchNorm1d(dim) for _ in dims)

    def project(self, position: int, features: Features) -> Features:
        term = super().project(position, features)
        normed = self.norms[position](term.pooled.flatten(0, -2))
        return replace(term, pooled=normed.view_as(term.pooled))
