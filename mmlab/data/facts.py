"""Facts of samples: sizes of pictures, lengths of texts, sounds and videos, columns of rows.

What cannot be read is counted, and ends nothing.
"""

from __future__ import annotations

import statistics
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeGuard, cast

from PIL import Image, UnidentifiedImageError

from mmlab.data.samples import NamedSplit, captions_of
from mmlab.data.skipped import READ_ERRORS
from mmlab.errors import message_of
from mmlab.plugin import Sample, Traced

#: What reading a picture may raise.
PICTURE_ERRORS = (*READ_ERRORS, Image.DecompressionBombError)
#: Pictures that are read whole, of all that are drawn.
WHOLE = 60
#: Categories of a column that are counted one by one.
TOP = 5

Places = Sequence[tuple[NamedSplit, int]]


@dataclass(frozen=True)
class Range:
    """The smallest, the middle and the largest of some numbers."""

    minimum: float
    median: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Range | None:
        """Of these values; None where there is none."""
        if not values:
            return None
        return cls(min(values), statistics.median(values), max(values))


@dataclass(frozen=True)
class Unreadable:
    """How many drawn values could not be read, and why the first could not."""

    count: int = 0
    first: str = ""


@dataclass(frozen=True)
class Pictures:
    """Drawn pictures: their sizes in pixels, and modes and formats as their files say."""

    drawn: int
    width: Range | None
    height: Range | None
    size_bytes: Range | None
    modes: Mapping[str, int]
    formats: Mapping[str, int]
    unreadable: Unreadable


@dataclass(frozen=True)
class Sounds:
    """Drawn sounds: their durations in seconds, rates in Hz and numbers of channels."""

    drawn: int
    seconds: Range | None
    rates: Mapping[str, int]
    channels: Mapping[str, int]
    unreadable: Unreadable


@dataclass(frozen=True)
class Videos:
    """Drawn videos, as they are read: their numbers of frames and sizes in pixels."""

    drawn: int
    frames: Range | None
    width: Range | None
    height: Range | None
    unreadable: Unreadable


@dataclass(frozen=True)
class Texts:
    """Texts of drawn samples: how many a sample has, and words (parts between blanks) of each."""

    drawn: int
    captions: Range | None
    words: Range | None
    characters: Range | None


@dataclass(frozen=True)
class TextLengths:
    """What an encoder reads of texts: `length` ids of each, so that `cut` texts lose their end.

    `length` and `longest`, in ids, are None of an encoder that does not say how long a text is;
    `error` says why nothing could be measured.
    """

    encoder: str
    use: str
    modality: str
    texts: int
    cut: int = 0
    length: int | None = None
    longest: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class Column:
    """A column of drawn rows: numbers, or categories, of which those that occur most."""

    kind: str
    missing: int
    distinct: int
    range: Range | None
    top: Mapping[str, int]


@dataclass
class DrawnFacts:
    """What drawn samples hold, by modality; `raw_texts` are for text encoders to measure.

    `unreadable` has those of which no drawn value can be read, so that nobody knows what they are.
    """

    texts: dict[str, Texts] = field(default_factory=dict)
    columns: dict[str, dict[str, Column]] = field(default_factory=dict)
    pictures: dict[str, Pictures] = field(default_factory=dict)
    sounds: dict[str, Sounds] = field(default_factory=dict)
    videos: dict[str, Videos] = field(default_factory=dict)
    unreadable: dict[str, Unreadable] = field(default_factory=dict)
    raw_texts: dict[str, list[str]] = field(default_factory=dict)


class Shaped(Protocol):
    """What is asked of a tensor here: torch is imported by who reads one alone."""

    @property
    def shape(self) -> Sequence[int]:
        """Its sizes."""


def is_row(raw: object) -> TypeGuard[Mapping[str, object]]:
    """Whether a raw value is a row of a table."""
    return isinstance(raw, Mapping)


def is_video(raw: object) -> bool:
    """Whether a raw value is frames."""
    if isinstance(raw, list):
        return bool(raw) and isinstance(raw[0], Image.Image)
    return len(getattr(raw, "shape", ())) == 4


def in_short(error: Exception) -> str:
    r"""Why a value cannot be read, in one line: the fault, and what was found.

    >>> in_short(ValueError("a.png: cut short\n  found: 3 bytes\n  allowed: a whole file"))
    'a.png: cut short (found: 3 bytes)'
    """
    fault, *parts = [line.strip() for line in message_of(error).splitlines()] or [
        type(error).__name__
    ]
    found = [part for part in parts if part.startswith("found: ")]
    return f"{fault} ({found[0]})" if found else fault


class Reads:
    """Values of drawn samples, one after the other; keeps why some cannot be read."""

    def __init__(self, places: Places, modality: str) -> None:
        self.places, self.modality = places, modality
        self.failed: dict[tuple[str, int], str] = {}

    def each(
        self, read: Callable[[NamedSplit, int], object], places: Places | None = None
    ) -> Iterator[object]:
        """What is read of each sample, or of some."""
        for split, index in self.places if places is None else places:
            try:
                yield read(split, index)
            except PICTURE_ERRORS as error:
                self.failed.setdefault((split.name, index), in_short(error))

    def values(self, places: Places | None = None) -> Iterator[object]:
        """Each value, as a run reads it."""
        return self.each(lambda split, index: split.dataset[index].values[self.modality], places)

    @property
    def unreadable(self) -> Unreadable:
        """What could not be read."""
        return Unreadable(len(self.failed), next(iter(self.failed.values()), ""))


def read_pictures(places: Places, modality: str) -> Pictures:
    """Facts of pictures: of the heads of their files where those are known, else as read.

    Some of them are also read whole, as a run reads them.
    """
    reads = Reads(places, modality)
    heads = [
        cast(_Head, head)
        for head in reads.each(lambda part, index: _read_head(part, index, modality))
    ]
    for _ in reads.values(places[:: -(-len(places) // WHOLE)] if places else ()):
        pass  # what cannot be read is kept
    return Pictures(
        drawn=len(places),
        width=Range.of([head.width for head in heads]),
        height=Range.of([head.height for head in heads]),
        size_bytes=Range.of([head.size_bytes for head in heads if head.size_bytes]),
        modes=_counts(head.mode for head in heads),
        formats=_counts(head.format for head in heads if head.format),
        unreadable=reads.unreadable,
    )


@dataclass(frozen=True)
class _Head:
    width: int
    height: int
    mode: str
    format: str = ""
    size_bytes: int = 0


def _read_head(part: NamedSplit, index: int, modality: str) -> _Head:
    dataset = part.dataset
    source = dataset.trace(index).sources.get(modality) if isinstance(dataset, Traced) else None
    if source is None or not isinstance(dataset, Traced):
        picture = cast(Image.Image, dataset[index].values[modality])
        return _Head(*picture.size, picture.mode)
    with warnings.catch_warnings(), dataset.open_source(index, modality) as file:
        warnings.simplefilter("ignore")
        try:
            with Image.open(file) as head:
                return _Head(*head.size, head.mode, head.format or "", source.size_bytes)
        except UnidentifiedImageError as error:
            raise OSError(f"{source.name}: it is no picture") from error


def read_sounds(places: Places, modality: str) -> Sounds:
    """Facts of sounds, each read whole."""
    reads = Reads(places, modality)
    sounds = [cast("tuple[Shaped, int]", value) for value in reads.values()]
    return Sounds(
        drawn=len(places),
        seconds=Range.of([wave.shape[-1] / rate for wave, rate in sounds]),
        rates=_counts(str(rate) for _, rate in sounds),
        channels=_counts(str(wave.shape[0]) for wave, _ in sounds),
        unreadable=reads.unreadable,
    )


def read_videos(places: Places, modality: str) -> Videos:
    """Facts of videos, each read as a run reads it."""
    reads = Reads(places, modality)
    shapes = [video_shape(value) for value in reads.values()]
    frames, width, height = (Range.of([shape[axis] for shape in shapes]) for axis in range(3))
    return Videos(len(places), frames, width, height, reads.unreadable)


def video_shape(raw: object) -> tuple[int, int, int]:
    """Frames, width and height of a video."""
    if isinstance(raw, list):
        return len(raw), *cast(Image.Image, raw[0]).size
    frames, _, height, width = cast(Shaped, raw).shape
    return frames, width, height


def read_texts(samples: Sequence[Sample], modality: str) -> tuple[Texts, list[str]]:
    """Facts of the texts of samples, and the texts."""
    captions = [captions_of(sample.values[modality]) for sample in samples]
    texts = [text for own in captions for text in own if isinstance(text, str)]
    facts = Texts(
        drawn=len(samples),
        captions=Range.of([len(own) for own in captions]),
        words=Range.of([len(text.split()) for text in texts]),
        characters=Range.of([len(text) for text in texts]),
    )
    return facts, texts


def read_columns(samples: Sequence[Sample], modality: str) -> dict[str, Column]:
    """Facts of the columns of rows, by name."""
    cells: dict[str, list[object]] = {}
    for sample in samples:
        for name, cell in cast(Mapping[str, object], sample.values[modality]).items():
            cells.setdefault(name, []).append(cell)
    return {name: _column(len(samples), found) for name, found in cells.items()}


def _column(rows: int, cells: Sequence[object]) -> Column:
    known = [cell for cell in cells if cell is not None]
    numbers = [float(cell) for cell in known if isinstance(cell, int | float)]
    is_numeric = len(numbers) == len(known)
    return Column(
        kind="numbers" if is_numeric else "categories",
        missing=rows - len(known),
        distinct=len(set(known)),
        range=Range.of(numbers) if is_numeric else None,
        top={} if is_numeric else dict(Counter(map(str, known)).most_common(TOP)),
    )


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
