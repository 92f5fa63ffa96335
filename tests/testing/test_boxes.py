"""The checks of boxes pass what is sound, and name what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
import torch
from PIL import Image
from torch import Tensor

from mmlab.plugin import Boxes, Placement, Sample, Split
from mmlab.testing import ContractError, check_dataset
from mmlab.testing.boxes import check_placement


class Sound:
    """Pictures with a box each; the second picture of a split has none, of the third none knows."""

    modalities = ("image",)
    labels = ("dark", "bright")
    templates = ("{}",)
    is_multi_label = True
    revision = "boxes-1"
    has_boxes = True

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Sample:
        boxes = (Boxes(((1.0, 2.0, 8.0, 6.5),), (1,), crowd=(True,)), Boxes(), None)[index]
        values: dict[str, object] = {
            "image": Image.new("RGB", (8, 9), (index, index, len(self.split)))
        }
        return Sample(f"{self.split}-{index}", values, (), boxes=boxes)

    def outline(self, index: int) -> Sample:
        return replace(self[index], values={"image": None})


def test_a_sound_dataset_with_boxes_passes() -> None:
    check_dataset(Sound)


class Silent(Sound):
    has_boxes = False


class OnTestAlone(Sound):
    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self.has_boxes = split != "test"

    def __getitem__(self, index: int) -> Sample:
        return replace(super().__getitem__(index), boxes=None)


class Beyond(Sound):
    def __getitem__(self, index: int) -> Sample:
        return replace(super().__getitem__(index), boxes=Boxes(((1.0, 2.0, 8.5, 6.0),), (1,)))


class OfNoLabel(Sound):
    def __getitem__(self, index: int) -> Sample:
        return replace(super().__getitem__(index), boxes=Boxes(((1.0, 2.0, 8.0, 6.0),), (2,)))


class NumbersForFlags(Sound):
    def __getitem__(self, index: int) -> Sample:
        flags = cast(tuple[bool, ...], (1,))
        boxes = Boxes(((1.0, 2.0, 8.0, 6.0),), (1,), crowd=flags)
        return replace(super().__getitem__(index), boxes=boxes)


class OutlineWithoutBoxes(Sound):
    def outline(self, index: int) -> Sample:
        return replace(super().outline(index), boxes=None)


class BoxesOfNothing(Sound):
    def __getitem__(self, index: int) -> Sample:
        return replace(super().__getitem__(index), values={})


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        (Silent, "`has_boxes` is not True"),
        (OnTestAlone, "differs from the training split's"),
        (Beyond, "outside of the picture"),
        (OfNoLabel, "no label"),
        (NumbersForFlags, "must be bools"),
        (OutlineWithoutBoxes, "labels, targets and boxes"),
        (BoxesOfNothing, "no image that they are in"),
    ],
)
def test_a_defect_of_boxes_is_named(defect: type[Sound], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_dataset(defect)


class Squash:
    """Resizes pictures to a size, whatever theirs is."""

    def transform(self, raw: Image.Image, train: bool) -> Tensor:
        values = bytearray(raw.resize((24, 16)).tobytes())
        return torch.frombuffer(values, dtype=torch.uint8).view(16, 24, 3).permute(2, 0, 1)

    def placement(self, width: int, height: int) -> Placement:
        return Placement.of(width, height).resized(24, 16)


class SaysItCrops(Squash):
    def placement(self, width: int, height: int) -> Placement:
        return Placement.of(width, height).shorter_side(16).centred(24, 16)


class SwapsSides(Squash):
    def placement(self, width: int, height: int) -> Placement:
        return Placement.of(width, height).resized(16, 24)


def test_a_sound_placement_passes() -> None:
    check_placement(Squash())


@pytest.mark.parametrize(
    ("defect", "message"), [(SaysItCrops, "comes to lie at"), (SwapsSides, r"it is \(24, 16\)")]
)
def test_a_wrong_placement_is_named(defect: type[Squash], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_placement(defect())
