"""From a raw sound to samples of one length on the host, and to log-mel on the device."""

from __future__ import annotations

import math
from typing import Annotated, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from mmlab.plugin import Context, DataError, Features, Size, SpecError, explain
from mmlab_encoders.blocks import masked_mean

Rate = Annotated[int, Field(ge=1000, le=192_000, description="samples per second to resample to")]
Seconds = Annotated[
    float, Field(gt=0, le=600, description="length: longer sounds are cut, shorter ones padded")
]
AnyPart = Annotated[
    bool, Field(description="training takes any part of a longer sound, not its middle")
]
Mels = Annotated[Size, Field(ge=4, description="mel bands of a frame")]
Window = Annotated[float, Field(gt=0, le=1, description="seconds that a frame covers")]
Hop = Annotated[float, Field(gt=0, le=1, description="seconds from one frame to the next")]

#: Added before the logarithm, so that silence has one: 100 dB below a tone of full scale.
FLOOR = 1e-6


class SoundTransform:
    """Sound -> float32 (samples + 1,): mono at one rate, one length, and last its true length.

    Channels are averaged; another rate is resampled by scipy's polyphase filter, which leaves no
    aliases. Of a longer sound the middle is kept at evaluation, and in training any part, if
    `any_part` says so.
    """

    def __init__(self, rate: int, seconds: float, *, any_part: bool = True) -> None:
        self.any_part = any_part
        self.rate = rate
        self.seconds = seconds
        self.samples = max(1, round(rate * seconds))

    def __call__(self, raw: object, train: bool) -> Tensor:
        """One sound, cut or padded with zeros at its end."""
        wave, rate = _sound(raw)
        mono = resample(wave.float().mean(0), rate, self.rate)  # (time,)
        spare = len(mono) - self.samples
        start = max(0, spare) // 2
        if train and self.any_part and spare > 0:
            start = int(torch.randint(spare + 1, ()))
        kept = mono[start : start + self.samples]
        result = kept.new_zeros(self.samples + 1)
        result[: len(kept)] = kept
        result[-1] = len(kept)
        return result

    @property
    def description(self) -> str:
        """What happens to a sound at evaluation."""
        return f"mono, {self.rate} Hz, middle {self.seconds:g} s or padded"


def resample(x: Tensor, rate: int, wanted: int) -> Tensor:
    """(time,) at one rate -> (time',) at another; the same tensor where they are equal."""
    if rate == wanted:
        return x
    from scipy.signal import resample_poly  # seconds to import, and often not needed

    common = math.gcd(rate, wanted)
    changed = resample_poly(x.numpy(), wanted // common, rate // common)
    return torch.from_numpy(np.asarray(changed, dtype=np.float32))


class LogMel(nn.Module):
    """What `SoundTransform` gives (B, samples + 1) -> (B, frames, mels), mask (B, frames).

    The power spectrum of Hann windows, centred `hop` seconds apart, in triangular bands that are
    equally wide on the mel scale 2595 log10(1 + f / 700) from 0 to half the rate; then the natural
    logarithm, and the whole clip to mean 0 and deviation 1, so that loudness does not matter. The
    mask is True at frames centred on sound; the other frames are 0 and count in neither.
    """

    window: Tensor
    bands: Tensor

    def __init__(self, rate: int, seconds: float, hop_seconds: float, mels: int) -> None:
        super().__init__()
        length, self.hop = max(2, round(rate * seconds)), max(1, round(rate * hop_seconds))
        self.mels = mels
        self.bins = 1 << (length - 1).bit_length()
        self.register_buffer("window", torch.hann_window(length), persistent=False)
        self.register_buffer("bands", mel_bands(rate, self.bins, mels), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Frames and their mask, in the precision of the module whatever autocast says."""
        with torch.autocast(x.device.type, enabled=False):
            waves, lengths = x[:, :-1].to(self.window.dtype), x[:, -1]
            spectrum = torch.stft(
                waves,
                self.bins,
                self.hop,
                win_length=len(self.window),
                window=self.window,
                pad_mode="constant",
                return_complex=True,
            )  # (B, bins / 2 + 1, frames)
            power = spectrum.real.square() + spectrum.imag.square()
            logs = torch.log(power.transpose(1, 2) @ self.bands + FLOOR)  # (B, frames, mels)
        starts = torch.arange(logs.shape[1], device=x.device) * self.hop
        mask = starts < lengths.clamp(min=1).unsqueeze(1)
        return _standardised(logs, mask), mask


class SoundEncoder(nn.Module):
    """What encoders of sounds share: cutting on the host, log-mel frames, tokens to features."""

    def __init__(
        self,
        context: Context,
        dim: int,
        transform: SoundTransform,
        log_mel: LogMel,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.token_dim = dim if "tokens" in context.reads else None
        self.transform = transform
        self.log_mel = log_mel

    @property
    def augments(self) -> bool:
        """Whether training takes any part of a sound that is too long."""
        return self.transform.any_part

    @property
    def preprocessing(self) -> str:
        """What happens to a sound at evaluation."""
        return f"{self.transform.description}, {self.log_mel.mels} mel bands"

    def features(self, tokens: Tensor, mask: Tensor) -> Features:
        """Tokens (B, time, dim), with those that hold sound (B, time), and their mean."""
        pooled = masked_mean(tokens, mask)
        return Features.of(pooled, tokens, mask) if self.token_dim else Features.of(pooled)


def mel_bands(rate: int, bins: int, mels: int) -> Tensor:
    """Triangles of height 1 on the mel scale: (bins / 2 + 1, mels).

    Raises SpecError where bands are so narrow that one of them holds no frequency.
    """
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, mels + 2, dtype=torch.float64) / 2595) - 1)
    frequencies = torch.linspace(0, rate / 2, bins // 2 + 1, dtype=torch.float64).unsqueeze(1)
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    bands = torch.minimum(rising, falling).clamp(min=0)
    if bool((bands.sum(0) == 0).any()):
        raise _too_narrow(mels, bins)
    return bands.float()


def _standardised(logs: Tensor, mask: Tensor) -> Tensor:
    inside = mask.unsqueeze(-1).to(logs.dtype)  # (B, frames, 1)
    count = inside.sum((1, 2), keepdim=True) * logs.shape[2]
    mean = (logs * inside).sum((1, 2), keepdim=True) / count
    centred = (logs - mean) * inside
    spread = (centred.square().sum((1, 2), keepdim=True) / count).sqrt()
    return centred / (spread + 1e-5)


def _sound(raw: object) -> tuple[Tensor, int]:
    is_pair = isinstance(raw, tuple) and len(raw) == 2 and isinstance(raw[0], Tensor)
    if is_pair:
        wave, rate = cast(tuple[Tensor, int], raw)
        if wave.ndim == 2 and wave.shape[0] > 0 and rate > 0:
            return wave, int(rate)
    raise DataError(
        explain(
            "audio encoder",
            "a raw value is no sound",
            found=_describe_pair(*cast(tuple[Tensor, int], raw)) if is_pair else type(raw).__name__,
            allowed="a pair: a float32 tensor (channels, time), and its rate in Hz",
            next_step="let this encoder read a modality of sounds (encoders.KEY.modality)",
        )
    )


def _describe_pair(wave: Tensor, rate: object) -> str:
    return f"a tensor {tuple(wave.shape)} and the rate {rate!r}"


def _too_narrow(mels: int, bins: int) -> SpecError:
    return SpecError(
        explain(
            "mels",
            "a band lies between two frequencies of the spectrum and would always be empty",
            found=f"{mels} bands of {bins // 2 + 1} frequencies",
            allowed="fewer bands, or a longer window",
            next_step="lower `mels`, or raise `window`",
        )
    )
