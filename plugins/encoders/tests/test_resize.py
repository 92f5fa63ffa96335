"""Resizing and cropping beside torchvision's own, which no result may differ from by one bit."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmlab_encoders.images import ImageTransform
from mmlab_encoders.resize import middle, resize, to_tensor
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

SIDES = st.integers(1, 90)
BICUBIC = InterpolationMode.BICUBIC


def made_by_torchvision(x: Tensor, size: int) -> Tensor:
    result: Tensor = v2.Compose([v2.Resize(size, BICUBIC), v2.CenterCrop(size)])(x)
    return result


def picture(height: int, width: int) -> Image.Image:
    """Hard edges beside noise: where a bicubic filter leaves 0..255 and has to be cut."""
    pixels = np.random.default_rng(height * 97 + width).integers(0, 256, (height, width, 3))
    pixels[:, width // 2 :] = 255 * (pixels[:, width // 2 :] > 127)
    return Image.fromarray(pixels.astype(np.uint8))


@given(SIDES, SIDES, st.integers(8, 64))
def test_a_picture_is_cut_as_torchvision_cuts_it(height: int, width: int, size: int) -> None:
    x = v2.functional.pil_to_tensor(picture(height, width))
    assert torch.equal(
        middle(to_tensor(picture(height, width)), size), made_by_torchvision(x, size)
    )


@given(st.integers(1, 3), SIDES, SIDES, st.integers(8, 64))
def test_frames_are_cut_as_torchvision_cuts_them(
    frames: int, height: int, width: int, size: int
) -> None:
    x = torch.stack([to_tensor(picture(height, width)).roll(i, -1) for i in range(frames)])
    assert torch.equal(middle(x, size), made_by_torchvision(x, size))


@pytest.mark.parametrize("sides", [(300, 400), (400, 300), (512, 512), (97, 1000), (224, 225)])
@pytest.mark.parametrize("size", [224, 225, 64])
def test_a_photograph_is_resized_as_torchvision_resizes_it(
    sides: tuple[int, int], size: int
) -> None:
    x = to_tensor(picture(*sides))
    theirs = v2.Resize(size, BICUBIC)(x)
    assert torch.equal(resize(x, size), theirs)
    assert torch.equal(resize(x.contiguous(), size), theirs)
    assert resize(x, size).stride() == theirs.stride()


def test_what_training_draws_is_what_torchvision_draws() -> None:
    steps = [
        v2.RandomResizedCrop(32, (0.3, 1.0), interpolation=BICUBIC),
        v2.RandomHorizontalFlip(),
        v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
        v2.RandomGrayscale(p=0.2),
        v2.RandomApply([v2.GaussianBlur(3, (0.1, 2.0))], p=0.5),
    ]
    theirs = v2.Compose(steps)
    ours = ImageTransform(32, 0.3, True, jitter=0.5, grey=0.2, blur=0.5)
    for seed in range(20):
        torch.manual_seed(seed)
        expected = theirs(to_tensor(picture(50, 70)))
        torch.manual_seed(seed)
        assert torch.equal(ours(picture(50, 70), True), expected)


@pytest.mark.slow
def test_reading_a_picture_imports_neither_torchvision_nor_a_compiler() -> None:
    code = """
import sys
import mmlab_encoders.convnet, mmlab_encoders.video, mmlab_encoders.vit
from PIL import Image
transform = mmlab_encoders.images.ImageTransform(16, crop=1, flip=False)
assert transform(Image.new("RGB", (20, 30)), True).shape == (3, 16, 16)
print(sorted({"torchvision", "torch._dynamo", "sympy", "triton"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]"]
