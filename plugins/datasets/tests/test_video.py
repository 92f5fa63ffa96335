from __future__ import annotations

import struct
import sys
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmlab_datasets import manifest, video
from mmlab_datasets.manifest import Manifest
from mmlab_datasets.video import read_video, spaced
from PIL import Image

from mmlab.plugin import DataError

av = pytest.importorskip("av", reason="PyAV is not installed")


def write_video(path: Path, length: int, codec: str = "mpeg4") -> None:
    """Frames that become brighter, 32 x 24."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for number in range(length):
            picture = np.full((24, 32, 3), min(255, 8 * number), np.uint8)
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


# --- videos are turned as they are shown ------------------------------------------------------
RED, GREEN, BLUE, WHITE = (250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 250)
NAMES = {"R": RED, "G": GREEN, "B": BLUE, "W": WHITE}
ONE = 1 << 16


def write_corners(path: Path, **options: Any) -> None:
    """Three frames of 32 x 24 whose quarters are red and green above blue and white."""
    picture = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8).repeat(12, 0).repeat(16, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(options.get("codec", "mpeg4"), rate=10)
        stream.width, stream.height = 32, 24
        stream.pix_fmt = options.get("pixels", "yuv420p")
        if "aspect" in options:
            stream.codec_context.sample_aspect_ratio = options["aspect"]
        for number, time in enumerate(options.get("times", (0, 1, 2))):
            frame = av.VideoFrame.from_ndarray(picture // (number + 1), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Put a display matrix in the place of the identity that PyAV writes (ISO 14496-12, 8.3.2)."""
    content = path.read_bytes()
    identity = struct.pack(">9i", ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30)
    place = content.index(identity, content.index(b"tkhd"))
    matrix = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content[:place] + matrix + content[place + 36 :])


def corners(path: Path) -> tuple[tuple[int, ...], str]:
    """Height and width, and the colours of the first frame's corners, row by row."""
    frames = read_video(path, "here", 2)
    frame = frames[0].permute(1, 2, 0).double()
    found = [frame[y, x] for y, x in ((3, 3), (3, -4), (-4, 3), (-4, -4))]
    nearest = [
        min(NAMES, key=lambda name: float((pixel - torch.tensor(NAMES[name])).abs().sum()))
        for pixel in found
    ]
    return tuple(frame.shape[:2]), "".join(nearest)


@pytest.mark.parametrize(
    ("matrix", "size", "shown"),
    [
        ((ONE, 0, 0, ONE), (24, 32), "RGBW"),
        ((0, ONE, -ONE, 0), (32, 24), "BRWG"),  # a quarter turn to the right, as telephones write
        ((-ONE, 0, 0, -ONE), (24, 32), "WBGR"),
        ((0, -ONE, ONE, 0), (32, 24), "GWRB"),
        ((-ONE, 0, 0, ONE), (24, 32), "GRWB"),  # left to right
        ((ONE, 0, 0, -ONE), (24, 32), "BWRG"),  # top to bottom
        ((0, ONE, ONE, 0), (32, 24), "RBGW"),
        ((0, -ONE, -ONE, 0), (32, 24), "WGBR"),
        ((0, 2 * ONE, -2 * ONE, 3), (32, 24), "BRWG"),  # its length and rounding turn nothing
        ((0, 0, 0, 0), (24, 32), "RGBW"),
    ],
)
def test_a_video_is_turned_and_mirrored_as_it_is_shown(
    tmp_path: Path, matrix: tuple[int, int, int, int], size: tuple[int, int], shown: str
) -> None:
    write_corners(tmp_path / "a.mp4")
    if matrix != (ONE, 0, 0, ONE):
        set_matrix(tmp_path / "a.mp4", *matrix)
    assert corners(tmp_path / "a.mp4") == (size, shown)


def test_a_video_shown_aslant_is_refused(tmp_path: Path) -> None:
    write_corners(tmp_path / "a.mp4")
    half = round(ONE * 0.5**0.5)
    set_matrix(tmp_path / "a.mp4", half, half, -half, half)
    with pytest.raises(DataError, match=r"a\.mp4: it is shown turned by 45 degrees"):
        read_video(tmp_path / "a.mp4", "here", 2)


# --- what is read as it is stored -------------------------------------------------------------
def test_pixels_that_are_not_square_are_read_as_stored(tmp_path: Path) -> None:
    write_corners(tmp_path / "a.mp4", aspect=Fraction(2, 1))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2
    assert corners(tmp_path / "a.mp4") == ((24, 32), "RGBW")


def test_frames_of_uneven_times_are_spaced_by_their_numbers(tmp_path: Path) -> None:
    write_corners(tmp_path / "a.mkv", times=(0, 50, 51))
    frames = read_video(tmp_path / "a.mkv", "here", 3)
    assert len(frames) == 3
    brightness = [int(frame[:, -4, -4].double().mean()) for frame in frames]
    np.testing.assert_allclose(brightness, [250, 125, 83], atol=6)


def test_what_is_transparent_in_a_video_is_white(tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[:4] = (10, 20, 30, 255)
    picture[4:] = (100, 0, 255, 51)
    with av.open(str(tmp_path / "a.mov"), "w") as container:
        stream = container.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 8, 8, "rgba"
        frame = av.VideoFrame.from_ndarray(picture, format="rgba")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    frames = read_video(tmp_path / "a.mov", "here", 2)
    assert frames[0, :, 0, 0].tolist() == [10, 20, 30]
    assert frames[0, :, -1, -1].tolist() == [224, 204, 255]


# --- what is refused --------------------------------------------------------------------------
def write_audio(path: Path, codec: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_an_mp4_of_sound_alone_is_refused(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.mp4", "aac")
    with pytest.raises(DataError, match=r"a\.mp4: no video in it"):
        read_video(tmp_path / "a.mp4", "here", 2)


def test_the_cover_of_a_sound_is_no_video(tmp_path: Path) -> None:
    """An ID3 tag with a picture before a second of MPEG audio: PyAV calls that a video stream."""
    write_audio(tmp_path / "plain.mp3", "mp3")
    write_png(tmp_path / "cover.png")
    about = b"\0image/png\0\x03\0" + (tmp_path / "cover.png").read_bytes()
    frame = b"APIC" + struct.pack(">IH", len(about), 0) + about
    size = len(frame)
    bits = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    tagged = b"ID3\x03\0\0" + bits + frame + (tmp_path / "plain.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(tagged)
    with av.open(str(tmp_path / "a.mp3")) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(DataError, match="no video in it"):
        read_video(tmp_path / "a.mp3", "here", 2)


def write_png(path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(path)


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        container.start_encoding()
    with pytest.raises(DataError, match=r"a\.mkv: no frame in it"):
        read_video(tmp_path / "a.mkv", "here", 2)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.avi", "a.mkv", "a.webm"])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_video_cut_short_is_refused_where_its_file_says_how_long_it_is(
    tmp_path: Path, name: str, share: float
) -> None:
    write_video(tmp_path / name, 60, "libvpx" if name == "a.webm" else "mpeg4")
    assert len(read_video(tmp_path / name, "here", 100)) == 60
    content = (tmp_path / name).read_bytes()
    length = int(len(content) * share)
    (tmp_path / name).write_bytes(content[:length])
    said = rf"{name}: the file is cut short: {length:,} of [0-9,]+ bytes"
    with pytest.raises(DataError, match=said):
        read_video(tmp_path / name, "here", 5)


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
def test_what_follows_a_whole_video_is_of_no_interest(tmp_path: Path, name: str) -> None:
    write_corners(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content + b"\xff" * 99)
    assert corners(tmp_path / name) == ((24, 32), "RGBW")


def test_a_sound_or_a_page_in_place_of_a_video_is_named(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.mp4"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"\0\0" * 99)
    with pytest.raises(DataError, match="no video in it"):
        read_video(tmp_path / "a.mp4", "here", 2)
    (tmp_path / "b.mp4").write_bytes(b"<html>404</html>")
    with pytest.raises(DataError, match="its content is an HTML page"):
        read_video(tmp_path / "b.mp4", "here", 2)


def test_only_the_revision_of_data_with_videos_tells_how_videos_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corners(tmp_path / "a.mp4")
    (tmp_path / "index.csv").write_text("clip,text\na.mp4,one\n")
    options: list[Any] = [{"text_columns": ["text"]}, {"video_column": "clip"}]

    def revisions() -> list[str]:
        path = tmp_path / "index.csv"
        return [Manifest("train", path=path, **each).revision for each in options]

    before = revisions()
    monkeypatch.setattr(manifest, "VIDEO_READING", ("on its side",))
    assert [a == b for a, b in zip(before, revisions(), strict=True)] == [True, False]
