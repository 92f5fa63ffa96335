"""What the losses that compare a right answer with wrong ones have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from mmlab.plugin import Batch, Encode, Outputs, Similarity
from mmlab_losses.alike import is_first, weigh_answers
from mmlab_losses.blocks import require_several
from mmlab_losses.positives import find_groups
from mmlab_losses.rows import Rows, read_rows
from mmlab_losses.views import over_views

#: From one direction's questions to the mean of their losses.
Mean = Callable[[Rows], Tensor]


@dataclass(frozen=True)
class Contrast:
    """Options that these losses share, and how a loss follows from what they do to one direction.

    The loss is the mean of both directions, for the batch and for pairs of further views.
    """

    name: str
    positives: str
    hardness: float
    chunk: int | None
    views: Mapping[str, int]
    view_weight: float
    means: bool = False
    alike: str | None = None

    def __call__(
        self, mean: Mean, scale: Tensor, outputs: Outputs, batch: Batch, encode: Encode
    ) -> dict[str, Tensor]:
        """Scalars: "loss", "scale", and "views" where there are any; SpecError for one sample."""
        assert outputs.similarity is not None, "declared in `reads`"
        require_several(self.name, outputs.similarity.size)
        groups = find_groups(self.positives, batch)

        def loss_of(similarity: Similarity) -> Tensor:
            rows = read_rows(
                similarity,
                scale,
                groups,
                chunk=self.chunk,
                hardness=self.hardness,
                means=self.means,
            )
            forward, backward = self._weigh(rows, similarity, scale, outputs)
            return (mean(forward) + mean(backward)) / 2

        scalars = over_views(loss_of, self.views, self.view_weight, outputs, batch, encode)
        return {**scalars, "scale": scale.detach()}

    def _weigh(
        self, rows: tuple[Rows, Rows], similarity: Similarity, scale: Tensor, outputs: Outputs
    ) -> tuple[Rows, Rows]:
        """Both directions, that of the input `alike` with every answer right by its weight."""
        if self.alike is None:
            return rows
        features = outputs.features[self.alike]
        right = weigh_answers(similarity, self.alike, features, scale, self.chunk)
        forward, backward = rows
        if is_first(self.alike, similarity.sides):
            return replace(forward, right=right), backward
        return forward, replace(backward, right=right)
