from __future__ import annotations

import math
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from mmlab_datasets import sound
from mmlab_datasets.sound import read_sound

from mmlab.plugin import DataError

soundfile = pytest.importorskip("soundfile", reason="soundfile is not installed")


def tone(rate: int = 8000) -> np.ndarray:
    return np.sin(2 * math.pi * 440 * np.arange(rate // 2) / rate).astype(np.float32) * 0.5


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.flac", {"subtype": "PCM_16"}, 1e-4),
        ("a.wav", {"subtype": "FLOAT"}, 0),
        ("a.wav", {"subtype": "PCM_24"}, 1e-6),
        ("a.ogg", {"subtype": "VORBIS"}, 0.1),
        ("a.mp3", {"subtype": "MPEG_LAYER_III"}, 1),
    ],
)
def test_other_formats_are_read_through_soundfile(
    tmp_path: Path, name: str, options: dict[str, str], tolerance: float
) -> None:
    channels = np.stack([tone(), -tone()], axis=1)
    soundfile.write(tmp_path / name, channels, 8000, **options)
    values, rate = read_sound(tmp_path / name, "here")
    assert (values.dtype, rate, values.shape[0]) == (torch.float32, 8000, 2)
    expected = torch.from_numpy(channels.T)
    torch.testing.assert_close(values[:, :4000], expected, rtol=0, atol=tolerance)


def test_both_readers_give_the_same_numbers(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.array([[0, 1], [32767, -32768]], "<i2").tobytes())
    values, _ = read_sound(tmp_path / "a.wav", "here")
    others, _ = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)
    assert torch.equal(values, torch.from_numpy(others.T))


@pytest.mark.parametrize(("content", "found"), [(b"", ""), (b"OggS", ""), (b"x" * 999, "Format")])
def test_what_is_no_sound_is_an_error(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "a.ogg").write_bytes(content)
    with pytest.raises(DataError, match="the sound cannot be read") as error:
        read_sound(tmp_path / "a.ogg", "here")
    assert found in str(error.value)


def test_a_format_that_is_not_promised_is_an_error(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.aiff", tone(), 8000)
    with pytest.raises(DataError, match="its content is AIFF"):
        read_sound(tmp_path / "a.aiff", "here")


def test_a_sound_cut_short_is_an_error(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", tone(), 8000)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="the sound cannot be read"):
        read_sound(tmp_path / "a.flac", "here")


@pytest.mark.parametrize("name", ["a.ogg", "a.flac", "a.mp3"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_every_format_notices_that_it_is_cut_short(tmp_path: Path, name: str, share: float) -> None:
    soundfile.write(tmp_path / name, np.tile(tone(), 20), 8000)
    content = (tmp_path / name).read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match="the sound cannot be read"):
        read_sound(tmp_path / "cut.wav", "here")


@pytest.mark.parametrize("name", ["a.wav", "a.raw", "a.ogg", "a"])
def test_a_flac_is_read_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / "true.flac", tone(), 8000)
    (tmp_path / name).write_bytes((tmp_path / "true.flac").read_bytes())
    values, rate = read_sound(tmp_path / name, "here")
    np.testing.assert_allclose(values[0].numpy(), tone(), atol=1e-4)
    assert rate == 8000


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize(
    "codec", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"]
)
def test_wav_is_read_bit_by_bit_as_by_libsndfile(tmp_path: Path, kind: str, codec: str) -> None:
    drawn = np.random.default_rng(0).uniform(-0.99, 0.99, (999, 3))
    soundfile.write(tmp_path / "a.wav", drawn, 8000, format=kind, subtype=codec)
    values, _ = read_sound(tmp_path / "a.wav", "here")
    others, _ = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)
    assert torch.equal(values, torch.from_numpy(others.T))


@pytest.mark.parametrize("codec", ["ALAW", "ULAW"])
def test_all_256_codes_of_telephones_are_those_of_libsndfile(tmp_path: Path, codec: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(256), 8000, subtype=codec)
    content = (tmp_path / "a.wav").read_bytes()
    place = content.index(b"data") + 8
    (tmp_path / "a.wav").write_bytes(content[:place] + bytes(range(256)))
    values, _ = read_sound(tmp_path / "a.wav", "here")
    others, _ = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)
    assert torch.equal(values, torch.from_numpy(others.T))


def test_a_compressed_wav_is_read_through_soundfile(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), 8000, subtype="GSM610")
    values, rate = read_sound(tmp_path / "a.wav", "here")
    assert rate == 8000
    assert np.abs(values[0, :4000].numpy() - tone()).mean() < 0.05


def test_a_sound_that_is_too_long_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.flac", tone(), 8000)
    monkeypatch.setattr(sound, "SOUND_VALUES", 3999)
    with pytest.raises(DataError, match="4,000 values"):
        read_sound(tmp_path / "a.flac", "here")


def test_values_that_are_no_numbers_are_an_error(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0, np.nan], np.float32), 8000, subtype="FLOAT")
    with pytest.raises(DataError, match="no numbers"):
        read_sound(tmp_path / "a.wav", "here")


def test_without_soundfile_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.flac", tone(), 8000)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(DataError, match=r"pip install 'mmlab-datasets\[audio\]'"):
        read_sound(tmp_path / "a.flac", "here")
