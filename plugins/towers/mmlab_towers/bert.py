"""BERT's encoder as a small module: what transformers' BertModel computes, without transformers.

transformers would bring 129 MB and 7 seconds of import for one architecture of a hundred lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class BertSize:
    """The numbers of a model's config.json that decide what it computes."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float
    pad_token_id: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> BertSize:  # Any: JSON
        """Read it from config.json. Raises ValueError for another architecture, or KeyError."""
        kind = config["model_type"]
        activation = config.get("hidden_act", "gelu")
        positions = config.get("position_embedding_type", "absolute")
        if (kind, activation, positions) != ("bert", "gelu", "absolute"):
            raise ValueError(f"{kind} with {activation} and {positions} positions")
        whole = (name for name, kind in cls.__annotations__.items() if kind == "int")
        return cls(
            **{name: int(config[name]) for name in whole},
            layer_norm_eps=float(config["layer_norm_eps"]),
        )


class Bert(nn.Module):
    """Post-norm transformer encoder (Devlin et al., arXiv:1810.04805), evaluation without dropout.

    ids (B, N) and mask (B, N), True at what is read -> (B, N, hidden_size). Dropout is left out in
    training too: these are towers, and a projection learns on top of them.
    """

    def __init__(self, size: BertSize) -> None:
        super().__init__()
        self.embeddings = BertEmbeddings(size)
        self.layers = nn.ModuleList(BertLayer(size) for _ in range(size.num_hidden_layers))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Tokens of the last layer."""
        x: Tensor = self.embeddings(ids)
        for layer in self.layers:
            x = layer(x, mask)
        return x

    def stages(self) -> Sequence[nn.Module]:
        """The embeddings and the layers, from input to output."""
        return [self.embeddings, *self.layers]


class BertEmbeddings(nn.Module):
    """Sum of word, position and (first) segment, normalised: (B, N) -> (B, N, hidden_size)."""

    def __init__(self, size: BertSize) -> None:
        super().__init__()
        self.words = nn.Embedding(size.vocab_size, size.hidden_size)
        self.positions = nn.Embedding(size.max_position_embeddings, size.hidden_size)
        self.segments = nn.Embedding(size.type_vocab_size, size.hidden_size)
        self.norm = nn.LayerNorm(size.hidden_size, eps=size.layer_norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        """One text a row, all of it of the first segment."""
        length = ids.shape[1]
        added = self.words(ids) + self.positions.weight[:length] + self.segments.weight[0]
        result: Tensor = self.norm(added)
        return result


class BertLayer(nn.Module):
    """Self-attention and an MLP, each added to its input and then normalised."""

    def __init__(self, size: BertSize) -> None:
        super().__init__()
        width, eps = size.hidden_size, size.layer_norm_eps
        self.heads = size.num_attention_heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.write = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=eps)
        self.widen = nn.Linear(width, size.intermediate_size)
        self.narrow = nn.Linear(size.intermediate_size, width)
        self.mlp_norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, N, width), mask (B, N) -> (B, N, width)."""
        q, k, v = (
            read(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for read in (self.query, self.key, self.value)
        )  # each (B, heads, N, width / heads)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None, :])
        x = self.attention_norm(x + self.write(mixed.transpose(1, 2).flatten(2)))
        result: Tensor = self.mlp_norm(x + self.narrow(F.gelu(self.widen(x))))
        return result


_NAMES = {
    "embeddings.word_embeddings": "embeddings.words",
    "embeddings.position_embeddings": "embeddings.positions",
    "embeddings.token_type_embeddings": "embeddings.segments",
    "embeddings.LayerNorm": "embeddings.norm",
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "write",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "widen",
    "output.dense": "narrow",
    "output.LayerNorm": "mlp_norm",
}


def with_own_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's tensors under this module's names; BERT's pooler and its heads left out."""
    kept = {}
    for name, tensor in tensors.items():
        plain, _, kind = name.removeprefix("bert.").rpartition(".")
        if plain in _NAMES:
            kept[f"{_NAMES[plain]}.{kind}"] = tensor
        elif plain.startswith("encoder.layer."):
            number, _, part = plain.removeprefix("encoder.layer.").partition(".")
            kept[f"layers.{number}.{_NAMES.get(part, part)}.{kind}"] = tensor
    return kept
