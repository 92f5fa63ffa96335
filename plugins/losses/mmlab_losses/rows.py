"""What the scores of a batch say of each of its questions, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from mmlab_losses.blocks import Scored, full, in_blocks, own, pair_mask

Hardness = Annotated[
    float,
    Field(ge=0, description="weigh wrong answers by exp(hardness * scaled score); 0 is alike"),
]


@dataclass(frozen=True)
class Rows:
    """One direction's B questions, each with its right answers and the others; (B,) each.

    Scores are scaled already. `right` is the mean score of the right answers, `all` that of every
    answer; `log_right` and `log_wrong` are the logarithms of the sum of the exponentials. Of wrong
    answers it is the weighted sum where they are weighed. `wrongs` counts them. A question whose
    pair is not there (`is_asked`) has its own answer alone.
    """

    right: Tensor
    all: Tensor
    log_right: Tensor
    log_wrong: Tensor
    wrongs: Tensor
    is_asked: Tensor

    def mean(self, losses: Tensor, counts: Tensor) -> Tensor:
        """Mean of `losses` (B,) over the questions that count (B,); 0 where none does."""
        return torch.where(counts, losses, 0).sum() / counts.sum().clamp(min=1)


def read_rows(
    similarity: Scored,
    scale: Tensor,
    groups: Tensor | None = None,
    *,
    chunk: int | None = None,
    hardness: float = 0.0,
) -> tuple[Rows, Rows]:
    """Both directions of a similarity: what rows ask of columns, and columns of rows.

    Samples of one group (B,) are right answers for each other; without groups, none but the own.

    Wrong answers weigh w_ij = n_i exp(h S_ij) / sum_k exp(h S_ik), which is 1 on average, for
    hardness h and n_i wrong answers (Robinson et al., arXiv:2010.04592; in the form of Radenovic et
    al., arXiv:2301.02280).
    """
    size, is_pair = similarity.size, similarity.present

    def block(start: int, stop: int) -> tuple[Tensor, ...]:
        scores = similarity.block(start, stop)
        is_own = own(size, start, stop, is_pair.device)
        can_answer = pair_mask(is_pair, start, stop) | is_own
        is_right = is_own if groups is None else groups[start:stop, None] == groups
        masks = is_right & can_answer, ~is_right & can_answer
        forward = _read(scale * full(scores.forward), *masks, hardness, 1, groups is not None)
        backward = _read(scale * full(scores.backward), *masks, hardness, 0, groups is not None)
        return *forward, *backward

    parts = list(zip(*in_blocks(size, chunk, block), strict=True))
    half = len(parts) // 2
    forward = [torch.cat(part) for part in parts[:half]]
    backward = [_join(part, is_log) for part, is_log in zip(parts[half:], _IS_LOG, strict=True)]
    has_groups = groups is not None
    first, second = (_rows(one, is_pair, hardness, has_groups) for one in (forward, backward))
    return first, second


#: Which numbers that `_read` gives are logarithms of sums, and which are sums.
_IS_LOG = (False, False, False, False, True, True, True)


def _read(
    logits: Tensor, is_right: Tensor, is_wrong: Tensor, hardness: float, dim: int, several: bool
) -> tuple[Tensor, ...]:
    """Sums and logarithms of sums along one axis of a block; as many numbers as there are lines."""
    right = logits.masked_fill(~is_right, 0).sum(dim)
    unread = right.new_zeros(right.shape)
    return (
        right,
        logits.masked_fill(~is_wrong, 0).sum(dim),
        is_right.sum(dim),
        is_wrong.sum(dim),
        _log_sum((1 + hardness) * logits, is_wrong, dim),
        _log_sum(logits, is_right, dim) if several else unread,
        _log_sum(hardness * logits, is_wrong, dim) if hardness else unread,
    )


def _log_sum(logits: Tensor, counts: Tensor, dim: int) -> Tensor:
    """logsumexp over what counts; very small, and without gradient, where nothing does."""
    return logits.masked_fill(~counts, _nothing(logits)).logsumexp(dim)


def _nothing(x: Tensor) -> float:
    """The logarithm of nothing, but finite: infinity less infinity would be no number."""
    return torch.finfo(x.dtype).min / 8


def _join(parts: Sequence[Tensor], is_log: bool) -> Tensor:
    """The numbers of columns from those of blocks of rows."""
    stacked = torch.stack(list(parts))
    return stacked.logsumexp(0) if is_log else stacked.sum(0)


def _rows(numbers: Sequence[Tensor], is_pair: Tensor, hardness: float, has_groups: bool) -> Rows:
    right, wrong, rights, wrongs, log_wrong, log_right, log_weights = numbers
    if hardness:
        log_wrong = log_wrong - log_weights + wrongs.clamp(min=1).to(log_wrong.dtype).log()
        log_wrong = torch.where(wrongs > 0, log_wrong, _nothing(log_wrong))
    return Rows(
        right=right / rights,
        all=(right + wrong) / (rights + wrongs),
        log_right=log_right if has_groups else right,
        log_wrong=log_wrong,
        wrongs=wrongs,
        is_asked=is_pair,
    )
