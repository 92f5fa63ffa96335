"""Letters made of things: the letter's form, the thing's colours, and which pairs are held out."""

from __future__ import annotations

from string import ascii_uppercase
from typing import Any

import numpy as np
import pytest
from mmlab_datasets.alphabet import LARGE, SMALL, THINGS, Alphabet

from mmlab.plugin import DataError, Sample, Split
from mmlab.testing import check_dataset

FEW = {"train_samples": 208, "validation_samples": 208, "test_samples": 52}
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def ink(sample: Sample) -> Any:
    """Which pixels are no white ground: (height, width)."""
    picture: Any = sample.values["image"]
    return np.asarray(picture).min(-1) < 250


def regions(mask: Any) -> int:
    """How many separate regions there are, corners joined."""
    from scipy import ndimage

    return int(ndimage.label(mask, np.ones((3, 3)))[1])


def pairs(split: Split, **options: Any) -> set[str]:
    pictures = Alphabet(split, **{**FEW, **options})
    return {str(pictures.outline(index).values["text"]) for index in range(len(pictures))}


@pytest.mark.parametrize(
    ("letter", "holes"), [("A", 1), ("B", 2), ("C", 0), ("O", 1), ("T", 0), ("D", 1), ("X", 0)]
)
def test_a_letter_is_one_piece_with_its_holes(letter: str, holes: int) -> None:
    pictures = Alphabet("train", labels="letter", image_size=96, **FEW)
    number = ascii_uppercase.index(letter)
    shown = [i for i in range(len(pictures)) if pictures.outline(i).labels == (number,)]
    assert len(shown) == 8
    for index in shown:
        mask = np.pad(ink(pictures[index]), 1)
        assert regions(mask) == 1
        assert regions(~mask) == 1 + holes


def test_a_letter_has_the_height_that_is_drawn_and_is_whole() -> None:
    pictures = Alphabet("test", image_size=80, **FEW)
    heights = []
    for index in range(52):
        rows = np.flatnonzero(ink(pictures[index]).any(1))
        heights.append(int(rows[-1] - rows[0] + 1))
    assert min(heights) >= SMALL * 80 - 2
    assert max(heights) <= LARGE * 80 + 1
    assert len(set(heights)) > 5


def test_a_letter_has_the_colour_of_its_thing() -> None:
    things = ("tomato", "frog", "whale")
    options = {"things": things, "unseen_pairs": False, "image_size": 64}
    pictures = Alphabet("test", labels="thing", **{**FEW, "test_samples": 78}, **options)
    for index in range(78):
        sample = pictures[index]
        picture: Any = sample.values["image"]
        strongest = int(np.asarray(picture)[ink(sample)].mean(0).argmax())
        assert sample.labels == (strongest,)  # red, green and blue things, in this order


def test_unseen_pairs_are_in_the_test_split_alone() -> None:
    train, validation, test = (pairs(split) for split in SPLITS)
    assert train == validation
    assert (len(train), len(test)) == (208, 52)
    assert not train & test
    for number, letter in enumerate(ascii_uppercase):
        mine = [text for text in test if text.startswith(f"the letter {letter} ")]
        assert len(mine) == 2, number
    assert {text.rpartition(" made of ")[2] for text in test} == {
        text.rpartition(" made of ")[2] for text in train
    }


def test_all_splits_may_have_all_pairs() -> None:
    sizes = {"train_samples": 260, "validation_samples": 260, "test_samples": 260}
    every = [pairs(split, unseen_pairs=False, **sizes) for split in SPLITS]
    assert every[0] == every[1] == every[2]
    assert len(every[0]) == 26 * len(THINGS)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [("letter", "A"), ("thing", "cat"), ("pair", "the letter A made of cats")],
)
def test_labels_name_what_is_asked(labels: Any, expected: str) -> None:
    pictures = Alphabet("test", labels=labels, **FEW)
    (label,) = pictures.outline(0).labels or ()
    assert pictures.labels[label] == expected
    assert pictures.outline(0).values["text"] == "the letter A made of cats"


def test_a_picture_depends_on_its_number_and_the_seed_alone() -> None:
    one, other = Alphabet("test", **FEW), Alphabet("test", seed=1, **FEW)
    longer = Alphabet("test", **{**FEW, "test_samples": 70})
    for index in (51, 0, 7):
        assert one[index].values["image"] == longer[index].values["image"]
    assert one[0].values["image"] != other[0].values["image"]
    assert len({each.revision for each in (one, longer, other)}) == 3


def test_a_thing_must_be_an_emoji() -> None:
    with pytest.raises(DataError, match=r"dataset\.things: no embedded emoji has this name"):
        Alphabet("train", things=("cat", "hovercraft"))


def test_it_keeps_the_contract() -> None:
    check_dataset(Alphabet, train_samples=12, validation_samples=8, test_samples=8)
