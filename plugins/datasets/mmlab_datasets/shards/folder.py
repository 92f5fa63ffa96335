"""The component for a folder as CLIP_benchmark publishes and writes them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import Field

from mmlab.plugin import Added, DataError, Origin, Sample, Split, decode_text, explain, read_file
from mmlab_datasets.columns import given_labels
from mmlab_datasets.shards.reading import PICTURES, Reading
from mmlab_datasets.shards.samples import Shards
from mmlab_datasets.shards.webdataset import Ending, count_incomplete, endings, revision
from mmlab_datasets.texts import Label, read_lines

#: A split's folder, by the names in use.
FOLDERS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("valid", "validation", "val"),
    "test": ("test",),
}
TYPES = ("retrieval", "multilabel")


class ClipBenchmarkFolder:
    """A folder with `test/0.tar, 1.tar, ...`, perhaps `train/` and `valid/`, and texts beside them.

    `nshards.txt` in a split's folder says how many shards it has. `classnames.txt` names labels,
    `zeroshot_classification_templates.txt` has prompts with `{c}`, and `dataset_type.txt` says
    "retrieval" (captions, one a line of `.txt`) or "multilabel" (`.npy`, zeros alone where none of
    the labels is true; without it they are unknown). Prompts have the names as they are; a name
    that is there a second time, as in ImageNet's, is the label "missile (744)". `label_names` have
    no name twice.

    Published figures of the test set stand beside one's own where `test_set` says which it is, as
    "eurosat/vtab-test" does.
    Raises DataError for a folder that is not whole, and names what lacks.
    """

    numerics = 2

    def __init__(
        self,
        split: Split,
        *,
        path: Annotated[Path, Field(description="folder that holds the splits' folders")],
        test_set: Annotated[
            str, Field(max_length=200, description="published name of the test split's pictures")
        ] = "",
        main_metric: Annotated[
            str, Field(max_length=50, description="the metric that is quoted for it")
        ] = "top1",
        label_names: Annotated[
            Sequence[Label], Field(description="instead of those in classnames.txt")
        ] = (),
        image_endings: Annotated[
            Sequence[Ending], Field(description="the picture's; jpg, jpeg, png, webp"), Added([])
        ] = (),
    ) -> None:
        kind = _read_type(path)
        self.is_multi_label = kind == "multilabel"
        is_retrieval = kind == "retrieval"
        self.modalities = ("image", "text") if is_retrieval else ("image",)
        given = given_labels(label_names)
        self.prompt_names = () if is_retrieval else given or _class_names(path)
        self.labels = _unique(self.prompt_names)
        self.templates = () if is_retrieval else _templates(path)
        if test_set:
            self.test_set, self.main_metric = test_set, main_metric
        reading = Reading(
            pictures=endings(image_endings, PICTURES),
            pictures_chosen=bool(image_endings),
            texts=("txt",) if is_retrieval else (),
            caption_lines=True,
            labels="none" if is_retrieval else "npy" if self.is_multi_label else "cls",
            has_several_labels=self.is_multi_label,
        )
        folder, shards = _shards(path, split)
        place = f"{split} of {path}"
        self._shards = Shards(shards, reading, self.labels)
        columns = ["picture_offset", "texts"] if is_retrieval else ["picture_offset"]
        count_incomplete(place, self._shards, columns)
        notes = [*self._shards.notes, *_further_shards(folder, len(shards))]
        self.notes = tuple(f"{place}: {note}" for note in notes)
        self.revision = revision(self._shards, split, kind)

    def __len__(self) -> int:
        """Number of samples in the split."""
        return len(self._shards)

    def __getitem__(self, index: int) -> Sample:
        """One sample, its picture decoded."""
        return self._shards.sample(index, with_picture=True)

    def outline(self, index: int) -> Sample:
        """The same without the picture."""
        return self._shards.sample(index, with_picture=False)

    def trace(self, index: int) -> Origin:
        """The member that is the sample's picture."""
        return self._shards.trace(index)

    def open_source(self, index: int, modality: str) -> BinaryIO:
        """The bytes of the sample's picture."""
        return self._shards.open_picture(index)


def _shards(path: Path, split: Split) -> tuple[Path | None, list[Path]]:
    """A split's folder and shards; none where it has no folder. The test split must have some."""
    folder = next((path / name for name in FOLDERS[split] if os.path.isdir(path / name)), None)
    if folder is None:
        if split == "test":
            raise _incomplete(path, "there is no folder test", path)
        return None, []
    text = _read(folder, "nshards.txt").strip()
    if not (text.isdecimal() and len(text) < 10 and 0 < int(text) <= 100_000):
        raise _incomplete(path, f"{folder / 'nshards.txt'} is damaged", repr(text[:40]))
    paths = [folder / f"{number}.tar" for number in range(int(text))]
    missing = [one for one in paths if not os.path.isfile(one)]
    if missing:
        found = f"no {missing[0]}" + f" and {len(missing) - 1:,} more" * (len(missing) > 1)
        raise _incomplete(path, "a shard is missing", found)
    return folder, paths


def _further_shards(folder: Path | None, count: int) -> list[str]:
    """A word about shards beyond the number that nshards.txt says."""
    tars = folder.glob("*.tar") if folder else []
    known = {f"{number}.tar" for number in range(count)}
    others = sorted(path.name for path in tars if path.name not in known)
    if not others:
        return []
    told = f"nshards.txt says {count}, and {len(others):,} further shards are not read"
    return [f"{told} (first: {others[0]})"]


def _read_type(path: Path) -> str:
    if not os.path.isfile(path / "dataset_type.txt"):
        return ""
    kind = _read(path, "dataset_type.txt").strip()
    if kind not in TYPES:
        raise _incomplete(path, "dataset_type.txt names another type", repr(kind[:40]))
    return kind


def _class_names(path: Path) -> tuple[str, ...]:
    """The names, one a line; a label's number is that of its line, so that none may be empty."""
    lines = read_lines(_read(path, "classnames.txt").rstrip())
    empty = next((number for number, line in enumerate(lines, start=1) if not line), None)
    if empty is not None and len(lines) > 1:
        fault = "a line of classnames.txt is empty, and labels are counted by its lines"
        raise _incomplete(path, fault, f"line {empty} of {len(lines)}")
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise _incomplete(path, f"line {number} of classnames.txt has a NUL", repr(line[:80]))
    return tuple(line for line in lines if line)


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Names as labels: one that was there before has its label id added, until none is like it."""
    taken, seen, labels = {*names}, set[str](), list[str]()
    for place, name in enumerate(names):
        label = name
        while name in seen and label in taken:
            label = f"{label} ({place})"
        seen.add(name)
        taken.add(label)
        labels.append(label)
    return tuple(labels)


def _templates(path: Path) -> tuple[str, ...]:
    name = "zeroshot_classification_templates.txt"
    lines = [line for line in read_lines(_read(path, name)) if line]
    wrong = next((line for line in lines if line.count("{c}") != 1 or "\0" in line), None)
    if wrong is not None or not lines:
        found = repr(wrong) if wrong else "no template"
        raise _incomplete(path, f"{name} has no prompt with one {{c}}", found)
    return tuple(dict.fromkeys(line.replace("{c}", "{}") for line in lines))


def _read(folder: Path, name: str) -> str:
    try:
        return decode_text(read_file(folder / name))
    except (OSError, ValueError) as error:
        raise _incomplete(folder, f"{name} cannot be read", error) from error


def _incomplete(path: Path, fault: str, found: object) -> DataError:
    return DataError(
        explain(
            str(path),
            f"this is no whole folder of CLIP_benchmark's: {fault}",
            found=found,
            allowed="test/0.tar, ... with test/nshards.txt, classnames.txt and templates",
            next_step="fetch what lacks, or write the folder again: mmlab pack",
        )
    )
