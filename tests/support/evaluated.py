"""A small real model and datasets to evaluate: a picture is the letters of a word it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmlab.data.reader import Reader
from mmlab.evaluate import Encoded, EvaluatedModel, encode_split
from mmlab.model.model import Model
from mmlab.plugin import Calibration, Dataset, Features, Sample, Scores

#: What a scale of 10 does to cosines.
SOFTMAX = Calibration(10.0)


def letters(text: str) -> list[float]:
    """How often each byte occurs: what `Letters` sees of a text, and the picture of that text."""
    counts = [0.0] * 256
    for byte in text.encode():
        counts[byte] += 1.0
    return counts


class Letters(nn.Module):
    """An encoder of texts (str) and of pictures (lists of floats): features are letter counts."""

    preprocessing = "letters"
    dim = 256
    token_dim = None

    def transform(self, raw: object, train: bool) -> Tensor:
        return torch.tensor(letters(raw) if isinstance(raw, str) else raw, dtype=torch.float32)

    def forward(self, x: Tensor) -> Features:
        return Features.of(x)


class Cosine(nn.Module):
    """A similarity fusion: the cosine, whose projections have length 1."""

    reads = frozenset({"pooled"})
    prompts = "features"

    def project(self, position: int, features: Features) -> Features:
        return Features.of(F.normalize(features.pooled, dim=-1))

    def score(self, u: Features, v: Features) -> Scores:
        scores = F.normalize(u.pooled, dim=-1) @ F.normalize(v.pooled, dim=-1).T
        return Scores(scores, scores)


class Broken(Cosine):
    """The cosine, but the first answer's scores are what is given: NaN, infinity."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def score(self, u: Features, v: Features) -> Scores:
        scores = super().score(u, v).forward
        scores[:, 0] = self.value
        return Scores(scores, scores)


class Gate(nn.Module):
    """A vector fusion whose prompts are averaged as scores: a nonlinear gate."""

    reads = frozenset({"pooled"})
    prompts = "score"
    dim = 256

    def project(self, position: int, features: Features) -> Features:
        return features if position == 0 else Features.of(features.pooled.sigmoid())

    def fuse(self, *features: Features) -> Tensor:
        return features[0].pooled * features[-1].pooled


@dataclass
class Words:
    """A dataset of samples given as values by modality, with label ids."""

    rows: Sequence[Mapping[str, object]]
    targets: Sequence[tuple[int, ...] | None]
    labels: tuple[str, ...] = ()
    templates: tuple[str, ...] = ("a photo of a {}.", "{}")
    modalities: tuple[str, ...] = ("image", "text")
    is_multi_label: bool = False
    revision: str = "words-1"
    reads: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        self.reads += 1
        return Sample(f"word-{index}", self.rows[index], self.targets[index])


@dataclass
class Called(Words):
    """Words whose prompts call labels otherwise."""

    prompt_names: tuple[str, ...] = ()


def pictures(names: Sequence[str], shown: Sequence[str], **changes: object) -> Words:
    """Pictures of words, whose label is the word itself; a caption is the word too."""
    rows = [{"image": letters(word), "text": word} for word in shown]
    targets = [(names.index(word),) for word in shown]
    return Words(**{"rows": rows, "targets": targets, "labels": tuple(names), **changes})  # type: ignore[arg-type]


def subject(
    fusion: nn.Module | None = None,
    *,
    head: nn.Module | None = None,
    scorer: nn.Module | None = None,
    inputs: Sequence[str] = ("image", "text"),
    calibration: Calibration | None = SOFTMAX,
    modalities: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> EvaluatedModel:
    """A model of letters in eval mode, with the cosine unless another fusion is given."""
    encoders = {key: Letters() for key in inputs}
    model = Model(encoders, fusion or Cosine(), inputs, head=head, scorer=scorer).eval().to(device)
    readers = {
        key: Reader((modalities or {}).get(key, key), encoder, torch.zeros(256))
        for key, encoder in encoders.items()
    }
    return EvaluatedModel(model, calibration, torch.device(device), "fp32", readers)


def encoded(what: EvaluatedModel, dataset: Dataset) -> Encoded:
    """The test split in batches of three."""
    return encode_split(what, dataset, "test", 3)
