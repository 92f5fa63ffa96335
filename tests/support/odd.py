"""An evaluator and a loss of somebody else, with metrics whose names say the wrong thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from mmlab.evaluate import Encoded, EvaluatedModel
from mmlab.evaluate.evaluators.classification import Classification
from mmlab.plan.registry import BUILTINS
from mmlab.plugin import Batch, Dataset, Encode, Metric, Outputs, hookimpl
from mmlab.records import EvaluationResult

#: "score" counts misses, and "x/error" counts hits.
METRICS = (
    Metric("score", "lower", "share", mean_of="-outcome", has_gain=True),
    Metric("x/error", "higher"),
)
#: mmlab's own components and this evaluator, as a plugin would offer it.
WITH_ODD: Mapping[str, Mapping[str, str]] = {
    **BUILTINS,
    "evaluator": {
        **BUILTINS["evaluator"],
        "odd": "support.odd:Odd",
        "undeclared": "support.odd:Undeclared",
        "old_fashioned": "support.odd:OldFashioned",
    },
}


@hookimpl
def mmlab_losses() -> dict[str, str]:
    return {"odd": "support.odd:OddLoss", "climbing": "support.odd:Climbing"}


class Odd:
    """Classification by other names: outcomes are 0 for a hit and -1 for a miss."""

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"prediction"})
    metrics: ClassVar[tuple[Metric, ...]] = METRICS

    def check(self, subject: EvaluatedModel, dataset: Dataset, name: str) -> None:
        Classification(cards=0).check(subject, dataset, name)

    @torch.no_grad()
    def __call__(
        self, subject: EvaluatedModel, encoded: Encoded, name: str
    ) -> list[EvaluationResult]:
        (result,) = Classification(cards=0)(subject, encoded, name)
        hits, samples = result.metrics["top1"], result.samples
        assert samples is not None
        assert hits is not None
        given = {
            "evaluator": "odd",
            "metrics": {"score": 1 - hits, "x/error": hits, "extra": 2 * hits},
            "samples": replace(samples, outcome=samples.outcome - 1),
            "label_metrics": {},
        }
        return [replace(result, protocol={**result.protocol, "evaluator": "odd"}, **given)]


class Undeclared(Odd):
    """The same, but nobody knows what its numbers are."""

    metrics: ClassVar[tuple[Metric, ...]] = ()


class OldFashioned(Odd):
    """The same with names alone."""

    metrics = frozenset({"score"})  # type: ignore[assignment]


class OddLoss(nn.Module):
    """Squares of predictions, also as "rank" (higher is better), "depth" and what is not declared.

    "depth" is declared, and no value of it is better.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"prediction"})
    metrics: ClassVar[tuple[Metric, ...]] = (Metric("rank", "higher"), Metric("depth"))
    views = 0

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        assert outputs.prediction is not None, "declared in `reads`"
        loss = outputs.prediction.float().square().mean()
        return {"loss": loss, "rank": loss + 1, "depth": loss, "perplexity": loss}


class Climbing(OddLoss):
    """A loss that says it is better high."""

    metrics: ClassVar[tuple[Metric, ...]] = (Metric("loss", "higher"),)
