"""Which validation was the best so far, and when training has stalled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mmlab.errors import RunError, explain
from mmlab.records import MetricPoint
from mmlab.spec import TrainTable


class Best:
    """The best validation so far, by `train.best`, and how long ago it was."""

    def __init__(self, table: TrainTable) -> None:
        self.name = f"validation/{table.best}"
        self.sign = 1.0 if best_direction(table) == "max" else -1.0
        self.patience = table.patience
        self.value = -math.inf
        self.is_new = False
        self._stalled_for = 0

    def see(self, points: Sequence[MetricPoint]) -> None:
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


def best_direction(table: TrainTable) -> str:
    """Whether `train.best` is better high ("max") or low ("min": losses, errors, ranks)."""
    if table.best_mode != "auto":
        return table.best_mode
    return "min" if table.best.endswith(("loss", "rank", "mse", "mae", "ece")) else "max"
