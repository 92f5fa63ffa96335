import pickle
import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from mmlab_datasets.emoji import Caption, Emoji
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from mmlab.plugin import SPLITS, Sample


@pytest.fixture(scope="module")
def splits() -> dict[str, Emoji]:
    return {split: Emoji(split) for split in SPLITS}


def samples(dataset: Emoji) -> Iterator[Sample]:
    return (dataset[index] for index in range(len(dataset)))


def words(text: object) -> list[str]:
    return re.findall(r"\w+", str(text).lower())


def pixels(sample: Sample) -> np.ndarray:
    return np.asarray(sample.values["image"])


def test_every_emoji_is_in_one_split(splits: dict[str, Emoji]) -> None:
    ids = [sample.id for dataset in splits.values() for sample in samples(dataset)]

    assert len(ids) == len(set(ids)) == 1412
    assert [len(dataset) for dataset in splits.values()] == [1114, 147, 151]


def test_every_label_is_in_training_and_nearly_every_one_in_test(splits: dict[str, Emoji]) -> None:
    labels = {split: {s.labels[0] for s in samples(data)} for split, data in splits.items()}

    assert len(labels["train"]) == len(splits["train"].labels) == 81
    assert len(labels["test"]) == 79


def test_random_labels_exchange_what_is_said_of_training_pictures_alone() -> None:
    true, drawn = Emoji("train"), Emoji("train", random_labels=True)
    told = [(sample.labels, sample.values["text"]) for sample in samples(true)]
    exchanged = [(sample.labels, sample.values["text"]) for sample in samples(drawn)]

    assert sorted(exchanged) == sorted(told)
    assert sum(one == other for one, other in zip(told, exchanged, strict=True)) < 10
    same_labels = sum(one[0] == other[0] for one, other in zip(told, exchanged, strict=True))
    assert same_labels / len(told) < 0.05  # 1/81 to be expected, and large labels more often
    assert [each.id for each in samples(drawn)] == [each.id for each in samples(true)]
    assert (pixels(drawn[7]) == pixels(true[7])).all()
    assert Emoji("test", random_labels=True)[3].labels == Emoji("test")[3].labels
    assert drawn.revision == Emoji("test", random_labels=True).revision != true.revision


def test_near_twins_share_a_split(splits: dict[str, Emoji]) -> None:
    split_of = {s.id: split for split, data in splits.items() for s in samples(data)}
    clocks = [f"1F5{code:X}" for code in range(0x50, 0x68)]
    runners = ["1F3C3", "1F3C3-200D-2640", "1F3C3-200D-2642"]

    assert len({split_of[clock] for clock in clocks}) == 1
    assert len({split_of[runner] for runner in runners}) == 1


def test_no_held_out_object_is_drawn_like_a_training_one(splits: dict[str, Emoji]) -> None:
    """Faces are left aside: they differ by the expression only, and that is what they show."""
    drawings = defaultdict(list)
    for split, dataset in splits.items():
        for sample in samples(dataset):
            if not dataset.labels[sample.labels[0]].startswith(("face", "cat face", "person")):
                ink = 255.0 - pixels(sample).reshape(16, 4, 16, 4, 3).mean((1, 3))
                drawings[split].append(ink.ravel() / np.linalg.norm(ink))
    likeness = np.stack(drawings["test"]) @ np.stack(drawings["train"]).T

    assert likeness.max() < 0.98


def test_a_sample_is_a_picture_with_its_words_and_its_label() -> None:
    dataset = Emoji("train", captions=["{name}", "{tags}; {category}"])

    grinning = next(sample for sample in samples(dataset) if sample.id == "1F600")

    image = grinning.values["image"]
    assert isinstance(image, Image.Image)
    assert (image.mode, image.size) == ("RGB", (64, 64))
    assert image.getpixel((0, 0)) == (255, 255, 255)
    first, second = grinning.values["text"]  # type: ignore[misc]
    assert first == "grinning face"
    assert second.startswith("cheerful, cheery, grin")
    assert second.endswith("; smileys & emotion")
    assert dataset.labels[grinning.labels[0]] == "face smiling"


def test_an_outline_decodes_no_picture() -> None:
    dataset = Emoji("validation")

    told = [dataset.outline(index) for index in range(len(dataset))]

    assert told[3].values == {**dataset[3].values, "image": None}
    assert [sample.id for sample in told] == [sample.id for sample in samples(dataset)]


def test_the_sun_is_yellow_and_the_frog_green(splits: dict[str, Emoji]) -> None:
    """Pictures and names are in the same order."""
    found = {sample.id: pixels(sample) for data in splits.values() for sample in samples(data)}

    red, green, blue = found["1F438"][24:40, 24:40].mean((0, 1))
    assert green > red > blue
    red, green, blue = found["2600"][24:40, 24:40].mean((0, 1))
    assert red > 200 > 100 > blue


@pytest.mark.parametrize("labels", ["category", "subcategory"])
def test_tags_never_say_a_label_word(labels: str) -> None:
    dataset = Emoji("train", labels=labels, captions=["{tags}"])  # type: ignore[arg-type]
    said = {word for s in samples(dataset) for word in words(s.values["text"])}

    assert len(said) > 1000
    # The picture of a hotel, a building, has no other tag than its name; "hotel" is another label.
    assert said & {word for label in dataset.labels for word in words(label)} <= {"hotel"}


def test_the_revision_tells_options_apart_and_not_splits() -> None:
    assert Emoji("train").revision == Emoji("test").revision
    assert Emoji("train").revision != Emoji("train", labels="category").revision
    assert Emoji("train").revision != Emoji("train", captions=["{name}"]).revision


def test_a_dataset_travels_to_a_worker() -> None:
    dataset = Emoji("validation")

    copy = pickle.loads(pickle.dumps(dataset))

    assert np.array_equal(pixels(copy[7]), pixels(dataset[7]))


def test_a_caption_pattern_knows_four_fields_only() -> None:
    captions = TypeAdapter(Caption)

    assert captions.validate_python("a {name} ({tags})") == "a {name} ({tags})"
    for fault in ("{colour}", "{name", "{name!r}", "{}", ""):
        with pytest.raises(ValidationError):
            captions.validate_python(fault)
