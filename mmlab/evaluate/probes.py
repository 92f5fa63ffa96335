"""Linear probes on frozen features: logistic regression, AdamW, the search for a penalty.

What `linear_probe` and `few_shot` share.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from mmlab.data.tables import take_rows
from mmlab.errors import SpecError, explain
from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.evaluator import Learnt, hash_texts, lacks_modality, no_labels, nothing_left
from mmlab.evaluate.label_results import Labelling, make_result
from mmlab.evaluate.logistic import fit_logistic
from mmlab.evaluate.metrics import mean_over_defined, measure_labels
from mmlab.evaluate.rank_labels import rank_labels
from mmlab.evaluate.ranked import LabelScores, TrueLabels
from mmlab.evaluate.subject import EvaluatedModel, check_features, is_finite
from mmlab.plugin import Calibration, Dataset, EncoderKey, Split
from mmlab.records import EvaluationResult

Method = Literal["lbfgs", "adamw"]

#: AdamW's settings in CLIP_benchmark.
EPOCHS, LEARNING_RATE, BATCH_SIZE = 10, 0.1, 64

#: Penalties from which the search chooses, and where it begins.
GRID_SIZE, COARSE_STEP = 97, 16
_DECADES: dict[Method, tuple[int, int]] = {"lbfgs": (-6, 6), "adamw": (-6, 2)}


@dataclass(frozen=True)
class Examples:
    """Features (n, D), float32, and targets: (n,) int64, or (n, C) float for several labels."""

    x: Tensor
    target: Tensor

    def join(self, other: Examples) -> Examples:
        """These and others."""
        return Examples(torch.cat([self.x, other.x]), torch.cat([self.target, other.target]))

    def take(self, index: Sequence[int]) -> Examples:
        """Some of them."""
        chosen = torch.tensor(index, device=self.x.device)
        return Examples(self.x[chosen], self.target[chosen])


@dataclass(frozen=True)
class Probe:
    """A fitted linear classifier: weight (C, D), bias (C,), float32."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Scores (n, C) of features (n, D)."""
        return x @ self.weight.T + self.bias


def grid(method: Method) -> npt.NDArray[np.float64]:
    """The penalties a search chooses from: 97 at equal distances in the logarithm.

    >>> float(grid("lbfgs")[0]), float(grid("lbfgs")[48]), float(grid("adamw")[-1])
    (1e-06, 1.0, 100.0)
    """
    return np.logspace(*_DECADES[method], num=GRID_SIZE)


def fit(
    method: Method, examples: Examples, label_count: int, penalty: float, seed: int = 0
) -> Probe:
    """A linear classifier of these examples.

    "lbfgs" minimises the sum of losses over examples plus penalty / 2 * |weight|^2 to the end,
    which scikit-learn calls C = 1 / penalty; the bias is not penalised. Of two labels, one to a
    sample, the weight is the difference of theirs, as there. The end is within 1e-10 of the minimum
    as a share of it; a warning tells of a fit that is too far from it after 2000 Newton products.
    Without a penalty, and of more than 2^27 numbers, it is where no slope of the mean loss is
    steeper than 1e-5.

    "adamw" does as CLIP_benchmark: 10 epochs of batches of 64, learning rate 0.1 falling by a
    cosine, `penalty` as weight decay; `seed` makes the first weights and the order of examples. The
    loss is the cross-entropy, or for several labels the sum of their binary ones.
    """
    if method == "lbfgs":
        weight, bias = fit_logistic(examples.x, examples.target, label_count, penalty)
        return Probe(weight.float(), bias.float())
    return _fit_adamw(examples, label_count, penalty, seed)


def search(evaluate: Callable[[int], float], size: int = GRID_SIZE, step: int = COARSE_STEP) -> int:
    """The place of about the best of `size` values: coarse first, then halving steps around it.

    `evaluate` is called once for a place; of equal ones the lowest place counts. Source: Radford et
    al., arXiv:2103.00020, appendix A.3.
    """
    known: dict[int, float] = {}

    def best_of(places: Sequence[int]) -> int:
        for place in places:
            if place not in known:
                known[place] = evaluate(place)
        return max(places, key=lambda place: (known[place], -place))

    best = best_of(range(0, size, step))
    while step > 1:
        step //= 2
        best = best_of([max(best - step, 0), best, min(best + step, size - 1)])
    return best


@torch.enable_grad()
def _fit_adamw(examples: Examples, label_count: int, penalty: float, seed: int) -> Probe:
    generator = torch.Generator().manual_seed(seed)
    count, width = examples.x.shape
    limit = 1 / math.sqrt(width)  # as torch.nn.Linear begins
    shapes = ((label_count, width), (label_count,))
    parameters = [
        (torch.rand(shape, generator=generator) * 2 * limit - limit)
        .to(examples.x.device)
        .requires_grad_()
        for shape in shapes
    ]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=penalty)
    steps = EPOCHS * math.ceil(count / BATCH_SIZE)
    for step, rows in enumerate(_batches(count, generator)):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / steps)) / 2
        batch = examples.take(rows)
        logits = batch.x @ parameters[0].T + parameters[1]
        optimizer.zero_grad()
        _loss(logits, batch.target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return Probe(*(parameter.detach() for parameter in parameters))


def _batches(count: int, generator: torch.Generator) -> list[list[int]]:
    epochs = [torch.randperm(count, generator=generator).tolist() for _ in range(EPOCHS)]
    return [
        order[start : start + BATCH_SIZE]
        for order in epochs
        for start in range(0, count, BATCH_SIZE)
    ]


def _loss(logits: Tensor, target: Tensor) -> Tensor:
    if target.ndim == 2:
        return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))
    return F.cross_entropy(logits, target)


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
    def truths(self) -> TrueLabels:
        """Their labels."""
        return self.encoded.known_truths(self.indexes)


def take_examples(encoded: Encoded, key: str, method: Method, name: str) -> Taken:
    """Examples of the labelled samples of a split that have this input.

    Raises DataError where there are none, RunError where a feature is NaN or infinite.
    """
    indexes = encoded.labelled(encoded.present(key))
    if not indexes:
        raise nothing_left(name, len(encoded.ids), f"a known label and {key}")
    pooled = replace(encoded.features[key], tokens=None, mask=None)
    features = take_rows(pooled, torch.tensor(indexes))
    check_features(features, key)
    x = features.pooled
    if method == "adamw":
        x = F.normalize(x, dim=1)
    target = _target(encoded, indexes).to(x.device)
    return Taken(encoded, indexes, Examples(x, target))


def _target(encoded: Encoded, indexes: Sequence[int]) -> Tensor:
    truths = encoded.known_truths(indexes)
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
    if not is_finite(scores):
        return -math.inf
    if not taken.encoded.dataset.is_multi_label:
        return float((scores.argmax(1) == taken.examples.target).double().mean())
    labels = scores.shape[1]
    asked = LabelScores(lambda rows: scores[rows], labels, labels, Calibration(1.0, kind="sigmoid"))
    measures = measure_labels(rank_labels(asked, taken.truths, 1, "validation"), labels)
    return mean_over_defined(measures["average_precision"]) or 0.0


def probe_result(labelling: Labelling, probe: Probe, taken: Taken, k: int) -> EvaluationResult:
    """What a probe makes of the samples of a split."""
    dataset = taken.encoded.dataset
    kind: Calibration = Calibration(1.0, kind="sigmoid" if dataset.is_multi_label else "softmax")
    scores = probe(taken.examples.x)
    asked = LabelScores(lambda rows: scores[rows], scores.shape[1], scores.shape[1], kind)
    ranked = rank_labels(asked, taken.truths, k, labelling.name)
    return make_result(labelling, taken.truths, ranked)


def describe_probe(subject: EvaluatedModel, key: str, penalty: float) -> dict[str, object]:
    """The model's side of a probe's result."""
    return {**subject.describe((key,), None), "encoder": key, "penalty": penalty}


def learnt_from(*taken: Taken) -> dict[str, object]:
    """What a probe has seen, for its protocol."""
    return {
        each.encoded.split: [each.encoded.dataset.revision, hash_texts(each.ids)] for each in taken
    }


def find_encoder(subject: EvaluatedModel, wanted: str | None, name: str) -> str:
    """The encoder whose features are probed. Raises SpecError unless the fusion reads it."""
    inputs = subject.model.inputs
    if wanted is None:
        return next((key for key in inputs if subject.modality(key) != "text"), inputs[0])
    if wanted not in inputs:
        raise no_such_input(name, wanted, inputs)
    return wanted


def check_probe(subject: EvaluatedModel, dataset: Dataset, key: str, name: str) -> None:
    """Raise DataError where the dataset has no labels or not what the encoder reads."""
    if not dataset.labels:
        raise no_labels(name)
    if subject.modality(key) not in dataset.modalities:
        raise lacks_modality(name, subject.modality(key), dataset.modalities)


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


def no_such_input(name: str, found: str, inputs: Sequence[str]) -> SpecError:
    """An option names no input of the fusion."""
    return SpecError(
        explain(
            f"evaluate.{name}.encoder",
            "the fusion has no such input",
            found=repr(found),
            allowed=", ".join(inputs),
            next_step="name one of them, or leave the option out",
        )
    )
