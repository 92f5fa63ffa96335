"""A folder for each label: which files are read, which label and split they have."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest
from mmlab_datasets.folders import Folders
from PIL import Image

from mmlab.plugin import DataError
from mmlab.testing import check_dataset


def paint(root: Path, *names: str) -> None:
    """A picture of one colour for each name: its red is the number of the name."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(root / name)


def tone(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16))


def test_labels_are_folders_and_splits_are_drawn(tmp_path: Path) -> None:
    paint(tmp_path, *(f"{kind}/{n}.png" for kind in ("cat", "dog") for n in range(10)))
    parts = {split: Folders(split, path=tmp_path) for split in ("train", "validation", "test")}
    assert [len(part) for part in parts.values()] == [16, 2, 2]
    assert {part.labels for part in parts.values()} == {("cat", "dog")}
    ids = [part.outline(i).id for part in parts.values() for i in range(len(part))]
    assert sorted(ids) == sorted(f"{kind}/{n}.png" for kind in ("cat", "dog") for n in range(10))
    for part in parts.values():
        for index in range(len(part)):
            sample = part[index]
            kind, _, number = sample.id.removesuffix(".png").partition("/")
            assert part.labels[sample.labels[0]] == kind
            red = int(number) + 10 * (kind == "dog")
            assert sample.values["image"].getpixel((0, 0)) == (red, 0, 0)  # type: ignore[attr-defined]


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "validation", "TESTING")])
def test_split_folders_are_taken(tmp_path: Path, names: tuple[str, str, str]) -> None:
    train, validation, test = names
    paint(tmp_path, f"{train}/a/1.jpg", f"{train}/b/deep/2.JPG", f"{validation}/a/3.png")
    paint(tmp_path, f"{test}/c/4.webp")
    assert [
        [dataset.outline(i).id for i in range(len(dataset))]
        for dataset in (Folders(split, path=tmp_path) for split in ("train", "validation", "test"))
    ] == [
        [f"{train}/a/1.jpg", f"{train}/b/deep/2.JPG"],
        [f"{validation}/a/3.png"],
        [f"{test}/c/4.webp"],
    ]
    assert Folders("train", path=tmp_path).labels == ("a", "b", "c")


def test_a_label_may_be_called_as_a_split(tmp_path: Path) -> None:
    paint(tmp_path, "train/1.png", "car/2.png", "bus/old/3.png")
    dataset = Folders("train", path=tmp_path, validation_fraction=0, test_fraction=0)
    assert dataset.labels == ("bus", "car", "train")


def test_sounds_by_class_are_read_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    for kind in ("bark", "meow"):
        tone(tmp_path / kind / "1.wav")
    (tmp_path / "bark" / "notes.txt").write_text("made at home")
    (tmp_path / ".DS_Store").write_bytes(b"\0" * 30)
    (tmp_path / "bark" / "._1.wav").write_bytes(b"\0" * 30)
    dataset = Folders("train", path=tmp_path, validation_fraction=0, test_fraction=0)
    assert (dataset.modalities, len(dataset), dataset.labels) == (("audio",), 2, ("bark", "meow"))
    assert dataset.notes == (f"{tmp_path}: 1 files are left out: bark/notes.txt",)
    samples, rate = dataset[0].values["audio"]  # type: ignore[misc]
    assert (tuple(samples.shape), rate) == ((1, 8), 8000)


def test_the_revision_follows_names_sizes_and_where_asked_bytes(tmp_path: Path) -> None:
    paint(tmp_path, "a/1.png", "b/2.png")

    def revision(**options: object) -> str:
        return Folders("train", path=tmp_path, **options).revision  # type: ignore[arg-type]

    before = revision(), revision(hash_files=True)
    content = (tmp_path / "a/1.png").read_bytes()
    (tmp_path / "a/1.png").write_bytes(content[:-1] + b"\0")
    assert revision() == before[0]
    assert revision(hash_files=True) != before[1]
    paint(tmp_path, "a/3.png")
    assert revision() != before[0]


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        ((), {}, "no file in it can be read"),
        (("1.png",), {}, "a file lies beside the labels' folders"),
        (("train/1.png", "test/a/2.png"), {}, "a file lies beside the labels' folders"),
        (("a/1.png",), {"media": "audio"}, "it holds no audio"),
        (("train/a/1.png", "test/a/2.png", "unlabeled/3.png"), {}, "others: unlabeled"),
    ],
)
def test_other_layouts_are_refused(
    tmp_path: Path, names: tuple[str, ...], options: dict[str, str], words: str
) -> None:
    paint(tmp_path, *names)
    with pytest.raises(DataError, match=words):
        Folders("train", path=tmp_path, **options)  # type: ignore[arg-type]


def test_two_kinds_of_files_need_a_word(tmp_path: Path) -> None:
    paint(tmp_path, "a/1.png", "b/1.png")
    tone(tmp_path / "a" / "1.wav")
    with pytest.raises(DataError, match="several kinds of files"):
        Folders("train", path=tmp_path)
    dataset = Folders("train", path=tmp_path, media="image", test_fraction=0)
    assert dataset.notes == (f"{tmp_path}: 1 files are left out: a/1.wav",)
    with pytest.raises(DataError, match="there is no such folder"):
        Folders("train", path=tmp_path / "none")


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    paint(tmp_path, *(f"{kind}/{n}.png" for kind in ("cat", "dog") for n in range(10)))
    check_dataset(Folders, path=tmp_path)


def test_a_file_beside_the_folders_of_splits_is_named(tmp_path: Path) -> None:
    paint(tmp_path, "train/cat/1.jpg", "stray.jpg")
    with pytest.raises(DataError, match=f"{tmp_path}: a file lies beside the labels' folders"):
        Folders("train", path=tmp_path)


@pytest.mark.parametrize("name", ["cat/\udce9.jpg", "caf\udce9/1.jpg"])
def test_names_that_are_no_text_are_refused_and_shown(tmp_path: Path, name: str) -> None:
    paint(tmp_path, "dog/1.jpg", name)
    with pytest.raises(DataError, match=r"is no UTF-8\n  found: '[^\n]*\\udce9") as raised:
        Folders("train", path=tmp_path)
    assert str(raised.value).isprintable() or str(raised.value).encode()


def test_a_file_that_is_left_out_is_told_whatever_its_name(tmp_path: Path) -> None:
    paint(tmp_path, "dog/1.jpg")
    (tmp_path / "dog" / "\udce9.txt").touch()
    (note,) = Folders("train", path=tmp_path).notes
    assert note.encode().endswith(rb"left out: 'dog/\udce9.txt'")
