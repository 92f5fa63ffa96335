import math
from typing import Any

import pytest
import torch
from mmlab_encoders.blocks import Attention
from mmlab_encoders.rotary import rotate
from mmlab_encoders.transformer import TextTransformer
from mmlab_encoders.vocabulary import PAD, START
from torch import Tensor

from mmlab.model.components import BuildContext
from mmlab.plugin import SpecError


def rotate_slowly(x: Tensor) -> Tensor:
    """Equation 34 of RoFormer: a pair of numbers as a point of the plane, turned."""
    turned = torch.empty_like(x)
    count, width = x.shape
    for n in range(count):
        for i in range(width // 2):
            angle = n * 10000 ** (-2 * i / width)
            point = complex(x[n, i], x[n, width // 2 + i])
            point *= complex(math.cos(angle), math.sin(angle))
            turned[n, i], turned[n, width // 2 + i] = point.real, point.imag
    return turned


def vectors(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def test_rotation_is_what_a_slow_loop_gives() -> None:
    x = vectors(2, 3, 7, 6)
    expected = torch.stack([torch.stack([rotate_slowly(head) for head in heads]) for heads in x])
    torch.testing.assert_close(rotate(x), expected, rtol=1e-12, atol=1e-12)


def test_products_of_turned_vectors_depend_on_their_distance_alone() -> None:
    """One query and one key at all places: logits are the same along each diagonal."""
    q, k = (vectors(8, seed=seed).expand(9, 8) for seed in (1, 2))
    logits = rotate(q) @ rotate(k).T
    torch.testing.assert_close(logits[1:, 1:], logits[:-1, :-1])
    assert len({round(float(x), 6) for x in logits[0]}) == 9
    torch.testing.assert_close(logits.diagonal(), (q * k).sum(1))


def test_lengths_stay_as_they_are_and_so_does_the_first_place() -> None:
    x = vectors(40, 8)
    torch.testing.assert_close(rotate(x).norm(dim=1), x.norm(dim=1))
    assert torch.equal(rotate(x)[0], x[0])


def test_angles_are_not_rounded_to_half_precision() -> None:
    x = vectors(300, 8).bfloat16()
    found = rotate(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), rotate(x.double()), rtol=2**-8, atol=1e-3)


def attend_slowly(attention: Attention, x: Tensor, mask: Tensor) -> Tensor:
    """One sample's attention, with its queries and keys turned, and its values not."""
    q, k, v = attention.read(x).reshape(len(x), 3, attention.heads, -1).unbind(1)
    mixed = []
    for head in range(attention.heads):
        logits = rotate_slowly(q[:, head]) @ rotate_slowly(k[:, head]).T / math.sqrt(q.shape[2])
        mixed.append(logits.masked_fill(~mask, -math.inf).softmax(1) @ v[:, head])
    result: Tensor = attention.write(torch.cat(mixed, dim=1))
    return result


def test_rotary_attention_is_what_a_slow_loop_gives() -> None:
    torch.manual_seed(0)
    attention = Attention(12, heads=2, rotary=True).double()
    x, mask = vectors(2, 5, 12), torch.tensor([[True] * 5, [True, True, False, True, False]])
    with torch.no_grad():
        expected = torch.stack(
            [attend_slowly(attention, *pair) for pair in zip(x, mask, strict=True)]
        )
        torch.testing.assert_close(attention(x, mask), expected)


def test_attention_does_not_depend_on_where_a_text_begins() -> None:
    """The same tokens after three that are masked give the same."""
    torch.manual_seed(0)
    attention, x = Attention(12, heads=2, rotary=True).double(), vectors(1, 5, 12)
    moved = torch.cat([vectors(1, 3, 12, seed=1), x], dim=1)
    mask = torch.arange(8)[None] >= 3
    torch.testing.assert_close(attention(moved, mask)[:, 3:], attention(x))


def test_the_order_of_words_matters_and_no_position_is_added(context: BuildContext) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"vocabulary": "bytes", "length": 8, "width": 16, "heads": 2}
    encoder = TextTransformer(context, positions="rotary", **options)
    assert not any("position" in name for name, _ in encoder.named_parameters())
    x = torch.tensor([[START, 100, 101, 102, PAD], [START, 101, 100, 102, PAD]])
    pooled = encoder(x).pooled
    assert not torch.allclose(pooled[0], pooled[1], atol=1e-4)


@pytest.mark.parametrize("pool", ["mean", "start"])
def test_padding_has_no_say(context: BuildContext, pool: Any) -> None:
    torch.manual_seed(0)
    encoder = TextTransformer(context, vocabulary="bytes", positions="rotary", pool=pool, length=9)
    x = encoder.transform("cat", False)[None]
    expected = encoder(x).pooled
    with torch.no_grad():
        encoder.embedding.tokens.weight[PAD] = 100.0
    torch.testing.assert_close(encoder(x).pooled, expected)


def test_heads_of_an_odd_width_are_refused() -> None:
    with pytest.raises(SpecError, match="found: width 10, heads 2: 5 numbers a head"):
        Attention(10, heads=2, rotary=True)


# --- x-clip ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def x_clip() -> Any:
    return pytest.importorskip("x_clip.x_clip")


@pytest.mark.parametrize("width", [2, 16, 32])
def test_rotation_is_x_clip_s(x_clip: Any, width: int) -> None:
    """Up to 32 numbers a head: of wider heads it leaves the rest as they are."""
    x = vectors(2, 3, 9, width)
    theirs = x_clip.apply_rotary_pos_emb(x_clip.RotaryEmbedding(width)(9, x.device).double(), x)
    torch.testing.assert_close(rotate(x), theirs, rtol=1e-5, atol=1e-5)  # its angles are float32


def test_x_clip_turns_values_too_and_so_depends_on_where_a_text_begins(x_clip: Any) -> None:
    torch.manual_seed(0)
    attention, x = x_clip.Attention(12, dim_head=6, heads=2).double(), vectors(1, 5, 12)
    angles = x_clip.RotaryEmbedding(6)(8, x.device).double()
    here, there = attention(x, None, angles[:5]), attention(x, None, angles[3:])
    assert float((here - there).abs().max().detach()) > 0.1
