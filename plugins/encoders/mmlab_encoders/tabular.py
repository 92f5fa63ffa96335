"""A transformer over the cells of a table's row: numbers standardised, categories embedded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import LARGEST_SIZE, Context, Features, Size
from mmlab_encoders.blocks import Trunk, masked_mean
from mmlab_encoders.columns import MISSING, NUMBER, UNKNOWN, UNUSED, Columns


class Tabular(nn.Module):
    """A row -> pooled (B, width), the mean over its cells; a cell is a token.

    FT-Transformer (Gorishniy et al., arXiv:2106.11959, section 3.3) with a mean in place of its
    class token. A number x of column c is x * weight[c] + bias[c]; a category is its vector plus
    bias[c]; a missing cell is a vector of its column, which attention may read, and is masked out
    of the tokens. Which column holds numbers, their means and the categories are learnt from the
    training split. Columns that were not seen there are left out.
    """

    numerics = 1
    augments = False

    def __init__(
        self,
        context: Context,
        *,
        columns: Annotated[Size, Field(description="most columns there may be")] = 32,
        categories: Annotated[
            int, Field(ge=1, le=10**7, description="categories with a vector, over all columns")
        ] = 1024,
        width: Annotated[Size, Field(description="width of a token and of the result")] = 64,
        depth: Annotated[int, Field(ge=0, le=LARGEST_SIZE, description="number of blocks")] = 2,
        heads: Annotated[Size, Field(description="attention heads; they divide width")] = 4,
    ) -> None:
        super().__init__()
        self.dim = width
        self.token_dim = width if "tokens" in context.reads else None
        self.columns = Columns(columns, categories)
        self.embedding = CellEmbedding(columns, categories, width)
        self.trunk = Trunk(width, depth, heads)

    @property
    def preprocessing(self) -> str:
        """What happens to a row at evaluation."""
        return "numbers to mean 0 and deviation 1, categories to their ids"

    def fit(self, raws: Sequence[object]) -> None:
        """Learn the columns of every training row."""
        self.columns.fit(raws)

    def transform(self, raw: object, train: bool) -> Tensor:
        """One row -> float32 (columns, 2)."""
        return self.columns.encode(raw)

    def forward(self, x: Tensor) -> Features:
        """Features of rows (B, columns, 2)."""
        kinds = x[..., 0]
        is_read = kinds != UNUSED
        attended = is_read.clone()
        attended[:, 0] = True  # so that a stand-in for a missing row gives numbers, not NaN
        tokens = self.trunk(self.embedding(x), attended)
        pooled = masked_mean(tokens, is_read)
        if not self.token_dim:
            return Features.of(pooled)
        return Features.of(pooled, tokens, kinds > MISSING)

    def stages(self) -> Sequence[nn.Module]:
        """The embedding of cells, the blocks, the last norm."""
        return [self.embedding, *self.trunk.stages()]


class CellEmbedding(nn.Module):
    """Cells (B, columns, 2) as `Columns` gives them -> tokens (B, columns, width)."""

    def __init__(self, columns: int, categories: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(columns, width) * width**-0.5)
        self.bias = nn.Parameter(torch.randn(columns, width) * width**-0.5)
        self.missing = nn.Parameter(torch.randn(columns, width) * width**-0.5)
        self.categories = nn.Embedding(categories + 1, width)  # the first for all unknown ones
        nn.init.normal_(self.categories.weight, std=width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Cells in, tokens out."""
        kinds, numbers = x[..., 0], x[..., 1:].to(self.weight.dtype)
        kinds = kinds.unsqueeze(-1)  # (B, columns, 1)
        categories = self.categories((x[..., 0] - UNKNOWN).clamp(min=0).long())
        value = torch.where(kinds == NUMBER, numbers * self.weight, categories)
        return torch.where(kinds <= MISSING, self.missing, value + self.bias)
