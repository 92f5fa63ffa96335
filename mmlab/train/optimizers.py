"""Optimisers: torch's, each with a guard against steps whose loss or gradient is not finite.

The guard leaves weights and state as they were, on the device alone: the host never waits for it.
AdamW's fused kernel skips such a step by itself. The others take it and put back what was there
before, which costs a copy of weights and state, and the time to write them twice, each step; on the
CPU, where the host knows, the step is left out and costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.model.sharding import local

#: Parameters that learn alike: "params", their "weight_decay", and "scale", their factor of the lr.
Group = dict[str, Any]  # Any: torch's own type of a parameter group

Momentum = Annotated[float, Field(ge=0, lt=1)]
Betas = Annotated[tuple[Momentum, Momentum], Field(description="AdamW's decay of its two averages")]
Epsilon = Annotated[
    float, Field(gt=0, description="added to AdamW's root mean square of the gradient")
]

#: What `train.parallel` says of processes that each keep a share of the parameters, or all.
_ANY = frozenset({"ddp", "fsdp"})
_WHOLE = frozenset({"ddp"})


class Optimizer(Protocol):
    """What changes the weights. Factory: `(groups, lr, matrices, *, options)`.

    `groups` are parameter groups; before each step "lr" of each is set to the schedule's rate times
    the group's "scale". `matrices` holds the weights of hidden linear maps. `parallel` names the
    values of `train.parallel` that the optimiser goes with.
    """

    parallel: ClassVar[frozenset[str]]

    @property
    def param_groups(self) -> list[Group]:
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


class AdamW(torch.optim.AdamW):
    """AdamW, fused: Adam with decoupled weight decay.

    Source: Loshchilov and Hutter, arXiv:1711.05101, algorithm 2, as torch has it.
    """

    parallel = _ANY

    def __init__(
        self, groups: Sequence[Group], lr: float, *, betas: Betas = (0.9, 0.98), eps: Epsilon = 1e-8
    ) -> None:
        super().__init__(groups, lr=lr, betas=betas, eps=eps, fused=True)
        # Both are read by the fused step.
        self.grad_scale: Tensor | None = None
        self.found_inf: Tensor | None = None

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

    parallel = _ANY

    def __init__(
        self,
        groups: Sequence[Group],
        lr: float,
        *,
        momentum: Annotated[Momentum, Field(description="decay of the sum of gradients")] = 0.9,
        nesterov: Annotated[bool, Field(description="look ahead along the momentum")] = False,
    ) -> None:
        looks_ahead = nesterov and momentum > 0  # torch refuses to where it would change nothing
        super().__init__(groups, lr=lr, momentum=momentum, nesterov=looks_ahead)
        if momentum:
            _start_momentum(self)

    def step_unless(self, broken: Tensor) -> None:
        """One step, taken back where `broken` is 1."""
        with kept_where(broken, _tensors(self)):
            self.step()


class Adafactor(torch.optim.Optimizer):
    """Adafactor: of each matrix's squared gradients only row and column means are kept.

    The numbers of torch's Adafactor, which reads two norms of each parameter back from the device
    at every step; this one reads nothing. `train.lr` is relative: a step changes a parameter
    by at most lr, or one over the root of the step if that is less, times its root mean square.
    1e-2 is usual. Weight decay is decoupled. Source: Shazeer and Stern, arXiv:1804.04235.
    """

    parallel = _WHOLE

    def __init__(
        self,
        groups: Sequence[Group],
        lr: float,
        *,
        beta2_decay: Annotated[
            float, Field(le=0, description="the decay of the means is 1 - step ** beta2_decay")
        ] = -0.8,
        eps: Annotated[
            tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]],
            Field(description="least root mean square of a gradient, and of a parameter"),
        ] = (2.0**-23, 1e-3),
        clip: Annotated[
            float, Field(ge=1, description="largest root mean square of an update, before the rate")
        ] = 1.0,
    ) -> None:
        super().__init__(groups, {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "clip": clip})
        for parameter in _parameters(self):
            self.state[parameter] = _start_means(parameter)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def step_unless(self, broken: Tensor) -> None:
        """One step, taken back where `broken` is 1."""
        with kept_where(broken, _tensors(self)):
            self.step()

    def _update(self, parameter: Tensor, gradient: Tensor, group: Group) -> None:
        (least, least_size), lr = group["eps"], group["lr"]
        state, root = self.state[parameter], math.sqrt(parameter.numel())
        count = state["count"].add_(1)
        rate = count.rsqrt().clamp(max=lr)
        rate = rate * (torch.linalg.vector_norm(parameter) / root).clamp(min=least_size)
        parameter.mul_(1 - lr * group["weight_decay"])
        update = _mean_square(state, gradient, count ** group["beta2_decay"], least)
        update = update.clamp_(min=least * least).rsqrt_().mul_(gradient)
        excess = (torch.linalg.vector_norm(update) / (root * group["clip"])).clamp(min=1)
        parameter.sub_(update.mul_(rate / excess))


def _start_means(parameter: Tensor) -> dict[str, Tensor]:
    """Adafactor's state of a parameter before its first step: all on its device."""
    zeros = torch.zeros_like(parameter)
    if parameter.ndim < 2:
        return {"count": zeros.new_zeros(()), "variance": zeros}
    rows, columns = zeros[..., :1].contiguous(), zeros[..., :1, :].contiguous()
    return {"count": zeros.new_zeros(()), "row_var": rows, "col_var": columns}


def _mean_square(state: dict[str, Tensor], gradient: Tensor, new: Tensor, least: float) -> Tensor:
    """Take the gradient in with a weight of `new`, and estimate each element's mean square."""
    if gradient.ndim < 2:
        return state["variance"].lerp_(gradient * gradient, new).clone()
    rows, columns = state["row_var"], state["col_var"]
    squares = gradient * gradient
    rows.lerp_(squares.mean(dim=-1, keepdim=True), new)
    columns.lerp_(squares.mean(dim=-2, keepdim=True), new)
    return (rows @ columns).div_(rows.mean(dim=-2, keepdim=True).clamp_(min=least))


class Muon:
    """Muon for the weights of hidden linear maps, AdamW for all else.

    Muon steps along the nearest half-orthogonal matrix to the momentum. By its author's advice it
    has no part in embeddings, output layers, biases and norms; here nor in convolutions, adapters
    and raw parameters (torch's takes matrices alone), nor in heads and losses. First layers that
    are linear maps cannot be told from hidden ones, and the maps to queries, keys and values of
    torch's MultiheadAttention are one matrix. torch computes the step in bfloat16.

    Source: Jordan et al., https://kellerjordan.github.io/posts/muon; "match_rms_adamw" is Liu et
    al., arXiv:2502.16982, section 2.2: `train.lr` and `train.weight_decay` fit both optimisers.
    """

    parallel = _WHOLE

    def __init__(
        self,
        groups: Sequence[Group],
        lr: float,
        matrices: Collection[nn.Parameter],
        *,
        momentum: Annotated[Momentum, Field(description="decay of the mean gradient")] = 0.95,
        nesterov: Annotated[bool, Field(description="look ahead along the momentum")] = True,
        iterations: Annotated[
            int, Field(ge=1, lt=100, description="of Newton and Schulz, towards orthogonality")
        ] = 5,
        adjust: Annotated[
            Literal["match_rms_adamw", "original"],
            Field(description="step of an A x B matrix: 0.2 sqrt(max(A, B)), or sqrt(max(1, A/B))"),
        ] = "match_rms_adamw",
        adamw_scale: Annotated[
            float, Field(gt=0, description="factor of train.lr for what AdamW changes")
        ] = 1.0,
        betas: Betas = (0.9, 0.98),
        eps: Epsilon = 1e-8,
    ) -> None:
        self._parts: dict[str, _Matrices | AdamW] = {}
        if hidden := _select(groups, lambda p: p in matrices):
            self._parts["muon"] = _Matrices(
                hidden,
                lr=lr,
                momentum=momentum,
                nesterov=nesterov,
                ns_steps=iterations,
                adjust_lr_fn=adjust,
            )
        if others := _select(groups, lambda p: p not in matrices):
            scaled = [{**group, "scale": adamw_scale * group["scale"]} for group in others]
            self._parts["adamw"] = AdamW(scaled, lr, betas=betas, eps=eps)

    @property
    def param_groups(self) -> list[Group]:
        """The groups of both."""
        return [group for part in self._parts.values() for group in part.param_groups]

    def step(self) -> None:
        """One step of both."""
        for part in self._parts.values():
            part.step()  # type: ignore[no-untyped-call]

    def step_unless(self, broken: Tensor) -> None:
        """One step of both, skipped or taken back where `broken` is 1."""
        for part in self._parts.values():
            part.step_unless(broken)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for part in self._parts.values():
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:  # Any: as torch's optimisers
        """The states of both, by name."""
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:  # as above
        """Go on from such a state."""
        for name, part in self._parts.items():
            part.load_state_dict(state_dict[name])


class _Matrices(torch.optim.Muon):
    """torch's Muon with a guard; its momentum is there before the first step."""

    def __init__(self, groups: Sequence[Group], **options: Any) -> None:  # Any: torch checks them
        super().__init__(groups, **options)
        _start_momentum(self)

    def step_unless(self, broken: Tensor) -> None:
        """One step, taken back where `broken` is 1."""
        with kept_where(broken, _tensors(self)):
            self.step()  # type: ignore[no-untyped-call]


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


def _tensors(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    """All that a step may change."""
    for parameter in _parameters(optimizer):
        yield parameter
        yield from optimizer.state[parameter].values()


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _start_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Begin at zero, which the first step would do too late for its guard."""
    for parameter in _parameters(optimizer):
        optimizer.state[parameter] = {"momentum_buffer": torch.zeros_like(parameter)}


def _select(groups: Sequence[Group], wanted: Callable[[nn.Parameter], bool]) -> list[Group]:
    """The groups with those of their parameters that are wanted; those that have some."""
    chosen = [{**group, "params": list(filter(wanted, group["params"]))} for group in groups]
    return [group for group in chosen if group["params"]]
