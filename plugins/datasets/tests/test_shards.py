"""Shards: what is in them comes out in order, and what is missing or cut is named."""

from __future__ import annotations

import io
import json
import logging
import os
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmlab_datasets.shards.folder import ClipBenchmarkFolder
from mmlab_datasets.shards.offsets import ENDING
from mmlab_datasets.shards.patterns import expand_braces
from mmlab_datasets.shards.webdataset import WebDataset
from PIL import Image

from mmlab.plugin import DataError, Sample
from mmlab.testing import check_dataset


def picture(colour: int = 0, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 4), (colour, 10, 20)).save(file, kind)
    return file.getvalue()


def npy(values: Sequence[int]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(values))
    return file.getvalue()


def write_tar(path: Path, *samples: tuple[str, Mapping[str, bytes]], form: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for key, members in samples:
            for ending, content in members.items():
                info = tarfile.TarInfo(f"{key}.{ending}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def pair(number: int, **more: bytes) -> tuple[str, dict[str, bytes]]:
    return f"{number:04d}", {"png": picture(number), "txt": f"text {number}".encode(), **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two training shards and one of each other split."""
    write_tar(tmp_path / "a-00.tar", pair(0), pair(1), pair(2))
    write_tar(tmp_path / "a-01.tar", pair(3), pair(4))
    write_tar(tmp_path / "v.tar", pair(5))
    write_tar(tmp_path / "t.tar", pair(6), pair(7))
    return tmp_path


def train(folder: Path, pattern: str = "a-{00..01}.tar", **options: Any) -> WebDataset:
    return WebDataset("train", train=folder / pattern, **options)


def samples(dataset: Any) -> list[Sample]:
    return [dataset[index] for index in range(len(dataset))]


# --- what comes out -------------------------------------------------------------------------


def test_samples_come_in_the_order_of_their_shards(folder: Path) -> None:
    found = samples(train(folder))
    assert [sample.id for sample in found] == [
        *("a-00/0000", "a-00/0001", "a-00/0002"),
        *("a-01/0003", "a-01/0004"),
    ]
    assert [sample.values["text"] for sample in found] == [(f"text {n}",) for n in range(5)]
    assert [one.values["image"].getpixel((0, 0))[0] for one in found] == list(range(5))


def test_shards_keep_the_contract(folder: Path) -> None:
    check_dataset(
        WebDataset,
        train=folder / "a-{00..01}.tar",
        validation=folder / "v.tar",
        test=folder / "t.tar",
    )


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("kind", ["jpg", "jpeg", "png", "webp"])
def test_every_format_of_tars_and_pictures_is_read(tmp_path: Path, form: int, kind: str) -> None:
    content = picture(9, {"jpg": "JPEG"}.get(kind, kind.upper()))
    key = "a/long/path/" + "x" * 80 if form != tarfile.USTAR_FORMAT else "a/b"
    write_tar(tmp_path / "s.tar", (key, {kind: content, "txt": "é".encode()}), form=form)
    (sample,) = samples(train(tmp_path, "s.tar"))
    assert sample.id == f"s/{key}"
    assert sample.values["image"].size == (6, 4)
    assert sample.values["text"] == ("é",)


def test_shards_of_one_name_in_several_folders_give_ids_of_their_own(tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b/c")):
        write_tar(tmp_path / "deep" / name / "0.tar", pair(number), pair(7))
    found = samples(train(tmp_path, "deep/{a,b/c}/0.tar"))
    assert [sample.id for sample in found] == [
        *("a/0/0000", "a/0/0007"),
        *("b/c/0/0001", "b/c/0/0007"),
    ]
    one = train(tmp_path, "deep/a/0.tar")
    assert one[0].id == "0/0000"
    assert train(tmp_path, "deep/{b/c,a}/0.tar").revision != one.revision


def test_captions_may_come_from_a_field_of_the_json(tmp_path: Path) -> None:
    about = [{"caption": "one"}, {"caption": ["a", "b"]}, {}]
    rows = [
        (str(n), {"png": picture(), "json": json.dumps(a).encode()}) for n, a in enumerate(about)
    ]
    write_tar(tmp_path / "s.tar", *rows)
    found = samples(train(tmp_path, "s.tar", text_field="caption"))
    assert [one.values.get("text") for one in found] == [("one",), ("a", "b"), None]


def test_labels_of_cls_have_the_names_of_the_spec(tmp_path: Path) -> None:
    write_tar(tmp_path / "s.tar", pair(0, cls=b"1"), pair(1))
    dataset = train(tmp_path, "s.tar", label_names=["cat", "dog"], modalities=["image"])
    assert [sample.labels for sample in samples(dataset)] == [(1,), None]
    assert set(dataset[0].values) == {"image"}


def test_without_names_of_labels_there_are_none(tmp_path: Path) -> None:
    write_tar(tmp_path / "s.tar", pair(0, cls=b"1"))
    assert [sample.labels for sample in samples(train(tmp_path, "s.tar"))] == [None]


def test_braces_expand_as_in_a_shell() -> None:
    assert expand_braces("x{9..11}{a,b}") == ["x9a", "x9b", "x10a", "x10b", "x11a", "x11b"]
    assert expand_braces("x{008..010}") == ["x008", "x009", "x010"]
    assert expand_braces("plain.tar") == ["plain.tar"]


# --- samples that lack something ------------------------------------------------------------


def test_a_sample_without_picture_or_text_is_a_missing_modality_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_tar(tmp_path / "s.tar", pair(0), ("b", {"txt": b"words"}), ("c", {"png": picture()}))
    with caplog.at_level(logging.WARNING):
        found = samples(train(tmp_path, "s.tar"))
    assert [set(one.values) for one in found] == [{"image", "text"}, {"text"}, {"image"}]
    (message,) = caplog.messages
    assert "1 without a picture, 1 without a caption, of 3 samples (first: s/b, s/c)" in message
    with pytest.raises(DataError, match="lack a modality") as caught:
        train(tmp_path, "s.tar", incomplete="error")
    assert "1 without a picture" in str(caught.value)


# --- the table beside a shard ---------------------------------------------------------------


@pytest.fixture
def settled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Shards that were last written an hour ago; no other place to keep tables."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return age(folder)


def age(folder: Path) -> Path:
    """Make every shard say that it changed an hour ago."""
    then = time.time_ns() - 3_600_000_000_000
    for path in folder.glob("*.tar"):
        os.utime(path, ns=(then, then))
    return folder


def tables(folder: Path) -> dict[str, int]:
    """The tables that are kept in a folder, each with the time of its writing."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob(f"*{ENDING}")}


def test_offsets_are_kept_beside_a_shard_and_read_again(settled: Path) -> None:
    before = train(settled).revision
    kept = tables(settled)
    assert len(kept) == 2
    assert all(name.startswith(("a-00.tar.", "a-01.tar.")) for name in kept)
    assert train(settled).revision == before
    assert tables(settled) == kept
    assert not list(settled.glob(".*"))


def test_a_shard_that_is_being_written_is_read_anew(folder: Path) -> None:
    train(folder)
    assert not tables(folder)


def test_tables_of_one_reading_are_not_those_of_another(settled: Path) -> None:
    train(settled)
    assert "text" not in train(settled, modalities=["image"])[0].values
    assert train(settled)[0].values["text"] == ("text 0",)


def test_a_shard_that_changed_is_read_anew(settled: Path) -> None:
    before = train(settled).revision
    write_tar(settled / "a-00.tar", pair(8))
    os.utime(settled / "a-00.tar", ns=(1, 1))
    changed = train(settled)
    assert changed.revision != before
    assert samples(changed)[0].id == "a-00/0008"


@pytest.mark.parametrize("place", ["txt", "json", "png", "cls"])
def test_other_content_of_the_same_length_is_another_revision(settled: Path, place: str) -> None:
    options: dict[str, Any] = {"label_names": ["cat", "dog"]}
    options |= {"text_field": "caption"} if place == "json" else {}

    def write(number: int) -> str:
        values = {"txt": b"one", "json": b'{"caption": "one"}', "png": picture(1), "cls": b"0"}
        others = {"txt": b"two", "json": b'{"caption": "two"}', "png": picture(2), "cls": b"1"}
        chosen = {**values, place: others[place]} if number else values
        assert len(others[place]) == len(values[place])
        write_tar(settled / "a-00.tar", ("0000", chosen))
        return train(age(settled), "a-00.tar", **options).revision

    assert write(0) == write(0)
    assert write(0) != write(1)


def test_what_is_not_read_changes_no_revision(folder: Path) -> None:
    write_tar(folder / "a-00.tar", pair(0, json=b'{"a": 1}', cls=b"0"), ("x", {"txt": b"x"}))
    before = train(folder, "a-00.tar").revision
    write_tar(folder / "a-00.tar", pair(0, json=b"[]", pth=b"."), ("x", {"txt": b"x"}))
    assert train(folder, "a-00.tar").revision == before


def test_a_damaged_table_is_made_anew(settled: Path) -> None:
    before = train(settled).revision
    (kept,) = settled.glob(f"a-00.tar.*{ENDING}")
    for content in (b"", b"PAR1 nonsense", picture()):
        kept.write_bytes(content)
        assert train(settled).revision == before


def test_a_copy_elsewhere_has_the_same_revision(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("a-00.tar", "a-01.tar"):
        (other / name).write_bytes((folder / name).read_bytes())
    assert train(other).revision == train(folder).revision


def test_where_a_folder_cannot_be_written_tables_are_kept_for_the_user(settled: Path) -> None:
    before = train(settled).revision
    for path in settled.glob(f"*{ENDING}"):
        path.unlink()
        path.mkdir()
    assert train(settled).revision == before
    kept = tables(settled / "cache")
    assert len(kept) == 2
    assert train(settled).revision == before
    assert tables(settled / "cache") == kept


def test_where_nothing_can_be_kept_shards_are_read_all_the_same(settled: Path) -> None:
    train(settled)
    for path in settled.glob(f"*{ENDING}"):
        path.unlink()
        path.mkdir()
    (settled / "cache").write_text("no folder")
    assert len(train(settled)) == 5


# --- what is refused ------------------------------------------------------------------------


def test_a_missing_shard_is_named(folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        train(folder, "a-{00..03}.tar")
    assert f"{folder / 'a-02.tar'}: the shard cannot be read" in str(caught.value)
    assert "and 1 more of 4" in str(caught.value)


def test_a_shard_cut_anywhere_is_named(folder: Path) -> None:
    path = folder / "a-01.tar"
    whole = path.read_bytes()
    content = 4 * 1024  # four members of two blocks, then two empty ones
    for size in (0, 100, 512, 1000, 1024, 2048, 3000, content, content + 512):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError) as caught:
            train(folder)
        assert str(path) in str(caught.value), size


def test_a_shard_cut_after_its_offsets_were_kept_is_named(folder: Path) -> None:
    dataset = train(folder)
    path = folder / "a-01.tar"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="ends before byte"):
        dataset[4]


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([pair(0), pair(1), pair(0)], "two samples have this key"),
        (
            [pair(0, cls=b"cart")],
            r"a label has no name\n  found: 'cart' \(did you mean \"cat\"\?\)",
        ),
        ([pair(0, cls=b"7")], "a label has no name"),
        ([pair(0, cls=b" \n")], r"content is damaged\n  found: no label"),
        ([("a", {"txt": b"\xff\xfe"})], "content is damaged"),
        ([("a", {"txt": b"x" * 70_000})], "too long"),
    ],
)
def test_bad_members_are_named(tmp_path: Path, rows: Any, fault: str) -> None:
    path = write_tar(tmp_path / "s.tar", *rows)
    with pytest.raises(DataError, match=fault) as caught:
        train(tmp_path, "s.tar", label_names=["cat", "dog"])
    assert str(path) in str(caught.value)


def test_a_link_in_a_shard_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        info = tarfile.TarInfo("a.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(DataError, match="no regular file"):
        train(tmp_path, "s.tar")


def test_a_compressed_tar_and_a_text_are_no_shards(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("x.txt"))
    (tmp_path / "b.tar").write_text("hello " * 500)
    for name in ("a.tar", "b.tar"):
        with pytest.raises(DataError, match="cannot be read"):
            train(tmp_path, name)


def test_a_damaged_picture_names_shard_and_key(tmp_path: Path) -> None:
    write_tar(tmp_path / "s.tar", ("k", {"png": picture()[:40], "txt": b"x"}))
    with pytest.raises(DataError, match=r"s\.tar: k: the picture cannot be read") as caught:
        train(tmp_path, "s.tar")[0]
    assert "next: write the shard again" in str(caught.value)
    assert 'on_error = "skip"' in str(caught.value)
    assert "cell" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["a-{3..1}.tar", "a-{0..99999999}.tar", "a-{00,00}.tar"])
def test_a_range_that_is_none_is_refused(folder: Path, pattern: str) -> None:
    with pytest.raises(DataError, match="cannot be expanded"):
        train(folder, pattern)


# --- CLIP_benchmark's folders ---------------------------------------------------------------


def benchmark_folder(path: Path, kind: str = "") -> Path:
    """A folder as clip_benchmark_export_wds writes it."""
    label = {"": {"cls": b"1"}, "multilabel": {"npy": npy([1, 0, 1])}}.get(kind, {})
    text = {"txt": b"a dog\ntwo dogs"} if kind == "retrieval" else {}
    for split in ("train", "test"):
        rows = [(f"s{n:07d}", {"webp": picture(n, "WEBP"), **label, **text}) for n in range(3)]
        write_tar(path / split / "0.tar", *rows[:2])
        write_tar(path / split / "1.tar", (f"{split}9", rows[2][1]))
        (path / split / "nshards.txt").write_text("2\n")
    if kind:
        (path / "dataset_type.txt").write_text(f"{kind}\n")
    (path / "classnames.txt").write_text("cat\ndog\nowl\n")
    (path / "zeroshot_classification_templates.txt").write_text("a photo of a {c}.\n{c}\n")
    return path


def test_a_folder_of_clip_benchmark_has_its_labels_and_templates(tmp_path: Path) -> None:
    dataset = ClipBenchmarkFolder("test", path=benchmark_folder(tmp_path), test_set="pets/test")
    assert dataset.labels == ("cat", "dog", "owl")
    assert dataset.templates == ("a photo of a {}.", "{}")
    assert [one.labels for one in samples(dataset)] == [(1,)] * 3
    assert dataset.test_set == "pets/test"


def test_a_name_that_is_there_twice_is_two_labels_and_one_name_in_prompts(tmp_path: Path) -> None:
    folder = benchmark_folder(tmp_path)
    (folder / "classnames.txt").write_text("cat\ndog\ncat\n")
    dataset = ClipBenchmarkFolder("test", path=folder)
    assert dataset.labels == ("cat", "dog", "cat (2)")
    assert dataset.prompt_names == ("cat", "dog", "cat")


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a", "a", "a (1)"], ("a", "a (1) (1)", "a (1)")),
        (["a (1)", "a", "a"], ("a (1)", "a", "a (2)")),
        (["a", "a", "a"], ("a", "a (1)", "a (2)")),
        (["a (2)", "a", "a", "a (2)"], ("a (2)", "a", "a (2) (2)", "a (2) (3)")),
    ],
)
def test_no_two_labels_are_called_the_same_whatever_names_there_are(
    tmp_path: Path, names: list[str], labels: tuple[str, ...]
) -> None:
    folder = benchmark_folder(tmp_path)
    (folder / "classnames.txt").write_text("\n".join(names))
    assert ClipBenchmarkFolder("test", path=folder).labels == labels


def test_label_names_of_a_spec_are_refused_where_they_repeat(tmp_path: Path) -> None:
    folder = benchmark_folder(tmp_path)
    repeated = ["cat", "dog", "cat"]
    with pytest.raises(DataError, match=r"named more than once\n  found: 'cat'\n"):
        ClipBenchmarkFolder("test", path=folder, label_names=repeated)
    with pytest.raises(DataError, match="label_names: a label is named more than once"):
        train(folder / "test", "0.tar", label_names=repeated)


def test_a_folder_for_retrieval_has_captions_a_line(tmp_path: Path) -> None:
    dataset = ClipBenchmarkFolder("test", path=benchmark_folder(tmp_path, "retrieval"))
    assert dataset.modalities == ("image", "text")
    assert dataset[0].values["text"] == ("a dog", "two dogs")


def test_a_folder_of_several_labels_has_them_all(tmp_path: Path) -> None:
    dataset = ClipBenchmarkFolder("test", path=benchmark_folder(tmp_path, "multilabel"))
    assert dataset.is_multi_label
    assert dataset[0].labels == (0, 2)


def test_zeros_are_none_of_several_labels_and_without_npy_they_are_unknown(tmp_path: Path) -> None:
    folder = benchmark_folder(tmp_path, "multilabel")
    image = picture(0, "WEBP")
    plain = [("a", {"webp": image, "npy": npy([0, 1, 0])}), ("b", {"webp": image})]
    zeros = ("c", {"webp": image, "npy": npy([0, 0, 0])})

    def write(*rows: tuple[str, Mapping[str, bytes]]) -> ClipBenchmarkFolder:
        for path in (folder / "test").glob("*.tar*"):
            path.unlink()
        write_tar(folder / "test" / "0.tar", *rows)
        (folder / "test" / "nshards.txt").write_text("1\n")
        return ClipBenchmarkFolder("test", path=folder)

    assert [one.labels for one in samples(write(*plain))] == [(1,), None]
    found = write(*plain, zeros)
    assert [one.labels for one in samples(found)] == [(1,), None, ()]
    assert [found.outline(index).labels for index in range(3)] == [(1,), None, ()]
    assert found.revision != write(*plain).revision


def test_a_folder_without_validation_has_an_empty_one(tmp_path: Path) -> None:
    assert len(ClipBenchmarkFolder("validation", path=benchmark_folder(tmp_path))) == 0


BROKEN = {
    "no shard": (lambda p: (p / "test" / "1.tar").unlink(), "a shard is missing"),
    "no number of shards": (lambda p: (p / "test" / "nshards.txt").unlink(), "nshards.txt"),
    "no number": (lambda p: (p / "test" / "nshards.txt").write_text("two"), "nshards.txt"),
    "endless": (lambda p: (p / "test" / "nshards.txt").write_text("9" * 5000), "nshards.txt"),
    "a NUL": (
        lambda p: (p / "classnames.txt").write_text("a\nb\0\nc\n"),
        "line 2 of classnames.txt has a NUL",
    ),
    "a NUL in a prompt": (
        lambda p: (p / "zeroshot_classification_templates.txt").write_text("a\0 {c}\n"),
        "no prompt with one {c}",
    ),
    "no names": (lambda p: (p / "classnames.txt").unlink(), "classnames.txt"),
    "too few names": (lambda p: (p / "classnames.txt").write_text("a\n"), "a label has no name"),
    "no placeholder": (
        lambda p: (p / "zeroshot_classification_templates.txt").write_text("a photo\n"),
        "no prompt with one {c}",
    ),
    "another type": (lambda p: (p / "dataset_type.txt").write_text("video\n"), "another type"),
    "nothing": (lambda p: [f.unlink() for f in p.rglob("*") if f.is_file()], "cannot be read"),
}


@pytest.mark.parametrize(("damage", "fault"), BROKEN.values(), ids=BROKEN)
def test_a_folder_that_is_not_whole_says_what_lacks(
    tmp_path: Path, damage: Any, fault: str
) -> None:
    damage(benchmark_folder(tmp_path))
    with pytest.raises(DataError) as caught:
        ClipBenchmarkFolder("test", path=tmp_path)
    assert fault in str(caught.value)
    assert str(tmp_path) in str(caught.value)
