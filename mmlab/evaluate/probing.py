"""What linear probes and few-shot probes share: examples of a split, a penalty, a result."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mmlab.evaluate import faults, label_metrics
from mmlab.evaluate.encoded import Encoded
from mmlab.evaluate.labelling import Labelling, LabelScores, Truths, make_result, rank_labels
from mmlab.evaluate.learner import Learnt
from mmlab.evaluate.measures import measure_labels
from mmlab.evaluate.probe_fit import Examples, Method, Probe, fit, grid, search
from mmlab.evaluate.protocol import hash_texts
from mmlab.evaluate.subject import Subject
from mmlab.feature_rows import take_rows
from mmlab.plugin import Calibration, Dataset, EncoderKey, Split
from mmlab.records import EvaluationResult

MethodOption = Annotated[
    Method, Field(description="lbfgs: logistic regression to its end; adamw: as CLIP_benchmark")
]
EncoderOption = Annotated[
    str | None,
    EncoderKey(),
    Field(description="whose features; by default the first that reads no text"),
]
PenaltyOption = Annotated[
    float | None,
    Field(ge=0, description="L2 penalty; searched for on the validation split unless given"),
]

logger = logging.getLogger(__name__)


def learns_from(method: Method, penalty: float | None) -> list[Learnt]:
    """What a probe reads besides the evaluated split: validation where the penalty is searched for.

    CLIP_benchmark's AdamW searches for nothing where there is no validation split.
    """
    if penalty is not None:
        return [Learnt("train")]
    instead = "set `penalty` of this evaluation"
    return [Learnt("train"), Learnt("validation", is_needed=method != "adamw", instead=instead)]


def known_penalty(penalty: float | None, encoded: Encoded, name: str) -> float | None:
    """The penalty that is not searched for: the spec's, or 0 without validation samples."""
    if penalty is not None or "validation" not in encoded.lacking:
        return penalty
    logger.warning("evaluate.%s: no validation split, so the weight decay is 0", name)
    return 0.0


def read_others(encoded: Encoded, penalty: float | None) -> list[Encoded]:
    """The training split, and validation if a penalty is to be searched for."""
    splits: tuple[Split, ...] = ("train",) if penalty is not None else ("train", "validation")
    return [encoded.other(split) for split in splits]


@dataclass(frozen=True)
class Taken:
    """The samples of a split that take part, as examples on the device; `indexes` are in it."""

    encoded: Encoded
    indexes: Sequence[int]
    examples: Examples

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [self.encoded.ids[index] for index in self.indexes]

    @property
    def truths(self) -> Truths:
        """Their labels."""
        return [self.encoded.truths[index] for index in self.indexes]


def take_examples(encoded: Encoded, key: str, method: Method, name: str) -> Taken:
    """Examples of the labelled samples of a split that have this input.

    Raises DataError where there are none, RunError where a feature is NaN or infinite.
    """
    indexes = encoded.labelled(encoded.present(key))
    if not indexes:
        raise faults.nothing_left(name, len(encoded.ids), f"a known label and {key}")
    pooled = replace(encoded.features[key], tokens=None, mask=None)
    features = take_rows(pooled, torch.tensor(indexes))
    faults.check_features(features, key)
    x = features.pooled
    if method == "adamw":
        x = F.normalize(x, dim=1)
    target = _target(encoded, indexes).to(x.device)
    return Taken(encoded, indexes, Examples(x, target))


def _target(encoded: Encoded, indexes: Sequence[int]) -> Tensor:
    truths = [encoded.truths[index] for index in indexes]
    if not encoded.dataset.is_multi_label:
        return torch.tensor([own[0] for own in truths])
    target = torch.zeros(len(truths), len(encoded.dataset.labels))
    for row, own in enumerate(truths):
        target[row, list(own)] = 1.0
    return target


def choose_penalty(method: Method, train: Examples, validation: Taken, seed: int) -> float:
    """The penalty that does best on validation: by top-1, or mean average precision.

    Worst are penalties under which the fit diverges, as AdamW does where rate times decay is > 2.
    """
    label_count = len(validation.encoded.dataset.labels)
    penalties = grid(method)

    def evaluate(place: int) -> float:
        probe = fit(method, train, label_count, float(penalties[place]), seed)
        return _quality(probe(validation.examples.x), validation)

    return float(penalties[search(evaluate)])


def _quality(scores: Tensor, taken: Taken) -> float:
    if not faults.is_finite(scores):
        return -math.inf
    if not taken.encoded.dataset.is_multi_label:
        return float((scores.argmax(1) == taken.examples.target).double().mean())
    labels = scores.shape[1]
    asked = LabelScores(lambda rows: scores[rows], labels, labels, Calibration(1.0, kind="sigmoid"))
    measures = measure_labels(rank_labels(asked, taken.truths, 1, "validation"), labels)
    return label_metrics.mean_over_defined(measures["average_precision"]) or 0.0


def probe_result(labelling: Labelling, probe: Probe, taken: Taken, k: int) -> EvaluationResult:
    """What a probe makes of the samples of a split."""
    dataset = taken.encoded.dataset
    kind: Calibration = Calibration(1.0, kind="sigmoid" if dataset.is_multi_label else "softmax")
    scores = probe(taken.examples.x)
    asked = LabelScores(lambda rows: scores[rows], scores.shape[1], scores.shape[1], kind)
    ranked = rank_labels(asked, taken.truths, k, labelling.name)
    return make_result(labelling, taken.truths, ranked)


def describe_probe(subject: Subject, key: str, penalty: float) -> dict[str, object]:
    """The model's side of a probe's result."""
    return {**subject.describe((key,), None), "encoder": key, "penalty": penalty}


def learnt_from(*taken: Taken) -> dict[str, object]:
    """What a probe has seen, for its protocol."""
    return {
        each.encoded.split: [each.encoded.dataset.revision, hash_texts(each.ids)] for each in taken
    }


def find_encoder(subject: Subject, wanted: str | None, name: str) -> str:
    """The encoder whose features are probed. Raises SpecError unless the fusion reads it."""
    inputs = subject.model.inputs
    if wanted is None:
        return next((key for key in inputs if subject.modality(key) != "text"), inputs[0])
    if wanted not in inputs:
        raise faults.no_such_input(name, wanted, inputs)
    return wanted


def check_probe(subject: Subject, dataset: Dataset, key: str, name: str) -> None:
    """Raise DataError where the dataset has no labels or not what the encoder reads."""
    if not dataset.labels:
        raise faults.no_labels(name)
    if subject.modality(key) not in dataset.modalities:
        raise faults.lacks_modality(name, subject.modality(key), dataset.modalities)


def without_details(result: EvaluationResult) -> EvaluationResult:
    """The result without what only a single one of many should keep."""
    return replace(
        result,
        rankings=None,
        label_metrics={},
        thumbnails={},
        confusions=None,
        reliability=None,
        scores=None,
    )


def mean_and_interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Mean, and the ends of its 95 % interval by Student's t; None for fewer than two values."""
    from scipy.special import stdtrit

    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return mean, None, None
    half = float(stdtrit(count - 1, 0.975)) * float(np.std(values, ddof=1)) / count**0.5
    return mean, mean - half, mean + half
