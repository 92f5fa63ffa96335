"""Sounds from unchecked files: what cannot be used is an error, never a guess."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mmlab.plugin import DataError, explain

if TYPE_CHECKING:
    from torch import Tensor

SOUND_FORMATS = ("WAV", "FLAC", "OGG", "MP3")
SOUND_VALUES = 100_000_000
Values = npt.NDArray[np.float32]
#: A file, or the bytes of one.
Source = Path | bytes
EMPTY = "empty the cell"


def read_sound(file: Path, place: str) -> tuple[Tensor, int]:
    """A sound as a float32 tensor (channels, time), mostly in [-1, 1), and its rate in Hz.

    16-bit PCM WAV is read by Python alone, anything else by the package soundfile: other WAV, FLAC,
    Ogg and MP3. Raises DataError for any other content, more than 100 million values, a file cut
    short, or where soundfile is needed and missing.
    """
    return _read(file, place, EMPTY)


def decode_sound(content: bytes, place: str, mend: str) -> tuple[Tensor, int]:
    """The sound in these bytes, as `read_sound` gives that of a file; `mend` as of pictures."""
    return _read(content, place, mend)


def _read(file: Source, place: str, mend: str) -> tuple[Tensor, int]:
    import torch  # here, because pictures and text alone need no torch

    try:
        values, rate = _read_wave(file) if _is_plain_wave(file) else _read_any(file)
    except ImportError as error:
        raise DataError(_no_library(file, place)) from error
    except (OSError, EOFError, RuntimeError, ValueError, wave.Error) as error:
        raise DataError(_unreadable(file, place, error, mend)) from error
    return torch.from_numpy(np.ascontiguousarray(values)), rate


def _open(file: Source) -> Any:  # Any: a name or a file, as wave and soundfile take either
    return io.BytesIO(file) if isinstance(file, bytes) else str(file)


def _name(file: Source) -> str:
    return "" if isinstance(file, bytes) else f"{file}: "


def _is_plain_wave(file: Source) -> bool:
    """Whether this is a WAV file of whole numbers of 16 bits. Raises OSError."""
    try:
        with wave.open(_open(file), "rb") as sound:
            return sound.getsampwidth() == 2
    except (EOFError, wave.Error):
        return False


def _read_wave(file: Source) -> tuple[Values, int]:
    with wave.open(_open(file), "rb") as sound:
        shape = (sound.getnframes(), sound.getnchannels())
        _check_size(*shape)
        frames = sound.readframes(shape[0])
        rate = sound.getframerate()
    values = np.frombuffer(frames, "<i2").reshape(shape).T.astype(np.float32)
    return values / np.float32(32768), rate


def _read_any(file: Source) -> tuple[Values, int]:
    """Through libsndfile. Its errors are RuntimeErrors."""
    import soundfile

    with soundfile.SoundFile(_open(file)) as sound:
        if sound.format not in SOUND_FORMATS:
            raise ValueError(f"{sound.format} format")
        _check_size(sound.frames, sound.channels)
        values: Any = sound.read(dtype="float32", always_2d=True)  # Any: soundfile has no types
        if len(values) < sound.frames:
            raise ValueError(f"{len(values):,} of {sound.frames:,} frames")
        if not np.isfinite(values).all():
            raise ValueError("values that are no numbers")
        return values.T, int(sound.samplerate)


def _check_size(frames: int, channels: int) -> None:
    if not 1 <= frames * channels <= SOUND_VALUES:
        raise ValueError(f"{frames * channels:,} values")


def _unreadable(file: Source, place: str, error: Exception, mend: str) -> str:
    return explain(
        place,
        "the sound cannot be read",
        found=f"{_name(file)}{error or 'the file ends early'}",
        allowed=f"16-bit PCM WAV, or {', '.join(SOUND_FORMATS)} through soundfile; "
        f"1 to {SOUND_VALUES:,} values",
        next_step=f"convert it: ffmpeg -i FILE -c:a pcm_s16le OUT.wav; or {mend}",
    )


def _no_library(file: Source, place: str) -> str:
    return explain(
        place,
        "the sound is no 16-bit PCM WAV, and other files need the package soundfile",
        found=f"{_name(file)}soundfile is not installed",
        allowed=f"16-bit PCM WAV; {', '.join(SOUND_FORMATS)} through soundfile",
        next_step="pip install 'mmlab-datasets[audio]', or convert the file",
    )
