"""What an encoder may offer beside features, and raw values to try encoders with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmlab.plugin import Calibrated, Dense, Measured, Placing, Staged, Tokenized
from mmlab.testing.boxes import check_placement
from mmlab.testing.tools import normal, require


def check_extras(encoder: Any, x: Tensor, raws: Sequence[object]) -> None:
    """What an encoder may offer beside features is sound. Any: it has any of these parts."""
    if isinstance(encoder, Placing):
        check_placement(encoder)
    if isinstance(encoder, Dense) and encoder.patch_grid is not None:
        _check_patches(encoder, x)
    if isinstance(encoder, Staged):
        _check_stages(encoder)
    if isinstance(encoder, Tokenized):
        _check_vocabulary(encoder, x)
        if isinstance(encoder, Measured):
            _check_lengths(encoder, encoder.vocabulary.pad, x, raws)
    if isinstance(encoder, Calibrated):
        require(encoder.calibration().scale > 0, "the scale of `calibration` must be positive")


def _check_patches(encoder: Any, x: Tensor) -> None:
    with torch.no_grad():
        patches = encoder.eval().patches(x)
    expected = (len(x), *encoder.patch_grid, encoder.dim)
    require(
        patches.shape == expected,
        f"`patches` must give (batch, rows, columns, dim), {expected}: {tuple(patches.shape)}",
    )
    require(bool(patches.isfinite().all()), "`patches` must give finite numbers")


def _check_stages(encoder: Any) -> None:
    staged = [id(p) for stage in encoder.stages() for p in stage.parameters()]
    require(len(staged) == len(set(staged)), "`stages` must hold every parameter once, not twice")
    missing = [name for name, p in encoder.named_parameters() if id(p) not in staged]
    require(not missing, f"`stages` must hold every parameter; they lack {missing}")


def _check_vocabulary(encoder: Tokenized, x: Tensor) -> None:
    vocabulary = encoder.vocabulary
    reserved = {vocabulary.pad, vocabulary.mask, *vocabulary.special}
    is_inside = all(0 <= i < vocabulary.size for i in reserved)
    require(is_inside, f"reserved ids must be below the vocabulary's size {vocabulary.size}")
    require(vocabulary.pad != vocabulary.mask, "the ids of padding and of the mask must differ")
    low, high = x.aminmax()
    is_inside = int(low) >= 0 and int(high) < vocabulary.size
    require(is_inside, f"ids {int(low)} to {int(high)} are not all in the vocabulary")
    require(not bool((x == vocabulary.mask).any()), "no text may be given the mask's reserved id")


def _check_lengths(encoder: Measured, pad: int, x: Tensor, raws: Sequence[object]) -> None:
    require(encoder.length == x.shape[1], "`length` must be how many ids `transform` gives")
    for row, raw in zip(x, raws, strict=True):
        kept, count = int((row != pad).sum()), encoder.count_ids(raw)
        fits = min(count, encoder.length) == kept
        require(fits, f"`count_ids` says {count} of a text of which `transform` keeps {kept}")


def examples(modality: str) -> list[object]:
    """A few raw values of a modality, of different sizes."""
    if modality == "image":
        return [_picture(width, height) for width, height in ((64, 64), (80, 50), (31, 97), (9, 9))]
    if modality == "text":
        return [
            "a cat",
            "a photo of a very small dog, and of much else",
            "naïve 猫 🐈",
            "",
            "x" * 99,
        ]
    if modality == "audio":
        return [(normal(1, length), 16_000) for length in (16_000, 8_000, 24_001)]
    raise ValueError(f"no examples of the modality {modality!r}: give `raws`")


def _picture(width: int, height: int) -> Image.Image:
    """A picture of coloured stripes; no two sizes look alike."""
    rows, columns = np.mgrid[0:height, 0:width]
    colours = [rows * 5 % 256, columns * 7 % 256, (rows + columns) * (width % 11) % 256]
    return Image.fromarray(np.stack(colours, axis=-1).astype(np.uint8), "RGB")
