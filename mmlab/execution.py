"""Executing a claimed cell: build, train, evaluate. What is kept of it is the record's business.

In a group of processes every one executes the cell, in step with the others; the main process
records it, the others keep nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mmlab.adapters import merge_state, split_state
from mmlab.build import Experiment, Source, build
from mmlab.feature_cache import FeatureCache
from mmlab.features import Keeper
from mmlab.fitting import Summary, start_training
from mmlab.group import Group
from mmlab.memory import making
from mmlab.parallel import spread_state, whole_state
from mmlab.plan import Plan
from mmlab.provenance import describe_weights
from mmlab.records import EvaluationResult
from mmlab.scoring import Scorer
from mmlab.splits import Splits
from mmlab.train import Progress, determinism, resolve_precision, train


class Record(Protocol):
    """What becomes of what an execution says."""

    def see(self, progress: Progress) -> None:
        """Training emitted values."""

    def keep(self, role: str, state: Mapping[str, Tensor]) -> None:
        """These are the "best" weights so far, or the "final" ones."""

    def best(self) -> Mapping[str, Tensor] | None:
        """The best weights that were kept, if this process keeps any."""

    def finish(
        self,
        results: Sequence[EvaluationResult],
        numbers: Mapping[str, object],
        best_step: int | None,
    ) -> None:
        """All that is final."""


class Unrecorded:
    """The record of a process that writes nothing."""

    def see(self, progress: Progress) -> None:
        """Nothing."""

    def keep(self, role: str, state: Mapping[str, Tensor]) -> None:
        """Nothing."""

    def best(self) -> Mapping[str, Tensor] | None:
        """None: the main process has them."""

    def finish(
        self,
        results: Sequence[EvaluationResult],
        numbers: Mapping[str, object],
        best_step: int | None,
    ) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Executor:
    """Executes cells on one device; `note` takes what is worth a line.

    `cache` keeps features of frozen encoders and inputs of others, if any are to be kept.
    """

    splits: Splits
    device: torch.device
    group: Group
    note: Callable[[str], None]
    cache: FeatureCache | None = None

    def execute(
        self, plan: Plan, sources: Mapping[str, Source], wanted: Iterable[str], record: Record
    ) -> None:
        """Build, train, evaluate what is wanted, and tell the record."""
        table = plan.cell.spec.train
        summary = Summary(self.device, table)
        if plan.match is not None:
            self.note(str(plan.match))
        with determinism(table is not None and table.deterministic):
            with making(str(plan.cell.source.path), "the modules of this spec"):
                experiment = build(plan, self.splits, sources)
                experiment.step.to(self.device)
            origins = self._tell_weights(experiment, sources)
            scorer = self.scorer(experiment, trains=table is not None)
            scorer.check(wanted)
            if table is not None:
                self._fit(experiment, scorer, record, summary)
            results = list(scorer.evaluate(wanted))
        kept = scorer.keeper.keys if scorer.keeper else []
        numbers = {**summary.as_dict(experiment), **scorer.cost(), "weights": origins}
        numbers["kept_features"] = kept
        record.finish(results, numbers, summary.best_step)

    def scorer(self, experiment: Experiment, *, trains: bool = False) -> Scorer:
        """What scores an experiment, with what is kept of its data, about to be trained or not.

        Several processes keep none: each would have to know what the others have.
        """
        keeper, precision = None, self.precision(experiment.plan)
        if self.cache is not None and self.group.size == 1:
            parts = (experiment, self.splits, self.device, precision)
            keeper = Keeper(self.cache, *parts, trains=trains)
        return Scorer(experiment, self.splits, self.device, precision, keeper)

    def precision(self, plan: Plan) -> str:
        """The precision of a cell on this device."""
        table = plan.cell.spec.train
        return resolve_precision(table.precision if table else "auto", self.device)

    def _tell_weights(
        self, experiment: Experiment, sources: Mapping[str, Source]
    ) -> dict[str, str]:
        """Where each encoder's first weights come from; says it where they could but do not."""
        origins = describe_weights(experiment, sources)
        for key, origin in origins.items():
            if key not in sources and origin != "random" and "random" in origin:
                self.note(f"encoders.{key}: {origin}")
        return origins

    def _fit(
        self, experiment: Experiment, scorer: Scorer, record: Record, summary: Summary
    ) -> None:
        """Train, keep the best and the final weights, and leave the best in the model."""
        step = experiment.step
        trainer, batches = start_training(
            experiment, self.splits, self.device, self.group, scorer.keeper
        )
        with closing(train(trainer, batches, scorer.validate)) as progresses:
            for progress in progresses:
                record.see(progress)
                summary.see(progress)
                if progress.is_best:
                    record.keep("best", merge_state(step, whole_state(step)))
        final = merge_state(step, whole_state(step))
        record.keep("final", final)
        if summary.has_best:
            best = split_state(step, record.best() or final)
            step.load_state_dict(spread_state(step, best, self.group))
        else:  # without any validation the final weights are the best
            record.keep("best", final)
