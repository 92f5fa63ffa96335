"""Generated JSONL against Python's json module: equal samples, or a refusal with its place."""

from __future__ import annotations

import re
from typing import Any

from mmlab_datasets.manifest import Manifest
from support.fuzz.csv_files import KNOWN
from support.fuzz.jsonl_files import JsonlFile, jsonl_files, read_plainly
from support.fuzz.manifest_rows import read_rows
from support.fuzz.outcome import compare, fresh_folder, fuzzed
from support.fuzz.roles import FILES, PLACE, SPLITS, write_files


@fuzzed(jsonl_files(), SPLITS)
def test_a_jsonl_file_is_read_as_the_json_module_does_or_refused_with_the_place(
    file: JsonlFile, split: Any
) -> None:
    with fresh_folder() as folder:
        write_files(folder)
        path = folder / "index.jsonl"
        path.write_bytes(file.content)
        compare(
            lambda: Manifest(split, path=path, **file.options),
            lambda: read_rows(read_plainly(file), file.options, FILES, split),
            f"{re.escape(str(path))}({PLACE}))",
            may_refuse=file.encoding not in KNOWN,
        )
