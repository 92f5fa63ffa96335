from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from mmlab_datasets import mmlab_datasets
from mmlab_datasets.emoji import Emoji
from mmlab_datasets.manifest import Manifest
from PIL import Image

from mmlab.testing import check_dataset


@pytest.mark.slow
def test_emoji_keeps_the_contract() -> None:
    check_dataset(Emoji)


@pytest.mark.slow
def test_emoji_with_tags_keeps_the_contract() -> None:
    check_dataset(Emoji, labels="category", captions=["{tags}", "{name}"])


def test_manifest_keeps_the_contract(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    rows = "".join(f"a.png,title {n},{n % 2}\n,title {n},{n % 2}\n" for n in range(10))
    (tmp_path / "index.csv").write_text("file,title,kind\n" + rows)

    check_dataset(
        Manifest,
        path=tmp_path / "index.csv",
        image_column="file",
        text_columns=["title"],
        label_column="kind",
        rows="samples",
    )


def test_every_name_leads_to_a_dataset() -> None:
    components = mmlab_datasets()
    assert {"emoji", "manifest"} <= set(components)
    for name, place in components.items():
        assert callable(EntryPoint(name, place, "mmlab").load())
