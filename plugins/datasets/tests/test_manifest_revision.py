"""Splits of a manifest, and what its revision covers."""

import hashlib
import json
import pickle
from pathlib import Path

import pytest
from mmlab_datasets.manifest import Manifest
from mmlab_datasets.splits import draw_splits
from PIL import Image
from support.manifests import COLUMNS, ROWS, samples, write_csv, write_folder, write_jsonl

from mmlab.plugin import Origin, ReadTogether, Source
from mmlab.testing import check_dataset

NO_DRAW = {"validation_fraction": 0.0, "test_fraction": 0.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path)


def test_drawn_splits_partition_the_rows_and_keep_groups_together(tmp_path: Path) -> None:
    rows = [{"t": f"caption {n}", "who": f"speaker {n // 5}"} for n in range(100)]
    path = write_csv(tmp_path / "index.csv", rows)

    parts = [
        Manifest(split, path=path, text_columns=["t"], group_column="who", test_fraction=0.2)
        for split in ("train", "validation", "test")
    ]

    groups = [{(int(s.id) - 1) // 5 for s in samples(part)} for part in parts]
    assert [len(part) for part in parts] == [70, 10, 20]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 20


def test_a_picture_in_several_rows_stays_in_one_split(folder: Path) -> None:
    rows = [{"file": file, "t": f"{n}"} for file in ("a.png", "b.jpg", "d.webp") for n in range(4)]
    path = write_csv(folder / "captions.csv", rows)

    sizes = [
        len(Manifest(split, path=path, image_column="file", text_columns=["t"], rows="samples"))
        for split in ("train", "validation", "test")
    ]

    assert sizes == [4, 4, 4]


def test_another_seed_draws_other_splits_of_the_same_sizes() -> None:
    groups = [str(n) for n in range(50)]
    first, again, other = (
        draw_splits(groups, {"validation": 0.1, "test": 0.1}, seed) for seed in (0, 0, 1)
    )

    assert first == again != other
    assert sorted(first) == sorted(other)
    assert first.count("test") == 5


def test_the_revision_changes_with_rows_files_and_options(folder: Path) -> None:
    path = folder / "index.csv"
    before = Manifest("train", path=path, **COLUMNS).revision

    assert Manifest("test", path=path, **COLUMNS).revision == before
    assert Manifest("train", path=path, **COLUMNS, templates=["a {}"]).revision != before
    Image.new("RGB", (60, 40), "red").save(folder / "a.png")
    after = Manifest("train", path=path, **COLUMNS).revision
    assert after != before
    write_csv(path, [*ROWS[:3], {**ROWS[3], "title": "new"}])
    assert Manifest("train", path=path, **COLUMNS).revision not in (before, after)


def test_the_revision_tells_none_of_the_labels_from_unknown_ones_alone(tmp_path: Path) -> None:
    """What was read rightly before [] meant anything keeps the revision that it had then."""

    def revision(second: object) -> str:
        rows = [
            {"t": "x", "tags": ["b", "a"]},
            {"t": "y", "tags": second},
            {"t": "z", "tags": ["a"]},
        ]
        path = write_jsonl(tmp_path / "index.jsonl", rows)
        found = Manifest("train", path=path, text_columns=["t"], label_column="tags", **NO_DRAW)
        return found.revision

    assert revision(None) == "manifest-bc4b2c44a95ab4d5"
    assert revision([]) not in (revision(None), revision(["a"]))
    (tmp_path / "one.csv").write_text("t,kind\nx,a\ny,\nz,b\n")
    options = {"path": tmp_path / "one.csv", "text_columns": ["t"], "label_column": "kind"}
    assert Manifest("train", **options, **NO_DRAW).revision == "manifest-c2389d31f9c17b8c"


def test_a_file_that_changes_but_not_in_size_is_seen_where_files_are_read(folder: Path) -> None:
    path, file = folder / "index.csv", folder / "a.png"

    def revisions() -> list[str]:
        each = (False, True)
        return [Manifest("train", path=path, **COLUMNS, hash_files=h).revision for h in each]

    before = revisions()
    assert revisions() == before
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    by_size, by_content = revisions()
    assert by_size == before[0]
    assert by_content != before[1]
    content[-20] ^= 1
    file.write_bytes(content)
    assert revisions() == before


def test_a_moved_dataset_keeps_its_revision(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    for file in folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())

    for hash_files in (False, True):
        there, here = (
            Manifest("train", path=place / "index.csv", **COLUMNS, hash_files=hash_files).revision
            for place in (other, folder)
        )
        assert there == here


def test_a_dataset_travels_to_a_worker(folder: Path) -> None:
    dataset = Manifest("train", path=folder / "index.csv", **COLUMNS)

    assert pickle.loads(pickle.dumps(dataset))[1].values["text"] == dataset[1].values["text"]


def test_a_split_without_rows_is_empty(folder: Path) -> None:
    assert len(Manifest("validation", path=folder / "index.csv", **COLUMNS)) == 0


def test_targets_are_part_of_the_revision_and_without_them_it_is_what_it_was(
    folder: Path,
) -> None:
    rows = [{**row, "age": str(number)} for number, row in enumerate(ROWS)]
    write_csv(folder / "aged.csv", rows)
    plain = Manifest("train", path=folder / "index.csv", **COLUMNS)
    same = Manifest("train", path=folder / "aged.csv", **COLUMNS)
    aged = Manifest("train", path=folder / "aged.csv", **COLUMNS, target_columns=["age"])
    assert plain.revision == same.revision != aged.revision


def test_what_a_spec_does_not_name_changes_no_revision(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_text("title,kind,part\na,x,train\nb,,test\n")
    options = {"text_columns": ["title"], "label_column": "kind", "split_column": "part"}
    plain = Manifest("train", path=tmp_path / "i.csv", **options)
    more = Manifest("train", path=tmp_path / "i.csv", **options, tabular_columns=["kind"])
    assert plain.revision == "manifest-895fc41ba81333cb"  # before there were rows and videos
    assert plain.revision != more.revision


def test_the_revision_is_a_hash_of_json_row_by_row(folder: Path) -> None:
    rows = [
        {
            "i": 'a"\\',
            "f": "a.png",
            "t": "\x7f \u00e9\U0001f642",
            "k": "x",
            "s": "train",
            "n": "1.5",
        },
        {"i": "b", "f": "", "t": "", "k": "", "s": "test", "n": ""},
        {"i": "c", "f": "./b.jpg", "t": " two ", "k": "y ", "s": "train", "n": "3"},
    ]
    path = write_csv(folder / "index.csv", rows)
    made = Manifest(
        "train", path=path, id_column="i", image_column="f", text_columns=["t"], label_column="k",
        split_column="s", tabular_columns=["n"], target_columns=["n"],
    )  # fmt: skip
    sizes = [(folder / "a.png").stat().st_size, -1, (folder / "b.jpg").stat().st_size]
    values = [
        [
            1,
            'a"\\',
            "train",
            "a.png",
            None,
            ["\x7f \u00e9\U0001f642"],
            [0],
            [1.5],
            None,
            [["n", 1.5]],
        ],
        [2, "b", "test", None, None, [], [], [float("nan")], None, [["n", None]]],
        [3, "c", "train", "./b.jpg", None, ["two"], [1], [3.0], None, [["n", 3.0]]],
    ]
    told = json.dumps([["x", "y"], ["{}"], ["n"]])
    told += "".join(json.dumps([v, size, -1]) for v, size in zip(values, sizes, strict=True))
    assert made.revision == f"manifest-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def test_other_splits_are_the_same_whether_read_or_asked_for(folder: Path) -> None:
    path = folder / "index.csv"
    train = Manifest("train", path=path, **COLUMNS)
    assert isinstance(train, ReadTogether)
    read, asked = Manifest("test", path=path, **COLUMNS), train.sibling("test")
    assert samples(asked) == samples(read)
    assert (asked.revision, asked.notes, len(train)) == (read.revision, read.notes, 3)


def test_rows_are_the_same_in_whichever_order_they_are_asked_for(tmp_path: Path) -> None:
    rows = [{"t": f"{n}", "n": f"{n / 3}", "k": f"{n % 7}"} for n in range(5000)]
    path = write_csv(tmp_path / "index.csv", rows)
    options = {"text_columns": ["t"], "tabular_columns": ["n"], "label_column": "k"}
    made = [Manifest("train", path=path, **options) for _ in range(2)]
    order = list(range(len(made[0])))
    forwards = [made[0].outline(index) for index in order]
    backwards = [made[1].outline(index) for index in reversed(order)]
    assert forwards == backwards[::-1]
    assert forwards[0].values["text"] == (str(int(forwards[0].id) - 1),)


def test_rows_are_traced_to_their_files_and_groups(folder: Path) -> None:
    rows = [
        {"f": "./a.png", "who": "ann", "part": "train"},
        {"f": "b.jpg", "who": "", "part": "train"},
    ]
    path = write_csv(folder / "index.csv", rows)
    made = Manifest("train", path=path, image_column="f", group_column="who", split_column="part")
    first = Source(str(folder / "a.png"), (folder / "a.png").stat().st_size)
    assert made.trace(0) == Origin({"image": first}, "ann")
    assert made.trace(1).group is None
    with made.open_source(1, "image") as file:
        assert file.read() == (folder / "b.jpg").read_bytes()
    check_dataset(
        Manifest, path=folder / "index.csv", image_column="f", group_column="who",
        split_column="part",
    )  # fmt: skip
