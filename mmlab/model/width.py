"""The size of a model: its parameters and operations (FLOPs), and the width that meets a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmlab.data.splits import Splits, output_count, reference_names
from mmlab.errors import PluginError, SpecError, explain
from mmlab.hashing import digest
from mmlab.model.components import (
    FusionAndHead,
    make_encoders,
    make_fusion_and_head,
)
from mmlab.model.device import leave_out_compiler
from mmlab.model.model import Model, Step
from mmlab.model.room import Room
from mmlab.plan.options import check_options
from mmlab.plan.plan import Plan
from mmlab.plugin import GENERATED, Batch, Encoder, Features, Generation
from mmlab.records import Match

if TYPE_CHECKING:
    from torch.utils.flop_counter import FlopCounterMode


def count_parameters(step: Step) -> dict[str, int]:
    """Parameters of encoders, fusion, head (the scorer of pairs included), losses and generator."""
    model = step.model
    parts: Mapping[str, list[nn.Module | None]] = {
        "encoders": [model.encoders],
        "fusion": [model.fusion],
        "head": [model.head, model.scorer],
        "losses": [step.losses],
    }
    if model.generator is not None:
        parts = {**parts, "generator": [model.generator]}
    return {
        name: sum(p.numel() for m in modules if m is not None for p in m.parameters())
        for name, modules in parts.items()
    }


def count_flops(model: Model, batch: Batch) -> dict[str, int]:
    """Floating-point operations of one forward pass in evaluation mode, for each sample, by part.

    Counted are products of matrices, convolutions and attention, a multiplication and an addition
    each: what `torch.utils.flop_counter` knows. Elementwise operations, norms and Fourier
    transforms are not, and neither is the scoring of pairs, whose number is that of the samples
    squared. The mean of the batch, rounded.
    """
    mode = model.training
    model.eval()
    try:
        return _numbers(model, batch)
    finally:
        model.train(mode)


def _numbers(model: Model, batch: Batch) -> dict[str, int]:
    samples = max(1, len(batch.index))
    with _counting() as encoders:
        features = {
            key: _encode(model, key, x, batch)
            for key, x in batch.inputs.items()
            if key != GENERATED
        }
    with _counting() as joint:
        outputs = model.outputs(features)
        fused = outputs.fused
    with _counting() as head:
        if model.head is not None and fused is not None:
            model.head(fused)
    counts = {name: c.get_total_flops() for name, c in (("encoders", encoders), ("head", head))}
    counts["fusion"] = joint.get_total_flops() - counts["head"]
    if outputs.generation is not None:
        counts["generator"] = _generation_flops(outputs.generation, batch)
    return {name: round(count / samples) for name, count in sorted(counts.items())}


def _generation_flops(generation: Generation, batch: Batch) -> int:
    """Those of one pass of a generator over a batch; evaluation makes several."""
    from mmlab.model.generation import VALIDATION_TIMES  # few models generate

    with _counting() as counted:
        generation.terms(batch)
    return int(counted.get_total_flops() // VALIDATION_TIMES)


def _encode(model: Model, key: str, x: Tensor, batch: Batch) -> Features:
    return model.encode(key, x, batch.present[key])


@contextmanager
def _counting() -> Iterator[FlopCounterMode]:
    """No gradients, and attention as products: the counter knows no fused kernel of a CPU."""
    from torch.utils.flop_counter import FlopCounterMode  # imports a compiler of kernels

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as c:
            leave_out_compiler(type(c.mode).__torch_dispatch__)
            yield c
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


#: The largest width that is tried.
LARGEST_WIDTH = 1 << 20

#: Neighbouring widths that are tried where an operator refuses one, for it may take multiples only.
NEIGHBOURS = 64

#: Parameters at a width; None where the operator refuses it.
Count = Callable[[int], int | None]


@dataclass(frozen=True)
class Widths:
    """What the fusion of a plan is made for."""

    dims: Sequence[int]
    token_dims: Sequence[int | None]
    outputs: int


class WidthMatcher:
    """Matches the plans of a command; encoders are made once for all plans that share them."""

    def __init__(self, splits: Splits) -> None:
        self.splits = splits
        self._known: dict[str, tuple[Sequence[int], Sequence[int | None]]] = {}

    def match(self, plan: Plan) -> Plan:
        """The plan with the width that its budget asks for; as it is where there is no budget.

        Raises SpecError where the operator refuses every width, and PluginError where it cannot be
        made on the meta device.
        """
        budget = plan.cell.budget
        if budget is None:
            return plan
        widths, option = self._widths(plan), plan.width_option
        if option is None:
            count = _on_meta(plan, widths).parameter_count()
            return replace(plan, match=Match(budget, count, None, None))
        value = nearest_width(lambda width: _count(plan, widths, option, width), budget)
        chosen = with_width(plan, option, value or 1)
        count = _on_meta(chosen, widths).parameter_count()
        return replace(chosen, match=Match(budget, count, option, value))

    def _widths(self, plan: Plan) -> Widths:
        key = digest(
            [
                [encoder.identity(), plan.modality(name), name in plan.inputs]
                for name, encoder in plan.encoders.items()
            ]
            + [list(plan.inputs), sorted(plan.reads)]
        )
        if key not in self._known:
            encoders = make_encoders(plan, Room(plan, torch.device("cpu")))
            used = [cast(Encoder, encoders[name]) for name in plan.inputs]
            self._known[key] = [e.dim for e in used], [e.token_dim for e in used]
        dims, token_dims = self._known[key]
        names = reference_names(self.splits.reference(plan))
        return Widths(dims, token_dims, output_count(plan, names))


def with_width(plan: Plan, option: str, value: int) -> Plan:
    """The plan with one option of its fusion set."""
    fusion = replace(plan.fusion, options={**plan.fusion.options, option: value})
    return replace(plan, fusion=fusion)


def nearest_width(count: Count, budget: int) -> int | None:
    """The width whose parameters are next to the budget, the smaller one of two; None without any.

    Parameters must not fall as the width grows. Refused widths are passed over, up to NEIGHBOURS in
    a row.
    """
    below, above, end = _bracket(count, budget)
    low, high = below or 0, end
    while high - low > 1:
        middle = (low + high) // 2
        found = _first(count, [*range(middle, low, -1)][:NEIGHBOURS])
        found = found or _first(count, [*range(middle + 1, high)][:NEIGHBOURS])
        if found is None:
            high = middle
        elif cast(int, count(found)) <= budget:
            low = below = found
        else:
            high = above = found
    candidates = [width for width in (below, above) if width is not None]
    return min(candidates, key=lambda width: abs(cast(int, count(width)) - budget), default=None)


def _bracket(count: Count, budget: int) -> tuple[int | None, int | None, int]:
    """A width within the budget, one above it if there is any, and an end of the search."""
    below, start = None, 1
    while start <= LARGEST_WIDTH:
        found = _first(count, range(start, min(2 * start, start + NEIGHBOURS)))
        if found is not None and cast(int, count(found)) > budget:
            return below, found, found
        below, start = found or below, 2 * start
    return below, None, min(LARGEST_WIDTH, 2 * (below or 1) + NEIGHBOURS)


def _first(count: Count, widths: Sequence[int]) -> int | None:
    """The first width that is not refused."""
    return next((width for width in widths if count(width) is not None), None)


def _count(plan: Plan, widths: Widths, option: str, width: int) -> int | None:
    there = with_width(plan, option, width)
    fusion = there.fusion
    _, faults = check_options("fusion", fusion.entry.name, fusion.factory, fusion.options)
    if faults:
        return None
    try:
        return _on_meta(there, widths).parameter_count()
    except SpecError:
        return None


def _on_meta(plan: Plan, widths: Widths) -> FusionAndHead:
    try:
        with torch.device("meta"):
            return make_fusion_and_head(plan, widths.dims, widths.token_dims, widths.outputs)
    except (NotImplementedError, RuntimeError) as error:
        raise _unmade(plan, error) from error


def _unmade(plan: Plan, error: Exception) -> PluginError:
    entry = plan.fusion.entry
    return PluginError(
        explain(
            f"fusion {entry.name!r} of {entry.distribution}",
            "its parameters cannot be counted: it cannot be made on torch's meta device",
            found=str(error).splitlines()[0],
            allowed="modules whose making reads no values of tensors; `mmlab.testing` checks this",
            next_step='tell the plugin\'s author, or leave out sweep.match = "parameters"',
        )
    )
