"""What holds for every operator: the contract, several inputs, absent inputs, prompts."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import mmlab_fusions
import pytest
import torch
from torch import Tensor

from mmlab.plan.options import supplied
from mmlab.plugin import Features
from mmlab.testing import check_fusion

COMPONENTS = mmlab_fusions.mmlab_fusions()


def folds(**options: Any) -> list[tuple[tuple[int, ...], dict[str, Any]]]:
    """Cases of three inputs, and of four, for an operator of two."""
    return [
        ((5, 4, 3), options),
        ((5, 4, 3), {**options, "fold": "left"}),
        ((3, 4, 2, 3), options),
    ]


#: Widths of the inputs and options to check each operator with.
CASES: dict[str, list[tuple[tuple[int, ...], dict[str, Any]]]] = {
    "attention": [
        ((8, 6), {}),
        ((5, 4, 3), {"dim": 6, "heads": 2}),
        ((8, 6), {"dim": 6, "heads": 6, "static": True}),
    ],
    "bilinear": [((8, 6), {}), ((3, 5), {"dim": 1}), *folds(dim=6)],
    "bilinear_gated": [((8, 6), {}), ((3, 5), {"dim": 1}), *folds(dim=6)],
    "bottleneck": [
        ((8, 6), {"dim": 8, "heads": 2}),
        ((5, 4, 3), {"dim": 4, "heads": 1, "depth": 1, "bottlenecks": 1}),
    ],
    "compact_bilinear": [
        ((8, 6), {}),
        ((8, 6), {"dim": 7}),
        ((5, 4, 3), {"dim": 32}),
        ((8, 6), {"dim": 16, "normalize": True}),
    ],
    "concat": [((8, 6), {}), ((5,), {"dim": 3}), ((5, 4, 3), {"dim": 2, "bias": True})],
    "cross_attention": [
        ((8, 6), {"dim": 8, "heads": 2}),
        ((5, 4, 3), {"dim": 4, "heads": 1}),
    ],
    "film": [((8, 6), {}), ((8, 6), {"dim": 5, "scalar": True}), *folds(dim=6)],
    "gating": [((8, 6), {}), ((8, 6), {"dim": 3, "gate": "v"}), *folds(dim=6, gate="v")],
    "gmu": [((8, 6), {}), ((5, 4, 3), {"dim": 7})],
    "inner_product": [((8, 6), {"dim": 5}), ((5, 4, 3), {"dim": 6}), ((4, 4, 4, 4), {})],
    "late_fusion": [
        ((8, 6), {}),
        ((8, 6), {"rule": "product", "hidden": 7}),
        ((5, 4, 3), {"rule": "learned"}),
    ],
    "low_rank_bilinear": [((8, 6), {}), ((5, 4, 3), {"dim": 3, "rank": 7, "tanh": True})],
    "low_rank_tensor_fusion": [((8, 6), {}), ((5, 4, 3), {"dim": 3, "rank": 2})],
    "max": [((8, 6), {}), ((5, 4, 3), {"dim": 7})],
    "mfb": [
        ((8, 6), {"dim": 7}),
        ((8, 6), {"dim": 4, "window": 3, "order": 2, "normalize": True}),
        ((5, 4, 3), {"dim": 3, "window": 2, "order": 2}),
    ],
    "modulation": [((8, 6), {}), ((5, 4, 3), {}), ((5, 5, 5), {"vector": True})],
    "multiplicative": [((8, 6), {}), ((5, 4, 3), {"dim": 7, "bias": True})],
    "multiplicative_interactions": [((8, 6), {}), *folds(dim=6)],
    "mutan": [((8, 6), {}), ((5, 4, 3), {"dim": 3, "inner_dim": 5, "rank": 2, "tanh": True})],
    "sum": [((8, 6), {}), ((5, 4, 3), {"dim": 7, "bias": True})],
    "tanh_gating": [((8, 6), {}), ((8, 6), {"dim": 3, "gate": "v"}), *folds(dim=6)],
    "tensor_fusion": [((8, 6), {}), ((5, 4, 3), {"inner_dim": 2})],
}
#: They score pairs and give no vector; their tests are modules of their own.
SIMILARITIES = ("directional_projections", "late_interaction")
#: Operators of [1, u], [1, v], ..., which have terms of no input.
WITH_CONSTANT = ("low_rank_tensor_fusion", "tensor_fusion")
NAMES = sorted(CASES)


def load(name: str) -> Any:
    return EntryPoint(name, COMPONENTS[name], "mmlab").load()


def build(name: str, dims: tuple[int, ...], **options: Any) -> Any:
    """A fusion of inputs of these widths without tokens, given what mmlab supplies; 5 outputs."""
    given = {"dims": dims, "token_dims": [None] * len(dims), "outputs": 5}
    factory = load(name)
    return factory(*(given[key] for key in supplied(factory)), **options)


def make(name: str, case: int = 0) -> tuple[Any, tuple[int, ...]]:
    dims, options = CASES[name][case]
    return build(name, dims, **options), dims


def test_every_operator_is_checked() -> None:
    assert {*CASES, *SIMILARITIES} == set(COMPONENTS)


@pytest.mark.parametrize(
    ("name", "case"), [(name, i) for name in NAMES for i in range(len(CASES[name]))]
)
def test_the_contract_is_kept(name: str, case: int) -> None:
    dims, options = CASES[name][case]
    check_fusion(load(name), dims=dims, **options)


@pytest.mark.parametrize(
    ("name", "case"),
    [(n, i) for n in NAMES if n not in WITH_CONSTANT for i in range(len(CASES[n]))],
)
def test_with_all_inputs_absent_only_a_bias_is_left(
    name: str, case: int, fuse: Callable[..., Tensor], absent: Callable[[int], Features]
) -> None:
    fusion, dims = make(name, case)
    found = fuse(fusion, *(absent(width) for width in dims))
    bias = getattr(getattr(fusion, "map", fusion), "bias", None)
    expected = torch.zeros(fusion.dim) if bias is None else bias
    assert torch.equal(found, expected.expand(3, -1))


@pytest.mark.parametrize("name", WITH_CONSTANT)
def test_with_all_inputs_absent_the_result_is_that_of_zeros(
    name: str, fuse: Callable[..., Tensor], absent: Callable[[int], Features]
) -> None:
    fusion, dims = make(name)
    zeros = fuse(fusion, *(torch.zeros(3, width) for width in dims))
    assert torch.equal(fuse(fusion, *(absent(width) for width in dims)), zeros)


@pytest.mark.parametrize("name", NAMES)
def test_absent_values_that_are_no_numbers_do_no_harm(
    name: str, fuse: Callable[..., Tensor], absent: Callable[[int], Features]
) -> None:
    """Neither to the result nor to any gradient."""
    fusion, dims = make(name)
    x = torch.randn(3, dims[-1], requires_grad=True)
    fuse(fusion, *(absent(width) for width in dims[:-1]), x).square().sum().backward()
    gradients = [p.grad for p in (x, *fusion.parameters()) if p.grad is not None]
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


# The inner product brings an average of directions back to length 1, on purpose.
AVERAGED = [n for n in NAMES if load(n).prompts == "features" and n != "inner_product"]


@pytest.mark.parametrize("name", AVERAGED)
def test_prompts_are_averaged_as_features_only_where_the_score_is_the_same(
    name: str, random: Callable[..., Tensor]
) -> None:
    fusion, dims = make(name)
    fusion = fusion.double()
    for side in (0, 1):
        features = [
            fusion.project(i, Features.of(random(4, width))) for i, width in enumerate(dims)
        ]
        features[1 - side] = Features.of(features[1 - side].pooled[:1])
        mean_of_results = fusion.fuse(*features).mean(dim=0, keepdim=True)
        features[side] = Features.of(features[side].pooled.mean(dim=0, keepdim=True))
        torch.testing.assert_close(fusion.fuse(*features), mean_of_results)


def test_only_concatenation_is_of_one_input_and_all_are_of_three() -> None:
    ranges = {name: getattr(load(name), "input_range", (1, None)) for name in NAMES}
    assert ranges == dict.fromkeys(NAMES, (2, None)) | {"concat": (1, None)}


@pytest.mark.parametrize("name", NAMES)
def test_every_operator_joins_three_inputs(name: str, fuse: Callable[..., Tensor]) -> None:
    fusion = build(name, (4, 3, 2), **({"dim": 8} if name == "inner_product" else {}))
    inputs = [torch.randn(5, width) for width in (4, 3, 2)]
    complete = fuse(fusion, *inputs)
    assert complete.shape == (5, fusion.dim)
    for i, x in enumerate(inputs):
        others = [*inputs[:i], x + 1, *inputs[i + 1 :]]
        assert not torch.allclose(fuse(fusion, *others), complete)
