"""What a manifest gives: samples, labels, targets, and rows of columns."""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest
import torch
from mmlab_datasets.manifest import Manifest
from PIL import Image
from support.manifests import COLUMNS, ROWS, samples, write_csv, write_folder, write_jsonl

from mmlab.plugin import DataError

#: Every row is for training.
WHOLE = {"text_columns": ["t"], "validation_fraction": 0.0, "test_fraction": 0.0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path)


def truths(dataset: Manifest) -> list[tuple[str, ...] | None]:
    known = [sample.labels for sample in samples(dataset)]
    return [None if own is None else tuple(dataset.labels[each] for each in own) for own in known]


def test_a_row_is_a_sample_and_an_empty_cell_a_missing_modality(folder: Path) -> None:
    train = Manifest("train", path=folder / "index.csv", **COLUMNS)

    assert train.modalities == ("image", "text")
    assert [sample.id for sample in samples(train)] == ["1", "2", "3"]
    assert [set(sample.values) for sample in samples(train)] == [
        {"image", "text"},
        {"image", "text"},
        {"text"},
    ]
    assert train[1].values["text"] == ('a blue one, "really"',)
    image = train[0].values["image"]
    assert isinstance(image, Image.Image)
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (6, 4), (255, 0, 0))


def test_an_outline_needs_no_file(folder: Path) -> None:
    dataset = Manifest("train", path=folder / "index.csv", **COLUMNS)  # type: ignore[arg-type]
    for file in ("a.png", "b.jpg"):
        (folder / file).unlink()

    told = [dataset.outline(index) for index in range(len(dataset))]

    assert told[0].values == {"image": None, "text": ("a red square",)}
    assert told[2].values == {"text": ("no picture 🙂",)}
    assert [sample.labels for sample in told] == [(1,), (0,), (1,)]


def test_labels_are_those_of_all_splits_and_an_empty_cell_is_unknown(folder: Path) -> None:
    train = Manifest("train", path=folder / "index.csv", **COLUMNS)
    test = Manifest("test", path=folder / "index.csv", **COLUMNS)

    assert train.labels == test.labels == ("blue", "red")
    assert truths(train) == [("red",), ("blue",), ("red",)]
    assert truths(test) == [None]
    assert not train.is_multi_label


def test_label_names_set_the_order_and_may_name_more(folder: Path) -> None:
    names = ["red", "green", "blue"]

    train = Manifest("train", path=folder / "index.csv", **COLUMNS, label_names=names)

    assert train.labels == tuple(names)
    assert [sample.labels for sample in samples(train)] == [(0,), (2,), (0,)]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_the_same_rows_are_the_same_data_in_every_format(folder: Path, ending: str) -> None:
    path = folder / f"other.{ending}"
    writers: Mapping[str, Callable[[Path], object]] = {
        "csv": pl.DataFrame(ROWS).write_csv,
        "jsonl": pl.DataFrame(ROWS).write_ndjson,
        "parquet": pl.DataFrame(ROWS).write_parquet,
    }
    writers[ending](path)

    dataset = Manifest("train", path=path, **COLUMNS)

    assert dataset.revision == Manifest("train", path=folder / "index.csv", **COLUMNS).revision
    assert truths(dataset) == [("red",), ("blue",), ("red",)]


def test_several_labels_stand_in_a_list_or_between_separators(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "list.jsonl",
        [{"t": "x", "tags": ["b", "a", "b"]}, {"t": "y", "tags": []}, {"t": "z", "tags": None}],
    )
    write_csv(tmp_path / "text.csv", [{"t": "x", "tags": "b; a;b"}, {"t": "y", "tags": ""}])
    columns = {"text_columns": ["t"], "label_column": "tags", "test_fraction": 0.0}

    listed = Manifest("train", path=tmp_path / "list.jsonl", validation_fraction=0.0, **columns)
    parted = Manifest(
        "train",
        path=tmp_path / "text.csv",
        label_separator=";",
        validation_fraction=0.0,
        **columns,
    )

    assert listed.is_multi_label
    assert parted.is_multi_label
    assert truths(listed) == [("a", "b"), (), None]
    assert truths(parted) == [("a", "b"), None]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_an_empty_list_is_none_of_the_labels_and_null_or_no_key_unknown(
    tmp_path: Path, ending: str
) -> None:
    rows = [{"t": "w", "tags": ["b"]}, {"t": "x", "tags": []}, {"t": "y", "tags": None}, {"t": "z"}]
    path = tmp_path / f"index.{ending}"
    if ending == "jsonl":
        write_jsonl(path, rows)
    else:
        pl.DataFrame(rows, schema={"t": pl.String, "tags": pl.List(pl.String)}).write_parquet(path)

    dataset = Manifest("train", path=path, label_column="tags", **WHOLE)

    assert truths(dataset) == [("b",), (), None, None]
    assert [dataset.outline(index).labels for index in range(4)] == [(0,), (), None, None]
    assert list(dataset.notes) == []


def test_of_lists_that_are_all_empty_every_row_has_none_of_the_named_labels(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "index.jsonl", [{"t": "x", "tags": []}] * 3)

    dataset = Manifest("train", path=path, label_column="tags", label_names=["a", "b"], **WHOLE)

    assert dataset.is_multi_label
    assert truths(dataset) == [()] * 3


def test_a_cell_of_text_says_none_of_the_labels_by_brackets_or_a_word_of_the_spec(
    tmp_path: Path,
) -> None:
    path = tmp_path / "index.csv"
    path.write_text("t,tags\nv,Mass|Edema\nw,No Finding\nx,[]\ny,\nz, \n")
    options = {"path": path, "label_column": "tags", "label_separator": "|", **WHOLE}

    plain = Manifest("train", **options)
    told = Manifest("train", **options, none_label="No Finding")

    assert plain.labels == ("Edema", "Mass", "No Finding")
    assert truths(plain) == [("Edema", "Mass"), ("No Finding",), (), None, None]
    assert told.labels == ("Edema", "Mass")
    assert truths(told) == [("Edema", "Mass"), (), (), None, None]
    (note,) = told.notes
    assert "column 'tags': 2 of 5 cells are empty: their labels are unknown" in note


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["a", ["x", "none"]], "a label, and none of them"),
        (["a", [""]], "neither a label nor none of them"),
        (["a", [None]], "neither a label nor none of them"),
    ],
)
def test_a_list_that_says_neither_labels_nor_none_names_its_row(
    tmp_path: Path, cells: list[object], said: str
) -> None:
    rows = [{"t": "x", "tags": ["a"]}, {"t": "y", "tags": cells[1]}]
    path = write_jsonl(tmp_path / "index.jsonl", rows)
    with pytest.raises(DataError, match=f"row 2, column 'tags': the cell says {said}"):
        Manifest("train", path=path, label_column="tags", none_label="none", **WHOLE)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"none_label": "a"}, "not several labels a row"),
        ({"none_label": "a", "label_separator": "|", "label_names": ["a", "b"]}, "a label itself"),
    ],
)
def test_a_word_for_none_of_the_labels_that_has_no_sense_is_refused(
    tmp_path: Path, options: Mapping[str, object], fault: str
) -> None:
    path = write_csv(tmp_path / "index.csv", [{"t": "x", "tags": "b"}])
    with pytest.raises(DataError, match=rf"dataset\.none_label: .*{fault}"):
        Manifest("train", path=path, label_column="tags", **options, **WHOLE)


def test_several_text_columns_are_several_captions(tmp_path: Path) -> None:
    rows = [{"en": "dog", "fr": ["chien", "toutou"]}, {"en": None, "fr": ["chat"]}]
    path = write_jsonl(tmp_path / "index.jsonl", rows)

    dataset = Manifest("train", path=path, text_columns=["en", "fr"])

    assert [s.values["text"] for s in samples(dataset)] == [("dog", "chien", "toutou"), ("chat",)]


def test_a_sound_is_a_tensor_of_channels_and_its_rate(folder: Path) -> None:
    path = write_csv(folder / "sounds.csv", [{"sound": "a.wav"}])

    values, rate = Manifest("train", path=path, audio_column="sound")[0].values["audio"]  # type: ignore[misc]

    assert rate == 8000
    assert values.dtype == torch.float32
    assert values[0].tolist() == [0.0, 0.5, -1.0]
    assert values[1].tolist() == [1 / 32768, 2 / 32768, 3 / 32768]


def test_files_are_found_from_the_root(folder: Path) -> None:
    (folder / "lists").mkdir()
    path = write_csv(folder / "lists" / "index.csv", [{"file": "a.png"}])

    assert Manifest("train", path=path, root="..", image_column="file")[0].values["image"]


def test_ids_can_be_given_and_codes_keep_their_zeros(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "index.csv", [{"code": "007", "t": "x"}, {"code": "7", "t": "y"}])

    dataset = Manifest(
        "train", path=path, text_columns=["t"], id_column="code", label_column="code"
    )

    assert [sample.id for sample in samples(dataset)] == ["007", "7"]
    assert dataset.labels == ("007", "7")


def test_transparent_is_white_and_a_turned_photo_upright(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (8, 4), "red").save(tmp_path / "turned.jpg", exif=turned)
    path = write_csv(tmp_path / "index.csv", [{"f": "clear.png"}, {"f": "turned.jpg"}])

    clear, photo = (
        s.values["image"] for s in samples(Manifest("train", path=path, image_column="f"))
    )

    assert isinstance(clear, Image.Image)
    assert isinstance(photo, Image.Image)
    assert clear.getpixel((0, 0)) == (255, 255, 255)
    assert photo.size == (4, 8)


def test_targets_are_numbers_and_an_empty_cell_is_unknown(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "age": "41", "height": "1.75"},
        {"text": "b", "age": "", "height": "-2e3"},
    ]
    options = {"text_columns": ["text"], "target_columns": ["age", "height"], "test_fraction": 0}
    dataset = Manifest(
        "train", path=write_csv(tmp_path / "i.csv", rows), **options, validation_fraction=0
    )
    assert dataset.target_names == ("age", "height")
    first, second = (sample.targets for sample in samples(dataset))
    assert first == (41.0, 1.75)
    assert second[0] != second[0]
    assert second[1] == -2000.0


def test_columns_become_a_row_of_numbers_and_texts(tmp_path: Path) -> None:
    rows = [
        {"age": "41", "town": "Bern", "note": "007", "part": "train"},
        {"age": "", "town": "Chur", "note": "x", "part": "train"},
        {"age": "", "town": "", "note": "", "part": "train"},
    ]
    path = write_csv(tmp_path / "i.csv", rows)
    columns = ["age", "town", "note"]
    dataset = Manifest("train", path=path, tabular_columns=columns, split_column="part")
    assert dataset.modalities == ("tabular",)
    assert [sample.values for sample in samples(dataset)] == [
        {"tabular": {"age": 41.0, "town": "Bern", "note": "007"}},
        {"tabular": {"age": None, "town": "Chur", "note": "x"}},
        {},
    ]
