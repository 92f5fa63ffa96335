"""Grey pictures with coloured squares in known places, and a real model that sees colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from mmlab.data.reader import Reader
from mmlab.evaluate import Encoded, EvaluatedModel, encode_split
from mmlab.evaluate.subject import Parts, Unkept
from mmlab.model.model import Model
from mmlab.plugin import Boxes, Calibration, Features, Placement, Sample
from support.evaluated import Cosine

LABELS = ("red", "green", "blue")
#: What a picture of a colour, and of nothing, is like: three differences from grey, and a constant.
DIRECTIONS = {
    "red": (1.0, -1.0, -1.0, 0.3),
    "green": (-1.0, 1.0, -1.0, 0.3),
    "blue": (-1.0, -1.0, 1.0, 0.3),
    "nothing": (0.0, 0.0, 0.0, 1.0),
}
SIDE = 32
GRID = 8


class Colours(nn.Module):
    """An encoder of pictures: the mean difference from grey of each colour, and a constant.

    `zooms` makes its transform see the middle alone, as a centre crop does.
    """

    preprocessing = "colours"
    dim = 4
    token_dim = None
    patch_grid: tuple[int, int] | None = (GRID, GRID)

    def __init__(self, zooms: bool = False) -> None:
        super().__init__()
        self.crops = SIDE // 8 if zooms else 0

    def transform(self, raw: object, train: bool) -> Tensor:
        assert isinstance(raw, Image.Image)
        side = SIDE + 2 * self.crops
        resized = raw.resize((side, side), Image.Resampling.BICUBIC)
        cut = resized.crop((self.crops, self.crops, side - self.crops, side - self.crops))
        pixels = torch.frombuffer(bytearray(cut.tobytes()), dtype=torch.uint8)
        return pixels.reshape(SIDE, SIDE, 3).permute(2, 0, 1).clone()

    def placement(self, width: int, height: int) -> Placement:
        side = SIDE + 2 * self.crops
        return Placement.of(width, height).resized(side, side).centred(SIDE, SIDE)

    def patches(self, x: Tensor) -> Tensor:
        step = SIDE // GRID
        cells = x.float().unfold(2, step, step).unfold(3, step, step).mean((4, 5))
        colours = (cells - 128) / 127
        return torch.cat([colours, torch.full_like(colours[:, :1], 0.3)], 1).permute(0, 2, 3, 1)

    def forward(self, x: Tensor) -> Features:
        return Features.of(self.patches(x).mean((1, 2)))


class Plain(Colours):
    """One without patches."""

    patch_grid = None


class Names(nn.Module):
    """An encoder of texts: the colour that a text names last."""

    preprocessing = "names"
    dim = 4
    token_dim = None

    def transform(self, raw: object, train: bool) -> Tensor:
        assert isinstance(raw, str)
        found = [name for word in raw.split() if (name := word.strip(".")) in DIRECTIONS]
        return torch.tensor(DIRECTIONS[found[-1]])

    def forward(self, x: Tensor) -> Features:
        return Features.of(x)


@dataclass
class Squares:
    """A dataset of grey pictures, each given by its squares: a label and a box."""

    scenes: Sequence[Sequence[tuple[str, tuple[int, int, int, int]]] | None]
    size: tuple[int, int] = (128, 128)
    labels: tuple[str, ...] = LABELS
    templates: tuple[str, ...] = ("a photo of {}.", "{}")
    modalities: tuple[str, ...] = ("image",)
    is_multi_label: bool = True
    revision: str = "squares-1"
    has_boxes: bool = True

    def __len__(self) -> int:
        return len(self.scenes)

    def outline(self, index: int) -> Sample:
        squares = self.scenes[index]
        boxes = None
        if squares is not None:
            corners = tuple((float(a), float(b), float(c), float(d)) for _, (a, b, c, d) in squares)
            boxes = Boxes(corners, tuple(self.labels.index(name) for name, _ in squares))
        labels = tuple(sorted(set(boxes.labels))) if boxes is not None else None
        return Sample(f"scene-{index}", {"image": None}, labels, boxes=boxes)

    def __getitem__(self, index: int) -> Sample:
        picture = Image.new("RGB", self.size, (128, 128, 128))
        draw = ImageDraw.Draw(picture)
        for name, (x0, y0, x1, y1) in self.scenes[index] or ():
            colour = tuple(255 if one > 0 else 0 for one in DIRECTIONS[name][:3])
            draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=colour)
        known = self.outline(index)
        return Sample(known.id, {"image": picture}, known.labels, boxes=known.boxes)


def seer(encoder: nn.Module | None = None, parts: Parts | None = None) -> EvaluatedModel:
    """A model of colours and their names, whose scale of 10 makes probabilities of cosines."""
    encoders = {"image": encoder or Colours(), "text": Names()}
    model = Model(encoders, Cosine(), ("image", "text")).eval()
    placeholders = {"image": torch.zeros(3, SIDE, SIDE, dtype=torch.uint8), "text": torch.zeros(4)}
    readers = {key: Reader(key, encoders[key], placeholders[key]) for key in encoders}
    return EvaluatedModel(
        model, Calibration(10.0), torch.device("cpu"), "fp32", readers, parts=parts or Unkept()
    )


def seen(what: EvaluatedModel, dataset: Squares) -> Encoded:
    """The test split in batches of three."""
    return encode_split(what, dataset, "test", 3)
