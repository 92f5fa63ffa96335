from typing import Any

import pytest
import torch
from mmlab_encoders.transformer import TextTransformer
from mmlab_encoders.vocabulary import (
    MASK,
    PAD,
    START,
    UNKNOWN,
    ByteVocabulary,
    WordVocabulary,
    split_words,
)
from safetensors.torch import load, save

from mmlab.model.components import BuildContext
from mmlab.plugin import DataError, SpecError, WeightsError
from mmlab.testing import check_encoder

SMALL: dict[str, Any] = {"length": 12, "width": 16, "heads": 2}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"vocabulary_size": 8},
        {"vocabulary": "bytes", "pool": "start"},
        {"length": 2},
        {"positions": "rotary"},
        {"causal": True, "pool": "end", "vocabulary_size": 8},
        {"causal": True, "pool": "end", "positions": "rotary", "vocabulary": "bytes"},
    ],
)
def test_transformer_keeps_the_contract(options: dict[str, Any]) -> None:
    check_encoder(TextTransformer, modality="text", **SMALL | options)


@pytest.mark.parametrize("positions", ["learnt", "rotary"])
@pytest.mark.parametrize(
    ("pool", "causal"),
    [("mean", False), ("start", False), ("end", False), ("mean", True), ("end", True)],
)
def test_columns_of_padding_may_be_cut_off(pool: Any, causal: bool, positions: Any) -> None:
    torch.manual_seed(0)
    context = BuildContext(frozenset({"pooled", "tokens"}))
    options: dict[str, Any] = {"pool": pool, "causal": causal, "positions": positions}
    encoder = TextTransformer(context, vocabulary="bytes", **options, **SMALL).eval()
    assert encoder.trims_text
    whole = torch.stack([encoder.transform(text, False) for text in ("a", "cats", "")])
    longest = int((whole != PAD).any(0).sum())
    full, cut = encoder(whole), encoder(whole[:, :longest])
    assert longest < 12
    torch.testing.assert_close(cut.pooled, full.pooled, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(cut.tokens[:2, :2], full.tokens[:2, :2], rtol=1e-6, atol=1e-6)


def test_words_are_ranked_by_frequency_then_spelling() -> None:
    words = WordVocabulary(100)
    words.fit(["b a c", "c b c"])
    assert words.encode("c b a") == [4, 5, 6]


def test_the_order_of_the_texts_does_not_matter() -> None:
    first, second = WordVocabulary(100), WordVocabulary(100)
    first.fit(["a cat", "the dog", "a bird"])
    second.fit(["a bird", "a cat", "the dog"])
    assert torch.equal(first.get_extra_state(), second.get_extra_state())


def test_words_that_are_rare_or_new_are_unknown() -> None:
    words = WordVocabulary(6)
    words.fit(["cat cat dog dog bird"])
    assert words.encode("cat bird fish") == [4, UNKNOWN, UNKNOWN]


def test_words_ignore_case_and_forms_of_letters() -> None:
    assert split_words("Ｃａｔ STRASSE straße") == ["cat", "strasse", "strasse"]  # noqa: RUF001


def test_reserved_ids_differ() -> None:
    assert len({PAD, MASK, START, UNKNOWN}) == 4


def test_bytes_are_never_unknown_nor_reserved() -> None:
    ids = ByteVocabulary().encode("aé🐈\ud800")
    assert len(ids) == 1 + 2 + 4 + 3
    assert all(3 <= i < ByteVocabulary().size for i in ids)


def test_a_vocabulary_loads_into_one_that_knew_other_words() -> None:
    words, others = WordVocabulary(100), WordVocabulary(100)
    words.fit(["naïve 猫 cat"])
    others.fit(["dog"])
    others.load_state_dict(load(save(words.state_dict())))
    assert others.encode("naïve 猫 cat dog") == [*words.encode("naïve 猫 cat"), UNKNOWN]


def test_a_vocabulary_that_learnt_nothing_loads_as_such() -> None:
    words = WordVocabulary(100)
    words.load_state_dict(load(save(WordVocabulary(100).state_dict())))
    with pytest.raises(WeightsError, match="no vocabulary yet"):
        words.encode("cat")


def test_more_words_than_there_is_room_for_are_refused() -> None:
    words = WordVocabulary(100)
    words.fit(["a b c d e f"])
    with pytest.raises(WeightsError, match="found: 6 words\n  allowed: at most 4"):
        WordVocabulary(8).load_state_dict(words.state_dict())


def test_texts_without_any_word_are_refused() -> None:
    with pytest.raises(DataError, match="2 training texts without a word"):
        WordVocabulary(100).fit(["", "  "])


def test_a_text_is_a_start_its_ids_and_padding(context: BuildContext) -> None:
    encoder = TextTransformer(context, vocabulary="bytes", **SMALL | {"length": 5})
    assert encoder.transform("ab", False).tolist() == [START, 100, 101, PAD, PAD]
    assert encoder.transform("abcdefg", False).tolist() == [START, 100, 101, 102, 103]


def test_a_text_is_counted_whole(context: BuildContext) -> None:
    options: dict[str, Any] = SMALL | {"length": 5, "vocabulary": "bytes"}
    encoder = TextTransformer(context, **options)
    assert [encoder.count_ids(text) for text in ("", "ab", "abcdefg")] == [1, 3, 8]
    ended = TextTransformer(context, pool="end", causal=True, **options)
    assert ended.count_ids("abcdefg") == 9


def test_the_mask_leaves_out_the_start_and_padding(context: BuildContext) -> None:
    encoder = TextTransformer(context, vocabulary="bytes", **SMALL | {"length": 5})
    x = torch.tensor([[START, 100, MASK, PAD, PAD]])
    assert encoder(x).mask.tolist() == [[False, True, True, False, False]]


@pytest.mark.parametrize("pool", ["mean", "start"])
def test_padding_has_no_say(context: BuildContext, pool: str) -> None:
    torch.manual_seed(0)
    encoder = TextTransformer(context, vocabulary="bytes", pool=pool, **SMALL)
    x = encoder.transform("cat", False)[None]
    expected = encoder(x).pooled
    with torch.no_grad():
        encoder.embedding.tokens.weight[PAD] = 100.0
    torch.testing.assert_close(encoder(x).pooled, expected)


def test_a_missing_text_gives_no_nan_and_no_nan_gradient(context: BuildContext) -> None:
    encoder = TextTransformer(context, vocabulary="bytes", **SMALL)
    features = encoder(torch.zeros(2, 12, dtype=torch.int64))
    features.pooled.sum().backward()
    assert features.pooled.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


def test_a_value_that_is_no_text_is_refused(context: BuildContext) -> None:
    encoder = TextTransformer(context, vocabulary="bytes", **SMALL)
    with pytest.raises(DataError, match="found: tuple"):
        encoder.transform(("a", "b"), False)


def test_bytes_with_a_size_are_refused(context: BuildContext) -> None:
    with pytest.raises(SpecError, match='found: 300 with vocabulary = "bytes"'):
        TextTransformer(context, vocabulary="bytes", vocabulary_size=300)


def test_words_make_texts_of_one_order_differ_from_another(context: BuildContext) -> None:
    torch.manual_seed(0)
    encoder = TextTransformer(context, **SMALL)
    encoder.fit(["dog bites man"])
    x = torch.stack([encoder.transform(t, False) for t in ("dog bites man", "man bites dog")])
    pooled = encoder(x).pooled
    assert not torch.allclose(pooled[0], pooled[1], atol=1e-4)
