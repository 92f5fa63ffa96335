from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmlab_towers.sentence import Sentence
from torch import Tensor

from mmlab.model.components import BuildContext
from mmlab.plugin import DataError, SpecError, WeightsError
from mmlab.testing import check_encoder

TEXTS = ["a photo of cats", "", "dog", "an unheard word, and a text that is far too long for it"]


def encode(encoder: Any, texts: list[str]) -> Any:
    with torch.no_grad():
        return encoder.eval()(torch.stack([encoder.transform(text, False) for text in texts]))


@pytest.mark.parametrize("options", [{}, {"pool": "class", "normalise": False, "random": True}])
def test_an_encoder_keeps_the_contract(
    options: dict[str, Any], write_sentence: Callable[..., Path]
) -> None:
    check_encoder(Sentence, modality="text", folder=write_sentence(), **options)


def reference(ids: list[int], given: dict[str, Tensor]) -> list[list[float]]:
    """BERT's last tokens for the ids of one text without padding, number by number."""
    tensors = {name: x.tolist() for name, x in given.items()}

    def linear(name: str, x: list[float]) -> list[float]:
        rows, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        return [
            sum(w * a for w, a in zip(row, x, strict=True)) + b
            for row, b in zip(rows, bias, strict=True)
        ]

    def norm(name: str, x: list[float]) -> list[float]:
        mean = sum(x) / len(x)
        variance = sum((a - mean) ** 2 for a in x) / len(x)
        scale, shift = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        spread = math.sqrt(variance + 1e-12)
        return [(a - mean) / spread * s + b for a, s, b in zip(x, scale, shift, strict=True)]

    def added(*vectors: list[float]) -> list[float]:
        return [sum(parts) for parts in zip(*vectors, strict=True)]

    def attend(layer: str, xs: list[list[float]]) -> list[list[float]]:
        q, k, v = (
            [linear(f"{layer}.attention.self.{name}", x) for x in xs]
            for name in ("query", "key", "value")
        )
        results = [[0.0] * 12 for _ in xs]
        for head in range(3):
            part = slice(4 * head, 4 * head + 4)
            for i in range(len(xs)):
                scores = [
                    sum(a * b for a, b in zip(q[i][part], key[part], strict=True)) / 2 for key in k
                ]
                top = max(scores)
                shares = [math.exp(score - top) for score in scores]
                for j, share in enumerate(shares):
                    for d in range(4 * head, 4 * head + 4):
                        results[i][d] += share / sum(shares) * v[j][d]
        return results

    words, positions, segments = (
        tensors[f"embeddings.{name}_embeddings.weight"]
        for name in ("word", "position", "token_type")
    )
    xs = [
        norm("embeddings.LayerNorm", added(words[i], positions[n], segments[0]))
        for n, i in enumerate(ids)
    ]
    for layer in ("encoder.layer.0", "encoder.layer.1"):
        mixed = [linear(f"{layer}.attention.output.dense", x) for x in attend(layer, xs)]
        xs = [
            norm(f"{layer}.attention.output.LayerNorm", added(x, y))
            for x, y in zip(xs, mixed, strict=True)
        ]
        wide = [linear(f"{layer}.intermediate.dense", x) for x in xs]
        active = [[a * 0.5 * (1 + math.erf(a / math.sqrt(2))) for a in x] for x in wide]
        narrow = [linear(f"{layer}.output.dense", x) for x in active]
        xs = [
            norm(f"{layer}.output.LayerNorm", added(x, y)) for x, y in zip(xs, narrow, strict=True)
        ]
    return xs


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_features_are_those_of_a_slow_loop(
    prefix: str,
    write_sentence: Callable[..., Path],
    bert_tensors: dict[str, Tensor],
    context: BuildContext,
) -> None:
    encoder = Sentence(context, folder=write_sentence(prefix)).double()
    features = encode(encoder, ["a photo of cats", "dog"])
    expected = torch.tensor(reference([2, 5, 8, 9, 6, 10, 3], bert_tensors), dtype=torch.float64)
    torch.testing.assert_close(features.tokens[0, :7], expected, rtol=1e-6, atol=1e-6)
    mean = expected.mean(0)
    torch.testing.assert_close(features.pooled[0], mean / mean.norm(), rtol=1e-6, atol=1e-6)


def test_the_class_token_is_the_first(
    write_sentence: Callable[..., Path], context: BuildContext
) -> None:
    encoder = Sentence(context, folder=write_sentence(), pool="class", normalise=False)
    features = encode(encoder, TEXTS)
    assert torch.equal(features.pooled, features.tokens[:, 0])


def test_padding_changes_nothing(
    write_sentence: Callable[..., Path], context: BuildContext
) -> None:
    folder = write_sentence()
    short, long = (Sentence(context, folder=folder, length=n) for n in (8, 24))
    torch.testing.assert_close(encode(short, ["a cat"]).pooled, encode(long, ["a cat"]).pooled)


def test_a_text_is_counted_whole(
    write_sentence: Callable[..., Path], context: BuildContext
) -> None:
    folder, text = write_sentence(), "a cat " * 20
    short, long = (Sentence(context, folder=folder, length=n) for n in (8, 24))
    for each in ("", "a cat", text):
        assert short.count_ids(each) == long.count_ids(each)
    assert short.count_ids("a cat") == int((short.transform("a cat", False) != 0).sum())
    assert short.count_ids(text) == short.count_ids("") + 40 > short.length


def test_the_mask_leaves_out_what_is_special(
    write_sentence: Callable[..., Path], context: BuildContext
) -> None:
    encoder = Sentence(context, folder=write_sentence())
    mask: Tensor = encode(encoder, ["a cat"]).mask
    assert mask[0].nonzero().flatten().tolist() == [1, 2]


def test_the_folder_says_length_pooling_and_normalisation(
    write_sentence: Callable[..., Path], context: BuildContext
) -> None:
    encoder = Sentence(context, folder=write_sentence())
    assert (encoder.length, encoder.pool, encoder.is_normalised) == (16, "mean", True)
    assert "sha256" in encoder.weights_description


def test_a_folder_that_says_less_needs_options(
    write_sentence: Callable[..., Path], context: BuildContext
) -> None:
    files = ("1_Pooling/config.json", "modules.json", "sentence_bert_config.json")
    folder = write_sentence(without=files)
    with pytest.raises(SpecError, match=r"sentence\.pool"):
        Sentence(context, folder=folder)
    encoder = Sentence(context, folder=folder, pool="mean")
    assert (encoder.length, encoder.is_normalised) == (24, False)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_without_a_file_is_refused(
    name: str, write_sentence: Callable[..., Path], context: BuildContext
) -> None:
    with pytest.raises(WeightsError, match="be read"):
        Sentence(context, folder=write_sentence(without=(name,)))


def test_another_activation_is_refused(
    write_sentence: Callable[..., Path], context: BuildContext
) -> None:
    with pytest.raises(WeightsError, match="gelu_new"):
        Sentence(context, folder=write_sentence(hidden_act="gelu_new"))


def test_weights_that_do_not_fit_are_refused(
    write_sentence: Callable[..., Path], context: BuildContext
) -> None:
    with pytest.raises(WeightsError, match=r"missing layers\.2"):
        Sentence(context, folder=write_sentence(num_hidden_layers=3))


def test_more_ids_than_positions_are_refused(
    write_sentence: Callable[..., Path], context: BuildContext
) -> None:
    with pytest.raises(SpecError, match="4 to 24"):
        Sentence(context, folder=write_sentence(), length=25)


def test_a_model_must_be_named(context: BuildContext) -> None:
    with pytest.raises(SpecError, match="named, once"):
        Sentence(context)


def test_a_value_that_is_no_text_is_refused(
    write_sentence: Callable[..., Path], context: BuildContext
) -> None:
    with pytest.raises(DataError, match="no text"):
        Sentence(context, folder=write_sentence()).transform(("a", "b"), False)
