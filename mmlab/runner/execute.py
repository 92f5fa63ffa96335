"""Executing a claimed cell: build, train, evaluate. What is kept of it is the record's business.

In a group of processes every one executes the cell, in step with the others; the main process
records it, the others keep nothing.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from mmlab.data.kept_batches import kept_training_batches
from mmlab.data.loader import training_batches
from mmlab.data.order import Generators, Order, random_scope
from mmlab.data.reader import describe_cut_texts
from mmlab.data.splits import Splits
from mmlab.data.tables import CachedSplit
from mmlab.model.adapters import merge_state, split_state
from mmlab.model.build import BuiltCell, InitialWeights, build
from mmlab.model.device import determinism, resolve_precision
from mmlab.model.room import Room, free_bytes
from mmlab.model.weights import WeightsReader, require_tensors
from mmlab.model.width import count_parameters
from mmlab.plan.best_metric import train_table
from mmlab.plan.component import oom_as_fault
from mmlab.plan.plan import Plan
from mmlab.plugin import GENERATED, Batch, Outlined, Split
from mmlab.records import EvaluationResult, Progress, WantedPictures
from mmlab.runner.checkpoints import Saved, share
from mmlab.runner.keeper import Keeper
from mmlab.runner.kept import FeatureCache, FeatureCacheForRun
from mmlab.runner.provenance import describe_weights, peak_memory_bytes, reset_peak_memory
from mmlab.runner.score import CellEvaluation, PartsOfRun, Pictures
from mmlab.spec import TrainTable
from mmlab.train.loop import Trainer, train
from mmlab.train.parallel import gather_state, shard_state
from mmlab.train.processes import ProcessGroup
from mmlab.train.rule import UpdateRule
from mmlab.train.state import Stateful, TrainingState


class Record(Protocol):
    """What becomes of what an execution says."""

    def saved(self) -> Saved | None:
        """What training goes on from; None: it begins."""

    def parts(self) -> dict[str, Stateful]:
        """The record's own parts of the state of a training."""

    def keeper(self, state: TrainingState, every: int | str) -> Keeper:
        """What writes checkpoints of a state: it is called before every step."""

    def update(self, progress: Progress) -> None:
        """Training emitted values."""

    def keep(self, role: str, state: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
        """These are the "best" weights so far, or the "final" ones; `about` are texts on them."""

    def best(self) -> Mapping[str, Tensor] | None:
        """The best weights that were kept, if this process keeps any."""

    def parts_of_run(self) -> PartsOfRun | None:
        """Where evaluations keep what takes long, if this process keeps any."""

    def wanted_pictures(
        self, dataset_revision: str, split: Split, ids: Sequence[str]
    ) -> WantedPictures:
        """Of which of some samples a small picture is wanted."""

    def finish(
        self,
        results: Sequence[EvaluationResult],
        numbers: Mapping[str, object],
        best_step: int | None,
    ) -> None:
        """All that is final."""


class Unrecorded:
    """The record of a process that writes nothing, as the main one of its group does that."""

    def saved(self) -> Saved | None:
        """None."""

    def parts(self) -> dict[str, Stateful]:
        """None."""
        return {}

    def keeper(self, state: TrainingState, every: int | str) -> Keeper:
        """What takes part where the main process writes checkpoints."""
        keeper = Keeper(None, state, every)
        keeper.try_out()
        return keeper

    def update(self, progress: Progress) -> None:
        """Nothing."""

    def keep(self, role: str, state: Mapping[str, Tensor], about: Mapping[str, str]) -> None:
        """Nothing."""

    def best(self) -> Mapping[str, Tensor] | None:
        """None: the main process has them."""

    def parts_of_run(self) -> PartsOfRun | None:
        """None."""

    def wanted_pictures(
        self, dataset_revision: str, split: Split, ids: Sequence[str]
    ) -> WantedPictures:
        """Of none."""
        return WantedPictures((), 0)

    def finish(
        self,
        results: Sequence[EvaluationResult],
        numbers: Mapping[str, object],
        best_step: int | None,
    ) -> None:
        """Nothing."""


@dataclass(frozen=True)
class CellExecutor:
    """Executes cells on one device; `note` takes what is worth a line.

    `cache` keeps features of frozen encoders and inputs of others, if any are to be kept; `files`
    has read the weights that identify the cell; `free` gives the free bytes of a device.
    """

    splits: Splits
    device: torch.device
    group: ProcessGroup
    note: Callable[[str], None]
    cache: FeatureCache | None = None
    files: WeightsReader = field(default_factory=WeightsReader)
    free: Callable[[torch.device], int] = free_bytes
    _said: set[str] = field(default_factory=set)

    def say_once(self, text: str) -> None:
        """Note what holds for every cell of a sweep, unless it was said before."""
        if text not in self._said:
            self._said.add(text)
            self.note(text)

    def execute(
        self,
        plan: Plan,
        initial: Mapping[str, InitialWeights],
        wanted: Iterable[str],
        record: Record,
    ) -> None:
        """Build, train, evaluate what is wanted, and tell the record.

        What draws in no scope of its own draws in that of the run: no cell depends on those before.
        """
        with random_scope(plan.cell.seed, "run"):
            self._execute(plan, initial, wanted, record)

    def _execute(
        self,
        plan: Plan,
        initial: Mapping[str, InitialWeights],
        wanted: Iterable[str],
        record: Record,
    ) -> None:
        table = train_table(plan)
        summary = Summary(self.device, table)
        if plan.match is not None:
            self.note(str(plan.match))
        with determinism(table is not None and table.deterministic):
            with oom_as_fault(str(plan.cell.source.path), "the modules of this spec"):
                room = Room(plan, self.device, self.group.size, self.free)
                built = build(plan, self.splits, initial, files=self.files, room=room)
                self.files.clear()
                room.fits()
                built.step.to(self.device)
            origins = self._tell_weights(built, initial)
            pictures = record.wanted_pictures
            evaluation = self.evaluation(built, pictures, trains=table is not None)
            evaluation.check(wanted)
            self._tell_cut_texts(built)
            if table is not None:
                evaluation.check_best()
                self._fit(built, evaluation, record, summary)
            parts = record.parts_of_run() if self.group.size == 1 else None
            results = list(evaluation.evaluate(wanted, parts=parts))
        kept = evaluation.features.keys if evaluation.features else []
        numbers = {**summary.as_dict(built), **evaluation.cost(), "weights": origins}
        numbers["kept_features"] = kept
        record.finish(results, numbers, summary.best_step)

    def evaluation(
        self, built: BuiltCell, pictures: Pictures, *, trains: bool = False
    ) -> CellEvaluation:
        """What evaluates a built cell, with what is kept of its data, about to be trained or not.

        Several processes keep none: each would have to know what the others have.
        """
        features, precision = None, self.precision(built.plan)
        if self.cache is not None and self.group.size == 1:
            parts = (built, self.splits, self.device, precision)
            features = FeatureCacheForRun(self.cache, *parts, trains=trains)
        given = self.splits, self.device, precision, features, self.say_once, pictures
        return CellEvaluation(built, *given)

    def precision(self, plan: Plan) -> str:
        """The precision of a cell on this device."""
        table = plan.cell.spec.train
        return resolve_precision(table.precision if table else "auto", self.device)

    def _tell_weights(
        self, built: BuiltCell, initial: Mapping[str, InitialWeights]
    ) -> dict[str, str]:
        """Where each encoder's first weights come from; says it where they could but do not."""
        origins = describe_weights(built, initial)
        for key, origin in origins.items():
            if key not in initial and origin != "random" and "random" in origin:
                self.note(f"encoders.{key}: {origin}")
        return origins

    def _tell_cut_texts(self, built: BuiltCell) -> None:
        """Say how many texts an encoder cuts off, where nothing has to be decoded to know."""
        dataset = self.splits.reference(built.plan)
        if built.plan.cell.spec.train is None and not isinstance(dataset, Outlined):
            return
        for said in describe_cut_texts(built.readers, self.splits.index(dataset)):
            self.say_once(said)

    def _fit(
        self, built: BuiltCell, evaluation: CellEvaluation, record: Record, summary: Summary
    ) -> None:
        """Train, keep the best and the final weights, and leave the best in the model."""
        step, about = built.step, built.description().metadata()
        require_tensors(step.state_dict())
        saved = share(record.saved(), self.group)
        start = saved.step if saved else 0
        trainer, batches = start_training(
            built, self.splits, self.device, self.group, evaluation.features, start
        )
        keeper = self._keeper(trainer, record, summary, saved)
        del saved  # it is as large as the model and the optimiser together
        progresses = train(trainer, batches, evaluation.validate, start, keeper, keeper.end)
        with keeper.finishing_steps(), closing(progresses):
            for progress in progresses:
                record.update(progress)
                summary.update(progress)
                if progress.is_best:
                    record.keep("best", merge_state(step, gather_state(step)), about)
        final = merge_state(step, gather_state(step))
        record.keep("final", final, about)
        if summary.has_best:
            best = split_state(step, record.best() or final)
            step.load_state_dict(shard_state(step, best, self.group))
        else:  # without any validation the final weights are the best
            record.keep("best", final, about)

    def _keeper(
        self, trainer: Trainer, record: Record, summary: Summary, saved: Saved | None
    ) -> Keeper:
        """Go on from what was saved, if anything was; gives what writes checkpoints from now on."""
        own: dict[str, Stateful] = {"summary": summary, "generators": Generators()}
        state = TrainingState(trainer, **own, **record.parts())
        if saved is not None:
            states = saved.of(self.group)
            if not self.group.is_main:  # the main one's record has parts that others have not
                states = {name: states[name] for name in state.parts}
            state.load_state_dict(states)
            self.note(f"goes on from step {saved.step:,} of {trainer.total_steps:,}")
            if said := summary.goes_on_with(saved.processes, self.group.size):
                self.note(said)
        return record.keeper(state, trainer.table.checkpoint_every)


def start_training(
    built: BuiltCell,
    splits: Splits,
    device: torch.device,
    group: ProcessGroup | None = None,
    features: FeatureCacheForRun | None = None,
    start: int = 0,
) -> tuple[Trainer, Iterator[Batch]]:
    """The trainer of a built cell and its endless batches, in the order of the cell's seed.

    The batches are those after `start` steps.
    """
    plan, table = built.plan, train_table(built.plan)
    assert table is not None, "only asked for where the spec trains"
    group = group or ProcessGroup()
    size = len(splits.training(plan))
    order = Order(plan.cell.seed, size, table.batch_size, start, group.rank, group.size)
    kept = features.kept(plan.dataset, "train") if features else CachedSplit()
    batches = _batches(built, splits, order, kept.to(device))
    return Trainer(built.step, table, order, device, group, update_rule(plan)), batches


def update_rule(plan: Plan) -> UpdateRule:
    """The optimiser and schedule of a plan that trains, and its encoders' factors of the rate."""
    assert plan.optimizer is not None, "only asked for where the spec trains"
    assert plan.schedule is not None, "as above"
    spec = plan.cell.spec
    scales = {key: spec.encoders[key].lr_scale for key in plan.encoders}
    if spec.generator is not None:
        scales[GENERATED] = spec.generator.lr_scale
    return UpdateRule(plan.optimizer.make, plan.schedule.make, scales)


def _batches(built: BuiltCell, splits: Splits, order: Order, kept: CachedSplit) -> Iterator[Batch]:
    plan, readers = built.plan, built.readers
    dataset = splits.training(plan)
    if kept.covers(readers):
        return kept_training_batches(kept, dataset, readers, order)
    table = plan.cell.spec.train
    return training_batches(
        dataset,
        readers,
        order,
        workers=table.workers if table else 0,
        views=built.step.views,
        tables=kept.tables,
    )


class Summary:
    """Numbers about one execution, for its row in the store."""

    def __init__(self, device: torch.device, table: TrainTable | None) -> None:
        self.device = device
        self.table = table
        self._best_step: int | None = None
        self._best_value: float | None = None
        reset_peak_memory(device)
        self._started = time.perf_counter()
        self._seconds_before = 0.0
        self._steps = 0
        self._rates: list[float] = []
        self._processes: list[int] = []

    @property
    def has_best(self) -> bool:
        """Whether a validation chose the best weights."""
        return self._best_step is not None

    @property
    def best_step(self) -> int | None:
        """Steps behind the best weights: the final ones without validation; None untrained."""
        return self._best_step or self._steps or None

    def update(self, progress: Progress) -> None:
        """Take in what training says."""
        self._steps = progress.step
        self._rates.append(progress.samples_per_second)
        if progress.is_best and self.table is not None:
            values = {point.name: point.value for point in progress.points}
            self._best_step = progress.step
            self._best_value = values[f"validation/{self.table.best}"]

    def goes_on_with(self, before: int, now: int) -> str | None:
        """Take in how many processes train from now on; says what follows where it was another."""
        if before == now:
            return None
        self._processes = [*(self._processes or [before]), now]
        return (
            f"{now} process{'es go' if now > 1 else ' goes'} on with what {before} began: "
            "the run will not be bit-identical to one without a break"
        )

    def state_dict(self) -> dict[str, Any]:  # Any: as torch's
        """What is known of the training so far, the time it took included."""
        return {
            "best_step": self._best_step,
            "best_value": self._best_value,
            "steps": self._steps,
            "rates": self._rates,
            "seconds": self._seconds,
            "processes": self._processes,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # as above
        """Go on from there."""
        self._best_step, self._best_value = state_dict["best_step"], state_dict["best_value"]
        self._steps, self._rates = state_dict["steps"], list(state_dict["rates"])
        self._seconds_before = state_dict["seconds"]
        self._processes = list(state_dict["processes"])

    @property
    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._started

    def as_dict(self, built: BuiltCell) -> dict[str, object]:
        """Durations, sizes and speeds; those of training only where there was one.

        `processes` are there where their number changed: such a run is not bit-identical to one
        without a break.
        """
        parameters = list(built.step.parameters())
        match = built.plan.match
        shared = getattr(built.model.fusion, "function_class", None)
        return {
            "seconds": self._seconds,
            "peak_memory_bytes": peak_memory_bytes(self.device),
            "parameters": sum(p.numel() for p in parameters),
            "trained_parameters": sum(p.numel() for p in parameters if p.requires_grad),
            "parameters_by_part": count_parameters(built.step),
            **({"match": asdict(match)} if match is not None else {}),
            **({"function_class": shared} if shared is not None else {}),
            **(self._training(self.table) if self.table is not None else {}),
            **({"processes": self._processes} if self._processes else {}),
        }

    def _training(self, table: TrainTable) -> dict[str, object]:
        return {
            "steps": self._steps,
            "samples_per_second": statistics.median(self._rates),
            "best": table.best,
            "best_direction": table.best_mode,
            "best_step": self.best_step,
            "best_value": self._best_value,
        }
