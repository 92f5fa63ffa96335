"""Several views: every pair of them is scored and counts as the batch's own does."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmlab_losses.decoupled import Decoupled
from mmlab_losses.info_nce import InfoNCE
from mmlab_losses.sigmoid import Sigmoid
from torch import Tensor

from mmlab.plugin import Batch, Features, Outputs, Scores, Shapes, SpecError
from mmlab.testing import check_loss

VIEWS = {"image": 2, "text": 1}


class Cosines:
    """Cosines of two encoders' features."""

    def __init__(self, features: Mapping[str, Features]) -> None:
        self.sides = {key: features[key] for key in ("u", "v")}
        self.size = len(self.sides["u"].pooled)
        self.present = self.sides["u"].present & self.sides["v"].present

    def of(self, features: Mapping[str, Features]) -> "Cosines":
        return Cosines(features)

    def block(self, start: int, stop: int) -> Scores:
        u, v = (F.normalize(side.pooled, dim=1) for side in self.sides.values())
        return Scores(u[start:stop] @ v.T, u[start:stop] @ v.T)


def scalars(loss: Any, inputs: Mapping[str, Tensor], views: Mapping[str, Tensor]) -> Any:
    present = torch.tensor([True, True, False, True])
    features = {key: Features(x, None, None, present) for key, x in inputs.items()}
    batch = Batch(inputs, {}, torch.zeros(4), torch.arange(4), views)
    outputs = Outputs(features, None, None, Cosines(features))  # type: ignore[arg-type]
    return loss(outputs, batch, lambda key, x: Features.of(x))


def vectors(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(shape[0])
    return torch.randn(shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("loss", [InfoNCE, Decoupled, Sigmoid])
def test_losses_with_views_keep_the_contract(loss: type[Any]) -> None:
    check_loss(loss, views=VIEWS, view_weight=0.3)


@pytest.mark.parametrize("loss", [InfoNCE, Decoupled, Sigmoid])
def test_the_mean_over_all_pairs_of_views_is_added(loss: type[Any], shapes: Shapes) -> None:
    inputs = {"u": vectors(4, 3), "v": -vectors(4, 3)}
    views = {"u": vectors(2, 4, 3), "v": vectors(1, 4, 3)}
    plain = loss(shapes).double()
    pairs = [
        scalars(plain, {"u": u, "v": v}, {})["loss"]
        for u in (inputs["u"], *views["u"])
        for v in (inputs["v"], *views["v"])
    ]
    with_views = loss(shapes, views={"u": 2, "v": 1}, view_weight=0.3).double()
    found = scalars(with_views, inputs, views)
    torch.testing.assert_close(found["views"], torch.stack(pairs[1:]).mean().detach())
    torch.testing.assert_close(found["loss"], pairs[0] + 0.3 * torch.stack(pairs[1:]).mean())
    assert with_views.views == 2


def test_views_of_what_is_no_input_of_the_fusion_are_refused(shapes: Shapes) -> None:
    inputs, views = {"u": vectors(4, 3), "v": vectors(4, 3)}, {"w": vectors(1, 4, 3)}
    with pytest.raises(SpecError, match="found: w\n  allowed: u, v"):
        scalars(InfoNCE(shapes, views={"w": 1}).double(), inputs, views)
