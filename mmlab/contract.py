"""What a component's results must look like, checked on shapes alone: no device is waited for."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mmlab.errors import PluginError, explain


def check_width(who: str, given: Tensor, rows: int, width: int) -> None:
    """Raise PluginError unless a component gave (rows, width), the width it declares as `dim`."""
    if given.shape == (rows, width):
        return
    allowed = f"({rows}, {width}): as many rows as samples, and the declared `dim`"
    raise _breach(who, "gives another shape than it declares", tuple(given.shape), allowed)


def check_loss(name: str, values: Mapping[str, Tensor]) -> None:
    """Raise PluginError unless a loss gave numbers by name, "loss" among them."""
    wrong = {key: tuple(value.shape) for key, value in values.items() if value.ndim}
    if wrong or "loss" not in values:
        found = wrong or ", ".join(values) or "nothing"
        allowed = 'numbers (tensors without axes) by name, one of them "loss"'
        raise _breach(f"losses.{name}", "does not give what a loss gives", found, allowed)


def _breach(who: str, fault: str, found: object, allowed: str) -> PluginError:
    step = "tell the plugin's author; `mmlab.testing` checks this"
    return PluginError(explain(who, fault, found=found, allowed=allowed, next_step=step))
