"""Pictures from unchecked files: what cannot be used is an error, never a guess."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from mmlab.plugin import DataError, explain
from mmlab_datasets.content import describe, name_format, read_content
from mmlab_datasets.picture_bytes import (
    check_jpeg,
    check_png,
    check_png_rows,
    check_webp,
    grey_levels,
)

FORMATS = ("JPEG", "PNG", "WEBP")
IMAGE_PIXELS = 50_000_000
#: A longer side makes an encoder's resizing take more memory than there is.
SIDES = 1000
FILE_BYTES = 1_000_000_000
REPLACE = "replace or convert the file"
#: What else can be done where samples are many.
SKIP = '; on_error = "skip" in [dataset] leaves such samples out'

_CHECKS: Mapping[str, Callable[[bytes], None]] = {
    "JPEG": check_jpeg,
    "PNG": check_png,
    "WebP": check_webp,
}
_ORIENTATION = 0x0112
#: What EXIF says of how the camera was held -> what makes the picture upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_picture(file: Path, place: str, mend: str = REPLACE, otherwise: str = SKIP) -> Image.Image:
    """The picture in a JPEG, PNG or WebP file, upright, as RGB; what is transparent is white.

    Its content says what a file is, not its name. Values are as stored: colour profiles are not
    applied. Of a JPEG with several pictures (MPO: a phone's, with its depth) the first is taken.
    Raises DataError for any other content, an animation, 16 bits a channel, more than 50 million
    pixels, or a file that is damaged or cut short; `mend` and `otherwise` are what then can be done
    about it.
    """
    try:
        return _decode(read_content(file, FILE_BYTES))
    except (OSError, ValueError) as error:
        raise _unreadable(place, f"{file}: {error}", mend + otherwise) from error


def decode_picture(content: bytes, place: str, mend: str) -> Image.Image:
    """The picture in these bytes, as `read_picture` gives that of a file."""
    try:
        return _decode(content)
    except (OSError, ValueError) as error:
        raise _unreadable(place, str(error), mend + SKIP) from error


def _decode(content: bytes) -> Image.Image:
    """The picture in these bytes. Raises OSError or ValueError."""
    kind = name_format(content)
    if kind is None or kind not in _CHECKS:
        raise ValueError(describe(content))
    _CHECKS[kind](content)
    try:
        with _strict_pillow(), Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_size(image)
            image.load()
            if kind == "PNG":
                _mend_png(image, content)
            picture = _rgb(_upright(image))
    except UnidentifiedImageError as error:
        raise ValueError(f"a {kind} whose header is damaged") from error
    except (
        SyntaxError,
        struct.error,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise ValueError(str(error)) from error
    picture.info = {}  # whoever writes it should neither turn it again nor add a profile of CMYK
    return picture


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Make large pictures errors, where Pillow warns; ignore what it says of damaged EXIF data."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _check_size(image: Image.Image) -> None:
    shorter, longer = sorted(image.size)
    if shorter * longer > IMAGE_PIXELS or not shorter or longer > SIDES * shorter:
        raise ValueError(f"{image.width} x {image.height} pixels")


def _mend_png(image: Image.Image, content: bytes) -> None:
    """Look for rows that are missing, and bring the transparent grey to the scale of the pixels."""
    last = image.crop((0, image.height - 1, *image.size))
    if image.info.get("interlace") or not any(last.tobytes()):  # 0 where Pillow found no more rows
        check_png_rows(content)
    transparent, levels = image.info.get("transparency"), grey_levels(content)
    if levels in (4, 16) and isinstance(transparent, int):
        image.info["transparency"] = transparent * 255 // (levels - 1)


def _upright(image: Image.Image) -> Image.Image:
    turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    drawing = image.convert("RGBA")
    page = Image.new("RGB", image.size, "white")
    page.paste(drawing, mask=drawing)
    return page


def _unreadable(place: str, found: str, mend: str) -> DataError:
    return DataError(
        explain(
            place,
            "the picture cannot be read",
            found=found,
            allowed=f"{', '.join(FORMATS)}: one picture each, at most {IMAGE_PIXELS:,} pixels and "
            f"{SIDES:,} times as long as wide, 8 bits a channel",
            next_step=mend,
        )
    )
