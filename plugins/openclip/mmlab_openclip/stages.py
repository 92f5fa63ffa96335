"""The stages of a tower from input to output, for freezing to a depth and layer-wise rates."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

#: What comes after the blocks, in open_clip's own towers and timm's transformers.
AFTER = frozenset(
    {"attn_pool", "attn_pool_contrastive", "attnpool", "fc_norm", "head", "head_drop"}
    | {"ln_final", "ln_post", "norm", "proj", "text_projection"}
)


def stages_of(tower: nn.Module) -> Sequence[nn.Module]:
    """Input layers, each block, and output layers; one stage where a tower has no such blocks.

    A stage holds the tower's own parameters, so that what is done to it is done to the tower.
    """
    trunk = getattr(tower, "trunk", None)  # timm's model inside open_clip's tower
    blocks = _blocks(tower if trunk is None else trunk)
    if not blocks:
        return [tower]
    before, after = nn.Module(), nn.Module()
    for owner in [tower] if trunk is None else [trunk, tower]:
        prefix = "" if owner is tower else "trunk_"
        for name, parameter in owner.named_parameters(recurse=False):
            stage = after if name in AFTER else before
            stage.register_parameter(prefix + name, parameter)
        for name, child in owner.named_children():
            if not any(block in blocks for block in child.modules()):
                (after if name in AFTER else before).add_module(prefix + name, child)
    return [before, *blocks, after]


def _blocks(tower: nn.Module) -> list[nn.Module]:
    """Blocks of a transformer, or the four layers of a ResNet; none in any other tower."""
    transformer = getattr(tower, "transformer", None)
    for owner, name in ((transformer, "resblocks"), (tower, "blocks")):
        if isinstance(blocks := getattr(owner, name, None), nn.ModuleList | nn.Sequential):
            return list(blocks)
    layers = [getattr(tower, f"layer{i}", None) for i in range(1, 5)]
    return [layer for layer in layers if layer is not None]
