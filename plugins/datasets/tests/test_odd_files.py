"""What stands where a file should: a pipe, a closed folder, headers without end."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mmlab_datasets.captions import Captions
from mmlab_datasets.folders import Folders
from mmlab_datasets.parquet import Parquet
from mmlab_datasets.shards.offsets import ENDING
from mmlab_datasets.shards.webdataset import WebDataset
from PIL import Image
from support.odd_paths import bound_by_permissions

from mmlab.plugin import DataError


def picture(path: Path, colour: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), (colour, 10, 20)).save(path)
    return path


def write_tar(path: Path, names: Mapping[str, bytes], format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as tar:
        for name, content in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.pax_headers = {"SCHILY.xattr.user.note": "x" * 5000}
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_shard_with_long_names_is_read(tmp_path: Path, format: int) -> None:
    content = picture(tmp_path / "a.png", 50).read_bytes()
    folder = "/".join(["n" * 90] * 4)
    shard = write_tar(
        tmp_path / "s.tar", {f"{folder}/1.png": content, f"{folder}/1.txt": b"a tile"}, format
    )
    sample = WebDataset("train", train=shard)[0]
    assert (sample.id, sample.values["text"]) == (f"s/{folder}/1", ("a tile",))
    assert sample.values["image"].getpixel((0, 0)) == (50, 10, 20)


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
)
def test_a_header_of_a_shard_that_goes_on_and_on_is_not_read(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("1.png")
    info.type, info.size = kind, 8_000_000_000
    with (tmp_path / "s.tar").open("wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.truncate(8_000_010_240)  # which takes no space
    with pytest.raises(DataError, match="the headers of a member take more than 65,536 bytes"):
        WebDataset("train", train=tmp_path / "s.tar")


def test_a_pipe_in_the_place_of_kept_offsets_is_not_waited_for(tmp_path: Path) -> None:
    content = picture(tmp_path / "a.png", 70).read_bytes()
    shard = write_tar(tmp_path / "s.tar", {"1.png": content, "1.txt": b"a tile"})
    os.utime(shard, (1, 1))
    assert len(WebDataset("train", train=shard)) == 1
    (kept,) = tmp_path.glob(f"*{ENDING}")
    kept.unlink()
    os.mkfifo(kept)
    assert len(WebDataset("train", train=shard)) == 1
    assert kept.is_file()  # it was replaced


def folders(root: Path) -> Folders:
    return Folders("train", path=root, validation_fraction=0.0, test_fraction=0.0)


def test_a_pipe_among_pictures_is_told_with_its_name(tmp_path: Path) -> None:
    picture(tmp_path / "data" / "cat" / "1.png", 60)
    os.mkfifo(tmp_path / "data" / "cat" / "2.png")
    found = folders(tmp_path / "data")
    assert found[0].values["image"].getpixel((0, 0)) == (60, 10, 20)
    with pytest.raises(DataError, match=r"cat/2\.png(.|\n)*it is a pipe, not an ordinary file"):
        found[1]


INSIDE = """
import sys
from pathlib import Path
from mmlab_datasets.folders import Folders
root = Path(sys.argv[1])
for closed in ("lost+found", "dog"):
    (root / closed).chmod(0)
    try:
        found = Folders("train", path=root, validation_fraction=0.0, test_fraction=0.0)
        print(len(found), *found.labels)
    except OSError as error:
        print(error)
    (root / closed).chmod(0o700)
"""


def test_a_label_s_folder_that_may_not_be_entered_is_told(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for name in ("cat", "dog"):
        picture(root / name / "1.png")
    (root / "lost+found").mkdir()
    told = bound_by_permissions(["-c", INSIDE, root], tmp_path)
    assert told.stdout.splitlines() == [
        "2 cat dog",
        f"[Errno 13] Permission denied: '{root}/dog'",
    ], told.stderr
    assert folders(root).labels == ("cat", "dog")


def test_a_pipe_among_parquet_files_is_told(tmp_path: Path) -> None:
    pl.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}).write_parquet(tmp_path / "1.parquet")
    options: dict[str, Any] = {"text_columns": ["text"], "label_column": "label"}
    pattern = tmp_path / "*.parquet"
    found = [sample.values["text"] for sample in Parquet("train", train=pattern, **options)]
    assert found == [("a",), ("b",)]
    os.mkfifo(tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet: it is no file\n  found: a pipe"):
        Parquet("train", train=pattern, **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: Captions("train", path=path, root=path.parent),
        lambda path: WebDataset("train", train=path),
    ],
)
def test_a_pipe_that_is_named_itself_is_refused(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    os.mkfifo(tmp_path / "data")
    with pytest.raises(DataError, match=r"pipe|no such file"):
        make(tmp_path / "data")
