"""A dataset as tar shards, in the layout of webdataset, open_clip and CLIP_benchmark.

OUT/train/0.tar, 1.tar, ...   a sample: KEY.webp, KEY.txt, KEY.cls or KEY.npy, KEY.json
OUT/train/nshards.txt         likewise valid/ and test/; a split without samples has no folder
OUT/classnames.txt, OUT/zeroshot_classification_templates.txt, OUT/dataset_type.txt
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from PIL import Image

from mmlab.data.samples import check_sample, has_boxes, new_notes, prompt_names, target_names
from mmlab.errors import DataError, UsageError, explain
from mmlab.files import path_fault
from mmlab.plan.component import Resolved
from mmlab.plan.registry import Registry
from mmlab.plan.resolve import Finder
from mmlab.plugin import SPLITS, Dataset, Sample, Split
from mmlab.spec import Spec
from mmlab.spec.checks import check_part
from mmlab.spec.load import Checked, read_tables
from mmlab.spec.overrides import Overridden, Override
from mmlab.spec.tables import DatasetFile

PictureFormat = Literal["webp", "png", "jpg"]
#: How Pillow writes each; the first two lose nothing.
_WRITERS: Mapping[str, Mapping[str, Any]] = {  # options of Pillow's writers
    "webp": {"format": "WEBP", "lossless": True},
    "png": {"format": "PNG"},
    "jpg": {"format": "JPEG", "quality": 95},
}
_FOLDERS: Mapping[Split, str] = {"train": "train", "validation": "valid", "test": "test"}
PACKED = ("image", "text")


@dataclass(frozen=True)
class Packing:
    """How shards are written: the pictures' format, and what one shard holds at most."""

    picture_format: PictureFormat = "webp"
    shard_samples: int = 10_000
    shard_bytes: int = 1_000_000_000


def read_dataset(path: Path, overrides: Sequence[Override], registry: Registry) -> Resolved:
    """The dataset that a spec names, or a file of a [dataset] table alone.

    Raises SpecError or PluginError with every fault at its place.
    """
    tables, overridden = read_tables(path, _check_dataset, overrides)
    finder = Finder(path, overridden.document, registry)
    found: Resolved | None = finder.find("dataset", tables.dataset, "dataset")
    finder.raise_faults()
    assert found is not None, "faults were raised"
    return found


def _check_dataset(overridden: Overridden) -> Checked[Spec | DatasetFile]:
    return Checked(*check_part(overridden.document, DatasetFile))


def pack(
    resolved: Resolved, out: Path, packing: Packing, note: Callable[[str], None]
) -> dict[Split, int]:
    """Write every split of a dataset; the number of samples of each. `note` hears its notes.

    The folder appears when all of it is written. Raises UsageError where something is there already
    or a modality has no place in the layout, DataError for a sample that has none.
    """
    _require_new(out)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    told: set[str] = set()

    def packed(split: Split) -> int:
        dataset = cast(Dataset, resolved.make(split=split))
        for line in new_notes(dataset, told, _left_out(dataset)):
            note(line)
        return _pack_split(resolved, dataset, split, partial, packing)

    try:
        counts = {split: packed(split) for split in SPLITS}
        partial.rename(out)
    except OSError as error:
        raise _unwritable(out, error.strerror or type(error).__name__) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return counts


def _left_out(dataset: Dataset) -> list[str]:
    """What is told of that which a dataset has and shards have not."""
    has = {"boxes": has_boxes(dataset), "targets": bool(target_names(dataset))}
    told = "are not packed: shards hold pictures, texts and labels alone"
    return [f"{what} {told}" for what, is_there in has.items() if is_there]


def _pack_split(
    resolved: Resolved, dataset: Dataset, split: Split, out: Path, packing: Packing
) -> int:
    unknown = [modality for modality in dataset.modalities if modality not in PACKED]
    if unknown:
        raise _no_place(resolved, unknown)
    out.mkdir(parents=True, exist_ok=True)
    _describe(dataset, out)
    if not len(dataset):
        return 0
    folder = out / _FOLDERS[split]
    folder.mkdir()
    shards = _Shards(folder, packing)
    with shards:
        for index in range(len(dataset)):
            sample = dataset[index]
            check_sample(sample, len(dataset.labels), len(target_names(dataset)))
            shards.add(f"s{index:07d}", dict(_members(sample, dataset, packing)))
    (folder / "nshards.txt").write_text(f"{shards.count}\n")
    return len(dataset)


def _describe(dataset: Dataset, out: Path) -> None:
    """What the splits share, as texts of one item a line."""
    kind = _kind(dataset)
    if kind:
        (out / "dataset_type.txt").write_text(f"{kind}\n")
    if dataset.labels:
        _write_lines(out / "classnames.txt", prompt_names(dataset))
        templates = [template.replace("{}", "{c}") for template in dataset.templates]
        _write_lines(out / "zeroshot_classification_templates.txt", templates or ["{c}"])


def _kind(dataset: Dataset) -> str:
    if dataset.is_multi_label:
        return "multilabel"
    return "retrieval" if "text" in dataset.modalities and not dataset.labels else ""


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    bad = next((line for line in lines if _is_no_line(line)), None)
    if bad is not None:
        raise _no_line(path.name, bad)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _is_no_line(text: str) -> bool:
    # Readers take a byte order mark at the start of a file for none of the text.
    return len(text.splitlines()) != 1 or text != text.strip() or text.startswith("\ufeff")


# --- one sample -------------------------------------------------------------------------------
def _members(sample: Sample, dataset: Dataset, packing: Packing) -> Iterator[tuple[str, bytes]]:
    """Ending and bytes of each of a sample's members; what it lacks has none."""
    picture, captions = sample.values.get("image"), _captions(sample)
    if isinstance(picture, Image.Image):
        yield packing.picture_format, _encode(sample, picture, packing.picture_format)
    if captions:
        is_retrieval = _kind(dataset) == "retrieval"
        yield "txt", "\n".join(captions if is_retrieval else captions[:1]).encode()
    if dataset.is_multi_label and sample.labels is not None:
        flags = np.isin(np.arange(len(dataset.labels)), sample.labels).astype(np.int64)
        yield "npy", _npy(flags)
    elif sample.labels:
        yield "cls", str(sample.labels[0]).encode()
    about = {"id": sample.id, **({"captions": captions} if captions else {})}
    yield "json", json.dumps(about, ensure_ascii=False).encode()


def _captions(sample: Sample) -> list[str]:
    raw = sample.values.get("text", ())
    captions = [raw] if isinstance(raw, str) else list(cast("tuple[str, ...]", raw))
    bad = next((caption for caption in captions if _is_no_line(caption)), None)
    if bad is not None:
        raise _no_line(f"sample {sample.id!r}", bad)
    return captions


def _encode(sample: Sample, picture: Image.Image, kind: PictureFormat) -> bytes:
    file = io.BytesIO()
    try:
        if picture.mode != "RGB":
            raise ValueError(f"a picture of mode {picture.mode}")
        picture.save(file, **_WRITERS[kind])
    except (OSError, ValueError) as error:
        raise _no_picture(sample, kind, error) from error
    return file.getvalue()


def _npy(values: np.ndarray[tuple[int], np.dtype[np.int64]]) -> bytes:
    file = io.BytesIO()
    np.save(file, values, allow_pickle=False)
    return file.getvalue()


class _Shards:
    """Tars that are filled one after the other; equal samples give equal bytes."""

    def __init__(self, folder: Path, packing: Packing) -> None:
        self.folder, self.packing = folder, packing
        self.count, self.samples, self.bytes = 0, 0, 0
        self.tar: tarfile.TarFile | None = None

    def __enter__(self) -> None:
        """Nothing: a tar is begun with its first sample."""

    def __exit__(self, *error: object) -> None:
        """End the tar that is being filled."""
        self.close()

    def add(self, key: str, members: Mapping[str, bytes]) -> None:
        """Add a sample, to the next shard where this one is full."""
        size = sum(map(len, members.values()))
        is_full = (
            self.samples >= self.packing.shard_samples
            or self.bytes + size > self.packing.shard_bytes
        )
        if self.tar is None or (self.samples and is_full):
            self.close()
            path = self.folder / f"{self.count}.tar"
            self.tar = tarfile.TarFile(path, "w", format=tarfile.USTAR_FORMAT)
            self.count, self.samples, self.bytes = self.count + 1, 0, 0
        for ending, content in members.items():
            info = tarfile.TarInfo(f"{key}.{ending}")
            info.size = len(content)
            self.tar.addfile(info, io.BytesIO(content))
        self.samples, self.bytes = self.samples + 1, self.bytes + size

    def close(self) -> None:
        """End the tar that is being filled, if there is one."""
        if self.tar is not None:
            self.tar.close()
            self.tar = None


# --- what cannot be packed --------------------------------------------------------------------
def _require_new(out: Path) -> None:
    fault = path_fault(out)
    if fault is not None or os.path.exists(out):
        raise _unwritable(out, fault or "there is something already")
    if not os.path.isdir(out.parent):
        raise _unwritable(out, f"there is no folder {out.parent}")


def _unwritable(out: Path, found: str) -> UsageError:
    return UsageError(
        explain(
            str(out),
            "the shards cannot be written there",
            found=found,
            allowed="the name of a folder yet to be made, where there is space",
            next_step="name another folder, or remove this one",
        )
    )


def _no_place(resolved: Resolved, modalities: Sequence[str]) -> UsageError:
    return UsageError(
        explain(
            f"dataset {resolved.entry.name!r}",
            "it has modalities that the layout has no place for",
            found=", ".join(modalities),
            allowed=", ".join(PACKED),
            next_step="pack a dataset of pictures and texts, or read this one as it is",
        )
    )


def _no_picture(sample: Sample, kind: PictureFormat, error: Exception) -> DataError:
    return DataError(
        explain(
            f"sample {sample.id!r}",
            f"its picture cannot be written as {kind}",
            found=error,
            allowed="RGB pictures; of at most 16,383 pixels a side in webp, and 65,535 in jpg",
            next_step="--format png has no such limit, or correct the dataset; nothing was written",
        )
    )


def _no_line(place: str, text: str) -> DataError:
    return DataError(
        explain(
            place,
            "a text is not one line, and the layout keeps one text a line",
            found=repr(text[:80]),
            allowed="texts without line breaks, and without spaces or a byte order mark around",
            next_step="correct the dataset; nothing was written",
        )
    )
