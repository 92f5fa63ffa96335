from __future__ import annotations

from typing import Any

import pytest
from mmlab_openclip.encoder import open_clip as make

from mmlab.testing import check_encoder


@pytest.mark.slow
@pytest.mark.parametrize("modality", ["image", "text"])
def test_the_towers_keep_the_contract(clip: str, modality: str) -> None:
    check_encoder(make, modality=modality, architecture=clip)


@pytest.mark.slow
def test_a_tower_of_random_weights_that_crops_keeps_the_contract(clip: str) -> None:
    check_encoder(make, modality="image", architecture=clip, pretrained="", crop=0.5)


def test_the_hook_names_the_encoder() -> None:
    import mmlab_openclip

    named: Any = mmlab_openclip.mmlab_encoders()
    assert named == {"open_clip": "mmlab_openclip.encoder:open_clip"}
