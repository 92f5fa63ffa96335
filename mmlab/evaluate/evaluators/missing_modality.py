"""What is left of a prediction where modalities are missing or noisy."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, cast

import torch
from pydantic import Field
from torch import Tensor

from mmlab.errors import SpecError, explain
from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.evaluator import lacks_modality, nothing_left
from mmlab.evaluate.evaluators.classification import Classification
from mmlab.evaluate.evaluators.regression import Regression
from mmlab.evaluate.metrics import LABEL_METRICS
from mmlab.evaluate.subject import EvaluatedModel
from mmlab.metric import ROBUSTNESS, Metric, under
from mmlab.model.heads import Standardized
from mmlab.plugin import Dataset, Features
from mmlab.records import EvaluationResult

#: More inputs have too many subsets: each stores a row for every sample.
MOST_INPUTS = 6

#: The metrics that sum up a judge's result, the first one there is.
_MAIN = ("mAP", "top1", "r2")
#: What is said of them, in the order of a report's columns.
_SUMMARY = ("subset_area", "noise_area", "subset_worst", "noise_worst")
#: The metrics of both judges; the summary has the direction and unit of what it sums up.
_JUDGED = (*Classification.metrics, *Regression.metrics)
_SUMMARIES = tuple(
    Metric(f"{metric.name}/{key}", metric.better, metric.unit)
    for metric in _JUDGED
    if metric.name in _MAIN
    for key in _SUMMARY
)


@dataclass(frozen=True)
class Condition:
    """Which inputs are there, and how noisy one of them is, in deviations of its features."""

    present: tuple[str, ...]
    noise: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What stored results are called: "image+text", or "text noise 0.5" with all present."""
        noisy = ", ".join(f"{key} noise {level:g}" for key, level in self.noise.items())
        return noisy or "+".join(self.present)


class MissingModality:
    """One trained model under every subset of its inputs, and under noise in each of them.

    Every non-empty subset of the fusion's inputs is one condition, named "image", "image+text" and
    so on: the other inputs count as absent, and the fusion says what that means. With all inputs
    present, one at a time is made noisy: "text noise 0.5" adds to each feature of `text` Gaussian
    noise of 0.5 times that feature's standard deviation over the samples asked (tokens likewise,
    over all real tokens). The draws depend on `noise_seed`, input and level alone. Each condition
    is a result of its own, with the metrics of `classification`, or of `regression` where the head
    predicts targets, and with an outcome for each sample.

    All conditions ask the same samples: those whose truth is known and that have every input, so
    that nothing but the condition differs. Features are encoded once.

    A further result, whose condition is empty, sums up the main metric (top1, mAP for several
    labels, r2 for targets), named "top1/subset_area" and so on; higher is better:

    - subset_area: y(m) is the mean over the subsets of m of the M inputs; the area under y from 1
      to M by trapezoids, divided by M - 1, so that a model that needs one input has what it always
      has. y(1) where there is one input.
    - noise_area: per input the area under the metric over the noise level, from 0, which is no
      noise, to the largest, divided by the largest; the mean over inputs.
    - subset_worst, noise_worst: the lowest value of any subset, and of any noise condition.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"prediction"})
    metrics: ClassVar[tuple[Metric, ...]] = (
        *under("", _SUMMARIES, ROBUSTNESS),
        *under("{inputs}", _JUDGED, ROBUSTNESS),
    )
    label_metrics: ClassVar[tuple[Metric, ...]] = LABEL_METRICS

    def __init__(
        self,
        *,
        noise_levels: Annotated[
            Sequence[Annotated[float, Field(gt=0)]],
            Field(description="of the noise, in deviations of the features; [] for none"),
        ] = (0.5, 1.0, 2.0),
        noise_seed: Annotated[int, Field(ge=0, description="which noise is drawn")] = 0,
    ) -> None:
        self.noise_levels = tuple(sorted(set(noise_levels)))
        self.noise_seed = noise_seed

    def check(self, subject: EvaluatedModel, dataset: Dataset, name: str) -> None:
        """Raise SpecError or DataError for what the model or the dataset lacks."""
        inputs = subject.model.inputs
        if len(inputs) > MOST_INPUTS:
            raise too_many_inputs(name, len(inputs), MOST_INPUTS)
        for key in inputs:
            if subject.modality(key) not in dataset.modalities:
                raise lacks_modality(name, subject.modality(key), dataset.modalities)
        _judge(subject).check(subject, dataset, name)

    @torch.no_grad()
    def __call__(
        self, subject: EvaluatedModel, encoded: Encoded, name: str
    ) -> list[EvaluationResult]:
        """A result for each condition, and one that sums them up."""
        self.check(subject, encoded.dataset, name)
        complete = torch.stack([encoded.present(key) for key in subject.model.inputs]).all(0)
        if not complete.any():
            raise nothing_left(name, len(encoded.ids), "every input")
        results = {
            condition.name: self._result(subject, encoded, name, condition, complete)
            for condition in self.conditions(subject.model.inputs)
        }
        return [self._summary(subject.model.inputs, results), *results.values()]

    def conditions(self, inputs: Sequence[str]) -> Iterator[Condition]:
        """Subsets by size, in the order of the inputs; then the noise of each input."""
        for size in range(1, len(inputs) + 1):
            yield from map(Condition, itertools.combinations(inputs, size))
        for key in inputs:
            yield from (Condition(tuple(inputs), {key: level}) for level in self.noise_levels)

    def _result(
        self,
        subject: EvaluatedModel,
        encoded: Encoded,
        name: str,
        condition: Condition,
        complete: Tensor,
    ) -> EvaluationResult:
        features = {
            key: self._under(condition, key, encoded.features[key], complete)
            for key in subject.model.inputs
        }
        (result,) = _judge(subject)(subject, replace(encoded, features=features), name)
        options: dict[str, object] = {"present": list(condition.present)}
        if condition.noise:
            options |= {"noise": dict(condition.noise), "noise_seed": self.noise_seed}
        return self._named(result, condition.name, options)

    def _under(
        self, condition: Condition, key: str, features: Features, complete: Tensor
    ) -> Features:
        """An input's features under a condition; incomplete samples lack every input."""
        asked = complete.to(features.present.device)
        level = condition.noise.get(key)
        if level is not None:
            seed = f"{self.noise_seed} {key} {level!r}"
            features = add_noise(features, asked, level, seed)
        present = asked if key in condition.present else torch.zeros_like(asked)
        return replace(features, present=present)

    def _summary(
        self, inputs: Sequence[str], results: Mapping[str, EvaluationResult]
    ) -> EvaluationResult:
        metric = main_metric(next(iter(results.values())))
        values = {name: result.metrics[metric] for name, result in results.items()}
        found = self.sum_up(inputs, values)
        full = results[Condition(tuple(inputs)).name]
        options = {
            "inputs": list(inputs),
            "noise_levels": list(self.noise_levels),
            "noise_seed": self.noise_seed,
        }
        metrics = {f"{metric}/{key}": value for key, value in found.items()}
        named = self._named(full, "", options)
        return replace(named, metrics=metrics, samples=None, label_metrics={})

    def sum_up(
        self, inputs: Sequence[str], values: Mapping[str, float | None]
    ) -> dict[str, float | None]:
        """The summary of a metric's values by condition; None where one of them is undefined."""
        sizes: dict[int, list[float | None]] = {}
        noisy: dict[str, list[float | None]] = {}
        for condition in self.conditions(inputs):
            value = values[condition.name]
            if not condition.noise:
                sizes.setdefault(len(condition.present), []).append(value)
            for key in condition.noise:
                noisy.setdefault(key, [values["+".join(inputs)]]).append(value)
        subsets = [value for group in sizes.values() for value in group]
        means = [_mean(group) for group in sizes.values()]
        summary = {
            "subset_area": area(list(map(float, sizes)), means),
            "subset_worst": _least(subsets),
        }
        if noisy:
            levels = [0.0, *self.noise_levels]
            summary["noise_area"] = _mean([area(levels, curve) for curve in noisy.values()])
            summary["noise_worst"] = _least([v for curve in noisy.values() for v in curve[1:]])
        return summary

    def _named(
        self, result: EvaluationResult, condition: str, options: Mapping[str, object]
    ) -> EvaluationResult:
        """A judge's result as this evaluator's: numbers are kept, rankings and pictures are not."""
        asked = cast(Mapping[str, object], result.protocol["options"])
        protocol = {
            **result.protocol,
            "evaluator": "missing_modality",
            "version": [self.version, result.protocol["version"]],
            "options": {"judge": result.evaluator, **asked, **options},
            "condition": condition,
        }
        return replace(
            result,
            evaluator="missing_modality",
            condition=condition,
            protocol=protocol,
            rankings=None,
            targets=None,
            thumbnails={},
            test_set=None,
            main_metric=None,
            confusions=None,
            reliability=None,
            scores=None,
            artifacts=(),
        )


def _judge(subject: EvaluatedModel) -> Classification | Regression:
    """Who turns predictions into metrics."""
    is_regression = isinstance(subject.model.head, Standardized)
    return Regression() if is_regression else Classification(k=1, cards=0)


def main_metric(result: EvaluationResult) -> str:
    """The metric that sums up a judge's result."""
    return next(metric for metric in _MAIN if metric in result.metrics)


def add_noise(features: Features, asked: Tensor, level: float, seed: str) -> Features:
    """Features (n, ...) with Gaussian noise of `level` deviations; `asked` (n,) are measured.

    Each feature has its own deviation (n in the denominator), each of tokens over the samples' real
    tokens. Noise is drawn on the host, the same for every device.
    """
    generator = torch.Generator().manual_seed(_number(seed))

    def noisy(x: Tensor, measured: Tensor) -> Tensor:
        deviation = measured.std(0, correction=0)  # (D,)
        noise = torch.randn(x.shape, generator=generator).to(x.device, x.dtype)
        return x + level * deviation * noise

    tokens = features.tokens
    if tokens is not None:
        real = asked[:, None].expand(tokens.shape[:2])
        real = real if features.mask is None else real & features.mask
        tokens = noisy(tokens, tokens[real])
    return replace(features, pooled=noisy(features.pooled, features.pooled[asked]), tokens=tokens)


def _number(text: str) -> int:
    """A seed from a text, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def area(places: Sequence[float], values: Sequence[float | None]) -> float | None:
    """The area under straight lines between points, divided by their extent: a mean height.

    The value itself for one point; None where a value is undefined.

    >>> area([0, 1, 3], [1.0, 0.0, 1.0])
    0.5
    """
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    if len(known) == 1:
        return known[0]
    steps = zip(itertools.pairwise(places), itertools.pairwise(known), strict=True)
    total = math.fsum((b - a) * (left + right) / 2 for (a, b), (left, right) in steps)
    return total / (places[-1] - places[0])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None


def _least(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known) if len(known) == len(values) else None


def too_many_inputs(name: str, count: int, most: int) -> SpecError:
    """The inputs have more subsets than anyone would store."""
    return SpecError(
        explain(
            f"evaluate.{name}",
            "asks about every subset of the fusion's inputs, and there are too many",
            found=f"{count} inputs, {2**count - 1:,} subsets",
            allowed=f"at most {most} inputs",
            next_step="remove this evaluation, or name fewer in fusion.inputs",
        )
    )
