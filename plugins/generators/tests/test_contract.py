"""Both generators keep the contract, for pictures, for videos, and for inputs without tokens."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from mmlab_generators.dit import DiT
from mmlab_generators.unet import UNet

from mmlab.testing import check_generator

SMALL: Mapping[str, object] = {"size": 8, "dim": 12, "depth": 2, "heads": 2}


@pytest.mark.parametrize("token_dims", [(4, None), (None, None), (4, 3)])
def test_the_transformer_keeps_the_contract(token_dims: tuple[int | None, ...]) -> None:
    check_generator(DiT, token_dims=token_dims, **SMALL)


def test_the_transformer_of_videos_keeps_the_contract() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = [(4, 9, 12), (6, 8, 8), (1, 10, 8), (9, 8, 16)]
    clips = [
        torch.randint(256, (time, 3, height, width), generator=generator, dtype=torch.uint8)
        for time, height, width in sizes
    ]
    check_generator(DiT, clips, modality="video", frames=4, frame_patch=2, **SMALL)


@pytest.mark.parametrize("levels", [1, 3])
def test_the_convolutional_network_keeps_the_contract(levels: int) -> None:
    check_generator(UNet, size=8, width=8, levels=levels)
