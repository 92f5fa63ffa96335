"""CLOOB: InfoLOOB between what both modalities retrieve from the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import (
    Batch,
    Calibration,
    Encode,
    Metric,
    Outputs,
    Scores,
    Similarity,
    SpecError,
    explain,
    normalize,
)
from mmlab_losses.blocks import Chunk, full, in_blocks, require_several
from mmlab_losses.info_loob import leave_one_out
from mmlab_losses.rows import read_rows
from mmlab_losses.scalars import IN_NATS, SCALE
from mmlab_losses.temperature import Learnt, Scale, Temperature


class CLOOB(nn.Module):
    """InfoLOOB of vectors that a modern Hopfield network retrieves in place of the projections.

    X and Y (B, D) are the fusion's projections at length 1. Each asks the batch's images, and each
    asks its texts: U_x = X softmax(beta X^T x) and U_y = X softmax(beta X^T y) from X, V_x and V_y
    from Y, all at length 1. The loss is the mean of InfoLOOB(U_x against U_y), in which pictures
    ask, and InfoLOOB(V_y against V_x), in which texts ask.

    Source: Fuerst et al., arXiv:2110.11316. Departures: InfoLOOB has its constant
    (`info_loob`), and the mean of both terms takes the place of their sum times the temperature.
    The temperature is fixed unless `learnt`, and is what gives probabilities of plain scores.

    Absent pairs neither ask nor are retrieved. Raises SpecError for a batch of one, and unless the
    fusion's projections are vectors of one width.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"similarity"})
    metrics: ClassVar[tuple[Metric, ...]] = (IN_NATS, SCALE)
    views = 0

    def __init__(
        self,
        *,
        temperature: Temperature = 1 / 30,
        learnt: Learnt = False,
        beta: Annotated[float, Field(gt=0, description="scale of the retrieval's softmax")] = 8.0,
        chunk: Chunk = None,
    ) -> None:
        super().__init__()
        self.scale = Scale(temperature, learnt)
        self.beta = beta
        self.chunk = chunk

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss, and the scale that similarities of retrieved vectors were multiplied with."""
        assert outputs.similarity is not None, "declared in `reads`"
        require_several("cloob", outputs.similarity.size)
        scale = self.scale()
        retrieved = self._retrieve(outputs.similarity)
        forward, backward = read_rows(retrieved, scale, chunk=self.chunk)
        loss = (leave_one_out(forward) + leave_one_out(backward)) / 2
        return {"loss": loss, "scale": scale.detach()}

    def after_step(self) -> None:
        """Bring the scale back into [1, 100]."""
        self.scale.clamp()

    def calibration(self) -> Calibration:
        """Probabilities of an answer are the softmax of scale * score."""
        return Calibration(self.scale.value())

    def _retrieve(self, similarity: Similarity) -> _Retrieved:
        x, y = (normalize(full(s.pooled)) for s in similarity.sides.values())
        if x.shape != y.shape:
            raise _unequal(x.shape[-1], y.shape[-1])
        is_pair = similarity.present
        x, y = (side.masked_fill(~is_pair[:, None], 0) for side in (x, y))
        from_images = self._ask(x, x, is_pair), self._ask(y, x, is_pair)
        from_texts = self._ask(x, y, is_pair), self._ask(y, y, is_pair)
        return _Retrieved(from_images, from_texts, is_pair)

    def _ask(self, asks: Tensor, stored: Tensor, is_pair: Tensor) -> Tensor:
        """What each of (B, D) retrieves from the stored (B, D), at length 1."""

        def block(start: int, stop: int) -> tuple[Tensor]:
            logits = self.beta * asks[start:stop] @ stored.T
            logits = logits.masked_fill(~is_pair, torch.finfo(logits.dtype).min)
            return (normalize(logits.softmax(dim=1) @ stored),)

        with torch.autocast(asks.device.type, enabled=False):
            return torch.cat([part for (part,) in in_blocks(len(asks), self.chunk, block)])


@dataclass(frozen=True)
class _Retrieved:
    """Cosines of what pictures and texts retrieved from images (U_x, U_y) and texts (V_x, V_y)."""

    from_images: tuple[Tensor, Tensor]
    from_texts: tuple[Tensor, Tensor]
    present: Tensor

    @property
    def size(self) -> int:
        return len(self.present)

    def block(self, start: int, stop: int) -> Scores:
        with torch.autocast(self.present.device.type, enabled=False):
            forward, backward = (
                image[start:stop] @ text.T for image, text in (self.from_images, self.from_texts)
            )
        return Scores(forward, backward)


def _unequal(first: int, second: int) -> SpecError:
    return SpecError(
        explain(
            "fusion",
            "cloob retrieves one input's vectors by the other's",
            found=f"projections of widths {first} and {second}",
            allowed="a fusion that projects both inputs to one width",
            next_step='set fusion.dim, with use = "inner_product" say',
        )
    )
