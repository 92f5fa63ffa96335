"""Letters made of things: every pair in one split, the letter's area alone is coloured."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from mmlab_datasets.alphabet import EVERY, LETTERS, THINGS, Alphabet, letter_mask, pairs_of
from PIL import Image

from mmlab.plugin import SPLITS, DataError, Sample
from mmlab.testing import check_dataset


def pixels(sample: Sample) -> Any:
    picture = sample.values["image"]
    assert isinstance(picture, Image.Image)
    return np.asarray(picture).astype(int)


@pytest.mark.parametrize("things", [EVERY, 7, len(THINGS), 200])
def test_every_pair_is_in_one_split_and_training_has_every_part(things: int) -> None:
    pairs = {split: pairs_of(split, things) for split in SPLITS}
    every = sorted(itertools.chain.from_iterable(pairs.values()))
    assert every == sorted(itertools.product(range(len(LETTERS)), range(things)))
    for found in pairs.values():
        assert {letter for letter, _ in found} == set(range(len(LETTERS)))
        assert {thing for _, thing in found} == set(range(things))
    assert len(pairs["train"]) > len(every) * 0.6


def test_its_samples_are_its_pairs_so_often() -> None:
    for split in SPLITS:
        alphabet = Alphabet(split, drawings=3)
        texts = [str(alphabet.outline(index).values["text"]) for index in range(len(alphabet))]
        expected = [f"the letter {LETTERS[a]} made of {THINGS[b]}" for a, b in alphabet.pairs]
        assert texts == 3 * expected


@pytest.mark.parametrize("labels", ["letter", "thing"])
def test_the_label_is_a_part_of_the_text(labels: Any) -> None:
    alphabet = Alphabet("test", labels=labels, drawings=1)
    for index in range(len(alphabet)):
        sample = alphabet.outline(index)
        assert sample.labels is not None
        assert alphabet.labels[sample.labels[0]] in str(sample.values["text"])
    assert len(alphabet.labels) == {"letter": 26, "thing": 12}[labels]


def test_the_letter_alone_is_coloured() -> None:
    """Where the mask is nothing all is white, where it is all nothing is."""
    alphabet = Alphabet("train", image_size=48)
    for index in range(0, len(alphabet.pairs), 17):
        letter, thing = alphabet.pairs[index]
        draw = random.Random(f"0/train/{LETTERS[letter]}/{thing}/0")
        mask = np.asarray(letter_mask(LETTERS[letter], 48, draw))
        whole, picture = mask == 255, pixels(alphabet[index])
        assert bool((picture[mask == 0] == 255).all())
        assert 0.02 < whole.mean() < 0.5
        assert bool((picture[whole].min(-1) < 255).all())


@pytest.mark.parametrize("letter", LETTERS)
def test_no_letter_is_cut_at_an_edge(letter: str) -> None:
    for seed in range(20):
        mask = np.asarray(letter_mask(letter, 32, random.Random(seed)))
        edges = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert edges.max() == 0


def test_letters_differ_more_from_each_other_than_their_drawings_do() -> None:
    """To the mean mask of each letter: every single drawing is nearest to its own."""

    def masks(first: int, last: int) -> Any:
        drawn = [
            [np.asarray(letter_mask(one, 32, random.Random(n))) for n in range(first, last)]
            for one in LETTERS
        ]
        return np.array(drawn, float)

    means = masks(0, 30).mean(1).reshape(26, -1)
    others = masks(30, 34).reshape(26, 4, -1)
    distances = ((others[:, :, None] - means[None, None]) ** 2).sum(-1)
    nearest = distances.argmin(-1)
    assert (nearest == np.arange(26)[:, None]).mean() > 0.9


def test_a_picture_depends_on_its_pair_and_number_alone() -> None:
    few, many = Alphabet("test", drawings=2), Alphabet("test", drawings=5)
    for index in (3, 40, len(few) - 1):
        assert few[index].id == many[index].id
        assert (pixels(few[index]) == pixels(many[index])).all()
    again = few[0], few[len(few.pairs)]
    assert (pixels(again[0]) != pixels(again[1])).any()
    assert (pixels(Alphabet("test", seed=1)[0]) != pixels(again[0])).any()


def test_the_alphabet_keeps_the_contract() -> None:
    check_dataset(Alphabet, drawings=1, image_size=16, things=THINGS[:EVERY])


def test_things_that_are_no_emoji_or_named_twice_are_told() -> None:
    with pytest.raises(DataError, match=r"no emoji has this name\n.*found: cat fase"):
        Alphabet("train", things=[*THINGS, "cat fase"])
    with pytest.raises(DataError, match="named twice"):
        Alphabet("train", things=[*THINGS, "frog"])
    with pytest.raises(IndexError):
        Alphabet("test")[416]
