"""Masked language modelling: hidden words are told from the rest of their text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import (
    Batch,
    Encode,
    EncoderKey,
    Metric,
    Outputs,
    PluginError,
    Shapes,
    SpecError,
    Vocabulary,
    explain,
)
from mmlab_losses.blocks import full
from mmlab_losses.encoders import require_encoder
from mmlab_losses.scalars import ACCURACY, IN_NATS

#: Less than any share of an id: 0.15 of 20 is 3, whatever floating point makes of it.
ROUNDING = 1e-9


class MaskedLanguageModelling(nn.Module):
    """Cross entropy of hidden ids, told from the text encoder's tokens in their places, in nats.

    Of each text's n ids that carry content, ceil(share * n) are drawn; of these, the part `hidden`
    is replaced by the vocabulary's reserved mask id, the part `random` by a random id, and the rest
    stays as it is but is asked for as well. Padding and special ids are neither drawn nor asked
    for, nor do they replace any. A mean over all ids that were drawn; 0 where there was none. Only
    the drawn places are mapped to the vocabulary.

    Source: Devlin et al., arXiv:1810.04805, section 3.1, as DeCLIP uses it (Li et al.,
    arXiv:2110.05208). BERT has `hidden` 0.8 and `random` 0.1. Its random ids come evenly from the
    vocabulary, ours from the contents of the batch: a vocabulary may have ids that no text has.
    Raises SpecError unless the encoder has tokens and a vocabulary, and for parts above 1 together.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"features", "tokens", "vocabulary"})
    metrics: ClassVar[tuple[Metric, ...]] = (IN_NATS, ACCURACY)
    views = 0

    def __init__(
        self,
        shapes: Shapes,
        *,
        encoder: Annotated[
            str, EncoderKey(), Field(description="key of the text encoder")
        ] = "text",
        share: Annotated[
            float, Field(gt=0, lt=1, description="share of a text's ids drawn")
        ] = 0.15,
        hidden: Annotated[
            float, Field(gt=0, le=1, description="share of drawn ids that the mask id replaces")
        ] = 0.9,
        random: Annotated[
            float, Field(ge=0, lt=1, description="share of drawn ids that a random id replaces")
        ] = 0.0,
    ) -> None:
        super().__init__()
        if hidden + random > 1 + ROUNDING:
            raise _too_much(hidden, random)
        use = "masked_language_modelling"
        require_encoder(use, "encoder", encoder, shapes.vocabularies)
        require_encoder(use, "encoder", encoder, shapes.token_dims)
        self.encoder = encoder
        self.reads_inputs = frozenset({encoder})
        self.share, self.hidden, self.random = share, hidden, random
        self.vocabulary = shapes.vocabularies[encoder]
        self.map = nn.Linear(shapes.token_dims[encoder], self.vocabulary.size)

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss, and the share of drawn ids that are told rightly."""
        ids = batch.inputs[self.encoder]
        present = outputs.features[self.encoder].present
        is_content = has_content(ids, self.vocabulary) & present[:, None]
        places, is_drawn = draw(is_content, self.share)
        truth = ids.gather(1, places)
        given = self._replace(truth, ids, is_content).where(is_drawn, truth)
        tokens = encode(self.encoder, ids.scatter(1, places, given)).tokens
        assert tokens is not None, "declared in `reads`"
        if tokens.shape[:2] != ids.shape:
            raise _not_beside(self.encoder, tokens, ids)
        drawn = tokens.gather(1, places.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
        return self._score(self.map(drawn), truth, is_drawn)

    def _replace(self, truth: Tensor, ids: Tensor, is_content: Tensor) -> Tensor:
        """What stands in the places of `truth` where they are drawn."""
        part = torch.rand(truth.shape, device=truth.device)
        given = truth.where(part >= self.hidden, self.vocabulary.mask)
        if not self.random:
            return given
        is_random = (part >= self.hidden) & (part < self.hidden + self.random)
        return pick(ids, is_content, truth.shape).where(is_random, given)

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


def pick(ids: Tensor, can_be_picked: Tensor, shape: Sequence[int]) -> Tensor:
    """Some of the ids that can be picked, at random and with replacement; any id if none can."""
    count = can_be_picked.flatten().cumsum(0)
    chosen = (torch.rand(shape, device=ids.device) * count[-1]).long().minimum(count[-1] - 1)
    return ids.flatten()[torch.searchsorted(count, chosen + 1)]


def _too_much(hidden: float, random: float) -> SpecError:
    return SpecError(
        explain(
            "losses.random",
            "an id is replaced by the mask id, by a random one, or not at all",
            found=f"hidden {hidden} and random {random}",
            allowed="parts that are 1 together at most; BERT has hidden 0.8 and random 0.1",
            next_step="lower `hidden` or `random` of masked_language_modelling",
        )
    )


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
