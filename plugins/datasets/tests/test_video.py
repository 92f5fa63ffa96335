from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmlab_datasets import video
from mmlab_datasets.manifest import Manifest
from mmlab_datasets.video import read_video, spaced

from mmlab.plugin import DataError

av = pytest.importorskip("av", reason="PyAV is not installed")


def write_video(path: Path, length: int, codec: str = "mpeg4") -> None:
    """Frames that become brighter, 32 x 24."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for number in range(length):
            picture = np.full((24, 32, 3), 8 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def test_frames_are_evenly_spaced_over_the_video(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 30)
    frames = read_video(tmp_path / "a.mp4", "here", 5)
    assert (frames.dtype, tuple(frames.shape)) == (torch.uint8, (5, 3, 24, 32))
    brightness = frames.double().mean((1, 2, 3))
    expected = torch.tensor([0, 48, 96, 144, 192.0], dtype=torch.float64)
    torch.testing.assert_close(brightness, expected, rtol=0, atol=12)


def test_a_short_video_gives_the_frames_it_has(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", 3)
    assert len(read_video(tmp_path / "a.avi", "here", 16)) == 3


@pytest.mark.parametrize("total", [1, 4, 5, 9, 10, 11, 57, 400])
def test_spaced_items_are_spread_over_all_and_few_are_held(total: int) -> None:
    found = spaced(iter(range(total)), 5)
    assert found[0] == 0
    assert len(found) == min(total, 5)
    steps = np.diff(found)
    if total >= 10:
        assert found[-1] >= 0.6 * total
        assert steps.max() <= 2 * steps.min()


@pytest.mark.parametrize("content", [b"", b"no video at all" * 99])
def test_what_is_no_video_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DataError, match="the video cannot be read"):
        read_video(tmp_path / "a.mp4", "here", 5)


def test_a_video_cut_short_is_an_error(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 30)
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="the video cannot be read"):
        read_video(tmp_path / "a.mp4", "here", 5)


@pytest.mark.parametrize(("limit", "found"), [("VIDEO_FRAMES", "frames"), ("IMAGE_PIXELS", "x 24")])
def test_a_video_past_the_limits_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, found: str
) -> None:
    write_video(tmp_path / "a.mp4", 30)
    monkeypatch.setattr(video, limit, 20)
    with pytest.raises(DataError, match=found):
        read_video(tmp_path / "a.mp4", "here", 5)


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4", 3)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"pip install 'mmlab-datasets\[video\]'"):
        read_video(tmp_path / "a.mp4", "here", 5)


def test_a_manifest_gives_videos(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", 30)
    (tmp_path / "index.csv").write_text("clip,age\na.mp4,3\n,4\n")
    options: Any = {"path": tmp_path / "index.csv", "video_column": "clip", "video_frames": 4}
    dataset = Manifest("train", **options)
    frames: Any = dataset[0].values["video"]
    assert tuple(frames.shape) == (4, 3, 24, 32)
    assert dataset.outline(0).values == {"video": None}
    assert dataset[1].values == {}
