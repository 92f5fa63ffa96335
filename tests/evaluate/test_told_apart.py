"""Labels whose prompts a text encoder reads as the same: refused, told, or meant."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from support.evaluated import Called, Letters, Words, encoded, letters, pictures, subject
from torch import Tensor

from mmlab.data.reader import Reader, describe_cut_texts, is_cut
from mmlab.data.samples import SampleIndex
from mmlab.errors import DataError
from mmlab.evaluate import EvaluatedModel
from mmlab.evaluate.evaluators.prompts import PromptStudy
from mmlab.evaluate.evaluators.zero_shot import ZeroShot
from mmlab.evaluate.prompts import Prompts, tell_apart
from mmlab.plugin import Features, Vocabulary

KNOWN = ("a", "photo", "of", "red", "green", "blue", "tile", "cat")


class Ids(Letters):
    """The first ids of a text's words, 1 for each that is not known; it says no more of a text."""

    vocabulary = Vocabulary(20, 0, 19, frozenset({0, 19}))

    def __init__(self, room: int = 4) -> None:
        super().__init__()
        self.room = room

    def transform(self, raw: object, train: bool) -> Tensor:
        words = str(raw).lower().split()
        ids = [2 + KNOWN.index(word) if word in KNOWN else 1 for word in words][: self.room]
        return torch.tensor(ids + [0] * (self.room - len(ids)))

    def forward(self, x: Tensor) -> Features:
        return Features.of(F.one_hot(x, 256).sum(1).float())


class Measuring(Ids):
    """The same, and how long a text is."""

    def __init__(self, room: int = 4) -> None:
        super().__init__(room)
        self.length = room

    def count_ids(self, raw: object) -> int:
        return len(str(raw).split())


def say(encoder: Ids, labels: tuple[str, ...], *templates: str) -> str | None:
    return tell_apart(encoder, Prompts(labels, templates), "evaluate.x", "text")


COLOURS = ("red", "green", "blue")


@pytest.mark.parametrize("encoder", [Ids(), Measuring()])
def test_prompts_that_differ_in_what_is_read_are_left_alone(encoder: Ids) -> None:
    assert say(encoder, COLOURS, "{}", "a photo of {}", "{} is a photo of a tile") is None


@pytest.mark.parametrize("encoder", [Ids(), Measuring()])
def test_a_template_that_is_cut_before_its_label_is_an_error(encoder: Ids) -> None:
    with pytest.raises(DataError) as caught:
        say(encoder, COLOURS, "{}", "a photo of a {}")
    text = str(caught.value)
    assert "evaluate.x: prompts of different labels encode alike" in text
    assert "3 labels, 'red', 'green', 'blue': 'a photo of a red'" in text
    if isinstance(encoder, Measuring):
        assert "'a photo of a red' has 5 ids" in text
        assert "in the first 4 ids, which encoders.text reads" in text


def test_labels_that_are_cut_before_they_differ_are_named_and_no_others() -> None:
    labels = ("a photo of red tile", "red", "a photo of red cat")
    with pytest.raises(DataError, match="2 labels, 'a photo of red tile', 'a photo of red cat': '"):
        say(Measuring(), labels, "{}")


def test_a_prompt_of_one_label_that_is_cut_is_no_fault() -> None:
    assert say(Measuring(), ("a photo of red tile", "red"), "{}") is None


def test_lists_of_prompts_are_compared_across_labels() -> None:
    by_label = (("red", "a photo of a red"), ("a photo of a green", "green"))
    with pytest.raises(DataError, match="2 labels, 'x', 'y'"):
        tell_apart(Measuring(), Prompts(("x", "y"), by_label=by_label), "evaluate.x", "text")
    apart = (("red", "a photo of red"), ("green", "a photo of green"))
    assert tell_apart(Measuring(), Prompts(("x", "y"), by_label=apart), "p", "text") is None


def test_labels_of_unknown_words_are_told_with_their_number() -> None:
    said = say(Measuring(), ("red", "lynx", "wolf", "green", "Cat", "cat"), "a {}")
    assert said is not None
    assert said.startswith("evaluate.x: prompts of 4 of 6 labels encode alike")
    assert "'lynx', 'wolf', 'Cat' and 1 more" in said


def test_unknown_words_that_fill_the_input_are_not_said_to_be_cut() -> None:
    said = say(Measuring(), ("red", "lynx", "wolf"), "a photo of {}")
    assert said is not None
    assert "2 of 3 labels" in said


def test_labels_of_which_none_differs_are_an_error() -> None:
    with pytest.raises(DataError, match=r"all labels encode alike.*\n  found: 2 labels"):
        say(Measuring(), ("lynx", "wolf"), "a {}")


def test_labels_of_the_same_prompts_are_meant_to_be_alike() -> None:
    assert say(Measuring(), ("red", "red", "green"), "a photo of {}") is None
    assert say(Measuring(), ("red", "red"), "{}") is None


def test_many_labels_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmlab.evaluate.prompts.LABELS_AT_ONCE", 2)
    labels = ("red", "green", "blue", "tile", "lynx", "cat", "wolf")
    said = say(Measuring(), labels, "a {}", "{}")
    assert said is not None
    assert (
        "2 of 7 labels encode alike, each with those of another, and tie ('lynx', 'wolf')" in said
    )


def reading(encoder: Ids) -> tuple[EvaluatedModel, list[str]]:
    """A model that reads prompts by this encoder, and what it notes."""
    made, notes = subject(), list[str]()
    made.model.encoders["text"] = encoder
    readers = {**made.readers, "text": Reader("text", encoder, torch.zeros(encoder.room).long())}
    return replace(made, readers=readers, note=notes.append), notes


def shown(labels: tuple[str, ...], *templates: str) -> Words:
    return pictures(labels, labels, templates=templates)


def test_zero_shot_refuses_before_training_and_after_it() -> None:
    what, dataset = reading(Measuring())[0], shown(COLOURS, "a photo of a {}")
    with pytest.raises(DataError, match=r"evaluate\.colours: prompts of different labels"):
        ZeroShot().check(what, dataset, "colours")
    with pytest.raises(DataError, match="3 labels"):
        ZeroShot()(what, encoded(what, dataset), "colours")
    assert ZeroShot(templates=["{}"])(what, encoded(what, dataset), "colours")


def test_a_study_of_prompts_refuses_too() -> None:
    dataset = shown(COLOURS, "{}", "a photo of a {}")
    with pytest.raises(DataError, match="'a photo of a red' has 5 ids"):
        PromptStudy().check(reading(Measuring())[0], dataset, "study")


def test_a_file_of_prompts_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({label: [f"a photo of a {label}"] for label in COLOURS}))
    with pytest.raises(DataError, match="3 labels"):
        ZeroShot(prompts_file=path).check(reading(Measuring())[0], shown(COLOURS, "{}"), "file")


def test_unknown_words_are_noted_once_for_a_model() -> None:
    what, notes = reading(Measuring())
    dataset = shown(("red", "lynx", "wolf"), "a {}")
    for _ in range(2):
        ZeroShot().check(what, dataset, "animals")
        ZeroShot()(what, encoded(what, dataset), "animals")
    assert len(notes) == 1
    assert "evaluate.animals: prompts of 2 of 3 labels encode alike" in notes[0]


def test_what_prompts_call_labels_counts_and_not_their_names() -> None:
    rows = [{"image": letters("red")}, {"image": letters("green")}]
    called = Called(rows, [(0,), (1,)], ("1", "2"), ("a {}",), prompt_names=("red", "red"))
    what, notes = reading(Measuring())
    ZeroShot().check(what, called, "same")
    assert notes == []


def texts_of(*values: object) -> SampleIndex:
    dataset = Words([{"text": value} for value in values], [()] * len(values))
    return SampleIndex([dataset[index] for index in range(len(dataset))])


def test_the_share_of_texts_that_are_cut_is_told() -> None:
    samples = texts_of("a red tile", ("a photo of a cat", "cat"), None, "a a a a a a a")
    readers = {"text": Reader("text", Measuring(), torch.zeros(4).long())}
    assert list(describe_cut_texts(readers, samples)) == [
        "encoders.text reads 4 ids of a text: 2 of 4 texts, 50%, are longer, up to 7, and cut"
    ]
    assert list(describe_cut_texts(readers, texts_of("a red tile", "a red tile cat"))) == []


def test_of_many_samples_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmlab.data.reader.TEXTS_LOOKED_AT", 3)
    readers = {"text": Reader("text", Measuring(), torch.zeros(4).long())}
    (said,) = describe_cut_texts(readers, texts_of(*["a a a a a", "a", "a", "a"] * 2))
    assert "1 of 3 texts (of one sample in 3), 33%, are longer" in said


@pytest.mark.parametrize(("text", "cut"), [("a a a", False), ("a a a a", False), ("a " * 5, True)])
def test_a_text_that_just_fits_is_not_cut(text: str, cut: bool) -> None:
    assert is_cut(Measuring(), text) == cut
    assert is_cut(Ids(), text) == (len(text.split()) >= 4)  # which cannot know
