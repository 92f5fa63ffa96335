"""Regression: how far the head's numbers are from the targets, in the targets' own units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from mmlab.data.samples import groups_of, target_names
from mmlab.errors import DataError, explain
from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.evaluator import ProtocolQuestion, make_protocol, needs_prediction, nothing_left
from mmlab.evaluate.label_results import have_any_input, predict
from mmlab.evaluate.subject import EvaluatedModel, check_numbers
from mmlab.metric import Metric
from mmlab.plugin import Dataset
from mmlab.records import EvaluationResult, SampleResults, SampleTargets

Doubles = npt.NDArray[np.float64]
#: Samples' outcomes are minus their squared errors.
METRICS = (
    Metric("r2", "higher"),
    Metric("mse", "lower", mean_of="-outcome", has_gain=True),
    Metric("mae", "lower"),
)
_NAMES = tuple(metric.name for metric in METRICS)
#: The same of one of several targets.
TARGET_METRICS = tuple(
    Metric(f"{{target}}/{metric.name}", metric.better, metric.unit) for metric in METRICS
)


class Regression:
    """mse, mae and r2 over all targets, and of each target where there are several ("age/mse").

    mse and mae are means over the samples whose target is known, in the target's unit (squared for
    mse). r2 = 1 - squared error / squared distance from the mean of these samples' truths: 1 is
    perfect, 0 is as good as always saying that mean, and there is no lower bound; undefined where
    the truths do not vary. Over all targets each is the mean over targets, whatever their numbers
    of samples: r2 has no unit and compares across targets, mse and mae compare between runs only.
    A sample's outcome is minus its squared error, the mean over its known targets.

    Left out are samples without a known target and samples that lack every input; a sample that
    lacks some inputs is predicted as the fusion defines it.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"prediction", "targets"})
    metrics: ClassVar[tuple[Metric, ...]] = (*METRICS, *TARGET_METRICS)
    label_metrics: ClassVar[tuple[Metric, ...]] = ()

    def check(self, subject: EvaluatedModel, dataset: Dataset, name: str) -> None:
        """Raise SpecError without a head, DataError without targets."""
        if subject.model.head is None:
            raise needs_prediction(name)
        if not target_names(dataset):
            raise no_targets(name)

    @torch.no_grad()
    def __call__(
        self, subject: EvaluatedModel, encoded: Encoded, name: str
    ) -> list[EvaluationResult]:
        """One result. Raises also where the head's outputs are not as many as the targets."""
        self.check(subject, encoded.dataset, name)
        names = target_names(encoded.dataset)
        indexes = _known(encoded, have_any_input(subject, encoded).tolist())
        if not indexes:
            raise nothing_left(name, len(encoded.ids), "a known target and any input")
        predictions = predict(subject, encoded, indexes)
        if predictions.shape[1] != len(names):
            raise wrong_target_count(name, predictions.shape[1], len(names))
        check_numbers(predictions, name)
        truths = np.array([encoded.targets[index] for index in indexes])
        predicted = predictions.double().cpu().numpy()
        errors = predicted - truths  # (n, T), NaN where unknown
        ids = [encoded.ids[index] for index in indexes]
        question = ProtocolQuestion("regression", self.version, {"targets": list(names)})
        return [
            EvaluationResult(
                name=name,
                evaluator="regression",
                condition="",
                split=encoded.split,
                dataset_revision=encoded.dataset.revision,
                protocol=make_protocol(question, encoded, ids),
                subject=subject.describe(subject.model.inputs, None),
                metrics=measure(errors, truths, names),
                skipped=len(encoded.ids) - len(ids),
                samples=_sample_results(ids, errors, groups_of(encoded.dataset, indexes)),
                targets=SampleTargets(names, truths, predicted),
            )
        ]


def _known(encoded: Encoded, has_input: Sequence[bool]) -> list[int]:
    """Positions of the samples with any known target and any input."""
    pairs = zip(encoded.targets, has_input, strict=True)
    return [
        index
        for index, (targets, has) in enumerate(pairs)
        if has and not all(map(math.isnan, targets))
    ]


def measure(errors: Doubles, truths: Doubles, names: Sequence[str]) -> dict[str, float | None]:
    """Metrics over all targets and of each; errors and truths (n, T), NaN where unknown."""
    columns = zip(errors.T, truths.T, strict=True)
    each = [_measure_target(e[~np.isnan(t)], t[~np.isnan(t)]) for e, t in columns]
    metrics = {key: _mean([one[key] for one in each]) for key in _NAMES}
    if len(names) > 1:
        for name, one in zip(names, each, strict=True):
            metrics |= {f"{name}/{key}": value for key, value in one.items()}
    return metrics


def _measure_target(errors: Doubles, truths: Doubles) -> dict[str, float | None]:
    if not len(errors):
        return dict.fromkeys(_NAMES)
    varies = truths.min() < truths.max()
    spread = float(np.square(truths - truths.mean()).sum())
    return {
        "r2": 1 - float(np.square(errors).sum()) / spread if varies else None,
        "mse": float(np.square(errors).mean()),
        "mae": float(np.abs(errors).mean()),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of what is defined, None where nothing is."""
    found = [value for value in values if value is not None]
    return math.fsum(found) / len(found) if found else None


def _sample_results(
    ids: Sequence[str], errors: Doubles, clusters: Sequence[str | None] | None
) -> SampleResults:
    count = len(ids)
    unknown = np.full(count, np.nan, dtype=np.float32)
    return SampleResults(
        ids=ids,
        truths=[()] * count,
        rank=np.zeros(count, dtype=np.int32),
        probability=unknown,
        top_label=np.full(count, -1, dtype=np.int32),
        top_probability=unknown,
        has_tie=np.zeros(count, dtype=np.bool_),
        outcome=-np.nanmean(np.square(errors), axis=1).astype(np.float32),
        clusters=clusters,
    )


def no_targets(name: str) -> DataError:
    """The dataset names no targets to predict."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "the dataset has no targets to compare with",
            found="0 targets",
            allowed="a dataset with targets",
            next_step="name its targets in [dataset], or use classification",
        )
    )


def wrong_target_count(name: str, outputs: int, targets: int) -> DataError:
    """The head predicts other targets than the dataset's."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "the head and the dataset have different numbers of targets",
            found=f"{outputs} outputs, {targets} targets",
            allowed="a dataset with the targets the head was trained on",
            next_step="choose another dataset for this evaluation",
        )
    )
