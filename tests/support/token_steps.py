"""A training step of two encoders of tokens, a loss that encodes again, and a random batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from mmlab_fusions.inner_product import InnerProduct
from mmlab_losses.info_nce import InfoNCE
from torch import Tensor, nn

from mmlab.model.model import Model, Step
from mmlab.plugin import Batch, Encode, Features, Outputs, Shapes

ROWS = 12
WIDTH = 5
SHAPES = Shapes({"image": 6, "text": 6}, None, (), (), False, {})


class Deep(nn.Module):
    """An encoder of (B, N, WIDTH): tokens, their mean, and a mask; dropout in between."""

    preprocessing = "deep"
    dim = token_dim = 6

    def __init__(self, dropout: float = 0.0, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, 8)
        self.dropout = nn.Dropout(dropout)
        self.norm = norm or nn.Identity()
        self.second = nn.Linear(8, self.dim)

    def forward(self, x: Tensor) -> Features:
        hidden = self.dropout(torch.tanh(self.first(x)))
        tokens = self.second(self.norm(hidden.transpose(1, 2)).transpose(1, 2))
        return Features.of(tokens.mean(1), tokens, x[..., 0] > 0)


class Steady(nn.Module):
    """An auxiliary loss: the features of 7 samples and of their noisy mirror images are alike."""

    reads = frozenset({"features", "tokens"})
    views = 0

    def forward(self, outputs: Outputs, batch: Batch, encode: Encode) -> Mapping[str, Tensor]:
        x, plain = batch.inputs["text"][:7].flip(-1), outputs.features["text"]
        mirrored = encode("text", x + 0.1 * torch.randn_like(x))
        assert plain.tokens is not None
        assert mirrored.tokens is not None
        assert mirrored.mask is not None
        tokens = (plain.tokens[:7] - mirrored.tokens).square() * mirrored.mask.unsqueeze(-1)
        return {"loss": F.mse_loss(plain.pooled[:7], mirrored.pooled) + tokens.mean()}


def make_step(
    dropout: float = 0.0,
    norm: nn.Module | None = None,
    dtype: torch.dtype = torch.float64,
    factory: type[Deep] = Deep,
) -> Step:
    """Two encoders, a fusion with projections, and two losses."""
    torch.manual_seed(0)
    encoders = {"image": factory(dropout), "text": factory(dropout, norm)}
    model = Model(encoders, InnerProduct([6, 6], dim=4), ["image", "text"])
    losses = {"info_nce": InfoNCE(SHAPES), "steady": Steady()}
    return Step(model, losses, {"info_nce": 1.0, "steady": 0.3}).to(dtype)


def make_batch(step: Step) -> Batch:
    """Random inputs, some of them absent."""
    dtype = next(step.parameters()).dtype
    generator = torch.Generator().manual_seed(1)
    x = {
        key: torch.randn(ROWS, 3, WIDTH, generator=generator).to(dtype) for key in ("image", "text")
    }
    present = {key: torch.arange(ROWS) % 5 != 2 for key in x}
    return Batch(x, present, torch.zeros(ROWS), torch.arange(ROWS), {})
