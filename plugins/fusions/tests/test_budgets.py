"""Every operator can be brought to a small budget of parameters, or says why not."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import mmlab_fusions
import pytest
import torch

from mmlab.model.width import nearest_width
from mmlab.plan.options import option_model, supplied
from mmlab.plugin import SpecError

COMPONENTS = mmlab_fusions.mmlab_fusions()
OUTPUTS = 5
#: Bound by its form: as many weights as its inputs have dimensions.
WITHOUT_WIDTH = {"modulation"}
#: They score pairs of two inputs, and no head follows.
SIMILARITIES = {"directional_projections", "late_interaction"}
CASES = [(name, (32, 24)) for name in sorted(set(COMPONENTS) - WITHOUT_WIDTH)] + [
    (name, (32, 24, 16)) for name in sorted(set(COMPONENTS) - WITHOUT_WIDTH - SIMILARITIES)
]


def load(name: str) -> Any:
    return EntryPoint(name, COMPONENTS[name], "mmlab").load()


def width_option(factory: Any) -> str | None:
    option: str | None = getattr(factory, "width_option", "dim")
    return option


def counter(factory: Any, dims: tuple[int, ...]) -> Callable[[int], int | None]:
    """Parameters of an operator and a linear head on it, by width; None where it refuses one."""
    option = width_option(factory)
    given = {"dims": dims, "token_dims": dims, "outputs": OUTPUTS}

    def count(width: int) -> int | None:
        try:
            with torch.device("meta"):
                made = factory(*(given[key] for key in supplied(factory)), **{str(option): width})
        except SpecError:
            return None
        own = sum(parameter.numel() for parameter in made.parameters())
        head = 0 if option == "hidden" or not hasattr(made, "fuse") else OUTPUTS * (made.dim + 1)
        return own + head

    return count


def neighbour(count: Callable[[int], int | None], width: int, step: int) -> int:
    """Parameters at the next width that is not refused; of none below the first one, 0."""
    while (width := width + step) > 0:
        if (found := count(width)) is not None:
            return found
    return 0


@pytest.mark.parametrize(("name", "dims"), CASES)
def test_an_operator_comes_within_its_own_step_of_a_small_budget(
    name: str, dims: tuple[int, ...]
) -> None:
    """Its default options aside from the width."""
    factory, budget = load(name), 10_000
    count = counter(factory, dims)
    width = nearest_width(count, budget)
    assert width is not None
    found = count(width) or 0
    below, above = neighbour(count, width, -1), neighbour(count, width, 1)
    assert below > 0 or found <= budget, "its smallest form is larger than the budget"
    assert abs(found - budget) <= (above - below) / 2


@pytest.mark.parametrize("name", sorted(COMPONENTS))
def test_the_declared_width_is_an_option(name: str) -> None:
    factory = load(name)
    option = width_option(factory)
    names = {str(field.alias) for field in option_model(factory).model_fields.values()}
    assert (option is None) == (name in WITHOUT_WIDTH)
    assert option is None or option in names


def test_mutan_is_matched_by_the_width_of_its_core() -> None:
    """By its `dim` it could not be: the cores alone are four times the budget."""
    fusion = load("mutan")((32, 24), dim=1)
    assert sum(p.numel() for p in fusion.cores.parameters()) > 40_000
    assert width_option(load("mutan")) == "inner_dim"
