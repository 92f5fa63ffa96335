"""Pictures from unchecked files: what cannot be used is an error, never a guess."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps

from mmlab.plugin import DataError, explain

FORMATS = ("JPEG", "PNG", "WEBP")
IMAGE_PIXELS = 50_000_000
REPLACE = "replace or convert the file"


def read_picture(file: Path, place: str, mend: str = REPLACE) -> Image.Image:
    """The first frame of a JPEG, PNG or WebP file, upright, as RGB; what is transparent is white.

    Raises DataError for any other content, more than 50 million pixels, or a file cut short; `mend`
    is what then can be done about it.
    """
    return _decode(file, f"{file}: ", place, mend)


def decode_picture(content: bytes, place: str, mend: str) -> Image.Image:
    """The picture in these bytes, as `read_picture` gives that of a file."""
    return _decode(io.BytesIO(content), "", place, mend)


def _decode(file: Path | io.BytesIO, name: str, place: str, mend: str) -> Image.Image:
    try:
        with _strict_pillow(), Image.open(file, formats=FORMATS) as image:
            _check_size(image)
            image.load()
            return _rgb(ImageOps.exif_transpose(image))
    except (
        OSError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise DataError(
            explain(
                place,
                "the picture cannot be read",
                found=f"{name}{error}",
                allowed=f"{', '.join(FORMATS)}, at most {IMAGE_PIXELS:,} pixels, 8 bits a channel",
                next_step=f'{mend}; on_error = "skip" in [dataset] leaves such samples out',
            )
        ) from error


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Make large pictures errors, where Pillow warns; ignore what it says of damaged EXIF data."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > IMAGE_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # converting these would clip every bright value
        raise ValueError(f"more than 8 bits a channel (mode {image.mode})")
    if not image.has_transparency_data:
        return image.convert("RGB")
    drawing = image.convert("RGBA")
    page = Image.new("RGB", image.size, "white")
    page.paste(drawing, mask=drawing)
    return page
