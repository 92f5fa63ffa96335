import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from mmlab_fusions.inner_product import InnerProduct
from torch import Tensor

from mmlab.plugin import Features, SpecError
from mmlab.testing import check_fusion


def random(*shape: int) -> Tensor:
    return torch.randn(
        shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape))
    )


def scores(fusion: InnerProduct, u: Tensor, v: Tensor) -> Tensor:
    sides = (fusion.project(i, Features.of(x)) for i, x in enumerate((u, v)))
    return fusion.score(*sides).forward


@pytest.mark.parametrize(
    ("dims", "options"),
    [((8, 6), {"dim": 5}), ((8, 6), {"dim": 5, "cosine": False}), ((7, 7), {})],
)
def test_inner_product_keeps_the_contract(dims: Sequence[int], options: dict[str, Any]) -> None:
    check_fusion(InnerProduct, dims=dims, **options)


def cosine_slowly(u: Sequence[float], v: Sequence[float]) -> float:
    dot = math.fsum(a * b for a, b in zip(u, v, strict=True))
    return dot / math.sqrt(math.fsum(a * a for a in u) * math.fsum(b * b for b in v))


def test_cosine_is_what_a_slow_loop_gives() -> None:
    fusion = InnerProduct((3, 2), dim=4).double()
    u, v = random(5, 3), random(4, 2)
    p, q = (projection.weight.detach() for projection in fusion.projections)
    expected = [[cosine_slowly((p @ a).tolist(), (q @ b).tolist()) for b in v] for a in u]
    with torch.no_grad():
        torch.testing.assert_close(scores(fusion, u, v), torch.tensor(expected).double())


def test_without_cosine_it_is_the_plain_product() -> None:
    u, v = random(5, 3), random(4, 3)
    torch.testing.assert_close(scores(InnerProduct((3, 3), cosine=False), u, v), u @ v.T)


def test_cosine_lies_between_minus_one_and_one() -> None:
    u = random(6, 4)
    found = scores(InnerProduct((4, 4)), torch.cat([u, -u]), 1e3 * u)
    assert found.abs().max() <= 1 + 1e-12
    torch.testing.assert_close(found[:6].diagonal(), torch.ones(6).double())
    torch.testing.assert_close(found[6:].diagonal(), -torch.ones(6).double())


def test_both_directions_and_both_orders_agree() -> None:
    fusion, u, v = InnerProduct((4, 4)), random(5, 4), random(3, 4)
    made = fusion.score(Features.of(u), Features.of(v))
    assert made.forward is made.backward
    torch.testing.assert_close(scores(fusion, v, u).T, made.forward)


def test_without_a_width_nothing_is_learnt() -> None:
    assert not list(InnerProduct((4, 4)).parameters())


def test_a_pair_with_an_absent_side_scores_zero() -> None:
    fusion, u, v = InnerProduct((4, 3), dim=5), torch.randn(2, 4), torch.randn(2, 3)
    absent = Features(torch.full_like(u, torch.inf), None, None, torch.tensor([False, True]))
    made = fusion.score(fusion.project(0, absent), fusion.project(1, Features.of(v)))
    assert made.forward[0].tolist() == [0.0, 0.0]


def test_prompts_are_normalised_averaged_and_normalised() -> None:
    fusion, image, prompts = InnerProduct((4, 4)), random(1, 4), random(3, 4)
    projected = fusion.project(1, Features.of(prompts))
    mean = Features.of(projected.pooled.mean(0, keepdim=True))
    found = fusion.score(fusion.project(0, Features.of(image)), mean).forward
    each = prompts / prompts.norm(dim=1, keepdim=True)
    expected = cosine_slowly(image[0].tolist(), each.mean(0).tolist())
    assert float(found) == pytest.approx(expected, abs=1e-12)


def test_scores_are_float32_under_autocast() -> None:
    fusion = InnerProduct((4, 4), dim=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert scores(fusion, torch.randn(2, 4), torch.randn(2, 4)).dtype == torch.float32


LENGTHS = [0.0, *(10.0**-k for k in range(16))]


@pytest.mark.parametrize("length", LENGTHS)
def test_the_cosine_and_its_gradient_are_bounded_at_every_length(length: float) -> None:
    """Below 1e-6 the cosine shrinks with the length, so that its slope is never above 1e6."""
    way, v = random(1, 4), random(1, 1, 4)[0]
    u = (length * way / way.norm()).requires_grad_()
    found = scores(InnerProduct((4, 4)), u, v)
    found.sum().backward()
    expected = min(1, length / 1e-6) * cosine_slowly(way[0].tolist(), v[0].tolist())
    assert float(found.detach()) == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert u.grad is not None
    assert 0 < u.grad.norm() <= 1e6 * (1 + 1e-9)


@pytest.mark.parametrize("length", LENGTHS)
def test_the_joined_cosine_has_the_same_gradient_as_the_score(length: float) -> None:
    fusion, v = InnerProduct((4, 4)), random(1, 4)
    way = random(1, 1, 4)[0]
    u = (length * way / way.norm()).requires_grad_()
    sides = [fusion.project(i, Features.of(x)) for i, x in enumerate((u, v))]
    (joined,) = torch.autograd.grad(fusion.fuse(*sides).sum(), u, retain_graph=True)
    (scored,) = torch.autograd.grad(fusion.score(*sides).forward.sum(), u)
    torch.testing.assert_close(joined, scored)


def test_unequal_widths_without_a_joint_width_are_refused() -> None:
    with pytest.raises(SpecError, match="widths 4 and 3"):
        InnerProduct((4, 3))
