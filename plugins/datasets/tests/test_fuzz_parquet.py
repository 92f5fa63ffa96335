"""Generated Parquet files of the `parquet` dataset against the rows they were written from."""

from __future__ import annotations

import re

from hypothesis import strategies as st
from mmlab_datasets.parquet import Parquet
from support.fuzz.outcome import compare, fresh_folder, fuzzed
from support.fuzz.parquet_files import ParquetFile, has_known, parquet_files
from support.fuzz.parquet_rows import KINDS, LABELS, read_rows
from support.fuzz.roles import columns, write_files

USED = ("image_column", "text_columns", "label_column", "sample_column", "rows", "label_names")


@fuzzed(
    parquet_files(columns(["caption", "image"], ["label", "sample", "other", "caption"]), KINDS),
    st.booleans(),
    st.integers(0, 12),
)
def test_parquet_files_say_what_was_written_or_are_refused_with_the_place(
    file: ParquetFile, has_names: bool, cut: int
) -> None:
    file = ParquetFile(file.columns, {k: v for k, v in file.options.items() if k in USED})
    if has_names and "label_column" in file.options:
        file.options["label_names"] = LABELS
    with fresh_folder() as folder:
        write_files(folder)
        first = ParquetFile({n: (t, c[:cut]) for n, (t, c) in file.columns.items()}, {})
        second = ParquetFile({n: (t, c[cut:]) for n, (t, c) in file.columns.items()}, {})
        first.write(folder / "t-0.parquet")
        second.write(folder / "t-1.parquet")
        compare(
            lambda: Parquet("train", train=folder / "t-*.parquet", **file.options),
            lambda: read_rows(file),
            rf"{re.escape(str(folder))}/t-\d\.parquet: (row \d+, )?column",
            may_refuse=not has_known(file),
        )
