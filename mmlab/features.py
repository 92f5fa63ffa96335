"""The feature cache: what frozen encoders make of a split, computed once for all cells and epochs.

A frozen encoder in eval mode gives a value the same features every time, unless training augments
its inputs. Such features are computed in evaluation batches of one size, kept in a file that is
mapped into memory, and read in the place of the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from mmlab.build import Experiment
from mmlab.feature_encoding import Computing, Note, Reporter, Values, encode_values
from mmlab.feature_file import ENDING, Damaged, locked, read_table, write_table
from mmlab.feature_key import (
    describe_computing,
    describe_encoder,
    describe_split,
    frozen_encoders,
)
from mmlab.feature_table import FeatureTable, Kept
from mmlab.outline import Outline
from mmlab.plan import Resolved
from mmlab.plugin import Dataset, Split
from mmlab.spec import digest
from mmlab.splits import Splits


class FeatureCache:
    """Tables of features by key, in a folder and mapped into memory; each thing is said once."""

    def __init__(self, folder: Path, note: Note) -> None:
        self.folder = folder
        self.note = note
        self._said: set[str] = set()
        self._tables: dict[str, FeatureTable] = {}

    def say_once(self, text: str) -> None:
        """Tell a person, unless that was said before."""
        if text not in self._said:
            self._said.add(text)
            self.note(text)

    def get(
        self, name: str, about: Mapping[str, object], compute: Callable[[], FeatureTable]
    ) -> FeatureTable:
        """The table that is what `about` says: from memory, from its file, or computed now."""
        key = digest(about)
        if key not in self._tables:
            self._tables[key] = self._from_file(
                self.folder / f"{key}{ENDING}", name, about, compute
            )
        return self._tables[key]

    def _from_file(
        self,
        path: Path,
        name: str,
        about: Mapping[str, object],
        compute: Callable[[], FeatureTable],
    ) -> FeatureTable:
        found = self._read(path, name)
        if found is not None:
            return found
        is_ready = self._make_folder()
        with locked(path):
            found = self._read(path, name)  # another process may have made it meanwhile
            if found is not None:
                return found
            table = compute()
            return self._written(path, name, about, table) if is_ready else table

    def _read(self, path: Path, name: str) -> FeatureTable | None:
        try:
            return read_table(path)
        except Damaged as error:
            self.say_once(f"features of {name}: {path} is damaged, and made anew ({error})")
            return None

    def _make_folder(self) -> bool:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._say_not_kept(error)
            return False
        return True

    def _written(
        self, path: Path, name: str, about: Mapping[str, object], table: FeatureTable
    ) -> FeatureTable:
        """The table, mapped from its file, or as it is where there can be no file."""
        try:
            write_table(path, table, about)
        except OSError as error:
            self._say_not_kept(error)
            return table
        samples = len(table.starts) - 1
        self.note(f"features of {name}: {samples:,} samples, {table.size_bytes / 1e6:.1f} MB")
        return self._read(path, name) or table

    def _say_not_kept(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        self.say_once(
            f"features cannot be kept in {self.folder} ({reason}): this command alone "
            "uses them again; name another folder with --cache"
        )


class FrozenFeatures:
    """The features of one experiment's frozen encoders, split by split."""

    def __init__(
        self,
        cache: FeatureCache,
        experiment: Experiment,
        splits: Splits,
        device: torch.device,
        precision: str,
    ) -> None:
        table = experiment.plan.cell.spec.train
        self.cache = cache
        self.experiment = experiment
        self.splits = splits
        self._computing = Computing(device, precision, table.workers if table else 0)
        self._about = describe_computing(device, precision)
        self._encoders = self._choose()
        self._kept: dict[int, Kept] = {}  # by id: the datasets of `splits` stay alive

    def _choose(self) -> dict[str, dict[str, object]]:
        """What each encoder is whose features are kept, before any training."""
        chosen = {}
        for key, reason in frozen_encoders(self.experiment).items():
            if reason is None:
                chosen[key] = describe_encoder(self.experiment, key)
            else:
                self.cache.say_once(
                    f"encoders.{key} is frozen, but its features are not kept: {reason}"
                )
        return chosen

    @property
    def keys(self) -> list[str]:
        """Encoders whose features are kept."""
        return list(self._encoders)

    def kept(self, resolved: Resolved, split: Split) -> Kept:
        """Tables of one split of a dataset, for the encoders of which it has the modality."""
        if not self._encoders:
            return Kept()
        dataset = self.splits.get(resolved, split)
        if id(dataset) not in self._kept:
            self._kept[id(dataset)] = self._find(dataset, describe_split(resolved, dataset, split))
        return self._kept[id(dataset)]

    def _find(self, dataset: Dataset, about: dict[str, object]) -> Kept:
        readers = {key: self.experiment.readers[key] for key in self._encoders}
        read = [key for key, r in readers.items() if r.modality in dataset.modalities]
        if not read or not len(dataset):
            return Kept()
        outline = self.splits.outline(dataset)
        tables = {key: self._table(key, dataset, outline, about) for key in read}
        return Kept(tables, outline)

    def _table(
        self, key: str, dataset: Dataset, outline: Outline, about: dict[str, object]
    ) -> FeatureTable:
        name = f"encoders.{key} ({about['split']})"

        def compute() -> FeatureTable:
            values = Values(dataset, outline, self.experiment.readers[key])
            report = Reporter(self.cache.note, name, len(values))
            return encode_values(self.experiment, key, values, self._computing, report)

        whole = {**self._about, "encoder": self._encoders[key], "dataset": about}
        return self.cache.get(name, whole, compute)
