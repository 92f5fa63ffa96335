"""Karpathy's JSON of pictures and captions, as people cut and join it, and a plain reader."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from support.fuzz.csv_files import RARE, TEXTS
from support.fuzz.outcome import Told, Unclear
from support.fuzz.roles import FILES, MANY

SPLITS = {"train": "train", "restval": "train", "val": "validation", "test": "test"}
_text = st.sampled_from([text for text in TEXTS if text.strip()]) | st.text(min_size=1, max_size=8)
_raw = st.fixed_dictionaries({"raw": _text}, optional={"tokens": st.lists(_text, max_size=2)})
_odd_raw = st.sampled_from(
    [{"raw": text} for text in [*RARE, "", " ", "\ud83d", None, 5, float("nan"), ["a"]]]
    + [{}, "a cat", None, ["raw"]]
)
_names = st.sampled_from(["a.png", "b.png", "./a.png", "sub/ü b.png"])
_odd_names = st.sampled_from(
    ["", "no.png", "../a.png", "/a.png", None, 7, "a\0", "\ud83d.png", "."]
)
_image = st.fixed_dictionaries(
    {
        "filename": _names,
        "split": st.sampled_from([*SPLITS]),
        "sentences": st.lists(_raw, min_size=1, max_size=3),
    },
    optional={"filepath": st.just(""), "cocoid": st.integers() | st.floats(), "imgid": _text},
)
_odd_image = st.fixed_dictionaries(
    {},
    optional={
        "filename": _names | _odd_names,
        "filepath": st.sampled_from(["sub", "..", None, 3, ""]),
        "split": st.sampled_from([*SPLITS, "Test", "", None, 1, ["test"]]),
        "sentences": st.lists(_raw | _odd_raw, max_size=2) | st.sampled_from([None, {}, "a cat"]),
    },
) | st.sampled_from([None, 5, "a.png", []])
ENCODINGS = ["utf-8"] * 4 + ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"]


class KarpathyFile(NamedTuple):
    """A file's bytes, the split that is read, and how many captions of each picture."""

    content: bytes
    split: Any
    captions: int | None


@st.composite
def karpathy_files(draw: st.DrawFn) -> KarpathyFile:
    """A file of images, now and then odd, damaged or in another encoding."""
    images = draw(st.lists(_image, max_size=MANY))
    if draw(st.integers(0, 2)) == 1:
        images.insert(draw(st.integers(0, len(images))), draw(_odd_image))
    document: Any = {"images": images, "dataset": draw(st.sampled_from(["coco", "own", 5, None]))}
    if draw(st.integers(0, 19)) == 13:
        document = draw(st.sampled_from([images, {}, {"images": {}}, {"images": None}, None]))
    text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 19)) == 13:
        text = text[: draw(st.integers(0, len(text)))]
    encoding = draw(st.sampled_from(ENCODINGS))
    content = text.encode(encoding, "surrogatepass" if "utf" in encoding else "replace")
    split = draw(st.sampled_from(["train", "validation", "test"]))
    return KarpathyFile(content, split, draw(st.sampled_from([None, None, 1, 2])))


def read_plainly(file: KarpathyFile) -> list[Told]:
    """The pictures of a split, each file once, with the captions of all."""
    try:
        document = json.loads(file.content)
    except ValueError as error:
        raise Unclear("no JSON") from error
    images = document.get("images") if isinstance(document, dict) else None
    if not isinstance(images, list):
        raise Unclear("no images")
    captions: dict[str, list[str]] = {}
    for image in images:
        split = image.get("split") if isinstance(image, dict) else None
        if not isinstance(split, str) or split not in SPLITS:
            raise Unclear("no split")
        if SPLITS[split] == file.split:
            captions.setdefault(_file(image), []).extend(_captions(image.get("sentences")))
    return [
        Told(name, ("image", "text"), tuple(texts[: file.captions]))
        for name, texts in captions.items()
    ]


def _file(image: Any) -> str:
    name, folder = image.get("filename"), image.get("filepath", "")
    if not isinstance(name, str) or not isinstance(folder, str):
        raise Unclear("no file")
    path = posixpath.normpath(posixpath.join(folder, name))
    if path not in FILES:
        raise Unclear("no such file")
    return path


def _captions(sentences: Any) -> Sequence[str]:
    if not isinstance(sentences, list) or not sentences:
        raise Unclear("no sentences")
    raws = [sentence.get("raw") if isinstance(sentence, dict) else None for sentence in sentences]
    for raw in raws:
        if not isinstance(raw, str) or not raw.strip() or re.search("[\0\ud800-\udfff]", raw):
            raise Unclear("no caption")
        if len(raw.strip().encode()) > 4096:
            raise Unclear("a caption too long")
    return [raw.strip() for raw in raws]
