"""The component for training data in shards: pictures with captions, or with labels."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mmlab.plugin import DataError, Sample, Split, explain
from mmlab_datasets.columns import given_labels
from mmlab_datasets.shards.offsets import find_shards
from mmlab_datasets.shards.samples import Shards, Texts
from mmlab_datasets.texts import Label, Template

logger = logging.getLogger(__name__)


class WebDataset:
    """Samples in tar files: a picture, a caption (`.txt`, or a field of `.json`), a label (`.cls`).

    A pattern is the path of a shard in which `{000..331}` and `{a,b}` stand for several. A sample
    that lacks its picture or its caption has a missing modality; they are counted, or with
    `incomplete = "error"` refused. Samples are found by their offsets in the shards, which are
    read once and kept beside them: the order of an epoch is mmlab's own, and shuffles all samples.
    Raises DataError for a shard that is missing or cut short, and names it.
    """

    numerics = 1
    is_multi_label = False

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
    ) -> None:
        pattern = {"train": train, "validation": validation, "test": test}[split]
        self.modalities: tuple[str, ...] = tuple(dict.fromkeys(modalities))
        self.labels, self.templates = given_labels(label_names), tuple(templates)
        shards = find_shards(pattern) if pattern is not None else []
        self._shards = Shards(shards, Texts(text_field), len(self.labels))
        count_incomplete(f"{split} of {pattern}", self._shards, self._told, incomplete)
        self.revision = revision(self._shards, split, self.modalities, text_field)

    @property
    def _told(self) -> list[str]:
        """The columns without which a sample lacks a modality, as far as the table tells."""
        columns = {"image": "picture_offset", "text": "text"}
        return [columns[name] for name in self.modalities]

    def __len__(self) -> int:
        """Number of samples in the split."""
        return len(self._shards)

    def __getitem__(self, index: int) -> Sample:
        """One sample, its picture decoded."""
        return self._only(self._shards.sample(index, with_picture="image" in self.modalities))

    def outline(self, index: int) -> Sample:
        """The same without the picture."""
        return self._only(self._shards.sample(index, with_picture=False))

    def _only(self, sample: Sample) -> Sample:
        values = {key: value for key, value in sample.values.items() if key in self.modalities}
        return Sample(sample.id, values, sample.labels)


def count_incomplete(
    place: str, shards: Shards, columns: Sequence[str], policy: str = "keep"
) -> None:
    """Say how many samples lack something. Raises DataError for any where the policy says so."""
    names = {"picture_offset": "picture", "text": "caption"}
    lacking = {names[column]: shards.lacking(column) for column in columns}
    found = ", ".join(f"{n:,} without a {name}" for name, n in lacking.items() if n)
    if not found:
        return
    found = f"{found}, of {len(shards):,} samples"
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


def revision(shards: Shards, *options: object) -> str:
    """A hash of what the shards hold and of the options that change what is made of it."""
    text = json.dumps([shards.content, *options])
    return f"shards-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
