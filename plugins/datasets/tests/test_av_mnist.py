from __future__ import annotations

import gzip
import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmlab_datasets.av_mnist import AvMnist, noise, reduced
from mmlab_datasets.idx import read_idx

from mmlab.plugin import SPLITS, DataError
from mmlab.testing import check_dataset

SHARED = Path(__file__).parents[4] / "shared/data"
SPEAKERS = ("ann", "bob", "cleo")
HELD_OUT: dict[str, Any] = {"validation_speakers": ["bob"], "test_speakers": ["cleo"]}


def write_idx(path: Path, values: np.ndarray) -> None:
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Sixty pictures in each file, whose brightness is their row, and two takes a digit."""
    for part in ("train", "t10k"):
        digits = np.arange(60) % 10
        pictures = np.broadcast_to(np.arange(60)[:, None, None], (60, 4, 4))
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", pictures)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", digits)
    for speaker in SPEAKERS:
        for digit in range(10):
            for take in range(2):
                with wave.open(str(tmp_path / f"{digit}_{speaker}_{take}.wav"), "wb") as file:
                    file.setparams((1, 2, 8000, 0, "NONE", ""))
                    file.writeframes(np.full(40 + digit, 1000 * digit, "<i2").tobytes())
    return tmp_path


def make(folder: Path, split: Any = "train", **options: Any) -> AvMnist:
    return AvMnist(split, images=folder, sounds=folder, **HELD_OUT | options)


def test_av_mnist_keeps_the_contract(folder: Path) -> None:
    check_dataset(
        AvMnist,
        expected_failed_checks={"disjoint_contents": "one digit of each class is written"},
        images=folder,
        sounds=folder,
        pictures=1,
        sound_snr_db=3.0,
        **HELD_OUT,
    )


def test_a_pair_is_of_one_digit(folder: Path) -> None:
    for split in SPLITS:
        dataset = make(folder, split)
        assert len(dataset) == 20
        for index in range(len(dataset)):
            sample = dataset[index]
            picture: Any = sample.values["image"]
            sound: Any = sample.values["audio"]
            digit = picture.getpixel((0, 0))[0] % 10
            assert sample.labels == (digit,)
            assert sound[0].shape == (1, 40 + digit)


def test_neither_speakers_nor_pictures_cross_splits(folder: Path) -> None:
    ids = {split: [make(folder, split)[i].id for i in range(20)] for split in SPLITS}
    speakers = {split: {name.split("_")[1] for name in names} for split, names in ids.items()}
    assert speakers == {"train": {"ann"}, "validation": {"bob"}, "test": {"cleo"}}
    pictures = {split: {name.split("+")[1] for name in names} for split, names in ids.items()}
    assert len(pictures["train"]) == len(pictures["test"]) == 20
    assert not pictures["train"] & pictures["validation"]


def test_the_seed_decides_the_pairs(folder: Path) -> None:
    first, again, other = (make(folder, seed=seed) for seed in (0, 0, 1))
    names = [[dataset[i].id for i in range(20)] for dataset in (first, again, other)]
    assert names[0] == names[1] != names[2]
    assert first.revision == again.revision != other.revision


def test_a_recording_may_have_several_pictures(folder: Path) -> None:
    ids = [make(folder, "test", pictures=3)[i].id for i in range(60)]
    assert len(set(ids)) == 60
    assert len({name.split("+")[0] for name in ids}) == 20
    with pytest.raises(DataError, match="not enough pictures of the digit"):
        make(folder, "test", pictures=4)


@pytest.mark.parametrize(
    "options",
    [
        {"test_speakers": ["dora"]},
        {"test_speakers": ["bob"]},
        {"test_speakers": ["ann", "cleo"]},
    ],
)
def test_speakers_that_make_no_splits_are_refused(folder: Path, options: Any) -> None:
    with pytest.raises(DataError, match="every split needs speakers of its own"):
        make(folder, **options)


def test_noise_has_the_power_that_is_asked_for() -> None:
    wave_ = torch.sin(torch.arange(80_000.0)).unsqueeze(0)
    drawn = noise(wave_, 6.0, "a")
    ratio = wave_.square().mean() / drawn.square().mean()
    assert 10 * ratio.log10() == pytest.approx(6, abs=0.1)
    assert torch.equal(drawn, noise(wave_, 6.0, "a"))
    assert not torch.equal(drawn, noise(wave_, 6.0, "b"))


def test_pictures_keep_the_share_of_variance_that_is_asked_for() -> None:
    generator = np.random.default_rng(0)
    spread = np.array([[30.0, 0, 0, 0], [0, 20, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]])
    values = 128 + generator.standard_normal((5000, 4)) @ spread
    pictures = values.round().clip(0, 255).astype(np.uint8).reshape(-1, 2, 2)
    kept = reduced(pictures, pictures, 0.6)  # the first component alone has 68 %
    changes = pictures.reshape(-1, 4).astype(float) - kept.reshape(-1, 4)
    share = 1 - changes.var(0).sum() / pictures.reshape(-1, 4).astype(float).var(0).sum()
    assert share == pytest.approx(900 / 1326, abs=0.02)
    assert np.abs(reduced(pictures, pictures, 1.0).astype(int) - pictures).max() <= 1


def test_files_that_are_not_there_are_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(DataError, match="no spoken digits"):
        make(tmp_path / "nowhere")
    (folder / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match="train-images"):
        make(folder)


# Named, because the bytes that gzip writes hold the time: they cannot tell a test's name.
OTHER_FORMATS = {
    "no idx": (b"no idx", "header 6e6f2069"),
    "no header": (gzip.compress(b"1234"), "header 31323334"),
    "half a shape": (
        gzip.compress(struct.pack(">HBB1I", 0, 8, 1, 5) + b"1234"),
        "4 bytes for the shape",
    ),
    "cut off": (gzip.compress(b"\x00" * 99)[:-9], "end-of-stream"),
}


@pytest.mark.parametrize(("content", "found"), OTHER_FORMATS.values(), ids=OTHER_FORMATS)
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(DataError, match="MNIST's format") as error:
        read_idx(tmp_path / "a.gz", 1)
    assert found in str(error.value)


def test_pictures_and_labels_of_different_data_are_refused(folder: Path) -> None:
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.arange(70) % 10)
    with pytest.raises(DataError, match="different data"):
        make(folder)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason=f"no data at {SHARED}")
def test_the_real_files_make_pairs() -> None:
    dataset = AvMnist("test", images=SHARED / "mnist", sounds=SHARED / "spoken-digits")
    assert len(dataset) == 500
    sample = dataset[0]
    assert sample.id.startswith("0_yweweler_0+")
    sound: Any = sample.values["audio"]
    assert sound[1] == 8000


def test_what_a_browser_unpacked_and_did_not_rename_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(struct.pack(">HBB1I", 0, 8, 1, 3) + b"abc")
    assert read_idx(tmp_path / "a.gz", 1).tolist() == list(b"abc")
