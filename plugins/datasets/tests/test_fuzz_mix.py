"""Generated mixtures of manifests: each sample as often as its part's weight says."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

from mmlab_datasets.manifest import Manifest
from mmlab_datasets.mix import Mix
from support.fuzz.mixtures import Part, mixtures, read_plainly
from support.fuzz.outcome import Unclear, fresh_folder, fuzzed, told

from mmlab.plugin import DataError, SpecError

COLUMNS = {"text_columns": ["t"], "label_column": "l", "split_column": "part"}


class Table(dict[str, Any]):
    """A table of `parts` as the mixture is given it: reading a spec for each example takes long."""

    def make(self, split: Any) -> Manifest:
        return Manifest(split, path=self["path"], **COLUMNS, **self["options"])


def make(folder: Path, parts: list[Part], split: Any) -> Mix:
    """One split of the mixture of these parts."""
    tables = []
    for number, part in enumerate(parts):
        path = folder / f"{number}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("t", "l", "n", "part"), *part.rows])
        options = {"target_columns": [part.target]} if part.target else {}
        named = {"use": "manifest", "name": part.name, "path": path, "options": options}
        tables.append(Table(named | ({"weight": part.weight} if part.weight else {})))
    return Mix(split, parts=tables)


@fuzzed(mixtures())
def test_a_mixture_has_the_samples_of_its_parts_as_often_as_weights_say_or_is_refused(
    mixture: tuple[list[Part], str],
) -> None:
    parts, split = mixture
    try:
        expected = read_plainly(parts, split)
    except Unclear:
        expected = None
    with fresh_folder() as folder:
        try:
            dataset = make(folder, parts, split)
        except (DataError, SpecError) as error:
            refusal = str(error)
            dataset = None
        if dataset is None or expected is None:
            assert dataset is expected, f"{mixture}: {dataset}, {expected}"
            assert "dataset.parts" in refusal
            return
        found = told(dataset)
    ids = [sample.id for sample in found]
    assert len({*ids}) == len(ids), "every sample of an epoch has an id of its own"
    read = Counter(sample._replace(id=sample.id.partition("#")[0]) for sample in found)
    counts = {part.name: expected.pop(part.name) for part in parts}
    assert read.keys() == expected.keys()
    assert all(expected[each] <= count <= expected[each] + 1 for each, count in read.items())
    assert Counter(one.partition("/")[0] for one in ids) == Counter(counts)
