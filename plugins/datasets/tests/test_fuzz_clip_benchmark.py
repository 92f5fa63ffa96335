"""Generated folders of CLIP_benchmark's layout against a plain reader of them."""

from __future__ import annotations

import re

from mmlab_datasets.shards.folder import ClipBenchmarkFolder
from support.fuzz.benchmark_folders import ClipFolder, clip_folders, read_clip
from support.fuzz.outcome import compare, fresh_folder, fuzzed


@fuzzed(clip_folders())
def test_a_folder_of_clip_benchmark_is_read_as_its_files_say_or_refused_with_its_name(
    clip: ClipFolder,
) -> None:
    with fresh_folder() as folder:
        clip.write(folder)
        compare(
            lambda: ClipBenchmarkFolder("test", path=folder),
            lambda: read_clip(clip),
            re.escape(str(folder)),
            may_refuse=not clip.shard.is_plain or clip.kind != "",
        )
