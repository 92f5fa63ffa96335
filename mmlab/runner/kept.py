"""The feature cache of a run: features of frozen encoders, and inputs of those that are trained.

A frozen encoder in eval mode gives a value the same features every time, unless training augments
its inputs. Such features are computed in evaluation batches of one size, kept by key in a file that
is mapped into memory, and read in the place of the samples. Inputs of encoders that are trained are
kept as their transforms give them, so that a picture is decoded once and not at every epoch.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

import torch

from mmlab.data.order import Order
from mmlab.data.splits import Splits
from mmlab.data.tables import (
    ENDING,
    CachedSplit,
    Damaged,
    FeatureTable,
    InputTable,
    Table,
    clear_abandoned,
    locked,
    read_table,
    write_table,
)
from mmlab.evaluate.subject import Parts, Unkept
from mmlab.files import size_text
from mmlab.hashing import digest
from mmlab.model.build import BuiltCell
from mmlab.plan.component import Resolved
from mmlab.plan.plan import where_of
from mmlab.plugin import Dataset, Split
from mmlab.runner.kept_encode import (
    PART_SECONDS,
    Computing,
    Lasting,
    Note,
    Reporter,
    Values,
    WhenLong,
    describe_computing,
    describe_encoder,
    describe_split,
    describe_transform,
    encode_values,
    frozen_encoders,
    has_fixed_inputs,
    transform_values,
)
from mmlab.train.loop import count_steps

#: The ending of a folder of parts of a table that is not there yet.
PARTS_ENDING = ".parts"
#: Inputs of one encoder and split that would take more are read at every epoch.
INPUT_BYTES = 1 << 30


class FeatureCacheForRun:
    """What is kept for one experiment, split by split.

    Inputs are kept only where `trains` says that the experiment is about to be trained.
    """

    def __init__(
        self,
        cache: FeatureCache,
        built: BuiltCell,
        splits: Splits,
        device: torch.device,
        precision: str,
        trains: bool = False,
    ) -> None:
        table = built.plan.cell.spec.train
        self.cache = cache
        self.built = built
        self.splits = splits
        self._computing = Computing(device, precision, table.workers if table else 0)
        self._about = describe_computing(device, precision)
        self._encoders = self._choose()
        self._repeats = trains and _trains_epochs(built, splits)
        self._transforms = self._describe_transforms() if self._repeats else {}
        self._kept: dict[int, CachedSplit] = {}  # by id: the datasets of `splits` stay alive

    def _choose(self) -> dict[str, dict[str, object]]:
        """What each encoder is whose features are kept, before any training."""
        chosen = {}
        for key, reason in frozen_encoders(self.built).items():
            if reason is None:
                chosen[key] = describe_encoder(self.built, key)
            else:
                self.cache.say_once(
                    f"encoders.{key} is frozen, but its features are not kept: {reason}"
                )
        return chosen

    def _describe_transforms(self) -> dict[str, dict[str, object]]:
        """What makes the inputs of each other encoder, before any training."""
        others = [key for key in self.built.readers if key not in self._encoders]
        return {key: describe_transform(self.built, key) for key in others}

    @property
    def keys(self) -> list[str]:
        """Encoders whose features are kept."""
        return list(self._encoders)

    def kept(self, resolved: Resolved, split: Split) -> CachedSplit:
        """What is kept of one split of a dataset, for the encoders of which it has the modality."""
        inputs = self._with_fixed_inputs(resolved, split)
        if not self._encoders and not inputs:
            return CachedSplit()
        dataset = self.splits.get(resolved, split)
        if id(dataset) not in self._kept:
            about = describe_split(resolved, dataset, split)
            self._kept[id(dataset)] = self._find(dataset, about, inputs)
        return self._kept[id(dataset)]

    def _with_fixed_inputs(self, resolved: Resolved, split: Split) -> list[str]:
        """Encoders whose inputs are the same at every epoch; none unless that is so of all."""
        if not self._repeats or resolved is not self.built.plan.dataset or split == "test":
            return []
        trained_on = split == "train"
        for key in self._transforms:
            if not has_fixed_inputs(self.built, key, trained_on):
                return []
        return list(self._transforms)

    def _find(
        self, dataset: Dataset, about: Mapping[str, object], inputs: list[str]
    ) -> CachedSplit:
        readers = self.built.readers
        has = [key for key, r in readers.items() if r.modality in dataset.modalities]
        if len(has) < len(readers) or not self._are_small(inputs, len(dataset), about):
            inputs = []
        frozen = [key for key in self._encoders if key in has]
        if not len(dataset) or not (frozen or inputs):
            return CachedSplit()
        index = self.splits.index(dataset)
        values = {key: Values(dataset, index, readers[key]) for key in (*frozen, *inputs)}
        return CachedSplit(
            {key: self._features(key, values[key], about) for key in frozen},
            index,
            {key: self._inputs(key, values[key], about) for key in inputs},
        )

    def _are_small(self, keys: Sequence[str], samples: int, about: Mapping[str, object]) -> bool:
        """Whether inputs of so many samples may be kept, one each; says of the first that may not.

        To know how many values there are, some datasets would have to be read.
        """
        for key in keys:
            size = samples * self.built.readers[key].placeholder.nbytes
            if size > INPUT_BYTES:
                self.cache.say_once(
                    f"inputs of {'.'.join(where_of(key))} ({about['split']}) are read at every "
                    "epoch: "
                    f"{size / 2**30:.2f} GiB, more than the {INPUT_BYTES / 2**30:.2f} GiB "
                    "that are kept"
                )
                return False
        return True

    def _features(self, key: str, values: Values, about: Mapping[str, object]) -> FeatureTable:
        name = f"features of encoders.{key} ({about['split']})"
        report = Reporter(self.cache.note, name, len(values))
        how = self._computing
        return self.cache.get(
            name,
            {**self._about, "encoder": self._encoders[key], "dataset": about},
            lambda parts: encode_values(self.built, key, values, how, report, parts),
        )

    def _inputs(self, key: str, values: Values, about: Mapping[str, object]) -> InputTable:
        name = f"inputs of {'.'.join(where_of(key))} ({about['split']})"
        report = Reporter(self.cache.note, name, len(values))
        return self.cache.get(
            name,
            {"inputs": self._transforms[key], "dataset": about},
            lambda parts: transform_values(values, self._computing.workers, report),
        )


def _trains_epochs(built: BuiltCell, splits: Splits) -> bool:
    """Whether training reads a sample more than once."""
    table = built.plan.cell.spec.train
    if table is None:
        return False
    order = Order(0, len(splits.training(built.plan)), table.batch_size)
    return count_steps(table, order) > order.steps_per_epoch


T = TypeVar("T", bound=Table)


class FeatureCache:
    """Tables of features and inputs in a folder, by what they are; each thing is said once.

    `name` is what a person hears them called: "features of encoders.image (train)".
    """

    def __init__(self, folder: Path, note: Note) -> None:
        self.folder = folder
        self.note = note
        self._said: set[str] = set()
        self._tables: dict[str, Table] = {}
        self._is_cleared = False

    def say_once(self, text: str) -> None:
        """Tell a person, unless that was said before."""
        if text not in self._said:
            self._said.add(text)
            self.note(text)

    def get(self, name: str, about: Mapping[str, object], compute: Callable[[Parts], T]) -> T:
        """The table that is what `about` says: from memory, from its file, or computed now.

        What takes long may be kept in parts, which go when the table is there.
        """
        key = digest(about)
        if key not in self._tables:
            path = self.folder / f"{key}{ENDING}"
            self._tables[key] = self._from_file(path, name, about, compute)
        return cast(T, self._tables[key])  # its kind is part of `about`

    def _from_file(
        self,
        path: Path,
        name: str,
        about: Mapping[str, object],
        compute: Callable[[Parts], Table],
    ) -> Table:
        if not self._is_cleared:
            clear_abandoned(self.folder)
            self._is_cleared = True
        found = self._read(path, name)
        if found is not None:
            return found
        is_ready = self._make_folder()
        with locked(path):
            found = self._read(path, name)  # another process may have made it meanwhile
            if found is not None:
                return found
            if not is_ready:
                return compute(Unkept())
            folder = path.with_suffix(PARTS_ENDING)
            table = compute(WhenLong(folder, lambda: self._kept_in(folder, name)))
            table = self._written(path, name, about, table)
            shutil.rmtree(folder, ignore_errors=True)
            return table

    def _kept_in(self, folder: Path, name: str) -> Lasting:
        from mmlab.runner.parts import kept_in_folder  # only where something takes long

        return kept_in_folder(folder, name, self.note, PART_SECONDS)

    def _read(self, path: Path, name: str) -> Table | None:
        try:
            return read_table(path)
        except Damaged as error:
            self.say_once(f"{name}: {path} is damaged, and made anew ({error})")
            return None

    def _make_folder(self) -> bool:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._say_not_kept(error)
            return False
        return True

    def _written(self, path: Path, name: str, about: Mapping[str, object], table: Table) -> Table:
        """The table, mapped from its file, or as it is where there can be no file."""
        try:
            write_table(path, table, about)
        except OSError as error:
            self._say_not_kept(error)
            return table
        samples = len(table.starts) - 1
        self.note(f"{name}: {samples:,} samples, {size_text(table.size_bytes)}")
        return self._read(path, name) or table

    def _say_not_kept(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        self.say_once(
            f"features and inputs cannot be kept in {self.folder} ({reason}): this command alone "
            "uses them again; name another folder with --cache"
        )
