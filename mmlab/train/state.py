"""Training state: the parts that a training goes on from, by name, as torchtitan's `Stateful`.

Schedule, order of samples and random numbers are functions of the step and have no part in it: who
goes on gives `train` the number of steps that are made, and batches that begin after them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from mmlab.errors import RunError, explain
from mmlab.train.loop import Trainer

#: The state of one part: plain values and tensors, nested in tables and lists.
State = dict[str, Any]  # Any: each part has its own


class Stateful(Protocol):
    """A part of a training that a checkpoint holds; modules and torch's optimisers are such."""

    def state_dict(self) -> State:
        """What it goes on from."""

    def load_state_dict(self, state_dict: State, /) -> object:
        """Go on from there."""


class TrainingState:
    """The state of a trainer, and of what else has one: `others` by their names.

    "model" has buffers and extra state (vocabularies) too, "losses" their temperatures and whatever
    else they keep in their state dicts. "average" is there where weights are averaged.
    """

    def __init__(self, trainer: Trainer, **others: Stateful) -> None:
        self._trainer = trainer
        average = {} if trainer.average is None else {"average": trainer.average}
        self.parts: dict[str, Stateful] = {
            "model": trainer.step.model,
            "losses": trainer.step.losses,
            "optimizer": trainer.optimizer,
            "best": trainer.best,
            "meter": trainer.meter,
            **average,
            **others,
        }

    def state_dict(self) -> dict[str, State]:
        """Every part's state as it is now; later steps do not change it.

        Where the average is in the model at this moment, the weights are put back meanwhile.
        """
        with self._trainer.trained_weights():
            return {name: _copy(part.state_dict()) for name, part in self.parts.items()}

    def load_state_dict(self, states: Mapping[str, State]) -> None:
        """Go on from such a state. Raises RunError, having changed nothing, if parts differ."""
        if states.keys() != self.parts.keys():
            raise _other_parts(states, self.parts)
        for name, part in self.parts.items():
            part.load_state_dict(_copy(states[name]))


def _copy(value: Any) -> Any:  # Any: plain values and tensors, nested
    """The same value in other memory."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copy(inner) for inner in value)
    return value


def _other_parts(found: Mapping[str, object], wanted: Mapping[str, object]) -> RunError:
    return RunError(
        explain(
            "training state",
            "it is not one of this training: other parts have a state",
            found=", ".join(sorted(found)) or "none",
            allowed=", ".join(sorted(wanted)),
            next_step="go on from a state of the same cell, or train it from its start",
        )
    )
