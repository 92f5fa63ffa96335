from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from mmlab_fusions.directional_projections import DirectionalProjections
from mmlab_fusions.inner_product import InnerProduct
from torch import Tensor

from mmlab.plugin import Features, Scores
from mmlab.testing import check_fusion


def scores(fusion: DirectionalProjections | InnerProduct, u: Tensor, v: Tensor) -> Scores:
    return fusion.score(*(fusion.project(i, Features.of(x)) for i, x in enumerate((u, v))))


def test_directional_projections_keep_the_contract() -> None:
    check_fusion(DirectionalProjections, dims=(8, 6), dim=5)


def test_each_direction_has_projections_of_its_own(random: Callable[..., Tensor]) -> None:
    fusion, u, v = DirectionalProjections((4, 3), dim=2).double(), random(5, 4), random(6, 3)
    found = scores(fusion, u, v)
    for direction, rows in ((found.forward, slice(0, 2)), (found.backward, slice(2, 4))):
        x, y = (
            side @ projection.weight[rows].T
            for side, projection in zip((u, v), fusion.projections, strict=True)
        )
        torch.testing.assert_close(direction, F.cosine_similarity(x[:, None], y[None], dim=-1))


def test_with_equal_projections_it_is_the_inner_product(random: Callable[..., Tensor]) -> None:
    fusion, plain = DirectionalProjections((4, 3), dim=2), InnerProduct((4, 3), dim=2)
    for both, one in zip(fusion.projections, plain.projections, strict=True):
        both.weight.data = torch.cat([one.weight, one.weight])
    u, v = random(5, 4), random(6, 3)
    found, expected = scores(fusion.double(), u, v), scores(plain.double(), u, v).forward
    torch.testing.assert_close(found.forward, expected)
    torch.testing.assert_close(found.backward, expected)


@pytest.mark.parametrize("length", [0.0, *(10.0**-k for k in range(16))])
def test_short_vectors_have_the_inner_products_scores_and_gradients(
    length: float, random: Callable[..., Tensor]
) -> None:
    fusion, plain = DirectionalProjections((4, 4), dim=4).double(), InnerProduct((4, 4))
    for projection in fusion.projections:
        projection.weight.data = torch.eye(4, dtype=torch.float64).repeat(2, 1)
    u, v = (length * random(5, 4)).requires_grad_(), random(6, 4)
    found, expected = scores(fusion, u, v), scores(plain, u, v)
    (ours,) = torch.autograd.grad(found.backward.sum(), u, retain_graph=True)
    (theirs,) = torch.autograd.grad(expected.forward.sum(), u)
    torch.testing.assert_close(found.backward, expected.forward)
    torch.testing.assert_close(ours, theirs)
    assert ours.norm(dim=1).max() <= len(v) * 1e6


def test_a_direction_trains_its_own_half_of_the_maps(random: Callable[..., Tensor]) -> None:
    fusion = DirectionalProjections((4, 3), dim=2).double()
    scores(fusion, random(5, 4), random(6, 3)).forward.sum().backward()
    for projection in fusion.projections:
        assert projection.weight.grad[:2].abs().min() > 0
        assert projection.weight.grad[2:].abs().max() == 0


def test_prompts_are_averaged_in_each_direction(random: Callable[..., Tensor]) -> None:
    fusion, image, prompts = (
        DirectionalProjections((4, 3), dim=2).double(),
        random(1, 4),
        random(3, 3),
    )
    sides = fusion.project(0, Features.of(image)), fusion.project(1, Features.of(prompts))
    found = fusion.score(sides[0], Features.of(sides[1].pooled.mean(0, keepdim=True)))
    mean = sides[1].pooled[:, :2].mean(0)
    expected = F.cosine_similarity(sides[0].pooled[0, :2], mean, dim=0)
    torch.testing.assert_close(found.forward.squeeze(), expected)
