"""Metrics of somebody else: one that holds, and some that break their contract or a name."""

from __future__ import annotations

from typing import ClassVar

from mmlab.plugin import Metric, ScoredSamples, hookimpl


@hookimpl
def mmlab_metrics() -> dict[str, str]:
    names = {"spread": "Spread", "undeclared_value": "Undeclared", "nan": "NaN", "top_again": "Top"}
    return {name: f"support.odd_metrics:{found}" for name, found in names.items()}


class Spread:
    """The largest distance of two scores: no value of it is better."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("spread"),)

    def __call__(self, samples: ScoredSamples) -> dict[str, float | None]:
        return {"spread": float(samples.scores.max() - samples.scores.min())}


class Undeclared:
    """Gives what it does not declare."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("spread"),)

    def __call__(self, samples: ScoredSamples) -> dict[str, float | None]:
        return {"width": 1.0}


class NaN:
    """Gives no number."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("ratio"),)

    def __call__(self, samples: ScoredSamples) -> dict[str, float | None]:
        return {"ratio": float("nan")}


class Top:
    """Has the name of a metric of the evaluation itself."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("top1", "lower"),)

    def __call__(self, samples: ScoredSamples) -> dict[str, float | None]:
        return {"top1": 1.0}
