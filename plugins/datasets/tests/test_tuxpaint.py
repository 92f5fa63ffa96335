from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmlab_datasets.stamps import read_captions, read_stamps
from mmlab_datasets.tuxpaint import TuxPaint, group_alike, on_white_square
from PIL import Image

from mmlab.plugin import SPLITS, DataError
from mmlab.testing import check_dataset

REAL = Path("/usr/share/tuxpaint/stamps")


def write_stamp(
    root: Path, name: str, captions: str | None = None, speech: tuple[str, ...] = ()
) -> None:
    """A stamp as the package has it: picture, captions, spoken captions by the ending."""
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA", (6, 4), (255, 0, 0, 128)).save(file.with_suffix(".png"))
    if captions is not None:
        file.with_suffix(".txt").write_text(captions, encoding="utf-8")
    for ending in speech:
        with wave.open(str(file.parent / f"{file.name}_desc{ending}.wav"), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(np.arange(10, dtype="<i2").tobytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(8):
        text = f"Animal {number}.\nfr.utf8=Bête {number}.\nde.utf8=\n"
        write_stamp(tmp_path, f"animals/birds/a{number}", text, ("", "_fr"))
        write_stamp(tmp_path, f"food/b{number}", f"Food {number}.", ("_fr",) if number else ())
    write_stamp(tmp_path, "food/fruit/nameless")
    write_stamp(tmp_path, "animals/birds/a0_mirror")
    (tmp_path / "animals/birds/a0.wav").write_bytes(b"what a bird says")
    (tmp_path / "animals/drawn.svg").write_text("<svg/>")
    return tmp_path


def names(dataset: TuxPaint) -> list[str]:
    return [dataset.outline(index).id for index in range(len(dataset))]


def everything(root: Path, **options: Any) -> dict[str, Any]:
    datasets = [TuxPaint(split, path=root, **options) for split in SPLITS]
    samples = [dataset[index] for dataset in datasets for index in range(len(dataset))]
    return {sample.id: sample for sample in samples}


def test_tuxpaint_keeps_the_contract(root: Path) -> None:
    check_dataset(TuxPaint, path=root)


def test_a_stamp_is_a_picture_a_caption_and_its_speech(root: Path) -> None:
    sample = everything(root, language="fr")["animals/birds/a3"]
    picture: Any = sample.values["image"]
    assert picture.size == (6, 6)
    assert picture.getpixel((0, 0)) == (255, 255, 255)
    assert picture.getpixel((3, 3)) == (255, 127, 127)
    assert sample.values["text"] == "Bête 3."
    assert sample.values["audio"][0].shape == (1, 10)
    assert sample.labels == (0,)


def test_labels_are_the_outermost_folders(root: Path) -> None:
    assert TuxPaint("train", path=root).labels == ("animals", "food")
    assert everything(root)["food/fruit/nameless"].labels == (1,)


def test_what_a_stamp_lacks_is_missing(root: Path) -> None:
    samples = everything(root, language="fr", speech="en")
    assert set(samples["food/b1"].values) == {"image"}
    assert set(everything(root)["food/b0"].values) == {"image", "text"}
    assert set(everything(root)["food/fruit/nameless"].values) == {"image"}


def test_neither_turned_nor_svg_drawings_are_stamps(root: Path) -> None:
    assert len(everything(root)) == 17
    assert "animals/birds/a0_mirror" not in everything(root)


def test_stamps_of_one_caption_share_a_split(tmp_path: Path) -> None:
    for number in range(30):
        write_stamp(tmp_path, f"a/{number}", f"Frog {number % 10}!\nfr.utf8=x{number}", ("_fr",))
        write_stamp(tmp_path, f"b/{number}", f"Other {number}\nfr.utf8=X{number}.")
    options: Any = {"path": tmp_path, "language": "fr"}
    splits = {split: names(TuxPaint(split, **options)) for split in SPLITS}
    assert sorted(map(len, splits.values())) == [6, 6, 48]
    for found in splits.values():
        numbers = {int(name.partition("/")[2]) % 10 for name in found}
        assert len(found) == 6 * len(numbers)


def test_captions_are_alike_through_others() -> None:
    captions = [["A frog."], ["a FROG", "b"], ["c"], ["B!"], [], []]
    assert group_alike(captions) == [0, 0, 2, 0, 4, 5]


def test_captions_that_differ_in_a_vowel_sign_are_not_alike() -> None:
    assert group_alike([["बाल"], ["बिल"], ["बाल!"]]) == [0, 1, 0]


def test_another_seed_draws_other_splits_of_another_revision(root: Path) -> None:
    first, again, other = (TuxPaint("train", path=root, seed=seed) for seed in (0, 0, 3))
    assert names(first) == names(again) != names(other)
    assert first.revision == again.revision != other.revision


def test_a_changed_file_changes_the_revision(root: Path) -> None:
    before = TuxPaint("train", path=root).revision
    Image.new("RGB", (60, 40)).save(root / "food/b1.png")
    assert TuxPaint("test", path=root).revision != before


@pytest.mark.parametrize(("option", "known"), [("language", "en, fr"), ("speech", "fr, en")])
def test_a_language_that_no_stamp_has_is_refused(root: Path, option: str, known: str) -> None:
    options: Any = {option: "xx"}
    with pytest.raises(DataError, match=known):
        TuxPaint("train", path=root, **options)


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_without_stamps_names_the_package(tmp_path: Path, made: bool) -> None:
    folder = tmp_path if made else tmp_path / "nowhere"
    with pytest.raises(DataError, match="apt install tuxpaint-stamps-default"):
        read_stamps(folder)


def test_links_out_of_the_folder_are_not_followed(root: Path, tmp_path: Path) -> None:
    (root / "food/link.png").symlink_to(root / "food/b1.png")
    (root / "linked").symlink_to(root / "food", target_is_directory=True)
    assert len(everything(root)) == 17


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_byte_order_mark_and_line_ends_change_no_caption(tmp_path: Path, ending: str) -> None:
    text = ending.join(["A frog", "de.utf8=Ein Frosch", ""])
    (tmp_path / "a.txt").write_bytes(text.encode("utf-8-sig"))
    assert read_captions(tmp_path / "a.txt") == {"en": "A frog", "de": "Ein Frosch"}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", "a".encode("utf-16"), b"a" * 300_000])
def test_captions_that_cannot_be_read_are_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match="the captions cannot be read"):
        read_captions(tmp_path / "a.txt")


def test_a_damaged_picture_is_explained_when_it_is_read(root: Path) -> None:
    for file in root.rglob("*.png"):
        file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(DataError, match="picture cannot be read"):
        TuxPaint("train", path=root)[0]


def test_a_picture_is_laid_in_the_middle() -> None:
    square = on_white_square(Image.new("RGB", (2, 4), "black"))
    rows = np.asarray(square)[:, :, 0].tolist()
    assert rows == [[255, 0, 0, 255]] * 4


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason=f"no stamps at {REAL}")
def test_the_packages_stamps() -> None:
    pytest.importorskip("soundfile", reason="speech is Ogg: soundfile is not installed")
    datasets = {split: TuxPaint(split) for split in SPLITS}
    assert sum(map(len, datasets.values())) == 785
    assert len(datasets["train"].labels) == 16
    outlines = [dataset.outline(i) for dataset in datasets.values() for i in range(len(dataset))]
    assert sum("text" in outline.values for outline in outlines) == 785
    assert sum("audio" in outline.values for outline in outlines) == 767
    spoken: Any = datasets["test"][0].values["audio"]
    assert spoken[1] == 44_100
