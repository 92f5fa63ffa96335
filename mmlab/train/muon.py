"""Muon for hidden matrices, AdamW for all else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.train.optimizers import (
    WHOLE_ONLY,
    AdamW,
    Betas,
    Epsilon,
    Momentum,
    ParameterGroup,
    changed_tensors,
    kept_where,
    start_momentum,
    without_compiler,
)


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

    parallel = WHOLE_ONLY
    copies = 1

    def __init__(
        self,
        groups: Sequence[ParameterGroup],
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
    def param_groups(self) -> list[ParameterGroup]:
        """The groups of both."""
        return [group for part in self._parts.values() for group in part.param_groups]

    def step(self) -> None:
        """One step of both."""
        for part in self._parts.values():
            part.step()

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

    def __init__(
        self, groups: Sequence[ParameterGroup], **options: Any
    ) -> None:  # Any: torch checks them
        super().__init__(groups, **options)
        start_momentum(self)

    step = without_compiler(torch.optim.Muon.step)

    def step_unless(self, broken: Tensor) -> None:
        """One step, taken back where `broken` is 1."""
        with kept_where(broken, changed_tensors(self)):
            self.step()


def _select(
    groups: Sequence[ParameterGroup], wanted: Callable[[nn.Parameter], bool]
) -> list[ParameterGroup]:
    """The groups with those of their parameters that are wanted; those that have some."""
    chosen = [{**group, "params": list(filter(wanted, group["params"]))} for group in groups]
    return [group for group in chosen if group["params"]]
