"""Distillation: the similarities of a batch follow those of a teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Batch, Encode, Metric, Outputs, Shapes, Similarity, SpecError, explain
from mmlab_losses.blocks import Chunk, full, in_blocks, own, pair_mask, require_several
from mmlab_losses.encoders import given_directions, require_encoder
from mmlab_losses.scalars import IN_NATS


class Distillation(nn.Module):
    """KL divergence of softened rows, teacher from student, averaged over both directions, in nats.

    p_i = softmax_j(teacher_ij / teacher_temperature), q_i = softmax_j(similarity_ij / temperature):
    1/2 [mean_i KL(p_i || q_i) + the same of columns]. The teacher's scores are cosines: of two
    encoders that share a space, the first for the fusion's first input and the second for its
    second; or of one encoder's features with each other, which makes samples that it finds alike
    soft targets. Teachers get no gradient; `freeze = true` also keeps them as they are.

    Pairs of which a side or a teacher is absent take no part.
    Source: Hinton et al., arXiv:1503.02531, on the rows of a contrastive batch, without the factor
    temperature^2. Raises SpecError for a batch of one, and for teachers that are not there or, if
    two, of different widths.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"similarity", "features"})
    metrics: ClassVar[tuple[Metric, ...]] = (IN_NATS,)
    views = 0

    def __init__(
        self,
        shapes: Shapes,
        *,
        teachers: Annotated[
            Sequence[str],
            Field(min_length=1, max_length=2, description="keys of one or two encoders to follow"),
        ],
        temperature: Annotated[
            float, Field(ge=0.01, description="the model's scores are divided by it")
        ] = 0.07,
        teacher_temperature: Annotated[
            float, Field(ge=0.01, description="the teacher's cosines are divided by it")
        ] = 0.07,
        chunk: Chunk = None,
    ) -> None:
        super().__init__()
        for key in teachers:
            require_encoder("distillation", "teachers", key, shapes.dims)
        self.teachers = teachers[0], teachers[-1]
        _check_widths([shapes.dims[key] for key in self.teachers])
        self.scale, self.teacher_scale = 1 / temperature, 1 / teacher_temperature
        self.chunk = chunk

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        """The loss over the pairs that are there."""
        assert outputs.similarity is not None, "declared in `reads`"
        require_several("distillation", outputs.similarity.size)
        features = [outputs.features[key] for key in self.teachers]
        is_pair = outputs.similarity.present & features[0].present & features[1].present
        u, v = (given_directions(side) for side in features)
        rows, columns = self._divergences(outputs.similarity, u * self.teacher_scale, v, is_pair)
        losses = torch.where(is_pair, (rows + columns) / 2, 0)
        return {"loss": losses.sum() / is_pair.sum().clamp(min=1)}

    def _divergences(
        self, similarity: Similarity, u: Tensor, v: Tensor, is_pair: Tensor
    ) -> tuple[Tensor, Tensor]:
        """KL of every row and of every column, (B,) each."""
        size = similarity.size

        def mask(x: Tensor, start: int, stop: int) -> Tensor:
            counts = pair_mask(is_pair, start, stop) | own(size, start, stop, x.device)
            return x.masked_fill(~counts, torch.finfo(x.dtype).min / 8)

        def teach(start: int, stop: int) -> Tensor:
            with torch.autocast(u.device.type, enabled=False):
                return mask(u[start:stop] @ v.T, start, stop)

        with torch.no_grad():
            parts = in_blocks(size, self.chunk, lambda i, j: (teach(i, j).logsumexp(0),))
            log_total = torch.stack([part for (part,) in parts]).logsumexp(0)  # of columns, (B,)

        def block(start: int, stop: int) -> tuple[Tensor, ...]:
            scores, teacher = similarity.block(start, stop), teach(start, stop)
            forward, backward = (
                mask(self.scale * full(x), start, stop) for x in (scores.forward, scores.backward)
            )
            of_rows, of_columns = teacher.log_softmax(1), teacher - log_total
            rows = (of_rows.exp() * (of_rows - forward.log_softmax(1))).sum(1)
            crossed = (of_columns.exp() * (of_columns - backward)).sum(0)
            return rows, crossed, backward.logsumexp(0)

        rows, crossed, logs = zip(*in_blocks(size, self.chunk, block), strict=True)
        return torch.cat(rows), torch.stack(crossed).sum(0) + torch.stack(logs).logsumexp(0)


def _check_widths(widths: Sequence[int]) -> None:
    if len(set(widths)) == 1:
        return
    raise SpecError(
        explain(
            "losses.teachers",
            "two teachers are compared with each other by their cosine",
            found=f"features of widths {widths[0]} and {widths[1]}",
            allowed="two encoders of one shared space, or one alone",
            next_step="name the two halves of one pretrained model, or one encoder",
        )
    )
