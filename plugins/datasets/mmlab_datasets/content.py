"""What kind of file some bytes are, by how they begin (magic numbers), not by a file's name."""

from __future__ import annotations

import re
from pathlib import Path

from mmlab.plugin import open_file

#: So many bytes are enough to name a file.
HEAD_BYTES = 1024
_SHOWN_BYTES = 16

_BEGINNINGS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"\0\0\1\0": "ICO",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "PSD",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"qoif": "QOI",
    b"SIMPLE  =": "FITS",
    b"%PDF": "PDF",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b".snd": "AU",
    b"caff": "CAF",
    b"riff\x2e\x91\xcf\x11": "Wave64",
    b"NIST_1A": "NIST SPHERE",
    b"#!AMR": "AMR",
    b"MThd": "MIDI",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "ASF (WMA, WMV)",
    b"\x1a\x45\xdf\xa3": "Matroska or WebM",
    b"FLV\x01": "FLV",
    b"\0\0\1\xba": "MPEG",
    b"\x1f\x8b": "gzip",
    b"PK\3\4": "zip",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x93NUMPY": "NumPy",
    b"\x89HDF": "HDF5",
    b"PAR1": "Parquet",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself (git lfs pull)",
}
_FORMS = {
    b"RIFF": {b"WEBP": "WebP", b"WAVE": "WAV", b"AVI ": "AVI"},
    b"RIFX": {b"WAVE": "WAV"},
    b"RF64": {b"WAVE": "WAV"},
    b"BW64": {b"WAVE": "WAV"},
    b"FORM": {b"AIFF": "AIFF", b"AIFC": "AIFF"},
}
_BRANDS = {
    "AVIF": (b"avif", b"avis"),
    "HEIC": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
    "M4A": (b"M4A ", b"M4B "),
    "QuickTime": (b"qt  ",),
}


def name_format(content: bytes) -> str | None:
    """The name of a file's format, "JPEG" or "HTML page"; None for one that is not known here."""
    form, kind = content[:4], content[8:12]
    if form in _FORMS and kind in _FORMS[form]:
        return _FORMS[form][kind]
    if content[4:8] == b"ftyp":
        return next((name for name, brands in _BRANDS.items() if kind in brands), "MP4")
    for beginning, name in _BEGINNINGS.items():
        if content.startswith(beginning):
            return name
    return _other_format(content)


def describe(content: bytes) -> str:
    """What a file is, for a message that refuses it: "its content is GIF"."""
    if not content:
        return "an empty file"
    name = name_format(content)
    return f"its content is {name}" if name else f"it begins with {content[:_SHOWN_BYTES]!r}"


def read_head(file: Path) -> bytes:
    """The first bytes of a file, enough to name it. Raises OSError."""
    with open_file(file) as content:
        return content.read(HEAD_BYTES)


def read_content(file: Path, limit: int) -> bytes:
    """All bytes of a file. Raises OSError, and ValueError where there are more than the limit."""
    with open_file(file) as content:
        found = content.read(limit + 1)
    if len(found) > limit:
        raise ValueError(f"more than {limit:,} bytes")
    return found


def _other_format(content: bytes) -> str | None:
    """Formats that are known by more than how they begin."""
    head = content[:HEAD_BYTES]
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, as servers send it in place of a file"
    if text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text:
        return "SVG"
    if re.match(rb"P[1-7]\s", head):
        return "Netpbm"
    if head[128:132] == b"DICM":
        return "DICOM"
    if head[257:262] == b"ustar":
        return "tar"
    return None
