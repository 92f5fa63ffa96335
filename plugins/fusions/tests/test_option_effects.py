"""Every option of every operator changes something: none is taken and not read."""

from importlib.metadata import EntryPoint
from typing import Annotated, Any

import mmlab_fusions
import pytest
import torch
from mmlab_fusions.low_rank_bilinear import LowRankBilinear
from pydantic import Field

from mmlab.plan.options import json_schema, supplied
from mmlab.plugin import Features

#: A value of each option that is not its default.
OTHER: dict[str, object] = {
    "bias": True,
    "bottlenecks": 3,
    "cosine": False,
    "depth": 3,
    "dim": 12,
    "fold": "left",
    "gate": "v",
    "hash_seed": 1,
    "heads": 2,
    "hidden": 3,
    "inner_dim": 3,
    "normalize": True,
    "order": 2,
    "rank": 3,
    "rule": "product",
    "scalar": True,
    "static": True,
    "tanh": True,
    "vector": True,
    "window": 3,
}
#: What they refuse is tested where they are.
LIMITS = {"limit", "limit_mib"}


def load(name: str) -> Any:
    return EntryPoint(name, mmlab_fusions.mmlab_fusions()[name], "mmlab").load()


def options_of(factory: Any) -> list[str]:
    return sorted(set(json_schema(factory)["properties"]) - LIMITS)


PAIRS = [
    (name, option) for name in mmlab_fusions.mmlab_fusions() for option in options_of(load(name))
]


def has_effect(factory: Any, option: str) -> bool:
    """Whether another value changes a result or the shape of anything."""
    made, count = [], 3 if option == "fold" else 2
    small = {"dim": 8} if "dim" in options_of(factory) and option != "dim" else {}
    for options in (small, {**small, option: OTHER[option]}):
        torch.manual_seed(0)
        given = {"dims": (4,) * count, "token_dims": (4,) * count, "outputs": 5}
        fusion = factory(*(given[key] for key in supplied(factory)), **options)
        inputs = [Features.of(torch.randn(3, 4), torch.randn(3, 6, 4)) for _ in range(count)]
        with torch.no_grad():
            projected = [fusion.project(i, f) for i, f in enumerate(inputs)]
            fuses = hasattr(fusion, "fuse")
            result = fusion.fuse(*projected) if fuses else fusion.score(*projected).forward
        made.append(({n: x.shape for n, x in fusion.state_dict().items()}, result))
    (state, result), (other_state, other) = made
    return state != other_state or result.shape != other.shape or not torch.equal(result, other)


def test_there_are_options() -> None:
    assert len(PAIRS) > 40


@pytest.mark.parametrize(("name", "option"), PAIRS)
def test_every_option_has_an_effect(name: str, option: str) -> None:
    assert has_effect(load(name), option)


class IgnoresTanh(LowRankBilinear):
    """MMF's layers take such options."""

    def __init__(
        self,
        dims: tuple[int, ...],
        *,
        tanh: Annotated[bool, Field(description="squash each factor")] = False,
    ) -> None:
        super().__init__(dims, dim=8, rank=4)


def test_an_option_that_is_not_read_is_found() -> None:
    assert has_effect(LowRankBilinear, "tanh")
    assert not has_effect(IgnoresTanh, "tanh")
