"""Which encoder an auxiliary loss is about, and what it must give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from mmlab.plugin import Batch, Encode, EncoderKey, Features, Outputs, SpecError, explain, normalize
from mmlab_losses.blocks import full

TrainedEncoder = Annotated[
    str, EncoderKey(), Field(description="key of the encoder that is trained")
]


def require_encoder(use: str, option: str, key: str, known: Mapping[str, object]) -> None:
    """Raise SpecError unless `key` is among the encoders that give what a loss needs."""
    if key in known:
        return
    raise SpecError(
        explain(
            f"losses.{option}",
            f"{use} needs an encoder with what it reads (features, tokens, a vocabulary)",
            found=f'"{key}"',
            allowed=", ".join(f'"{name}"' for name in known) or "no encoder of this spec has it",
            next_step=f"set `{option}` to one of these",
        )
    )


def given_directions(features: Features) -> Tensor:
    """Pooled features (B, D) as vectors of length 1 that get no gradient; 0 where absent."""
    held = full(features.pooled.detach()).masked_fill(~features.present[:, None], 0)
    return normalize(held)


def two_views(
    key: str, outputs: Outputs, batch: Batch, encode: Encode
) -> tuple[Tensor, Tensor, Tensor]:
    """Pooled features (B, D) of the batch's own view and of a further one, and who is there (B,).

    Both come from the training transform; the own view has been encoded already.
    """
    features = outputs.features[key]
    return features.pooled, encode(key, batch.views[key][0]).pooled, features.present
