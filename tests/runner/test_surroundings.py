"""What a component leaves behind in its process: each kind is told, and where is none nothing."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

import pytest
import torch
import torch.optim.optimizer as torch_optimizers
from torch import nn
from torch.utils.data import DataLoader

from mmlab.runner.surroundings import Surroundings

#: What a component may do, and what undoes it, by how that is told.
LEFT: Mapping[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "the default dtype was torch.float32 and is torch.float64": (
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.set_default_dtype(torch.float32),
    ),
    "the default device was cpu and is meta": (
        lambda: torch.set_default_device("meta"),
        lambda: torch.set_default_device(None),
    ),
    "the kind of algorithms was any and is deterministic or with a warning": (
        lambda: torch.use_deterministic_algorithms(True, warn_only=True),
        lambda: torch.use_deterministic_algorithms(False),
    ),
    "the precision of matrix products was highest and is medium": (
        lambda: torch.set_float32_matmul_precision("medium"),
        lambda: torch.set_float32_matmul_precision("highest"),
    ),
    "for which devices autocast is on was [] and is ['cpu']": (
        lambda: torch.set_autocast_enabled("cpu", True),
        lambda: torch.set_autocast_enabled("cpu", False),
    ),
    "whether autograd looks for anomalies was False and is True": (
        lambda: torch.autograd.set_detect_anomaly(True),
        lambda: torch.autograd.set_detect_anomaly(False),
    ),
    "whether denormal numbers are zero was False and is True": (
        lambda: torch.set_flush_denormal(True),
        lambda: torch.set_flush_denormal(False),
    ),
    "global hooks of modules was 0 and is 1": (
        lambda: nn.modules.module.register_module_forward_hook(lambda *given: None),
        nn.modules.module._global_forward_hooks.clear,
    ),
    "global hooks of optimisers was 0 and is 1": (
        lambda: torch_optimizers.register_optimizer_step_post_hook(lambda *given: None),
        torch_optimizers._global_optimizer_post_hooks.clear,
    ),
    "global hooks of saved tensors was None and is (<built-in function abs>,": (
        lambda: torch._C._autograd._push_saved_tensors_default_hooks(abs, abs),
        torch._C._autograd._pop_saved_tensors_default_hooks,
    ),
    "the environment: LEFT_BEHIND": (
        lambda: os.environ.update(LEFT_BEHIND="x"),
        lambda: os.environ.pop("LEFT_BEHIND"),
    ),
    "signal handlers: SIGUSR2": (
        lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
        lambda: signal.signal(signal.SIGUSR2, signal.SIG_DFL),
    ),
    "blocked signals was [] and is ['SIGTERM']": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]),
        lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM]),
    ),
    "whether a timer is set was False and is True": (
        lambda: signal.setitimer(signal.ITIMER_REAL, 60),
        lambda: signal.setitimer(signal.ITIMER_REAL, 0),
    ),
    "sys.path was": (lambda: sys.path.append("x"), sys.path.pop),
}


@pytest.mark.parametrize("told", LEFT)
def test_what_is_left_behind_is_told(told: str) -> None:
    leave, undo = LEFT[told]
    before = Surroundings.now()
    leave()
    try:
        changes = before.changes()
    finally:
        undo()
    assert [change[: len(told)] for change in changes] == [told]
    assert before.changes() == []


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_is_taken_away_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Surroundings.now()
    with monkeypatch.context() as patched:
        patched.setattr(sys, name, None)
        (told,) = before.changes()
    assert told.endswith("is open was True and is False")


@pytest.mark.slow
def test_workers_that_load_samples_leave_nothing_behind() -> None:
    before = Surroundings.now()
    with suppress(StopIteration):
        next(iter(DataLoader([1.0, 2.0], num_workers=1)))  # type: ignore[arg-type]
    assert before.changes() == []
