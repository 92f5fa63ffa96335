"""The metric check passes sound metrics and names the defect of each unsound one."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
from pydantic import Field

from mmlab.plugin import SHARE, Metric, ScoredSamples
from mmlab.testing import ContractError, check_metric


class Sound:
    """The share of samples whose first label is true."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("hit", "higher", SHARE, mean_of="outcome"),)

    def __init__(self, *, scale: Annotated[float, Field(description="of it")] = 1.0) -> None:
        self.scale = scale

    def hits(self, samples: ScoredSamples) -> list[bool]:
        pairs = zip(samples.scores.argmax(1), samples.truths, strict=True)
        return [int(first) in truths for first, truths in pairs if truths]

    def __call__(self, samples: ScoredSamples) -> dict[str, float | None]:
        hits = self.hits(samples)
        return {"hit": self.scale * float(np.mean(hits)) if hits else None}


class Plain(Sound):
    """Promises no mean, so that only what it gives is judged."""

    metrics = (Metric("hit", "higher", SHARE),)

    def value(self, samples: ScoredSamples) -> Any:  # Any: what a faulty metric gives
        return super().__call__(samples)["hit"]

    def __call__(self, samples: ScoredSamples) -> dict[str, float | None]:
        return {"hit": self.value(samples)}


class Writes(Plain):
    def value(self, samples: ScoredSamples) -> Any:
        samples.scores[0] = 0
        return 0.5


class NotDefined(Plain):
    def value(self, samples: ScoredSamples) -> Any:
        with np.errstate(all="ignore"):
            return float(np.float64(sum(self.hits(samples))) / len(self.hits(samples)))


class Renamed(Plain):
    def __call__(self, samples: ScoredSamples) -> dict[str, float | None]:
        return {"hits": 1.0}


class Percent(Plain):
    def value(self, samples: ScoredSamples) -> Any:
        return 100 * float(np.mean(self.hits(samples) or [0]))


class Misses(Plain):
    def value(self, samples: ScoredSamples) -> Any:
        return 1 - float(np.mean(self.hits(samples) or [0]))


class First(Plain):
    def value(self, samples: ScoredSamples) -> Any:
        return float(int(samples.scores[0].argmax()) in samples.truths[0])


class Counting(Plain):
    calls = 0

    def value(self, samples: ScoredSamples) -> Any:
        self.calls += 1
        return 1 / self.calls


class Drawing(Plain):
    def value(self, samples: ScoredSamples) -> Any:
        return float(np.random.random())


class Narrow(Plain):
    def value(self, samples: ScoredSamples) -> Any:
        return np.float32(0.5)


class Empty(Plain):
    def __call__(self, samples: ScoredSamples) -> dict[str, float | None]:
        return {}


class SecondOfTies(Sound):
    """Takes the last of equal scores for the first label."""

    def hits(self, samples: ScoredSamples) -> list[bool]:
        last = samples.scores.shape[1] - 1 - samples.scores[:, ::-1].argmax(1)
        pairs = zip(last, samples.truths, strict=True)
        return [int(first) in truths for first, truths in pairs if truths]


class SingleLabelOnly(Sound):
    def hits(self, samples: ScoredSamples) -> list[bool]:
        pairs = zip(samples.scores.argmax(1), samples.truths, strict=True)
        return [int(first) == truths[0] for first, truths in pairs]


class Bare(Sound):
    def __init__(self, *, scale: float = 1.0) -> None:
        super().__init__(scale=scale)


def test_a_sound_metric_passes() -> None:
    check_metric(Sound)
    check_metric(Plain, scale=0.5)


def test_what_a_metric_does_not_take_may_be_declared() -> None:
    check_metric(SingleLabelOnly, takes_multi_label=False)
    check_metric(SecondOfTies, takes_ties=False)


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        (Writes, "must not change what it is given"),
        (NotDefined, "must be finite; where undefined it is None"),
        (Renamed, r"must declare \['hits'\]"),
        (Percent, r"declared a share, in \[0, 1\]"),
        (Misses, 'declared better = "higher", but is'),
        (First, "the order of samples must change no value"),
        (Counting, "must have no state"),
        (Drawing, "randomness must come from torch's ambient generator"),
        (Narrow, "must be a Python number or None, not float32"),
        (Empty, "at least one value"),
        (SecondOfTies, "ties go by label id"),
        (Bare, "need a description"),
    ],
)
def test_each_fault_is_named(factory: type[Sound], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        check_metric(factory)


def test_a_value_that_is_not_the_mean_it_promises_is_a_fault() -> None:
    with pytest.raises(ContractError, match='declared mean_of = "outcome"'):
        check_metric(Sound, scale=0.5)


def test_a_metric_that_knows_one_label_a_sample_alone_is_found() -> None:
    with pytest.raises(ContractError, match="it fails on samples that evaluations have"):
        check_metric(SingleLabelOnly)
