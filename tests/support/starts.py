"""A plugin of components that draw their start in every way, and of data for every encoder."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Context, Features, Sample, Split, hookimpl

WORDS = ("red", "green", "blue", "grey")


@hookimpl
def mmlab_datasets() -> dict[str, str]:
    return {"everything": "support.starts:Everything"}


@hookimpl
def mmlab_encoders() -> dict[str, str]:
    return {
        "drawing": "support.starts:Drawing",
        "sharing": "support.starts:Sharing",
        "lazy": "support.starts:Lazy",
    }


@hookimpl
def mmlab_fusions() -> dict[str, str]:
    return {"lazy": "support.starts:LazyJoin"}


class Everything:
    """Samples of every modality, with labels and two targets, or several labels with `multi`."""

    modalities: tuple[str, ...] = ("image", "text", "audio", "video", "tabular")
    labels = WORDS[:3]
    templates = ("a {}",)
    target_names = ("weight", "height")
    revision = "everything-1"

    def __init__(self, split: Split, *, multi: bool = False) -> None:
        self.is_multi_label = multi

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < 6:
            raise IndexError(index)
        noise = torch.Generator().manual_seed(index)
        values: dict[str, object] = {
            "image": Image.new("RGB", (32, 32), (40 * index, 90, 200)),
            "text": f"{WORDS[index % 4]} {WORDS[index % 3]}",
            "audio": (torch.randn(1, 8000, generator=noise), 16_000),
            "video": torch.randint(0, 256, (4, 3, 32, 32), generator=noise).byte(),
            "tabular": {"a": index, "b": WORDS[index % 3], "c": None},
        }
        targets = (5000.0 + index, 0.5 * index)
        return Sample(f"sample-{index}", values, (index % 3,), targets)


class Drawing(nn.Module):
    """Draws weights from all three ambient generators, when it is made and when it is fitted."""

    preprocessing = "drawing"
    token_dim = None

    def __init__(self, *, dim: Annotated[int, Field(ge=1, description="width")] = 8) -> None:
        super().__init__()
        self.dim = dim
        self.map = nn.Linear(1, dim)
        self.drawn = nn.Parameter(torch.tensor([np.random.rand(), random.random()]))
        self.register_buffer("fitted", torch.zeros(3))

    def fit(self, raws: Sequence[object]) -> None:
        self.fitted = torch.tensor([torch.rand(()).item(), np.random.rand(), random.random()])

    def transform(self, raw: object, train: bool) -> Tensor:
        return torch.zeros(1)

    def forward(self, x: Tensor) -> Features:
        return Features.of(self.map(x) + self.drawn.sum())


class Sharing(Drawing):
    """Takes its part of what is made once for all of its kind, then draws for itself."""

    def __init__(self, modality: str, context: Context, *, dim: int = 8) -> None:
        shares = context.once("shares", lambda: {"image": nn.Linear(1, 9), "text": nn.Linear(1, 9)})
        super().__init__(dim=dim)
        self.share = shares[modality]


class Lazy(Drawing):
    """Gets its weights when data pass."""

    def __init__(self, *, dim: int = 8) -> None:
        super().__init__(dim=dim)
        self.late = nn.Module()
        self.late.weight = nn.UninitializedParameter()


class LazyJoin(nn.Module):
    """A fusion that gets its weights when data pass."""

    reads = frozenset({"pooled"})
    prompts = "features"

    def __init__(
        self,
        dims: Sequence[int],
        *,
        dim: Annotated[int, Field(ge=1, description="width")] = 8,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.weight = nn.UninitializedParameter()

    def project(self, position: int, features: Features) -> Features:
        return features

    def fuse(self, *features: Features) -> Tensor:
        return features[0].pooled @ self.weight
