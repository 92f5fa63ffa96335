"""Captioning: a small decoder writes each text, word by word, from the tokens of its picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Encode, Features, Metric, Outputs, Shapes, Size, SpecError, explain
from mmlab_losses.blocks import full
from mmlab_losses.encoders import require_encoder
from mmlab_losses.scalars import ACCURACY, IN_NATS


class Captioning(nn.Module):
    """Mean of -log p(next id | ids before it, the other input's tokens) over a text's ids, in nats.

    The decoder is this loss's own: embedded ids with sinusoidal positions, and blocks that attend
    to earlier ids and to the image encoder's tokens. Logits at a place are for the id after it; no
    other place of the code shifts anything. Padding is not asked for, nor is a pair of which one
    side is absent, or whose picture has no token; 0 where nothing is asked for.

    Source: the captioning loss of CoCa (Yu et al., arXiv:2205.01917). There the decoder's lower
    half is the text encoder, which must then be causal; here any text encoder will do, for its ids
    are all that is read. Raises SpecError unless the encoders have tokens, and a vocabulary.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"features", "tokens", "vocabulary"})
    metrics: ClassVar[tuple[Metric, ...]] = (IN_NATS, ACCURACY)
    views = 0

    def __init__(
        self,
        shapes: Shapes,
        *,
        image: Annotated[str, Field(description="key of the encoder that is described")] = "image",
        text: Annotated[
            str, Field(description="key of the encoder whose texts are written")
        ] = "text",
        width: Annotated[Size, Field(ge=2, description="width of the decoder")] = 128,
        depth: Annotated[Size, Field(description="blocks of the decoder")] = 2,
        heads: Annotated[Size, Field(description="attention heads; they divide width")] = 4,
    ) -> None:
        super().__init__()
        require_encoder("captioning", "image", image, shapes.token_dims)
        require_encoder("captioning", "text", text, shapes.vocabularies)
        if width % heads:
            raise _uneven_heads(width, heads)
        self.image, self.text = image, text
        self.reads_inputs = frozenset({text})
        self.vocabulary = shapes.vocabularies[text]
        self.embedding = nn.Embedding(self.vocabulary.size, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        self.read = nn.Linear(shapes.token_dims[image], width)
        self.blocks = nn.ModuleList(_block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.write = nn.Linear(width, self.vocabulary.size)

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss, and the share of ids that are told rightly from those before."""
        ids, picture = batch.inputs[self.text], outputs.features[self.image]
        known, truth = ids[:, :-1], ids[:, 1:]  # the one shift
        logits = self.write(self._decode(known, picture))  # (B, N - 1, vocabulary)
        is_whole = outputs.features[self.text].present & picture.present
        is_asked = (truth != self.vocabulary.pad) & is_whole[:, None]
        if picture.mask is not None:
            is_asked = is_asked & picture.mask.any(1, keepdim=True)
        losses = F.cross_entropy(full(logits).flatten(0, 1), truth.flatten(), reduction="none")
        count = is_asked.sum().clamp(min=1)
        is_right = (logits.argmax(-1) == truth) & is_asked
        loss = torch.where(is_asked.flatten(), losses, 0).sum() / count
        return {"loss": loss, "accuracy": is_right.sum() / count}

    def _decode(self, ids: Tensor, picture: Features) -> Tensor:
        assert picture.tokens is not None, "declared in `reads`"
        x = self.embedding(ids)
        x = x + positions(ids.shape[1], x.shape[2], x.device).to(x.dtype)
        tokens = self.read(picture.tokens.masked_fill(~picture.present[:, None, None], 0))
        masks = {"tgt_mask": _later(ids), "memory_key_padding_mask": _hidden(picture)}
        for block in self.blocks:
            x = block(x, tokens, tgt_is_causal=True, **masks)
        decoded: Tensor = self.norm(x)
        return decoded


def _block(width: int, heads: int) -> nn.Module:
    """Self-attention, attention to the picture's tokens, an MLP, each after a norm."""
    return nn.TransformerDecoderLayer(
        width, heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True
    )


def _later(ids: Tensor) -> Tensor:
    """Which ids (columns) come after which (rows), (N, N)."""
    length = ids.shape[1]
    return torch.ones(length, length, dtype=torch.bool, device=ids.device).triu(1)


def _hidden(picture: Features) -> Tensor | None:
    """Tokens not to attend to; where a picture has none, all may be: softmax needs something."""
    if picture.mask is None:
        return None
    return ~picture.mask & picture.mask.any(1, keepdim=True)


def positions(length: int, width: int, device: torch.device) -> Tensor:
    """Sinusoidal positions, (length, width) (Vaswani et al., arXiv:1706.03762, section 3.5)."""
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10000) / width))
    angles = torch.arange(length, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


def _uneven_heads(width: int, heads: int) -> SpecError:
    return SpecError(
        explain(
            "losses.heads",
            "attention heads must divide the width",
            found=f"width {width}, heads {heads}",
            allowed="a width that is a multiple of heads",
            next_step="change `width` or `heads` of captioning",
        )
    )
