"""Training state: the parts that a training goes on from, by name, as torchtitan's `Stateful`.

Of several processes that train together each has a state, in which what is sharded is whole: they
differ in their generators, say, and the files of the group's state hold what is equal once.
Schedule, order of samples and random numbers of steps are functions of the step and have no part in
it: who goes on gives `train` the number of steps that are made, and batches that begin after them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from mmlab.errors import RunError, explain
from mmlab.model.device import gather, is_sharded
from mmlab.train.loop import Trainer
from mmlab.train.optimizers import parameters_of
from mmlab.train.parallel import shard_like
from mmlab.train.processes import ProcessGroup

#: The state of one part: plain values and tensors, nested in tables and lists.
State = dict[str, Any]  # Any: each part has its own

#: The files of a state: its tensors (safetensors), and all else (JSON).
TENSORS, VALUES = "tensors.safetensors", "values.json"


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
        self.group = trainer.group
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

        Where the average is in the model at this moment, the weights are put back meanwhile. In a
        group all processes call this at once.
        """
        with self._trainer.trained_weights():
            return {name: _copy(part.state_dict()) for name, part in self.parts.items()}

    def load_state_dict(self, states: Mapping[str, State]) -> None:
        """Go on from such a state. Raises RunError, having changed nothing, if parts differ."""
        if states.keys() != self.parts.keys():
            raise _other_parts(states, self.parts)
        for name, part in self.parts.items():
            part.load_state_dict(self._placed(part, _copy(states[name])))

    def require_finite(self) -> None:
        """Raise RunError("nan") where a step was not: nobody should go on from there.

        In a group all processes call this at once, and each raises where one must.
        """
        step = self._trainer.meter.first_broken_step()
        (is_broken,) = self.group.any(step is not None)
        if is_broken:
            self._trainer.raise_if_not_finite()
            raise RunError("another process of this group met numbers that are not finite", "nan")

    def _placed(self, part: Stateful, state: State) -> State:
        """A part's state, sharded where this part's is."""
        if self.group.size == 1:
            return state
        if not isinstance(part, torch.optim.Optimizer):
            placed: State = _like(part.state_dict(), state)
            return placed
        # One that has made no step yet has no state to compare with.
        slots = {
            index: {name: _like(parameter, x) for name, x in state["state"][index].items()}
            for index, parameter in enumerate(parameters_of(part))
            if index in state["state"]
        }
        return {**state, "state": slots}


def _like(own: Any, value: Any) -> Any:  # Any: as below
    """A value with tensors sharded where those of `own` of the same shape are."""
    if isinstance(own, Tensor):
        is_alike = isinstance(value, Tensor) and is_sharded(own) and own.shape == value.shape
        return shard_like(own, value, source=None) if is_alike else value
    if isinstance(own, Mapping) and isinstance(value, Mapping):
        return {key: _like(own.get(key), inner) for key, inner in value.items()}
    if isinstance(own, list) and isinstance(value, list) and len(own) == len(value):
        return [_like(mine, x) for mine, x in zip(own, value, strict=True)]
    return value


def _copy(value: Any) -> Any:  # Any: plain values and tensors, nested
    """The same value in other memory, what is sharded put together."""
    if isinstance(value, Tensor):
        return gather(value.detach()).clone()
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    if type(value) in (list, tuple, torch.Size):
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


def pack(states: Mapping[str, State]) -> dict[str, bytes]:
    """A state as the contents of its files, by their names; nothing of it is a program.

    Raises RunError that names the place and type of a value that these cannot hold exactly.
    """
    tensors: dict[str, Tensor] = {}
    values = json.dumps(_plain(states, (), tensors), allow_nan=False)
    return {TENSORS: save(tensors), VALUES: values.encode()}


def pack_together(states: Mapping[str, State], group: ProcessGroup) -> dict[str, bytes]:
    """What `pack` gives, for the main process, and files of what others have otherwise.

    The others get nothing. All processes of the group call this at once.
    """
    if group.size == 1:
        return pack(states)
    digests = {name: _digest(name, state) for name, state in states.items()}
    equal = json.loads(group.spread(json.dumps(digests).encode()))
    own = {name: x for name, x in states.items() if digests[name] != equal.get(name)}
    files = pack(states if group.is_main else own)
    found = {name: group.collect(files[name]) for name in (TENSORS, VALUES)}
    return {_of(rank, name): x for name, given in found.items() for rank, x in enumerate(given)}


def unpack_others(files: Mapping[str, bytes]) -> dict[int, dict[str, State]]:
    """What processes other than the main one had otherwise than it, by their ranks."""
    found: dict[int, dict[str, State]] = {}
    while _of(rank := len(found) + 1, VALUES) in files:
        found[rank] = unpack({name: files[_of(rank, name)] for name in (TENSORS, VALUES)})
    return found


def _of(rank: int, name: str) -> str:
    """The name of a file of one process: "tensors-1.safetensors"."""
    stem, _, suffix = name.partition(".")
    return f"{stem}-{rank}.{suffix}" if rank else name


def _digest(part: str, state: State) -> str:
    """A hash of all that is in the state of a part."""
    tensors: dict[str, Tensor] = {}
    content = hashlib.sha256(json.dumps(_plain(state, (part,), tensors)).encode())
    for x in tensors.values():
        content.update(f"{x.dtype} {list(x.shape)}".encode())
        content.update(x.flatten().view(torch.uint8).numpy().data)
    return content.hexdigest()


def unpack(files: Mapping[str, bytes]) -> dict[str, State]:
    """The state that `pack` has made files of, its tensors on the host."""
    tensors = load(files[TENSORS])
    states: dict[str, State] = _restored(json.loads(files[VALUES]), tensors)
    return states


def _plain(value: object, where: tuple[str, ...], tensors: dict[str, Tensor]) -> object:
    """A value as JSON: what JSON has not is an object of one key. Tensors are put aside."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if isinstance(value, float) and kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, Tensor):
        name = f"{len(tensors)} {'.'.join(where)}"
        tensors[name] = _savable(value, where)
        return {"tensor": name}
    if isinstance(value, Mapping):
        keys = {key: _plain(key, (*where, repr(key)), tensors) for key in value}
        return {
            "table": [[keys[k], _plain(x, (*where, str(k)), tensors)] for k, x in value.items()]
        }
    if isinstance(value, list | tuple) and kind in (list, tuple, torch.Size):
        items = [_plain(inner, (*where, str(i)), tensors) for i, inner in enumerate(value)]
        return items if kind is list else {"tuple": items}
    raise _unsavable(where, f"{kind.__module__}.{kind.__qualname__}")


def _savable(value: Tensor, where: tuple[str, ...]) -> Tensor:
    """A tensor on the host, one after the other. RunError for a kind that has no place in files."""
    if value.layout != torch.strided or not _has_place(value.dtype):
        raise _unsavable(where, f"torch.Tensor ({value.dtype}, {value.layout})")
    return value.detach().cpu().contiguous()


@cache
def _has_place(dtype: torch.dtype) -> bool:
    """Whether a file can hold tensors of a type; to look costs more than to save a small one."""
    try:
        save({"": torch.empty(0, dtype=dtype)})
    except (ValueError, KeyError, RuntimeError, SafetensorError):
        return False
    return True


def _restored(
    value: Any, tensors: Mapping[str, Tensor]
) -> Any:  # Any: JSON, and what it stands for
    if isinstance(value, list):
        return [_restored(inner, tensors) for inner in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "float":
        return float(content)
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_restored(inner, tensors) for inner in content)
    return {_restored(key, tensors): _restored(inner, tensors) for key, inner in content}


def _unsavable(where: tuple[str, ...], kind: str) -> RunError:
    part = where[0] if where else "state"
    return RunError(
        explain(
            f"checkpoint, part {part!r}",
            "its state holds a value that cannot be saved",
            found=f"{kind} at {'.'.join(where)}",
            allowed="tensors; None, bool, int, float and str; lists, tuples and tables of these",
            next_step="let state_dict or get_extra_state give such: list(...) or float(...) of it",
        )
    )
