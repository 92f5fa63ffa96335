"""Videos of a moving emoji: where it goes, which pairs are held out, the same for a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mmlab_datasets.moving import DIRECTIONS, FAR, NEAR, THINGS, MovingEmoji

from mmlab.plugin import DataError, Sample, Split
from mmlab.testing import check_dataset

FEW = {"train_samples": 60, "validation_samples": 40, "test_samples": 40}
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def centres(sample: Sample) -> Any:
    """The middle of what is drawn in each frame, (frames, 2): right and down, in pixels."""
    video: Any = sample.values["video"]
    ink = 255.0 - video.numpy().mean(1)
    ink[ink < 16] = 0
    down, right = np.indices(ink.shape[1:])
    return np.stack([(ink * axis).sum((1, 2)) / ink.sum((1, 2)) for axis in (right, down)], 1)


def pairs(split: Split, **options: Any) -> set[str]:
    videos = MovingEmoji(split, **FEW, **options)
    return {str(videos.outline(index).values["text"]) for index in range(len(videos))}


def test_the_emoji_goes_where_the_text_says() -> None:
    videos = MovingEmoji("train", labels="direction", image_size=64, **FEW)
    for index in range(40):
        sample = videos[index]
        went = centres(sample)[-1] - centres(sample)[0]
        direction = videos.labels[sample.labels[0]] if sample.labels else ""
        assert str(sample.values["text"]).endswith(f"moving {direction}")
        along = float(went @ DIRECTIONS[direction])
        assert NEAR * 64 - 1.5 <= along <= FAR * 64 + 1.5
        assert abs(np.delete(went, np.flatnonzero(DIRECTIONS[direction])[0])[0]) < 0.5


def test_it_goes_evenly_and_stays_whole_within_the_picture() -> None:
    videos = MovingEmoji("test", image_size=48, frames=6, **FEW)
    for index in range(20):
        sample = videos[index]
        steps = np.diff(centres(sample), axis=0)
        assert np.abs(steps - steps.mean(0)).max() < 1.01  # places are whole pixels
        video: Any = sample.values["video"]
        ink = (255.0 - video.numpy().mean(1)).sum((1, 2))
        assert np.ptp(ink) < 1e-6 * ink.mean()


def test_unseen_pairs_are_in_the_test_split_alone() -> None:
    train, validation, test = (pairs(split) for split in SPLITS)
    assert train == validation
    assert len(train) == 3 * len(THINGS)
    assert not train & test
    assert len(test) == len(THINGS)
    assert {text.rpartition(" ")[2] for text in test} == set(DIRECTIONS)


def test_all_splits_may_have_all_pairs_at_places_of_their_own() -> None:
    every = [pairs(split, unseen_pairs=False) for split in SPLITS]
    assert every[0] == every[1] == every[2]
    assert len(every[0]) == 4 * len(THINGS)
    train, test = (MovingEmoji(split, unseen_pairs=False, **FEW) for split in ("train", "test"))
    assert not np.allclose(centres(train[0]), centres(test[0]))


@pytest.mark.parametrize(
    ("labels", "expected"), [("thing", "bus"), ("direction", "up"), ("pair", "a bus moving up")]
)
def test_labels_name_what_is_asked(labels: Any, expected: str) -> None:
    videos = MovingEmoji("test", labels=labels, **FEW)
    (label,) = videos.outline(2).labels or ()
    assert videos.labels[label] == expected


def test_a_video_depends_on_its_number_and_the_seed_alone() -> None:
    one = MovingEmoji("test", **FEW)
    longer = MovingEmoji("test", **{**FEW, "test_samples": 70})
    other = MovingEmoji("test", seed=1, **FEW)
    for index in (39, 0, 7):
        assert (one[index].values["video"] == longer[index].values["video"]).all()  # type: ignore[attr-defined]
    assert not np.allclose(centres(one[0]), centres(other[0]))
    assert len({each.revision for each in (one, longer, other)}) == 3


def test_a_thing_must_be_an_emoji() -> None:
    with pytest.raises(DataError, match=r"dataset\.things: no embedded emoji has this name"):
        MovingEmoji("train", things=("cat", "hovercraft"))
    with pytest.raises(DataError, match="named twice"):
        MovingEmoji("train", things=("cat", "frog", "cat"))


def test_it_keeps_the_contract() -> None:
    check_dataset(MovingEmoji, **FEW)
