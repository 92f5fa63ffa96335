"""Tiny folders in the true layouts of published datasets."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmlab_datasets.published.catalogue import describe
from PIL import Image


def write_picture(path: Path, colour: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (5, 4), (colour, 100, 0)).save(path, "JPEG")


def caltech101(folder: Path) -> None:
    for name in describe("caltech101").classes[:3]:
        for number in (1, 2):
            write_picture(folder / "101_ObjectCategories" / name / f"image_{number:04d}.jpg")


def eurosat(folder: Path, each: int = 5) -> None:
    for name in describe("eurosat").classes:
        for number in range(1, each + 1):
            write_picture(folder / "2750" / name / f"{name}_{number}.jpg", number)


def imagenet(folder: Path) -> None:
    for name in describe("imagenet").classes[:3]:
        write_picture(folder / "train" / name / f"{name}_7.JPEG")
        write_picture(folder / "val" / name / "ILSVRC2012_val_00000001.JPEG")


def sun397(folder: Path) -> None:
    lines = []
    for label in describe("sun397").labels:
        place = f"/{label[0]}/{label.replace(' ', '_')}"
        lines.append(place)
    (folder / "SUN397").mkdir(parents=True)
    (folder / "SUN397" / "ClassName.txt").write_text("\n".join(lines) + "\n")
    for place in lines[:2]:
        write_picture(folder / "SUN397" / place[1:] / "sun_aaa.jpg")


def food101(folder: Path) -> None:
    for split, number in (("train", 1), ("test", 2)):
        names = [f"{name}/{number}" for name in describe("food101").classes]
        (folder / "food-101" / "meta").mkdir(parents=True, exist_ok=True)
        (folder / "food-101" / "meta" / f"{split}.txt").write_text("\n".join(names))
        for name in names[:4]:
            write_picture(folder / "food-101" / "images" / f"{name}.jpg")


def dtd(folder: Path) -> None:
    for split in ("train", "val", "test"):
        names = [f"{name}/{name}_{split}.jpg" for name in describe("dtd").classes[:3]]
        (folder / "dtd" / "labels").mkdir(parents=True, exist_ok=True)
        (folder / "dtd" / "labels" / f"{split}1.txt").write_text("\n".join(names))
        for name in names:
            write_picture(folder / "dtd" / "images" / name)


def pets(folder: Path) -> None:
    (folder / "annotations").mkdir(parents=True)
    for split, name in (("trainval", "Bengal"), ("test", "beagle")):
        lines = ["# Image CLASS-ID SPECIES BREED ID"]
        lines += [f"{name}_{number} {number} 1 1" for number in (1, 6, 37)]
        (folder / "annotations" / f"{split}.txt").write_text("\n".join(lines))
        for number in (1, 6, 37):
            write_picture(folder / "images" / f"{name}_{number}.jpg")


def flowers102(folder: Path) -> None:
    from scipy.io import savemat

    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "imagelabels.mat", {"labels": np.array([[77, 1, 102, 5]])})
    sets = {"trnid": [[3]], "valid": [[1]], "tstid": [[4, 2]]}
    savemat(folder / "setid.mat", {key: np.array(value) for key, value in sets.items()})
    for number in range(1, 5):
        write_picture(folder / "jpg" / f"image_{number:05d}.jpg", number)


def idx_bytes(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim])
    return header + np.array(values.shape, ">u4").tobytes() + values.astype(np.uint8).tobytes()


def mnist(folder: Path, compressed: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, labels in (("train", [3, 1, 4]), ("t10k", [9, 0])):
        pixels = np.arange(len(labels) * 784).reshape(-1, 28, 28) % 251
        contents = {
            f"{name}-images-idx3-ubyte": idx_bytes(pixels),
            f"{name}-labels-idx1-ubyte": idx_bytes(np.array(labels)),
        }
        for file, content in contents.items():
            if compressed:
                (folder / f"{file}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / file).write_bytes(content)


def cifar_pixels(count: int, start: int = 0) -> np.ndarray:
    return (np.arange(start, start + count * 3072) % 256).astype(np.uint8).reshape(count, 3072)


def cifar10(folder: Path) -> None:
    root = folder / "cifar-10-batches-py"
    root.mkdir(parents=True)
    for number in range(1, 6):
        write_batch(root / f"data_batch_{number}", "labels", [number, 9], number)
    write_batch(root / "test_batch", "labels", [0, 5, 9], 7)


def cifar100(folder: Path) -> None:
    root = folder / "cifar-100-python"
    root.mkdir(parents=True)
    write_batch(root / "train", "fine_labels", [0, 99], 1)
    write_batch(root / "test", "fine_labels", [50], 2)


def write_batch(path: Path, key: str, labels: Sequence[int], start: int, protocol: int = 2) -> None:
    batch = {
        b"batch_label": b"a batch",
        key.encode(): list(labels),
        b"data": cifar_pixels(len(labels), start),
        b"filenames": [b"a.png"] * len(labels),
    }
    path.write_bytes(pickle.dumps(batch, protocol))


def stl10(folder: Path) -> None:
    root = folder / "stl10_binary"
    root.mkdir(parents=True)
    for name, labels in (("train", [1, 10]), ("test", [3, 2, 1])):
        pixels = np.arange(len(labels) * 3 * 96 * 96) % 253
        (root / f"{name}_X.bin").write_bytes(pixels.astype(np.uint8).tobytes())
        (root / f"{name}_y.bin").write_bytes(bytes(labels))


#: Test set -> what writes its layout.
LAYOUTS = {
    "caltech101/all": caltech101,
    "cifar10/test": cifar10,
    "cifar100/test": cifar100,
    "dtd/split1-test": dtd,
    "eurosat/all": eurosat,
    "eurosat/vtab-test": eurosat,
    "fashion-mnist/test": mnist,
    "flowers102/test": flowers102,
    "food101/test": food101,
    "imagenet/validation": imagenet,
    "mnist/test": mnist,
    "pets/test": pets,
    "stl10/test": stl10,
    "sun397/all": sun397,
}
