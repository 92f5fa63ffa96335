"""What is known of each published dataset without its pictures: a TOML file in `data/published`.

A file names the reader of the dataset's layout, its labels and templates, and its test sets: which
samples, how many in each split, and which metric is quoted.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from typing import Any

from mmlab.plugin import Split

#: Every test set, its split spelled out; the part before the slash names the file.
TEST_SETS = (
    "caltech101/all",
    "cifar10/test",
    "cifar100/test",
    "dtd/split1-test",
    "eurosat/all",
    "eurosat/vtab-test",
    "fashion-mnist/test",
    "flowers102/test",
    "food101/test",
    "imagenet/validation",
    "mnist/test",
    "pets/test",
    "stl10/test",
    "sun397/all",
)


@dataclass(frozen=True)
class Download:
    """A file that can be fetched: where, what it leaves in the folder, its md5, about its size."""

    url: str
    gives: str
    md5: str
    megabytes: int


@dataclass(frozen=True)
class TestSet:
    """Which samples are which split's. What is given beside the counts is the reader's."""

    __test__ = False  # pytest takes it for tests

    main_metric: str
    counts: Mapping[Split, int]
    lists: Mapping[Split, str] = field(default_factory=dict)
    files: Mapping[Split, Sequence[str]] = field(default_factory=dict)
    parts: Mapping[Split, str] = field(default_factory=dict)
    order: str = "name"


@dataclass(frozen=True)
class Description:
    """A dataset: its layout, labels and prompts. `folder` is the one its archive unpacks to."""

    reader: str
    folder: str
    url: str
    hint: str
    labels: Sequence[str]
    templates: Sequence[str]
    # Tables of TOML; `test_set` makes a value of one.
    sets: Mapping[str, Mapping[str, Any]]
    #: What prompts call a label, where that is no unique name.
    prompt_names: Mapping[str, str] = field(default_factory=dict)
    classes: Sequence[str] = ()
    endings: Sequence[str] = ()
    pictures: str = ""
    ending: str = ""
    label_from: str = ""
    key: str = ""
    downloads: Sequence[Mapping[str, Any]] = ()

    def test_set(self, name: str) -> TestSet:
        """One of its test sets."""
        return TestSet(**self.sets[name])

    @cached_property
    def archives(self) -> list[Download]:
        """What can be fetched of it; nothing where no address is known that is safe."""
        return [Download(**each) for each in self.downloads]


def describe(dataset: str) -> Description:
    """The description of a dataset by the first part of a test set's name."""
    text = files("mmlab_datasets").joinpath(f"data/published/{dataset}.toml").read_text("utf-8")
    return Description(**tomllib.loads(text))
