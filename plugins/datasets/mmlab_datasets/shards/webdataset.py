"""The component for training data in shards: pictures with captions, or with labels."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from pydantic import Field

from mmlab.plugin import Added, DataError, Origin, Sample, Split, explain
from mmlab_datasets.columns import given_labels
from mmlab_datasets.shards.patterns import find_shards
from mmlab_datasets.shards.reading import PICTURES, LabelSource, Reading
from mmlab_datasets.shards.samples import Shards
from mmlab_datasets.texts import Label, Template

logger = logging.getLogger(__name__)

#: The name of a member after its key and a dot.
Ending = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^/\x00]+$")]


class WebDataset:
    """Samples in tar files: a picture, a caption (`.txt`, or a field of `.json`), a label (`.cls`).

    A pattern is the path of a shard in which `{000..331}` and `{a,b}` stand for several. A sample
    is the members of one key, the name up to its first dot; members that belong to none are left
    out and told. Where two could be the picture, `image_endings` says which is. `KEY.0.txt`,
    `KEY.1.txt` are several captions of it, and so is a list in the `text_field` of `KEY.json`;
    with a `group_field`, samples of one value there are one. Labels are numbers from 0 or names:
    one in `.cls`, or in `label_field` of `.json`; with `multi_label` several, in `.npy` (0 or 1 for
    each) or in a list.

    A sample that lacks its picture or its caption has a missing modality; they are counted, or with
    `incomplete = "error"` refused. Samples are found by their offsets in the shards, which are
    read once and kept beside them: the order of an epoch is mmlab's own, and shuffles all samples.
    The revision covers every byte of what is read: captions, labels, pictures.
    Raises DataError for a shard that is missing or cut short, and names it.
    """

    numerics = 2

    def __init__(
        self,
        split: Split,
        *,
        train: Annotated[Path, Field(description="pattern of the training split's shards")],
        validation: Annotated[Path | None, Field(description="... of the validation split")] = None,
        test: Annotated[Path | None, Field(description="... of the test split")] = None,
        modalities: Annotated[
            Sequence[Literal["image", "text"]],
            Field(min_length=1, description="what samples have"),
        ] = ("image", "text"),
        text_field: Annotated[
            str | None, Field(description="field of .json with the caption, instead of .txt")
        ] = None,
        label_names: Annotated[
            Sequence[Label], Field(description="names of .cls, from 0; none: no labels")
        ] = (),
        templates: Annotated[
            Sequence[Template], Field(min_length=1, description="prompts with one {} each")
        ] = ("{}",),
        incomplete: Annotated[
            Literal["keep", "error"], Field(description="what of samples that lack a modality")
        ] = "keep",
        image_endings: Annotated[
            Sequence[Ending], Field(description="the picture's; jpg, jpeg, png, webp"), Added([])
        ] = (),
        text_endings: Annotated[
            Sequence[Ending], Field(description="the captions'; txt, 0.txt, 1.txt ..."), Added([])
        ] = (),
        caption_lines: Annotated[
            bool, Field(description="every line of .txt is a caption"), Added(False)
        ] = False,
        multi_label: Annotated[
            bool, Field(description="several labels a sample, in .npy"), Added(False)
        ] = False,
        label_field: Annotated[
            str | None, Field(description="field of .json with the label"), Added(None)
        ] = None,
        group_field: Annotated[
            str | None, Field(description="field of .json that one picture's share"), Added(None)
        ] = None,
    ) -> None:
        pattern = {"train": train, "validation": validation, "test": test}[split]
        self.modalities: tuple[str, ...] = tuple(dict.fromkeys(modalities))
        self.labels, self.templates = given_labels(label_names), tuple(templates)
        self.is_multi_label = multi_label
        _require_names(self.labels, label_field, multi_label=multi_label)
        source: LabelSource = "npy" if multi_label else "cls"
        if label_field is not None:
            source = "json"
        reading = Reading(
            pictures=endings(image_endings, PICTURES) if "image" in self.modalities else (),
            pictures_chosen=bool(image_endings),
            texts=endings(text_endings, ("txt",)) if "text" in self.modalities else (),
            texts_chosen=bool(text_endings),
            text_field=text_field if "text" in self.modalities else None,
            caption_lines=caption_lines,
            labels=source if self.labels else "none",
            label_field=label_field,
            has_several_labels=multi_label,
            group_field=group_field,
        )
        place = f"{split} of {pattern}"
        self._shards = Shards(find_shards(pattern) if pattern else [], reading, self.labels)
        columns = {"image": "picture_offset", "text": "texts"}
        count_incomplete(place, self._shards, [columns[one] for one in self.modalities], incomplete)
        self.notes = tuple(f"{place}: {note}" for note in self._shards.notes)
        self.revision = revision(self._shards, split, self.modalities)

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


def endings(named: Sequence[str], usual: tuple[str, ...]) -> tuple[str, ...]:
    """The endings that a spec names, written as members' are compared; the usual ones without."""
    return tuple(dict.fromkeys(one.lower().removeprefix(".") for one in named)) or usual


def count_incomplete(
    place: str, shards: Shards, columns: Sequence[str], policy: str = "keep"
) -> None:
    """Say how many samples lack something. Raises DataError for any where the policy says so."""
    names = {"picture_offset": "picture", "texts": "caption"}
    lacking = {names[column]: shards.lacking(column) for column in columns}
    parts = [f"{len(ids):,} without a {name}" for name, ids in lacking.items() if ids]
    if not parts:
        return
    firsts = ", ".join(ids[0] for ids in lacking.values() if ids)
    found = f"{', '.join(parts)}, of {len(shards):,} samples (first: {firsts})"
    if policy == "keep":
        logger.warning("%s: %s", place, found)
        return
    raise DataError(
        explain(
            place,
            "samples lack a modality",
            found=found,
            allowed='none, with incomplete = "error"',
            next_step='write the shards again, or set incomplete = "keep": missing modalities',
        )
    )


def _require_names(labels: Sequence[str], field: str | None, *, multi_label: bool) -> None:
    if labels or not (multi_label or field is not None):
        return
    raise DataError(
        explain(
            "dataset.label_names",
            "labels are to be read, and none has a name",
            found="no label_names",
            allowed="the names of all labels, in the order of their numbers",
            next_step="name them, or leave out label_field and multi_label",
        )
    )


def revision(shards: Shards, *options: object) -> str:
    """A hash of what the shards hold and of the options that change what is made of it."""
    text = json.dumps([shards.content, *options])
    return f"shards-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
