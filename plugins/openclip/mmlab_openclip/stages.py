"""The stages of a tower from input to output, for freezing to a depth and layer-wise rates."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

#: What comes after the blocks in open_clip's own towers; all else comes before them.
AFTER = frozenset(
    {"attn_pool", "attn_pool_contrastive", "attnpool", "ln_final", "ln_post"}
    | {"proj", "text_projection"}
)


def stages_of(tower: nn.Module) -> Sequence[nn.Module]:
    """Input layers, each block, and output layers; one stage where the tower is not open_clip's.

    A stage holds the tower's own parameters, so that what is done to it is done to the tower.
    """
    blocks = _blocks(tower)
    if not blocks:
        return [tower]
    before, after = nn.Module(), nn.Module()
    for name, parameter in tower.named_parameters(recurse=False):
        (after if name in AFTER else before).register_parameter(name, parameter)
    for name, child in tower.named_children():
        if not any(block in blocks for block in [child, *child.modules()]):
            (after if name in AFTER else before).add_module(name, child)
    return [before, *blocks, after]


def _blocks(tower: nn.Module) -> list[nn.Module]:
    """Blocks of a transformer, or the four layers of a ResNet; none in any other tower."""
    transformer = getattr(tower, "transformer", None)
    if isinstance(blocks := getattr(transformer, "resblocks", None), nn.ModuleList):
        return list(blocks)
    layers = [getattr(tower, f"layer{i}", None) for i in range(1, 5)]
    return [layer for layer in layers if layer is not None]
