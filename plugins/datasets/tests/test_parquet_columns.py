"""Captions and labels in Parquet files: every type of column, read rightly or refused by name."""

from __future__ import annotations

import datetime
import decimal
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mmlab_datasets.parquet import Parquet

from mmlab.plugin import DataError, Sample
from mmlab.testing import check_dataset

CLASS_LABEL = {"names": ["cat", "dog", "cow"], "_type": "ClassLabel"}


def write(path: Path, columns: dict[str, Any], features: object = None) -> Path:
    told = json.dumps({"info": {"features": features or {}}})
    pl.DataFrame(columns).write_parquet(path, metadata={"huggingface": told})
    return path


# --- captions -----------------------------------------------------------------------------------
def captions(path: Path, column: str = "text") -> list[tuple[str, ...]]:
    dataset = Parquet("train", train=path, text_columns=[column])
    return [dataset[row].values.get("text", ()) for row in range(len(dataset))]


ENUM = pl.Enum(["a cat", "a dog"])
CAPTIONS = {
    "texts": pl.Series(["a cat", None, " a dog "]),
    "blank": pl.Series(["a cat", "  ", "a dog"]),
    "categories": pl.Series(["a cat", None, "a dog"], dtype=pl.Categorical),
    "an Enum": pl.Series(["a cat", None, "a dog"], dtype=ENUM),
    "lists": pl.Series([["a cat"], [], ["a dog", None, ""]]),
    "lists of categories": pl.Series([["a cat"], None, ["a dog"]], dtype=pl.List(pl.Categorical)),
    "arrays": pl.Series([["a cat"], None, ["a dog"]], dtype=pl.Array(pl.String, 1)),
}


@pytest.mark.parametrize("layout", CAPTIONS)
def test_captions_are_read_from_every_layout(tmp_path: Path, layout: str) -> None:
    path = write(tmp_path / "t.parquet", {"text": CAPTIONS[layout]})
    assert captions(path) == [("a cat",), (), ("a dog",)]


def test_several_captions_of_a_list_and_of_several_columns_are_one_samples(tmp_path: Path) -> None:
    columns = {"a": [["one", "two"], None], "b": ["three", "four"], "c": [None, None]}
    path = write(tmp_path / "t.parquet", columns)
    dataset = Parquet("train", train=path, text_columns=["a", "b", "c"])
    assert [dataset[row].values["text"] for row in (0, 1)] == [("one", "two", "three"), ("four",)]


TRANSLATED = [{"en": "a kite", "de": "ein Drachen"}, {"en": "a stone", "de": None}]
SENTENCES = [[{"raw": "a kite", "id": 1}, {"raw": "blue", "id": 2}], []]
TOLD = {"languages": ["en", "de"], "_type": "Translation"}


def test_a_field_of_structs_is_named_by_its_path(tmp_path: Path) -> None:
    columns = {"text": TRANSLATED, "said": SENTENCES, "old": [{"raw": ["a", "b"]}, {"raw": []}]}
    path = write(tmp_path / "t.parquet", columns, {"text": TOLD})
    assert captions(path, "text.en") == [("a kite",), ("a stone",)]
    assert captions(path, "text.de") == [("ein Drachen",), ()]
    assert captions(path, "said.raw") == [("a kite", "blue"), ()]
    assert captions(path, "old.raw") == [("a", "b"), ()]


def test_a_column_whose_name_has_a_point_is_no_field(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", {"text": TRANSLATED, "text.en": ["mine", "yours"]})
    assert captions(path, "text.en") == [("mine",), ("yours",)]


NO_CAPTIONS = {
    "numbers": (pl.Series([1, 2]), "Int64"),
    "small numbers": (pl.Series([1, 2], dtype=pl.UInt8), "UInt8"),
    "floats": (pl.Series([1.5]), "Float64"),
    "booleans": (pl.Series([True]), "Boolean"),
    "decimals": (pl.Series([decimal.Decimal("1.5")]), "Decimal"),
    "dates": (pl.Series([datetime.date(2020, 1, 1)]), "Date"),
    "times": (pl.Series([datetime.datetime(2020, 1, 1)]), "Datetime"),
    "bytes": (pl.Series([b"a cat"]), "Binary"),
    "lists of numbers": (pl.Series([[1, 2]]), r"List\(Int64\)"),
    "lists of lists": (pl.Series([[["a"]]]), r"List\(List\(String\)\)"),
    "a struct": (pl.Series(TRANSLATED), 'Struct(.|\n)*"text.en", "text.de"'),
    "lists of structs": (pl.Series(SENTENCES), 'List.Struct(.|\n)*"text.raw", "text.id"'),
}


@pytest.mark.parametrize("other", NO_CAPTIONS)
def test_other_columns_are_no_captions_by_name_and_type(tmp_path: Path, other: str) -> None:
    cells, told = NO_CAPTIONS[other]
    path = write(tmp_path / "t.parquet", {"text": cells})
    with pytest.raises(DataError, match=f"its cells are no captions(.|\n)*{told}") as caught:
        captions(path)
    assert f"{path}: column 'text'" in str(caught.value)


@pytest.mark.parametrize("cells", [pl.Series([None, None]), pl.Series(["", " "])])
def test_captions_that_are_all_missing_are_refused(tmp_path: Path, cells: pl.Series) -> None:
    path = write(tmp_path / "t.parquet", {"text": cells})
    with pytest.raises(
        DataError, match=r"every caption of the split is missing(.|\n)*2 empty rows"
    ):
        captions(path)


# --- labels -------------------------------------------------------------------------------------
def labelled(
    path: Path, cells: pl.Series, features: object = None, column: str = "label", **options: Any
) -> Parquet:
    columns = {"text": ["x"] * len(cells), "label": cells}
    write(path, columns, features)
    return Parquet("train", train=path, text_columns=["text"], label_column=column, **options)


def named(dataset: Parquet) -> list[list[str]]:
    rows = (dataset[row].labels or () for row in range(len(dataset)))
    return [[dataset.labels[label] for label in labels] for labels in rows]


NAMES = ["dog", None, "cat"]
BY_NAME = {
    "texts": pl.Series(NAMES),
    "blank": pl.Series(["dog", "", "cat"]),
    "categories": pl.Series(NAMES, dtype=pl.Categorical),
}
INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
BY_NUMBER = {
    **{str(dtype): pl.Series([1, None, 0], dtype=dtype) for dtype in INTEGERS},
    "unknown as -1": pl.Series([1, -1, 0]),
    "Float32": pl.Series([1.0, None, 0.0], dtype=pl.Float32),
    "NaN": pl.Series([1.0, float("nan"), 0.0]),
    "unknown as -1.0": pl.Series([1.0, -1.0, 0.0]),
}


@pytest.mark.parametrize("layout", BY_NAME)
def test_labels_by_name_are_sorted(tmp_path: Path, layout: str) -> None:
    dataset = labelled(tmp_path / "t.parquet", BY_NAME[layout])
    assert dataset.labels == ("cat", "dog")
    assert named(dataset) == [["dog"], [], ["cat"]]
    assert not dataset.is_multi_label


@pytest.mark.parametrize("layout", BY_NAME)
def test_labels_by_name_follow_given_names(tmp_path: Path, layout: str) -> None:
    names = ["dog", "owl", "cat"]
    dataset = labelled(tmp_path / "t.parquet", BY_NAME[layout], label_names=names)
    assert [dataset[row].labels or () for row in range(3)] == [(0,), (), (2,)]


@pytest.mark.parametrize("layout", BY_NUMBER)
def test_labels_by_number_count_the_names_of_the_schema(tmp_path: Path, layout: str) -> None:
    cells, path = BY_NUMBER[layout], tmp_path / "t.parquet"
    dataset = labelled(path, cells, {"label": CLASS_LABEL})
    assert dataset.labels == ("cat", "dog", "cow")
    assert named(dataset) == [["dog"], [], ["cat"]]
    assert named(labelled(path, cells, label_names=["x", "y"])) == [["y"], [], ["x"]]


def test_an_enum_has_its_own_labels_in_its_order(tmp_path: Path) -> None:
    cells = pl.Series(NAMES, dtype=pl.Enum(["owl", "dog", "cat"]))
    dataset = labelled(tmp_path / "t.parquet", cells)
    assert dataset.labels == ("owl", "dog", "cat")
    assert named(dataset) == [["dog"], [], ["cat"]]


def test_booleans_are_false_and_true_or_two_given_names(tmp_path: Path) -> None:
    cells, path = pl.Series([True, None, False]), tmp_path / "t.parquet"
    dataset = labelled(path, cells)
    assert dataset.labels == ("false", "true")
    assert named(dataset) == [["true"], [], ["false"]]
    assert named(labelled(path, cells, label_names=["no", "yes"])) == [["yes"], [], ["no"]]
    swapped = labelled(path, cells, label_names=["true", "false"])
    assert named(swapped) == [["true"], [], ["false"]]
    with pytest.raises(DataError, match=r"row 1, .*a label has no name(.|\n)*True; Boolean"):
        labelled(path, cells, label_names=["a", "b", "c"])


LISTS = {
    "names": pl.Series([["dog", "cat"], [], ["cow"], None]),
    "categories": pl.Series([["dog", "cat"], [], ["cow"], None], dtype=pl.List(pl.Categorical)),
    "numbers": pl.Series([[1, 0], [], [2], None]),
    "floats": pl.Series([[1.0, 0.0], [], [2.0], None]),
    "repeated": pl.Series([[1, 0, 1], [], [2, 2], None]),
}
FEATURES = {
    "Sequence": {"feature": CLASS_LABEL, "length": -1, "_type": "Sequence"},
    "List": {"feature": CLASS_LABEL, "_type": "List"},
    "LargeList": {"feature": CLASS_LABEL, "_type": "LargeList"},
    "a list": [CLASS_LABEL],
}


@pytest.mark.parametrize("layout", LISTS)
@pytest.mark.parametrize("feature", FEATURES)
def test_lists_of_labels_are_multi_label(tmp_path: Path, layout: str, feature: str) -> None:
    dataset = labelled(tmp_path / "t.parquet", LISTS[layout], {"label": FEATURES[feature]})
    assert dataset.is_multi_label
    assert dataset.labels == ("cat", "dog", "cow")
    assert named(dataset) == [["cat", "dog"], [], ["cow"], []]


def test_an_empty_list_is_no_label_and_null_is_unknown(tmp_path: Path) -> None:
    dataset = labelled(tmp_path / "t.parquet", LISTS["names"])
    assert dataset[1].labels == ()
    assert dataset[3].labels == Sample("unknown", {}).labels


def test_arrays_of_names_are_multi_label(tmp_path: Path) -> None:
    cells = pl.Series([["dog", "cat"], ["cow", "cat"]], dtype=pl.Array(pl.String, 2))
    dataset = labelled(tmp_path / "t.parquet", cells)
    assert dataset.labels == ("cat", "cow", "dog")
    assert named(dataset) == [["cat", "dog"], ["cat", "cow"]]


OLD = {"feature": {"kind": CLASS_LABEL, "box": {"_type": "Value"}}, "_type": "Sequence"}
NEW = {"feature": {"kind": CLASS_LABEL, "box": {"_type": "Value"}}, "_type": "List"}
OBJECTS = [{"kind": 2, "box": 5}, {"kind": 0, "box": 6}, {"kind": 2, "box": 7}]


@pytest.mark.parametrize(
    ("cells", "feature"),
    [
        (pl.Series([{"kind": [2, 0, 2], "box": [5, 6, 7]}]), OLD),
        (pl.Series([OBJECTS]), NEW),
        (pl.Series([OBJECTS]), [{"kind": CLASS_LABEL}]),
    ],
)
def test_labels_of_objects_are_a_field(tmp_path: Path, cells: pl.Series, feature: object) -> None:
    dataset = labelled(tmp_path / "t.parquet", cells, {"label": feature}, "label.kind")
    assert named(dataset) == [["cat", "cow"]]


def test_labels_of_lists_keep_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    labelled(path, LISTS["names"])
    check_dataset(Parquet, train=path, text_columns=["text"], label_column="label")


NO_LABELS = {
    "parts": (pl.Series([1.5]), r"no labels \(a number is not whole\)(.|\n)*Float64"),
    "infinite": (pl.Series([float("inf")]), "not whole"),
    "decimals": (pl.Series([decimal.Decimal("1.0")]), "no labels(.|\n)*Decimal"),
    "dates": (pl.Series([datetime.date(2020, 1, 1)]), "no labels(.|\n)*Date"),
    "times": (pl.Series([datetime.datetime(2020, 1, 1)]), "no labels(.|\n)*Datetime"),
    "bytes": (pl.Series([b"cat"]), "no labels(.|\n)*Binary"),
    "structs": (pl.Series([{"name": "cat"}]), 'no labels(.|\n)*Struct(.|\n)*"label.name"'),
    "lists of structs": (pl.Series([[{"kind": 1}]]), 'no labels(.|\n)*"label.kind"'),
    "lists of lists": (pl.Series([[["cat"]]]), r"no labels(.|\n)*List\(List"),
    "lists of booleans": (pl.Series([[True, False]]), r"no labels(.|\n)*List\(Boolean\)"),
    "all null": (pl.Series([None, None]), "no row has a label(.|\n)*Null"),
    "no names": (pl.Series([0, 1]), "numbers and nothing names them(.|\n)*Int64"),
    "lists without names": (pl.Series([[0, 1]]), r"nothing names them(.|\n)*List\(Int64\)"),
    "a null in a list": (pl.Series([["cat", None]]), "row 1, .*a label has no name"),
}


@pytest.mark.parametrize("other", NO_LABELS)
def test_other_columns_are_no_labels_by_name_and_type(tmp_path: Path, other: str) -> None:
    cells, fault = NO_LABELS[other]
    with pytest.raises(DataError, match=fault) as caught:
        labelled(tmp_path / "t.parquet", cells)
    assert f"{tmp_path / 't.parquet'}: " in str(caught.value)
    assert "column 'label'" in str(caught.value)


NAMELESS = {
    "number": (pl.Series([0, 3]), "row 2, .*a label has no name(.|\n)*3; Int64"),
    "negative": (pl.Series([0, -2]), "row 2, .*no name(.|\n)*-2"),
    "text": (pl.Series(["cat", "owl"]), "row 2, .*no name(.|\n)*'owl'; String"),
    "in a list": (pl.Series([[0], [1, 7]]), r"row 2, .*no name(.|\n)*\[1, 7\]; List"),
    "unknown in a list": (pl.Series([[0], [-1]]), "row 2, .*no name"),
    "flags": (pl.Series([[0, 1, 1], [0, 0, 1]]), r"a 0 or 1 for each label(.|\n)*\[0, 1, 1\]"),
}


@pytest.mark.parametrize("other", NAMELESS)
def test_labels_without_a_name_are_refused_with_their_row(tmp_path: Path, other: str) -> None:
    cells, fault = NAMELESS[other]
    with pytest.raises(DataError, match=fault):
        labelled(tmp_path / "t.parquet", cells, {"label": CLASS_LABEL})


def test_numbers_never_count_names_in_another_order(tmp_path: Path) -> None:
    path, cells = tmp_path / "t.parquet", pl.Series([1, 2])
    names = ["dog", "cat", "cow"]
    with pytest.raises(DataError, match="names of the schema in another order"):
        labelled(path, cells, {"label": CLASS_LABEL}, label_names=names)
    with pytest.raises(DataError, match="not those by which cells count"):
        labelled(path, cells, label_names=["1", "2", "3"])
    digits = labelled(path, cells, label_names=["0", "1", "2"])
    assert named(digits) == [["1"], ["2"]]


def test_a_schema_that_names_two_labels_alike_is_refused(tmp_path: Path) -> None:
    twice = {"label": {"names": ["crane", "crane"], "_type": "ClassLabel"}}
    with pytest.raises(DataError, match="names two labels alike"):
        labelled(tmp_path / "t.parquet", pl.Series([0, 1]), twice)
    dataset = labelled(tmp_path / "t.parquet", pl.Series([0, 1]), twice, label_names=["a", "b"])
    assert named(dataset) == [["a"], ["b"]]


def test_splits_whose_schemas_number_labels_otherwise_are_refused(tmp_path: Path) -> None:
    columns = {"text": ["x", "y"], "label": [0, 1]}
    train = write(tmp_path / "train.parquet", columns, {"label": CLASS_LABEL})
    other = {"label": {**CLASS_LABEL, "names": ["dog", "cat", "cow"]}}
    test = write(tmp_path / "test.parquet", columns, other)
    options: dict[str, Any] = {"text_columns": ["text"], "label_column": "label"}
    assert len(Parquet("train", train=train, test=test, **options)) == 2
    with pytest.raises(DataError, match=r"names the labels otherwise than train\.parquet"):
        Parquet("test", train=train, test=test, **options)


def test_files_of_one_split_may_write_a_column_as_other_types(tmp_path: Path) -> None:
    write(tmp_path / "0.parquet", {"text": ["a"], "label": ["dog"]})
    write(tmp_path / "1.parquet", {"text": [["b", "c"]], "label": pl.Series([None])})
    cells = pl.Series(["cat"], dtype=pl.Categorical)
    write(tmp_path / "2.parquet", {"text": pl.Series([None]), "label": cells})
    dataset = Parquet(
        "train", train=tmp_path / "*.parquet", text_columns=["text"], label_column="label"
    )
    assert [dataset[row].values.get("text") for row in range(3)] == [("a",), ("b", "c"), None]
    assert named(dataset) == [["dog"], [], ["cat"]]


def test_lists_in_one_file_alone_are_refused(tmp_path: Path) -> None:
    train = write(tmp_path / "train.parquet", {"text": ["a"], "label": ["dog"]})
    test = write(tmp_path / "test.parquet", {"text": ["a"], "label": [["dog"]]})
    with pytest.raises(DataError, match="its labels are lists in one of"):
        Parquet("test", train=train, test=test, text_columns=["text"], label_column="label")


# --- files --------------------------------------------------------------------------------------
def test_only_a_star_is_a_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "v[1]?"
    folder.mkdir()
    write(folder / "a.parquet", {"text": ["a"]})
    write(folder / "b.parquet", {"text": ["b"]})
    assert captions(folder / "b.parquet") == [("b",)]
    assert captions(folder / "*.parquet") == [("a",), ("b",)]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", {"text": ["a"]})
    with pytest.raises(DataError, match=r"it is no file\n  found: a folder"):
        captions(tmp_path)


@pytest.mark.parametrize("told", ["", "no JSON", "[]", '{"info": null}', '{"info": {}}', "3"])
def test_metadata_that_say_nothing_name_nothing(tmp_path: Path, told: str) -> None:
    path = tmp_path / "t.parquet"
    columns = {"text": ["a", "b"], "label": ["dog", "cat"]}
    pl.DataFrame(columns).write_parquet(path, metadata={"huggingface": told})
    dataset = Parquet("train", train=path, text_columns=["text"], label_column="label")
    assert named(dataset) == [["dog"], ["cat"]]


def test_types_of_other_writers_are_read_alike(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    texts = [["a", "b"], None]
    for kind, cells in {
        "dictionary": pa.array(["dog", "cat"]).dictionary_encode(),
        "large_string": pa.array(["dog", "cat"], pa.large_string()),
        "string_view": pa.array(["dog", "cat"], pa.string_view()),
    }.items():
        table = pa.table({"text": pa.array(texts, pa.large_list(pa.string())), "label": cells})
        parquet.write_table(table, tmp_path / "t.parquet")
        dataset = Parquet(
            "train", train=tmp_path / "t.parquet", text_columns=["text"], label_column="label"
        )
        assert dataset[0].values["text"] == ("a", "b"), kind
        assert named(dataset) == [["dog"], ["cat"]], kind


@pytest.mark.parametrize("cells", [["a", "b\0c"], [["a"], ["d", "b\0c"]]])
def test_a_caption_with_a_nul_is_refused_by_its_row(tmp_path: Path, cells: list[Any]) -> None:
    path = write(tmp_path / "a.parquet", {"text": cells})
    with pytest.raises(DataError, match=r"row 2, column 'text': the caption holds a NUL"):
        captions(path)


@pytest.mark.parametrize("cells", [["a", "b\0c"], [["a"], ["d", "b\0c"]]])
def test_the_name_of_a_label_holds_no_nul(tmp_path: Path, cells: list[Any]) -> None:
    path = write(tmp_path / "a.parquet", {"text": ["x", "y"], "label": cells})
    with pytest.raises(DataError, match=r"column 'label': the name of a label holds a NUL"):
        Parquet("train", train=path, text_columns=["text"], label_column="label")
