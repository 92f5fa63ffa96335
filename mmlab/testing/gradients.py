"""Gradients against finite differences in float64, told in three lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmlab.testing.claims import breach

_CLAIM = "in float64, gradients must equal finite differences"


class _Rounding(TorchDispatchMode):  # type: ignore[no-untyped-call]  # of torch
    """Counts how often a float64 tensor becomes one of fewer bits."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of torch
        self.count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # Any: as torch calls it
        result = function(*args, **(kwargs or {}))
        given = next((x for x in args if isinstance(x, Tensor)), None)
        is_double = given is not None and given.dtype == torch.float64
        is_cast = is_double and str(function).startswith("aten._to_copy")
        if is_cast and result.dtype in _SHORTER:
            self.count += 1
        return result


_SHORTER = (torch.float32, torch.float16, torch.bfloat16)


def require_gradients(
    method: str, function: Callable[..., Tensor | Sequence[Tensor]], sources: Sequence[Tensor]
) -> None:
    """Require that the gradients of a function at float64 tensors are finite differences.

    A function that rounds to fewer bits on the way is told that, and not what follows from it.
    """
    with _told(method, function, sources):
        torch.autograd.gradcheck(function, tuple(sources), fast_mode=True)


@contextmanager
def _told(
    method: str, function: Callable[..., object], sources: Sequence[Tensor]
) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if _rounds(function, sources):
            breach(
                _CLAIM,
                method,
                f"it rounds float64 to fewer bits on the way: {_first_line(error)}",
                "instead of `x.float()` write "
                "`x.to(torch.promote_types(x.dtype, torch.float32))`: float32 at least",
            )
        breach(
            _CLAIM,
            method,
            _difference(error),
            "mend a custom backward, a `detach` or a jump; check_loss has `stops_gradient=True` "
            "for what is meant to be taken as given",
        )


def _rounds(function: Callable[..., object], sources: Sequence[Tensor]) -> bool:
    rounding = _Rounding()
    try:
        with torch.no_grad(), rounding:
            function(*sources)
    except RuntimeError:  # two dtypes met: what rounded came before
        pass
    return rounding.count > 0


def _difference(error: Exception) -> str:
    """The two derivatives of torch's message, which goes on with whole Jacobians, in one line."""
    lines = str(error).splitlines()
    told = [
        line.strip().replace("tensor(", "").partition(",")[0].rstrip(")")
        for line in lines[1:4]
        if line.startswith(("numerical:", "analytical:"))
    ]
    return ", ".join([_first_line(error), *told])


def _first_line(error: Exception) -> str:
    return f"{str(error).partition(chr(10))[0]:.120}".rstrip(", ")
