"""The model that is evaluated, on its device: features, scores, predictions, all finite.

NaN and infinity are refused where they enter. What takes long is made piece by piece, so that the
runner can keep some of it for a process that goes on where this one is killed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

import torch
from torch import Tensor

from mmlab.data.reader import Reader
from mmlab.data.tables import join_rows
from mmlab.errors import RunError, explain
from mmlab.hashing import digest
from mmlab.model.device import autocast
from mmlab.model.model import Model
from mmlab.plugin import Calibration, Dense, Features, Fusion, Sample, SimilarityFusion, Trimmed

#: Raw values (prompts, captions) encoded at a time.
RAW_BATCH_SIZE = 256

#: Memory in which features of labels are remembered.
REMEMBERED_BYTES = 1 << 28


@dataclass
class Remembered:
    """Features by what they were made from; the ones not asked for longest are forgotten first."""

    limit_bytes: int = REMEMBERED_BYTES
    made: int = 0
    _kept: OrderedDict[tuple[str, ...], Features] = field(default_factory=OrderedDict)

    def get(self, key: tuple[str, ...], make: Callable[[], Features]) -> Features:
        """What `make()` gave for this key, or gives now."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        self.made += 1
        features = make()
        if _size_bytes(features) <= self.limit_bytes:
            self._kept[key] = features
        while sum(map(_size_bytes, self._kept.values())) > self.limit_bytes:
            self._kept.popitem(last=False)
        return features


@dataclass(frozen=True)
class Piece:
    """What was made of `count` items that follow each other: tensors, their first axis being rows.

    `samples` are these items without their large values, where to know them is to read them.
    """

    count: int
    tensors: Mapping[str, Tensor]
    samples: Sequence[Sample] = ()

    @classmethod
    def of(cls, count: int, features: Mapping[str, Features], *samples: Sample) -> Piece:
        """Features by name."""
        tensors = {
            f"{name}.{part}": x
            for name, each in features.items()
            for part in ("pooled", "tokens", "mask", "present")
            if (x := getattr(each, part)) is not None
        }
        return cls(count, tensors, samples)

    def features(self, name: str, device: torch.device) -> Features:
        """Those of a name, on a device."""
        parts = ("pooled", "tokens", "mask", "present")
        found = [self.tensors.get(f"{name}.{part}") for part in parts]
        pooled, tokens, mask, present = (None if x is None else x.to(device) for x in found)
        return Features(cast(Tensor, pooled), tokens, mask, cast(Tensor, present))


@dataclass(frozen=True)
class Work:
    """Something long that is made of `count` items in their order, `step` of them at a time.

    `name` tells it from other work of the same evaluation. `about` gives all that it is a function
    of, as JSON, but the model and how it is run.
    """

    name: str
    count: int
    step: int
    about: Callable[[], Mapping[str, object]]


Make = Callable[[int], Iterator[Piece]]


class Parts(Protocol):
    """Keeps what takes long in parts, so that a process that is killed costs one of them."""

    def each(self, work: Work, make: Make) -> Iterator[Piece]:
        """All pieces of a work: kept by an earlier process, or made now and kept for the next.

        `make(n)` makes those from item n on, n being 0 or where a piece has ended. It is called
        when all pieces before were taken.
        """


class Unkept:
    """Keeps nothing."""

    def each(self, work: Work, make: Make) -> Iterator[Piece]:
        """All pieces, made now."""
        return make(0)


@dataclass(frozen=True)
class EvaluatedModel:
    """What is evaluated: a model in eval mode, how its inputs are read, and what its scores mean.

    Encoders run in `precision` ("fp32" or "bf16"); projections and scores are in float32 always.
    """

    model: Model
    calibration: Calibration | None
    device: torch.device
    precision: str
    readers: Mapping[str, Reader]
    #: features of labels that these weights have encoded
    remembered: Remembered = field(default_factory=Remembered)
    #: takes what a person should know of the results
    note: Callable[[str], None] = lambda text: None
    #: what was looked at and found right, or told
    checked: set[tuple[str, ...]] = field(default_factory=set)
    #: keeps what takes long
    parts: Parts = field(default_factory=Unkept)

    @property
    def fusion(self) -> Fusion:
        """The model's fusion, typed by its contract."""
        return cast(Fusion, self.model.fusion)

    @property
    def gives_similarity(self) -> bool:
        """Whether the model can score every pair of two inputs."""
        can_score = isinstance(self.model.fusion, SimilarityFusion) or self.model.scorer is not None
        return can_score and len(self.model.inputs) == 2

    @property
    def reads_tokens(self) -> bool:
        """Whether the fusion reads tokens."""
        return "tokens" in self.fusion.reads

    def modality(self, key: str) -> str:
        """The modality that an encoder reads."""
        return self.readers[key].modality

    def encode(self, key: str, x: Tensor, present: Tensor | None = None) -> Features:
        """Float32 features of inputs on the device; tokens only where the fusion reads them."""
        with autocast(self.device, self.precision):
            features = self.model.encode(key, x, present)
        return self.as_read(features)

    def encode_patches(self, key: str, x: Tensor) -> Tensor:
        """Float32 features of each patch of pictures, (B, rows, columns, dim), of a dense encoder.

        Raises RunError where one is NaN or infinite.
        """
        encoder = self.readers[key].encoder
        assert isinstance(encoder, Dense), "who asks has looked"
        with autocast(self.device, self.precision):
            found = encoder.patches(x).float()
        check_features(Features.of(found), key)
        return found

    def as_read(self, features: Features) -> Features:
        """Encoded features in float32, without tokens where the fusion reads none."""
        if not self.reads_tokens:
            features = replace(features, tokens=None, mask=None)
        return features.map(lambda t: t.float() if t.is_floating_point() else t)

    def encode_raws(self, key: str, raws: Sequence[object]) -> Features:
        """Features of raw values that are no samples: prompts, captions."""
        return join_rows(list(self._encode_raws(key, raws)))

    def encode_captions(self, key: str, texts: Sequence[str]) -> Features:
        """As `encode_raws`, of so many that it may take long: kept in parts."""

        def make(first: int) -> Iterator[Piece]:
            for part in self._encode_raws(key, texts[first:]):
                yield Piece.of(len(part.pooled), {key: part})

        work = Work(
            f"captions {key}",
            len(texts),
            RAW_BATCH_SIZE,
            lambda: {"texts": digest(list(texts)), "at_once": RAW_BATCH_SIZE},
        )
        found = self.parts.each(work, make)
        return join_rows([piece.features(key, self.device) for piece in found])

    def _encode_raws(self, key: str, raws: Sequence[object]) -> Iterator[Features]:
        encoder = self.readers[key].encoder
        for start in range(0, len(raws), RAW_BATCH_SIZE):
            rows = [encoder.transform(raw, False) for raw in raws[start : start + RAW_BATCH_SIZE]]
            x = torch.stack(rows)
            if isinstance(encoder, Trimmed) and encoder.trims_text and not self.reads_tokens:
                x = without_padding(x, encoder.vocabulary.pad)
            yield self.encode(key, x.to(self.device))

    def project(self, key: str, features: Features) -> Features:
        """The fusion's part that depends on one input alone, in float32.

        Raises RunError where a feature is NaN or infinite.
        """
        check_features(features, key)
        with self.full_precision():
            return self.model.project(key, features)

    def pair_scores(
        self, row_key: str, rows: Features, column_key: str, columns: Features
    ) -> Tensor:
        """Scores of projected rows over projected columns, (A, B) float32."""
        with self.full_precision():
            return self.model.pair_scores(row_key, rows, column_key, columns).float()

    @contextmanager
    def full_precision(self) -> Iterator[None]:
        """No autocast inside: in bf16 a tenth of the first places of 400 labels would be ties."""
        with autocast(self.device, "fp32"):
            yield

    def describe(self, keys: Sequence[str], calibration: Calibration | None) -> dict[str, object]:
        """The model's side of a result, for people: never a reason not to compare."""
        preprocessing = {key: self.readers[key].encoder.preprocessing for key in keys}
        description: dict[str, object] = {
            "precision": self.precision,
            "preprocessing": preprocessing,
        }
        if calibration is not None:
            description["probability"] = {
                "kind": calibration.kind,
                "scale": calibration.scale,
                "bias": calibration.bias,
            }
        return description


def without_padding(ids: Tensor, pad: int) -> Tensor:
    """Token ids (B, N) without the last columns that are padding in every row; one stays."""
    is_used = (ids != pad).any(0).nonzero()
    return ids[:, : int(is_used.max()) + 1] if len(is_used) else ids[:, :1]


def _size_bytes(features: Features) -> int:
    tensors = (features.pooled, features.tokens, features.mask, features.present)
    return sum(x.numel() * x.element_size() for x in tensors if x is not None)


def check_numbers(scores: Tensor, name: str) -> None:
    """Raise RunError where a score is NaN or infinite: ranks would look like first places."""
    if not is_finite(scores):
        raise _not_finite(f"evaluate.{name}", "a score", scores)


def check_features(features: Features, key: str) -> None:
    """Raise RunError where an encoder gave a feature that is NaN or infinite.

    A gate or a softmax would make finite scores of it. What is absent or masked means nothing.
    """
    tokens, present = features.tokens, features.present
    if not is_finite(features.pooled) and not is_finite(found := features.pooled[present]):
        raise _not_finite(f"encoders.{key}", "a feature", found)
    if tokens is not None and not is_finite(tokens):
        real = present[..., None].expand(tokens.shape[:-1])
        found = tokens[real if features.mask is None else real & features.mask]
        if not is_finite(found):
            raise _not_finite(f"encoders.{key}", "a feature of a token", found)


def is_finite(x: Tensor) -> bool:
    """Whether no number is NaN or infinite, found in one pass without a second tensor."""
    return x.numel() == 0 or bool(torch.stack(x.aminmax()).isfinite().all())


def _not_finite(place: str, what: str, x: Tensor) -> RunError:
    message = explain(
        place,
        f"{what} is not a finite number",
        found="NaN" if bool(x.isnan().any()) else "infinity",
        allowed="finite numbers",
        next_step="train with a lower train.lr, or evaluate with train.precision = 'fp32'",
    )
    return RunError(message, "nan")
