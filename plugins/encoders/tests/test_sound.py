import math
from typing import Any

import pytest
import torch
from mmlab_encoders.audio_convnet import AudioConvNet
from mmlab_encoders.audio_transformer import AudioTransformer, FrameEmbedding
from mmlab_encoders.sound import FLOOR, LogMel, SoundTransform, mel_bands, resample
from torch import Tensor

from mmlab.model.components import BuildContext
from mmlab.plugin import DataError, SpecError
from mmlab.testing import check_encoder

SMALL: dict[str, Any] = {"rate": 4000, "seconds": 0.5, "mels": 16, "width": 16}


def tone(frequency: float, rate: int, seconds: float) -> Tensor:
    times = torch.arange(int(rate * seconds), dtype=torch.float64) / rate
    return torch.sin(2 * math.pi * frequency * times).float()


@pytest.mark.parametrize(
    "options", [{}, {"levels": 1, "depth": 2, "hop": 0.02}, {"rate": 16_000, "seconds": 0.2}]
)
def test_audio_convnet_keeps_the_contract(options: dict[str, Any]) -> None:
    check_encoder(AudioConvNet, modality="audio", **SMALL | options)


@pytest.mark.parametrize("options", [{}, {"patch": 3, "depth": 1}, {"any_part": False}])
def test_audio_transformer_keeps_the_contract(options: dict[str, Any]) -> None:
    check_encoder(AudioTransformer, modality="audio", **SMALL | options)


def test_a_short_sound_is_padded_and_tells_its_length() -> None:
    read = SoundTransform(rate=10, seconds=1)
    assert read((torch.ones(1, 4), 10), False).tolist() == [1] * 4 + [0] * 6 + [4]


def test_the_middle_of_a_long_sound_is_kept_at_evaluation() -> None:
    read = SoundTransform(rate=10, seconds=0.4)
    assert read((torch.arange(8.0).unsqueeze(0), 10), False).tolist() == [2, 3, 4, 5, 4]


def test_training_keeps_any_part_of_a_long_sound() -> None:
    read = SoundTransform(rate=10, seconds=0.4)
    torch.manual_seed(0)
    sound = (torch.arange(8.0).unsqueeze(0), 10)
    starts = {int(read(sound, True)[0]) for _ in range(100)}
    assert starts == {0, 1, 2, 3, 4}


def test_training_may_keep_the_middle_too() -> None:
    """As evaluation does, so that a frozen encoder's features can be kept."""
    read = SoundTransform(rate=10, seconds=0.4, any_part=False)
    sound = (torch.arange(8.0).unsqueeze(0), 10)
    assert torch.equal(read(sound, True), read(sound, False))


def test_channels_are_averaged() -> None:
    read = SoundTransform(rate=10, seconds=0.2)
    assert read((torch.tensor([[1.0, 3], [3, 5]]), 10), False).tolist() == [2, 4, 2]


@pytest.mark.parametrize(("rate", "wanted"), [(8000, 4000), (4000, 8000), (44_100, 16_000)])
def test_resampling_keeps_a_tone(rate: int, wanted: int) -> None:
    changed = resample(tone(300, rate, 0.5), rate, wanted)
    expected = tone(300, wanted, 0.5)
    middle = slice(200, len(expected) - 200)
    torch.testing.assert_close(changed[middle], expected[middle], rtol=0, atol=0.01)


def test_resampling_leaves_no_alias() -> None:
    assert resample(tone(3000, 8000, 0.5), 8000, 4000)[200:-200].abs().max() < 0.02


def test_log_mel_is_that_of_a_slow_loop() -> None:
    torch.manual_seed(0)
    rate, samples, length = 1000, 90, 60
    wave = torch.randn(samples, dtype=torch.float64)
    wave[length:] = 0
    log_mel = LogMel(rate, seconds=0.032, hop_seconds=0.01, mels=5).double()
    x = torch.cat([wave, torch.tensor([float(length)], dtype=torch.float64)])
    frames, mask = log_mel(x.unsqueeze(0))
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * n / 32) for n in range(32)]
    bands = mel_bands(rate, 32, 5).double().tolist()
    expected = []
    for start in range(0, samples + 1, 10):
        cut = [
            hann[n] * float(wave[start + n - 16]) if 0 <= start + n - 16 < samples else 0.0
            for n in range(32)
        ]
        power = [
            sum(a * math.cos(2 * math.pi * k * n / 32) for n, a in enumerate(cut)) ** 2
            + sum(a * math.sin(2 * math.pi * k * n / 32) for n, a in enumerate(cut)) ** 2
            for k in range(17)
        ]
        sums = [
            sum(p * row[band] for p, row in zip(power, bands, strict=True)) for band in range(5)
        ]
        expected.append([math.log(total + FLOOR) for total in sums])
    inside = torch.tensor(expected[:6], dtype=torch.float64)
    inside = (inside - inside.mean()) / (inside.std(correction=0) + 1e-5)
    assert mask[0].tolist() == [True] * 6 + [False] * 4
    torch.testing.assert_close(frames[0, :6], inside, rtol=1e-5, atol=1e-5)
    assert not frames[0, 6:].any()


def test_a_tone_is_loudest_in_the_band_around_it() -> None:
    bands = mel_bands(8000, 256, 20)
    log_mel = LogMel(8000, 0.032, 0.01, 20)
    x = torch.cat([tone(1000, 8000, 0.5), torch.tensor([4000.0])])
    frames, _ = log_mel(x.unsqueeze(0))
    assert frames[0, 5:-5].mean(0).argmax() == bands[int(1000 / 8000 * 256)].argmax()


def test_loudness_does_not_matter() -> None:
    torch.manual_seed(0)
    log_mel = LogMel(8000, 0.032, 0.01, 20)
    x = torch.cat([torch.randn(4000), torch.tensor([4000.0])])
    quiet = torch.cat([x[:-1] / 50, x[-1:]])
    loud, soft = log_mel(torch.stack([x, quiet]))[0]
    torch.testing.assert_close(loud, soft, rtol=0, atol=1e-2)


def test_padding_changes_nothing_but_frames_near_the_end() -> None:
    torch.manual_seed(0)
    log_mel = LogMel(1000, 0.032, 0.01, 5)
    wave = torch.randn(100)
    short = torch.cat([wave, torch.tensor([100.0])])
    long = torch.cat([wave, torch.zeros(50), torch.tensor([100.0])])
    (few,), _ = log_mel(short.unsqueeze(0))
    (many,), mask = log_mel(long.unsqueeze(0))
    assert int(mask.sum()) == 10
    torch.testing.assert_close(few[:10], many[:10])


def test_more_bands_than_frequencies_are_refused() -> None:
    with pytest.raises(SpecError, match="40 bands of 17 frequencies"):
        mel_bands(1000, 32, 40)


def test_frames_are_grouped_in_order() -> None:
    torch.manual_seed(0)
    embedding = FrameEmbedding(frames=5, mels=2, patch=2, width=3).double()
    x = torch.randn(1, 5, 2, dtype=torch.float64)
    weight, bias = embedding.read.weight, embedding.read.bias
    ends = torch.cat([x[0, 4], torch.zeros(2, dtype=torch.float64)])
    groups = [x[0, 0:2].flatten(), x[0, 2:4].flatten(), ends]
    expected = torch.stack([weight @ group + bias for group in groups]) + embedding.position
    torch.testing.assert_close(embedding(x)[0], expected)


def test_the_transformer_does_not_see_how_much_is_padded(context: BuildContext) -> None:
    torch.manual_seed(0)
    encoder = AudioTransformer(context, **SMALL).eval()
    wave = torch.randn(1, 1000)
    x = encoder.transform((wave, 4000), False).unsqueeze(0)
    features = encoder(x)
    changed = encoder.embedding.position.detach().clone()
    changed[features.mask[0].sum() :] = 9
    with torch.no_grad():
        encoder.embedding.position.copy_(changed)
    torch.testing.assert_close(encoder(x).pooled, features.pooled)


@pytest.mark.parametrize("raw", ["text", torch.ones(1, 5), (torch.ones(5), 8000)])
def test_a_value_that_is_no_sound_is_refused(raw: object) -> None:
    with pytest.raises(DataError, match="no sound"):
        SoundTransform(8000, 1)(raw, False)


def test_a_rate_that_is_none_is_named() -> None:
    with pytest.raises(DataError, match=r"found: a tensor \(1, 5\) and the rate 0"):
        SoundTransform(8000, 1)((torch.ones(1, 5), 0), False)
