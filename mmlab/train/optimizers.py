"""Optimisers: torch's, each with a guard against steps whose loss or gradient is not finite.

The guard leaves weights and state as they were, on the device alone: the host never waits for it.
AdamW's fused kernel skips such a step by itself. The others take it and put back what was there
before, which costs a copy of weights and state, and the time to write them twice, each step; on the
CPU, where the host knows, the step is left out and costs nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Protocol

import torch
from pydantic import Field
from torch import Tensor

from mmlab.model.device import local

#: Parameters that learn alike: "params", their "weight_decay", and "scale", their factor of the lr.
ParameterGroup = dict[str, Any]  # Any: torch's own type of a parameter group

Momentum = Annotated[float, Field(ge=0, lt=1)]
Betas = Annotated[tuple[Momentum, Momentum], Field(description="AdamW's decay of its two averages")]
Epsilon = Annotated[
    float, Field(gt=0, description="added to AdamW's root mean square of the gradient")
]

#: What `train.parallel` says of processes that each keep a share of the parameters, or all.
ANY_SHARE = frozenset({"ddp", "fsdp"})
WHOLE_ONLY = frozenset({"ddp"})


class Optimizer(Protocol):
    """What changes the weights. Factory: `(groups, lr, matrices, *, options)`.

    `groups` are parameter groups; before each step "lr" of each is set to the schedule's rate times
    the group's "scale". `matrices` holds the weights of hidden linear maps. `parallel` names the
    values of `train.parallel` that the optimiser goes with. One that also has `copies` says how
    many numbers it keeps for each that it changes, at least.
    """

    parallel: ClassVar[frozenset[str]]

    @property
    def param_groups(self) -> list[ParameterGroup]:
        """The groups, with whatever else the optimiser keeps in them."""

    def step(self) -> object:
        """Change the weights by their gradients."""

    def step_unless(self, broken: Tensor) -> None:
        """As `step`, but change no weight and no state where `broken` (a number) is 1, not 0.

        It is on the weights' device, and nothing is read back from there.
        """

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""

    def state_dict(self) -> dict[str, Any]:
        """All that a step depends on beside weights, gradients and the groups' rates."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from such a state."""


def without_compiler(step: Callable[..., object]) -> Callable[..., Any]:
    """The `step` of one of torch's optimisers that imports no compiler, which takes 2 s a process.

    torch imports it only to say where compiled code would have to pause, and turns gradients off.
    """
    plain: Callable[..., Any] = torch.no_grad()(inspect.unwrap(step))
    return plain


class AdamW(torch.optim.AdamW):
    """AdamW, fused: Adam with decoupled weight decay.

    Source: Loshchilov and Hutter, arXiv:1711.05101, algorithm 2, as torch has it.
    """

    parallel = ANY_SHARE
    copies = 2

    def __init__(
        self,
        groups: Sequence[ParameterGroup],
        lr: float,
        *,
        betas: Betas = (0.9, 0.98),
        eps: Epsilon = 1e-8,
    ) -> None:
        super().__init__(groups, lr=lr, betas=betas, eps=eps, fused=True)
        # Both are read by the fused step.
        self.grad_scale: Tensor | None = None
        self.found_inf: Tensor | None = None

    step = without_compiler(torch.optim.AdamW.step)

    def step_unless(self, broken: Tensor) -> None:
        """One step, skipped by the kernel where `broken` is 1."""
        self.found_inf = broken
        self.step()
        self.found_inf = None


class SGD(torch.optim.SGD):
    """Stochastic gradient descent with momentum, as torch has it.

    Weight decay is added to the gradient, so that momentum carries it on: with momentum 0.9 the
    same `train.weight_decay` shrinks weights ten times as fast as AdamW's. 1e-4 is usual.
    """

    parallel = ANY_SHARE
    copies = 1  # none without momentum

    def __init__(
        self,
        groups: Sequence[ParameterGroup],
        lr: float,
        *,
        momentum: Annotated[Momentum, Field(description="decay of the sum of gradients")] = 0.9,
        nesterov: Annotated[bool, Field(description="look ahead along the momentum")] = False,
    ) -> None:
        looks_ahead = nesterov and momentum > 0  # torch refuses to where it would change nothing
        super().__init__(groups, lr=lr, momentum=momentum, nesterov=looks_ahead)
        if momentum:
            start_momentum(self)

    step = without_compiler(torch.optim.SGD.step)

    def step_unless(self, broken: Tensor) -> None:
        """One step, taken back where `broken` is 1."""
        with kept_where(broken, changed_tensors(self)):
            self.step()


@contextmanager
def kept_where(broken: Tensor, tensors: Iterable[Tensor]) -> Iterator[None]:
    """Run the block, and put back what the tensors held before it where `broken` is 1.

    Nothing is read from the device. All tensors are on that of `broken`.
    """
    now = [local(x.detach()) for x in tensors]
    before = [x.clone() for x in now]
    yield
    for x, old in zip(now, before, strict=True):
        x.copy_(torch.where(broken.bool(), old, x))


def changed_tensors(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    """All that a step may change."""
    for parameter in parameters_of(optimizer):
        yield parameter
        yield from optimizer.state[parameter].values()


def parameters_of(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    """What an optimiser changes, group by group."""
    for group in optimizer.param_groups:
        yield from group["params"]


def start_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Begin at zero, which the first step would do too late for its guard."""
    for parameter in parameters_of(optimizer):
        optimizer.state[parameter] = {"momentum_buffer": torch.zeros_like(parameter)}
