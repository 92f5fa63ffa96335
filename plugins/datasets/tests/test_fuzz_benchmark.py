"""Generated lists of a published test set against a plain reader of their lines."""

from __future__ import annotations

import re

from mmlab_datasets.published.benchmark import Benchmark
from mmlab_datasets.published.catalogue import describe
from support.fuzz.benchmark_folders import PetsFolder, pets_folders, read_pets
from support.fuzz.outcome import compare, fresh_folder, fuzzed

LABELS = describe("pets").labels


@fuzzed(pets_folders())
def test_a_published_test_set_is_read_as_its_list_says_or_refused_with_its_name(
    pets: PetsFolder,
) -> None:
    with fresh_folder() as folder:
        pets.write(folder)
        dataset = compare(
            lambda: Benchmark("test", test_set="pets/test", path=folder, is_part=True),
            lambda: read_pets(pets, LABELS)[0],
            f"pets/test in {re.escape(str(folder))}: ",
        )
        assert dataset is None or bool(dataset.notes) == bool(read_pets(pets, LABELS)[1])
