"""What a tabular encoder learns of columns: means and spreads of numbers, and the categories."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mmlab.plugin import DataError, SpecError, WeightsError, explain

#: What a cell is: no such column, no value, a number, a category nobody has seen, a known one.
UNUSED, MISSING, NUMBER, UNKNOWN, KNOWN = 0, 1, 2, 3, 4


class Columns(nn.Module):
    """Columns by name, learnt from rows: those of numbers alone are numbers, others categories.

    A row becomes float32 (columns, 2): what the cell is (from KNOWN on, which category) and its
    standardised number. Categories are (column, text) pairs, the most frequent of all columns. The
    table is extra state, as JSON in a uint8 tensor, so that it travels with the weights.
    """

    def __init__(self, columns: int, categories: int) -> None:
        super().__init__()
        self.columns = columns
        self.categories = categories
        self._numbers: dict[str, tuple[float, float]] = {}
        self._kinds: dict[str, dict[str, int]] = {}

    def fit(self, rows: Sequence[object]) -> None:
        """Learn the columns, in order of their names; raises DataError or SpecError."""
        checked = [_row(row) for row in rows]
        names = sorted({name for row in checked for name, cell in row.items() if cell is not None})
        if not 0 < len(names) <= self.columns:
            raise _wrong_count(names, self.columns)
        self._numbers, self._kinds = {}, {}
        counts: Counter[tuple[str, str]] = Counter()
        for name in names:
            cells = [row[name] for row in checked if row.get(name) is not None]
            if all(isinstance(cell, float) for cell in cells):
                self._numbers[name] = _mean_and_spread(cast(list[float], cells))
                continue
            self._kinds[name] = {}
            counts.update((name, str(cell)) for cell in cells)
        ranked = sorted(counts, key=lambda pair: (-counts[pair], pair))
        for number, (name, text) in enumerate(ranked[: self.categories]):
            self._kinds[name][text] = KNOWN + number

    def encode(self, raw: object) -> Tensor:
        """One row -> (columns, 2). Raises WeightsError before there are any columns, DataError."""
        names = sorted([*self._numbers, *self._kinds])
        if not names:
            raise _not_fitted()
        row, result = _row(raw), torch.zeros(self.columns, 2)
        for position, name in enumerate(names):
            result[position] = torch.tensor(self._cell(name, row.get(name)))
        return result

    def _cell(self, name: str, cell: str | float | None) -> tuple[float, float]:
        if cell is None:
            return MISSING, 0.0
        if name in self._kinds:
            return self._kinds[name].get(str(cell), UNKNOWN), 0.0
        if isinstance(cell, str):
            raise _no_number(name, cell)
        mean, spread = self._numbers[name]
        return NUMBER, (cell - mean) / spread

    def get_extra_state(self) -> Tensor:
        """The table as JSON."""
        text = json.dumps([self._numbers, self._kinds])
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the table of a checkpoint; raises WeightsError where it does not fit."""
        numbers, kinds = json.loads(bytes(state.tolist()))
        size = sum(map(len, kinds.values()))
        if len(numbers) + len(kinds) > self.columns or size > self.categories:
            raise _too_large(len(numbers) + len(kinds), size)
        self._numbers = {name: (mean, spread) for name, (mean, spread) in numbers.items()}
        self._kinds = kinds


def _row(raw: object) -> Mapping[str, str | float | None]:
    """A raw row with whole numbers as floats. Raises DataError for any other value."""
    if not isinstance(raw, Mapping):
        raise _no_row(type(raw).__name__)
    row: dict[str, str | float | None] = {}
    for name, cell in raw.items():
        is_number = isinstance(cell, int | float) and not isinstance(cell, bool)
        if is_number and not math.isfinite(cell):
            raise _no_row(f"{name} = {cell}")
        if not (cell is None or is_number or isinstance(cell, str)):
            raise _no_row(f"{name} of type {type(cell).__name__}")
        row[name] = float(cell) if is_number else cell
    return row


def _mean_and_spread(cells: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation, 1 where all cells are equal."""
    mean = math.fsum(cells) / len(cells)
    variance = math.fsum((cell - mean) ** 2 for cell in cells) / len(cells)
    return mean, math.sqrt(variance) or 1.0


def _no_row(found: str) -> DataError:
    return DataError(
        explain(
            "tabular encoder",
            "a raw value is no row of a table",
            found=found,
            allowed="a mapping of column names to texts, finite numbers, or None where missing",
            next_step="let this encoder read a modality of rows (encoders.KEY.modality)",
        )
    )


def _no_number(name: str, cell: str) -> DataError:
    return DataError(
        explain(
            f"tabular encoder: column {name!r}",
            "a cell is no number, and the training split had numbers alone",
            found=repr(cell),
            allowed="numbers",
            next_step="correct the cell, or empty it to mark it missing",
        )
    )


def _wrong_count(names: Sequence[str], most: int) -> SpecError | DataError:
    if names:
        return SpecError(
            explain(
                "columns",
                "the rows have more columns than the encoder has room for",
                found=f"{len(names)} columns",
                allowed=f"at most {most}",
                next_step="raise `columns` of this encoder, or choose fewer in the dataset",
            )
        )
    return DataError(
        explain(
            "tabular encoder",
            "there is nothing to learn",
            found="no cell with a value in the training split",
            allowed="at least one column with a value",
            next_step="check the columns that the dataset names",
        )
    )


def _not_fitted() -> WeightsError:
    return WeightsError(
        explain(
            "tabular encoder",
            "there are no columns yet",
            found="an encoder that was never fitted",
            allowed="columns learnt from a training split, or those of weights",
            next_step="train this encoder, or set encoders.KEY.weights",
        )
    )


def _too_large(columns: int, categories: int) -> WeightsError:
    return WeightsError(
        explain(
            "tabular encoder",
            "the columns of these weights do not fit",
            found=f"{columns} columns, {categories} categories",
            allowed="no more than the options say",
            next_step="set `columns` and `categories` as in the run that made the weights",
        )
    )
