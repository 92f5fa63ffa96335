from collections.abc import Callable

import pytest
import torch
from mmlab_fusions.multiplicative_interactions import MultiplicativeInteractions
from mmlab_fusions.sum import Sum
from torch import Tensor

from mmlab.plugin import Features, SpecError

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]


def test_it_is_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion = MultiplicativeInteractions((3, 2), dim=4).double()
    fusion.bias.data = random(4)
    u, v = random(5, 3), random(5, 2)
    big_u, big_v = (m.weight for m in fusion.maps)
    expected = []
    for x, y in zip(u.tolist(), v.tolist(), strict=True):
        forms = [
            sum(a * b for a, b in zip(x, apply(w, y), strict=True)) for w in fusion.weight.data
        ]
        terms = zip(forms, apply(big_u, x), apply(big_v, y), fusion.bias.tolist(), strict=True)
        expected.append([sum(each) for each in terms])
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_without_products_it_is_the_sum(fuse: Call, random: Call) -> None:
    fusion, added = MultiplicativeInteractions((3, 2), dim=4), Sum((3, 2), dim=4, bias=True)
    torch.nn.init.zeros_(fusion.weight)
    added.load_state_dict({name: x for name, x in fusion.state_dict().items() if name != "weight"})
    u, v = random(5, 3).float(), random(5, 2).float()
    torch.testing.assert_close(fuse(fusion, u, v), fuse(added, u, v))


def test_an_absent_input_leaves_the_map_of_the_other(
    fuse: Call, absent: Callable[[int], Features]
) -> None:
    fusion, u = MultiplicativeInteractions((3, 2), dim=4), torch.randn(3, 3)
    torch.testing.assert_close(fuse(fusion, u, absent(2)), fusion.maps[0](u))


def test_weights_over_the_limit_are_refused() -> None:
    with pytest.raises(SpecError, match="512 x 512 x 512 = 134217728 weights, 512 MiB"):
        MultiplicativeInteractions((512, 512), dim=512)
