"""The kinds of a manifest's columns: numbers or categories, and the cells that decide it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest
from mmlab_datasets.manifest import Manifest
from support.manifests import write_csv

from mmlab.plugin import DataError

OPTIONS: Mapping[str, object] = {
    "tabular_columns": ["age"],
    "validation_fraction": 0,
    "test_fraction": 0,
}
NUMBERS = [str(number) for number in range(30)]


def made(folder: Path, cells: Sequence[object], **options: object) -> Manifest:
    path = write_csv(folder / "i.csv", [{"age": cell, "t": "x"} for cell in cells])
    return Manifest("train", path=path, **OPTIONS | {"text_columns": ["t"]} | options)  # type: ignore[arg-type]


def cells_of(dataset: Manifest) -> list[object]:
    outlines = (dataset.outline(index) for index in range(len(dataset)))
    return [s.values.get("tabular", {"age": None})["age"] for s in outlines]  # type: ignore[index]


WORDS = ["nan", "NaN", "NAN", "N/A", "n/a", "NA", "null", "NULL", "None", "-", "?", " NaN ", "#N/A"]


@pytest.mark.parametrize("word", [*WORDS, "<NA>", ".", "--", "  "])
def test_a_word_for_nothing_among_numbers_is_a_missing_cell(tmp_path: Path, word: str) -> None:
    dataset = made(tmp_path, [*NUMBERS, word, "", word], target_columns=["age"])
    assert cells_of(dataset) == [*map(float, NUMBERS), None, None, None]
    targets = [dataset.outline(index).targets[0] for index in range(len(dataset))]
    assert targets[:30] == [*map(float, NUMBERS)]
    assert all(target != target for target in targets[30:])
    assert list(dataset.notes) == [
        f"{tmp_path / 'i.csv'}: column 'age' is read as numbers; missing: 2 cells {word!r}",
        f"{tmp_path / 'i.csv'}: target 'age': unknown: 2 cells {word!r}",
    ]


def test_a_column_reads_the_same_with_a_word_for_nothing_as_with_an_empty_cell(
    tmp_path: Path,
) -> None:
    empty, word = (made(tmp_path, ["1", cell, "2.5"]) for cell in ("", "n/a"))
    assert empty.revision == word.revision
    assert made(tmp_path, ["1", "no age", "2.5"]).revision != empty.revision


def test_the_kinds_of_all_columns_are_told_with_what_decided_them(tmp_path: Path) -> None:
    rows = [
        {"age": "1", "size": "2.5", "town": "", "zip": "8000", "code": "?"},
        {"age": "", "size": "1e3", "town": "Bern", "zip": "3000", "code": "-"},
    ]
    path = write_csv(tmp_path / "i.csv", rows)
    dataset = Manifest("train", path=path, tabular_columns=list(rows[0]), kinds={"zip": "category"})
    assert list(dataset.notes) == [
        f"{path}: read as numbers: 'age', 'size'",
        f"{path}: read as categories: 'town' ('Bern' in row 2), 'zip' (declared), "
        "'code' ('?' in row 1)",
    ]


def test_the_spec_may_say_that_numbers_are_categories(tmp_path: Path) -> None:
    dataset = made(tmp_path, ["1", "02", "N/A", ""], kinds={"age": "category"})
    assert cells_of(dataset) == ["1", "02", "N/A", None]
    assert "'age' (declared)" in dataset.notes[0]


def test_the_spec_may_say_that_a_column_is_of_numbers(tmp_path: Path) -> None:
    dataset = made(tmp_path, ["?", "-"], kinds={"age": "number"})
    assert cells_of(dataset) == [None, None]
    with pytest.raises(DataError) as error:
        made(tmp_path, ["1", "N/A", "12 kg"], kinds={"age": "number"})
    for part in ("i.csv: row 3, column 'age'", "'12 kg'", 'kinds.age = "category"'):
        assert part in str(error.value)


def test_a_kind_of_a_column_that_is_not_tabular_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset\.kinds(.|\n)*'aeg'(.|\n)*allowed: 'age'"):
        made(tmp_path, ["1"], kinds={"aeg": "number"})


@pytest.mark.parametrize("odd", ["12 kg", "inf", "1_000", "12.3.4"])
def test_few_cells_that_are_no_numbers_are_told(tmp_path: Path, odd: str) -> None:
    dataset = made(tmp_path, [*NUMBERS, odd])
    assert cells_of(dataset) == [*NUMBERS, odd]
    told = (
        f"is read as categories: 1 of 31 cells are no numbers ({odd!r} in row 31); kinds = {{ age"
    )
    assert [told in note for note in dataset.notes] == [True]
    assert "kinds" not in "".join(made(tmp_path, [*NUMBERS, odd], kinds={"age": "category"}).notes)


@pytest.mark.parametrize(
    "cells", [["1,234", "12,500", "7"], ["3,5", "2,25"], ["1.234,5", "7"], ["1 234", "1'234"]]
)
def test_numbers_as_other_countries_write_them_are_categories_and_told(
    tmp_path: Path, cells: Sequence[str]
) -> None:
    dataset = made(tmp_path, cells)
    assert cells_of(dataset) == list(cells)
    (note,) = dataset.notes
    foreign = len(cells) - cells.count("7")
    assert f"{foreign} of {len(cells)} cells have separators of thousands or decimal" in note
    assert repr(cells[0]) in note


def test_codes_that_lose_their_zeros_are_told(tmp_path: Path) -> None:
    dataset = made(tmp_path, ["01234", "0.5", "0", "80000"])
    assert cells_of(dataset) == [1234.0, 0.5, 0.0, 80000.0]
    (note,) = dataset.notes
    assert "a 0 at the beginning is lost in 1 cell, as '01234'; kinds = { age" in note


@pytest.mark.parametrize(
    ("series", "cells"),
    [
        (pl.Series([True, False, None]), ["true", "false", None]),
        (pl.Series(["a", "b", None], dtype=pl.Categorical), ["a", "b", None]),
        (pl.Series(["a", "b", None], dtype=pl.Enum(["b", "a"])), ["a", "b", None]),
        (pl.Series(["1", "nan", None], dtype=pl.Categorical), [1.0, None, None]),
        (pl.Series([1.5, float("nan"), None]), [1.5, None, None]),
        (pl.Series([1, 2, None], dtype=pl.UInt8), [1.0, 2.0, None]),
        (pl.Series(["1.5", "2", None]).cast(pl.Decimal(5, 2)), [1.5, 2.0, None]),
    ],
)
def test_a_column_of_parquet_is_what_its_type_says(
    tmp_path: Path, series: pl.Series, cells: Sequence[object]
) -> None:
    pl.DataFrame({"age": series}).write_parquet(tmp_path / "i.parquet")
    dataset = Manifest("train", path=tmp_path / "i.parquet", **OPTIONS)  # type: ignore[arg-type]
    assert cells_of(dataset) == list(cells)


def test_a_number_without_end_in_parquet_is_missing_and_told(tmp_path: Path) -> None:
    pl.DataFrame({"age": [1.0, float("inf")]}).write_parquet(tmp_path / "i.parquet")
    dataset = Manifest("train", path=tmp_path / "i.parquet", **OPTIONS)  # type: ignore[arg-type]
    assert cells_of(dataset) == [1.0, None]
    assert "1 cell without end taken as missing" in dataset.notes[0]


@pytest.mark.parametrize("kind", [pl.Date, pl.List(pl.Int64), pl.Struct({"a": pl.Int64})])
def test_a_column_of_another_type_is_refused_by_name(tmp_path: Path, kind: pl.DataType) -> None:
    pl.DataFrame({"age": pl.Series([None], dtype=kind)}).write_parquet(tmp_path / "i.parquet")
    with pytest.raises(DataError, match=r"i\.parquet: column 'age'(.|\n)*found: "):
        Manifest("train", path=tmp_path / "i.parquet", **OPTIONS)  # type: ignore[arg-type]
