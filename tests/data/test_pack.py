"""`mmlab pack`: what is written is what was there, and other programs read it too."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from mmlab_datasets.manifest import Manifest
from mmlab_datasets.shards.folder import ClipBenchmarkFolder
from mmlab_datasets.shards.webdataset import WebDataset
from PIL import Image

import mmlab
from mmlab.cli import main

COLUMNS = {"image_column": "file", "split_column": "part"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A manifest of ten pictures with captions and labels; two lack something."""
    rows = [
        {
            "file": f"{number}.png" if number != 7 else None,
            "title": f"title {number} 🦜" if number != 8 else None,
            "titles": [f"a {number}", f"b {number}"],
            "kind": "red" if number % 2 else "blue",
            "kinds": ["red", "blue"] if number % 2 else ["blue"],
            "part": "test" if number > 8 else "train",
        }
        for number in range(10)
    ]
    for number in range(10):
        pixels = np.random.default_rng(number).integers(0, 256, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    pl.DataFrame(rows).write_ndjson(tmp_path / "index.jsonl")
    return tmp_path


def write(folder: Path, *columns: str) -> Path:
    path = folder / "data.toml"
    lines = ['use = "manifest"', 'path = "index.jsonl"', 'image_column = "file"']
    path.write_text("\n".join(["[dataset]", *lines, 'split_column = "part"', *columns, ""]))
    return path


def pack(folder: Path, *columns: str, options: tuple[str, ...] = ()) -> Result:
    arguments = ["pack", str(write(folder, *columns)), str(folder / "out"), *options]
    return CliRunner().invoke(main, arguments)


def packed(folder: Path, *columns: str, options: tuple[str, ...] = ()) -> Path:
    done = pack(folder, *columns, options=options)
    assert done.exit_code == 0, done.output
    return folder / "out"


def values(dataset: Any) -> list[dict[str, Any]]:
    found = [dict(dataset[index].values) for index in range(len(dataset))]
    return [
        {**one, "image": np.asarray(one["image"]).tolist()} if "image" in one else one
        for one in found
    ]


def test_how_the_dataset_was_read_is_told_once(folder: Path) -> None:
    rows = "".join(f"{number // 2}.png,caption {number}\n" for number in range(20))
    (folder / "rows.csv").write_text("file,title\n" + rows)
    text = '[dataset]\nuse = "manifest"\npath = "rows.csv"\nimage_column = "file"\n'
    (folder / "rows.toml").write_text(text + 'text_columns = ["title"]\n')
    for name, options in (("told", []), ("quiet", ["-q"])):
        done = CliRunner().invoke(
            main, ["pack", *options, str(folder / "rows.toml"), str(folder / name)]
        )
        assert done.exit_code == 0, done.output
        told = "rows.csv: 20 rows are 10 samples: rows of one image are one sample"
        assert done.stderr.count(told) == (name == "told")


def test_pictures_captions_and_labels_come_back_as_they_were(folder: Path) -> None:
    out = packed(folder, 'text_columns = ["title"]', 'label_column = "kind"')
    was = Manifest(
        "train", path=folder / "index.jsonl", text_columns=["title"], label_column="kind", **COLUMNS
    )
    now = WebDataset("train", train=out / "train" / "0.tar", label_names=was.labels)
    assert values(now) == values(was)
    assert [now[i].labels for i in range(9)] == [was[i].labels for i in range(9)]
    folded = ClipBenchmarkFolder("train", path=out)
    assert folded.labels == was.labels
    assert [folded[i].labels for i in range(9)] == [was[i].labels for i in range(9)]


def test_several_captions_without_labels_are_for_retrieval(folder: Path) -> None:
    out = packed(folder, 'text_columns = ["titles"]')
    assert (out / "dataset_type.txt").read_text() == "retrieval\n"
    dataset = ClipBenchmarkFolder("test", path=out)
    assert dataset[0].values["text"] == ("a 9", "b 9")
    for options in ({"text_field": "captions"}, {"caption_lines": True}):
        told = WebDataset("train", train=out / "train" / "0.tar", **options)
        assert told[1].values["text"] == ("a 1", "b 1")


def test_several_labels_stay_several(folder: Path) -> None:
    out = packed(folder, 'label_column = "kinds"')
    dataset = ClipBenchmarkFolder("train", path=out)
    assert dataset.is_multi_label
    assert dataset[1].labels == (0, 1)
    options = {"label_names": dataset.labels, "multi_label": True}
    told = WebDataset("train", train=out / "train" / "0.tar", **options)
    assert [told[n].labels for n in range(9)] == [dataset[n].labels for n in range(9)]


def test_a_sample_of_nothing_is_there_when_it_is_read_back(folder: Path) -> None:
    rows = pl.read_ndjson(folder / "index.jsonl").with_columns(
        pl.when(pl.int_range(pl.len()) != 3).then(pl.col(name)).name.keep()
        for name in ("file", "title", "kind")
    )
    rows.write_ndjson(folder / "index.jsonl")
    out = packed(folder, 'text_columns = ["title"]', 'label_column = "kind"')
    told = WebDataset("train", train=out / "train" / "0.tar", label_names=["blue", "red"])
    assert len(told) == 9
    assert not told[3].values
    assert not told[3].labels
    assert len(ClipBenchmarkFolder("train", path=out)) == 9


def test_a_byte_order_mark_that_would_be_lost_is_refused(folder: Path) -> None:
    index = (folder / "index.jsonl").read_text().replace("title 4", "\ufefftitle 4")
    (folder / "index.jsonl").write_text(index)
    done = pack(folder, 'text_columns = ["title"]')
    assert done.exit_code == 1
    assert "sample '5'" in done.output
    assert "\\ufefftitle 4" in done.output
    assert not (folder / "out").exists()


def test_none_of_the_labels_and_unknown_ones_come_back_as_what_they_are(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    rows[0]["kinds"], rows[1]["kinds"] = [], None
    (folder / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = packed(folder, 'label_column = "kinds"')
    was = Manifest("train", path=folder / "index.jsonl", label_column="kinds", **COLUMNS)
    now = ClipBenchmarkFolder("train", path=out)
    assert [now[i].labels for i in range(3)] == [(), None, (0,)]
    assert [now[i].labels for i in range(9)] == [was[i].labels for i in range(9)]


def test_what_shards_have_no_place_for_is_told_and_the_rest_comes_back(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    for number, row in enumerate(rows):
        row["boxes"] = [[1, 0, 4, 5], [0.5, 2, 6, 3.5]][: number % 3] if row["file"] else None
        row["things"] = ["cup", "tree"][: number % 3] if row["file"] else None
        row["price"] = number / 2 if number != 4 else None
    (folder / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    boxes = {"box_column": "boxes", "box_label_column": "things"}
    told = [f'{key} = "{value}"' for key, value in boxes.items()]
    done = pack(folder, *told, 'target_columns = ["price"]')
    assert done.exit_code == 0, done.output
    for what in ("boxes", "targets"):
        assert done.stderr.count(f"{what} are not packed") == 1
    was = Manifest("train", path=folder / "index.jsonl", **COLUMNS, **boxes)
    now = ClipBenchmarkFolder("train", path=folder / "out")
    assert was[2].boxes is not None
    assert len(was[2].boxes) == 2
    assert now.labels == was.labels == ("cup", "tree")
    assert values(now) == values(was)
    assert [now[i].labels for i in range(9)] == [was[i].labels for i in range(9)]


def test_shards_hold_no_more_than_they_may(folder: Path) -> None:
    out = packed(folder, 'label_column = "kind"', options=("--shard-samples", "4"))
    assert (out / "train" / "nshards.txt").read_text() == "3\n"
    assert sorted(path.name for path in (out / "train").glob("*.tar")) == [
        "0.tar",
        "1.tar",
        "2.tar",
    ]
    assert len(ClipBenchmarkFolder("train", path=out)) == 9


def test_equal_data_are_equal_bytes(folder: Path) -> None:
    first = packed(folder, 'label_column = "kind"')
    first.rename(folder / "first")
    second = packed(folder, 'label_column = "kind"')
    for path in (folder / "first").rglob("*.tar"):
        assert path.read_bytes() == (second / path.relative_to(folder / "first")).read_bytes()


def test_the_ids_of_samples_are_kept(folder: Path) -> None:
    out = packed(folder, 'label_column = "kind"')
    with tarfile.open(out / "train" / "0.tar") as tar:
        content = tar.extractfile("s0000002.json")
        assert content is not None
        assert json.loads(content.read())["id"] == "3"


# It leaves its files open until they are collected.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_clip_benchmarks_own_library_reads_them(folder: Path) -> None:
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    out = packed(folder, 'text_columns = ["titles"]', 'label_column = "kind"')
    rows = list(webdataset.WebDataset(str(out / "train" / "0.tar"), shardshuffle=False))
    assert len(rows) == 9
    assert [int(row["cls"]) for row in rows] == [number % 2 for number in range(9)]
    assert rows[0]["txt"] == b"a 0"
    assert "webp" in rows[0]


SPEC = """
schema_version = 1
name = "NAME"

DATA
[encoders.image]
use = "convnet"
width = 8
[encoders.text]
use = "transformer"
width = 32
[fusion]
use = "inner_product"
dim = 8
[[losses]]
use = "info_nce"
[train]
epochs = 2
batch_size = 4
emit_every = 1
[[evaluate]]
use = "retrieval"
"""
SHARDS = """[dataset]
use = "webdataset"
train = "out/train/{0..2}.tar"
test = "out/test/0.tar"
text_field = "captions"
"""


@pytest.mark.slow
def test_training_on_shards_is_training_on_what_was_packed(folder: Path) -> None:
    out = packed(folder, 'text_columns = ["titles"]', options=("--shard-samples", "4"))
    assert (out / "train" / "2.tar").is_file()
    db = f"sqlite:///{folder / 'mmlab.db'}"
    for name, table in (("rows", (folder / "data.toml").read_text()), ("shards", SHARDS)):
        spec = SPEC.replace("NAME", name).replace("DATA", table)
        (folder / f"{name}.toml").write_text(spec)
        done = CliRunner().invoke(main, ["run", str(folder / f"{name}.toml"), "--db", db])
        assert done.exit_code == 0, done.output
    with mmlab.results(db) as results:
        rows, shards = (
            results.curves(results.store.find_run(n).run_id) for n in ("rows", "shards")
        )
    losses = [curves.filter(pl.col("metric") == "train/loss") for curves in (rows, shards)]
    assert losses[0].height == 4
    assert losses[0].equals(losses[1])


# --- what cannot be packed ------------------------------------------------------------------


def test_nothing_is_written_over(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "mine.txt").write_text("mine")
    done = pack(folder, 'label_column = "kind"')
    assert done.exit_code == 2
    assert "something already" in done.stderr
    assert [path.name for path in (folder / "out").iterdir()] == ["mine.txt"]


def test_a_photo_is_packed_upright_and_is_turned_once(folder: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    photo = Image.open(folder / "0.png")
    photo.save(folder / "0.png", exif=turned, icc_profile=b"of a printer")
    shards = packed(folder, options=("--format", "png"))
    path = shards / "train" / "0.tar"
    image = WebDataset("train", train=path)[0].values["image"]
    assert isinstance(image, Image.Image)
    expected = np.rot90(np.asarray(photo), -1)
    np.testing.assert_array_equal(np.asarray(image), expected)


def test_a_picture_that_its_format_cannot_hold_is_named(folder: Path) -> None:
    Image.new("RGB", (16_400, 20)).save(folder / "5.png")
    done = pack(folder)
    assert (done.exit_code, isinstance(done.exception, SystemExit)) == (1, True)
    assert "sample '6': its picture cannot be written as webp" in done.stderr
    assert "16383" in done.stderr
    assert not (folder / "out").exists()


def test_a_fault_in_a_sample_leaves_nothing_behind(folder: Path) -> None:
    (folder / "5.png").write_bytes(b"no picture at all")
    done = pack(folder, 'label_column = "kind"')
    assert done.exit_code == 1
    assert "row 6" in done.stderr
    assert not (folder / "out").exists()
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(
    ("columns", "part", "code"),
    [
        (['label_colum = "kind"'], 'did you mean "label_column"', 3),
        (['use = "nope"'], "", 3),
        (['label_names = ["red", "blue", "two\\nlines"]', 'label_column = "kind"'], "one line", 1),
    ],
)
def test_what_is_wrong_is_said(folder: Path, columns: list[str], part: str, code: int) -> None:
    done = pack(folder, *columns)
    assert done.exit_code == code, done.output
    assert part in done.stderr
    assert not (folder / "out").exists()


def test_sounds_have_no_place_in_the_layout(folder: Path) -> None:
    (folder / "a.wav").write_bytes(b"nobody reads it")
    rows = pl.DataFrame({"sound": ["a.wav", None], "title": ["a", "b"]})
    rows.write_ndjson(folder / "sounds.jsonl")
    (folder / "data.toml").write_text(
        '[dataset]\nuse = "manifest"\npath = "sounds.jsonl"\naudio_column = "sound"\n'
        'text_columns = ["title"]\n'
    )
    done = CliRunner().invoke(main, ["pack", str(folder / "data.toml"), str(folder / "out")])
    assert done.exit_code == 2
    assert "audio" in done.stderr
