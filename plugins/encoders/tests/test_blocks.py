import math

import pytest
import torch
from mmlab_encoders.blocks import Attention, Block, Trunk, masked_mean
from torch import Tensor

from mmlab.plugin import SpecError


def attend_slowly(attention: Attention, x: Tensor, mask: Tensor) -> Tensor:
    """Softmax attention, one token, one head and one sample at a time."""
    size, count, width = x.shape
    each = width // attention.heads
    mixed = torch.zeros_like(x)
    for b in range(size):
        q, k, v = (attention.read(x[b]).reshape(count, 3, width)[:, i] for i in range(3))
        for head in range(attention.heads):
            part = slice(head * each, (head + 1) * each)
            for n in range(count):
                weights = [
                    math.exp(float(q[n, part] @ k[m, part]) / math.sqrt(each)) * bool(mask[b, m])
                    for m in range(count)
                ]
                for m in range(count):
                    mixed[b, n, part] += weights[m] / sum(weights) * v[m, part]
    return attention.write(mixed)


def test_attention_is_what_a_slow_loop_gives() -> None:
    torch.manual_seed(0)
    attention = Attention(6, heads=2).double()
    x = torch.randn(2, 4, 6, dtype=torch.float64)
    mask = torch.tensor([[True, True, False, True], [True, False, False, False]])
    with torch.no_grad():
        torch.testing.assert_close(attention(x, mask), attend_slowly(attention, x, mask))


def test_masked_tokens_change_no_other_token() -> None:
    torch.manual_seed(0)
    trunk = Trunk(8, depth=2, heads=2)
    x, mask = torch.randn(1, 4, 8), torch.tensor([[True, True, True, False]])
    other = torch.cat([x[:, :3], torch.full((1, 1, 8), 9.0)], dim=1)
    torch.testing.assert_close(trunk(x, mask)[:, :3], trunk(other, mask)[:, :3])


def test_tokens_without_positions_may_come_in_any_order() -> None:
    torch.manual_seed(0)
    block, x = Block(8, heads=2), torch.randn(2, 5, 8)
    torch.testing.assert_close(block(x.flip(1)), block(x).flip(1))


def test_a_masked_mean_counts_real_tokens_only() -> None:
    tokens = torch.tensor([[[1.0], [3.0], [100.0]], [[7.0], [7.0], [7.0]]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert masked_mean(tokens, mask).tolist() == [[2.0], [0.0]]


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(SpecError, match="found: width 10, heads 4"):
        Attention(10, heads=4)
