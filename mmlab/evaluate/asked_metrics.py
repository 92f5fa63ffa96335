"""Metrics that an evaluation asks for by name, of plugins: called, checked, put beside its own."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from mmlab.errors import DataError, PluginError, SpecError, explain
from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.rank_labels import BLOCK_LABELS, KEPT_ELEMENTS
from mmlab.evaluate.ranked import RankedLabels, TrueLabels, probabilities
from mmlab.metric import Metric, find
from mmlab.plan.component import Part
from mmlab.plugin import Calibration, Dataset, LabelMetric, ScoredSamples

S = TypeVar("S", bound=np.generic)


def check_asked(asked: Sequence[Part], own: Sequence[Metric], dataset: Dataset, name: str) -> None:
    """Raise SpecError for two metrics of one name, DataError for more scores than are kept."""
    taken = {one.name: "the evaluation's own" for one in own}
    for part in asked:
        for one in part.found.metrics:
            if taken.setdefault(one.name, _origin(part)) != _origin(part):
                raise _same_name(name, one.name, (taken[one.name], _origin(part)))
    labels = len(dataset.labels)
    if labels > BLOCK_LABELS or len(dataset) * labels > KEPT_ELEMENTS:
        raise _too_many_scores(name, len(dataset), labels)


def measure_asked(
    asked: Sequence[Part], samples: ScoredSamples, own: Collection[str], name: str
) -> dict[str, float | None]:
    """The values of every metric asked for; `own` are the names that the evaluation's have.

    Raises PluginError for a value that is not declared or no finite number, and SpecError where
    two metrics give the same one.
    """
    found: dict[str, float | None] = {}
    for part in asked:
        metric: LabelMetric = part.make()
        for key, value in metric(samples).items():
            declared = find(part.found.metrics, key)
            if declared is None or not _is_value(value):
                raise _breach(part, name, key, value, is_declared=declared is not None)
            if key in found or key in own:
                raise _same_name(name, key, ("one asked before", _origin(part)))
            found[key] = None if value is None else float(value)
    return found


def scored_samples(
    encoded: Encoded,
    indexes: Sequence[int],
    truths: TrueLabels,
    ranked: RankedLabels,
    calibration: Calibration,
) -> ScoredSamples:
    """What metrics are given of the ranked labels of some samples; nothing of it can be changed."""
    assert ranked.scores is not None, "too many scores are refused before anything is ranked"
    scores = np.ascontiguousarray(ranked.scores.T)  # (n, C)
    chosen = torch.tensor(indexes)
    return ScoredSamples(
        scores=_frozen(scores),
        probabilities=_frozen(_probabilities(scores, calibration)),
        truths=tuple(truths),
        labels=tuple(encoded.dataset.labels),
        present={key: _frozen(encoded.present(key)[chosen].numpy()) for key in encoded.features},
        is_multi_label=encoded.dataset.is_multi_label,
    )


def _probabilities(
    scores: npt.NDArray[np.float32], calibration: Calibration
) -> npt.NDArray[np.float32]:
    every = torch.arange(scores.shape[1]).expand(scores.shape)
    values: npt.NDArray[np.float32] = probabilities(
        torch.tensor(scores), every, calibration
    ).numpy()
    return values


def _frozen(values: npt.NDArray[S]) -> npt.NDArray[S]:
    values.flags.writeable = False
    return values


def _is_value(value: object) -> bool:
    """A finite number, or None. NumPy's float64 is a float; its float32 counts too."""
    if value is None:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return math.isfinite(float(value))


def _origin(part: Part) -> str:
    return f"metric {part.found.entry.name!r} of {part.found.entry.distribution}"


def _breach(part: Part, name: str, key: str, value: object, *, is_declared: bool) -> PluginError:
    known = ", ".join(one.name for one in part.found.metrics) or "nothing"
    fault = "gives a value that is no finite number" if is_declared else "gives an undeclared value"
    return PluginError(
        explain(
            f"evaluate.{name}.metrics: {_origin(part)}",
            fault,
            found=f"{key} = {value!r:.80}",
            allowed="finite numbers, or None where undefined" if is_declared else known,
            next_step="tell the plugin's author; `mmlab.testing.check_metric` checks this",
        )
    )


def _same_name(name: str, metric: str, origins: tuple[str, str]) -> SpecError:
    return SpecError(
        explain(
            f"evaluate.{name}.metrics",
            f"two metrics are called {metric!r}",
            found=" and ".join(origins),
            allowed="metrics with names of their own",
            next_step="leave one of them out, or ask for it in another [[evaluate]]",
        )
    )


def _too_many_scores(name: str, samples: int, labels: int) -> DataError:
    return DataError(
        explain(
            f"evaluate.{name}.metrics",
            "metrics of plugins read all scores at once, and these are too many",
            found=f"{samples:,} samples of {labels:,} labels",
            allowed=f"at most {KEPT_ELEMENTS:,} scores of at most {BLOCK_LABELS:,} labels",
            next_step="leave out metrics, or ask of a smaller dataset",
        )
    )
