"""Masked language modelling: hidden words are told from the rest of their text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Encode, Outputs, PluginError, Shapes, Vocabulary, explain
from mmlab_losses.blocks import full
from mmlab_losses.encoders import require_encoder

#: Less than any share of an id: 0.15 of 20 is 3, whatever floating point makes of it.
ROUNDING = 1e-9


class MaskedLanguageModelling(nn.Module):
    """Cross entropy of hidden ids, told from the text encoder's tokens in their places, in nats.

    Of each text's n ids that carry content, ceil(share * n) are drawn; of these, the part `hidden`
    is replaced by the vocabulary's reserved mask id, and the rest stays as it is but is asked for
    as well. Padding and special ids are neither drawn nor asked for. A mean over all ids that were
    drawn; 0 where there was none. Only the drawn places are mapped to the vocabulary.

    Source: Devlin et al., arXiv:1810.04805, section 3.1, as DeCLIP uses it (Li et al.,
    arXiv:2110.05208); no id is replaced by a random one. Raises SpecError unless the encoder has
    tokens and a vocabulary.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"features", "tokens", "vocabulary"})
    views = 0

    def __init__(
        self,
        shapes: Shapes,
        *,
        encoder: Annotated[str, Field(description="key of the text encoder")] = "text",
        share: Annotated[
            float, Field(gt=0, lt=1, description="share of a text's ids drawn")
        ] = 0.15,
        hidden: Annotated[
            float, Field(gt=0, le=1, description="share of drawn ids that the mask id replaces")
        ] = 0.9,
    ) -> None:
        super().__init__()
        use = "masked_language_modelling"
        require_encoder(use, "encoder", encoder, shapes.vocabularies)
        require_encoder(use, "encoder", encoder, shapes.token_dims)
        self.encoder = encoder
        self.reads_inputs = frozenset({encoder})
        self.reads_inputs = frozenset({encoder})
        self.share, self.hidden = share, hidden
        self.vocabulary = shapes.vocabularies[encoder]
        self.map = nn.Linear(shapes.token_dims[encoder], self.vocabulary.size)

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss, and the share of drawn ids that are told rightly."""
        ids = batch.inputs[self.encoder]
        present = outputs.features[self.encoder].present
        places, is_drawn = draw(has_content(ids, self.vocabulary) & present[:, None], self.share)
        is_hidden = is_drawn & (torch.rand(places.shape, device=ids.device) < self.hidden)
        changed = ids.scatter(
            1, places, ids.gather(1, places).where(~is_hidden, self.vocabulary.mask)
        )
        tokens = encode(self.encoder, changed).tokens
        assert tokens is not None, "declared in `reads`"
        if tokens.shape[:2] != ids.shape:
            raise _not_beside(self.encoder, tokens, ids)
        drawn = tokens.gather(1, places.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
        return self._score(self.map(drawn), ids.gather(1, places), is_drawn)

    def _score(self, logits: Tensor, truth: Tensor, is_drawn: Tensor) -> Mapping[str, Tensor]:
        count = is_drawn.sum().clamp(min=1)
        losses = F.cross_entropy(full(logits).flatten(0, 1), truth.flatten(), reduction="none")
        is_right = (logits.argmax(-1) == truth) & is_drawn
        loss = torch.where(is_drawn.flatten(), losses, 0).sum() / count
        return {"loss": loss, "accuracy": is_right.sum() / count}


def has_content(ids: Tensor, vocabulary: Vocabulary) -> Tensor:
    """Which ids are neither padding nor special, of the shape of `ids`."""
    found = ids != vocabulary.pad
    for special in sorted(vocabulary.special):
        found = found & (ids != special)
    return found


def draw(can_be_drawn: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Places (B, k) of each row, and which of them are drawn: ceil(share * n) of its n, at random.

    k = ceil(share * N) for rows of length N; the shape is known beforehand, whatever is drawn.
    """
    most = math.ceil(share * can_be_drawn.shape[1] - ROUNDING)
    order = torch.rand(can_be_drawn.shape, device=can_be_drawn.device)
    order = order.masked_fill(~can_be_drawn, -1)  # what cannot be drawn comes last
    places = order.topk(most, dim=1).indices
    counts = (share * can_be_drawn.sum(1, keepdim=True).double() - ROUNDING).ceil()
    return places, torch.arange(most, device=places.device) < counts


def _not_beside(key: str, tokens: Tensor, ids: Tensor) -> PluginError:
    return PluginError(
        explain(
            f"encoders.{key}",
            "its tokens do not lie beside its ids, so that none can be told from its token",
            found=f"tokens {tuple(tokens.shape[:2])}, ids {tuple(ids.shape)}",
            allowed="one token for each id",
            next_step="choose another text encoder, or leave masked_language_modelling out",
        )
    )
