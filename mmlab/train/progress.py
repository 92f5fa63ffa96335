"""Progress of training: its metrics on the way, the best validation so far, early stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

from mmlab.errors import RunError, explain
from mmlab.metric import Metric
from mmlab.records import MetricPoint
from mmlab.spec import TrainTable


class Best:
    """The best validation so far, by `train.best`, and how long ago it was.

    `best_mode` is "max" where it is better high; the plan has settled what "auto" means, which is
    "min" for the loss, where it says nothing else.
    """

    def __init__(self, table: TrainTable) -> None:
        self.name = f"validation/{table.best}"
        self.sign = 1.0 if table.best_mode == "max" else -1.0
        self.patience = table.patience
        self.value = -math.inf
        self.is_new = False
        self._stalled_for = 0

    def update(self, points: Sequence[MetricPoint]) -> None:
        """Compare a validation's metrics with the best so far; none is best that is not finite."""
        if not points:
            return
        value = self.require(points)
        self.is_new = math.isfinite(value) and self.sign * value > self.value
        self.value = self.sign * value if self.is_new else self.value
        self._stalled_for = 0 if self.is_new else self._stalled_for + 1

    def require(self, points: Sequence[MetricPoint]) -> float:
        """The value of `train.best`. Raises RunError where a validation does not give it."""
        values = {point.name: point.value for point in points}
        if points and self.name not in values:
            raise _unknown_best(self.name, values)
        return values.get(self.name, math.nan)

    def state_dict(self) -> dict[str, Any]:  # Any: as torch's
        """The best value so far and how many validations ago it was."""
        return {"value": self.value, "stalled_for": self._stalled_for}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # as above
        """Go on from there."""
        self.value, self._stalled_for = state_dict["value"], state_dict["stalled_for"]

    @property
    def has_stalled(self) -> bool:
        """Whether `train.patience` validations in a row were no better."""
        return self.patience is not None and self._stalled_for >= self.patience


def _unknown_best(name: str, values: Mapping[str, float]) -> RunError:
    known = [
        other.removeprefix("validation/") for other in values if other.startswith("validation")
    ]
    message = explain(
        "train.best",
        "no such metric on the validation split",
        found=name.removeprefix("validation/"),
        allowed=", ".join(known) or "none: the validation split is empty",
        next_step="set train.best to one of these",
    )
    return RunError(message)


#: What training says of itself besides the losses' scalars.
TRAINING = (
    Metric("lr"),
    Metric("grad_norm"),
    Metric("samples_per_second", "higher", "samples/s"),
)


class HostMeter:
    """Sums of scalars on the CPU, and how many steps went by before one was not finite.

    Where looking at a number waits for nothing, Python's own arithmetic costs a tenth of torch's.
    """

    def __init__(self) -> None:
        self.is_sound = True  # False for ever after a non-finite scalar
        self._sound_steps = 0
        self._sums: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._count = 0

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        """Take in one step's scalars."""
        values = {name: x.item() for name, x in scalars.items()}
        self.is_sound = self.is_sound and all(map(math.isfinite, values.values()))
        self._sound_steps += self.is_sound
        if self.is_sound or not self._last:
            self._last = values
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in values.items()}
        self._count += 1

    def take(self) -> dict[str, float]:
        """Means since the last call."""
        assert self._count, "add() comes before take()"
        means = {name: total / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        return means

    def first_broken_step(self) -> int | None:
        """0-based step of the first non-finite scalar, if any."""
        return None if self.is_sound else self._sound_steps

    def last_finite(self) -> dict[str, float]:
        """The scalars of the last step before anything was not finite."""
        return {name: value for name, value in self._last.items() if math.isfinite(value)}

    def state_dict(self) -> dict[str, Any]:  # Any: as torch's
        """All that was taken in and not taken out, and what is known of steps before."""
        return {
            "is_sound": self.is_sound,
            "sound_steps": self._sound_steps,
            "sums": self._sums,
            "last": self._last,
            "count": self._count,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # as above
        """Go on from there."""
        self.is_sound, self._sound_steps = state_dict["is_sound"], state_dict["sound_steps"]
        self._sums, self._last = dict(state_dict["sums"]), dict(state_dict["last"])
        self._count = state_dict["count"]


class DeviceMeter:
    """What `HostMeter` is, in tensors on a device: a step reads nothing back from it."""

    def __init__(self, device: torch.device) -> None:
        self._is_sound = torch.ones((), dtype=torch.bool, device=device)
        self._sound_steps = torch.zeros((), device=device)
        self._names: list[str] = []
        self._sums: Tensor | None = None
        self._last: Tensor | None = None
        self._count = 0

    @torch.no_grad()
    def add(self, scalars: Mapping[str, Tensor]) -> None:
        """Take in one step's scalars; nothing is read back from the device."""
        self._names = list(scalars)
        values = torch.stack(list(scalars.values()))
        self._is_sound &= torch.isfinite(values.sum())
        self._sound_steps += self._is_sound
        self._last = values if self._last is None else values.where(self._is_sound, self._last)
        self._sums = values if self._sums is None else self._sums + values
        self._count += 1

    def is_broken(self) -> Tensor:
        """1 on the device once a scalar was not finite, else 0."""
        return (~self._is_sound).float()

    def take(self) -> dict[str, float]:
        """Means since the last call, read from the device, which waits for it."""
        assert self._sums is not None, "add() comes before take()"
        means = (self._sums / self._count).tolist()
        self._sums, self._count = None, 0
        return dict(zip(self._names, means, strict=True))

    def first_broken_step(self) -> int | None:
        """0-based step of the first non-finite scalar, if any."""
        return None if bool(self._is_sound) else int(self._sound_steps)

    def last_finite(self) -> dict[str, float]:
        """The scalars of the last step before anything was not finite."""
        if self._last is None:
            return {}
        values = cast(list[float], self._last.tolist())
        return {n: v for n, v in zip(self._names, values, strict=True) if math.isfinite(v)}

    def state_dict(self) -> dict[str, Any]:  # Any: as torch's
        """All that was taken in and not taken out, and what is known of steps before."""
        return {
            "is_sound": self._is_sound,
            "sound_steps": self._sound_steps,
            "names": self._names,
            "sums": self._sums,
            "last": self._last,
            "count": self._count,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # as above
        """Go on from there, on this meter's device."""

        def here(value: Tensor | None) -> Tensor | None:
            return None if value is None else value.to(self._is_sound.device)

        self._is_sound = state_dict["is_sound"].to(self._is_sound.device)
        self._sound_steps = state_dict["sound_steps"].to(self._is_sound.device)
        self._names, self._count = list(state_dict["names"]), state_dict["count"]
        self._sums, self._last = here(state_dict["sums"]), here(state_dict["last"])


def make_meter(device: torch.device) -> HostMeter | DeviceMeter:
    """The meter for scalars that are on a device."""
    return HostMeter() if device.type == "cpu" else DeviceMeter(device)


class Clock:
    """How fast training steps are made, whatever comes before and between them excluded."""

    def __init__(self) -> None:
        self.rate = 0.0
        self._all_steps, self._all_seconds = 0, 0.0
        self.restart()

    def restart(self) -> None:
        """Begin a new stretch."""
        self._start, self._samples, self._steps = time.perf_counter(), 0, 0

    def count(self, samples: int) -> None:
        """Add a step and the samples that it trained on."""
        self._samples += samples
        self._steps += 1

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Leave the time of the block out of this stretch."""
        began = time.perf_counter()
        yield
        self._start += time.perf_counter() - began

    def stop(self) -> None:
        """Take the rate of this stretch, in samples per second."""
        seconds = max(1e-9, time.perf_counter() - self._start)
        self.rate = self._samples / seconds
        self._all_steps += self._steps
        self._all_seconds += seconds

    def seconds_for(self, steps: int) -> float:
        """How long so many steps will take at the speed of all so far."""
        return steps * self._all_seconds / max(1, self._all_steps)
