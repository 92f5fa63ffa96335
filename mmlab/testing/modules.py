"""What holds for every component that is a module: gradients, weights on disk, evaluation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from mmlab.testing.claims import breach
from mmlab.testing.tools import (
    BF16_TOLERANCE,
    OTHER,
    STEP,
    ambient,
    normal,
    require,
    require_close,
    require_finite,
    require_near,
)

#: A forward pass with all that matters of its result: named tensors.
Run = Callable[[Any], Mapping[str, Tensor]]  # Any: an nn.Module that also keeps a contract


def check_gradients(module: nn.Module, run: Run) -> None:
    """In training, every trainable parameter gets a finite gradient that is not all zero.

    Parameters are moved a little first, so that a branch that starts at zero does not hide what
    lies behind it.
    """
    move(module)
    module.train()
    with ambient(STEP):
        results = run(module)
    for name, x in results.items():
        require_finite(x, f"{name} in training")
    weighted_sum(results).backward()  # type: ignore[no-untyped-call]
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            _require_gradient(parameter, name)


def weighted_sum(results: Mapping[str, Tensor]) -> Tensor:
    """A scalar that depends on every element of every differentiable result."""
    terms = [
        (x.double() * normal(*x.shape, dtype=torch.float64, seed=i).to(x.device)).sum()
        for i, x in enumerate(results.values())
        if x.requires_grad
    ]
    require(bool(terms), "nothing that the module gives depends on its parameters or inputs")
    return torch.stack(terms).sum()


def _require_gradient(parameter: nn.Parameter, name: str) -> None:
    gradient = parameter.grad
    require(gradient is not None, f"the parameter {name!r} gets no gradient: nobody trains it")
    assert gradient is not None
    require_finite(gradient, f"the gradient of {name!r}")
    require(bool((gradient != 0).any()), f"the gradient of the parameter {name!r} is zero")


def move(module: nn.Module) -> None:
    """Move every parameter a little, the same way every time."""
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter.add_(normal(*parameter.shape, dtype=parameter.dtype, seed=i), alpha=0.02)


def check_evaluation(module: nn.Module, run: Run) -> None:
    """In evaluation, results do not depend on randomness, and nothing of the module changes."""
    module.eval()
    before = {name: x.clone() for name, x in _tensors(module).items()}
    with torch.no_grad():
        with ambient(STEP):
            first = run(module)
        with ambient(OTHER):
            second = run(module)
    for name, x in first.items():
        same = torch.equal(x, second[name])
        require(same, f"{name} must be the same every time in evaluation mode")
        require_finite(x, name)
    after = _tensors(module)
    changed = [name for name, x in before.items() if not torch.equal(x, after[name])]
    require(not changed, f"evaluation must not change the module's state: {changed}")


def check_training_draws(module: nn.Module, run: Run) -> None:
    """In training, the same ambient seed gives the same results: nothing is drawn elsewhere."""
    module.train()
    with torch.no_grad():
        with ambient(STEP):
            first = run(module)
        with ambient(STEP):
            second = run(module)
    for name, x in first.items():
        same = x.shape == second[name].shape and torch.equal(x, second[name])
        require(same, f"{name} in training must depend on torch's ambient generator alone")


def check_bf16(
    module: nn.Module, run: Run, names: tuple[str, ...], exact: Run | None = None
) -> None:
    """Under bfloat16 autocast the named results stay near those of float32.

    Where `exact` gives the pass on float64 inputs, near those of a float64 copy of the module.
    """
    module.eval()
    with torch.no_grad():
        expected = run(module) if exact is None else exact(copy.deepcopy(module).double())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            actual = run(module)
    for name in names:
        if name in expected:
            message = f"{name} under bfloat16 autocast"
            require_near(actual[name].float(), expected[name], message, BF16_TOLERANCE)


def check_state(module: nn.Module, make: Callable[[], nn.Module], run: Run) -> nn.Module:
    """Weights written as safetensors and read into a newly made module give the same results.

    Returns that module, in evaluation mode.
    """
    state = _tensors(module)
    other = make()
    own, written = set(other.state_dict()), set(state)
    require(
        own == written, f"a new module must have the same state; they differ in {own ^ written}"
    )
    other.load_state_dict(
        load(save({n: x.detach().contiguous().clone() for n, x in state.items()}))
    )
    with torch.no_grad():
        with ambient(STEP):
            expected = run(module.eval())
        with ambient(STEP):
            actual = run(other.eval())
    for name, x in expected.items():
        same = actual[name].shape == x.shape and torch.equal(actual[name], x)
        require(same, f"{name} must survive a round trip of the weights through safetensors")
    return other


def check_resumed(module: nn.Module, run: Run, after_step: Callable[[], None]) -> None:
    """Numbers that change while a module is trained are in its state, or change no result.

    A run that is interrupted goes on from the state alone: a schedule in a Python attribute would
    start anew. Such an attribute is set far ahead, and the results are compared.
    """
    before = dict(_numbers(module))
    module.train()
    for _ in range(3):
        with ambient(STEP), torch.no_grad():
            run(module)
        after_step()
    for (owner, name), value in _numbers(module):
        if before.get((owner, name)) != value and _matters(module, run, owner, name):
            breach(
                "what changes in training must be in the module's state, or a run that was "
                "interrupted goes on otherwise",
                "forward or after_step",
                f"the Python attribute {name!r} counts or changes, and results depend on it",
                f'`self.register_buffer("{name}", torch.tensor(...))`, changed in `after_step`',
            )


def _numbers(module: nn.Module) -> Iterator[tuple[tuple[str, str], int | float]]:
    """The plain numbers among a module's attributes, by its name and theirs."""
    for owner, one in module.named_modules():
        for name, value in vars(one).items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield (owner, name), value


def _matters(module: nn.Module, run: Run, owner: str, name: str) -> bool:
    """Whether results in training are others when the attribute is far from where it is."""
    results = []
    for value in (0, 10, 10_000_000):
        other = copy.deepcopy(module)
        setattr(other.get_submodule(owner), name, value)
        with ambient(STEP), torch.no_grad():
            results.append(run(other.train()))
    first = results[0]
    return any(not torch.equal(first[key], x[key]) for x in results[1:] for key in first)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """The state dict, all of whose values must be tensors for safetensors to hold them."""
    state = cast(dict[str, object], module.state_dict())
    others = [name for name, x in state.items() if not isinstance(x, Tensor)]
    require(not others, f"state must be tensors, extra state too (as uint8, say): {others}")
    return cast(dict[str, Tensor], state)


def check_gpu(module: nn.Module, runs: Callable[[torch.device], Run]) -> None:
    """Where there is a GPU: results as on the CPU, to 1e-2, and a training step that never waits.

    `runs` gives the forward pass with its inputs already on a device.
    """
    if not torch.cuda.is_available():
        return
    gpu = torch.device("cuda")
    with torch.no_grad():
        expected = runs(torch.device("cpu"))(module.eval())
        run = runs(gpu)
        actual = run(module.to(gpu))
    for name, x in expected.items():
        require_close(actual[name], x, f"{name} on the GPU", tolerance=1e-2)
    _require_no_wait(module.train(), run)
    module.to("cpu")


def _require_no_wait(module: nn.Module, run: Run) -> None:
    """Let torch raise if the second training step makes the host wait for the device."""
    weighted_sum(run(module)).backward()  # type: ignore[no-untyped-call]
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        terms = [x.sum() for x in run(module).values() if x.requires_grad]
        torch.stack(terms).sum().backward()  # type: ignore[no-untyped-call]
    finally:
        torch.cuda.set_sync_debug_mode(before)
