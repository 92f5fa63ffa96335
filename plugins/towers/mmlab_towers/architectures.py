"""The architectures of sentence encoders: what each calls its sizes and its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmlab_towers.transformer import Size


@dataclass(frozen=True)
class Architecture:
    """How one architecture's files are read.

    `names` are tensors outside of the layers and `parts` those in one of them, from its own name
    to the transformer's. `sizes` are entries of config.json under another name than BERT's, and
    `fixed` what is no entry. Other tensors (poolers, heads of the pretraining) are left out.
    """

    prefix: str
    layers: str
    names: Mapping[str, str]
    parts: Mapping[str, str]
    sizes: Mapping[str, str]
    fixed: Mapping[str, float]
    starts_after_padding: bool = False

    def size(self, config: Mapping[str, Any]) -> Size:  # Any: JSON
        """Sizes that config.json gives. Raises KeyError, or ValueError for another activation."""
        activation = config.get(self.sizes.get("hidden_act", "hidden_act"), "gelu")
        positions = config.get("position_embedding_type", "absolute")
        if (activation, positions) != ("gelu", "absolute"):
            raise ValueError(f"{config['model_type']} with {activation} and {positions} positions")
        found = {name: self._entry(config, name) for name in Size.__annotations__ if name != _FIRST}
        whole = {name: int(value) for name, value in found.items() if name != _EPS}
        first = whole["pad_token_id"] + 1 if self.starts_after_padding else 0
        return Size(**whole, layer_norm_eps=float(found[_EPS]), first_position=first)

    def own_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The encoder's tensors under the transformer's names."""
        kept = {}
        for name, tensor in tensors.items():
            plain, _, kind = name.removeprefix(self.prefix).rpartition(".")
            if plain in self.names:
                kept[f"{self.names[plain]}.{kind}"] = tensor
            elif plain.startswith(self.layers):
                number, _, part = plain.removeprefix(self.layers).partition(".")
                kept[f"layers.{number}.{self.parts.get(part, part)}.{kind}"] = tensor
        return kept

    def _entry(self, config: Mapping[str, Any], name: str) -> Any:  # Any: JSON
        return self.fixed[name] if name in self.fixed else config[self.sizes.get(name, name)]


_EPS, _FIRST = "layer_norm_eps", "first_position"
_EMBEDDINGS = {
    "embeddings.word_embeddings": "embeddings.words",
    "embeddings.position_embeddings": "embeddings.positions",
    "embeddings.LayerNorm": "embeddings.norm",
}
_SEGMENTS = {"embeddings.token_type_embeddings": "embeddings.segments"}
_DISTANCES = {"encoder.relative_attention_bias": "embeddings.distances"}
_MLP = {"intermediate.dense": "widen", "output.dense": "narrow", "output.LayerNorm": "mlp_norm"}
_BERT_LAYER = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "write",
    "attention.output.LayerNorm": "attention_norm",
    **_MLP,
}
_DISTILBERT_LAYER = {
    "attention.q_lin": "query",
    "attention.k_lin": "key",
    "attention.v_lin": "value",
    "attention.out_lin": "write",
    "sa_layer_norm": "attention_norm",
    "ffn.lin1": "widen",
    "ffn.lin2": "narrow",
    "output_layer_norm": "mlp_norm",
}
_DISTILBERT_SIZES = {
    "hidden_act": "activation",
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "intermediate_size": "hidden_dim",
}
_MPNET_LAYER = {
    "attention.attn.q": "query",
    "attention.attn.k": "key",
    "attention.attn.v": "value",
    "attention.attn.o": "write",
    "attention.LayerNorm": "attention_norm",
    **_MLP,
}
_NO_BIAS = {"relative_attention_num_buckets": 0}
_NO_SEGMENTS = {"type_vocab_size": 0}
_ROBERTA = Architecture(
    prefix="roberta.",
    layers="encoder.layer.",
    names=_EMBEDDINGS | _SEGMENTS,
    parts=_BERT_LAYER,
    sizes={},
    fixed=_NO_BIAS,
    starts_after_padding=True,
)

#: By the `model_type` of config.json.
ARCHITECTURES: Mapping[str, Architecture] = {
    "bert": Architecture(
        prefix="bert.",
        layers="encoder.layer.",
        names=_EMBEDDINGS | _SEGMENTS,
        parts=_BERT_LAYER,
        sizes={},
        fixed=_NO_BIAS,
    ),
    "distilbert": Architecture(
        prefix="distilbert.",
        layers="transformer.layer.",
        names=_EMBEDDINGS,
        parts=_DISTILBERT_LAYER,
        sizes=_DISTILBERT_SIZES,
        fixed=_NO_BIAS | _NO_SEGMENTS | {_EPS: 1e-12},
    ),
    "mpnet": Architecture(
        prefix="mpnet.",
        layers="encoder.layer.",
        names=_EMBEDDINGS | _DISTANCES,
        parts=_MPNET_LAYER,
        sizes={},
        fixed=_NO_SEGMENTS,
        starts_after_padding=True,
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
}


def architecture_of(config: Mapping[str, Any]) -> Architecture:  # Any: JSON
    """The architecture that config.json names. Raises ValueError for one that is not read."""
    kind = config["model_type"]
    if kind in ARCHITECTURES:
        return ARCHITECTURES[kind]
    raise ValueError(f"model_type {kind}, none of {', '.join(ARCHITECTURES)}")
