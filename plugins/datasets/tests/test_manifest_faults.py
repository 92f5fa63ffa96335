"""Faults of a manifest: each is explained, with its row and column."""

import io
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from mmlab_datasets.manifest import Manifest
from PIL import Image
from support.manifests import COLUMNS, write_csv, write_folder, write_jsonl, write_sound

from mmlab.plugin import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path)


def assert_explains(error: pytest.ExceptionInfo[DataError], *parts: str) -> None:
    message = str(error.value)
    assert [line.split(":")[0].strip() for line in message.splitlines()[1:]] == [
        "found",
        "allowed",
        "next",
    ]
    for part in parts:
        assert part in message


TEXT = {"text_columns": ["t"]}
FAULTS: Sequence[tuple[str, str, Mapping[str, object], Sequence[str]]] = [
    ("empty.csv", "", TEXT, ["it is empty", "0 bytes"]),
    ("header.csv", "t,label\n", TEXT, ["it has no rows"]),
    ("index.txt", "t\nx\n", TEXT, ["its ending is unknown", ".txt", ".csv, .jsonl, .parquet"]),
    (
        "ragged.csv",
        "t\nx\n1,2\n",
        TEXT,
        ["ragged.csv: row 2 (line 3)", "2 cells", "1, one for each", "quotes"],
    ),
    (
        "lines.csv",
        't,u\n"x\ny",\n\n"1,2,3\n",1,2\n',
        TEXT,
        ["row 2 (line 5)", "3 cells", "2, one for each"],
    ),
    ("quote.csv", 't,u\n1,2\n"x"y,1\n', TEXT, ["line 3", "quotes", "twice"]),
    ("twice.csv", "t,u,t\nx,y,z\n", TEXT, ["twice.csv: header", "more than once", "found: 't'"]),
    (
        "latin1.csv",
        b"t\ncaf\xe9\n",
        TEXT,
        ["latin1.csv: line 2", r"b'caf\xe9', byte 4", "as UTF-8"],
    ),
    ("latin1.jsonl", b'{"t": 1}\n{"t": "\xe9"}\n', TEXT, ["line 2", "UTF-8", "Latin-1"]),
    ("array.jsonl", '{"t": "x"}\n[1]\n', TEXT, ["line 2", "no JSON object", "[1]"]),
    ("bad.jsonl", '{"t": "x"}\n{"t"\n', TEXT, ["line 2", "Expecting", "one object a line"]),
    ("bad.parquet", "PAR1", TEXT, ["it is damaged", "a whole Parquet file", "anew"]),
    ("missing_column.csv", "texts\nx\n", {"text_columns": ["text"]}, ["'text'", '"texts"?']),
    ("none_named.csv", "t\nx\n", {}, ["no column is named", "image_column", "'t'"]),
    ("nul.csv", "t\nx\ny\0z\n", TEXT, ["row 2", "NUL", r"found: 3 bytes, 'y\x00z'" + "\n"]),
    ("nul.jsonl", '{"t": "x\\u0000"}\n', TEXT, ["row 1", "NUL"]),
    ("surrogate.jsonl", '{"t": "\\ud800"}\n', TEXT, ["row 1 (line 1)", "half of a surro"]),
    ("long.csv", "t\n" + "x" * 5000 + "\n", TEXT, ["row 1", "too long", "5000 bytes", "4096"]),
    ("numbers.jsonl", '{"t": 1.5}\n', TEXT, ["'t'", "Float64", "write the column as text"]),
    (
        "split.csv",
        "t,part\nx,train\ny,tests\n",
        {**TEXT, "split_column": "part"},
        ["row 2, column 'part'", "'tests'", 'mean "test"?', "train, validation, test"],
    ),
    ("no_split.csv", "t,part\nx,\n", {**TEXT, "split_column": "part"}, ["row 1", "found: ''"]),
    (
        "labels.csv",
        "t,kind\nx,cat\ny,dgo\n",
        {**TEXT, "label_column": "kind", "label_names": ["cat", "dog"]},
        ["row 2", "'dgo'", 'mean "dog"?', "cat, dog", "label_names"],
    ),
    (
        "label_nul.jsonl",
        '{"t": "x", "kinds": ["a"]}\n{"t": "y", "kinds": ["a", "b\\u0000"]}\n',
        {**TEXT, "label_column": "kinds"},
        ["row 2, column 'kinds'", "NUL"],
    ),
    ("ids.csv", "t,id\nx,1\ny,2\nz,1\n", {**TEXT, "id_column": "id"}, ["row 3", "of row 1", "'1'"]),
    ("no_id.csv", "t,id\nx,1\ny,\n", {**TEXT, "id_column": "id"}, ["row 2", "id is missing"]),
]


@pytest.mark.parametrize(
    ("name", "content", "options", "parts"), FAULTS, ids=[f[0] for f in FAULTS]
)
def test_a_faulty_index_is_explained(
    tmp_path: Path,
    name: str,
    content: str | bytes,
    options: Mapping[str, object],
    parts: Sequence[str],
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)

    with pytest.raises(DataError) as error:
        Manifest("train", path=path, **options)  # type: ignore[arg-type]

    assert_explains(error, name, *parts)


def test_a_label_named_twice_is_explained(folder: Path) -> None:
    with pytest.raises(DataError) as error:
        Manifest("train", path=folder / "index.csv", **COLUMNS, label_names=["red", "blue", "red"])

    assert_explains(error, "dataset.label_names", "found: 'red'")


def test_an_index_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        Manifest("train", path=tmp_path / "none.csv", text_columns=["t"])

    assert_explains(error, "none.csv", "No such file")


@pytest.mark.parametrize("cell", ["none.png", ".", "../outside.png", "/dev/zero", "pipe", "nul\0"])
def test_a_file_that_is_not_there_is_named_with_its_row_before_anything_is_read(
    folder: Path, cell: str
) -> None:
    Image.new("RGB", (2, 2)).save(folder.parent / "outside.png")
    os.mkfifo(folder / "pipe")
    path = write_jsonl(folder / "index.jsonl", [{"f": "a.png"}, {"f": cell}, {"f": cell}])

    with pytest.raises(DataError) as error:
        Manifest("train", path=path, image_column="f")

    assert_explains(error, "index.jsonl: row 2, column 'f'", "root" if "\0" not in cell else "NUL")


def huge_png() -> bytes:
    """A few bytes of PNG that claim 20,000 x 20,000 pixels."""
    header = struct.pack(">2I5B", 20_000, 20_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 60_001)), (b"IEND", b"")]
    body = (
        struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def picture(kind: str, mode: str = "RGB") -> bytes:
    content = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert(mode).save(content, kind)
    return content.getvalue()


BAD_PICTURES = {
    "text": (b"<html>404</html>", "HTML page"),
    "nothing": (b"", "an empty file"),
    "gif": (picture("GIF"), "its content is GIF"),
    "cut PNG": (picture("PNG")[:-900], "cut short"),
    "cut JPEG": (picture("JPEG")[:-900], "cut short"),
    "bomb": (huge_png(), "pixel"),
    "16 bits": (picture("PNG", "I;16"), "16 bits a channel"),
}


@pytest.mark.parametrize("fault", BAD_PICTURES)
def test_a_bad_picture_is_explained_when_it_is_read(tmp_path: Path, fault: str) -> None:
    content, part = BAD_PICTURES[fault]
    (tmp_path / "bad.png").write_bytes(content)
    path = write_csv(tmp_path / "index.csv", [{"f": "bad.png"}])
    dataset = Manifest("train", path=path, image_column="f")

    with pytest.raises(DataError) as error:
        dataset[0]

    assert_explains(error, "index.csv: row 1, column 'f'", "bad.png", part, "JPEG, PNG, WEBP")


def test_a_picture_between_pillows_limit_and_ours_is_an_error(tmp_path: Path) -> None:
    Image.new("1", (7_100, 7_100)).save(tmp_path / "large.png")
    path = write_csv(tmp_path / "index.csv", [{"f": "large.png"}])

    with pytest.raises(DataError) as error:
        Manifest("train", path=path, image_column="f")[0]

    assert_explains(error, "7100 x 7100 pixels", "50,000,000")


@pytest.mark.parametrize("cut", [5, 40])
def test_a_bad_sound_is_explained_when_it_is_read(tmp_path: Path, cut: int) -> None:
    write_sound(tmp_path / "bad.wav", [[1, 2, 3, 4]])
    content = (tmp_path / "bad.wav").read_bytes()
    (tmp_path / "bad.wav").write_bytes(content[: len(content) - cut])
    path = write_csv(tmp_path / "index.csv", [{"f": "bad.wav"}])

    with pytest.raises(DataError) as error:
        Manifest("train", path=path, audio_column="f")[0]

    assert_explains(error, "index.csv: row 1, column 'f'", "bad.wav", "cut short", "WAV, or FLAC")


@pytest.mark.parametrize("cell", ["tall", "inf", "1,5"])
def test_a_target_that_is_no_number_is_named_with_its_row(tmp_path: Path, cell: str) -> None:
    rows = [{"text": "a", "age": "1"}, {"text": "b", "age": cell}]
    path = write_csv(tmp_path / "i.csv", rows)
    with pytest.raises(DataError, match="row 2, column 'age'"):
        Manifest("train", path=path, text_columns=["text"], target_columns=["age"])
