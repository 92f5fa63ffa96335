import io
import json
import os
import pickle
import struct
import wave
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from mmlab_datasets.manifest import Manifest
from mmlab_datasets.splits import draw_splits
from PIL import Image

from mmlab.plugin import DataError, Sample

ROWS = [
    {"file": "a.png", "title": "a red square", "kind": "red", "part": "train"},
    {"file": "b.jpg", "title": 'a blue one, "really"', "kind": "blue", "part": "train"},
    {"file": "", "title": "no picture 🙂", "kind": "red", "part": "train"},
    {"file": "d.webp", "title": "", "kind": "", "part": "test"},
]
COLUMNS = {
    "image_column": "file",
    "text_columns": ["title"],
    "label_column": "kind",
    "split_column": "part",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, colour in (("a.png", "red"), ("b.jpg", "blue"), ("d.webp", "white")):
        Image.new("RGB", (6, 4), colour).save(tmp_path / name)
    write_sound(tmp_path / "a.wav", [[0, 16384, -32768], [1, 2, 3]])
    write_csv(tmp_path / "index.csv", ROWS)
    return tmp_path


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    pl.DataFrame(rows).write_csv(path)
    return path


def write_jsonl(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_sound(path: Path, channels: Sequence[Sequence[int]]) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((len(channels), 2, 8000, 0, "NONE", ""))
        sound.writeframes(np.array(channels, "<i2").T.tobytes())


def samples(dataset: Manifest) -> list[Sample]:
    return [dataset[index] for index in range(len(dataset))]


def truths(dataset: Manifest) -> list[tuple[str, ...]]:
    return [tuple(dataset.labels[label] for label in s.labels) for s in samples(dataset)]


# --- what a manifest gives --------------------------------------------------------------------


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
    assert truths(test) == [()]
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
    assert truths(listed) == [("a", "b"), (), ()]
    assert truths(parted) == [("a", "b"), ()]


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


# --- splits and revision ----------------------------------------------------------------------


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
        len(Manifest(split, path=path, image_column="file", text_columns=["t"]))
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


# --- faults -----------------------------------------------------------------------------------


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
        ["row 3 (line 5)", "3 cells", "2, one for each"],
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
    ("surrogate.jsonl", '{"t": "\\ud800"}\n', TEXT, ["row 1", "NUL"]),
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
    "text": (b"<html>404</html>", "cannot identify"),
    "nothing": (b"", "cannot identify"),
    "gif": (picture("GIF"), "cannot identify"),
    "cut PNG": (picture("PNG")[:-900], "truncated"),
    "cut JPEG": (picture("JPEG")[:-900], "truncated"),
    "bomb": (huge_png(), "pixel"),
    "16 bits": (picture("PNG", "I;16"), "more than 8 bits"),
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

    assert_explains(error, "index.csv: row 1, column 'f'", "bad.wav", "16-bit PCM WAV")


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


def test_targets_are_part_of_the_revision_and_without_them_it_is_what_it_was(
    folder: Path,
) -> None:
    rows = [{**row, "age": str(number)} for number, row in enumerate(ROWS)]
    write_csv(folder / "aged.csv", rows)
    plain = Manifest("train", path=folder / "index.csv", **COLUMNS)
    same = Manifest("train", path=folder / "aged.csv", **COLUMNS)
    aged = Manifest("train", path=folder / "aged.csv", **COLUMNS, target_columns=["age"])
    assert plain.revision == same.revision != aged.revision


@pytest.mark.parametrize("cell", ["tall", "inf", "1,5"])
def test_a_target_that_is_no_number_is_named_with_its_row(tmp_path: Path, cell: str) -> None:
    rows = [{"text": "a", "age": "1"}, {"text": "b", "age": cell}]
    path = write_csv(tmp_path / "i.csv", rows)
    with pytest.raises(DataError, match="row 2, column 'age'"):
        Manifest("train", path=path, text_columns=["text"], target_columns=["age"])


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


def test_what_a_spec_does_not_name_changes_no_revision(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_text("title,kind,part\na,x,train\nb,,test\n")
    options = {"text_columns": ["title"], "label_column": "kind", "split_column": "part"}
    plain = Manifest("train", path=tmp_path / "i.csv", **options)
    more = Manifest("train", path=tmp_path / "i.csv", **options, tabular_columns=["kind"])
    assert plain.revision == "manifest-895fc41ba81333cb"  # before there were rows and videos
    assert plain.revision != more.revision
