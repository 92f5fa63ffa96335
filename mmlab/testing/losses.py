"""The conformance check for losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from mmlab.errors import MmlabError
from mmlab.plugin import LOSS, Calibrated, Inquiring, Shapes, Stepped
from mmlab.testing.modules import (
    Run,
    check_evaluation,
    check_gpu,
    check_gradients,
    check_state,
    check_training_draws,
)
from mmlab.testing.passes import SHAPES, Pass, make_pass
from mmlab.testing.tools import (
    BF16_TOLERANCE,
    BUILD,
    ORDER_TOLERANCE,
    OTHER,
    STEP,
    ContractError,
    Factory,
    ambient,
    build,
    check_metrics,
    check_schema,
    require,
    require_close,
    require_finite,
)

#: Largest error of blocks of rows in float64, relative to the largest value.
CHUNK_TOLERANCE = 1e-12

READS = frozenset(
    {
        "similarity",
        "prediction",
        "labels",
        "targets",
        "fused",
        "tokens",
        "vocabulary",
        "features",
    }
)


def check_loss(
    factory: Factory,
    *,
    shapes: Shapes = SHAPES,
    stops_gradient: bool = False,
    **options: object,
) -> None:
    """Check a loss with these options on random outputs of a model with two encoders.

    `shapes` says what the model is like: encoders "image" and "text", `is_multi_label`, and so on.
    Checked: the option schema; declarations; named scalars of at least float32, "loss" and declared
    ones; a finite gradient for every parameter and for what the loss reads, which in float64 equals
    finite differences; permutation of the batch; a batch of one, which it may refuse; absent inputs
    without a say; unknown labels, none of several and nothing present (finite); very large scores,
    and scores of aligned pairs times 100; bfloat16 outputs; what it does after a step; weights
    through safetensors; ambient randomness only. Of a loss that reads nothing but a similarity,
    that a pair with an absent side is as if it were not there. Of a loss with an option `chunk`,
    that values and gradients are those of all rows at once, to 1e-12 in float64.

    `stops_gradient` says that the loss takes some of what it reads as given, on purpose: then no
    finite difference is taken.
    """
    case = _Case(factory, check_schema("loss", factory, options), shapes)
    loss = case.make()
    _check_declarations(loss)
    made = make_pass(shapes, loss.reads, loss.views)
    run = _run_on(made)
    _check_scalars(loss, run(loss))
    check_training_draws(loss, run)
    check_state(loss, lambda: case.make(OTHER), run)
    _check_edges(loss, made)
    _check_bf16(loss, made)
    _check_reach(loss, made)
    _check_inputs(loss, made)
    if _is_deterministic(loss, run):
        check_evaluation(loss, run)
        _check_same_value(loss, made)
        if not stops_gradient:
            _check_finite_differences(case, made)
    _check_chunks(case, made)
    check_gradients(loss, _run_on(made.leaves()))
    _check_after_step(loss)
    check_gpu(case.make(), lambda device: _run_on(made.to(device)))


@dataclass(frozen=True)
class _Case:
    factory: Factory
    options: Mapping[str, object]
    shapes: Shapes

    def make(self, seed: int = BUILD) -> Any:  # Any: an nn.Module that also keeps the contract
        return build(self.factory, self.options, seed, shapes=self.shapes)


def _run_on(made: Pass) -> Run:
    def run(loss: Any) -> Mapping[str, Tensor]:  # Any: an nn.Module that also keeps the contract
        scalars: Mapping[str, Tensor] = loss(made.outputs(), made.batch, made.encode)
        return scalars

    return run


def _value(loss: Any, made: Pass) -> Tensor:
    """The scalar named "loss", with the same ambient randomness every time."""
    with ambient(STEP):
        return _run_on(made)(loss)["loss"]


def _check_declarations(loss: Any) -> None:
    require(isinstance(loss, nn.Module), "a loss must be an nn.Module")
    is_known = set(loss.reads) <= READS
    require(is_known, f"`reads` must name some of {set(READS)}, not {set(loss.reads)}")
    require(isinstance(loss.views, int) and loss.views >= 0, "`views` must be an int of at least 0")


def _check_scalars(loss: Any, scalars: Mapping[str, Tensor]) -> None:
    require("loss" in scalars, f'a loss must give a scalar named "loss", not only {set(scalars)}')
    check_metrics(loss, [name for name in scalars if name != LOSS.name])
    for name, x in scalars.items():
        require(isinstance(x, Tensor) and x.ndim == 0, f"{name!r} must be a tensor without axes")
        require_finite(x, repr(name))
    dtype = scalars["loss"].dtype
    require(dtype in (torch.float32, torch.float64), f"the loss must be float32, not {dtype}")


def _check_inputs(loss: Any, made: Pass) -> None:
    """The loss looks at no input but those that it names: of a frozen encoder there may be none."""
    named = loss.reads_inputs if isinstance(loss, Inquiring) else frozenset()
    asked = _Asked(made.batch.inputs)
    with torch.no_grad(), ambient(STEP):
        loss(made.outputs(), replace(made.batch, inputs=asked), made.encode)
    unnamed = sorted(asked.keys_read - named)
    require(not unnamed, f"the loss reads the inputs of {unnamed}: name them in `reads_inputs`")


class _Asked(dict[str, Tensor]):
    """Inputs that remember which of them were asked for."""

    def __init__(self, inputs: Mapping[str, Tensor]) -> None:
        super().__init__(inputs)
        self.keys_read: set[str] = set()

    def __getitem__(self, key: str) -> Tensor:
        self.keys_read.add(key)
        return super().__getitem__(key)


def _check_reach(loss: Any, made: Pass) -> None:
    """What the loss says it reads receives a finite gradient, and some of it is not zero."""
    leaves = made.leaves()
    _value(loss.train(), leaves).backward()  # type: ignore[no-untyped-call]
    gradients = [x.grad for x in leaves.sources if x.grad is not None]
    for gradient in gradients:
        require_finite(gradient, "the gradient at the model's outputs")
    reaches = any(bool((gradient != 0).any()) for gradient in gradients)
    require(reaches, f"the loss must give gradient to what it reads: {set(loss.reads)}")
    loss.zero_grad()


def _is_deterministic(loss: Any, run: Run) -> bool:
    """Whether the loss draws nothing, so that values can be compared exactly."""
    with torch.no_grad():
        with ambient(STEP):
            first = run(loss.train())["loss"]
        with ambient(OTHER):
            return torch.equal(first, run(loss)["loss"])


def _check_same_value(loss: Any, made: Pass) -> None:
    """The order of the batch does not matter, nor what absent inputs hold."""
    loss.eval()
    order = torch.arange(made.size).roll(1)
    _require_same(loss, made.take(order), made, "a permuted batch must give the same loss")
    for key in made.batch.inputs:
        lacking, rubbish = made.without_first(key, 0.0), made.without_first(key, 3.0)
        message = f"the loss must not depend on what an absent {key} holds"
        _require_same(loss, rubbish, lacking, message)
        if set(loss.reads) == {"similarity"} and not loss.views:
            message = f"a pair whose {key} is absent must be as if it were not there"
            _require_same(loss, lacking, made.take(torch.arange(1, made.size)), message)


def _require_same(loss: Any, made: Pass, expected: Pass, message: str) -> None:
    with torch.no_grad():
        a, b = float(_value(loss, made)), float(_value(loss, expected))
    is_same = math.isclose(a, b, rel_tol=ORDER_TOLERANCE, abs_tol=ORDER_TOLERANCE)
    require(is_same, f"{message}: {a:.6g}, not {b:.6g}")


def _check_edges(loss: Any, made: Pass) -> None:
    """Finite values and gradients where a batch has nothing to learn from, or far too much."""
    edges: Mapping[str, Pass] = {
        "unknown labels": made.unlabelled(),
        "none of the labels": made.of_no_label(),
        "nothing present": made.all_absent(),
        "one sample absent": made.without_first("image", 0.0),
        "very large scores": replace(made, score_scale=1e3),
        "aligned pairs": replace(made.aligned(), score_scale=100.0),
    }
    for name, edge in edges.items():
        leaves = edge.leaves()
        value = _value(loss.train(), leaves)
        require_finite(value, f"the loss of a batch with {name}")
        if value.requires_grad:
            value.backward()  # type: ignore[no-untyped-call]
        for x in (*leaves.sources, *loss.parameters()):
            if x.grad is not None:
                require_finite(x.grad, f"the gradient of a batch with {name}")
        loss.zero_grad()
    _check_batch_of_one(loss, made.take(torch.tensor([0])))


def _check_batch_of_one(loss: Any, single: Pass) -> None:
    try:
        value = _value(loss, single)
    except MmlabError:
        return
    except Exception as error:  # whatever it is, it is not what a user should see
        raise ContractError("a batch of one must work or raise an error of mmlab") from error
    require_finite(value, "the loss of a batch of one")


def _check_bf16(loss: Any, made: Pass) -> None:
    """Outputs in bfloat16 give a loss near that of float32, and not itself in bfloat16."""
    with torch.no_grad():
        expected = _value(loss, made)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            actual = _value(loss, made.map(lambda x: x.bfloat16()))
    require(actual.dtype != torch.bfloat16, "the loss must be float32 when outputs are bfloat16")
    error = abs(float(actual - expected))
    allowed = BF16_TOLERANCE * max(1.0, abs(float(expected)))
    require(error <= allowed, f"the loss of bfloat16 outputs is off by {error:.3g}")


def _check_finite_differences(case: _Case, made: Pass) -> None:
    """In float64, gradients at what the loss reads equal finite differences."""
    loss = case.make().double().eval()
    leaves = made.map(lambda x: x.double()).leaves()
    try:
        torch.autograd.gradcheck(_of_sources(loss, leaves), leaves.sources, fast_mode=True)
    except RuntimeError as error:
        raise ContractError(f"gradients must equal finite differences: {error}") from error


def _of_sources(loss: Any, leaves: Pass) -> Callable[..., Tensor]:
    def value(*sources: Tensor) -> Tensor:
        return _value(loss, leaves.with_sources(sources))

    return value


def _check_chunks(case: _Case, made: Pass) -> None:
    """Some rows at a time give the values and gradients of all rows at once."""
    if "chunk" not in case.options:
        return
    expected = _values_and_gradients(case, None, made)
    for chunk in (1, 4, made.size):
        for name, x in _values_and_gradients(case, chunk, made).items():
            message = f"{name} with chunk = {chunk}, against all rows at once"
            require_close(x, expected[name], message, CHUNK_TOLERANCE)


def _values_and_gradients(case: _Case, chunk: int | None, made: Pass) -> dict[str, Tensor]:
    loss = replace(case, options={**case.options, "chunk": chunk}).make().double()
    leaves = made.map(lambda x: x.double()).leaves()
    with ambient(STEP):
        scalars = _run_on(leaves)(loss.train())
    scalars["loss"].backward()  # type: ignore[no-untyped-call]
    sources = {f"source {i}": x.grad for i, x in enumerate(leaves.sources)}
    parameters = {name: x.grad for name, x in loss.named_parameters()}
    gradients = {f"the gradient of {n}": x for n, x in (sources | parameters).items()}
    return {**scalars, **{name: x for name, x in gradients.items() if x is not None}}


def _check_after_step(loss: Any) -> None:
    """After any step the parameters are finite, and a calibration makes sense."""
    if isinstance(loss, Stepped):
        loss.after_step()
    for name, parameter in loss.named_parameters():
        require_finite(parameter, f"the parameter {name!r} after a step")
    if isinstance(loss, Calibrated):
        scale = loss.calibration().scale
        require(math.isfinite(scale) and scale > 0, "the scale must be positive and finite")
