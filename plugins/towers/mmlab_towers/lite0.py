"""Names of EfficientNet-Lite0's tensors: those of its package -> those of timm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

#: Blocks in each of the seven stages (Tan and Le, arXiv:1905.11946, table 1, without scaling).
STAGES = (1, 2, 2, 3, 3, 4, 1)

_OUTSIDE = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
#: The only block of the first stage does not expand its channels, so that timm counts otherwise.
_FIRST_BLOCK = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def with_timm_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every tensor under timm's name. Raises KeyError for a name that the package does not have."""
    prefixes = dict(_prefixes())
    named = {}
    for name, tensor in tensors.items():
        prefix, _, kind = name.rpartition(".")
        named[f"{prefixes[prefix]}.{kind}"] = tensor
    return named


def _prefixes() -> Iterator[tuple[str, str]]:
    yield from _OUTSIDE.items()
    places = [(stage, block) for stage, count in enumerate(STAGES) for block in range(count)]
    for number, (stage, block) in enumerate(places):
        for theirs, ours in (_BLOCK if number else _FIRST_BLOCK).items():
            yield f"_blocks.{number}.{theirs}", f"blocks.{stage}.{block}.{ours}"
