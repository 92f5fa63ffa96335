"""WAV files as recorders write them: known values, without the package soundfile."""

from __future__ import annotations

import struct
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmlab_datasets.sound import decode_sound, read_sound

from mmlab.plugin import DataError

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
GUID_END = bytes.fromhex("0000 1000 8000 00aa00389b71")


@pytest.fixture(autouse=True)
def _without_soundfile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)


def fmt(codec: int, bits: int, *, channels: int = 1, rate: int = 16000, order: str = "<") -> bytes:
    block = channels * -(-bits // 8)
    return struct.pack(f"{order}HHIIHH", codec, channels, rate, rate * block, block, bits)


def extensible(codec: int, bits: int, valid: int | None = None, channels: int = 1) -> bytes:
    tail = struct.pack("<HHI", 22, valid or bits, 4) + struct.pack("<HH", codec, 0)
    return fmt(EXTENSIBLE, bits, channels=channels) + tail + GUID_END


def chunk(name: bytes, data: bytes, order: str = "<", pad: bool = True) -> bytes:
    padding = b"\0" if pad and len(data) % 2 else b""
    return name + struct.pack(f"{order}I", len(data)) + data + padding


def riff(*chunks: bytes, magic: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack(">I" if magic == b"RIFX" else "<I", len(body)) + body


def wav(form: bytes, data: bytes) -> bytes:
    return riff(chunk(b"fmt ", form), chunk(b"data", data))


def read(tmp_path: Path, content: bytes) -> Any:
    """The values of one channel after the other, and the rate."""
    (tmp_path / "a.wav").write_bytes(content)
    values, rate = read_sound(tmp_path / "a.wav", "here")
    assert values.dtype == torch.float32
    return values.tolist(), rate


def refusal(tmp_path: Path, content: bytes) -> str:
    with pytest.raises(DataError, match="here: the sound cannot be read") as error:
        read(tmp_path, content)
    found = str(error.value).splitlines()[1]
    assert "a.wav: " in found
    return found.partition("a.wav: ")[2]


#: Codec, bits, bytes, values.
CODECS = {
    "8 bits, without a sign": (PCM, 8, bytes([0, 128, 129, 255]), [-1, 0, 1 / 128, 127 / 128]),
    "16 bits": (PCM, 16, struct.pack("<3h", -32768, 1, 16384), [-1, 2**-15, 0.5]),
    "24 bits": (PCM, 24, b"\0\0\x80\1\0\0\0\0\x40\xff\xff\xff", None),
    "32 bits": (PCM, 32, struct.pack("<3i", -(2**31), 1, 2**30), [-1, 2**-31, 0.5]),
    "float": (FLOAT, 32, struct.pack("<3f", -1.5, 0.25, 0), [-1.5, 0.25, 0]),
    "double": (FLOAT, 64, struct.pack("<2d", -1.5, 0.25), [-1.5, 0.25]),
    "mu-law": (MU_LAW, 8, b"\xff\x7f\x00\x80", [0, 0, -32124 / 32768, 32124 / 32768]),
    "A-law": (A_LAW, 8, b"\xd5\x55\x2a\xaa", [2**-12, -(2**-12), -32256 / 32768, 32256 / 32768]),
}
CODECS["24 bits"] = (*CODECS["24 bits"][:3], [-1, 2**-23, 0.5, -(2**-23)])


@pytest.mark.parametrize("codec", CODECS)
def test_every_uncompressed_wav_gives_its_values(tmp_path: Path, codec: str) -> None:
    number, bits, data, values = CODECS[codec]
    assert read(tmp_path, wav(fmt(number, bits), data)) == ([values], 16000)
    assert read(tmp_path, wav(extensible(number, bits), data)) == ([values], 16000)


@pytest.mark.parametrize("codec", CODECS)
def test_big_endian_files_are_read(tmp_path: Path, codec: str) -> None:
    number, bits, data, values = CODECS[codec]
    width = bits // 8
    swapped = np.frombuffer(data, np.uint8).reshape(-1, width)[:, ::-1].tobytes()
    form = chunk(b"fmt ", fmt(number, bits, order=">"), ">")
    content = riff(form, chunk(b"data", swapped, ">"), magic=b"RIFX")
    assert read(tmp_path, content) == ([values], 16000)


def test_plain_wav_is_as_python_reads_it(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).integers(-32768, 32768, (1000, 6), np.int16)
    with wave.open(str(tmp_path / "six.wav"), "wb") as file:
        file.setparams((6, 2, 44100, 0, "NONE", ""))
        file.writeframes(drawn.astype("<i2").tobytes())
    values, rate = read_sound(tmp_path / "six.wav", "here")
    assert (tuple(values.shape), rate) == ((6, 1000), 44100)
    np.testing.assert_array_equal(values.numpy(), drawn.T / np.float32(32768))


def test_20_of_24_bits_are_the_upper_ones(tmp_path: Path) -> None:
    content = wav(extensible(PCM, 24, valid=20), b"\x10\0\0")
    assert read(tmp_path, content) == ([[2**-19]], 16000)


@pytest.mark.parametrize("pad", [True, False])
def test_other_chunks_and_odd_sizes_are_passed_over(tmp_path: Path, pad: bool) -> None:
    before = [chunk(b"bext", b"odd size!", pad=pad), chunk(b"LIST", b"INFO")]
    after = chunk(b"id3 ", b"x" * 5)
    form, data = chunk(b"fmt ", fmt(PCM, 8)), chunk(b"data", bytes([0, 64, 192]), pad=pad)
    content = riff(*before, form, data, after)
    assert read(tmp_path, content) == ([[-1, -0.5, 0.5]], 16000)


def test_rf64_says_its_length_elsewhere(tmp_path: Path) -> None:
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, 2, 1, 0))
    data = b"data" + b"\xff" * 4 + struct.pack("<h", 16384) + b"what follows"
    for magic in (b"RF64", b"BW64"):
        content = riff(sizes, chunk(b"fmt ", fmt(PCM, 16)), data, magic=magic)
        assert read(tmp_path, content) == ([[0.5]], 16000)


def test_what_was_written_to_a_pipe_goes_to_the_files_end(tmp_path: Path) -> None:
    data = b"data" + b"\xff" * 4 + struct.pack("<2h", 16384, -16384)
    assert read(tmp_path, riff(chunk(b"fmt ", fmt(PCM, 16)), data)) == ([[0.5, -0.5]], 16000)


CUT = wav(fmt(PCM, 16), b"\0" * 20)[:-8]
REFUSED = {
    "a rate of 0 Hz": wav(fmt(PCM, 16, rate=0), b"\0\0"),
    "a rate of 2,000,000,000 Hz": wav(fmt(PCM, 16, rate=2 * 10**9), b"\0\0"),
    "0 values": wav(fmt(PCM, 16), b""),
    "the file is cut short: 12 of 20 bytes of sound": CUT,
    "the file is cut short: there is no chunk of data": riff(chunk(b"fmt ", fmt(PCM, 16))),
    "its format (the chunk fmt) does not come before its data": riff(chunk(b"data", b"\0\0")),
    "its format (the chunk fmt) has 4 bytes, not 16 or more": riff(chunk(b"fmt ", b"\0" * 4)),
    "WAVE_FORMAT_EXTENSIBLE in 16 bytes, not 40": wav(fmt(EXTENSIBLE, 16), b"\0\0"),
    "values that are no numbers": wav(fmt(FLOAT, 32), struct.pack("<f", float("nan"))),
    "its header contradicts itself: frames of 4 bytes for 1 channels of 24 bits": wav(
        struct.pack("<HHIIHH", PCM, 1, 8000, 32000, 4, 24), b"\0" * 4
    ),
    "a format of its own, the GUID 010000002107d311": wav(
        extensible(PCM, 16)[:28] + bytes.fromhex("2107d3118644c8c1ca000000"), b"\0\0"
    ),
    "an empty file": b"",
    "its content is AIFF": b"FORM\0\0\0\x04AIFF",
    "its content is M4A": b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42",
    "its content is NIST SPHERE": b"NIST_1A\n   1024\n",
    "its content is an HTML page": b"<html>404</html>",
    "its content is a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\n",
}


@pytest.mark.parametrize("found", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_file_and_the_true_reason(
    tmp_path: Path, found: str
) -> None:
    assert refusal(tmp_path, REFUSED[found]).startswith(found)


def test_bytes_are_read_as_files_are() -> None:
    values, rate = decode_sound(wav(fmt(PCM, 16), struct.pack("<h", 16384)), "here", "leave it out")
    assert (values.tolist(), rate) == ([[0.5]], 16000)
    with pytest.raises(DataError, match=r"found: the file is cut short(.|\n)*or leave it out"):
        decode_sound(CUT, "here", "leave it out")


def test_a_compressed_wav_names_the_package_that_reads_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pip install 'mmlab-datasets\[audio\]'"):
        read(tmp_path, wav(fmt(2, 4), b"\0" * 99))
