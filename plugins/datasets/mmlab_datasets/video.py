"""Videos from unchecked files, through PyAV: a few frames, evenly spaced and upright."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mmlab.plugin import DataError, explain
from mmlab_datasets.content import describe, read_head
from mmlab_datasets.display_matrix import Frame, Turn, read_turn
from mmlab_datasets.media import IMAGE_PIXELS
from mmlab_datasets.video_files import check_whole

if TYPE_CHECKING:
    from torch import Tensor

#: Frames of the longest video that is read: an hour at 30 a second.
VIDEO_FRAMES = 108_000
#: Part of the revision of data with videos: changes where the same file gives other frames.
VIDEO_READING = ("upright, on white",)
#: FFmpeg's mark of a stream that is a sound's cover.
_COVER = 0x400
T = TypeVar("T")


def read_video(file: Path, place: str, count: int) -> Tensor:
    """At most `count` evenly spaced frames, the first one among them, as uint8 (T, 3, H, W).

    Frames are spaced by their numbers, whatever their times, and turned and mirrored as the file's
    display matrix says. Pixels are as stored, also where they are not square; what is transparent
    is white. A frame of another size than the first is scaled to it.
    Raises DataError for a file without pictures, damaged or cut short, over 50 million pixels a
    frame or of more than 108,000 frames, or where PyAV is missing.
    """
    import torch  # here, because pictures and text alone need no torch

    try:
        import av
    except ImportError as error:
        raise DataError(_no_library(file, place)) from error
    try:
        check_whole(file)
        with av.open(str(file)) as container:
            frames = spaced(_decoded(container), count)
            turn = _turn(frames[0])
            size = {"width": frames[0].width, "height": frames[0].height}
            pictures = [turn.apply(_rgb(frame, **size)) for frame in frames]
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise DataError(_unreadable(file, place, error)) from error
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def spaced(items: Iterable[T], count: int) -> list[T]:
    """At most `count` of items whose number is not known, evenly spaced from the first on.

    Never more than four times as many are held. Raises ValueError where there is none.
    """
    kept: list[T] = []
    stride = 1
    for number, item in enumerate(items):
        if number % stride == 0:
            kept.append(item)
        if len(kept) > 4 * count:
            kept, stride = kept[::2], 2 * stride
    if not kept:
        raise ValueError("no frame in it")
    size = min(count, len(kept))
    return [kept[position * len(kept) // size] for position in range(size)]


def _decoded(container: Any) -> Iterator[Any]:  # Any: PyAV's containers and frames
    """The frames of the first video stream; raises ValueError past the limits."""
    streams = [each for each in container.streams.video if not each.disposition & _COVER]
    if not streams:
        raise ValueError("no video in it")
    stream = streams[0]
    if stream.width * stream.height > IMAGE_PIXELS:
        raise ValueError(f"{stream.width} x {stream.height} pixels")
    for number, frame in enumerate(container.decode(stream)):
        if number >= VIDEO_FRAMES:
            raise ValueError(f"more than {VIDEO_FRAMES:,} frames")
        yield frame


def _turn(frame: Any) -> Turn:  # Any: as of _decoded
    """How a frame is shown. Raises ValueError where that is no quarter turn."""
    found = [bytes(data) for data in frame.side_data if data.type.name == "DISPLAYMATRIX"]
    return read_turn(found[0]) if found else Turn()


def _rgb(frame: Any, width: int, height: int) -> Frame:
    """The pixels of a frame (H, W, 3), on white."""
    if not any(part.is_alpha for part in frame.format.components):
        plain: Frame = frame.to_ndarray(format="rgb24", width=width, height=height)
        return plain
    drawing = frame.to_ndarray(format="rgba", width=width, height=height).astype(np.uint16)
    colours, cover = drawing[..., :3], drawing[..., 3:]
    mixed: Frame = ((colours * cover + 255 * (255 - cover) + 127) // 255).astype(np.uint8)
    return mixed


def _unreadable(file: Path, place: str, error: Exception) -> str:
    return explain(
        place,
        "the video cannot be read",
        found=f"{file}: {_reason(file, error)}",
        allowed=f"a format that PyAV decodes, at most {VIDEO_FRAMES:,} frames of {IMAGE_PIXELS:,} "
        "pixels",
        next_step="convert it: ffmpeg -i FILE -c:v libx264 OUT.mp4; or empty the cell",
    )


def _reason(file: Path, error: Exception) -> str:
    """Why a video cannot be read, in mmlab's words where FFmpeg has none."""
    if isinstance(error, EOFError):
        return "no frame in it"
    if isinstance(error, ValueError) and not hasattr(error, "errno"):
        return str(error)
    try:
        head = read_head(file)
    except OSError:
        return str(error)
    said = getattr(error, "strerror", None) or str(error)
    return f"{said}; {describe(head)}"


def _no_library(file: Path, place: str) -> str:
    return explain(
        place,
        "videos need the package av (PyAV)",
        found=f"{file}; av is not installed",
        allowed="formats that PyAV decodes",
        next_step="pip install 'mmlab-datasets[video]'",
    )
