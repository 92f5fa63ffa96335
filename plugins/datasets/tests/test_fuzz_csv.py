"""Generated CSV files against Python's csv module: equal samples, or a refusal with its place."""

from __future__ import annotations

import re
from typing import Any

from mmlab_datasets.manifest import Manifest
from support.fuzz.csv_files import KNOWN, CsvFile, csv_files, read_plainly
from support.fuzz.manifest_rows import read_rows
from support.fuzz.outcome import Told, compare, fresh_folder, fuzzed
from support.fuzz.roles import FILES, PLACE, SPLITS, write_files


def plain(file: CsvFile, split: str) -> list[Told]:
    rows, _ = read_plainly(file.content, file.encoding)
    options = dict(file.options)
    for name, value in options.items():  # a header's names are without blanks
        if name.endswith("_column"):
            options[name] = value.strip()
        elif name.endswith("_columns"):
            options[name] = [each.strip() for each in value]
    return read_rows(rows, options, FILES, split)


@fuzzed(csv_files(), SPLITS)
def test_a_csv_file_is_read_as_the_csv_module_does_or_refused_with_the_place(
    file: CsvFile, split: Any
) -> None:
    with fresh_folder() as folder:
        write_files(folder)
        path = folder / "index.csv"
        path.write_bytes(file.content)
        dataset = compare(
            lambda: Manifest(split, path=path, **file.options),
            lambda: plain(file, split),
            f"{re.escape(str(path))}({PLACE}))",
            may_refuse=file.encoding not in KNOWN,
        )
        if dataset is not None:
            _, empty = read_plainly(file.content, file.encoding)
            assert not empty or any("left out" in note for note in dataset.notes)
