"""Splits of a manifest, and what its revision covers."""

import pickle
from pathlib import Path

import pytest
from mmlab_datasets.manifest import Manifest
from mmlab_datasets.splits import draw_splits
from PIL import Image
from support.manifests import COLUMNS, ROWS, samples, write_csv, write_folder, write_jsonl

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
