"""What is known of a split without its files, whether a dataset can tell or must be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from support.lab import DATASET, ENCODERS, SCRIPTED, TRAIN, Lab
from support.planted import Points
from support.toys import Clusters

from mmlab.data.samples import SampleIndex, open_split, raw_values, read_outline
from mmlab.data.splits import Splits
from mmlab.errors import DataError
from mmlab.model.build import build
from mmlab.plan.resolve import plan_specs
from mmlab.plugin import Dataset, Sample, Split

ROWS: Sequence[Mapping[str, object]] = [
    {"image": [1.0], "text": ("one", "two")},
    {"text": "three"},
    {"image": [2.0]},
]


class Counted(Points):
    """Points that count how often a sample was read."""

    def __getitem__(self, index: int) -> Sample:
        self.reads.append(index)
        return super().__getitem__(index)


class Telling(Counted):
    """Points that can tell of a sample without reading it."""

    def outline(self, index: int) -> Sample:
        values = {key: None if key == "image" else raw for key, raw in self.rows[index].items()}
        return Sample(f"point-{index}", values, self.targets[index])


def dataset(kind: type[Counted]) -> Counted:
    return kind(ROWS, [(0,), (1, 0), ()])


@pytest.mark.parametrize(("kind", "reads"), [(Counted, [0, 1, 2]), (Telling, [])])
def test_an_outline_has_ids_labels_and_texts(kind: type[Counted], reads: list[int]) -> None:
    data = dataset(kind)
    outline = read_outline(data)
    assert [sample.id for sample in outline.samples] == ["point-0", "point-1", "point-2"]
    assert outline.samples[0].values == {"image": None, "text": ("one", "two")}
    assert outline.label_counts(2) == (2, 1)
    assert ["image" in sample.values for sample in outline.samples] == [True, False, True]
    assert data.reads == reads


def test_values_come_from_the_outline_or_else_from_the_samples_that_have_them() -> None:
    data = dataset(Telling)
    outline = read_outline(data)
    assert list(raw_values(outline, data, "text")) == ["one", "two", "three"]
    assert data.reads == []
    assert list(raw_values(outline, data, "image")) == [[1.0], [2.0]]
    assert data.reads == [0, 2]


def test_a_label_that_does_not_exist_is_found_by_its_sample() -> None:
    data = Points(ROWS, [(0,), (7,), ()])
    with pytest.raises(DataError, match=r"point-1(.|\n)*found: label id 7"):
        read_outline(data)


def test_a_split_is_outlined_once_however_many_cells_are_built(sqlite_lab: Lab) -> None:
    axes = '[sweep.axes]\n"fusion.dim" = [4, 8, 16]\n'
    tables = (DATASET, ENCODERS, '[fusion]\nuse = "concat"\n[head]\nuse = "linear"\n', SCRIPTED)
    plans = plan_specs([sqlite_lab.write("toy", (*tables, TRAIN), axes)], ())
    splits = Splits()
    data = splits.training(plans[0])
    assert isinstance(data, Clusters)
    build(plans[0], splits, {})
    first = data.reads
    assert first >= len(data)
    for plan in plans:
        build(plan, splits, {})
    placeholders = 2 * 2 * len(plans)  # of two encoders, looked for and read
    assert data.reads == first + placeholders
    assert isinstance(splits.index(data), SampleIndex)


def test_a_split_comes_from_another_one_that_has_read_them_all(sqlite_lab: Lab) -> None:
    class Together(Counted):
        def sibling(self, split: Split) -> Dataset:
            asked.append(split)
            return self

    asked: list[Split] = []
    (plan,) = plan_specs([sqlite_lab.write("toy")], [])
    alone = open_split(plan.dataset, "test", [dataset(Counted)])
    assert isinstance(alone, Clusters)
    together = Together(ROWS, [(0,), (1, 0), ()])
    assert open_split(plan.dataset, "test", [alone, together]) is together
    assert asked == ["test"]
