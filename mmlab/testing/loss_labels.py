"""What a loss makes of labels: one a sample or several, known or not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mmlab.errors import MmlabError
from mmlab.testing.claims import breach
from mmlab.testing.loss_case import LossCase, value_of
from mmlab.testing.passes import Pass


def check_labels(case: LossCase, loss: Any) -> None:
    """A loss of labels takes data of one label and of several, or refuses one of them in words.

    Where the first sample's labels are unknown, beside others that are known, the loss is finite
    and is not that of any label. Any: an nn.Module that also keeps the contract.
    """
    for shapes in case.kinds_of_labels(loss):
        other = replace(case, shapes=shapes)
        try:
            judge = other.make().eval()
        except MmlabError:  # it takes no such data, and says so
            continue
        _check_kind(judge, other.made_pass(judge), shapes.is_multi_label)


def _check_kind(loss: Any, made: Pass, is_several: bool) -> None:  # Any: as above
    kind = "several labels a sample" if is_several else "one label a sample"
    claim = f"data of {kind} may lack some labels, and samples of unknown labels say nothing"
    made = _with_first(_unmeasured(made), math.nan if is_several else -1)
    unknown = _value(loss, made, kind)
    if not math.isfinite(unknown):
        found = f"a loss of {unknown} where the first sample's labels are unknown"
        breach(claim, "forward", found, f"{_remedy(is_several)}; `0 * nan` is NaN")
    known = {name: _value(loss, one, kind) for name, one in _known(made, is_several)}
    same = [name for name, value in known.items() if math.isclose(value, unknown, rel_tol=1e-6)]
    if same and not math.isclose(_value(loss, _predicted_otherwise(made), kind), unknown):
        found = f"a sample of unknown labels is judged as one of {same[0]}"
        breach(claim, "forward", found, _remedy(is_several))


def _remedy(is_several: bool) -> str:
    if is_several:
        return "leave out rows of NaN: `known = ~batch.target.isnan().any(1)`, then `target[known]`"
    return "leave out targets of -1: `cross_entropy(..., ignore_index=-1)`, or `target >= 0`"


def _known(made: Pass, is_several: bool) -> Iterator[tuple[str, Pass]]:
    """The pass with the first sample's labels known, in some ways."""
    if is_several:
        yield "none of the labels", _with_first(made, 0)
        yield "all labels", _with_first(made, 1)
        return
    yield "the first label", _with_first(made, 0)
    yield "the last label", _with_first(made, len(made.shapes.labels) - 1)


def _with_first(made: Pass, value: float) -> Pass:
    target: Tensor = made.batch.target.clone()
    target[0] = value
    return replace(made, batch=replace(made.batch, target=target))


def _unmeasured(made: Pass) -> Pass:
    """The pass with the first sample's numbers unknown, so that labels alone could judge it."""
    if made.batch.targets is None:
        return made
    targets = made.batch.targets.clone()
    targets[0] = math.nan
    return replace(made, batch=replace(made.batch, targets=targets))


def _predicted_otherwise(made: Pass) -> Pass:
    """The pass with other predictions for the first sample: nothing may follow from them."""
    prediction = made.samples["prediction"].clone()
    prediction[0] = -2 * prediction[0]
    return replace(made, samples={**made.samples, "prediction": prediction})


def _value(loss: Any, made: Pass, kind: str) -> float:  # Any: as above
    try:
        with torch.no_grad():
            return float(value_of(loss, made))
    except MmlabError:
        raise
    except Exception as error:  # whatever it is, it is not what a user should see
        breach(
            f"a loss that reads predictions takes data of {kind}, or refuses it when it is made",
            "forward",
            f"{type(error).__name__}: {str(error).partition(chr(10))[0]:.120}",
            "read `shapes.is_multi_label`: a batch's target is (B,) int64 with -1 for unknown, or "
            "(B, C) float with rows of NaN; raise SpecError in `__init__` for data it cannot take",
        )
