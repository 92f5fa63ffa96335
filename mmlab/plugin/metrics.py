"""The contract of metrics: numbers from the scores of labels, chosen in an evaluation's `metrics`.

Plugins import these names from `mmlab.plugin`. Nothing here imports torch or NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from mmlab.metric import Metric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class ScoredSamples:
    """What an evaluation knows of its n samples, as read-only arrays: scores, truths, presence.

    `scores` and `probabilities` (n, C) are float32, higher is better; a row of probabilities sums
    to 1 unless `is_multi_label`, where each is a label's own. `truths` are the ids of every
    sample's true labels: one, or any number where `is_multi_label`. `labels` are the C names.
    `present[key]` (n,) bool says which samples have the input of an encoder. Samples whose labels
    are unknown are not among them.
    """

    scores: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    truths: Sequence[tuple[int, ...]]
    labels: tuple[str, ...]
    present: Mapping[str, npt.NDArray[np.bool_]]
    is_multi_label: bool


class LabelMetric(Protocol):
    """Scored samples -> `{name: value}`. Factory: `(*, options)`; it has no state and no torch.

    The class declares in `metrics` what it may give: names, directions, units. A value is finite,
    or None where the samples leave it undefined. One with `mean_of` has intervals and comparisons
    over the samples' stored rows; another may give the ends of an interval as metrics of their own
    that are declared with `low_of` and `high_of`. Neither the order of samples nor what is drawn at
    random may change a value.
    """

    metrics: ClassVar[tuple[Metric, ...]]

    def __call__(self, samples: ScoredSamples, /) -> Mapping[str, float | None]:
        """The values by name, each of them declared."""
