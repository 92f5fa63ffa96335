"""The text files of a manifest: what they say in every encoding, layout and way of quoting."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from mmlab_datasets.index_files import read_index
from mmlab_datasets.manifest import Manifest

from mmlab.plugin import DataError, Sample

OPTIONS: Mapping[str, object] = {
    "text_columns": ["t"],
    "validation_fraction": 0,
    "test_fraction": 0,
}


def read(path: Path, content: str | bytes, **options: object) -> Manifest:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Manifest("train", path=path, **OPTIONS | options)  # type: ignore[arg-type]


def outlines(dataset: Manifest) -> list[Sample]:
    return [dataset.outline(index) for index in range(len(dataset))]


def said(dataset: Manifest) -> list[tuple[str, object, str]]:
    """Id, captions and label of every sample."""
    return [
        (s.id, s.values.get("text"), "".join(dataset.labels[label] for label in s.labels or ()))
        for s in outlines(dataset)
    ]


ROWS = [("1", ("a cät 🙂",), "x"), ("2", ("a, dog",), "y")]
TABLE = 't,l\na cät 🙂,x\n"a, dog",y\n'
LINES = '{"t": "a cät 🙂", "l": "x"}\n{"t": "a, dog", "l": "y"}\n'
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("name", "text"), [("i.csv", TABLE), ("i.jsonl", LINES)])
def test_every_encoding_of_unicode_is_read_and_named(
    tmp_path: Path, name: str, text: str, encoding: str
) -> None:
    dataset = read(tmp_path / name, text.encode(encoding), label_column="l")
    assert said(dataset) == ROWS
    told = f"{tmp_path / name}: its text is read as {encoding[:6].upper()}"
    assert [note.startswith(told) for note in dataset.notes] == [True] * ("8" not in encoding)
    assert dataset.revision == read(tmp_path / "plain.csv", TABLE, label_column="l").revision


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("name", "text"), [("i.csv", TABLE), ("i.jsonl", LINES)])
def test_every_end_of_lines_is_one(tmp_path: Path, name: str, text: str, end: str) -> None:
    dataset = read(tmp_path / name, text.replace("\n", end), label_column="l")
    assert said(dataset) == ROWS
    assert dataset.notes == ()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("i.csv", "t;l\na cät 🙂;x\na, dog;y\n", ["semicolons"]),
        ("i.csv", "sep=;\nt;l\na cät 🙂;x\na, dog;y\n", ["semicolons"]),
        ("i.csv", "t\tl\na cät 🙂\tx\na, dog\ty\n", ["tabs"]),
        ("i.csv", "t|l\na cät 🙂|x\na, dog|y\n", ["vertical bars"]),
        ("i.csv", "t| l\na cät 🙂| x\na, dog| y\n", ["vertical bars"]),
        ("i.csv", 't, l\na cät 🙂, x\n"a, dog", y\n', []),
        ("i.tsv", "t\tl\na cät 🙂\tx\na, dog\ty\n", []),
        ("i.csv", ',t,l,,\n0,a cät 🙂,x,,\n1,"a, dog",y,,\n', []),
    ],
)
def test_what_is_between_cells_is_found_and_told(
    tmp_path: Path, name: str, text: str, told: Sequence[str]
) -> None:
    dataset = read(tmp_path / name, text, label_column="l")
    assert said(dataset) == ROWS
    words = "its cells are read as separated by"
    assert list(dataset.notes) == [f"{tmp_path / name}: {words} {one}" for one in told]


def test_blank_lines_are_no_samples_and_shift_no_id(tmp_path: Path) -> None:
    dataset = read(tmp_path / "i.csv", "\nt,l\n\na,x\n  \n\nb,y\n\n\n", label_column="l")
    assert said(dataset) == [("1", ("a",), "x"), ("2", ("b",), "y")]
    assert dataset.notes == ()


def test_rows_of_empty_cells_alone_are_left_out_and_told(tmp_path: Path) -> None:
    dataset = read(tmp_path / "i.csv", "t,l\na,x\n,\nb,\n,y\n,\n , \n", label_column="l")
    assert said(dataset) == [("1", ("a",), "x"), ("2", ("b",), ""), ("3", None, "y")]
    (note,) = dataset.notes
    assert note == f"{tmp_path / 'i.csv'}: left out 3 rows of empty cells alone (line 3, 6, 7)"


def test_an_empty_cell_of_the_only_column_is_a_row(tmp_path: Path) -> None:
    dataset = read(tmp_path / "i.csv", 't\na\n""\n\nb\n')
    assert [s.values for s in outlines(dataset)] == [{"text": ("a",)}, {}, {"text": ("b",)}]


def test_quoted_cells_hold_separators_quotes_and_line_breaks(tmp_path: Path) -> None:
    cells = ['say "hi", you', "two\nlines", "three\r\n\r\nlines", 'a 5" nail', "plain"]
    with (tmp_path / "i.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["l", "t"], *((str(n), cell) for n, cell in enumerate(cells))])
    dataset = read(tmp_path / "i.csv", (tmp_path / "i.csv").read_bytes())
    assert [s.values["text"] for s in outlines(dataset)] == [(cell,) for cell in cells]
    (note,) = dataset.notes
    assert note.endswith("2 rows with line breaks within quotes; the longest is on lines 5 to 7")


def test_a_quote_that_makes_one_row_of_two_is_told_with_its_lines(tmp_path: Path) -> None:
    dataset = read(tmp_path / "i.csv", 't,l\na,x\n"b,x\nscreen 5",y\nc,x\n', label_column="l")
    assert len(dataset) == 3
    assert any(
        "lines 3 to 4 are one row by their quotes, and would be rows each without" in note
        for note in dataset.notes
    )


def test_a_quote_within_a_bare_cell_is_a_sign_for_inches(tmp_path: Path) -> None:
    dataset = read(tmp_path / "i.csv", 't,l\n5" nail,x\na "b" c,y\n', label_column="l")
    assert said(dataset) == [("1", ('5" nail',), "x"), ("2", ('a "b" c',), "y")]


def test_a_column_that_is_not_used_may_hold_cells_of_any_size(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    dataset = read(tmp_path / "i.csv", f"t,u\na,{'x' * 200_000}\nb,y\n")
    assert [s.values["text"] for s in outlines(dataset)] == [("a",), ("b",)]
    assert csv.field_size_limit() == before


def test_more_rows_than_are_read_at_once_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmlab_datasets.csv_table.CHUNK_ROWS", 3)
    monkeypatch.setattr("mmlab_datasets.json_lines.CHUNK_ROWS", 3)
    texts = [f"caption {number}" for number in range(10)]
    dataset = read(tmp_path / "i.csv", "t,u\n" + "".join(f"{text},x\n" for text in texts))
    lines = "".join(json.dumps({"t": text}) + "\n" for text in texts)
    for one in (dataset, read(tmp_path / "i.jsonl", lines)):
        assert [s.values["text"] for s in outlines(one)] == [(text,) for text in texts]


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("i.csv", 't,l\na,x\n"screen 5"",x\nb,y\n', ["line 3", "reaches line 4", "twice"]),
        ("i.csv", 't,l\n"a"b,x\n', ["line 2", "quotes of its cells cannot be understood"]),
        ("i.csv", "t,l\na,x\nb\nc,y\n", ["row 2 (line 3)", "fewer cells", "1 cell\n", '("a,")']),
        ("i.csv", "t,l\n\na,x\n\nb,y,z\n", ["row 2 (line 5)", "more cells", "3 cells", "quotes"]),
        ("i.csv", "t;l\na;x\nb\n", ["row 2 (line 3)", "fewer", "';' is between cells"]),
        ("i.csv", "t,l\na,x\nt,l\nb,y\n", ["row 2 (line 3)", "repeats the header"]),
        ("i.csv", "t,l\n\na\0,x\n", ["row 1 (line 3), column 't'", "NUL"]),
        ("i.csv", "t,l\ra,x\rb\xe4,y\r".encode("latin-1"), ["line 3", "no UTF-8", "'bä,y'"]),
        ("i.csv", "t,l\na,x\nb,y\n".encode("utf-16")[:-1], ["line 3", "no UTF-16"]),
        ("i.jsonl", '{"t": "a"}\n\n{"t": "b", "t": "c"}\n', ["line 3", "more than once", "'t'"]),
        ("i.jsonl", '{"t": "a"} {"t": "b"}\n', ["line 1", "Extra data"]),
        (
            "i.jsonl",
            '{"t": "a"}\n{"t": "b \\ud83d"}\n',
            ["row 2 (line 2), column 't'", "half of a"],
        ),
        ("i.jsonl", '\n{"t": ["a", "\\udc00"]}\n', ["row 1 (line 2), column 't'", r"'\udc00'"]),
        ("i.jsonl", '{"t": {"en": "a"}}\n', ["column 't'", "objects (row 1)"]),
        ("i.jsonl", '{"t": "a"}\n{"t": [["b"]]}\n', ["column 't'", "lists of lists (row 2)"]),
        ("i.jsonl", '{"t": true}\n{"t": 1}\n', ["booleans (row 1), whole numbers (row 2)"]),
    ],
)
def test_damage_is_named_with_its_line(
    tmp_path: Path, name: str, content: str | bytes, parts: Sequence[str]
) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path / name, content)
    for part in (name, *parts, "\n  allowed: ", "\n  next: "):
        assert part in str(error.value)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_no_json_is_named_where_it_is_asked_for(
    tmp_path: Path, value: str
) -> None:
    lines = '{"t": "a", "y": 1}\n\n{"t": "NaN", "y": ' + value + "}\n"
    assert said(read(tmp_path / "i.jsonl", lines)) == [("1", ("a",), ""), ("2", ("NaN",), "")]
    for options in ({"target_columns": ["y"]}, {"tabular_columns": ["y"]}):
        with pytest.raises(DataError, match=r"row 2 \(line 3\), column 'y'.*no finite number"):
            read(tmp_path / "i.jsonl", lines, **options)


def test_captions_alone_and_in_lists_go_together(tmp_path: Path) -> None:
    cells = ["a", ["b", "c"], None, 3, []]
    lines = "".join(json.dumps({"t": cell}) + "\n" for cell in cells) + "{}\n"
    captions = [s.values.get("text") for s in outlines(read(tmp_path / "i.jsonl", lines))]
    assert captions == [("a",), ("b", "c"), None, ("3",), None, None]


def test_what_a_cell_is_depends_on_all_of_its_column_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"t": 1, "n": 1}, {"t": 2.5, "n": 2.5}, {"t": True}, {"t": "x"}, {"u": [1]}, {"u": "y"}]
    path = tmp_path / "i.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for chunk in (1, 2, 100):
        monkeypatch.setattr("mmlab_datasets.json_lines.CHUNK_ROWS", chunk)
        table = read_index(path).table
        assert table["t"].to_list() == ["1", "2.5", "true", "x", None, None]
        assert table["n"].to_list() == [1.0, 2.5, None, None, None, None]
        assert table["u"].to_list() == [None, None, None, None, ["1"], ["y"]]


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        ([True, False, None], ["true", "false", ""]),
        ([2.0, 10.0, None], ["2", "10", ""]),
        ([2**64, 7, None], [str(2**64), "7", ""]),
    ],
)
def test_labels_may_be_booleans_and_whole_numbers_of_any_kind(
    tmp_path: Path, cells: Sequence[object], labels: Sequence[str]
) -> None:
    lines = "".join(json.dumps({"t": "a", "l": cell}) + "\n" for cell in cells)
    dataset = read(tmp_path / "i.jsonl", lines, label_column="l")
    assert [label for _, _, label in said(dataset)] == labels


def test_a_label_that_is_a_word_for_nothing_is_told(tmp_path: Path) -> None:
    dataset = read(tmp_path / "i.csv", "t,l\na,x\nb,nan\nc,N/A\n", label_column="l")
    assert dataset.labels == ("N/A", "nan", "x")
    (note,) = dataset.notes
    assert "column 'l': 'N/A', 'nan' is a label like any other" in note


@pytest.mark.parametrize("before", ["  \n", "\n \t\n", " \r\n"])
def test_lines_of_blanks_before_the_header_are_no_header(tmp_path: Path, before: str) -> None:
    dataset = read(tmp_path / "i.csv", before + TABLE, label_column="l")
    assert said(dataset) == ROWS


@pytest.mark.parametrize("sign", ['"', " ", "", "\r"])
def test_what_cannot_be_between_cells_is_no_separator(tmp_path: Path, sign: str) -> None:
    with pytest.raises(DataError, match=r"i\.csv: "):
        read(tmp_path / "i.csv", f"sep={sign}\n" + TABLE)


def test_labels_that_look_like_lists_are_told(tmp_path: Path) -> None:
    text = 't,l\na,"[""cat"", ""dog""]"\nb,[]\nc,cat\n'
    dataset = read(tmp_path / "i.csv", text, label_column="l")
    assert dataset.labels == ('["cat", "dog"]', "[]", "cat")
    (note,) = dataset.notes
    assert '\'["cat", "dog"]\'' in note
    assert "is one label each, though it looks like a list" in note
