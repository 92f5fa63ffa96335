"""Shards as people write them: which members are samples, pictures, captions and labels."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmlab_datasets.shards.folder import ClipBenchmarkFolder
from mmlab_datasets.shards.webdataset import WebDataset
from PIL import Image

from mmlab.plugin import DataError

LABELS = ["cat", "dog", "owl", "fox"]


def picture(colour: int = 0, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 4), (colour, 10, 20)).save(file, kind)
    return file.getvalue()


def npy(values: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(values))
    return file.getvalue()


def write_tar(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def about(value: object) -> bytes:
    return json.dumps(value).encode()


PAIRS = [
    *(("0001.jpg", picture(50, "JPEG")), ("0001.txt", b"a red tile")),
    *(("0002.jpg", picture(150, "JPEG")), ("0002.txt", b"a blue tile")),
]


def read(folder: Path, members: Sequence[tuple[str, bytes]], **options: Any) -> WebDataset:
    return WebDataset("train", train=write_tar(folder / "s.tar", members), **options)


def told(dataset: Any) -> list[tuple[str, object, tuple[int, ...]]]:
    """Key, captions and labels of every sample."""
    samples = [dataset[index] for index in range(len(dataset))]
    return [
        (one.id.removeprefix("s/"), one.values.get("text"), tuple(one.labels or ()))
        for one in samples
    ]


def texts(dataset: Any) -> list[object]:
    return [text for _, text, _ in told(dataset)]


def labels(dataset: Any) -> list[tuple[int, ...]]:
    return [ids for _, _, ids in told(dataset)]


def red(dataset: Any, index: int = 0) -> int:
    value = dataset[index].values["image"].getpixel((0, 0))[0]
    assert isinstance(value, int)
    return value


# --- members that are no samples --------------------------------------------------------------

DOUBLE = b"\x00\x05\x16\x07" * 30
NO_SAMPLES: Mapping[str, tuple[Sequence[tuple[str, bytes]], str]] = {
    ".DS_Store": ([(".DS_Store", DOUBLE)], "1 hidden or a system's (first: .DS_Store)"),
    "in folders": ([("./a/.DS_Store", DOUBLE)], "1 hidden or a system's (first: a/.DS_Store)"),
    "macOS": ([("._0001.jpg", DOUBLE), ("._0001.txt", DOUBLE)], "2 hidden"),
    "zipped on macOS": ([("__MACOSX/0001.jpg", DOUBLE)], "1 hidden or a system's"),
    "Windows": ([("Thumbs.db", DOUBLE), ("Desktop.ini", b"[x]")], "2 hidden or a system's"),
    "README": ([("README", b"made by hand")], "1 without an ending (first: README)"),
    "README.md": ([("README.md", b"made by hand")], "1 a document (first: README.md)"),
    "a long licence": ([("LICENSE.txt", b"x" * 70_000)], "1 a document (first: LICENSE.txt)"),
    "metadata.json": ([("metadata.json", b"{")], "1 a document (first: metadata.json)"),
    "64 KiB of anything": ([("extra.bin", b"\xff" * 65_537)], "1 .bin (first: extra.bin)"),
    "tensors": ([("0001.pth", b"."), ("0002.pth", b".")], "2 .pth (first: 0001.pth)"),
    "masks": ([("0001.mask.png", picture(9))], "1 .mask.png (first: 0001.mask.png)"),
    "an embedding": ([("0001.npy", npy([0.1, 2]))], "1 .npy (first: 0001.npy)"),
    "labels": ([("0001.cls", b"no number")], "1 .cls (first: 0001.cls)"),
}


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize(("more", "note"), NO_SAMPLES.values(), ids=NO_SAMPLES)
def test_members_that_nobody_asked_for_are_told_and_left_out(
    tmp_path: Path, more: Sequence[tuple[str, bytes]], note: str, is_first: bool
) -> None:
    members = [*more, *PAIRS] if is_first else [*PAIRS, *more]
    dataset = read(tmp_path, members)
    assert told(dataset) == [("0001", ("a red tile",), ()), ("0002", ("a blue tile",), ())]
    (line,) = dataset.notes
    assert line.startswith(f"train of {tmp_path / 's.tar'}: members that are not read: ")
    assert note in line


def test_a_shard_of_samples_alone_has_no_notes(tmp_path: Path) -> None:
    assert not read(tmp_path, PAIRS).notes


def test_folders_and_the_dot_before_names_change_nothing(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for name in (".", "./a"):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
        for name, content in PAIRS:
            info = tarfile.TarInfo(f"./a/{name}")
            info.size, info.pax_headers = len(content), {"comment": "é" * 200}
            tar.addfile(info, io.BytesIO(content))
    dataset = WebDataset("train", train=tmp_path / "s.tar")
    assert [key for key, _, _ in told(dataset)] == ["a/0001", "a/0002"]


def test_endings_may_be_written_in_capitals(tmp_path: Path) -> None:
    members = [("a.JPG", picture(50, "JPEG")), ("a.TXT", b"x"), ("b.Jpeg", picture(9, "JPEG"))]
    dataset = read(tmp_path, members)
    assert told(dataset) == [("a", ("x",), ()), ("b", None, ())]
    assert abs(red(dataset) - 50) < 3


def test_members_of_a_sample_need_not_lie_side_by_side(tmp_path: Path) -> None:
    apart = sorted(PAIRS, key=lambda member: member[0].partition(".")[2])
    assert told(read(tmp_path, apart)) == told(read(tmp_path, PAIRS))


def test_a_shard_without_any_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no member of the shards belongs to a sample") as caught:
        read(tmp_path, [("a.flac", b"."), ("b.flac", b".")])
    assert "found: 2 .flac (a.flac)" in str(caught.value)


def test_a_second_tar_in_the_file_is_not_lost_in_silence(tmp_path: Path) -> None:
    one = write_tar(tmp_path / "s.tar", PAIRS).read_bytes()
    (tmp_path / "s.tar").write_bytes(one + one)
    with pytest.raises(DataError, match=f"data follow its end .{len(one):,}."):
        WebDataset("train", train=tmp_path / "s.tar")


def test_a_damaged_header_ends_no_shard_in_silence(tmp_path: Path) -> None:
    content = bytearray(write_tar(tmp_path / "s.tar", PAIRS).read_bytes())
    with tarfile.open(tmp_path / "s.tar") as tar:
        start = tar.getmembers()[2].offset
    content[start : start + 8] = b"\xff" * 8
    (tmp_path / "s.tar").write_bytes(content)
    with pytest.raises(DataError, match="a header is damaged"):
        WebDataset("train", train=tmp_path / "s.tar")


def test_a_name_that_is_no_utf_8_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="its name is no UTF-8") as caught:
        read(tmp_path, [("caf\udce9.jpg", picture())])
    assert "caf\\udce9.jpg" in str(caught.value)


# --- which member is the picture --------------------------------------------------------------


@pytest.mark.parametrize("kinds", [("jpg", "png"), ("png", "jpg"), ("webp", "jpeg")])
def test_two_pictures_of_one_key_are_named_or_chosen(
    tmp_path: Path, kinds: tuple[str, str]
) -> None:
    names = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}
    members = [(f"a.{kind}", picture(99 * n, names[kind])) for n, kind in enumerate(kinds)]
    with pytest.raises(DataError, match="more than one member could be its picture") as caught:
        read(tmp_path, members)
    assert all(name in str(caught.value) for name in ("sample 'a'", *(name for name, _ in members)))
    for number, kind in enumerate(kinds):
        assert abs(red(read(tmp_path, members, image_endings=[kind])) - 99 * number) < 9


def test_a_mask_beside_a_picture_is_no_picture(tmp_path: Path) -> None:
    members = [("a.mask.png", picture(0)), ("a.jpg", picture(200, "JPEG")), ("a.seg.jpg", b".")]
    dataset = read(tmp_path, members)
    assert red(dataset) > 190
    assert red(read(tmp_path, members, image_endings=["mask.png"])) == 0


@pytest.mark.parametrize("name", ["a.rgb.png", "a.gif", "holiday.2019.jpg"])
def test_what_seems_to_be_the_picture_is_not_missing_in_silence(tmp_path: Path, name: str) -> None:
    members = [*PAIRS, (name, picture(7)), (f"{name.partition('.')[0]}.txt", b"x")]
    with pytest.raises(DataError, match="no picture but this, and its ending is another") as caught:
        read(tmp_path, members)
    assert f"member {name!r}" in str(caught.value)
    assert len(read(tmp_path, members, modalities=["text"])) == 3
    left_out = read(tmp_path, members, image_endings=["jpg"])
    assert "image" not in left_out[2].values


def test_endings_of_several_parts_can_be_the_picture(tmp_path: Path) -> None:
    members = [("a.rgb.png", picture(7)), ("a.txt", b"x"), ("a.depth.png", picture(0))]
    assert red(read(tmp_path, members, image_endings=["rgb.png"])) == 7


# --- captions ---------------------------------------------------------------------------------


def test_numbered_texts_are_several_captions_of_one_picture(tmp_path: Path) -> None:
    members = [("a.jpg", picture(0, "JPEG")), *((f"a.{n}.txt", f"c {n}".encode()) for n in (10, 2))]
    assert texts(read(tmp_path, members)) == [("c 2", "c 10")]


def test_another_ending_of_the_captions_is_named_or_chosen(tmp_path: Path) -> None:
    members = [("a.png", picture()), ("a.en.txt", b"a cat"), ("a.de.txt", b"eine Katze")]
    with pytest.raises(DataError, match="no caption but this, and its ending is another"):
        read(tmp_path, members)
    assert texts(read(tmp_path, members, text_endings=["de.txt"])) == [("eine Katze",)]
    assert texts(read(tmp_path, members, text_endings=["en.txt", "de.txt"])) == [
        ("a cat", "eine Katze")
    ]


def test_lines_of_a_text_are_one_caption_and_told_or_one_each(tmp_path: Path) -> None:
    members = [("a.png", picture()), ("a.txt", b"one\r\ntwo\rthree\n\n")]
    dataset = read(tmp_path, members)
    assert texts(dataset) == [("one\r\ntwo\rthree",)]
    assert any("1 captions have several lines" in note for note in dataset.notes)
    dataset = read(tmp_path, members, caption_lines=True)
    assert texts(dataset) == [("one", "two", "three")]
    assert not dataset.notes


def test_a_byte_order_mark_is_no_part_of_caption_label_or_json(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    members = [("a.png", picture()), ("a.txt", mark + b"a cat"), ("a.cls", mark + b"1")]
    members += [("a.json", mark + about({"t": "a dog"}))]
    assert told(read(tmp_path, members, label_names=LABELS)) == [("a", ("a cat",), (1,))]
    assert texts(read(tmp_path, members, text_field="t")) == [("a dog",)]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("a cat".encode("utf-16"), "UTF-16"),
        ("a cat".encode("utf-16-le"), "UTF-16"),
        ("a cat".encode("utf-16-be"), "UTF-16"),
        ("a cat".encode("utf-32"), "UTF-32"),
        ("x\nun café".encode("latin-1"), "byte 0xe9 in line 2"),
    ],
)
def test_another_encoding_is_named(tmp_path: Path, content: bytes, word: str) -> None:
    with pytest.raises(DataError, match=word) as caught:
        read(tmp_path, [("a.png", picture()), ("a.txt", content)])
    assert "member 'a.txt'" in str(caught.value)


def test_captions_in_json_are_not_missing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    members = [
        member
        for number in range(3)
        for member in ((f"{number}.png", picture(number)), (f"{number}.json", about({"c": "x"})))
    ]
    assert texts(read(tmp_path, members, text_field="c", incomplete="error")) == [("x",)] * 3
    assert not caplog.messages


@pytest.mark.parametrize(
    ("value", "captions"),
    [("one", ("one",)), (["a", "b"], ("a", "b")), (None, None), ([], None), (" ", None)],
)
def test_a_field_is_a_caption_or_a_list_of_some(
    tmp_path: Path, value: object, captions: object
) -> None:
    members = [*PAIRS[:1], ("0001.json", about({"c": value})), ("x.json", about({"c": "y"}))]
    assert texts(read(tmp_path, members, text_field="c")) == [captions, ("y",)]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b'{"c": NaN}', "'c' is NaN"),
        (b'{"c": ["a", NaN]}', "'c' holds NaN"),
        (b'{"c": 5}', "'c' is 5"),
        (b'{"c": {"en": "x"}}', "'c' is an object"),
        (b'{"c": [["a"]]}', "'c' holds a list"),
        (b'{"c": "a \\ud83d"}', "half of a surrogate pair"),
        (b'["a", "b"]', "a list, no object"),
        (b'{"c": "a"', "Expecting"),
        (b'{"c": "caf\xe9"}', "0xe9"),
        (b'{"c": "' + b"x" * (1 << 20) + b'"}', "it is too long"),
    ],
)
def test_json_that_says_no_caption_is_named(tmp_path: Path, content: bytes, word: str) -> None:
    with pytest.raises(DataError, match=word) as caught:
        read(tmp_path, [("a.png", picture()), ("a.json", content)], text_field="c")
    assert f"{tmp_path / 's.tar'}: member 'a.json'" in str(caught.value)


def test_numbers_of_other_fields_need_not_be_finite(tmp_path: Path) -> None:
    members = [("a.png", picture()), ("a.json", b'{"c": "x", "similarity": NaN}')]
    assert texts(read(tmp_path, members, text_field="c")) == [("x",)]


def test_a_field_that_no_sample_has_is_a_slip(tmp_path: Path) -> None:
    members = [("a.png", picture()), ("a.json", about({"caption": "x", "url": "y"}))]
    with pytest.raises(DataError, match='did you mean "caption"') as caught:
        read(tmp_path, members, text_field="captoin")
    assert "dataset.text_field" in str(caught.value)
    (note,) = read(tmp_path, members).notes
    assert "text_field names the field of .json with captions: caption, url" in note


# --- labels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [4, 512, 20_000])
def test_an_embedding_beside_a_label_is_no_label(tmp_path: Path, width: int) -> None:
    draw = np.random.default_rng(0)
    members = [
        member
        for number in range(4)
        for member in (
            (f"{number}.cls", str(number % 2).encode()),
            (f"{number}.npy", npy(draw.normal(size=width).astype("float32"))),
            (f"{number}.png", picture(number)),
        )
    ]
    dataset = read(tmp_path, members, label_names=LABELS, modalities=["image"])
    assert labels(dataset) == [(0,), (1,), (0,), (1,)]
    assert any("4 .npy (first: 0.npy)" in note for note in dataset.notes)


def test_a_label_may_be_a_name(tmp_path: Path) -> None:
    members = [("a.png", picture()), ("a.cls", b"owl\n"), ("b.png", picture()), ("b.cls", b" 1 ")]
    assert labels(read(tmp_path, members, label_names=LABELS)) == [(2,), (1,)]


def test_samples_without_a_label_are_told(tmp_path: Path) -> None:
    members = [*PAIRS, ("0002.cls", b"1")]
    dataset = read(tmp_path, members, label_names=LABELS)
    assert labels(dataset) == [(), (1,)]
    (note,) = dataset.notes
    assert "1 of 2 samples have no label (first: s/0001)" in note


@pytest.mark.parametrize(
    ("value", "ids"), [(2, (2,)), ("dog", (1,)), (3.0, (3,)), (None, ()), ("fox", (3,))]
)
def test_labels_may_be_in_a_field_of_the_json(
    tmp_path: Path, value: object, ids: tuple[int, ...]
) -> None:
    members = [*PAIRS, ("0001.json", about({"y": value})), ("0002.json", about({"y": 0}))]
    assert labels(read(tmp_path, members, label_names=LABELS, label_field="y")) == [ids, (0,)]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b'{"y": NaN}', "'y' is NaN"),
        (b'{"y": true}', "'y' is true"),
        (b'{"y": [0, 1]}', "'y' is a list, and multi_label = true is not set"),
        (b'{"y": "wolf"}', "a label has no name\n  found: 'wolf'"),
        (b'{"y": 4}', "a label has no name"),
        (b'{"y": 1e99}', "'y' is 1e"),
    ],
)
def test_a_field_that_says_no_label_is_named(tmp_path: Path, content: bytes, word: str) -> None:
    members = [*PAIRS, ("0001.json", content)]
    with pytest.raises(DataError, match=word) as caught:
        read(tmp_path, members, label_names=LABELS, label_field="y")
    assert "0001" in str(caught.value)


def test_several_labels_are_flags_or_a_list(tmp_path: Path) -> None:
    flags = [npy([1, 0, 1, 0]), npy([0.0, 1.0, 0.0, 0.0]), npy([True, False, False, True])]
    members = [(f"{n}.npy", content) for n, content in enumerate(flags)]
    members += [(f"{n}.png", picture(n)) for n in range(3)]
    dataset = read(tmp_path, members, label_names=LABELS, multi_label=True)
    assert dataset.is_multi_label
    assert labels(dataset) == [(0, 2), (1,), (0, 3)]
    listed = [("a.png", picture()), ("a.json", about({"y": ["fox", 0, "fox"]}))]
    options = {"label_names": LABELS, "multi_label": True, "label_field": "y"}
    assert labels(read(tmp_path, listed, **options)) == [(0, 3)]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (npy([0.1, 0, 1, 0]), "one of them 0.1"),
        (npy([np.nan, 0, 1, 0]), "one of them nan"),
        (npy([-1, 0, 1, 0]), "one of them -1"),
        (npy([[1, 0], [0, 1]]), r"shape \(2, 2\)"),
        (npy(["a", "b"]), "an array of <U1"),
        (npy([1, 0, 1]), "found: 3 values"),
        (b"\x93NUMPY", "content is damaged"),
        (b"no array", "content is damaged"),
        (npy([0] * 10_000), "it is too long"),
    ],
)
def test_an_array_that_is_no_flags_is_named(tmp_path: Path, content: bytes, word: str) -> None:
    members = [("a.png", picture()), ("a.npy", content)]
    with pytest.raises(DataError, match=word):
        read(tmp_path, members, label_names=LABELS, multi_label=True)


def test_flags_where_one_label_is_asked_for_are_not_missing_in_silence(tmp_path: Path) -> None:
    members = [("a.png", picture()), ("a.npy", npy([1, 0, 1, 0]))]
    with pytest.raises(DataError, match="set multi_label = true"):
        read(tmp_path, members, label_names=LABELS)


@pytest.mark.parametrize("option", [{"label_field": "y"}, {"multi_label": True}])
def test_labels_to_be_read_need_names(tmp_path: Path, option: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="labels are to be read, and none has a name"):
        read(tmp_path, PAIRS, **option)


# --- copies of one picture --------------------------------------------------------------------


def copies(*more: tuple[str, bytes]) -> list[tuple[str, bytes]]:
    """Three captions of one picture as three samples, and another sample without a group."""
    rows = [("0", "u", 7, "one"), ("1", "u", 7, "two"), ("2", None, 9, "x"), ("3", "u", 7, "three")]
    members = []
    for key, url, colour, text in rows:
        members += [(f"{key}.png", picture(colour)), (f"{key}.txt", text.encode())]
        members += [(f"{key}.json", about({"url": url}))]
    return [*members, *more]


def test_copies_of_a_picture_are_told(tmp_path: Path) -> None:
    dataset = read(tmp_path, copies())
    assert len(dataset) == 4
    (note,) = dataset.notes
    assert "2 samples have the very picture of another (first: s/1 that of s/0)" in note


def test_samples_of_one_group_are_one_with_all_captions(tmp_path: Path) -> None:
    dataset = read(tmp_path, copies(("0.cls", b"1")), group_field="url", label_names=LABELS)
    assert told(dataset) == [("0", ("one", "two", "three"), (1,)), ("2", ("x",), ())]
    assert red(dataset) == 7
    assert any("4 samples are 2" in note for note in dataset.notes)
    assert dataset.revision != read(tmp_path, copies()).revision


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ([("4.png", picture(1)), ("4.json", about({"url": "u"}))], "picture"),
        ([("0.cls", b"0"), ("3.cls", b"1")], "label"),
    ],
)
def test_a_group_of_other_pictures_or_labels_is_refused(
    tmp_path: Path, more: Sequence[tuple[str, bytes]], what: str
) -> None:
    with pytest.raises(DataError, match=f"another {what} than a sample of its group") as caught:
        read(tmp_path, copies(*more), group_field="url", label_names=LABELS)
    assert "s/0, both of group 'u'" in str(caught.value)


# --- CLIP_benchmark's folders -----------------------------------------------------------------


def folder(path: Path, **files: bytes) -> ClipBenchmarkFolder:
    """A folder of two samples, some of its text files written otherwise."""
    (path / "test").mkdir(parents=True)
    members = [*PAIRS, ("0001.cls", b"1"), ("0002.cls", b"0")]
    write_tar(path / "test" / "0.tar", members)
    texts = {"classnames": b"cat\ndog\n", "templates": b"a {c}.\n", "nshards": b"1"} | files
    (path / "classnames.txt").write_bytes(texts["classnames"])
    (path / "zeroshot_classification_templates.txt").write_bytes(texts["templates"])
    (path / "test" / "nshards.txt").write_bytes(texts["nshards"])
    return ClipBenchmarkFolder("test", path=path)


def test_byte_order_marks_and_line_ends_of_text_files_are_none_of_their_lines(
    tmp_path: Path,
) -> None:
    mark = b"\xef\xbb\xbf"
    plain = folder(tmp_path / "a")
    marked = folder(
        *(tmp_path / "b",),
        classnames=mark + b"cat\r\ndog\r\n\r\n",
        templates=mark + b"a {c}.\r",
        nshards=mark + b"1\r\n",
    )
    assert marked.labels == plain.labels == ("cat", "dog")
    assert marked.templates == plain.templates == ("a {}.",)
    assert labels(marked) == [(1,), (0,)]


@pytest.mark.parametrize("name", ["classnames", "templates", "nshards"])
def test_another_encoding_of_a_text_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="UTF-16") as caught:
        folder(tmp_path / "a", **{name: "cat\ndog".encode("utf-16")})
    assert f"{name}.txt" in str(caught.value)


def test_an_empty_line_between_names_would_shift_labels_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a line of classnames\.txt is empty") as caught:
        folder(tmp_path / "a", classnames=b"cat\n\ndog\n")
    assert "line 2 of 3" in str(caught.value)


def test_shards_beyond_their_number_are_told(tmp_path: Path) -> None:
    folder(tmp_path / "a")
    write_tar(tmp_path / "a" / "test" / "1.tar", PAIRS)
    dataset = ClipBenchmarkFolder("test", path=tmp_path / "a")
    assert len(dataset) == 2
    assert any("1 further shards are not read (first: 1.tar)" in note for note in dataset.notes)


def test_labels_that_nothing_names_are_told_with_what_reads_them(tmp_path: Path) -> None:
    write_tar(tmp_path / "s.tar", [("0.jpg", picture(0, "JPEG")), ("0.cls", b"1")])
    (line,) = WebDataset("train", train=tmp_path / "s.tar", modalities=["image"]).notes
    assert line.endswith("members that are not read: 1 .cls (first: 0.cls); label_names reads .cls")
