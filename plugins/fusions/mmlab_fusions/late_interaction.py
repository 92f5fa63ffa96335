"""Late interaction: every token looks for its best match in the other modality (FILIP)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Features, Scores, Size, SpecError, explain, normalize
from mmlab_fusions.inputs import at_least_float32

#: Elements of the largest temporary: similarities of the tokens of some rows with all columns'.
TOKEN_PAIRS = 1 << 24


class LateInteraction(nn.Module):
    """Similarity of a pair from that of its tokens: mean over one side of the best on the other.

    With cosines c_nm of the projected tokens n of input 0 and m of input 1:
    forward = mean_n max_m c_nm, backward = mean_m max_n c_nm, both in [-1, 1]. They differ, so that
    a loss reads both. Tokens that an encoder masks (padding, start and class tokens) are neither
    averaged nor found. Scores are computed in float32 at least, some rows at a time: of the cosines
    nothing but the places of the maxima is kept for the gradient.

    A pair of which one side is absent, or has no token, scores 0. Several prompts of a label are
    averaged as scores: an average of their tokens would match no word of any.

    Source: Yao et al., arXiv:2111.07783, without its selection of tokens. Joins exactly two
    inputs. Raises SpecError unless both have tokens.
    """

    numerics = 1
    reads: ClassVar[frozenset[str]] = frozenset({"tokens"})
    prompts: ClassVar[Literal["features", "score"]] = "score"
    input_range: ClassVar[tuple[int, int | None]] = (2, 2)

    def __init__(
        self,
        dims: Sequence[int],
        token_dims: Sequence[int | None],
        *,
        dim: Annotated[Size, Field(description="width that tokens are projected to")] = 256,
    ) -> None:
        super().__init__()
        self.projections = nn.ModuleList(
            nn.Linear(width, dim, bias=False) for width in _with_tokens(token_dims)
        )

    def project(self, position: int, features: Features) -> Features:
        """One side's tokens in the joint space, at length 1; those that do not count are 0."""
        assert features.tokens is not None, "declared in `reads`"
        mask = features.present.unsqueeze(-1).expand(features.tokens.shape[:-1])
        mask = mask if features.mask is None else mask & features.mask
        tokens = features.tokens.masked_fill(~mask.unsqueeze(-1), 0)
        tokens = at_least_float32(self.projections[position](tokens))
        return replace(features, tokens=normalize(tokens), mask=mask)

    def score(self, u: Features, v: Features) -> Scores:
        """Scores of every pair, (A, B), from projected features."""
        assert u.tokens is not None, "made by project"
        assert v.tokens is not None, "made by project"
        rows = max(1, TOKEN_PAIRS // max(1, u.tokens.shape[-2] * v.tokens[..., 0].numel()))
        blocks = [
            _score(u.tokens[i : i + rows], _mask(u)[i : i + rows], v.tokens, _mask(v))
            for i in range(0, len(u.tokens), rows)
        ]
        forward, backward = (torch.cat(one) for one in zip(*blocks, strict=True))
        return Scores(forward, backward)


def _score(x: Tensor, x_mask: Tensor, y: Tensor, y_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Both directions for x (A, N, dim) and y (B, M, dim), (A, B) each."""
    with torch.autocast(x.device.type, enabled=False):
        cosines = torch.einsum("and,bmd->abnm", at_least_float32(x), at_least_float32(y))
    # no cosine is as low as -2: what is masked is found only where there is nothing else
    best_of_y = cosines.masked_fill(~y_mask[None, :, None, :], -2).max(-1).values  # (A, B, N)
    best_of_x = cosines.masked_fill(~x_mask[:, None, :, None], -2).max(-2).values  # (A, B, M)
    has_both = x_mask.any(-1)[:, None] & y_mask.any(-1)  # (A, B)
    forward = _mean(best_of_y, x_mask[:, None, :]).masked_fill(~has_both, 0)
    backward = _mean(best_of_x, y_mask[None, :, :]).masked_fill(~has_both, 0)
    return forward, backward


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the last axis of what the mask allows; 0 where it allows nothing."""
    return x.masked_fill(~mask, 0).sum(-1) / mask.sum(-1).clamp(min=1)


def _mask(features: Features) -> Tensor:
    assert features.mask is not None, "made by project"
    return features.mask


def _with_tokens(token_dims: Sequence[int | None]) -> list[int]:
    widths = [width for width in token_dims if width is not None]
    if len(widths) == len(token_dims):
        return widths
    raise SpecError(
        explain(
            "fusion.inputs",
            "late_interaction compares tokens",
            found=f"{len(token_dims) - len(widths)} of its inputs without tokens",
            allowed="encoders that give tokens (vit, convnet, transformer)",
            next_step='choose such encoders, or use = "inner_product"',
        )
    )
