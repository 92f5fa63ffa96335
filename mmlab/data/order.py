"""The order of training samples, shuffled anew each epoch, and the random seeds of every scope.

The order is a function of (seed, epoch, index) alone, a derived seed of (seed, scope, position).
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch


@dataclass(frozen=True)
class Order:
    """The order of training: `size` samples in batches of `batch_size`, shuffled anew each epoch.

    The last samples of an epoch that fill no batch are left out of that epoch. Of each batch, the
    process of a `rank` reads its share, which is one of `ranks` of equal size.
    """

    seed: int
    size: int
    batch_size: int
    first_step: int = 0
    rank: int = 0
    ranks: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """Number of full batches in an epoch."""
        return self.size // self.batch_size

    def batches(self, epoch: int) -> list[list[tuple[int, int]]]:
        """This rank's share of each batch of one epoch, a list of (epoch, sample)."""
        rows = [(epoch, index) for index in self._permutation(epoch)]
        share = self.batch_size // self.ranks
        starts = [i * self.batch_size + self.rank * share for i in range(self.steps_per_epoch)]
        return [rows[start : start + share] for start in starts]

    def _permutation(self, epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", epoch))
        return cast(list[int], torch.randperm(self.size, generator=generator).tolist())


def derive_seed(seed: int, scope: str, *position: int | str) -> int:
    """A 63-bit seed for one scope ("build", "step", "sample"...) and a position in it.

    A text ("encoders.image") may be the last of a position.
    """
    text = ":".join([str(seed), scope, *map(str, position)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def random_scope(seed: int, scope: str, *position: int | str) -> Iterator[None]:
    """Draw inside from ambient generators seeded for this scope; they are put back after.

    What is drawn inside and outside do not depend on each other, and inside on nothing but the
    scope: whoever draws more or less changes nobody else's numbers.
    """
    with preserved_generators():
        seed_generators(derive_seed(seed, scope, *position))
        yield


@contextmanager
def preserved_generators() -> Iterator[None]:
    """Put the ambient random generators of torch, NumPy and Python back as they were (RNG state).

    Those of CUDA devices too, where one is in use before.
    """
    host = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    devices = _cuda_states()
    try:
        yield
    finally:
        torch.random.set_rng_state(host[0])
        np.random.set_state(host[1])
        random.setstate(host[2])
        if devices:
            torch.cuda.set_rng_state_all(devices)


class Generators:
    """The ambient random generators of torch, NumPy and Python as a part of a training's state."""

    def state_dict(self) -> dict[str, Any]:  # Any: as torch's
        """Where they are, those of CUDA devices too where one is in use."""
        _, keys, *numpy = np.random.get_state(legacy=True)
        version, words, gauss = random.getstate()
        return {
            "torch": torch.random.get_rng_state(),
            "cuda": _cuda_states(),
            "numpy": [torch.from_numpy(np.asarray(keys, np.int64)), *numpy],
            "python": [version, torch.from_numpy(np.asarray(words, np.int64)), gauss],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # as above
        """Go on from there."""
        torch.random.set_rng_state(state_dict["torch"])
        if state_dict["cuda"]:
            torch.cuda.set_rng_state_all(state_dict["cuda"])
        keys, *numpy = state_dict["numpy"]
        np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *numpy))
        version, words, gauss = state_dict["python"]
        random.setstate((version, tuple(words.tolist()), gauss))


def _cuda_states() -> list[torch.Tensor]:
    is_in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.get_rng_state_all() if is_in_use else []


def seed_generators(seed: int) -> None:
    """Seed the ambient generators of torch (every device in use), NumPy and Python."""
    seed_host_generators(seed)
    seed_torch(seed)


def seed_torch(seed: int) -> None:
    """Seed the ambient generators of torch, which modules draw from: every device in use."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)


def seed_host_generators(seed: int) -> None:
    """Seed the generators that transforms draw from: torch's on the host, NumPy's, Python's.

    `torch.manual_seed` does the same, but at 120 us a call (measured, torch 2.15) it would cost
    more than a step of a small model: it queues the seed for devices nobody uses.
    """
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    random.seed(seed)


class Forever:
    """Batches of (epoch, sample) in an order, without end."""

    def __init__(self, order: Order) -> None:
        self.order = order

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        first_epoch, position = divmod(self.order.first_step, self.order.steps_per_epoch)
        for epoch in itertools.count(first_epoch):
            yield from self.order.batches(epoch)[position if epoch == first_epoch else 0 :]
