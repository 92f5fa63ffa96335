"""Generated files of Karpathy's form against a plain reader of them."""

from __future__ import annotations

import re

from mmlab_datasets.captions import Captions
from support.fuzz.karpathy_files import KarpathyFile, karpathy_files, read_plainly
from support.fuzz.outcome import compare, fresh_folder, fuzzed
from support.fuzz.roles import write_files


@fuzzed(karpathy_files())
def test_a_file_of_captions_says_what_a_plain_reader_finds_or_is_refused_with_the_place(
    file: KarpathyFile,
) -> None:
    with fresh_folder() as folder:
        write_files(folder)
        path = folder / "dataset.json"
        path.write_bytes(file.content)
        named = re.escape(str(path))
        dataset = compare(
            lambda: Captions(file.split, path=path, root=folder, captions=file.captions),
            lambda: read_plainly(file),
            rf"{named}: (image \d+|these are no captions: it (cannot|has no))"
            rf"|{folder}: .*{path.name}",
        )
        assert dataset is None or dataset.test_set.encode()
