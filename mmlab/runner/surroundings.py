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
from types import ModuleType
from typing import TextIO

import torch
import torch.optim.optimizer as torch_optimizers
from torch.nn.modules import module as torch_modules


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


def _hooks(module: ModuleType) -> int:
    """Hooks on whatever is of the kinds of a module of torch: before and after, both ways."""
    return sum(len(hooks) for name, hooks in vars(module).items() if _is_hooks(name))


def _is_hooks(name: str) -> bool:
    return name.startswith("_global_") and "hooks" in name


def _autocast() -> list[str]:
    """Kinds of devices on which operations choose their own precision."""
    return [kind for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)]


def _blocked() -> set[int]:
    """Signals that this thread is not given; reads without changing."""
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def _are_tiny_zero() -> bool:
    """Whether the processor takes numbers for zero that are too small for all their digits."""
    return sys.float_info.min / 2 == 0


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _saved_hooks() -> object:
    """What is done to each tensor that autograd keeps, if anything."""
    return torch._C._autograd._top_saved_tensors_default_hooks(True)


def _is_usable(stream: TextIO | None, descriptor: int) -> bool:
    """Whether a stream of the process, and its file, are open; a component may set it to None."""
    return _is_open(descriptor) and stream is not None and not stream.closed


#: Variables that torch sets when it is asked to compile something.
_TORCHS_OWN = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
#: Signals that can be handled; torch itself handles the end of workers that load samples.
_UNSEEN = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
_SIGNALS = sorted((set(signal.Signals) & signal.valid_signals()) - _UNSEEN)
#: How algorithms are chosen, by torch's number for it.
_DETERMINISM = ("any", "deterministic or with a warning", "deterministic")

_READ: Mapping[str, Callable[[], object]] = {
    "the default dtype": torch.get_default_dtype,
    "the default device": torch.get_default_device,
    "whether gradients are recorded": torch.is_grad_enabled,
    "whether inference mode is on": torch.is_inference_mode_enabled,
    "the kind of algorithms": lambda: _DETERMINISM[torch.get_deterministic_debug_mode()],
    "the precision of matrix products": torch.get_float32_matmul_precision,
    "for which devices autocast is on": _autocast,
    "whether autograd looks for anomalies": torch.is_anomaly_enabled,
    "whether denormal numbers are zero": _are_tiny_zero,
    "the number of threads": torch.get_num_threads,
    "global hooks of modules": lambda: _hooks(torch_modules),
    "global hooks of optimisers": lambda: _hooks(torch_optimizers),
    "global hooks of saved tensors": _saved_hooks,
    "the working directory": _folder,
    "the environment": lambda: {k: v for k, v in os.environ.items() if k not in _TORCHS_OWN},
    "signal handlers": lambda: {one.name: str(signal.getsignal(one)) for one in _SIGNALS},
    "blocked signals": lambda: [one.name for one in _SIGNALS if one in _blocked()],
    "whether a timer is set": lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0,
    "sys.path": lambda: list(sys.path),
    "whether standard output is open": lambda: _is_usable(sys.stdout, 1),
    "whether standard error is open": lambda: _is_usable(sys.stderr, 2),
}
