"""The stages of timm's models from input to output, for freezing to a depth."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

#: What timm calls the sequence of a model's blocks or levels.
_SEQUENCES = ("blocks", "stages", "layers", "features", "levels")


def stages_of(model: nn.Module) -> Sequence[nn.Module]:
    """What comes before the blocks, each block, and what comes after, by the order of children.

    One stage where a model has no such blocks. A stage holds the model's own parameters, so that
    what is done to it is done to the model.
    """
    children = dict(model.named_children())
    names = [name for name in children if name in _SEQUENCES][:1]
    blocks = [block for name in names for block in children[name].children()]
    if not blocks:
        names = [f"layer{i}" for i in range(1, 5) if f"layer{i}" in children]  # ResNets
        blocks = [children[name] for name in names]
    if not blocks:
        return [model]
    before, after = nn.Module(), nn.Module()
    for name, parameter in model.named_parameters(recurse=False):
        before.register_parameter(name, parameter)
    order = list(children)
    for name, child in children.items():
        if name not in names:
            side = before if order.index(name) < order.index(names[0]) else after
            side.add_module(name, child)
    return [before, *blocks, after]
