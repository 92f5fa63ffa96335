"""The training loop. It yields what happened and writes nothing: no SQL, no files, no printing."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from mmlab.data.loader import to_device
from mmlab.data.order import Order, derive_seed, seed_torch
from mmlab.errors import RunError, explain
from mmlab.model.device import autocast, resolve_precision
from mmlab.model.model import Step
from mmlab.plugin import Batch, Stepped
from mmlab.records import MetricPoint, Progress
from mmlab.spec import TrainTable
from mmlab.train.parallel import average_gradients, clip_gradients, wrap_for_training
from mmlab.train.processes import ProcessGroup
from mmlab.train.progress import Best, Clock, HostMeter, make_meter
from mmlab.train.rule import Average, UpdateRule

#: Scores the model on the validation split: metric name -> value.
Validate = Callable[[], Mapping[str, float]]


class Trainer:
    """One training: the step module, its optimiser and schedule, and what it has seen so far.

    `rule` has the components that the table names; AdamW and a cosine unless it is given. In a
    group of processes each has its own trainer, takes its part of every batch, and makes equal
    steps.
    """

    def __init__(
        self,
        step: Step,
        table: TrainTable,
        order: Order,
        device: torch.device,
        group: ProcessGroup | None = None,
        rule: UpdateRule | None = None,
    ) -> None:
        rule = rule or UpdateRule()
        self.group = group or ProcessGroup()
        self.step = step.train()
        self.forward = wrap_for_training(step, table, self.group, device)
        self.table = table
        self.total_steps = count_steps(table, order)
        self.validate_every = table.evaluate_every * order.steps_per_epoch
        self.device = device
        self.seed = order.seed
        self.precision = resolve_precision(table.precision, device)
        self.optimizer = rule.make_optimizer(step, table)
        self.schedule = rule.make_schedule(table, self.total_steps)
        self.parameters = [p for p in step.parameters() if p.requires_grad]
        self.average = Average(self.parameters, table.ema) if table.ema is not None else None
        self.averages_gradients = self.group.size > 1 and table.parallel == "fsdp"
        self.lr = table.lr
        self.meter = make_meter(device)
        self.best = Best(table)
        # A check against a protocol takes longer than many a kernel: once, not at every step.
        self._stepped = [loss for loss in step.losses.values() if isinstance(loss, Stepped)]

    def update(self, batch: Batch, index: int) -> None:
        """One optimiser step on a batch, without waiting for the device.

        A step whose loss or gradient is not finite changes no weight, nor does any step after it;
        `raise_if_not_finite` finds out at the next emission.
        """
        scalars = self.differentiate(batch, index)
        norm = clip_gradients(self.parameters, self.table.clip_norm or math.inf)
        self.meter.add({**scalars, "grad_norm": norm})
        self._apply(index)

    def differentiate(self, batch: Batch, index: int) -> dict[str, Tensor]:
        """Give every parameter its gradient; gives the losses' scalars."""
        seed_torch(derive_seed(self.seed, "step", index))
        with autocast(self.device, self.precision):
            total, scalars = self.forward(batch)
        total.backward()  # type: ignore[no-untyped-call]
        if self.averages_gradients:
            average_gradients(self.parameters, self.group)
        return scalars

    def _apply(self, index: int) -> None:
        self.lr = self.schedule(index)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * group["scale"]
        if isinstance(self.meter, HostMeter):
            if self.meter.is_sound:
                self.optimizer.step()
        else:
            self.optimizer.step_unless(self.meter.is_broken())
        self.optimizer.zero_grad(set_to_none=True)
        for loss in self._stepped:
            loss.after_step()
        if self.average is not None:
            self.average.update(index + 1)

    def averaged(self) -> AbstractContextManager[None]:
        """The averaged weights in the model while the block runs, if there are any."""
        return nullcontext() if self.average is None else self.average.in_place()

    def trained_weights(self) -> AbstractContextManager[None]:
        """The weights that steps change in the model while the block runs, not their average."""
        return nullcontext() if self.average is None else self.average.in_place(False)

    def raise_if_not_finite(self) -> None:
        """Raise RunError("nan") naming the first step whose loss or gradient was not finite."""
        if (first := self.meter.first_broken_step()) is None:
            return
        last = ", ".join(f"{name} {value:.6g}" for name, value in self.meter.last_finite().items())
        message = explain(
            f"training step {first + 1}",
            "the loss or its gradient is not finite",
            found=f"non-finite at step {first + 1}; last finite values: {last or 'none'}",
            allowed="finite numbers; the weights of the step before were kept",
            next_step="lower train.lr, set train.clip_norm, or use train.precision = 'fp32'",
        )
        raise RunError(message, "nan")


def train(
    trainer: Trainer,
    batches: Iterator[Batch],
    validate: Validate,
    start: int = 0,
    before_step: Callable[[int], None] | None = None,
    after_last: Callable[[int], None] | None = None,
) -> Generator[Progress, None, None]:
    """Run every step, yielding at each emission and each validation; close it to stop before.

    `start` steps have been made already, and `batches` begins after them. `before_step` is called
    with how many are made, `after_last` once all are: then the state of the training is whole.
    Their time is not training's.

    Stops early when `train.patience` validations in a row brought nothing better. Where weights are
    averaged, validations judge the average; it is in the model whenever one is told of, and at the
    end.
    """
    table, best, clock = trainer.table, trainer.best, Clock()
    # A misspelt metric should not cost the steps before its first value.
    if "/" in table.best and not start:
        best.require(_validation_points(trainer, validate, 0))
    trainer.step.train()
    made = start
    for index in range(start, trainer.total_steps):
        if best.has_stalled:
            break
        if before_step is not None:
            with clock.stopped():
                before_step(index)
        batch = to_device(next(batches), trainer.device)
        trainer.update(batch, index)
        made = index + 1
        clock.count(len(batch.target) * trainer.group.size)
        is_last = index + 1 == trainer.total_steps
        is_validation = (index + 1) % trainer.validate_every == 0 or is_last
        if not (is_validation or (index + 1) % table.emit_every == 0):
            continue
        trainer.raise_if_not_finite()
        try:
            with trainer.averaged() if is_validation else nullcontext():
                yield _emit(trainer, index + 1, clock, best, validate if is_validation else None)
        except GeneratorExit:  # whoever drives this loop goes no further
            trainer.group.stop()
            raise
        trainer.group.barrier()
        clock.restart()
    if after_last is not None and made > start:
        after_last(made)
    if trainer.average is not None:
        trainer.average.swap()


def _emit(
    trainer: Trainer, step: int, clock: Clock, best: Best, validate: Validate | None
) -> Progress:
    """What there is to say after a step, with a validation if it is time for one."""
    points = _training_points(trainer, step, clock)
    loss = points[0].value
    if validate is not None:
        validated = _validation_points(trainer, validate, step)
        best.update(validated)
        points += validated
    is_best = validate is not None and best.is_new
    left = clock.seconds_for(trainer.total_steps - step)
    return Progress(step, trainer.total_steps, loss, clock.rate, left, points, is_best)


def _training_points(trainer: Trainer, step: int, clock: Clock) -> list[MetricPoint]:
    values = trainer.meter.take()
    clock.stop()
    values["lr"] = trainer.lr
    values["samples_per_second"] = clock.rate
    return [MetricPoint(f"train/{name}", step, value) for name, value in values.items()]


def _validation_points(trainer: Trainer, validate: Validate, step: int) -> list[MetricPoint]:
    trainer.step.eval()
    values = trainer.group.same(validate())
    trainer.step.train()
    return [MetricPoint(f"validation/{name}", step, value) for name, value in values.items()]


@torch.no_grad()
def mean_losses(
    step: Step, batches: Iterator[Batch], device: torch.device, precision: str
) -> dict[str, float]:
    """Every scalar of the losses over batches of one size, averaged; the step is in eval mode."""
    sums: Tensor | None = None
    names: list[str] = []
    count = 0
    for batch in batches:
        with autocast(device, precision):
            _, scalars = step(to_device(batch, device))
        names = list(scalars)
        values = torch.stack([scalars[name] for name in names]).double()
        sums = values if sums is None else sums + values
        count += 1
    return {} if sums is None else dict(zip(names, (sums / count).tolist(), strict=True))


def count_steps(table: TrainTable, order: Order) -> int:
    """Planned steps: those of all epochs, or `max_steps` where that is less."""
    by_epochs = math.inf if table.epochs is None else table.epochs * order.steps_per_epoch
    return int(min(by_epochs, math.inf if table.max_steps is None else table.max_steps))
