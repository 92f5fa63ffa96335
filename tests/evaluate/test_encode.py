"""Encoding a split once, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.evaluated import Letters, Words, encoded, letters, pictures, subject
from torch import Tensor, nn

from mmlab.data.tables import take_rows
from mmlab.errors import DataError
from mmlab.evaluate import encode_split
from mmlab.plugin import Features


class Tokens(Letters):
    """Letters with tokens, which no fusion here reads."""

    def forward(self, x: Tensor) -> Features:
        return Features.of(x, tokens=x[:, None])


def test_every_sample_is_read_once_in_order() -> None:
    dataset = pictures(["crab", "owl"], ["crab", "owl", "owl", "crab"])
    found = encoded(subject(), dataset)
    assert dataset.reads == 4
    assert found.ids == ["word-0", "word-1", "word-2", "word-3"]
    assert found.truths == [(0,), (1,), (1,), (0,)]
    expected = torch.tensor([letters(word) for word in ("crab", "owl", "owl", "crab")])
    torch.testing.assert_close(found.features["image"].pooled, expected)


def test_absent_inputs_are_marked_and_captions_kept() -> None:
    rows = [{"image": letters("crab")}, {"text": ("owl", "bird")}, {"text": "elk"}]
    found = encoded(subject(), Words(rows, [(), (), ()]))
    assert found.present("image").tolist() == [True, False, False]
    assert found.present("text").tolist() == [False, True, True]
    assert found.captions == {"text": [(), ("owl", "bird"), ("elk",)]}
    assert found.features["text"].pooled[1].tolist() == letters("owl")


def test_a_modality_the_dataset_does_not_have_is_absent_from_every_sample() -> None:
    dataset = pictures(["crab"], ["crab"] * 5, modalities=("image",))
    found = encoded(subject(), dataset)
    assert found.present("text").tolist() == [False] * 5
    assert found.features["text"].pooled.shape == (5, 256)


def test_features_are_float32_without_gradient_in_bf16_too() -> None:
    what = replace(subject(), precision="bf16")
    what.model.encoders["image"] = nn.Sequential(nn.Linear(256, 4), Letters()).requires_grad_(True)
    found = encode_split(what, pictures(["crab"], ["crab"]), "test", 2).features["image"].pooled
    assert found.dtype == torch.float32
    assert torch.equal(found, found.bfloat16().float())
    assert not found.requires_grad


def test_tokens_are_kept_only_where_the_fusion_reads_them() -> None:
    what = subject()
    what.model.encoders["image"] = Tokens()
    dataset = pictures(["crab"], ["crab"])
    assert encoded(what, dataset).features["image"].tokens is None
    what.model.fusion.reads = frozenset({"pooled", "tokens"})
    assert encoded(what, dataset).features["image"].tokens is not None


def test_a_slice_and_an_index_take_the_same_rows() -> None:
    torch.manual_seed(0)
    features = Features.of(torch.rand(5, 3), torch.rand(5, 2, 3), torch.rand(5, 2) < 0.5)
    sliced, indexed = take_rows(features, slice(1, 4)), take_rows(features, torch.tensor([1, 2, 3]))
    assert torch.equal(sliced.pooled, indexed.pooled)
    assert torch.equal(sliced.tokens, indexed.tokens)
    assert torch.equal(sliced.mask, indexed.mask)


def test_an_empty_split_says_so() -> None:
    with pytest.raises(DataError, match="the test split is empty"):
        encoded(subject(), Words([], []))


@pytest.mark.parametrize("wrong", [2, -1])
def test_a_label_id_without_a_label_names_the_sample(wrong: int) -> None:
    dataset = pictures(["crab", "owl"], ["crab", "owl"], targets=[(0,), (wrong,)])
    with pytest.raises(DataError, match=rf"'word-1'.*\n  found: label id {wrong}\n.*0 to 1"):
        encoded(subject(), dataset)
