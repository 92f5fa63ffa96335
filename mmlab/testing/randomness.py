"""Ambient randomness as the runner gives it, and proof that a component only draws from torch's."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from mmlab.testing.claims import require

#: Seeds of the scopes that the runner would seed; unlikely to be those of a component.
BUILD, STEP, OTHER = 0x5EED_B01D, 0x5EED_57E9, 0x5EED_0123


@contextmanager
def ambient(seed: int) -> Iterator[None]:
    """Seed torch's ambient generator inside; require that nobody else seeded or drew elsewhere.

    The states of torch's, NumPy's and Python's generators are put back after.
    """
    before = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    torch.default_generator.manual_seed(seed)
    try:
        yield
        _require_untouched(seed, before[1], before[2])
    finally:
        torch.random.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])


def _require_untouched(seed: int, numpy_state: object, python_state: object) -> None:
    require(
        torch.random.initial_seed() == seed,
        "a component must not seed torch's ambient generator: the runner does",
    )
    drew = [
        name
        for name, is_same in {
            "NumPy": pickle.dumps(np.random.get_state()) == pickle.dumps(numpy_state),
            "Python": random.getstate() == python_state,
        }.items()
        if not is_same
    ]
    require(not drew, f"randomness must come from torch's ambient generator, not {drew}'s")


def normal(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """Standard normal numbers from a private generator."""
    source = torch.Generator().manual_seed(977 + seed)
    return torch.randn(shape, generator=source, dtype=torch.float64).to(dtype)
