"""What training measures on its way: scalars on the device, and samples per second."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor


class Meter:
    """Sums of scalars on the device, and how many steps went by before one was not finite."""

    def __init__(self, device: torch.device) -> None:
        # False for ever after a non-finite scalar.
        self.is_sound = torch.ones((), dtype=torch.bool, device=device)
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
        self.is_sound &= torch.isfinite(values.sum())
        self._sound_steps += self.is_sound
        self._last = values if self._last is None else values.where(self.is_sound, self._last)
        self._sums = values if self._sums is None else self._sums + values
        self._count += 1

    def is_broken(self) -> Tensor:
        """1 on the device once a scalar was not finite, else 0."""
        return (~self.is_sound).float()

    def take(self) -> dict[str, float]:
        """Means since the last call, read from the device, which waits for it."""
        assert self._sums is not None, "add() comes before take()"
        means = (self._sums / self._count).tolist()
        self._sums, self._count = None, 0
        return dict(zip(self._names, means, strict=True))

    def first_broken_step(self) -> int | None:
        """0-based step of the first non-finite scalar, if any."""
        return None if bool(self.is_sound) else int(self._sound_steps)

    def last_finite(self) -> dict[str, float]:
        """The scalars of the last step before anything was not finite."""
        if self._last is None:
            return {}
        values = cast(list[float], self._last.tolist())
        return {n: v for n, v in zip(self._names, values, strict=True) if math.isfinite(v)}


class Clock:
    """Samples per second of training alone, validation excluded."""

    def __init__(self) -> None:
        self.rate = 0.0
        self.restart()

    def restart(self) -> None:
        """Begin a new stretch."""
        self._start, self._samples = time.perf_counter(), 0

    def count(self, samples: int) -> None:
        """Add samples that were trained on."""
        self._samples += samples

    def stop(self) -> None:
        """Take the rate of this stretch."""
        self.rate = self._samples / max(1e-9, time.perf_counter() - self._start)
