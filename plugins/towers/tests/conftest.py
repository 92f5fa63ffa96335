"""Tiny models written as their own libraries write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from mmlab.model.components import BuildContext

BERT = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "vocab_size": 40,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 24,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "dog", "photo", "of", "##s"]


@pytest.fixture
def context() -> BuildContext:
    """A model that reads pooled features and tokens."""
    return BuildContext(frozenset({"pooled", "tokens"}))


@pytest.fixture
def write_timm(tmp_path: Path) -> Callable[..., Path]:
    """Write a model's folder as timm's repositories have it."""

    def write(architecture: str = "test_resnet", **settings: Any) -> Path:
        folder = tmp_path / architecture
        folder.mkdir()
        torch.manual_seed(0)
        model = timm.create_model(architecture)
        save_file(model.state_dict(), folder / "model.safetensors")
        known = {"input_size": [3, 64, 64], "interpolation": "bilinear", "crop_pct": 0.8}
        known |= {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]} | settings
        config = {"architecture": architecture, "pretrained_cfg": known}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return write


def tokenizer() -> Tokenizer:
    """Word pieces of a dozen words, with BERT's start and end."""
    made = Tokenizer(WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    made.add_special_tokens(WORDS[:5])
    made.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


@pytest.fixture
def bert_tensors() -> dict[str, torch.Tensor]:
    """Random weights under transformers' names, its pooler included."""
    width, inner = BERT["hidden_size"], BERT["intermediate_size"]
    assert isinstance(width, int)
    assert isinstance(inner, int)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (40, width),
        "embeddings.position_embeddings.weight": (24, width),
        "embeddings.token_type_embeddings.weight": (2, width),
        "pooler.dense.weight": (width, width),
        "pooler.dense.bias": (width,),
    }
    linears = {"attention.output.dense": (width, width), "intermediate.dense": (inner, width)}
    linears |= {f"attention.self.{name}": (width, width) for name in ("query", "key", "value")}
    linears |= {"output.dense": (width, inner)}
    norms = ["embeddings.LayerNorm"]
    for layer in range(2):
        prefix = f"encoder.layer.{layer}."
        norms += [prefix + "attention.output.LayerNorm", prefix + "output.LayerNorm"]
        for name, shape in linears.items():
            shapes |= {f"{prefix}{name}.weight": shape, f"{prefix}{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) / 2 for name, shape in shapes.items()}


@pytest.fixture
def write_sentence(tmp_path: Path, bert_tensors: dict[str, torch.Tensor]) -> Callable[..., Path]:
    """Write a sentence-transformer's folder; `without` leaves files out."""

    def write(prefix: str = "", without: tuple[str, ...] = (), **config: Any) -> Path:
        folder = tmp_path / "tiny-bert"
        (folder / "1_Pooling").mkdir(parents=True)
        tokenizer().save(str(folder / "tokenizer.json"))
        tensors = {prefix + name: x for name, x in bert_tensors.items()}
        save_file(tensors, folder / "model.safetensors")
        texts: dict[str, object] = {
            "config.json": BERT | config,
            "1_Pooling/config.json": {"pooling_mode_mean_tokens": True},
            "modules.json": [
                {"path": path, "type": f"sentence_transformers.models.{kind}"}
                for path, kind in (
                    ("", "Transformer"),
                    ("1_Pooling", "Pooling"),
                    ("2", "Normalize"),
                )
            ],
            "sentence_bert_config.json": {"max_seq_length": 16},
        }
        for name, content in texts.items():
            (folder / name).write_text(json.dumps(content))
        for name in without:
            (folder / name).unlink()
        return folder

    return write
