"""Faults of imported files, told together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmlab.errors import DataError, MmlabError

#: Faults that are written out: far more than anybody mends at a time.
SHOWN = 200


class Faults:
    """Keeps errors on the way, for one error that holds them all."""

    def __init__(self) -> None:
        self._found: list[str] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Note an error of what is done within, and go on after it."""
        try:
            yield
        except FaultsError as error:
            self._found += error.faults
        except MmlabError as error:
            self._found.append(str(error))

    def add(self, error: MmlabError) -> None:
        """Note an error."""
        self._found.append(str(error))

    def raise_all(self) -> None:
        """Raise one DataError with every fault noted so far, if any."""
        if self._found:
            raise FaultsError(self._found)


class FaultsError(DataError):
    """Several faults, one paragraph each."""

    def __init__(self, faults: list[str]) -> None:
        more = [f"and {len(faults) - SHOWN:,} more faults"] if len(faults) > SHOWN else []
        super().__init__("\n\n".join(faults[:SHOWN] + more))
        self.faults = faults
