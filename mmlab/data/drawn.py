"""Samples drawn of each split, and the facts of what they hold.

Which ones are drawn is decided by a hash, so that a seed draws the same ones everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice

from PIL import Image

from mmlab.data.facts import (
    DrawnFacts,
    Places,
    Reads,
    is_row,
    is_video,
    read_columns,
    read_pictures,
    read_sounds,
    read_texts,
    read_videos,
)
from mmlab.data.samples import NamedSplit, captions_of
from mmlab.plugin import Sample

#: Samples of each split of which texts and rows of tables are looked at.
ROWS = 10_000
#: Files of each split and modality that are opened.
PICTURES, SOUNDS, VIDEOS = 300, 50, 10
#: Values that are read at most to see what a modality is.
TRIES = 10


def draw(count: int, size: int, *scope: object) -> list[int]:
    """Different numbers below `size`, at most `count`, in order; all where there are no more.

    >>> draw(3, 100, 0, "train"), draw(5, 3, 0)
    ([16, 90, 91], [0, 1, 2])
    """
    if count >= size:
        return list(range(size))
    found = set[int]()
    number = 0
    while len(found) < count:
        text = "/".join(map(str, (*scope, number)))
        found.add(int.from_bytes(hashlib.sha256(text.encode()).digest()) % size)
        number += 1
    return sorted(found)


def look(parts: Sequence[NamedSplit], seed: int) -> DrawnFacts:
    """Facts of samples that are drawn of each split."""
    facts = DrawnFacts()
    for modality in dict.fromkeys(name for part in parts for name in part.dataset.modalities):
        rows = [sample for part in parts for sample in _draw_rows(part, modality, seed)]
        known = [sample for sample in rows if sample.values[modality] is not None]
        if known and is_row(known[0].values[modality]):
            facts.columns[modality] = read_columns(known, modality)
        elif known and isinstance(captions_of(known[0].values[modality])[0], str):
            facts.texts[modality], facts.raw_texts[modality] = read_texts(known, modality)
        else:
            _look_at_files(facts, parts, modality, seed)
    return facts


def _draw_rows(part: NamedSplit, modality: str, seed: int) -> Iterator[Sample]:
    """Outlines of drawn samples that have a modality."""
    assert part.look is not None, "whoever inspects can look at every sample"
    for index in draw(ROWS, len(part.dataset), seed, part.name):
        sample = part.look(index)
        if modality in sample.values:
            yield sample


def _look_at_files(
    facts: DrawnFacts, parts: Sequence[NamedSplit], modality: str, seed: int
) -> None:
    """Facts of what has to be read, by what the first values are that can be."""
    tries = Reads(_draw_places(parts, modality, TRIES, seed), modality)
    first = next(tries.values(), None)
    if first is None and tries.failed:
        facts.unreadable[modality] = tries.unreadable
    if isinstance(first, Image.Image):
        places = _draw_places(parts, modality, PICTURES, seed)
        facts.pictures[modality] = read_pictures(places, modality)
    elif isinstance(first, tuple):
        places = _draw_places(parts, modality, SOUNDS, seed)
        facts.sounds[modality] = read_sounds(places, modality)
    elif is_video(first):
        places = _draw_places(parts, modality, VIDEOS, seed)
        facts.videos[modality] = read_videos(places, modality)


def _draw_places(parts: Sequence[NamedSplit], modality: str, count: int, seed: int) -> Places:
    """Drawn samples of each split that have a modality; of a rare one perhaps fewer."""
    found: list[tuple[NamedSplit, int]] = []
    for part in parts:
        assert part.look is not None, "as above"
        look_at = part.look
        drawn = draw(4 * count, len(part.dataset), seed, part.name)
        having = (index for index in drawn if modality in look_at(index).values)
        found += [(part, index) for index in islice(having, count)]
    return found
