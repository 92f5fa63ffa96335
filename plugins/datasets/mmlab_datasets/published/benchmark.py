"""The component: one of the published test sets, with the splits around it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mmlab.plugin import Sample, Split
from mmlab_datasets.published import arrays, files
from mmlab_datasets.published.catalogue import TEST_SETS, describe
from mmlab_datasets.published.fetching import fetch
from mmlab_datasets.published.listing import Folder, Listing

#: Reader of a layout, by the name that the descriptions use.
READERS: Mapping[str, Callable[[Folder, Split], Listing]] = {
    "cifar": arrays.cifar,
    "class_folders": files.class_folders,
    "flowers": files.flowers,
    "idx": arrays.idx,
    "lists": files.lists,
    "scenes": files.scenes,
    "stl10": arrays.stl10,
}

# As a type this would have to be written out a second time.
TestSetName = Literal[TEST_SETS]  # type: ignore[valid-type]


class Benchmark:
    """Pictures and a label each, with the class names and templates of CLIP's prompts.

    Labels are unique; prompts have CLIP's own names, of which ImageNet has two twice.

    `test_set` names the dataset and which of its pictures are judged: figures for
    "eurosat/vtab-test" and "eurosat/all" are of different pictures. `path` is the folder into which
    the dataset was unpacked. Every split must have the published number of pictures.
    Raises DataError for a folder that is not whole, and says what lacks.
    """

    numerics = 1
    modalities: tuple[str, ...] = ("image",)
    is_multi_label = False

    def __init__(
        self,
        split: Split,
        *,
        test_set: Annotated[
            TestSetName, Field(description="dataset, and which of its pictures are judged")
        ],
        path: Annotated[Path, Field(description="folder that the dataset was unpacked into")],
        is_part: Annotated[
            bool, Field(description="take what is there; figures are then of no published test set")
        ] = False,
        download: Annotated[
            bool, Field(description="fetch what is not there, where an address is known")
        ] = False,
    ) -> None:
        dataset, _, name = test_set.partition("/")
        description = describe(dataset)
        wanted = description.test_set(name)
        if download:
            fetch(test_set, path, description)
        folder = Folder(test_set, path, description, wanted, is_part)
        self._listing = READERS[description.reader](folder, split)
        self.labels = tuple(description.labels)
        self.prompt_names = tuple(
            description.prompt_names.get(label, label) for label in self.labels
        )
        self.templates = tuple(description.templates)
        self.test_set = f"{test_set} (part)" if is_part else test_set
        self.main_metric = wanted.main_metric
        self.notes = _lacking(f"{self.test_set} in {path}", split, self._listing)
        self.revision = _revision(self.test_set, split, self._listing)

    def __len__(self) -> int:
        """Number of pictures in the split."""
        return len(self._listing.ids)

    def __getitem__(self, index: int) -> Sample:
        """One picture; its id is its file below the dataset's folder, or its place in the split."""
        return self._sample(index, self._listing.picture(index))

    def outline(self, index: int) -> Sample:
        """The same without the picture."""
        return self._sample(index, None)

    def _sample(self, index: int, picture: object) -> Sample:
        listing = self._listing
        return Sample(listing.ids[index], {"image": picture}, (listing.labels[index],))


def _lacking(place: str, split: Split, listing: Listing) -> tuple[str, ...]:
    """A word about pictures that are listed and not there, which a part may lack."""
    if not listing.lacking:
        return ()
    count = listing.lacking + len(listing.ids)
    return (f"{place}: {split}: {listing.lacking:,} of {count:,} listed pictures are not there",)


def _revision(test_set: str, split: Split, listing: Listing) -> str:
    """A hash of the split's samples in order, and of their sizes or bytes."""
    content = hashlib.sha256(json.dumps([test_set, split, listing.content]).encode())
    content.update(json.dumps([list(listing.ids), list(listing.labels)]).encode())
    return f"{test_set.partition('/')[0]}-{content.hexdigest()[:16]}"
