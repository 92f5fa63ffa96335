"""all_gather with gradient: features of a whole batch of which each process encodes its share.

With B samples and R processes, each encodes B / R rows, and every one of them computes the losses
on all B. The gradient of a gathered feature is the sum over the processes, of which each has the
same loss, so it is R times the gradient; averaging parameters' gradients over the processes, as
torch's wrappers do, makes it exact, and leaves exact what every process computes alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from mmlab.data.order import derive_seed
from mmlab.model.model import Model
from mmlab.plugin import Batch, Encode, Features
from mmlab.train.processes import ProcessGroup


class Gathered:
    """`encode` of several processes: each its own rows, features of all rows for each.

    `model` says whether it is training; in evaluation every process encodes everything.
    Encoding draws its random numbers apart: each process its own, while what losses draw stays the
    same on all of them.
    """

    def __init__(self, encode: Encode, model: Model, group: ProcessGroup) -> None:
        self.encode = encode
        self.model = model
        self.group = group
        self._seed, self._calls = 0, 0

    def __call__(self, key: str, x: Tensor) -> Features:
        """Features of x, of which every process has all rows; any number of them."""
        if not self.model.training:
            return self.encode(key, x)
        share = -(-len(x) // self.group.size)
        filled = torch.cat([x, x[:1].expand(share * self.group.size - len(x), *x.shape[1:])])
        rows = filled[self.group.rank * share : (self.group.rank + 1) * share]
        return _map(self.own(key, rows), lambda y: y[: len(x)])

    def own(self, key: str, x: Tensor) -> Features:
        """Features of all processes' rows, of which x are this one's."""
        if not self.model.training:
            return self.encode(key, x)
        with self._randomness_apart(x.device):
            features = self.encode(key, x)
        return _map(features, lambda y: _gather(y, self.group.size))

    def batch(self, batch: Batch) -> Batch:
        """The whole batch, of which `batch` is this process' part; inputs are sent when read."""
        if not self.model.training:
            return batch
        size = self.group.size
        small = replace(batch, inputs={}, views={}).map(lambda x: _gather(x, size))
        inputs = _Inputs(batch.inputs, lambda x: _gather(x, size))
        views = _Inputs(batch.views, lambda x: _gather(x.transpose(0, 1), size).transpose(0, 1))
        return replace(small, inputs=inputs, views=views)

    @contextmanager
    def _randomness_apart(self, device: torch.device) -> Iterator[None]:
        """Seed torch by step, call and rank, and afterwards go on as if nothing had been drawn."""
        step_seed = torch.initial_seed()
        self._calls = self._calls + 1 if step_seed == self._seed else 0
        self._seed = step_seed
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(derive_seed(step_seed, "encode", self._calls, self.group.rank))
            yield


class _Inputs(Mapping[str, Tensor]):
    """Tensors that are made whole when they are asked for: most losses never look at pixels."""

    def __init__(self, own: Mapping[str, Tensor], gather: Callable[[Tensor], Tensor]) -> None:
        self._own = own
        self._gather = gather
        self._whole: dict[str, Tensor] = {}

    def __getitem__(self, key: str) -> Tensor:
        if key not in self._whole:
            self._whole[key] = self._gather(self._own[key])
        return self._whole[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


class _Gather(torch.autograd.Function):
    """(b, ...) of each process -> (R * b, ...) on all; backward, the sum of each one's rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int) -> Tensor:  # Any: torch's own type is private
        ctx.size = size
        return _concatenate(x, size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        parts = [part.contiguous() for part in gradient.chunk(ctx.size)]
        own = torch.empty_like(parts[0])
        dist.reduce_scatter(own, parts)
        return own, None


def _gather(x: Tensor, size: int) -> Tensor:
    if x.requires_grad:
        gathered: Tensor = _Gather.apply(x, size)
        return gathered
    return _concatenate(x, size)


def _concatenate(x: Tensor, size: int) -> Tensor:
    parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(size)]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def _map(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    return replace(
        features,
        pooled=change(features.pooled),
        tokens=None if features.tokens is None else change(features.tokens),
        mask=None if features.mask is None else change(features.mask),
        present=change(features.present),
    )
