"""A loss to be checked: how it is built, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import Tensor

from mmlab.plugin import Shapes
from mmlab.testing.modules import Run
from mmlab.testing.passes import Pass, make_pass
from mmlab.testing.tools import BUILD, STEP, Factory, ambient, build, check_schema


@dataclass(frozen=True)
class LossCase:
    """A loss as it is to be built, and what the model is like that it judges."""

    factory: Factory
    options: Mapping[str, object]
    shapes: Shapes
    stops_gradient: bool = False

    @cached_property
    def resolved(self) -> dict[str, object]:
        """Options with their defaults. Raises ContractError where the signature is not sound."""
        return check_schema("loss", self.factory, self.options)

    def make(self, seed: int = BUILD) -> Any:  # Any: an nn.Module that also keeps the contract
        """A new loss, its first weights drawn from this seed."""
        return build(self.factory, self.resolved, seed, shapes=self.shapes)

    def made_pass(self, loss: Any) -> Pass:  # Any: as above
        """A random pass of a model that gives what the loss reads."""
        return make_pass(self.shapes, loss.reads, loss.views)

    def kinds_of_labels(self, loss: Any) -> list[Shapes]:  # Any: as above
        """The shapes; of a loss that judges predicted labels also those of other data."""
        if "prediction" not in loss.reads or "targets" in loss.reads:
            return [self.shapes]
        other = replace(self.shapes, is_multi_label=not self.shapes.is_multi_label)
        return [self.shapes, other]

    def each(self, check: Callable[[LossCase, Any], None]) -> Callable[[], None]:  # Any: as above
        """The check of a new loss."""
        return lambda: check(self, self.make())


def run_on(made: Pass) -> Run:
    """The loss's scalars for a pass."""

    def run(loss: Any) -> Mapping[str, Tensor]:  # Any: an nn.Module that also keeps the contract
        scalars: Mapping[str, Tensor] = loss(made.outputs(), made.batch, made.encode)
        return scalars

    return run


def value_of(loss: Any, made: Pass) -> Tensor:
    """The scalar named "loss", with the same ambient randomness every time."""
    with ambient(STEP):
        return run_on(made)(loss)["loss"]
