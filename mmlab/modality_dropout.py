"""Modality dropout: in training, some inputs of a sample count as absent, so that any may lack."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def drop_modalities(present: Sequence[Tensor], probability: float) -> list[Tensor]:
    """Which inputs of each sample are left: as `present`, M tensors (B,) bool, one for each input.

    Each input gets a number from the ambient generator, and is dropped where that is below
    `probability`, unless it is the largest among those of the sample's present inputs: one of them
    always stays, and which is even chance. An input of M is so dropped with probability
    p - p^M / M. One input alone is never dropped.

    Source: ModDrop, Neverova et al., arXiv:1501.00102, section 4.2, where each input is dropped on
    its own and all may be; the features are not scaled up, because fusions see who is absent.
    """
    there = torch.stack(list(present), dim=-1)  # (B, M)
    drawn = torch.rand(there.shape, device=there.device).masked_fill(~there, -1)
    stays = (drawn >= probability) | (drawn == drawn.amax(dim=-1, keepdim=True))
    return list((there & stays).unbind(dim=-1))
