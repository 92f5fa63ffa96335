from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmlab_fusions.compact_bilinear import CompactBilinear
from torch import Tensor

from mmlab.plugin import Features

Call = Callable[..., Tensor]


def hashes(fusion: CompactBilinear, position: int) -> tuple[list[int], list[int]]:
    buckets = fusion.get_buffer(f"buckets_{position}")
    return buckets.tolist(), fusion.get_buffer(f"signs_{position}").tolist()


def sketch_slowly(fusion: CompactBilinear, *inputs: list[float]) -> list[float]:
    """Count sketch of the outer product, whose hash functions are sums and products of all."""
    cells = [(0, 1.0)]
    for position, x in enumerate(inputs):
        entries = list(zip(*hashes(fusion, position), x, strict=True))
        cells = [(place + h, value * s * a) for place, value in cells for h, s, a in entries]
    sketch = [0.0] * fusion.dim
    for place, value in cells:
        sketch[place % fusion.dim] += value
    return sketch


def require_sketch(fusion: CompactBilinear, fuse: Call, *inputs: Tensor) -> None:
    rows = zip(*(x.tolist() for x in inputs), strict=True)
    expected = torch.tensor([sketch_slowly(fusion, *row) for row in rows]).double()
    torch.testing.assert_close(fuse(fusion, *inputs), expected)


@pytest.mark.parametrize("dim", [1, 2, 7, 16])
def test_it_is_the_count_sketch_of_the_outer_product(dim: int, fuse: Call, random: Call) -> None:
    require_sketch(CompactBilinear((5, 4), dim=dim), fuse, random(3, 5), random(3, 4))


def test_three_inputs_give_the_sketch_of_their_outer_product(fuse: Call, random: Call) -> None:
    inputs = [random(3, width) for width in (4, 3, 2)]
    require_sketch(CompactBilinear((4, 3, 2), dim=9), fuse, *inputs)


class TimesItsWidth(CompactBilinear):
    """The defect of MMF's layer."""

    def fuse(self, *features: Features) -> Tensor:
        return self.dim * super().fuse(*features)


def test_a_sketch_multiplied_by_its_width_is_found(fuse: Call, random: Call) -> None:
    inputs = random(3, 5), random(3, 4)
    require_sketch(CompactBilinear((5, 4), dim=16), fuse, *inputs)
    with pytest.raises(AssertionError, match="not close"):
        require_sketch(TimesItsWidth((5, 4), dim=16), fuse, *inputs)


def test_an_odd_width_keeps_its_last_element(fuse: Call, random: Call) -> None:
    assert fuse(CompactBilinear((5, 4), dim=7), random(3, 5), random(3, 4)).shape == (3, 7)


def inner_products(dim: int, fuse: Call, inputs: list[Tensor]) -> Tensor:
    """<z, z'> of the two samples in `inputs`, for 300 draws of the hash functions."""
    drawn = (CompactBilinear((6, 5), dim=dim, hash_seed=seed) for seed in range(300))
    return torch.stack([fuse(fusion, *inputs).prod(dim=0).sum() for fusion in drawn])


def test_inner_products_are_kept_with_an_error_that_shrinks_as_the_root_of_the_width(
    fuse: Call, random: Call
) -> None:
    inputs = [random(1, width) + 0.3 * random(2, width) for width in (6, 5)]
    expected = torch.stack([x.prod(dim=0).sum() for x in inputs]).prod()
    narrow, wide = (inner_products(dim, fuse, inputs) for dim in (32, 512))
    for found in (narrow, wide):
        four_errors = 4 * float(found.std()) / 300**0.5
        assert float(found.mean()) == pytest.approx(float(expected), abs=four_errors)
    # 4 = sqrt(512 / 32); each deviation is known to 1 / sqrt(600) = 4 %, more with heavy tails.
    assert float(narrow.std() / wide.std()) == pytest.approx(4, rel=0.3)


def test_it_is_linear_in_each_input(fuse: Call, random: Call) -> None:
    fusion, u, v = CompactBilinear((5, 4), dim=16), random(3, 5), random(3, 4)
    torch.testing.assert_close(fuse(fusion, -2 * u, 3 * v), -6 * fuse(fusion, u, v))


def test_nothing_is_learnt() -> None:
    assert not list(CompactBilinear((5, 4)).parameters())


def test_hash_functions_depend_on_their_seed_alone() -> None:
    torch.manual_seed(1)
    first = CompactBilinear((5, 4), hash_seed=3)
    torch.manual_seed(2)
    same, other = CompactBilinear((5, 4), hash_seed=3), CompactBilinear((5, 4), hash_seed=4)
    assert hashes(same, 0) == hashes(first, 0)
    assert hashes(other, 0) != hashes(first, 0)


def test_both_inputs_have_hash_functions_of_their_own() -> None:
    fusion = CompactBilinear((50, 50))
    assert hashes(fusion, 0) != hashes(fusion, 1)


def test_loading_brings_the_hash_functions_back_whatever_the_seed(fuse: Call, random: Call) -> None:
    stored, loaded = CompactBilinear((5, 4)), CompactBilinear((5, 4), hash_seed=1)
    u, v = random(3, 5), random(3, 4)
    assert not torch.equal(fuse(loaded, u, v), fuse(stored, u, v))
    loaded.load_state_dict(stored.state_dict())
    assert torch.equal(fuse(loaded, u, v), fuse(stored, u, v))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_it_is_computed_in_float32_outside_autocast(dtype: torch.dtype, fuse: Call) -> None:
    fusion, u, v = CompactBilinear((5, 4), dim=7), torch.randn(3, 5), torch.randn(3, 4)
    expected = fuse(fusion, u, v)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(fuse(fusion, u, v), expected)
        assert fuse(fusion, u.to(dtype), v.to(dtype)).dtype == torch.float32


def normalized(fuse: Call, *inputs: Tensor, **options: Any) -> Tensor:
    dims = tuple(x.shape[-1] for x in inputs)
    return fuse(CompactBilinear(dims, normalize=True, **options), *inputs)


def test_normalized_results_are_signed_roots_of_length_one(fuse: Call, random: Call) -> None:
    u, v = random(3, 5), random(3, 4)
    z = fuse(CompactBilinear((5, 4), dim=16), u, v)
    root = z.sign() * ((z.abs() + 1e-8).sqrt() - 1e-8**0.5)
    torch.testing.assert_close(
        normalized(fuse, u, v, dim=16), root / root.norm(dim=1, keepdim=True)
    )


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e-6])
def test_the_gradient_of_normalized_results_is_bounded_near_zero(scale: float, fuse: Call) -> None:
    u = (scale * torch.ones(1, 5)).requires_grad_()
    normalized(fuse, u, torch.ones(1, 4), dim=16).square().sum().backward()
    assert u.grad is not None
    assert u.grad.abs().max() < 1e9  # NaN would be no less


def test_an_absent_input_leaves_the_sketch_of_the_other(
    fuse: Call, random: Call, absent: Callable[[int], Features]
) -> None:
    fusion, u = CompactBilinear((5, 4), dim=7), random(3, 5)
    expected = torch.tensor([sketch_slowly(fusion, row) for row in u.tolist()]).double()
    torch.testing.assert_close(fuse(fusion, u, absent(4)).double(), expected)
