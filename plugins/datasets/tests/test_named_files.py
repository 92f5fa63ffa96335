"""Samples named one by one: files, texts and rows, in the order of their lists."""

from pathlib import Path

import pytest
from mmlab_datasets.named_files import Files
from PIL import Image

from mmlab.errors import DataError


def picture(path: Path, colour: str) -> Path:
    Image.new("RGB", (8, 8), colour).save(path)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return [picture(tmp_path / f"{colour}.png", colour) for colour in ("red", "blue")]


def test_each_place_of_the_lists_is_a_sample(pictures: list[Path]) -> None:
    files = Files("test", image=pictures, text=["first", "second"])
    assert [len(files), len(Files("train", image=pictures))] == [2, 0]
    assert files.modalities == ("image", "text")
    image = files[1].values["image"]
    assert isinstance(image, Image.Image)
    assert image.getpixel((0, 0)) == (0, 0, 255)
    assert files[1].values["text"] == "second"
    assert files.outline(1).values == {"image": None, "text": "second"}


def test_the_revision_tells_every_byte(pictures: list[Path]) -> None:
    before = Files("test", image=pictures).revision
    assert Files("test", image=pictures).revision == before
    picture(pictures[0], "green")
    assert Files("test", image=pictures).revision != before


@pytest.mark.parametrize("texts", [["one"], ["one", "two", "three"]])
def test_lists_of_different_length_are_refused(pictures: list[Path], texts: list[str]) -> None:
    with pytest.raises(DataError, match="not as many values"):
        Files("test", image=pictures, text=texts)


def test_no_sample_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no sample"):
        Files("test")


def test_a_missing_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.png"):
        Files("test", image=[tmp_path / "nothing.png"])
