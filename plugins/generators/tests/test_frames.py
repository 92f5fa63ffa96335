"""Pictures and videos become tensors and come back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmlab_generators.frames import Frames, normalized
from PIL import Image

from mmlab.plugin import DataError


def test_the_square_in_the_middle_of_a_picture_is_taken() -> None:
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 2:6] = 200
    read = Frames(4).read(Image.fromarray(pixels))
    assert read.shape == (3, 1, 4, 4)
    assert bool((read == 200).all())


def test_a_smaller_picture_has_the_means_of_its_squares() -> None:
    """At half the size, antialiased bilinear weights are 1, 3, 3, 1: constant rows stay so."""
    rows = np.repeat(np.array([[[10], [10], [90], [90]]], np.uint8), 4, axis=0)
    read = Frames(2).read(Image.fromarray(np.repeat(rows, 3, axis=2)))
    assert read[0, 0].tolist() == [[21, 79], [21, 79]]  # (3 * 10 + 3 * 10 + 90) / 7, to the edge


def test_frames_are_taken_evenly_from_the_first_to_the_last() -> None:
    clip = torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(10, 3, 2, 2)
    assert Frames(2, 4).read(clip)[0, :, 0, 0].tolist() == [0, 3, 6, 9]
    assert Frames(2, 3).read(clip[:1])[0, :, 0, 0].tolist() == [0, 0, 0]


def test_a_list_of_pictures_is_a_video() -> None:
    pictures = [Image.new("RGB", (2, 2), (value, 0, 0)) for value in (1, 2)]
    read = Frames(2, 2).read(pictures)
    assert read[:, :, 0, 0].tolist() == [[1, 2], [0, 0], [0, 0]]
    written = Frames(2, 2).write(read)
    assert isinstance(written, torch.Tensor)
    assert written.shape == (2, 3, 2, 2)


def test_colours_are_black_at_minus_one_and_white_at_one() -> None:
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(3, 1, 16, 16)
    scaled = normalized(every, torch.float64)
    assert (float(scaled.min()), float(scaled.max())) == (-1, 1)
    picture = Frames(16).write(3 * scaled)
    assert np.asarray(picture).min() == 0
    assert np.asarray(picture).max() == 255
    assert torch.equal(Frames(16).read(Frames(16).write(scaled)), every)


@pytest.mark.parametrize("raw", ["a cat", [], torch.empty(0, 3, 4, 4, dtype=torch.uint8), 7])
def test_what_is_no_picture_is_told(raw: object) -> None:
    with pytest.raises(DataError, match=r"generator\.target: is no picture or video"):
        Frames(4).read(raw)
