"""Generated shards against a plain reader: equal samples, or a refusal that names the shard."""

from __future__ import annotations

import io
import re
from typing import Any

from mmlab_datasets.shards.webdataset import WebDataset
from PIL import Image
from support.fuzz.outcome import compare, fresh_folder, fuzzed, told
from support.fuzz.shard_files import (
    Shard,
    left_out,
    plain_groups,
    plain_pictures,
    read_plainly,
    shards,
)


@fuzzed(shards())
def test_a_shard_is_read_as_a_plain_reader_does_or_refused_with_its_name(shard: Shard) -> None:
    with fresh_folder() as folder:
        path = folder / "s.tar"
        shard.write(path)
        read: list[Any] = []

        def make() -> WebDataset:
            dataset = WebDataset("train", train=path, **shard.options)
            read.extend(dataset[index] for index in range(len(dataset)))
            return dataset

        dataset = compare(
            make,
            lambda: read_plainly(shard.members, shard.options),
            re.escape(str(path)),
            may_refuse=not shard.is_plain,
        )
        if dataset is None:
            return
        groups = plain_groups(shard.members)
        for sample in read:
            if "image" in sample.values:
                found = groups[sample.id.removeprefix("s/")]
                (content,) = plain_pictures(found, shard.options)
                expected = Image.open(io.BytesIO(content)).convert("RGB")
                assert sample.values["image"].tobytes() == expected.tobytes()
        assert dataset.notes or not left_out(shard.members, told(dataset))
