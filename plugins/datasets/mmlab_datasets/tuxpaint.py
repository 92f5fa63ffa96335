"""Tux Paint's stamps: a picture, a caption in any of its languages, and the caption spoken."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Annotated, BinaryIO

from PIL import Image
from pydantic import Field

from mmlab.plugin import DataError, Origin, Sample, Source, Split, explain, open_file
from mmlab_datasets.media import read_picture
from mmlab_datasets.sound import read_sound
from mmlab_datasets.splits import draw_splits
from mmlab_datasets.stamps import ENGLISH, Stamp, languages, read_stamps

Fraction = Annotated[float, Field(ge=0, lt=0.5, description="part of the groups")]


class TuxPaint:
    """Stamps (image), what they are (text, audio), and the folder they lie in (label).

    Pictures are laid on a white square. Where a stamp has no caption in `language` or none spoken
    in `speech`, the sample lacks that modality. Stamps whose captions are alike, in English or in
    either language, letter case and punctuation aside, are in one split: two frogs, or a letter
    drawn twice. A hash of `seed` and group decides which.
    Raises DataError for a folder without stamps, a language that no stamp has, a damaged file.
    """

    numerics = 1
    modalities: tuple[str, ...] = ("image", "text", "audio")
    is_multi_label = False
    templates: tuple[str, ...] = ("{}", "a picture of {}.")

    def __init__(
        self,
        split: Split,
        *,
        path: Annotated[Path, Field(description="Tux Paint's folder of stamps")] = Path(
            "/usr/share/tuxpaint/stamps"
        ),
        language: Annotated[str, Field(description="of the captions: en, fr, zh_TW ...")] = ENGLISH,
        speech: Annotated[str, Field(description="language of the spoken captions")] = "fr",
        validation_fraction: Fraction = 0.15,
        test_fraction: Fraction = 0.15,
        seed: Annotated[int, Field(description="of the splits")] = 0,
    ) -> None:
        stamps = read_stamps(path)
        _check_language("language", language, languages(stamps, "captions"))
        _check_language("speech", speech, languages(stamps, "speech"))
        self.labels = tuple(sorted({stamp.folder for stamp in stamps}))
        groups = group_alike([_captions(stamp, language, speech) for stamp in stamps])
        fractions = {"validation": validation_fraction, "test": test_fraction}
        splits = draw_splits([stamps[first].name for first in groups], fractions, seed)
        content = [[*map(astuple, stamps)], language, speech, splits]
        self.revision = f"tuxpaint-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]}"
        self._root = path
        self._language, self._speech = language, speech
        self._stamps = [stamp for stamp, own in zip(stamps, splits, strict=True) if own == split]

    def __len__(self) -> int:
        """Number of stamps in the split."""
        return len(self._stamps)

    def __getitem__(self, index: int) -> Sample:
        """One stamp; its id is its path below the root, without ending."""
        stamp, sample = self._stamps[index], self.outline(index)
        file = self._file(stamp, "image")
        values = {**sample.values, "image": on_white_square(read_picture(file, str(file)))}
        if "audio" in values:
            file = self._file(stamp, "audio")
            values["audio"] = read_sound(file, str(file))
        return replace(sample, values=values)

    def trace(self, index: int) -> Origin:
        """The stamp's picture and its sound."""
        stamp = self._stamps[index]
        sources = {"image": Source(str(self._file(stamp, "image").absolute()), stamp.sizes[0])}
        if self._speech in stamp.speech:
            size = stamp.sizes[2 + sorted(stamp.speech).index(self._speech)]
            sources["audio"] = Source(str(self._file(stamp, "audio").absolute()), size)
        return Origin(sources)

    def open_source(self, index: int, modality: str) -> BinaryIO:
        """The bytes of a picture or a sound."""
        return open_file(self._file(self._stamps[index], modality))

    def _file(self, stamp: Stamp, modality: str) -> Path:
        picture = self._root / f"{stamp.name}.png"
        return picture if modality == "image" else picture.parent / stamp.speech[self._speech]

    def outline(self, index: int) -> Sample:
        """One stamp without its picture and its sound."""
        stamp = self._stamps[index]
        values: dict[str, object] = {"image": None}
        if self._language in stamp.captions:
            values["text"] = stamp.captions[self._language]
        if self._speech in stamp.speech:
            values["audio"] = None
        return Sample(stamp.name, values, (self.labels.index(stamp.folder),))


def on_white_square(picture: Image.Image) -> Image.Image:
    """The picture in the middle of a square as wide as its longer side."""
    side = max(picture.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return square


def group_alike(captions: Sequence[Iterable[str]]) -> list[int]:
    """For each item the first of those it shares a caption with, directly or through others.

    Captions are alike where their letters, with their signs, and digits are, whatever their case.
    """
    leader = list(range(len(captions)))

    def find(item: int) -> int:
        while leader[item] != item:
            leader[item] = leader[leader[item]]
            item = leader[item]
        return item

    holder: dict[tuple[str, ...], int] = {}
    for item, texts in enumerate(captions):
        for text in texts:
            first, second = sorted((find(holder.setdefault(_words(text), item)), find(item)))
            leader[second] = first
    return [find(item) for item in range(len(captions))]


def _words(text: str) -> tuple[str, ...]:
    """Runs of letters, the vowel signs and accents on them, digits and underscores."""
    kept = (c if c == "_" or unicodedata.category(c)[0] in "LMN" else " " for c in text.casefold())
    return tuple("".join(kept).split())


def _captions(stamp: Stamp, *codes: str) -> list[str]:
    return [stamp.captions[code] for code in {ENGLISH, *codes} if code in stamp.captions]


def _check_language(option: str, language: str, known: Sequence[str]) -> None:
    if language in known:
        return
    raise DataError(
        explain(
            f"dataset.{option}",
            "no stamp has it",
            found=language,
            allowed=", ".join(known) or "none: no stamp has any",
            next_step="choose one of these; the first are those of most stamps",
        )
    )
