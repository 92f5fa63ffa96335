"""The transformer that pictures and text share: self-attention and an MLP, each after a norm."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from mmlab.plugin import SpecError, explain
from mmlab_encoders.rotary import rotate


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al., arXiv:1706.03762, section 3.2).

    x: (B, N, width), mask: (B, N), True where a token may be attended to -> (B, N, width).
    At least one token of every sample must be allowed. With `causal` a token attends to itself and
    those before it, and there is no mask: what nothing may attend to comes last. With `rotary`,
    queries and keys are turned by their places. Raises SpecError unless heads divide width, with
    `rotary` into even parts.
    """

    def __init__(
        self, width: int, heads: int, *, causal: bool = False, rotary: bool = False
    ) -> None:
        super().__init__()
        if width % heads:
            raise _uneven_heads(width, heads)
        if rotary and width // heads % 2:
            raise _odd_heads(width, heads)
        self.heads, self.causal, self.rotary = heads, causal, rotary
        self.read = nn.Linear(width, 3 * width)
        self.write = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Every token's mixture of the tokens it may attend to."""
        heads = self.read(x).unflatten(-1, (3, self.heads, -1))  # (B, N, 3, heads, width / heads)
        read = heads.permute(2, 0, 3, 1, 4)  # (3, B, heads, N, width / heads)
        q, k = rotate(read[:2]) if self.rotary else read[:2]
        v = read[2]
        assert mask is None or not self.causal, "what is masked comes last in causal attention"
        allowed = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, N)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, is_causal=self.causal)
        result: Tensor = self.write(mixed.transpose(1, 2).flatten(2))  # (B, N, width)
        return result


class Block(nn.Module):
    """One pre-norm transformer block: attention, then an MLP four times as wide, both residual."""

    def __init__(
        self, width: int, heads: int, *, causal: bool = False, rotary: bool = False
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, causal=causal, rotary=rotary)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, N, width) -> (B, N, width)."""
        x = x + self.attention(self.attention_norm(x), mask)
        result: Tensor = x + self.mlp(self.mlp_norm(x))
        return result


class Trunk(nn.Module):
    """Blocks, one after the other, and a last norm: (B, N, width) -> (B, N, width)."""

    def __init__(
        self, width: int, depth: int, heads: int, *, causal: bool = False, rotary: bool = False
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(width, heads, causal=causal, rotary=rotary) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Tokens in, tokens out."""
        for block in self.blocks:
            x = block(x, mask)
        result: Tensor = self.norm(x)
        return result

    def stages(self) -> Sequence[nn.Module]:
        """The blocks and the last norm, from input to output."""
        return [*self.blocks, self.norm]


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of (B, N, D) over the N tokens where mask (B, N) is True; 0 where it nowhere is."""
    weight = mask.unsqueeze(-1).to(tokens.dtype)  # (B, N, 1)
    return (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)


def _uneven_heads(width: int, heads: int) -> SpecError:
    return SpecError(
        explain(
            "heads",
            "attention heads must divide the width",
            found=f"width {width}, heads {heads}",
            allowed="a width that is a multiple of heads",
            next_step="change `width` or `heads` of this encoder",
        )
    )


def _odd_heads(width: int, heads: int) -> SpecError:
    return SpecError(
        explain(
            "heads",
            "rotary positions turn pairs of numbers, so that each head must have an even width",
            found=f"width {width}, heads {heads}: {width // heads} numbers a head",
            allowed="a width that is an even multiple of heads",
            next_step="change `width` or `heads` of this encoder, or leave rotary positions out",
        )
    )
