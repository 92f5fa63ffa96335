from typing import Any

import pytest
import torch
from mmlab_encoders.blocks import Attention
from mmlab_encoders.transformer import TextTransformer
from mmlab_encoders.vocabulary import MASK, PAD, START, ByteVocabulary, WordVocabulary
from torch import Tensor

from mmlab.model.components import BuildContext
from mmlab.plugin import Features, SpecError, WeightsError

SMALL: dict[str, Any] = {"vocabulary": "bytes", "length": 8, "width": 16, "heads": 2}
END = ByteVocabulary(has_end=True).end


def make(context: BuildContext, **options: Any) -> TextTransformer:
    torch.manual_seed(0)
    return TextTransformer(context, **SMALL | {"causal": True, "pool": "end"} | options).eval()


def encode(encoder: TextTransformer, *texts: str) -> Features:
    features: Features = encoder(torch.stack([encoder.transform(text, False) for text in texts]))
    return features


def tokens_of(encoder: TextTransformer, x: Tensor) -> Tensor:
    tokens = encoder(x).tokens
    assert tokens is not None
    return tokens


def test_causal_attention_is_full_attention_to_what_is_not_later() -> None:
    torch.manual_seed(0)
    attention, x = Attention(8, heads=2, causal=True), torch.randn(2, 5, 8)
    full = Attention(8, heads=2)
    full.load_state_dict(attention.state_dict())
    for place in range(5):
        expected = full(x[:, : place + 1])[:, -1]
        torch.testing.assert_close(attention(x)[:, place], expected)


@pytest.mark.parametrize("positions", ["learnt", "rotary"])
def test_later_tokens_change_no_earlier_one(context: BuildContext, positions: str) -> None:
    encoder = make(context, positions=positions)
    x = torch.tensor([[START, 100, 101, 102, END, PAD, PAD, PAD]])
    for place in range(1, 5):
        other = x.clone()
        other[:, place] = 200
        before, after = tokens_of(encoder, x), tokens_of(encoder, other)
        assert torch.equal(before[:, :place], after[:, :place])
        assert not torch.isclose(before[:, place:], after[:, place:]).all(dim=2).any()


def test_without_causal_they_do(context: BuildContext) -> None:
    encoder = make(context, causal=False)
    first, second = encode(encoder, "cat").tokens, encode(encoder, "car").tokens
    assert first is not None
    assert second is not None
    assert not torch.allclose(first[:, 1], second[:, 1])


@pytest.mark.parametrize("causal", [True, False])
def test_the_end_token_is_what_is_pooled(context: BuildContext, causal: bool) -> None:
    encoder = make(context, causal=causal)
    features = encode(encoder, "cat", "", "a long text")
    assert features.tokens is not None
    assert features.mask is not None
    rows = torch.arange(3)
    assert torch.equal(features.pooled, features.tokens[rows, torch.tensor([4, 1, 7])])
    assert features.mask.sum(1).tolist() == [3, 0, 6]


def test_a_text_is_a_start_its_ids_an_end_and_padding(context: BuildContext) -> None:
    encoder = make(context, length=5)
    assert encoder.transform("ab", False).tolist() == [START, 100, 101, END, PAD]
    assert encoder.transform("abcdefg", False).tolist() == [START, 100, 101, 102, END]
    assert encoder.vocabulary.special == {PAD, MASK, START, END}


def test_the_mean_may_be_causal_and_needs_no_end(context: BuildContext) -> None:
    encoder = make(context, pool="mean")
    x = encoder.transform("cat", False)
    assert x.tolist() == [START, 102, 100, 119, PAD, PAD, PAD, PAD]
    tokens = tokens_of(encoder, x[None])
    torch.testing.assert_close(encoder(x[None]).pooled, tokens[:, :4].mean(1))


def test_what_stands_where_padding_is_has_no_say(context: BuildContext) -> None:
    encoder = make(context)
    expected = encode(encoder, "cat").pooled
    with torch.no_grad():
        encoder.embedding.tokens.weight[PAD] = 100.0
    assert torch.equal(encode(encoder, "cat").pooled, expected)


def test_a_missing_text_gives_no_nan_and_no_nan_gradient(context: BuildContext) -> None:
    encoder = make(context, positions="rotary")
    pooled = encoder(torch.zeros(2, 8, dtype=torch.int64)).pooled
    pooled.sum().backward()
    assert pooled.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


def test_words_have_the_same_ids_with_an_end_which_takes_a_row() -> None:
    plain, ended = WordVocabulary(8), WordVocabulary(8, has_end=True)
    plain.fit(["a b c d"])
    ended.fit(["a b c d"])
    assert plain.encode("a b c") == ended.encode("a b c") == [4, 5, 6]
    assert (plain.encode("d"), ended.encode("d"), ended.end) == ([7], [3], 7)
    with pytest.raises(WeightsError, match="found: 4 words\n  allowed: at most 3"):
        ended.load_state_dict(plain.state_dict())


def test_no_byte_is_the_end() -> None:
    vocabulary = ByteVocabulary(has_end=True)
    ids = [i for byte in range(256) for i in vocabulary.encode(chr(byte))]
    assert max(ids) < END == vocabulary.size - 1


def test_a_length_that_leaves_no_place_for_text_is_refused(context: BuildContext) -> None:
    with pytest.raises(SpecError, match=r'length: .*\n  found: length = 2 with pool = "end"\n'):
        make(context, length=2)
    encoder = make(context, length=3)
    assert encoder.transform("cat", False).tolist() == [START, *encoder.ids.encode("c"), END]


def test_a_causal_start_token_is_refused(context: BuildContext) -> None:
    with pytest.raises(SpecError, match='found: pool = "start" with causal = true'):
        make(context, pool="start")
