from typing import Any

import pytest
import torch
from mmlab_encoders.images import normalise
from mmlab_encoders.video import Video, chosen
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from mmlab.model.components import BuildContext
from mmlab.plugin import DataError
from mmlab.testing import check_encoder

SMALL: dict[str, Any] = {"image_size": 16, "width": 16, "frames": 3}


def video(length: int, height: int = 20, width: int = 24, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (length, 3, height, width), generator=generator).byte()


@pytest.mark.parametrize(
    "options",
    [{}, {"pool": "attention", "crop": 0.5, "flip": True}, {"trunk": "vit", "frames": 1}],
)
def test_video_keeps_the_contract(options: dict[str, Any]) -> None:
    raws = [video(length, seed=length) for length in (1, 3, 10)]
    check_encoder(Video, raws, modality="video", **SMALL | options)


def test_evaluation_takes_the_middle_of_every_part() -> None:
    assert chosen(10, 2, False).tolist() == [2, 7]
    assert chosen(3, 6, False).tolist() == [0, 0, 1, 1, 2, 2]
    assert chosen(1, 3, False).tolist() == [0, 0, 0]


def test_training_takes_any_frame_of_every_part() -> None:
    torch.manual_seed(0)
    drawn = torch.stack([chosen(10, 2, True) for _ in range(200)])
    assert set(drawn[:, 0].tolist()) == {0, 1, 2, 3, 4}
    assert set(drawn[:, 1].tolist()) == {5, 6, 7, 8, 9}


def test_a_list_of_pictures_is_a_video(context: BuildContext) -> None:
    encoder = Video(context, **SMALL)
    frames = video(5)
    pictures = [to_pil_image(frame) for frame in frames]
    assert torch.equal(encoder.transform(pictures, False), encoder.transform(frames, False))


def test_the_mean_is_that_of_the_image_encoder_over_frames(context: BuildContext) -> None:
    torch.manual_seed(0)
    encoder = Video(context, **SMALL).eval()
    x = encoder.transform(video(3), False).unsqueeze(0)
    alone = torch.stack([encoder.trunk(frame.unsqueeze(0)).pooled[0] for frame in x[0]])
    features = encoder(x)
    torch.testing.assert_close(features.pooled[0], alone.mean(0))
    torch.testing.assert_close(features.tokens[0], alone)


def test_attention_weighs_frames_by_a_softmax(context: BuildContext) -> None:
    torch.manual_seed(0)
    encoder = Video(context, pool="attention", **SMALL).eval()
    x = encoder.transform(video(3), False).unsqueeze(0)
    features = encoder(x)
    scores = [(encoder.attention.weight[0] @ token).item() for token in features.tokens[0]]
    shares = torch.tensor(scores).softmax(0)
    expected = sum(share * token for share, token in zip(shares, features.tokens[0], strict=True))
    torch.testing.assert_close(features.pooled[0], expected)


def test_all_frames_are_cut_alike(context: BuildContext) -> None:
    torch.manual_seed(0)
    encoder = Video(context, crop=0.3, flip=True, **SMALL)
    still = video(1).expand(5, -1, -1, -1)
    first, *others = encoder.transform(still, True)
    assert all(torch.equal(first, other) for other in others)
    assert not torch.equal(first, encoder.transform(still, True)[0])


def test_frames_are_normalised_as_pictures_are(context: BuildContext) -> None:
    x = Video(context, **SMALL).transform(video(4), False)
    assert x.dtype == torch.uint8
    assert normalise(x).abs().max() <= 1


@pytest.mark.parametrize(
    "raw",
    [
        "text",
        [],
        torch.zeros(2, 3, 4, 4),
        torch.zeros(0, 3, 4, 4, dtype=torch.uint8),
        torch.zeros(2, 1, 4, 4, dtype=torch.uint8),
        [Image.new("RGB", (2, 2)), Image.new("RGB", (3, 2))],
        [Image.new("L", (2, 2))],
        [Image.new("YCbCr", (2, 2))],
    ],
)
def test_a_value_that_is_no_video_is_refused(raw: object, context: BuildContext) -> None:
    with pytest.raises(DataError, match="no video"):
        Video(context, **SMALL).transform(raw, False)
