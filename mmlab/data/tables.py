"""Tables of features or inputs that are kept of a split for an encoder: a row for each value.

Of a frozen encoder the rows are features; of one that is trained they are its inputs. Rows of
several groups of samples can be joined, and some of them taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from mmlab.data.samples import SampleIndex
from mmlab.plugin import Features


class Rows:
    """Where the rows of a split's values are, as evaluation transforms give them.

    Those of sample 0 come first, then those of sample 1, ..., and one of the placeholder at the
    end. A sample has a row for each of its captions, one for any other value, none where it lacks
    the modality: rows `starts[i]` to `starts[i + 1]`; starts (n + 1,) int64.
    """

    starts: Tensor

    @property
    def is_drawn(self) -> bool:
        """Whether training draws among several rows of a sample."""
        return bool((self.starts.diff() > 1).any())

    def row(self, index: int, train: bool) -> int | None:
        """A sample's row: drawn from torch's generator where training has several, else the first.

        None where the sample lacks the modality. Draws exactly what reading the sample would draw.
        """
        first, stop = self._starts[index], self._starts[index + 1]
        if first == stop:
            return None
        if not train or stop - first == 1:
            return first
        return first + int(torch.randint(stop - first, ()))

    def first_rows(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """First rows of several samples, (m,) int64, and whether each has the modality (m,)."""
        first = self.starts[:-1][index]
        present = first < self.starts[1:][index]
        return torch.where(present, first, self.starts[-1]), present

    def places(self, rows: Iterable[int | None]) -> tuple[Tensor, Tensor]:
        """The rows, that of the placeholder for None, (m,) int64; and which are not None (m,)."""
        found = list(rows)
        absent = self._starts[-1]
        index = torch.tensor([absent if row is None else row for row in found])
        return index, torch.tensor([row is not None for row in found])

    @cached_property
    def _starts(self) -> Sequence[int]:
        starts: list[int] = self.starts.tolist()
        return starts


@dataclass(frozen=True)
class FeatureTable(Rows):
    """Features of one frozen encoder for one split; `features` holds the rows."""

    features: Features
    starts: Tensor

    def take(self, rows: Tensor) -> Features:
        """Copies of rows (m,), on the device where the table is."""
        return self.features.map(lambda x: _take(x, rows))

    def to(self, device: torch.device) -> FeatureTable:
        """The same rows on a device; sample by sample they are still found from the host."""
        return replace(self, features=self.features.map(lambda x: x.to(device)))

    @property
    def size_bytes(self) -> int:
        """What the rows take."""
        found = (self.features.pooled, self.features.tokens, self.features.mask)
        return sum(x.nbytes for x in found if x is not None)


@dataclass(frozen=True)
class InputTable(Rows):
    """Transformed inputs of one encoder for one split; `inputs` (R, ...) holds the rows."""

    inputs: Tensor
    starts: Tensor

    def take(self, rows: Tensor) -> Tensor:
        """Copies of rows (m,), on the device where the table is."""
        return _take(self.inputs, rows)

    def to(self, device: torch.device) -> InputTable:
        """The same rows on a device; sample by sample they are still found from the host."""
        return replace(self, inputs=self.inputs.to(device))

    @property
    def size_bytes(self) -> int:
        """What the rows take."""
        return self.inputs.nbytes


Table = FeatureTable | InputTable


def _take(x: Tensor, rows: Tensor) -> Tensor:
    return x.index_select(0, rows.to(x.device, non_blocking=True))


@dataclass(frozen=True)
class CachedSplit:
    """What is kept of a split, by encoder key, and the outline where anything is.

    `tables` are features of frozen encoders. `inputs` are there only where, together with them,
    no sample need be read.
    """

    tables: Mapping[str, FeatureTable] = field(default_factory=dict)
    outline: SampleIndex | None = None
    inputs: Mapping[str, InputTable] = field(default_factory=dict)

    def to(self, device: torch.device) -> CachedSplit:
        """The same with every table on a device, where batches are then gathered.

        Tables that would take more than half of the device's free memory stay where they are.
        """
        tables: list[Table] = [*self.tables.values(), *self.inputs.values()]
        size = sum(table.size_bytes for table in tables)
        if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] // 2:
            return self
        return CachedSplit(
            {key: table.to(device) for key, table in self.tables.items()},
            self.outline,
            {key: table.to(device) for key, table in self.inputs.items()},
        )

    def covers(self, keys: Iterable[str]) -> bool:
        """Whether no sample need be read for these encoders."""
        return self.outline is not None and set(keys) <= self.tables.keys() | self.inputs.keys()


def join_rows(parts: Sequence[Features]) -> Features:
    """Features of several groups of samples as those of one."""
    first = parts[0]
    return Features(
        torch.cat([part.pooled for part in parts]),
        None if first.tokens is None else torch.cat([cast(Tensor, p.tokens) for p in parts]),
        None if first.mask is None else torch.cat([cast(Tensor, p.mask) for p in parts]),
        torch.cat([part.present for part in parts]),
    )


def take_rows(features: Features, index: slice | Tensor) -> Features:
    """Some rows of features: a slice is a view, an index (m,) a copy."""
    return features.map(lambda x: x[index.to(x.device) if isinstance(index, Tensor) else index])
