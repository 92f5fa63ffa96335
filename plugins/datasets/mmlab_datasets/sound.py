"""Sounds from unchecked files: what cannot be used is an error, never a guess."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmlab.plugin import DataError, explain
from mmlab_datasets.content import describe, name_format, read_content
from mmlab_datasets.wav import Values, parse_wav

if TYPE_CHECKING:
    from torch import Tensor

SOUND_FORMATS = ("WAV", "FLAC", "OGG", "MP3")
SOUND_VALUES = 100_000_000
SOUND_BYTES = 1_000_000_000
SOUND_RATE = 1_000_000
EMPTY = "empty the cell"
#: A sound in one of these, or in something that has no beginning of its own, as MP3.
_KINDS = ("WAV", "FLAC", "Ogg", "MP3", None)


def read_sound(file: Path, place: str, mend: str = EMPTY) -> tuple[Tensor, int]:
    """A sound as a float32 tensor (channels, time), mostly in [-1, 1), and its rate in Hz.

    WAV of PCM, float, A-law or mu-law is read by NumPy alone, anything else by the package
    soundfile: compressed WAV, FLAC, Ogg and MP3. Its content says what a file is, not its name.
    Raises DataError for any other content, no or more than 100 million values, a rate that is none,
    a file cut short, or where soundfile is needed and missing; `mend` is what then can be done,
    beside a conversion.
    """
    return _read(lambda: read_content(file, SOUND_BYTES), f"{file}: ", place, mend)


def decode_sound(content: bytes, place: str, mend: str) -> tuple[Tensor, int]:
    """The sound in these bytes, as `read_sound` gives that of a file; `mend` as of pictures."""
    return _read(lambda: content, "", place, mend)


def _read(content: Callable[[], bytes], name: str, place: str, mend: str) -> tuple[Tensor, int]:
    import torch  # here, because pictures and text alone need no torch

    try:
        values, rate = _decode(content())
    except ImportError as error:
        raise DataError(_no_library(name, place)) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(_unreadable(name, place, error, mend)) from error
    return torch.from_numpy(np.ascontiguousarray(values)), rate


def _decode(content: bytes) -> tuple[Values, int]:
    """The values in these bytes and their rate. libsndfile's errors are RuntimeErrors."""
    kind = name_format(content)
    if kind not in _KINDS or not content:
        raise ValueError(describe(content))
    if kind == "Ogg":
        _check_ogg(content)
    values, rate = (_read_wav if kind == "WAV" else _read_any)(content)
    if not np.isfinite(values).all():
        raise ValueError("values that are no numbers")
    return values, rate


def _read_wav(content: bytes) -> tuple[Values, int]:
    sound = parse_wav(content)
    if not sound.is_plain:
        return _read_any(content)
    _check(sound.frames, sound.format.channels, sound.format.rate)
    return sound.values(), sound.format.rate


def _read_any(content: bytes) -> tuple[Values, int]:
    """Through libsndfile, which is asked for no file: it would believe in the name's ending."""
    import soundfile

    with soundfile.SoundFile(io.BytesIO(content)) as sound:
        if sound.format not in (*SOUND_FORMATS, "WAVEX", "RF64"):
            raise ValueError(f"its content is {sound.format}")
        _check(sound.frames, sound.channels, sound.samplerate)
        # Any: soundfile has no types.
        values: Any = sound.read(sound.frames, dtype="float32", always_2d=True)
        if len(values) < sound.frames:
            raise ValueError(
                f"the file is cut short: {len(values):,} of {sound.frames:,} values a channel"
            )
        return values.T, int(sound.samplerate)


def _check(frames: int, channels: int, rate: int) -> None:
    if not 1 <= rate <= SOUND_RATE:
        raise ValueError(f"a rate of {rate:,} Hz")
    if not 1 <= frames * channels <= SOUND_VALUES:
        raise ValueError(f"{frames * channels:,} values")


def _check_ogg(content: bytes) -> None:
    """The last page of an Ogg file says that it is the last, and is as long as its table says."""
    place = content.rfind(b"OggS")
    page = content[place:]
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    is_last = len(page) > 26 and page[5] & 4
    if not is_last or len(page) < 27 + page[26] + sum(segments):
        raise ValueError("the file is cut short: the mark of an Ogg's end is missing")


def _unreadable(name: str, place: str, error: Exception, mend: str) -> str:
    return explain(
        place,
        "the sound cannot be read",
        found=f"{name}{getattr(error, 'error_string', error)}",  # libsndfile's own words
        allowed=f"WAV, or {', '.join(SOUND_FORMATS[1:])} through soundfile; "
        f"1 to {SOUND_VALUES:,} values, 1 to {SOUND_RATE:,} of them a second",
        next_step=f"convert it: ffmpeg -i FILE -c:a pcm_s16le OUT.wav; or {mend}",
    )


def _no_library(name: str, place: str) -> str:
    return explain(
        place,
        "sounds other than WAV without compression need the package soundfile",
        found=f"{name}soundfile is not installed",
        allowed=f"WAV of PCM, float, A-law or mu-law; {', '.join(SOUND_FORMATS)} through soundfile",
        next_step="pip install 'mmlab-datasets[audio]', or convert the file",
    )
