"""Tables by key, in files that are mapped into memory: whoever needs one first makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, cast

from mmlab.feature_encoding import Note
from mmlab.feature_file import ENDING, Damaged, locked, read_table, write_table
from mmlab.feature_table import Table
from mmlab.files import size_text
from mmlab.spec import digest

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

    def say_once(self, text: str) -> None:
        """Tell a person, unless that was said before."""
        if text not in self._said:
            self._said.add(text)
            self.note(text)

    def get(self, name: str, about: Mapping[str, object], compute: Callable[[], T]) -> T:
        """The table that is what `about` says: from memory, from its file, or computed now."""
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
        compute: Callable[[], Table],
    ) -> Table:
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
