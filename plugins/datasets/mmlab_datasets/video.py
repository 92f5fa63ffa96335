"""Videos from unchecked files, through PyAV: a few frames, evenly spaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mmlab.plugin import DataError, explain
from mmlab_datasets.media import IMAGE_PIXELS

if TYPE_CHECKING:
    from torch import Tensor

#: Frames of the longest video that is read: an hour at 30 a second.
VIDEO_FRAMES = 108_000
T = TypeVar("T")


def read_video(file: Path, place: str, count: int) -> Tensor:
    """At most `count` evenly spaced frames, the first one among them, as uint8 (T, 3, H, W).

    Raises DataError for a file without pictures, damaged, over 50 million pixels a frame or of more
    than 108,000 frames, or where PyAV is missing.
    """
    import torch  # here, because pictures and text alone need no torch

    try:
        import av
    except ImportError as error:
        raise DataError(_no_library(file, place)) from error
    try:
        with av.open(str(file)) as container:
            frames = spaced(_decoded(container), count)
            size = {"width": frames[0].width, "height": frames[0].height}
            pictures = [frame.to_ndarray(format="rgb24", **size) for frame in frames]
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
        raise ValueError("no frame can be decoded")
    size = min(count, len(kept))
    return [kept[position * len(kept) // size] for position in range(size)]


def _decoded(container: Any) -> Iterator[Any]:  # Any: PyAV's containers and frames
    """The frames of the first video stream; raises ValueError past the limits."""
    if not container.streams.video:
        raise ValueError("no video in it")
    stream = container.streams.video[0]
    if stream.width * stream.height > IMAGE_PIXELS:
        raise ValueError(f"{stream.width} x {stream.height} pixels")
    for number, frame in enumerate(container.decode(stream)):
        if number >= VIDEO_FRAMES:
            raise ValueError(f"more than {VIDEO_FRAMES:,} frames")
        yield frame


def _unreadable(file: Path, place: str, error: Exception) -> str:
    return explain(
        place,
        "the video cannot be read",
        found=f"{file}: {error}",
        allowed=f"a format that PyAV decodes, at most {VIDEO_FRAMES:,} frames of {IMAGE_PIXELS:,} "
        "pixels",
        next_step="convert it: ffmpeg -i FILE -c:v libx264 OUT.mp4; or empty the cell",
    )


def _no_library(file: Path, place: str) -> str:
    return explain(
        place,
        "videos need the package av (PyAV)",
        found=f"{file}; av is not installed",
        allowed="formats that PyAV decodes",
        next_step="pip install 'mmlab-datasets[video]'",
    )
