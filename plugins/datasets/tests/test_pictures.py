"""Pictures as people have them: known pixels, written by hand or by Pillow, or a refusal."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmlab_datasets.media import decode_picture, read_picture
from PIL import Image, ImageCms

from mmlab.plugin import DataError

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def read(content: bytes) -> Any:
    """The pixels that mmlab gives for these bytes, (H, W, 3)."""
    picture = decode_picture(content, "here", "replace it")
    assert picture.mode == "RGB"
    return np.asarray(picture)


def refusal(content: bytes) -> str:
    with pytest.raises(DataError, match="here: the picture cannot be read") as error:
        read(content)
    return str(error.value).splitlines()[1].removeprefix("  found: ")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    size: tuple[int, int],
    colour: int,
    rows: Sequence[bytes],
    *extra: tuple[bytes, bytes],
    depth: int = 8,
    interlaced: bool = False,
) -> bytes:
    header = struct.pack(">2I5B", *size, depth, colour, 0, 0, interlaced)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [(b"IHDR", header), *extra, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def noise(size: tuple[int, int] = (64, 48)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(pixels)


# --- how pixels are read ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("content", "pixels"),
    [
        (png((2, 1), RGB, [bytes([1, 2, 3, 4, 5, 6])]), [[1, 2, 3], [4, 5, 6]]),
        (png((3, 1), GREY, [bytes([0b10100000])], depth=1), [[255] * 3, [0] * 3, [255] * 3]),
        (png((4, 1), GREY, [bytes([0b00011011])], depth=2), [[v] * 3 for v in (0, 85, 170, 255)]),
        (png((2, 1), GREY, [bytes([0x1F])], depth=4), [[17] * 3, [255] * 3]),
        (png((2, 1), GREY_ALPHA, [bytes([9, 255, 9, 0])]), [[9] * 3, [255] * 3]),
        # 100 at alpha 51/255, on white: 100 / 5 + 255 * 4 / 5
        (png((1, 1), RGBA, [bytes([100, 0, 255, 51])]), [[224, 204, 255]]),
        (
            png((2, 1), PALETTE, [bytes([0, 1])], (b"PLTE", bytes([9, 8, 7, 6, 5, 4]))),
            [[9, 8, 7], [6, 5, 4]],
        ),
        (
            png(
                (2, 1),
                PALETTE,
                [bytes([0, 1])],
                (b"PLTE", bytes([9, 8, 7, 6, 5, 4])),
                (b"tRNS", b"\0"),
            ),
            [[255] * 3, [6, 5, 4]],
        ),
    ],
)
def test_every_kind_of_8_bit_png_gives_its_pixels(
    content: bytes, pixels: Sequence[Sequence[int]]
) -> None:
    np.testing.assert_array_equal(read(content), [pixels])


@pytest.mark.parametrize(
    ("depth", "row", "transparent", "values"),
    [
        (8, bytes([7, 8]), 7, [255, 8]),
        (4, bytes([0x70]), 7, [255, 0]),
        (2, bytes([0b10010000]), 2, [255, 85]),
        (1, bytes([0b01000000]), 0, [255, 255]),
    ],
)
def test_a_transparent_grey_is_white_at_every_depth(
    depth: int, row: bytes, transparent: int, values: list[int]
) -> None:
    mark = (b"tRNS", struct.pack(">H", transparent))
    content = png((2, 1), GREY, [row], mark, depth=depth)
    np.testing.assert_array_equal(read(content)[0, :, 0], values)


def test_a_transparent_colour_is_white() -> None:
    mark = (b"tRNS", struct.pack(">3H", 1, 2, 3))
    content = png((2, 1), RGB, [bytes([1, 2, 3, 3, 2, 1])], mark)
    np.testing.assert_array_equal(read(content), [[[255] * 3, [3, 2, 1]]])


def test_inks_become_light_as_the_docs_say() -> None:
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 128, 255, 51]]], np.uint8)
    picture = Image.fromarray(inks.repeat(16, 0).repeat(16, 1), "CMYK")
    pixels = read(saved(picture, "JPEG", quality=100, subsampling=0))[8, 8::16].astype(int)
    cyan, magenta, yellow, black = np.moveaxis(inks[0].astype(float), -1, 0)
    light = np.stack([255 - cyan, 255 - magenta, 255 - yellow], 1) * (255 - black)[:, None] / 255
    np.testing.assert_allclose(pixels, light, atol=4)  # of a JPEG


def test_colour_profiles_are_neither_applied_nor_kept() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    content = saved(noise(), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(read(content), np.asarray(noise()))
    assert decode_picture(content, "here", "").info == {}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_what_a_file_is_called_says_nothing(tmp_path: Path, kind: str) -> None:
    for name in ("a.jpg", "a.png", "a.webp", "a.gif", "a"):
        content = saved(Image.new("RGB", (8, 8), (200, 90, 10)), kind, lossless=True)
        (tmp_path / name).write_bytes(content)
        pixels = np.asarray(read_picture(tmp_path / name, "here"))
        tolerance = 3 if kind == "JPEG" else 0
        np.testing.assert_allclose(pixels, [[[200, 90, 10]] * 8] * 8, atol=tolerance)


def test_a_progressive_jpeg_and_one_of_grey_are_read() -> None:
    smooth = noise((4, 4)).resize((64, 64), Image.Resampling.BICUBIC)
    pixels = read(saved(smooth, "JPEG", quality=95, progressive=True, subsampling=0)).astype(int)
    assert abs(pixels - np.asarray(smooth)).max() < 20
    grey = read(saved(Image.new("L", (8, 8), 77), "JPEG"))
    np.testing.assert_array_equal(grey, np.full((8, 8, 3), 77))


def test_an_interlaced_png_is_read() -> None:
    # Adam7 of 2 x 2: the first pass has (0, 0), the sixth (1, 0), the seventh the second row.
    content = png((2, 2), GREY, [b"\1", b"\2", b"\3\4"], interlaced=True)
    np.testing.assert_array_equal(read(content)[..., 0], [[1, 2], [3, 4]])


# --- photos are turned ------------------------------------------------------------------------
#: Where the stored first row and first column are seen (EXIF 2.32, 4.6.4, tag 0x0112).
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def exif(orientation: int) -> bytes:
    return b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0) + b"\0" * 4


def seen(stored: Any, orientation: int) -> Any:
    """A slow loop over the stored pixels."""
    row_side, column_side = SIDES[orientation]
    height, width = stored.shape[:2]
    is_turned = row_side in ("left", "right")
    shown = np.zeros((width, height, 3) if is_turned else stored.shape, np.uint8)
    for row in range(height):
        for column in range(width):
            a = row if row_side in ("top", "left") else height - 1 - row
            b = column if column_side in ("top", "left") else width - 1 - column
            shown[(b, a) if is_turned else (a, b)] = stored[row, column]
    return shown


@pytest.mark.parametrize("orientation", SIDES)
def test_photos_are_turned_upright_whatever_their_format(orientation: int) -> None:
    stored = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 14
    rows = [row.tobytes() for row in stored]
    expected = seen(stored, orientation)
    turned = png((3, 2), RGB, rows, (b"eXIf", exif(orientation)))
    np.testing.assert_array_equal(read(turned), expected)
    end = turned.index(b"IDAT") - 4
    after = png((3, 2), RGB, rows)[:-12] + chunk(b"eXIf", exif(orientation)) + turned[-12:]
    assert after[33:end] != turned[33:end]
    np.testing.assert_array_equal(read(after), expected)
    webp = saved(Image.fromarray(stored), "WEBP", lossless=True, exif=exif(orientation))
    np.testing.assert_array_equal(read(webp), expected)
    large = stored.repeat(16, 0).repeat(16, 1)
    jpeg = saved(Image.fromarray(large), "JPEG", exif=b"Exif\0\0" + exif(orientation), quality=95)
    pixels = read(jpeg)[8::16, 8::16].astype(int)
    np.testing.assert_allclose(pixels, expected, atol=25)


def test_an_orientation_that_exif_does_not_know_turns_nothing() -> None:
    content = png((2, 1), RGB, [bytes(range(6))], (b"eXIf", exif(9)))
    assert read(content).shape == (1, 2, 3)


# --- what is refused --------------------------------------------------------------------------
@pytest.mark.parametrize(("colour", "channels"), [(GREY, 1), (RGB, 3), (GREY_ALPHA, 2), (RGBA, 4)])
def test_16_bits_a_channel_are_refused_also_where_pillow_halves_them(
    colour: int, channels: int
) -> None:
    row = struct.pack(f">{channels}H", *[0x0FFF] * channels)  # 12 bits, nearly black as 8
    assert refusal(png((1, 1), colour, [row], depth=16)) == "16 bits a channel"


def test_a_jpeg_of_12_bits_is_refused() -> None:
    content = bytearray(saved(noise(), "JPEG"))
    content[content.index(b"\xff\xc0") + 4] = 12
    assert refusal(bytes(content)) == "12 bits a channel"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_is_refused_with_the_number_of_its_frames(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options: Any = {"save_all": True, "append_images": frames[1:]}
    content = saved(frames[0], kind, **options)
    assert refusal(content) == "an animation of 3 frames, of which none is the picture"


def test_an_animation_of_one_frame_is_a_picture() -> None:
    content = png((1, 1), RGB, [b"abc"], (b"acTL", struct.pack(">2I", 1, 0)))
    np.testing.assert_array_equal(read(content), [[list(b"abc")]])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (saved(noise(), "GIF"), "its content is GIF"),
        (saved(noise(), "BMP"), "its content is BMP"),
        (saved(noise(), "TIFF"), "its content is TIFF"),
        (saved(noise(), "JPEG2000"), "its content is JPEG 2000"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "its content is AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "its content is HEIC"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "its content is JPEG XL"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "its content is SVG"),
        (b"\n <!DOCTYPE html><html>404</html>", "its content is an HTML page, as servers send it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "its content is a pointer of Git LFS"),
        (b"\0" * 100, "it begins with b'\\x00"),
    ],
)
def test_any_other_format_is_named(content: bytes, found: str) -> None:
    assert refusal(content).startswith(found)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG", "progressive"])
def test_a_picture_cut_short_anywhere_is_refused(kind: str) -> None:
    options: Any = {"progressive": True} if kind == "progressive" else {}
    content = saved(noise(), "JPEG" if options else kind, **options)
    for length in (len(content) - 1, len(content) - 2, len(content) - 12, len(content) // 2, 40):
        assert refusal(content[:length])
        if kind != "WEBP":  # a WebP says how long it is; what lies there is another matter
            assert refusal(content[:length] + b"\0" * 99)
    assert "cut short" in refusal(content[:-1])


def test_a_png_without_its_end_is_refused() -> None:
    content = png((1, 1), RGB, [b"abc"])
    assert refusal(content[:-12]) == "the file is cut short: the end of a PNG, IEND, is missing"


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_that_lacks_rows_is_refused_not_black(interlaced: bool) -> None:
    content = png((1, 3), RGB, [b"abc"], interlaced=interlaced)
    assert refusal(content) == "pixels are missing: 4 of 12 bytes"


def test_a_png_whose_last_row_is_black_is_whole() -> None:
    content = png((5, 2), GREY, [b"\0", b"\0"], depth=1)
    np.testing.assert_array_equal(read(content), np.zeros((2, 5, 3)))


def test_a_png_with_a_wrong_checksum_is_refused() -> None:
    content = bytearray(png((1, 1), RGB, [b"abc"]))
    content[-13] ^= 1
    assert (
        refusal(bytes(content)) == "the file is damaged: the checksum of its chunk b'IDAT' is wrong"
    )


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_what_follows_a_whole_picture_is_of_no_interest(kind: str) -> None:
    content = saved(noise(), kind)
    np.testing.assert_array_equal(read(content), read(content + b"ftypmp42 a phone's moving photo"))


def test_of_a_phones_several_pictures_the_first_is_the_photo() -> None:
    content = saved(noise(), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert read(content).shape == (48, 64, 3)
    first, second = content.index(b"\xff\xd9"), content.rindex(b"\xff\xd8\xff")
    assert "cut short" in refusal(content[:first] + content[second:])


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (1, 1_001)])
def test_impossible_sizes_are_refused_with_the_size(width: int, height: int) -> None:
    content = png((width, height), GREY, [b"\0" * width] * height)
    assert refusal(content) == f"{width} x {height} pixels"


def test_damage_anywhere_gives_a_picture_or_a_refusal() -> None:
    drawn = random.Random(0)
    tag = b"Exif\0\0" + exif(6)
    for kind, options in (("PNG", {}), ("WEBP", {"exif": exif(6)}), ("JPEG", {"exif": tag})):
        content = saved(noise((9, 7)), kind, **options)
        for _ in range(100):
            spoiled = bytearray(content)
            for _ in range(drawn.randint(1, 4)):
                spoiled[drawn.randrange(len(content))] = drawn.randrange(256)
            try:
                read(bytes(spoiled))
            except DataError:
                continue
