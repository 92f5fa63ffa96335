"""What a cut of the power leaves of files: only what was on the disk, as fsync says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Disk:
    """The contents of files, and the names in folders, as of their last fsync; by inode.

    What was there before is on the disk.
    """

    files: dict[int, bytes] = field(default_factory=dict)
    folders: dict[int, Mapping[str, int]] = field(default_factory=dict)

    def take(self, path: Path) -> None:
        """A file or folder is on the disk as it is now."""
        if path.is_dir():
            names = {one.name: one.lstat().st_ino for one in path.iterdir()}
            self.folders[path.stat().st_ino] = names
        else:
            self.files[path.stat().st_ino] = path.read_bytes()

    def restore(self, folder: Path, target: Path) -> None:
        """Make a folder at `target` of what is left of this one."""
        self._restore(folder.stat().st_ino, target)

    def _restore(self, inode: int, target: Path) -> None:
        target.mkdir(parents=True)
        for name, one in self.folders.get(inode, {}).items():
            if one in self.folders:
                self._restore(one, target / name)
            else:  # a file whose content never was on the disk is empty
                (target / name).write_bytes(self.files.get(one, b""))


@contextmanager
def watched_disk(folder: Path, fsync: Callable[[int], None] = os.fsync) -> Iterator[Disk]:
    """A disk that begins with all that is in a folder, and hears every fsync of this process."""
    disk = Disk()
    for path in (folder, *folder.rglob("*")):
        disk.take(path)

    def noted(handle: int) -> None:
        fsync(handle)
        if fsync is real:
            disk.take(Path(os.readlink(f"/proc/self/fd/{handle}")))

    real, os.fsync = os.fsync, noted
    try:
        yield disk
    finally:
        os.fsync = real
