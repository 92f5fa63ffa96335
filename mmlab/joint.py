"""What a model has beside its encoders: the fusion, and the head or the scorer on its result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from mmlab.plan import Plan
from mmlab.plugin import SimilarityFusion


@dataclass(frozen=True)
class Joint:
    """The fusion; the head, if the spec has one; the scorer of pairs, if a loss needs one."""

    fusion: nn.Module
    head: nn.Module | None
    scorer: nn.Module | None

    def modules(self) -> Iterator[nn.Module]:
        """Those that are there."""
        yield from (m for m in (self.fusion, self.head, self.scorer) if m is not None)

    def parameter_count(self) -> int:
        """Numbers that are learnt beside those of the encoders."""
        return sum(p.numel() for module in self.modules() for p in module.parameters())


def make_joint(
    plan: Plan, dims: Sequence[int], token_dims: Sequence[int | None], outputs: int
) -> Joint:
    """Make them for encoders of these widths; `outputs` is 0 where nothing is to be predicted."""
    fusion = plan.fusion.make(dims=dims, token_dims=token_dims, outputs=outputs or None)
    head = plan.head.make(dim=fusion.dim, outputs=outputs) if plan.head is not None else None
    scorer = None
    if plan.needs_similarity and not isinstance(fusion, SimilarityFusion):
        scorer = nn.Linear(fusion.dim, 1, bias=False)
    return Joint(fusion, head, scorer)
