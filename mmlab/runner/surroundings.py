"""What of a process the cells share: a component that changes it changes the cells after its own.

A fixed list is compared after each cell. What is not on it, such as a library's own globals, is not
seen.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.modules import module as torch_modules

#: Signals whose handlers are compared: those that a person or a scheduler sends.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGALRM)


@dataclass(frozen=True)
class Surroundings:
    """The state of the process that is compared, by names that a person reads."""

    values: Mapping[str, object]

    @classmethod
    def now(cls) -> Surroundings:
        """As it is at this moment."""
        return cls({name: read() for name, read in _READ.items()})

    def changes(self) -> list[str]:
        """What differs by now: "the default dtype was torch.float32 and is torch.float64"."""
        return list(self._changes(Surroundings.now()))

    def _changes(self, other: Surroundings) -> Iterator[str]:
        for name, before in self.values.items():
            after = other.values[name]
            if isinstance(before, Mapping) and isinstance(after, Mapping):
                # The values of variables may be secrets; their names are enough to find the place.
                changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
                if changed:
                    yield f"{name}: {', '.join(sorted(changed))}"
            elif before != after:
                yield f"{name} was {_short(before)} and is {_short(after)}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else text[:200] + "..."


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return "a folder that is gone"


def _hooks() -> int:
    """Hooks on every module of the process, forward and backward."""
    return sum(len(value) for name, value in vars(torch_modules).items() if name in _HOOKS)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


#: Variables that torch sets when it is asked to compile something.
_TORCHS_OWN = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
_HOOKS = [name for name in vars(torch_modules) if name.startswith("_global_") and "hooks" in name]

_READ: Mapping[str, Callable[[], object]] = {
    "the default dtype": torch.get_default_dtype,
    "the default device": torch.get_default_device,
    "whether gradients are recorded": torch.is_grad_enabled,
    "whether inference mode is on": torch.is_inference_mode_enabled,
    "whether algorithms are deterministic": torch.are_deterministic_algorithms_enabled,
    "the number of threads": torch.get_num_threads,
    "global hooks of modules": _hooks,
    "the working directory": _folder,
    "the environment": lambda: {k: v for k, v in os.environ.items() if k not in _TORCHS_OWN},
    "signal handlers": lambda: {one.name: str(signal.getsignal(one)) for one in _SIGNALS},
    "sys.path": lambda: list(sys.path),
    "whether standard output is open": lambda: _is_open(1) and not sys.stdout.closed,
    "whether standard error is open": lambda: _is_open(2) and not sys.stderr.closed,
}
