"""Rows of a manifest that are one sample, and rows that are not."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from mmlab_datasets.manifest import Manifest
from support.manifests import samples, write_csv, write_folder, write_jsonl

from mmlab.plugin import DataError
from mmlab.testing import check_dataset

WHOLE: Mapping[str, object] = {"validation_fraction": 0, "test_fraction": 0}
COLUMNS: Mapping[str, object] = {"image_column": "f", "text_columns": ["t"], **WHOLE}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path)


def made(path: Path, **options: object) -> Manifest:
    return Manifest("train", path=path, **COLUMNS | options)  # type: ignore[arg-type]


def captions(dataset: Manifest) -> list[tuple[str, object]]:
    return [(s.id, s.values.get("text")) for s in samples(dataset)]


ROWS = [
    {"f": "a.png", "t": "one", "l": "x"},
    {"f": "", "t": "two", "l": "x"},
    {"f": "b.jpg", "t": "three", "l": "y"},
    {"f": "a.png", "t": "four", "l": "x"},
    {"f": "", "t": "five", "l": "x"},
    {"f": "./a.png", "t": "", "l": ""},
]


def test_rows_of_one_file_are_one_sample_with_their_captions_in_order(folder: Path) -> None:
    path = write_csv(folder / "i.csv", ROWS)
    dataset = made(path, label_column="l")
    assert captions(dataset) == [
        ("1", ("one", "four")),
        ("2", ("two",)),
        ("3", ("three",)),
        ("5", ("five",)),
    ]
    assert [dataset.labels[s.labels[0]] for s in samples(dataset)] == ["x", "x", "y", "x"]
    (note,) = dataset.notes
    assert note == (
        f"{path}: 6 rows are 4 samples: rows of one image are one sample with several captions; "
        "empty cells of 'l' that take another row's value: 1 (rows = \"samples\" keeps them apart)"
    )


def test_every_row_is_a_sample_where_the_spec_says_so(folder: Path) -> None:
    dataset = made(write_csv(folder / "i.csv", ROWS), rows="samples")
    assert [sample.id for sample in samples(dataset)] == list("123456")
    assert dataset.notes == ()


def test_rows_that_name_each_file_once_keep_their_revision(folder: Path) -> None:
    path = write_csv(folder / "i.csv", [{"f": "a.png", "t": "one"}, {"f": "b.jpg", "t": "two"}])
    assert made(path).revision == made(path, rows="samples").revision


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_rows_are_joined_whatever_the_index_is(folder: Path, ending: str) -> None:
    import polars as pl

    table = pl.DataFrame(ROWS)
    writers = {"csv": table.write_csv, "jsonl": table.write_ndjson, "parquet": table.write_parquet}
    writers[ending](folder / f"i.{ending}")
    assert [sample.id for sample in samples(made(folder / f"i.{ending}"))] == list("1235")


def test_the_first_of_image_sound_and_video_says_which_rows_are_one(folder: Path) -> None:
    rows = [
        {"f": "a.png", "s": "a.wav", "t": "one"},
        {"f": "b.jpg", "s": "a.wav", "t": "two"},
        {"f": "", "s": "a.wav", "t": "three"},
        {"f": "", "s": "a.wav", "t": "four"},
    ]
    path = write_csv(folder / "i.csv", rows)
    both = [("1", ("one",)), ("2", ("two",)), ("3", ("three", "four"))]
    assert captions(made(path, audio_column="s")) == both
    alone = Manifest("train", path=path, audio_column="s", text_columns=["t"], **WHOLE)  # type: ignore[arg-type]
    assert captions(alone) == [("1", ("one", "two", "three", "four"))]
    assert "rows of one audio are" in alone.notes[0]


def test_a_column_may_say_which_rows_are_one_sample(folder: Path) -> None:
    rows = [
        {"g": "p", "f": "a.png", "t": "one"},
        {"g": "q", "f": "a.png", "t": "two"},
        {"g": "p", "f": "", "t": "three"},
        {"g": "", "f": "a.png", "t": "four"},
    ]
    dataset = made(write_csv(folder / "i.csv", rows), sample_column="g")
    assert captions(dataset) == [("1", ("one", "three")), ("2", ("two",)), ("4", ("four",))]
    texts = write_jsonl(folder / "i.jsonl", [{"k": 1, "t": "one"}, {"k": 1, "t": "two"}])
    alone = Manifest("train", path=texts, text_columns=["t"], sample_column="k", **WHOLE)  # type: ignore[arg-type]
    assert captions(alone) == [("1", ("one", "two"))]


def test_people_with_many_pictures_stay_many_samples(folder: Path) -> None:
    rows = [{"f": file, "t": file, "who": "one"} for file in ("a.png", "b.jpg", "d.webp")]
    dataset = made(write_csv(folder / "i.csv", rows), group_column="who")
    assert len(dataset) == 3


BASE = {"f": "a.png", "t": "one", "s": "a.wav", "l": "x", "y": "1", "n": "5", "p": "train"}
NAMED = {
    "audio_column": "s",
    "label_column": "l",
    "target_columns": ["y"],
    "tabular_columns": ["n"],
    "split_column": "p",
    "group_column": None,
    "id_column": None,
}


@pytest.mark.parametrize(
    ("column", "value", "options", "found"),
    [
        ("l", "z", {}, "'x' and 'z'"),
        ("l", "z", {"label_separator": ";"}, "'x' and 'z'"),
        ("s", "b.wav", {}, "'a.wav' and 'b.wav'"),
        ("y", "2", {}, "1.0 and 2.0"),
        ("n", "6", {}, "5.0 and 6.0"),
        ("p", "test", {}, "'train' and 'test'"),
        ("g", "h", {"split_column": None, "group_column": "g"}, "'' and 'h'"),
        ("i", "7", {"id_column": "i"}, "'8' and '7'"),
    ],
)
def test_rows_that_differ_in_more_than_captions_are_named(
    folder: Path, column: str, value: str, options: Mapping[str, object], found: str
) -> None:
    (folder / "b.wav").write_bytes((folder / "a.wav").read_bytes())
    first = {**BASE, "g": "g" if column == "g" else "", "i": "8"}
    found = found.replace("''", "'g'")
    rows = [first, {**first, "f": "b.jpg", "i": "9"}, {**first, "t": "two", column: value}]
    path = write_csv(folder / "i.csv", rows)
    with pytest.raises(DataError) as error:
        made(path, **NAMED | options)
    parts = [f"i.csv: rows 1 and 3, column '{column}'", "'a.png'", f"found: {found}\n"]
    for part in (*parts, "captions", 'rows = "samples"'):
        assert part in str(error.value)
    assert len(made(path, **NAMED | options, rows="samples")) == 2 if column == "p" else True


def test_a_cell_that_one_row_fills_holds_for_the_sample(folder: Path) -> None:
    empty = dict.fromkeys(("s", "l", "y", "n"), "")
    rows = [{**BASE, **empty}, BASE, {**BASE, **empty, "t": "two"}]
    dataset = made(write_csv(folder / "i.csv", rows), **NAMED)
    (sample,) = (dataset.outline(index) for index in range(len(dataset)))
    assert set(sample.values) == {"image", "audio", "text", "tabular"}
    assert (sample.labels, sample.targets) == ((0,), (1.0,))
    assert "; empty cells of 's' that take another row's value: 2; " in dataset.notes[0]


def test_an_id_may_be_that_of_the_file_but_not_of_two(folder: Path) -> None:
    rows = [{"f": "a.png", "t": "one", "i": "A"}, {"f": "a.png", "t": "two", "i": "A"}]
    assert captions(made(write_csv(folder / "i.csv", rows), id_column="i")) == [
        ("A", ("one", "two"))
    ]
    rows.append({"f": "b.jpg", "t": "three", "i": "A"})
    with pytest.raises(DataError, match="row 3, column 'i': the id is that of row 1"):
        made(write_csv(folder / "i.csv", rows), id_column="i")


def test_drawn_splits_stay_as_they_are_when_rows_are_joined(folder: Path) -> None:
    files = ("a.png", "b.jpg", "d.webp")
    rows = [{"f": file, "t": f"{file} {n}"} for n in range(3) for file in files]
    path = write_csv(folder / "i.csv", rows)

    def parts(**options: object) -> Sequence[set[str]]:
        columns = {"image_column": "f", "text_columns": ["t"], **options}
        each = [
            Manifest(split, path=path, **columns)  # type: ignore[arg-type]
            for split in ("train", "validation", "test")
        ]
        return [{str(c) for s in samples(d) for c in s.values["text"]} for d in each]  # type: ignore[attr-defined]

    assert parts() == parts(rows="samples")


def test_both_ways_at_once_are_refused(folder: Path) -> None:
    path = write_csv(folder / "i.csv", ROWS)
    with pytest.raises(DataError, match=r"dataset.rows: .*\n.*sample_column = 't'"):
        made(path, rows="samples", sample_column="t")


def test_joined_rows_keep_the_contract(folder: Path) -> None:
    rows = [{"f": f, "t": f"{n}", "l": f} for n in range(3) for f in ("a.png", "b.jpg", "d.webp")]
    path = write_csv(folder / "i.csv", rows)
    check_dataset(Manifest, path=path, image_column="f", text_columns=["t"], label_column="l")
