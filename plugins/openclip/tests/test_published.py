"""The specs of published test sets, without the data and weights they ask for."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import open_clip
import pytest
from mmlab_datasets.published.catalogue import describe

FOLDER = Path(__file__).parents[3] / "experiments" / "published"
#: How many labels the lecture ranks, and the picture's label and prompt.
LECTURE = {
    "food101": (101, "guacamole", "a photo of guacamole, a type of food."),
    "youtube-bb": (23, "airplane", "a photo of a airplane."),
    "sun397": (397, "television studio", "a photo of a television studio."),
    "eurosat": (10, "annual crop land", "a centered satellite photo of annual crop land."),
}


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def prompts(dataset: dict[str, Any]) -> tuple[Sequence[str], Sequence[str]]:
    """Labels and templates: the spec's own, or those of the test set that it names."""
    if dataset["use"] == "manifest":
        return dataset["label_names"], dataset["templates"]
    description = describe(dataset["test_set"].partition("/")[0])
    return description.labels, description.templates


def test_there_is_one_spec_for_each_of_the_lectures_pictures() -> None:
    others = {"coco", "suite"}
    assert {path.stem for path in FOLDER.glob("*.toml")} - others == set(LECTURE)


@pytest.mark.parametrize("name", LECTURE)
def test_a_published_spec_ranks_the_lectures_labels_with_its_prompt(name: str) -> None:
    count, label, prompt = LECTURE[name]
    labels, templates = prompts(read(name)["dataset"])

    assert len(set(labels)) == len(labels) == count
    assert label in labels
    assert templates[0].format(label) == prompt


@pytest.mark.parametrize("name", [*LECTURE, "coco"])
def test_a_published_spec_evaluates_published_weights_without_training(name: str) -> None:
    spec = read(name)

    assert "train" not in spec
    for encoder in spec["encoders"].values():
        assert open_clip.get_pretrained_cfg(encoder["architecture"], encoder["pretrained"])
