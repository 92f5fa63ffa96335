"""Inputs given by hand, as a dataset: read as `files` reads them, or refused before anything."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmlab.data.given import GivenSamples
from mmlab.errors import DataError, PluginError, UsageError
from mmlab.plan.registry import BUILTINS, Registry


def given(**columns: list[object]) -> GivenSamples:
    return GivenSamples(columns, Registry.discover(BUILTINS))


def noise(path: Path, mode: str = "RGB") -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, len(mode)), np.uint8)
    Image.fromarray(pixels.squeeze(), mode).save(path)
    return path


def test_files_and_pictures_at_hand_are_samples_in_their_order(tmp_path: Path) -> None:
    path, picture = noise(tmp_path / "a.png"), Image.new("RGB", (3, 2))
    samples = given(image=[picture, str(path), path], text=["one", "two", "three"])
    read = [samples[index].values["image"] for index in range(3)]
    assert read[0] is picture
    assert all(np.array_equal(np.asarray(one), np.asarray(Image.open(path))) for one in read[1:])
    assert [samples[index].values["text"] for index in range(3)] == ["one", "two", "three"]
    assert [samples.name(index) for index in range(3)] == ["one", str(path), str(path)]


def test_a_sound_is_its_values_and_its_rate(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.array([0, 16384, -32768], "<i2").tobytes())
    values, rate = given(audio=[str(tmp_path / "a.wav")])[0].values["audio"]  # type: ignore[misc]
    assert rate == 8000
    assert values.tolist() == [[0.0, 0.5, -1.0]]


def test_a_transparent_picture_is_on_white_as_a_dataset_has_it(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    found = given(image=[tmp_path / "clear.png"])[0].values["image"]
    assert isinstance(found, Image.Image)
    assert found.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("name", "says"), [("folder", "a folder"), ("nothing.png", "nothing is there")]
)
def test_what_is_no_file_is_refused_before_anything_is_read(
    tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=says):
        given(image=[noise(tmp_path / "a.png"), tmp_path / name])


def test_a_file_that_is_no_picture_is_told_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html>")
    samples = given(image=[tmp_path / "page.jpg"])
    with pytest.raises(DataError, match="HTML page") as raised:
        samples[0]
    assert "on_error" not in str(raised.value)


def test_a_path_of_another_modality_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not read from files"):
        given(depth=[tmp_path / "a.npy"])


def test_without_the_plugin_that_reads_files_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match='dataset "files"'):
        GivenSamples({"image": [noise(tmp_path / "a.png")]}, Registry([], []))
