"""Folders of files, a label each, as people have them, and plain readers of these."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from support.fuzz.outcome import Told, Unclear

KINDS = {
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".webp"), "image"),
    **dict.fromkeys((".wav", ".flac", ".ogg", ".mp3"), "audio"),
    **dict.fromkeys((".mp4", ".mov", ".mkv", ".webm", ".avi"), "video"),
}
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_labels = st.sampled_from(["cat", "dog", "Cat", "ü b", "a.b", "e\u0301", "two words", "1", "-"])
_stems = st.sampled_from(["0", "1", "a b", "x.y", "日本", "IMG_1", "-", "new\nline"])
_endings = st.sampled_from([".jpg", ".JPG", ".png", ".jpeg", ".webp", ".jpg"])
_others = st.sampled_from([".wav", ".mp4", ".txt", "", ".gif", ".jpg.bak", ".db"])
_odd = st.sampled_from(
    [
        *("stray.jpg", ".hidden/a.jpg", "cat/.DS_Store", "__MACOSX/cat/a.jpg", "cat/._a.jpg"),
        *("Thumbs.db", "README", "train/stray.jpg", "cat/\udcff.jpg", "\udce9t\udce9/a.jpg"),
        *("cat/deep/er/a.png", ".ipynb_checkpoints/a.png", "test/cat/a.jpg"),
    ]
)


class FolderTree(NamedTuple):
    """The names of all files, and the options of a spec."""

    names: list[str]
    options: dict[str, Any]
    split: Any

    def write(self, folder: Path) -> None:
        """Write files of no content; nobody opens them."""
        for name in self.names:
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(path).write_bytes(b"x" * len(name))


@st.composite
def folder_trees(draw: st.DrawFn) -> FolderTree:
    """Files in folders of labels, perhaps of splits, with others among them."""
    splits = draw(st.sampled_from([["train"], ["Train", "val", "test"], ["dev", "training"]]))
    outer = st.sampled_from(splits) if draw(st.booleans()) else st.none()
    file = st.tuples(
        outer, _labels, _stems, _endings if draw(st.booleans()) else _endings | _others
    )
    drawn = draw(st.lists(file, min_size=1, max_size=10, unique=True))
    names = ["/".join([*([o] if o else []), label, stem + end]) for o, label, stem, end in drawn]
    if draw(st.booleans()):
        names += draw(st.lists(_odd, max_size=2, unique=True))
    options: dict[str, Any] = {"validation_fraction": 0, "test_fraction": 0}
    if draw(st.integers(0, 3)) == 1:
        options["media"] = draw(st.sampled_from(["image", "audio"]))
    split = draw(st.sampled_from(["train", "train", "validation", "test"]))
    return FolderTree(names, options, split)


def read_plainly(tree: FolderTree) -> list[Told]:
    """The samples of a split, and what is to be refused."""
    media = [name for name in sorted(set(tree.names)) if _kind(name) and not is_hidden(name)]
    if any("\udc80" <= character <= "\udcff" for name in media for character in name):
        raise Unclear("a name is no text")
    outermost = {name.split("/")[0] for name in media if "/" in name}
    splits = {name for name in outermost if name.lower() in SPLITS}
    depth = 1 if outermost and outermost == splits else 0
    for name in () if depth else splits:
        if not any(os.path.dirname(one) == name for one in media):
            raise Unclear("a split's folder beside others")
    if any(name.count("/") < depth + 1 for name in media):
        raise Unclear("a file lies beside the labels' folders")
    kinds = {_kind(name) for name in media}
    kind = tree.options.get("media") or (kinds.pop() if len(kinds) == 1 else None)
    if kind is None or not any(_kind(name) == kind for name in media):
        raise Unclear("no file, or files of several kinds")
    return [
        Told(name, (kind,), (), (name.split("/")[depth],))
        for name in media
        if _kind(name) == kind
        and (SPLITS[name.split("/")[0].lower()] if depth else "train") == tree.split
    ]


def left_out(tree: FolderTree) -> Sequence[str]:
    """The files that are seen and not read: a word must tell of them."""
    kinds = {_kind(name) for name in tree.names if not is_hidden(name)} - {None}
    kind = tree.options.get("media") or next(iter(kinds))
    return [name for name in tree.names if not is_hidden(name) and _kind(name) != kind]


def is_hidden(name: str) -> bool:
    """Whether a file is none of the user's."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _kind(name: str) -> str | None:
    return KINDS.get(os.path.splitext(name)[1].lower())
