"""Fusions that read tokens: cross-attention and bottlenecks, against loops over tokens."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from mmlab_fusions.bottleneck import Bottleneck
from mmlab_fusions.cross_attention import CrossAttention
from mmlab_fusions.token_layers import TokenAttention, TokenLayer
from torch import Tensor
from torch.nn.functional import gelu

from mmlab.plugin import Features, SpecError
from mmlab.testing import check_fusion

Call = Callable[..., Tensor]
Apply = Callable[[Tensor, list[float]], list[float]]
Vectors = list[list[float]]
BOTH = (CrossAttention, Bottleneck)


def tokens(random: Call, width: int, counts: Sequence[int]) -> Features:
    """Samples of so many real tokens each, and pooled features of no meaning."""
    longest = torch.arange(max(counts))
    mask = longest < torch.tensor(counts).unsqueeze(1)
    pooled = torch.full((len(counts), 2), torch.nan).double()
    return Features(pooled, random(*mask.shape, width), mask, torch.ones(len(counts), dtype=bool))  # type: ignore[call-overload]


def norm(x: list[float]) -> list[float]:
    mean = math.fsum(x) / len(x)
    variance = math.fsum((a - mean) ** 2 for a in x) / len(x)
    return [(a - mean) / math.sqrt(variance + 1e-5) for a in x]


def add(x: list[float], y: list[float]) -> list[float]:
    return [a + b for a, b in zip(x, y, strict=True)]


def attend(attention: TokenAttention, apply: Apply, x: list[float], keys: Vectors) -> list[float]:
    """One token's reading of the keys, head by head."""
    width = len(x) // attention.heads
    query = apply(attention.query.weight, x)
    read = [apply(attention.read.weight, key) for key in keys]
    mixed: list[float] = []
    for start in range(0, len(x), width):
        part = slice(start, start + width)
        scores = [
            math.fsum(a * b for a, b in zip(query[part], key[part], strict=True)) / math.sqrt(width)
            for key in read
        ]
        total = math.fsum(map(math.exp, scores))
        weights = [math.exp(s) / total for s in scores]
        values = [key[len(x) :][part] for key in read]
        mixed += [
            math.fsum(w * v[i] for w, v in zip(weights, values, strict=True)) for i in range(width)
        ]
    return apply(attention.write.weight, mixed)


def read(layer: TokenLayer, apply: Apply, x: list[float], keys: Vectors) -> list[float]:
    """One token after a layer whose norms have no scale and shift yet."""
    if keys:
        x = add(x, attend(layer.attention, apply, norm(x), [norm(key) for key in keys]))
    first, _, second = layer.mlp
    hidden = add(apply(first.weight, norm(x)), first.bias.tolist())
    hidden = gelu(torch.tensor(hidden).double()).tolist()
    return add(x, add(apply(second.weight, hidden), second.bias.tolist()))


def mapped(fusion: Any, apply: Apply, position: int, features: Features, sample: int) -> Vectors:
    """The real tokens of one sample in the joint width."""
    assert features.tokens is not None
    assert features.mask is not None
    real = features.tokens[sample][features.mask[sample]].tolist()
    return [apply(fusion.tokens.maps[position].weight, x) for x in real]


def mean(vectors: Vectors) -> list[float]:
    return [math.fsum(column) / len(vectors) for column in zip(*vectors, strict=True)]


def test_cross_attention_is_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion = CrossAttention((2, 2), (3, 2), dim=4, heads=2, depth=2).double()
    u, v = tokens(random, 3, [3, 1]), tokens(random, 2, [2, 4])
    expected = []
    for sample in range(2):
        sides = [mapped(fusion, apply, i, f, sample) for i, f in enumerate((u, v))]
        means: list[float] = []
        for pair, (reader, source) in enumerate([(0, 1), (1, 0)]):
            x = sides[reader]
            for layer in fusion.layers[2 * pair : 2 * pair + 2]:
                x = [read(layer, apply, token, sides[source]) for token in x]
            means += mean([norm(token) for token in x])
        expected.append(apply(fusion.result.weight, means))
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


def test_bottleneck_is_what_a_slow_loop_gives(fuse: Call, random: Call, apply: Apply) -> None:
    fusion = Bottleneck((2, 2), (3, 2), dim=4, heads=2, depth=2, bottlenecks=3).double()
    u, v = tokens(random, 3, [3, 1]), tokens(random, 2, [2, 4])
    expected = []
    for sample in range(2):
        sides = [mapped(fusion, apply, i, f, sample) for i, f in enumerate((u, v))]
        shared: Vectors = fusion.bottlenecks.tolist()
        for layers in fusion.layers:
            after = [
                [read(layer, apply, x, side + shared) for x in side + shared]
                for layer, side in zip(layers, sides, strict=True)
            ]
            sides = [side[:-3] for side in after]
            shared = [mean(list(b)) for b in zip(*(side[-3:] for side in after), strict=True)]
        expected.append(mean([norm(b) for b in shared]))
    torch.testing.assert_close(fuse(fusion, u, v), torch.tensor(expected).double())


@pytest.mark.parametrize("factory", BOTH)
def test_an_encoder_without_tokens_has_one(factory: Any, fuse: Call, random: Call) -> None:
    with_tokens = factory((3, 2), (3, 2), dim=4, heads=1).double()
    without = factory((3, 2), (None, 2), dim=4, heads=1).double()
    without.load_state_dict(with_tokens.state_dict())
    v, pooled = tokens(random, 2, [2, 3]), random(2, 3)
    one = Features(pooled, pooled.unsqueeze(1), None, torch.ones(2, dtype=torch.bool))
    torch.testing.assert_close(fuse(without, pooled, v), fuse(with_tokens, one, v))


@pytest.mark.slow
def test_a_bottleneck_keeps_the_contract_where_an_encoder_gives_no_tokens() -> None:
    """In cross-attention such a token is all there is to read, and nothing trains the queries."""
    check_fusion(Bottleneck, dims=(8, 6), token_dims=(8, None), dim=8, heads=2)


@pytest.mark.parametrize("factory", BOTH)
def test_the_order_of_tokens_has_no_say(factory: Any, fuse: Call, random: Call) -> None:
    """Positions are the encoders' business."""
    fusion = factory((2, 2), (3, 2), dim=4, heads=2).double()
    u, v = tokens(random, 3, [3, 3]), tokens(random, 2, [2, 2])
    assert u.tokens is not None
    turned = Features(u.pooled, u.tokens.flip(1), u.mask, u.present)
    torch.testing.assert_close(fuse(fusion, turned, v), fuse(fusion, u, v))


def without(features: Features) -> Features:
    """The same samples, none of which has this input."""
    absent = torch.zeros_like(features.present)
    assert features.tokens is not None
    rubbish = torch.full_like(features.tokens, torch.nan)
    return Features(features.pooled, rubbish, features.mask, absent)


def test_what_finds_nothing_to_read_passes_its_own_tokens_on(
    fuse: Call, random: Call, apply: Apply
) -> None:
    fusion = CrossAttention((2, 2), (3, 2), dim=4, heads=2).double()
    u, v = tokens(random, 3, [3]), tokens(random, 2, [2])
    own = [norm(read(fusion.layers[0], apply, x, [])) for x in mapped(fusion, apply, 0, u, 0)]
    expected = apply(fusion.result.weight, mean(own) + [0.0] * 4)
    torch.testing.assert_close(fuse(fusion, u, without(v)), torch.tensor([expected]).double())


def test_an_absent_input_has_no_say_in_the_bottleneck(fuse: Call, random: Call) -> None:
    """What is left is what layers of the other alone make of the bottleneck."""
    fusion = Bottleneck((2, 2, 2), (3, 2, 2), dim=4, heads=2).double()
    two = Bottleneck((2, 2), (3, 2), dim=4, heads=2).double()
    two.bottlenecks, two.norm = fusion.bottlenecks, fusion.norm
    for own, given in zip(
        (two.tokens.maps, *two.layers), (fusion.tokens.maps, *fusion.layers), strict=True
    ):
        own[0], own[1] = given[0], given[2]
    u, v, w = (tokens(random, width, [2, 3]) for width in (3, 2, 2))
    torch.testing.assert_close(fuse(fusion, u, without(v), w), fuse(two, u, w))


@pytest.mark.parametrize("factory", BOTH)
def test_heads_must_divide_the_width(factory: Any) -> None:
    with pytest.raises(SpecError, match="width 6, heads 4"):
        factory((2, 2), (3, 2), dim=6)
