"""The protocol: all that must be equal before results compare, and nothing of the model."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import torch
from PIL import Image
from support.evaluated import Gate, Words, encoded, pictures, subject
from torch import nn

from mmlab.evaluate import EvaluatedModel, encode_split
from mmlab.evaluate.evaluators.classification import Classification
from mmlab.evaluate.evaluators.retrieval import Retrieval
from mmlab.evaluate.evaluators.zero_shot import ZeroShot
from mmlab.evaluate.label_results import small_pictures
from mmlab.plugin import Calibration

LABELS = ["crab", "owl", "elk"]


def protocol(what: EvaluatedModel, dataset: Words, **options: object) -> object:
    (result,) = ZeroShot(**options)(what, encoded(what, dataset), "any name")  # type: ignore[arg-type]
    return result.protocol


BASE = protocol(subject(), pictures(LABELS, LABELS))


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"revision": "words-2"}, {}),
        ({"labels": ("crab", "owl", "elks")}, {}),
        ({"labels": ("owl", "crab", "elk")}, {}),
        ({"templates": ("{}", "a photo of a {}.")}, {}),
        ({"targets": [(0,), (1,), ()]}, {}),
        ({}, {"templates": ["{}"]}),
        ({}, {"scale": 3.0}),
        ({}, {"combine": "scores"}),
        ({}, {"combine": "probabilities"}),
    ],
)
def test_every_ingredient_changes_the_protocol(
    changes: dict[str, object], options: dict[str, object]
) -> None:
    assert protocol(subject(), pictures(LABELS, LABELS, **changes), **options) != BASE


@pytest.mark.parametrize(
    "options",
    [
        {"k": 2},
        {"cards": 0},
        {"keep_scores": True},
        {"queries": "image"},
        {"templates": ["a photo of a {}.", "{}"]},
    ],
)
def test_saying_the_default_or_keeping_more_does_not(options: dict[str, object]) -> None:
    assert protocol(subject(), pictures(LABELS, LABELS), **options) == BASE


def test_nothing_of_the_model_is_in_the_protocol() -> None:
    others = [
        subject(calibration=Calibration(3.0)),
        replace(subject(), precision="bf16"),
    ]
    assert [protocol(other, pictures(LABELS, LABELS)) for other in others] == [BASE] * 2
    gate = subject(Gate(), scorer=nn.Linear(256, 1))
    for options in ({"combine": "scores"}, {"templates": ["{}"]}):
        cosine = protocol(subject(), pictures(LABELS, LABELS), **options)
        assert protocol(gate, pictures(LABELS, LABELS), **options) == cosine


def test_what_is_averaged_is_what_counts_and_not_who_says_so() -> None:
    gate, dataset = subject(Gate(), scorer=nn.Linear(256, 1)), pictures(LABELS, LABELS)
    assert protocol(gate, dataset) == protocol(gate, dataset, combine="scores") != BASE
    assert protocol(subject(), dataset, combine="features") == BASE


@pytest.mark.parametrize("combine", ["scores", "probabilities"])
def test_one_prompt_a_label_has_one_protocol_however_it_is_combined(combine: str) -> None:
    dataset = pictures(LABELS, LABELS, templates=("a {}",))
    assert protocol(subject(), dataset, combine=combine) == protocol(subject(), dataset)


def test_evaluators_splits_and_directions_have_protocols_of_their_own() -> None:
    what = subject(Gate(), head=nn.Linear(256, 3), scorer=nn.Linear(256, 1))
    dataset = pictures(LABELS, LABELS)
    protocols = [
        result.protocol
        for split in ("test", "validation")
        for evaluator in (Classification(), ZeroShot(), Retrieval())
        for result in evaluator(what, encode_split(what, dataset, split, 2), "name")
    ]
    assert len(protocols) == 8
    assert len({repr(one) for one in protocols}) == 8


def test_check_finds_before_training_what_the_call_would_find_after() -> None:
    what, dataset = subject(), pictures(LABELS, LABELS)
    ZeroShot().check(what, dataset, "fine")
    Retrieval().check(what, dataset, "fine")
    for evaluator in (Classification(), ZeroShot(templates=["{} {}"])):
        with pytest.raises(Exception, match=r"evaluate\.broken"):
            evaluator.check(what, dataset, "broken")


def picture_set(count: int) -> Words:
    rows = [{"image": Image.new("RGB", (300, 200), (index, 0, 0))} for index in range(count)]
    return Words(rows, [(0,)] * count, labels=("red",))


def test_cards_are_few_small_webp_pictures_of_the_same_samples_every_time() -> None:
    dataset, ids = picture_set(30), [f"word-{index}" for index in range(30)]
    found = small_pictures(dataset, ids, range(30), 4)
    assert found == small_pictures(dataset, ids, range(30), 4)
    assert len(found) == 4
    for key, picture in found.items():
        assert picture.size == (300, 200)
        image = Image.open(io.BytesIO(picture.image))
        assert (image.format, image.size) == ("WEBP", (128, 85))
        assert abs(image.getpixel((60, 40))[0] - int(key.removeprefix("word-"))) <= 8


def test_the_dataset_keeps_its_pictures_as_they_were() -> None:
    dataset = picture_set(1)
    small_pictures(dataset, ["word-0"], [0], 1)
    assert dataset.rows[0]["image"].size == (300, 200)


def test_cards_of_a_result_are_among_the_samples_that_took_part() -> None:
    class Brightness(nn.Module):
        preprocessing, dim, token_dim = "brightness", 256, None

        def transform(self, raw: Image.Image, train: bool) -> torch.Tensor:
            return torch.full((256,), float(raw.getpixel((0, 0))[0]))

    what, dataset = subject(), picture_set(5)
    what.readers["image"].encoder.transform = Brightness().transform
    dataset.targets = [(0,), (), (0,), (), (0,)]
    (result,) = ZeroShot(cards=2)(what, encoded(what, dataset), "name")
    assert len(result.thumbnails) == 2
    assert set(result.thumbnails) <= {"word-0", "word-2", "word-4"}


def test_without_pictures_there_are_no_cards() -> None:
    assert small_pictures(pictures(LABELS, LABELS), ["word-0"], [0], 3) == {}
    sounds = Words([{"text": "crab"}], [(0,)], labels=("crab",), modalities=("text",))
    assert small_pictures(sounds, ["word-0"], [0], 3) == {}
