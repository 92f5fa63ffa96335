"""A plugin of fusions that declare their width in every way, or cannot be counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, SpecError, hookimpl


@hookimpl
def mmlab_fusions() -> dict[str, str]:
    return {
        name: f"support.widths:{name.title()}" for name in ("plain", "narrow", "curious", "picky")
    }


class Plain(nn.Module):
    """As a stranger writes it: a sum, whose `dim` nothing declares to be its width."""

    reads = frozenset({"pooled"})
    prompts = "features"
    devices: ClassVar[list[str]] = []

    def __init__(self, dims: Sequence[int], *, dim: int = 16) -> None:
        super().__init__()
        self.dim = dim
        self.maps = nn.ModuleList(nn.Linear(width, dim, bias=False) for width in dims)
        self.devices.append(self.maps[0].weight.device.type)

    def project(self, position: int, features: Features) -> Features:
        return Features.of(self.maps[position](features.pooled))

    def fuse(self, *features: Features) -> Tensor:
        return torch.stack([f.pooled for f in features]).sum(0)


class Narrow(Plain):
    """Its width has another name and an end."""

    width_option = "columns"

    def __init__(
        self, dims: Sequence[int], *, columns: Annotated[int, Field(ge=1, le=10)] = 3, dim: int = 5
    ) -> None:
        super().__init__(dims, dim=columns)


class Curious(Plain):
    """Reads the value of a tensor while it is made."""

    def __init__(self, dims: Sequence[int], *, dim: int = 16) -> None:
        super().__init__(dims, dim=dim)
        self.scale = float(torch.ones(1).sum())


class Picky(Plain):
    """Refuses every width."""

    def __init__(self, dims: Sequence[int], *, dim: int = 16) -> None:
        raise SpecError("no width is good enough")
