"""Golden runs of encoders: raw values by formula, their transform, and what features teach.

An encoder reads its raw values as at evaluation, but none is of a size or a rate that must change:
resizing and resampling round in float32 or in bytes, otherwise on other processors.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from mmlab.model.components import BuildContext
from mmlab.plugin import Features, Fitted
from support.golden_parts import Change, drawn_by_name, portable, resolved

SIDE, RATE_HZ = 16, 1000

_SOUND = {"rate": RATE_HZ, "seconds": 0.2, "window": 0.032, "hop": 0.016, "mels": 4}
_TRUNK = {"width": 8, "depth": 1, "heads": 2}

#: Options that make each encoder tiny.
TINY: Mapping[str, Mapping[str, Any]] = {
    "audio_convnet": {**_SOUND, "width": 8, "levels": 2},
    "audio_transformer": {**_SOUND, **_TRUNK},
    "convnet": {"image_size": SIDE, "width": 16, "levels": 2},
    "tabular": {"columns": 5, "categories": 6, **_TRUNK},
    "transformer": {"vocabulary_size": 12, "length": 8, **_TRUNK},
    "video": {"image_size": SIDE, "width": 8, "frames": 3},
    "vit": {"image_size": SIDE, "patch_size": 8, **_TRUNK},
}
#: Options that do more, in place of those that they contradict.
MORE: Mapping[str, Mapping[str, Any]] = {
    "transformer": {
        "vocabulary": "bytes",
        "vocabulary_size": None,
        "pool": "end",
        "positions": "rotary",
        "causal": True,
    },
    "video": {"trunk": "vit", "pool": "attention"},
    "vit": {"pool": "class"},
}

TEXTS = ("A cat, a dog.", "the dog naps", "Cat, dog & the ﬁne cat: all of them nap a while", "a")
ROWS: Sequence[Mapping[str, object]] = (
    {"age": 31, "fare": 7.25, "port": "S"},
    {"age": 4, "fare": None, "port": "C"},
    {"age": None, "fare": 512.5, "port": "S"},
    {"age": 58, "fare": 8.05, "port": None},
)


def make_encoder(name: str, options: Mapping[str, object]) -> Any:
    """An encoder in float64, as it starts, for a model that reads all that it can give."""
    given = {k: v for k, v in {**TINY[name], **options}.items() if v is not None}
    context = BuildContext(frozenset({"pooled", "tokens"}))
    return resolved("encoder", name, given).make(context=context).double()


def make_step(
    name: str, options: Mapping[str, object], change: Change
) -> tuple[nn.Module, Callable[[], Tensor]]:
    """An encoder, and its loss: how far its features are from numbers that its name draws.

    `change` is made to its weights. Raw values are bytes, words and short fractions, the same on
    every processor.
    """
    encoder: Any = portable(lambda: make_encoder(name, options), change)
    raws = RAWS[name]()
    if isinstance(encoder, Fitted):
        encoder.fit(raws[1:])  # so that the first holds what nobody has seen
    x = torch.stack([encoder.transform(raw, train=False) for raw in raws])
    return encoder, lambda: _distance(name, encoder(x))


def _distance(name: str, features: Features) -> Tensor:
    """Mean square of pooled features and of the tokens that count, each from its own target."""
    tokens, pooled = features.tokens, features.pooled
    assert tokens is not None
    mask = torch.ones(tokens.shape[:-1]) if features.mask is None else features.mask.double()
    own = drawn_by_name(f"pooled {name}", pooled.shape)
    others = drawn_by_name(f"tokens {name}", tokens.shape)
    each = (tokens - others).square().mean(-1)  # (B, N)
    return (pooled - own).square().mean() + (each * mask).sum() / mask.sum()


@contextmanager
def default_float64() -> Iterator[None]:
    """Let what a module makes itself be float64 too: windows, and pictures as numbers."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _pictures() -> list[Image.Image]:
    size = (SIDE + 4, SIDE)  # wider than high, so that the middle is cut out
    return [Image.frombytes("RGB", size, _bytes("picture", row, 3 * 20 * SIDE)) for row in range(4)]


def _videos() -> list[Tensor]:
    shapes = [(length, 3, SIDE, SIDE + 2) for length in (5, 3, 7, 2)]
    return [
        torch.frombuffer(
            bytearray(_bytes("video", row, torch.Size(shape).numel())), dtype=torch.uint8
        ).view(shape)
        for row, shape in enumerate(shapes)
    ]


def _sounds() -> list[tuple[Tensor, int]]:
    """In stereo; the first is cut, the second fills up, and the others are padded.

    They are so quiet that what is added before the logarithm shows.
    """
    sounds = []
    for row, length in enumerate((251, 200, 137, 50)):
        values = torch.tensor(list(_bytes("sound", row, 2 * length)), dtype=torch.float32)
        sounds.append((((values - 128) / 8192).view(2, length), RATE_HZ))
    return sounds


def _bytes(what: str, row: int, size: int) -> bytes:
    return random.Random(f"{what} {row}").randbytes(size)


#: The raw values that each encoder reads.
RAWS: Mapping[str, Callable[[], Sequence[Any]]] = {
    "audio_convnet": _sounds,
    "audio_transformer": _sounds,
    "convnet": _pictures,
    "tabular": lambda: ROWS,
    "transformer": lambda: TEXTS,
    "video": _videos,
    "vit": _pictures,
}
