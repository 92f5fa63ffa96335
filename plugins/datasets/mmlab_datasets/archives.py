"""Unpacking archives that nobody has checked: regular files below one folder, and not too many.

An archive may name files outside of its folder, links to them, devices, or hold more than a disk.
Nothing of it appears under its final name before all of it was written; what is not allowed is
refused, and never renamed or left out.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from mmlab.plugin import DataError, explain

CHUNK = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What an archive may hold: members, their bytes, and bytes for each byte of the archive."""

    members: int = 2_000_000
    total_bytes: int = 200_000_000_000
    ratio: int = 100
    #: An archive this small may hold as much whatever the ratio: a text of one letter, say.
    free_bytes: int = 1 << 20


@dataclass(frozen=True)
class _Member:
    """One file or folder of an archive, its name as written in it."""

    name: str
    is_folder: bool
    is_file: bool
    size_bytes: int
    # How the kind of archive names the member.
    handle: tarfile.TarInfo | zipfile.ZipInfo


def unpack(archive: Path, target: Path, limits: Limits | None = None) -> list[str]:
    """Unpack a tar (plain, gz, bz2, xz) or zip file into a folder; the names at its top.

    Raises DataError, and leaves the folder as it was, for anything but regular files and folders
    with plain names below the target, for repeated names, for what is there already, for damage,
    and beyond the limits.
    """
    inside = target / f".unpacking-{os.getpid()}"
    inside.mkdir(parents=True)
    try:
        with _opened(archive) as (members, read):
            _write_all(archive, inside, members, read, limits or Limits())
        tops = sorted(entry.name for entry in inside.iterdir())
        _move(archive, inside, target, tops)
        return tops
    finally:
        shutil.rmtree(inside, ignore_errors=True)


# The two kinds of archive, read through one pair: its members in order, and a member's bytes.
class _Reader:
    def __init__(self, file: tarfile.TarFile | zipfile.ZipFile) -> None:
        self.file = file

    def members(self) -> Iterator[_Member]:
        if isinstance(self.file, tarfile.TarFile):
            for one in self.file:
                yield _Member(one.name, one.isdir(), one.isreg(), one.size, one)
            return
        for info in self.file.infolist():
            mode = info.external_attr >> 16
            is_plain = stat.S_IFMT(mode) in (0, stat.S_IFREG) and not info.flag_bits & 1
            # zipfile shortens names at a NUL and turns backslashes; the written name decides.
            name = info.orig_filename
            yield _Member(name, info.is_dir(), is_plain, info.file_size, info)

    def open(self, member: _Member) -> IO[bytes]:
        if isinstance(self.file, tarfile.TarFile):
            assert isinstance(member.handle, tarfile.TarInfo), "a tar has its own members"
            file = self.file.extractfile(member.handle)
            assert file is not None, "a regular file has content"
            return file
        assert isinstance(member.handle, zipfile.ZipInfo), "a zip has its own members"
        return self.file.open(member.handle)


def _open(archive: Path) -> tarfile.TarFile | zipfile.ZipFile:
    if zipfile.is_zipfile(archive):
        return zipfile.ZipFile(archive)
    return tarfile.open(archive, "r:*")  # the caller closes it


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[Iterator[_Member], _Reader]]:
    try:
        with _open(archive) as file:
            reader = _Reader(file)
            yield reader.members(), reader
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        OSError,
        RuntimeError,
        UnicodeError,
    ) as error:
        raise _refused(archive, "it cannot be unpacked", error or "it ends early") from error


def _write_all(
    archive: Path, inside: Path, members: Iterator[_Member], reader: _Reader, limits: Limits
) -> None:
    allowed = min(limits.total_bytes, max(limits.free_bytes, limits.ratio * archive.stat().st_size))
    written, seen = 0, set[str]()
    for count, member in enumerate(members, start=1):
        if count > limits.members:
            raise _refused(archive, "it has too many members", f"more than {limits.members:,}")
        path = _safe(archive, member)
        if not member.is_folder:
            _require_new(archive, str(path), seen)
            if written + member.size_bytes > allowed:
                raise _too_large(archive, allowed)
            written += _write(archive, reader, member, inside / path, allowed - written)
        else:
            (inside / path).mkdir(parents=True, exist_ok=True)


def _safe(archive: Path, member: _Member) -> PurePosixPath:
    """The member's path below the folder. Raises DataError for any that is not plainly below."""
    name = member.name.rstrip("/") if member.is_folder else member.name
    path = PurePosixPath(name)
    parts = path.parts
    is_plain = (
        bool(parts or member.is_folder)
        and not path.is_absolute()
        and ".." not in parts
        and not set(name) & {"\0", "\\"}
        and ":" not in (parts[0] if parts else "")
        and all(len(os.fsencode(part)) <= 255 for part in parts)
    )
    if not is_plain:
        raise _refused(archive, "a member's name leads out of the folder", repr(name[:200]))
    if not (member.is_folder or member.is_file):
        raise _refused(archive, "a member is neither a file nor a folder", repr(name[:200]))
    return path


def _require_new(archive: Path, name: str, seen: set[str]) -> None:
    if name in seen:
        raise _refused(archive, "a member is there twice", repr(name[:200]))
    seen.add(name)


def _write(archive: Path, reader: _Reader, member: _Member, path: Path, room: int) -> int:
    """Write one file, whatever size the archive claims; the bytes written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with reader.open(member) as source, path.open("xb") as file:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > room:
                raise _too_large(archive, room)
            file.write(chunk)
    if written != member.size_bytes:
        raise _refused(archive, "a member is cut short", repr(member.name[:200]))
    return written


def _move(archive: Path, inside: Path, target: Path, tops: list[str]) -> None:
    """Give everything its final name, unless anything is there already."""
    there = [name for name in tops if os.path.lexists(target / name)]
    if there:
        raise _refused(archive, "what it holds is there already", str(target / there[0]))
    for name in tops:
        (inside / name).rename(target / name)


def _too_large(archive: Path, allowed: int) -> DataError:
    return _refused(archive, "it unpacks to too much", f"more than {allowed:,} bytes")


def _refused(archive: Path, fault: str, found: object) -> DataError:
    return DataError(
        explain(
            str(archive),
            f"the archive is not used: {fault}",
            found=found,
            allowed="a tar or zip of regular files below one folder, not larger than its data",
            next_step="fetch it again from its source, or unpack it yourself",
        )
    )
