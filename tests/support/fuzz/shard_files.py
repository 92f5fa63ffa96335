"""Tar shards as tools and people write them, and a plain reader of what is in them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from support.fuzz.outcome import Told, Unclear

Member = tuple[str, bytes]
Found = Mapping[str, bytes]
Options = Mapping[str, Any]
LABELS = ["cat", "dog"]
PICTURES = ["jpg", "jpeg", "png", "webp"]


def picture(red: int, kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (2, 2), (red, 0, 0)).save(file, kind)
    return file.getvalue()


def npy(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values))
    return file.getvalue()


KINDS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}
CONTENT: Mapping[str, Sequence[bytes]] = {
    **{ending: [picture(red, kind) for red in (0, 90, 250)] for ending, kind in KINDS.items()},
    "txt": [b"a", b"a\nb", b"\xef\xbb\xbfc", b" ", "é".encode(), "é".encode("utf-16"), b"\xe9"],
    "cls": [b"0", b"1\n", b"cat", b"owl", b"7", b"-1", b"9" * 30, b"1.0", b"\xef\xbb\xbf1"],
    "npy": [npy([1, 0]), npy([0.5, 1]), npy([[1, 0]]), npy([1, 0, 1]), npy([0.0] * 20_000)],
    "json": [
        *(b'{"c": "x"}', b'{"c": ["a", "b"], "y": "cat"}', b'{"c": null}', b"{}"),
        *(b'{"c": NaN}', b'{"c": 5}', b'{"c": "\\ud83d"}', b"[1]", b'{"other": NaN, "c": "z"}'),
    ],
}
JUNK = [b"", b"\0", b"\xff\xfe", b"x" * 70_000, b"PK\x03\x04", b"PNG"]
KEYS = ["0", "1", "a/0", "b.c/1", "README", "é", "x y", ".hid", "._0", "__MACOSX/0", "index"]
ENDINGS = [
    *("jpg", "JPG", "png", "jpeg", "webp", "txt", "TXT", "0.txt", "1.txt", "en.txt", "cls"),
    *("npy", "json", "mask.png", "gif", "pth", "", "v2.jpg"),
]


class Shard(NamedTuple):
    """The members of a tar in order, how it is written, and the options of a spec.

    A plain one has nothing that a reader may refuse.
    """

    members: list[Member]
    form: int
    options: dict[str, Any]
    is_plain: bool = False

    def write(self, path: Path) -> None:
        """Write it as tools do; with pax headers where its form has some."""
        with tarfile.open(path, "w", format=self.form) as tar:
            for name, content in self.members:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                info.pax_headers = {"comment": "é"}
                tar.addfile(info, io.BytesIO(content))


_PLAIN: Mapping[str, Sequence[bytes]] = {
    "jpg": [picture(red, "JPEG") for red in (0, 90)],
    "txt": [b"a", b"a\n b", "\ufeffé".encode(), b" ", b"", b"a\r\nc"],
    "cls": [b"0", b" 1\n", b"cat"],
    "png.bak": [b"?"],
}
_plain_keys = st.sampled_from(["0", "1", "a/0", "b c/1", "é", "0001", "._0", "d/.hid"])


@st.composite
def shards(draw: st.DrawFn) -> Shard:
    """A tar of any members, or of such as cannot be refused."""
    form = draw(st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
    if draw(st.booleans()):
        drawn = draw(st.lists(members(), min_size=1, max_size=8))
        return Shard(drawn, form, draw(OPTIONS))
    names = draw(st.lists(st.tuples(_plain_keys, st.sampled_from([*_PLAIN])), unique=True))
    options = draw(st.fixed_dictionaries({"label_names": st.just(LABELS)}, optional=_PLAIN_OPTIONS))
    found = [(f"{k}.{e}", draw(st.sampled_from(_PLAIN[e]))) for k, e in [*names, ("z", "jpg")]]
    return Shard(found, form, options, is_plain=True)


@st.composite
def members(draw: st.DrawFn) -> Member:
    """A member with content of its ending, or some other."""
    ending = draw(st.sampled_from(ENDINGS))
    usual = CONTENT.get(ending.lower().rpartition(".")[2], JUNK)
    content = draw(st.sampled_from(usual) if draw(st.integers(0, 19)) else st.sampled_from(JUNK))
    name = draw(st.sampled_from(["", "./"])) + draw(st.sampled_from(KEYS))
    return f"{name}.{ending}" if ending else name, content


_PLAIN_OPTIONS = {"caption_lines": st.booleans()}
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "label_names": st.just(LABELS),
        "text_field": st.just("c"),
        "image_endings": st.sampled_from([["jpg"], ["mask.png"], ["png", "jpg"]]),
        "caption_lines": st.booleans(),
        "modalities": st.sampled_from([["image"], ["text"], ["image", "text"]]),
    },
)


# --- a plain reader ---------------------------------------------------------------------------


def plain_groups(rows: Sequence[Member]) -> dict[str, dict[str, bytes]]:
    """The members of each key, without those that a system left."""
    groups: dict[str, dict[str, bytes]] = {}
    for name, content in rows:
        parts = name.removeprefix("./").split("/")
        stem, dot, ending = parts[-1].partition(".")
        if dot and stem and parts[0] != "__MACOSX":
            groups.setdefault("/".join([*parts[:-1], stem]), {})[ending.lower()] = content
    return groups


def is_sample(key: str, found: Found, chosen: Sequence[str]) -> bool:
    if key in ("README", "index"):
        return bool(found.keys() & {*PICTURES, "cls"})
    return bool(found.keys() & {*PICTURES, *chosen, "txt", "0.txt", "1.txt", "cls", "json"})


def plain_captions(found: Found, options: Options) -> tuple[str, ...]:
    if "text_field" in options:
        value = json.loads(found.get("json", b"{}")).get("c") or []
        return (value,) if isinstance(value, str) else tuple(value)
    texts = [found[key].decode("utf-8-sig") for key in ("txt", "0.txt", "1.txt") if key in found]
    if options.get("caption_lines"):
        texts = [line for text in texts for line in text.split("\n")]
    return tuple(text.strip() for text in texts if text.strip())


def plain_label(found: Found, labels: Sequence[str] = LABELS) -> tuple[str, ...] | None:
    """The label, by its name or its number."""
    if "cls" not in found:
        return None
    text = found["cls"].decode("utf-8-sig").strip()
    if text.isdecimal() and int(text) < len(labels):
        return (labels[int(text)],)
    if text not in labels or text.isdecimal():
        raise Unclear("a label without a name")
    return (text,)


def read_plainly(rows: Sequence[Member], options: Options) -> list[Told]:
    """The samples of a shard, of the file `s.tar`."""
    chosen = options.get("image_endings", [])
    modalities = options.get("modalities", ["image", "text"])
    groups = {
        key: found
        for key, found in plain_groups(rows).items()
        if is_sample(key, found, chosen if "image" in modalities else [])
    }
    try:
        return [_told(f"s/{key}", found, options, modalities) for key, found in groups.items()]
    except (AttributeError, TypeError, ValueError) as error:
        raise Unclear(f"a member says something else: {error}") from error


def left_out(rows: Sequence[Member], samples: Sequence[Told]) -> int:
    """How many members are of no sample."""
    keys = {sample.id.removeprefix("s/") for sample in samples}
    return len(rows) - sum(len(found) for key, found in plain_groups(rows).items() if key in keys)


def _told(name: str, found: Found, options: Options, modalities: Sequence[str]) -> Told:
    pictures = plain_pictures(found, options) if "image" in modalities else []
    captions = plain_captions(found, options) if "text" in modalities else ()
    has = {"image": bool(pictures), "text": bool(captions)}
    labels = plain_label(found) if "label_names" in options else None
    return Told(name, tuple(kind for kind, there in has.items() if there), captions, labels)


def plain_pictures(found: Found, options: Options) -> list[bytes]:
    """The picture of a sample."""
    endings = [one for one in options.get("image_endings", PICTURES) if one in found]
    if len(endings) > 1:
        raise Unclear("two pictures of one key")
    return [found[ending] for ending in endings]
