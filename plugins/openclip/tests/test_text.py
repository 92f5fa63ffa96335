from __future__ import annotations

import copy
from typing import Any

import open_clip
import pytest
import torch
from mmlab_openclip.encoder import open_clip as make

from mmlab.plugin import DataError, SpecError, Tokenized

TEXTS = ["a dog", "a photo of guacamole, a type of food.", "", "long " * 40]
VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 32, "patch_size": 16}
TEXT = {"context_length": 20, "width": 32, "heads": 2, "layers": 2}
#: Variants of the text tower; the last element says whether padding can be cut off.
VARIANTS: dict[str, tuple[dict[str, Any], bool]] = {
    "clip": ({}, True),
    "projection with a bias": ({"proj_bias": True}, True),
    "no projection": ({"proj_type": "none"}, True),
    "bidirectional": ({"no_causal_mask": True, "pool_type": "last"}, False),
    "class token as in CoCa": ({"embed_cls": True}, False),
}


def config(change: dict[str, Any]) -> dict[str, Any]:
    text = TEXT | change
    return {"embed_dim": 32, "custom_text": True, "vision_cfg": VISION, "text_cfg": text}


def ids(encoder: Any) -> torch.Tensor:
    return torch.stack([encoder.transform(text, False) for text in TEXTS])


@pytest.mark.parametrize("variant", VARIANTS)
def test_texts_are_encoded_as_by_open_clip(write_model: Any, context: Any, variant: str) -> None:
    change, trims_text = VARIANTS[variant]
    architecture = write_model(config(change))
    encoder = make("text", context, architecture=architecture).eval()
    model = open_clip.create_model(architecture).eval()

    with torch.no_grad():
        pooled = encoder(ids(encoder)).pooled
        expected = model.encode_text(open_clip.get_tokenizer(architecture)(TEXTS))

    assert encoder.trims_text == trims_text
    torch.testing.assert_close(pooled, expected, atol=1e-6, rtol=0)


def test_the_text_tower_of_a_plain_clip_is_open_clips(clip: str, context: Any) -> None:
    encoder = make("text", context, architecture=clip).eval()
    model = open_clip.create_model(clip).eval()
    assert isinstance(model, open_clip.CLIP)  # whose text tower is no module of its own

    with torch.no_grad():
        pooled = encoder(ids(encoder)).pooled
        expected = model.encode_text(open_clip.get_tokenizer(clip)(TEXTS))

    torch.testing.assert_close(pooled, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("length", [9, 12, 19])
def test_text_cut_to_the_longest_prompt_is_encoded_the_same(
    clip: str, context: Any, length: int
) -> None:
    encoder = make("text", context, architecture=clip).eval()
    short = torch.stack([encoder.transform(text, False) for text in ("a dog", "", "a red cat")])
    assert (short[:, length:] == encoder.vocabulary.pad).all()

    with torch.no_grad():
        whole, cut = encoder(short).pooled, encoder(short[:, :length]).pooled

    # The same sums over the same numbers, blocked differently by the matrix product.
    torch.testing.assert_close(cut, whole, atol=1e-6, rtol=0)


def test_a_text_is_counted_whole(clip: str, context: Any) -> None:
    encoder = make("text", context, architecture=clip)
    whole = open_clip.get_tokenizer(clip)(TEXTS, context_length=1000)
    assert [encoder.count_ids(text) for text in TEXTS] == (whole != 0).sum(1).tolist()
    assert encoder.count_ids(TEXTS[-1]) == 42 > encoder.length
    assert encoder.count_ids("word " * 400) == 402


def test_tokens_are_masked_at_start_end_and_padding(clip: str, tokens_context: Any) -> None:
    encoder = make("text", tokens_context, architecture=clip).eval()

    features = encoder(encoder.transform("a red dog", False)[None])

    assert features.tokens.shape == (1, 20, encoder.token_dim)
    assert features.mask[0].nonzero().flatten().tolist() == [1, 2, 3]


def test_the_class_token_of_coca_is_not_among_its_tokens(
    write_model: Any, tokens_context: Any
) -> None:
    architecture = write_model(config({"embed_cls": True}))
    encoder = make("text", tokens_context, architecture=architecture).eval()

    features = encoder(encoder.transform("a red dog", False)[None])

    assert features.tokens.shape == (1, 20, encoder.token_dim)
    assert features.mask.sum() == 3


def test_the_vocabulary_names_the_reserved_ids(clip: str, context: Any) -> None:
    encoder = make("text", context, architecture=clip)
    vocabulary = encoder.vocabulary
    content = encoder.transform("a red dog", False)[1:4].tolist()

    assert isinstance(encoder, Tokenized)
    assert vocabulary.size == 49408
    assert {vocabulary.pad, vocabulary.mask} < vocabulary.special
    assert vocabulary.special.isdisjoint(content)


def test_the_text_encoder_owns_the_text_towers_parameters_and_no_others(
    clip: str, context: Any
) -> None:
    encoder = make("text", context, architecture=clip)
    model = open_clip.create_model(clip, force_custom_text=True)

    assert {name for name, _ in encoder.named_parameters()} == {
        f"tower.{name}" for name, _ in model.text.named_parameters()
    }


def test_stages_hold_every_parameter_once(clip: str, context: Any) -> None:
    encoder = make("text", context, architecture=clip)

    held = [id(p) for stage in encoder.stages() for p in stage.parameters()]

    assert len(encoder.stages()) == 4
    assert sorted(held) == sorted(id(p) for p in encoder.parameters())


def test_every_parameter_receives_gradient(clip: str, context: Any) -> None:
    encoder = make("text", context, architecture=clip)

    encoder(ids(encoder)).pooled.square().sum().backward()

    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_an_encoder_can_be_copied(clip: str, context: Any) -> None:
    encoder = make("text", context, architecture=clip).eval()

    twin = copy.deepcopy(encoder)

    assert torch.equal(twin(ids(twin)).pooled, encoder(ids(encoder)).pooled)


def test_a_value_that_is_no_text_is_refused(clip: str, context: Any) -> None:
    encoder = make("text", context, architecture=clip)

    with pytest.raises(DataError, match="found: a value of type int"):
        encoder.transform(3, False)


def test_a_crop_of_text_is_refused(clip: str, context: Any) -> None:
    with pytest.raises(SpecError, match="text cannot be cropped"):
        make("text", context, architecture=clip, crop=0.9)
