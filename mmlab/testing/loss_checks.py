"""What a loss must do, one claim a function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mmlab.errors import MmlabError
from mmlab.plugin import LOSS, Calibrated, Inquiring, Stepped
from mmlab.testing.gradients import require_gradients
from mmlab.testing.loss_case import LossCase, run_on, value_of
from mmlab.testing.modules import (
    Run,
    check_evaluation,
    check_gpu,
    check_gradients,
    check_resumed,
    check_state,
    check_training_draws,
)
from mmlab.testing.passes import Pass
from mmlab.testing.tools import (
    BF16_TOLERANCE,
    ORDER_TOLERANCE,
    OTHER,
    STEP,
    ContractError,
    ambient,
    check_metrics,
    require,
    require_close,
    require_finite,
)
from mmlab.testing.untouched import untouched

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


def check_declarations(case: LossCase, loss: Any) -> None:
    """`reads` and `views` say what there is to read."""
    require(isinstance(loss, nn.Module), "a loss must be an nn.Module")
    is_known = set(loss.reads) <= READS
    require(is_known, f"`reads` must name some of {set(READS)}, not {set(loss.reads)}")
    require(isinstance(loss.views, int) and loss.views >= 0, "`views` must be an int of at least 0")


def check_scalars(case: LossCase, loss: Any) -> None:
    """Named scalars of at least float32, finite, declared as metrics."""
    scalars = run_on(case.made_pass(loss))(loss)
    require("loss" in scalars, f'a loss must give a scalar named "loss", not only {set(scalars)}')
    check_metrics(loss, [name for name in scalars if name != LOSS.name])
    for name, x in scalars.items():
        require(isinstance(x, Tensor) and x.ndim == 0, f"{name!r} must be a tensor without axes")
        require_finite(x, repr(name))
    dtype = scalars["loss"].dtype
    require(dtype in (torch.float32, torch.float64), f"the loss must be float32, not {dtype}")


def check_inputs(case: LossCase, loss: Any) -> None:
    """The loss looks at no input but those that it names: of a frozen encoder there may be none."""
    made = case.made_pass(loss)
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


def check_reach(case: LossCase, loss: Any) -> None:
    """What the loss says it reads receives a finite gradient, and some of it is not zero."""
    leaves = case.made_pass(loss).leaves()
    value_of(loss.train(), leaves).backward()  # type: ignore[no-untyped-call]
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


def check_same_value(case: LossCase, loss: Any) -> None:
    """The order of the batch does not matter, nor what absent inputs hold."""
    made = case.made_pass(loss)
    if not _is_deterministic(loss, run_on(made)):
        return
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
        a, b = float(value_of(loss, made)), float(value_of(loss, expected))
    is_same = math.isclose(a, b, rel_tol=ORDER_TOLERANCE, abs_tol=ORDER_TOLERANCE)
    require(is_same, f"{message}: {a:.6g}, not {b:.6g}")


def check_edges(case: LossCase, loss: Any) -> None:
    """Finite values and gradients where a batch has nothing to learn from, or far too much."""
    made = case.made_pass(loss)
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
        value = value_of(loss.train(), leaves)
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
        value = value_of(loss, single)
    except MmlabError:
        return
    except Exception as error:  # whatever it is, it is not what a user should see
        raise ContractError("a batch of one must work or raise an error of mmlab") from error
    require_finite(value, "the loss of a batch of one")


def check_bf16(case: LossCase, loss: Any) -> None:
    """Outputs in bfloat16 give a loss near that of float32, and not itself in bfloat16."""
    made = case.made_pass(loss)
    with torch.no_grad():
        expected = value_of(loss, made)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            actual = value_of(loss, made.map(lambda x: x.bfloat16()))
    require(actual.dtype != torch.bfloat16, "the loss must be float32 when outputs are bfloat16")
    error = abs(float(actual - expected))
    allowed = BF16_TOLERANCE * max(1.0, abs(float(expected)))
    require(error <= allowed, f"the loss of bfloat16 outputs is off by {error:.3g}")


def check_finite_differences(case: LossCase, loss: Any) -> None:
    """In float64, gradients at what the loss reads equal finite differences."""
    if case.stops_gradient or not _is_deterministic(loss, run_on(case.made_pass(loss))):
        return
    doubled = case.make().double().eval()
    leaves = case.made_pass(doubled).map(lambda x: x.double()).leaves()
    require_gradients("forward", _of_sources(doubled, leaves), leaves.sources)


def _of_sources(loss: Any, leaves: Pass) -> Callable[..., Tensor]:
    def value(*sources: Tensor) -> Tensor:
        return value_of(loss, leaves.with_sources(sources))

    return value


def check_chunks(case: LossCase, loss: Any) -> None:
    """Some rows at a time give the values and gradients of all rows at once."""
    if "chunk" not in case.resolved:
        return
    made = case.made_pass(loss)
    expected = _values_and_gradients(case, None, made)
    for chunk in (1, 4, made.size):
        for name, x in _values_and_gradients(case, chunk, made).items():
            message = f"{name} with chunk = {chunk}, against all rows at once"
            require_close(x, expected[name], message, CHUNK_TOLERANCE)


def _values_and_gradients(case: LossCase, chunk: int | None, made: Pass) -> dict[str, Tensor]:
    loss = replace(case, options={**case.resolved, "chunk": chunk}).make().double()
    leaves = made.map(lambda x: x.double()).leaves()
    with ambient(STEP):
        scalars = run_on(leaves)(loss.train())
    scalars["loss"].backward()  # type: ignore[no-untyped-call]
    sources = {f"source {i}": x.grad for i, x in enumerate(leaves.sources)}
    parameters = {name: x.grad for name, x in loss.named_parameters()}
    gradients = {f"the gradient of {n}": x for n, x in (sources | parameters).items()}
    return {**scalars, **{name: x for name, x in gradients.items() if x is not None}}


def check_after_step(case: LossCase, loss: Any) -> None:
    """After any step the parameters are finite, and a calibration makes sense."""
    if isinstance(loss, Stepped):
        loss.after_step()
    for name, parameter in loss.named_parameters():
        require_finite(parameter, f"the parameter {name!r} after a step")
    if isinstance(loss, Calibrated):
        scale = loss.calibration().scale
        require(math.isfinite(scale) and scale > 0, "the scale must be positive and finite")


def check_untouched(case: LossCase, loss: Any) -> None:
    """Neither batch nor outputs are written to: the model's gradients and other losses read them.

    Of losses that read predictions, on data of several labels too.
    """
    for shapes in case.kinds_of_labels(loss):
        other = replace(case, shapes=shapes)
        try:
            judge = other.make()
        except MmlabError:  # it takes no such data, and says so
            continue
        made = other.made_pass(judge)
        outputs = made.outputs()
        given = {
            "batch": made.batch,
            "outputs.features": outputs.features,
            "outputs.prediction": outputs.prediction,
            "outputs.fused": outputs.fused,
            "outputs.similarity": {} if outputs.similarity is None else outputs.similarity.sides,
        }
        with torch.no_grad(), ambient(STEP), untouched("forward", given):
            try:
                judge.train()(outputs, made.batch, made.encode)
            except Exception:  # of other data than was asked for: the claim on labels tells it
                if shapes is case.shapes:
                    raise


def check_resumed_training(case: LossCase, loss: Any) -> None:
    """What changes in training is in the loss's state."""
    step = loss.after_step if isinstance(loss, Stepped) else _nothing
    check_resumed(loss, run_on(case.made_pass(loss)), step)


def _nothing() -> None:
    """What a loss does after a step that has nothing to do."""


def check_draws(case: LossCase, loss: Any) -> None:
    """Randomness is torch's ambient generator's."""
    check_training_draws(loss, run_on(case.made_pass(loss)))


def check_saved(case: LossCase, loss: Any) -> None:
    """Weights survive safetensors."""
    check_state(loss, lambda: case.make(OTHER), run_on(case.made_pass(loss)))


def check_evaluated(case: LossCase, loss: Any) -> None:
    """Evaluation draws nothing and changes nothing; a loss that draws is not asked."""
    run = run_on(case.made_pass(loss))
    if _is_deterministic(loss, run):
        check_evaluation(loss, run)


def check_parameters(case: LossCase, loss: Any) -> None:
    """Every parameter is trained."""
    check_gradients(loss, run_on(case.made_pass(loss).leaves()))


def check_on_gpu(case: LossCase, loss: Any) -> None:
    """A GPU gives what the CPU gives, and is not waited for."""
    made = case.made_pass(loss)
    check_gpu(loss, lambda device: run_on(made.to(device)))
