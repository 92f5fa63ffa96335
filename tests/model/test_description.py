"""What a file of weights says of the data that its model was made for."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from mmlab.data.splits import LabelStatistics, ReferenceData
from mmlab.errors import WeightsError
from mmlab.model.weights import (
    Description,
    InputShape,
    WeightsFile,
    description_of,
    read_weights,
    save_weights,
)

LABELS = ('a "quoted" one', "naïve 猫", "<b>\n")


def described(mean: float = 0.1) -> Description:
    statistics = LabelStatistics((3, 0, 2), 5, (mean, 1e-300), (1.0, 1 / 3))
    data = ReferenceData(LABELS, True, ("weight", "height"), statistics)
    return Description(data, {"image": InputShape((3, 4, 5), "uint8"), "x": InputShape((), "bool")})


def file_saying(text: str) -> WeightsFile:
    return WeightsFile(Path("best.safetensors"), "", {}, {"mmlab": text})


def test_a_description_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    path = tmp_path / "best.safetensors"
    sha256 = save_weights(path, {"w": torch.ones(2)}, described().metadata())
    found = description_of(read_weights(path, sha256), ["image"])
    assert found == described()
    assert found is not None
    placeholders = found.placeholders()
    assert placeholders["image"].shape == (3, 4, 5)
    assert placeholders["image"].dtype == torch.uint8
    assert not placeholders["x"].any()


def test_the_mean_of_a_target_that_nobody_knows_stays_unknown() -> None:
    found = description_of(file_saying(described(math.nan).metadata()["mmlab"]), ["image"])
    assert found is not None
    assert found.data.statistics is not None
    assert math.isnan(found.data.statistics.target_means[0])
    assert found.data.statistics.target_means[1] == 1e-300


def test_other_programs_files_say_nothing() -> None:
    file = WeightsFile(Path("theirs.safetensors"), "", {}, {"format": "pt"})
    assert description_of(file, ["image"]) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("uint8", "generator"), r"inputs\.image\.dtype: .*not a dtype of torch"),
        (("[3,4,5]", "[3,-4,5]"), r"inputs\.image\.sizes\.1: .*greater than or equal to 0"),
        (('"is_multi_label"', '"other"'), r"data\.is_multi_label: Field required"),
        (('"image"', '"picture"'), "nothing of the encoder 'image'"),
        (('{"data"', ""), "mmlab: Invalid JSON"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(change: tuple[str, str], says: str) -> None:
    text = described().metadata()["mmlab"]
    assert change[0] in text
    with pytest.raises(WeightsError, match=f"found: {says}") as caught:
        description_of(file_saying(text.replace(*change)), ["image"])
    assert "cannot be understood" in str(caught.value)
