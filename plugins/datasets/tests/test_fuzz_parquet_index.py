"""Generated Parquet indices against the rows they were written from."""

from __future__ import annotations

import re
from typing import Any

from mmlab_datasets.manifest import Manifest
from support.fuzz.manifest_rows import read_rows
from support.fuzz.outcome import compare, fresh_folder, fuzzed
from support.fuzz.parquet_files import ParquetFile, has_known, parquet_files
from support.fuzz.roles import FILES, PLACE, SPLITS, write_files


@fuzzed(parquet_files(), SPLITS)
def test_a_parquet_index_says_what_was_written_or_is_refused_with_the_place(
    file: ParquetFile, split: Any
) -> None:
    with fresh_folder() as folder:
        write_files(folder)
        path = folder / "index.parquet"
        file.write(path)
        compare(
            lambda: Manifest(split, path=path, **file.options),
            lambda: read_rows(file.rows, file.options, FILES, split),
            f"{re.escape(str(path))}({PLACE}))",
            may_refuse=not has_known(file),
        )
