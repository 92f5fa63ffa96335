"""Components that are wrong on purpose: a plugin whose every component breaks something."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Encode, Features, Outputs, Sample, Scores, Split, hookimpl

Fault = Literal[
    "none",
    "empty",
    "no_validation",
    "no_test",
    "one_label",
    "no_labels",
    "odd_labels",
    "nul_label",
    "half_a_surrogate",
    "no_text",
    "unlabelled",
    "label_beyond",
    "nul_caption",
    "nul_id",
    "raises",
    "exits",
    "does_not_begin",
]

ODD_LABELS = ("quotes ' \" ` %s", "emoji 🦜", "<b>HTML</b> &amp;\nsecond line")


@hookimpl
def mmlab_datasets() -> dict[str, str]:
    return {"planted": "support.hostile:Planted"}


@hookimpl
def mmlab_encoders() -> dict[str, str]:
    return {"absent": "no_such_module:Encoder", "wide": "support.hostile:Wide"}


@hookimpl
def mmlab_fusions() -> dict[str, str]:
    return {"dot": "support.hostile:Dot"}


@hookimpl
def mmlab_losses() -> dict[str, str]:
    return {
        "broken": "support.hostile:Broken",
        "silent": "support.hostile:Silent",
        "greedy": "support.hostile:Greedy",
    }


class Planted:
    """Nine captions, their length and one fault."""

    templates: tuple[str, ...] = ("a {}",)
    is_multi_label = False

    def __init__(self, split: Split, *, fault: Fault = "none") -> None:
        if fault == "does_not_begin":
            raise RuntimeError("there is no such disk")
        self.fault = fault
        self.revision = f"planted-{fault}"
        absent = {"empty": ("train", "validation", "test"), "no_validation": ("validation",)}
        self.count = 0 if split in absent.get(fault, ()) or fault == f"no_{split}" else 9
        self.labels = _labels(fault)
        self.modalities = ("image",) if fault == "no_text" else ("image", "text")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if self.fault == "raises":
            raise ValueError("the disk of this dataset has gone away")
        if self.fault == "exits":
            sys.exit("a component that ends the program")
        labels = () if self.fault in ("unlabelled", "no_labels") else (index % len(self.labels),)
        labels = (99,) if self.fault == "label_beyond" else labels
        values: dict[str, object] = {"image": torch.full((4,), float(index))}
        if self.fault != "no_text":
            values["text"] = "a\0b" if self.fault == "nul_caption" else f"number {index}"
        return Sample(f"nul-\0-{index}" if self.fault == "nul_id" else f"n{index}", values, labels)


def _labels(fault: Fault) -> tuple[str, ...]:
    odd = {
        "one_label": ("only",),
        "no_labels": (),
        "odd_labels": ODD_LABELS,
        "nul_label": ("a", "b\0c", "d"),
        "half_a_surrogate": ("a", "b\ud800", "c"),
    }
    return odd.get(fault, ("a", "b", "c"))


class Wide(nn.Module):
    """Says `dim` and gives one more, if told to."""

    preprocessing = "none"
    token_dim = None

    def __init__(self, *, excess: Annotated[int, Field(ge=0)] = 0) -> None:
        super().__init__()
        self.dim = 4
        self.map = nn.Linear(4, 4 + excess)

    def transform(self, raw: object, train: bool) -> Tensor:
        assert isinstance(raw, Tensor)
        return raw

    def forward(self, x: Tensor) -> Features:
        return Features.of(self.map(x))


class Dot(nn.Module):
    """Scores pairs and gives no vector."""

    reads: ClassVar[frozenset[str]] = frozenset({"pooled"})
    prompts: ClassVar[Literal["features", "score"]] = "features"

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(width, 4) for width in dims)

    def project(self, position: int, features: Features) -> Features:
        return replace(Features.of(self.maps[position](features.pooled)), present=features.present)

    def score(self, u: Features, v: Features) -> Scores:
        scores = u.pooled @ v.pooled.T
        return Scores(scores, scores)


class Broken(nn.Module):
    """A loss with a fault at one of its calls, counted from 1."""

    reads: ClassVar[frozenset[str]] = frozenset({"prediction"})
    views = 0

    def __init__(
        self,
        *,
        fault: Literal["nan", "raises", "exits", "vector", "memory"] = "nan",
        step: Annotated[int, Field(ge=1)] = 1,
    ) -> None:
        super().__init__()
        self.fault = fault
        self.step = step
        self.calls = 0

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None
        self.calls += 1
        loss = outputs.prediction.square().mean()
        return {"loss": loss if self.calls < self.step else self._broken(loss)}

    def _broken(self, loss: Tensor) -> Tensor:
        if self.fault == "raises":
            raise ValueError("this loss has had enough")
        if self.fault == "exits":
            sys.exit("a component that ends the program")
        if self.fault == "memory":
            raise torch.OutOfMemoryError("tried to allocate 80 GiB")
        return loss * torch.ones(3) if self.fault == "vector" else loss * float("nan")


class Silent(nn.Module):
    """A loss that does not say what it reads."""

    views = 0

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        return {}


class Greedy(Silent):
    """A loss that takes whatever a spec says."""

    def __init__(self, **options: float) -> None:
        super().__init__()
