"""Gradients and passes of a fusion: at zero vectors, at its inputs, against finite differences."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mmlab.plugin import Features, SimilarityFusion
from mmlab.testing.claims import breach
from mmlab.testing.gradients import require_gradients
from mmlab.testing.modules import Run, weighted_sum
from mmlab.testing.tools import (
    STEP,
    ambient,
    as_leaves,
    map_values,
    require,
    require_finite,
    values_of,
    with_values,
    without_first,
)
from mmlab.testing.untouched import untouched

#: Vectors are made so short, for many a division is sound at 0 and explodes beside it.
SCALES = (0.0, 1e-11, 1e-8, 1e-5)


def check_zero(fusion: Any, features: Sequence[Features]) -> None:
    """Zero and very short vectors of any inputs give finite results and gradients below 1e9."""
    for subset, scale in itertools.product(subsets(len(features)), SCALES):
        where = "vectors next to zero" if scale else "zero vectors"
        shorten = partial(torch.mul, scale)
        short = [map_values(f, shorten) if i in subset else f for i, f in enumerate(features)]
        leaves = [as_leaves(f) for f in short]
        results = run_on(leaves)(fusion.eval())
        for name, x in results.items():
            require_finite(x, f"{name} of {where}")
        weighted_sum(results).backward()  # type: ignore[no-untyped-call]
        for gradient in _gradients(leaves):
            require_finite(gradient, f"the gradient at {where}")
            is_small = float(gradient.abs().max()) < 1e9
            require(is_small, f"the gradient at {where} must stay below 1e9")
    fusion.zero_grad()


def check_untouched(fusion: Any, features: Sequence[Features]) -> None:
    """Neither `project` nor `fuse` and `score` write to the features that they are given."""
    for is_training in (False, True):
        fusion.train(is_training)
        with torch.no_grad(), ambient(STEP):
            with untouched("project", {"the features": features}):
                projected = [fusion.project(i, f) for i, f in enumerate(features)]
            with untouched("fuse", {"the projected features": projected}):
                fuse(fusion, projected)
            with untouched("score", {"the projected features": projected}):
                score(fusion, projected)


def check_absent_values(fusion: Any, features: Sequence[Features]) -> None:
    """Sample 0 lacks each input, whose values are NaN: nothing that comes out may be NaN."""
    for position in range(len(features)):
        with_nan = list(features)
        with_nan[position] = without_first(features[position], torch.nan)
        with torch.no_grad():
            found = run_on(with_nan)(fusion.eval())
        for name, x in found.items():
            if not bool(x.isfinite().all()):
                breach(
                    "what an absent input holds means nothing, and is not computed with",
                    "project",
                    f"{name} is not finite where input {position} is absent and holds NaN",
                    "`x.masked_fill(~features.present.unsqueeze(-1), 0)`: zero times NaN is NaN",
                )


def check_input_gradients(fusion: Any, features: Sequence[Features]) -> None:
    """In training every input gets a finite gradient that is not all zero."""
    leaves = [as_leaves(f) for f in features]
    with ambient(STEP):
        results = run_on(leaves)(fusion.train())
    weighted_sum(results).backward()  # type: ignore[no-untyped-call]
    for position, leaf in enumerate(leaves):
        gradients = _gradients([leaf])
        for gradient in gradients:
            require_finite(gradient, f"the gradient at input {position}")
        reaches = any(bool((gradient != 0).any()) for gradient in gradients)
        require(reaches, f"input {position} must receive a gradient")
    fusion.zero_grad()


def _gradients(leaves: Sequence[Features]) -> list[Tensor]:
    return [x.grad for leaf in leaves for x in values_of(leaf) if x.grad is not None]


def check_finite_differences(fusion: Any, features: Sequence[Features]) -> None:
    """In float64 and evaluation mode, gradients at inputs and parameters are finite differences."""
    there = _Passed(copy.deepcopy(fusion).double().eval())
    leaves = [as_leaves(map_values(f, Tensor.double)) for f in features]
    names = [name for name, parameter in there.named_parameters() if parameter.requires_grad]
    parameters = [there.get_parameter(name).detach().requires_grad_() for name in names]
    count = sum(len(values_of(leaf)) for leaf in leaves)

    def results(*values: Tensor) -> tuple[Tensor, ...]:
        changed = dict(zip(names, values[count:], strict=True))
        made = with_values(leaves, values[:count])
        return functional_call(there, changed, (made,))  # type: ignore[no-any-return]  # of torch

    values = (*(x for leaf in leaves for x in values_of(leaf)), *parameters)
    require_gradients("fuse or score", results, values)


class _Passed(nn.Module):
    """A fusion whose pass is a forward, in which torch can replace parameters."""

    def __init__(self, fusion: nn.Module) -> None:
        super().__init__()
        self.fusion = fusion

    def forward(self, features: Sequence[Features]) -> tuple[Tensor, ...]:
        return tuple(run_on(features)(self.fusion).values())


def run_on(features: Sequence[Features]) -> Run:
    """The fusion's results for features that were not projected yet, by name."""

    def run(fusion: Any) -> dict[str, Tensor]:  # Any: an nn.Module that also keeps a contract
        return join(fusion, [fusion.project(i, f) for i, f in enumerate(features)])

    return run


def join(fusion: Any, projected: Sequence[Features]) -> dict[str, Tensor]:
    """All that a fusion gives for projected features."""
    return {**fuse(fusion, projected), **score(fusion, projected)}


def fuse(fusion: Any, projected: Sequence[Features]) -> dict[str, Tensor]:
    """The vector, if the fusion gives one; leading axes broadcast."""
    return {"fused": fusion.fuse(*projected)} if hasattr(fusion, "fuse") else {}


def score(fusion: Any, projected: Sequence[Features]) -> dict[str, Tensor]:
    """The scores of all pairs of rows, if the fusion gives them; of more inputs than two, none."""
    if not isinstance(fusion, SimilarityFusion) or len(projected) > 2:
        return {}
    scores = fusion.score(*projected)
    return {"forward": scores.forward, "backward": scores.backward}


def subsets(count: int) -> Iterator[tuple[int, ...]]:
    """Every choice of some of the inputs."""
    for size in range(1, count + 1):
        yield from combinations(range(count), size)
