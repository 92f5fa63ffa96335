"""A mixture: every sample of its parts, in the proportions of their weights, labels by name."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmlab.errors import DataError, MmlabError, SpecError
from mmlab.plan.resolve import plan_specs
from mmlab.plugin import Split

REST = """
[encoders.text]
use = "transformer"
[fusion]
use = "concat"
[head]
use = "linear"
[[losses]]
use = "cross_entropy"
[train]
epochs = 1
batch_size = 2
[[evaluate]]
use = "classification"
"""
COLUMNS = 'text_columns = ["text"], label_column = "kind", split_column = "part"'


def write_part(folder: Path, name: str, kinds: str, extra: str = "") -> str:
    """A manifest of one training sample a letter, a validation and a test sample; its table."""
    header = "text,kind,part" + (",size" if extra else "")
    parts = ["train"] * len(kinds) + ["validation", "test"]
    rows = [
        f"{name} {number},{kind},{part}" + (f",{number}" if extra else "")
        for number, (kind, part) in enumerate(zip(kinds + kinds[0] * 2, parts, strict=True), 1)
    ]
    (folder / f"{name}.csv").write_text("\n".join([header, *rows, ""]))
    return f'use = "manifest", name = "{name}", path = "{name}.csv", {COLUMNS}{extra}'


def mixture(folder: Path, *parts: str, split: Split = "train", more: str = "") -> Any:
    """One split of a mixture of these tables, as a spec has it."""
    listed = ",\n".join(f"    {{ {part} }}" for part in parts)
    head = f'schema_version = 1\nname = "m"\n[dataset]\nuse = "mix"\nparts = [\n{listed}\n]\n{more}'
    (folder / "m.toml").write_text(head + REST)
    (plan,) = plan_specs([folder / "m.toml"], ())
    return plan.dataset.make(split=split)


def test_samples_of_all_parts_come_once_with_ids_and_labels_of_the_mixture(tmp_path: Path) -> None:
    first, second = write_part(tmp_path, "a", "xyx"), write_part(tmp_path, "b", "zx")
    mixed = mixture(tmp_path, first, second)
    assert mixed.labels == ("x", "y", "z")
    samples = [mixed[index] for index in range(len(mixed))]
    assert [(s.id, s.labels, s.values["text"]) for s in samples] == [
        ("a/1", (0,), ("a 1",)),
        ("a/2", (1,), ("a 2",)),
        ("a/3", (0,), ("a 3",)),
        ("b/1", (2,), ("b 1",)),
        ("b/2", (0,), ("b 2",)),
    ]
    assert {name: list(rows) for name, rows in mixed.sections.items()} == {
        "a": [0, 1, 2],
        "b": [3, 4],
    }
    assert mixed.notes == ()
    with pytest.raises(IndexError):
        mixed[5]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [((1, 1), (6, 6)), ((3, 1), (6, 2)), ((1, 3), (6, 18)), ((1, 0.1), (20, 2))],
)
def test_weights_are_proportions_and_no_sample_is_left_out(
    tmp_path: Path, weights: tuple[float, float], expected: tuple[int, int]
) -> None:
    parts = [
        write_part(tmp_path, name, kinds) + f", weight = {weight}"
        for name, kinds, weight in (("a", "xyxyxy", weights[0]), ("b", "xy", weights[1]))
    ]
    mixed = mixture(tmp_path, *parts)
    ids = [mixed[index].id for index in range(len(mixed))]
    assert len(set(ids)) == len(ids)
    counts = Counter(name.partition("#")[0] for name in ids)
    assert len(counts) == 8
    assert tuple(sum(n for k, n in counts.items() if k[0] == part) for part in "ab") == expected
    for part in "ab":
        often = [count for name, count in counts.items() if name[0] == part]
        assert max(often) - min(often) <= 1
    assert len(mixture(tmp_path, *parts, split="test")) == 2
    total = sum(expected)
    if expected != (6, 2):
        assert mixed.notes == (
            f"an epoch of the mixture has {total} samples by weight: "
            f"a {expected[0]} of 6 samples, b {expected[1]} of 2 samples",
        )


def test_a_target_that_a_part_does_not_have_is_unknown(tmp_path: Path) -> None:
    first = write_part(tmp_path, "a", "xy", ', target_columns = ["size"]')
    mixed = mixture(tmp_path, first, write_part(tmp_path, "b", "xy"))
    assert mixed.target_names == ("size",)
    assert mixed[1].targets == (2.0,)
    assert math.isnan(mixed[2].targets[0])


def test_the_revision_follows_parts_weights_and_nothing_else(tmp_path: Path) -> None:
    first, second = write_part(tmp_path, "a", "xy"), write_part(tmp_path, "b", "xy")
    revision = mixture(tmp_path, first, second).revision
    assert mixture(tmp_path, first, second).revision == revision
    assert mixture(tmp_path, first + ", weight = 1", second + ", weight = 2").revision != revision
    assert mixture(tmp_path, second, first).revision != revision
    write_part(tmp_path, "b", "yx")
    assert mixture(tmp_path, first, second).revision != revision


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda a, b: (a, b.replace('name = "b"', 'name = "a"')), SpecError, "'a', 2 parts"),
        (lambda a, b: (a + ", weight = 1", b), SpecError, "no weight of b"),
        (lambda a, b: (a, b + ', label_separator = ";"'), DataError, "cannot be mixed"),
        (
            lambda a, b: tuple(part + ', label_separator = ";"' for part in (a, b)),
            DataError,
            "must have the same labels",
        ),
        (lambda a, b: (a + ", weight = -1", b), SpecError, "dataset.parts.0.weight: out of range"),
        (lambda a, b: (a, b.replace("csv", "tsv")), DataError, "b.tsv"),
        (lambda a, b: (a, 'use = "manifst"'), MmlabError, 'did you mean "manifest"?'),
        (lambda a, b: (a, b + ", labels = 3"), SpecError, "dataset.parts.1.labels: unknown option"),
        (lambda a, b: (a, b + ", wieght = 3"), SpecError, 'did you mean "weight"?'),
        (lambda a, b: (a, "name = 3"), SpecError, "dataset.parts.1.use: missing"),
    ],
)
def test_contradictions_are_told_at_their_place(
    tmp_path: Path, change: Any, error: type[Exception], words: str
) -> None:
    parts = change(write_part(tmp_path, "a", "xy"), write_part(tmp_path, "b", "xz"))
    with pytest.raises(error) as caught:
        mixture(tmp_path, *parts)
    assert words in str(caught.value)


def test_templates_are_those_of_the_parts_unless_the_mixture_has_its_own(tmp_path: Path) -> None:
    first = write_part(tmp_path, "a", "xy", "") + ', templates = ["a {}.", "the {}."]'
    second = write_part(tmp_path, "b", "xy", "") + ', templates = ["the {}.", "{}"]'
    assert mixture(tmp_path, first, second).templates == ("a {}.", "the {}.", "{}")
    own = mixture(tmp_path, first, second, more='templates = ["one {}"]\n')
    assert own.templates == ("one {}",)


def test_boxes_of_a_part_have_the_labels_of_the_mixture(tmp_path: Path) -> None:
    columns = 'image_column = "file", box_column = "boxes", box_label_column = "names"'
    parts = []
    for name, labels in (("a", ["cat", "dog"]), ("b", ["dog", "cat"])):
        Image.new("RGB", (9, 9)).save(tmp_path / f"{name}.png")
        row = {"file": f"{name}.png", "boxes": [[1, 2, 3, 4], [0, 0, 9, 9]], "names": labels}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
        told = f'use = "manifest", name = "{name}", path = "{name}.jsonl", {columns}'
        parts.append(f"{told}, label_names = {labels}")
    mixed = mixture(tmp_path, *parts)
    assert mixed.has_boxes
    assert mixed.labels == ("cat", "dog")
    for index, expected in enumerate([(0, 1), (1, 0)]):
        for boxes in (mixed[index].boxes, mixed.outline(index).boxes):
            assert boxes is not None
            assert boxes.labels == expected
