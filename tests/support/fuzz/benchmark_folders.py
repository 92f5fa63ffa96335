"""Folders as CLIP_benchmark and the Oxford pets are published, in small, and plain readers."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from support.fuzz.outcome import Told, Unclear
from support.fuzz.shard_files import (
    Found,
    Shard,
    is_sample,
    plain_captions,
    plain_groups,
    plain_label,
    plain_pictures,
    shards,
)

PICTURES = ("Bengal_1", "Bengal_2", "beagle_6", "ü_7")
_pictures = st.sampled_from(PICTURES)
_line = st.builds("{} {} 1 1".format, _pictures, st.integers(1, 37))
_odd_lines = st.sampled_from(
    [
        *("", "  ", "# Image CLASS-ID", "Bengal_1", "Bengal_1 0", "no_3 3 1 1", "../Bengal_1 3"),
        *("Bengal_1 x", "Bengal_1 38", "a\0 1", "Bengal_1 " + "9" * 5000, "x" * 300 + " 1", "/a 1"),
        *("Bengal_1 -1", "Bengal_1\t5", "  Bengal_2 1.0", "Bengal_1 ²", "a b 1"),
    ]
)
_ends = st.sampled_from(["\n", "\n", "\r\n", "\r"])
_encodings = st.sampled_from(["utf-8"] * 5 + ["utf-8-sig", "utf-16", "latin-1"])


class PetsFolder(NamedTuple):
    """The list of a test split, as bytes."""

    content: bytes

    def write(self, folder: Path) -> None:
        """Write the list, and pictures without content."""
        (folder / "annotations").mkdir()
        (folder / "images").mkdir()
        (folder / "annotations" / "test.txt").write_bytes(self.content)
        for name in PICTURES:
            (folder / "images" / f"{name}.jpg").touch()


@st.composite
def pets_folders(draw: st.DrawFn) -> PetsFolder:
    """A list of some pictures, now and then with other lines."""
    lines = draw(st.lists(_line, min_size=1, max_size=4, unique_by=lambda line: line.split()[0]))
    if draw(st.booleans()):
        lines = draw(st.permutations([*lines, *draw(st.lists(_odd_lines | _line, max_size=2))]))
    return PetsFolder(draw(_ends).join(lines).encode(draw(_encodings), "replace"))


def read_pets(folder: PetsFolder, labels: Any) -> tuple[list[Told], int]:
    """The samples, and how many pictures are listed and not there."""
    try:
        text = folder.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unclear("the list is no UTF-8") from error
    found, lacking = {}, 0
    names = set[str]()
    for line in map(str.strip, re.split("\r\n|\r|\n", text)):
        if not line or line.startswith("#"):
            continue
        name, number = [*line.split(), "", ""][:2]
        if not re.fullmatch("[0-9]{1,2}", number) or not 1 <= int(number) <= 37 or name in names:
            raise Unclear("another line")
        if ".." in name or name.startswith("/"):
            raise Unclear("a picture elsewhere")
        names.add(name)
        if name in PICTURES:
            found[name] = labels[int(number) - 1]
        lacking += name not in PICTURES
    if not found:
        raise Unclear("no pictures")
    return [Told(f"images/{n}.jpg", ("image",), (), (of,)) for n, of in found.items()], lacking


# --- CLIP_benchmark ---------------------------------------------------------------------------

_names = st.sampled_from(["cat", "dog", "owl", "ü", "two words", "1"])
_odd_names = st.sampled_from(["", "a\0", " ", "cat", "\ufeff"])


class ClipFolder(NamedTuple):
    """A test split of one shard, and the texts beside it."""

    shard: Shard
    kind: str
    texts: dict[str, bytes]

    def write(self, folder: Path) -> None:
        """Write what lies in it."""
        (folder / "test").mkdir()
        self.shard.write(folder / "test" / "0.tar")
        for name, content in self.texts.items():
            (folder / name).write_bytes(content)


def _npy(flags: list[int]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(flags))
    return file.getvalue()


@st.composite
def clip_folders(draw: st.DrawFn) -> ClipFolder:
    """A folder of any kind, its texts now and then odd."""
    shard = draw(shards())
    kind = draw(st.sampled_from(["", "", "retrieval", "multilabel"]))
    names = draw(st.lists(_names, min_size=2, max_size=4, unique=True))
    if draw(st.integers(0, 5)) == 3:
        names.insert(draw(st.integers(0, len(names))), draw(_odd_names))
    if kind == "multilabel":
        flags = st.lists(st.integers(0, 1), min_size=len(names), max_size=len(names))
        more = [(f"{key}.npy", _npy(draw(flags))) for key in ("z", "q")]
        shard = shard._replace(members=[*shard.members, *more])
    count = (
        b"1"
        if draw(st.integers(0, 9)) != 7
        else draw(
            st.sampled_from(
                [b"1\r\n", b"\xef\xbb\xbf1", b"0", b"2", b"", b"one", b"9" * 5000, b"-1"]
            )
        )
    )
    texts = {
        "test/nshards.txt": count,
        "classnames.txt": draw(_ends).join([*names, ""]).encode(draw(_encodings), "replace"),
        "zeroshot_classification_templates.txt": b"a photo of a {c}.\n",
    }
    if kind:
        texts["dataset_type.txt"] = kind.encode() + b"\n"
    if draw(st.integers(0, 19)) == 7:
        texts[draw(st.sampled_from(sorted(texts)))] = draw(st.sampled_from([b"", b"\xff", b"a\0"]))
    return ClipFolder(shard, kind, texts)


def read_clip(folder: ClipFolder) -> list[Told]:
    """The samples of the test split."""
    if _lines(folder.texts["test/nshards.txt"]) != ["1"]:
        raise Unclear("another number of shards")
    if folder.kind and _lines(folder.texts["dataset_type.txt"]) != [folder.kind]:
        raise Unclear("another type")
    labels = [] if folder.kind == "retrieval" else _class_names(folder)
    found = []
    for key, members in plain_groups(folder.shard.members).items():
        if is_sample(key, members, ["npy"] if folder.kind == "multilabel" else []):
            found.append(_told(f"0/{key}", members, folder.kind, labels))
    return found


def _class_names(folder: ClipFolder) -> list[str]:
    """The labels; one that is there a second time has its number added."""
    templates = _lines(folder.texts["zeroshot_classification_templates.txt"])
    if any(line.count("{c}") != 1 or "\0" in line for line in templates):
        raise Unclear("no template")
    names = _lines(folder.texts["classnames.txt"])
    if ("" in names and len(names) > 1) or any("\0" in name for name in names):
        raise Unclear("a label without a name")
    return [n if n not in names[:at] else f"{n} ({at})" for at, n in enumerate(names) if n]


def _lines(content: bytes) -> list[str]:
    try:
        text = content.decode("utf-8-sig").rstrip()
    except UnicodeDecodeError as error:
        raise Unclear("no UTF-8") from error
    return [line.strip() for line in re.split("\r\n|\r|\n", text)]


def _told(name: str, found: Found, kind: str, labels: list[str]) -> Told:
    try:
        pictures = plain_pictures(found, {})
        if kind == "retrieval":
            captions = plain_captions(found, {"caption_lines": True})
            shown = tuple(k for k, there in (("image", pictures), ("text", captions)) if there)
            return Told(name, shown, captions)
        read = _flags if kind else plain_label
        truth = read(found, labels) if labels else None
    except ValueError as error:
        raise Unclear(f"a member says something else: {error}") from error
    return Told(name, ("image",) if pictures else (), (), truth)


def _flags(found: Found, labels: list[str]) -> tuple[str, ...] | None:
    """The labels for which an array has a 1."""
    if "npy" not in found:
        return None
    flags = np.lib.format.read_array(io.BytesIO(found["npy"])).ravel().tolist()
    if len(flags) != len(labels) or not set(flags) <= {0, 1}:
        raise Unclear("other flags")
    return tuple(sorted(label for label, flag in zip(labels, flags, strict=True) if flag))
