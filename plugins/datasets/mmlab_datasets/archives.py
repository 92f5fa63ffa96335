"""Unpacking archives that nobody has checked: regular files below one folder, and not too many.

An archive may name files outside of its folder, links to them, devices, or hold more than a disk.
Nothing of it appears under its final name before all of it was written; what is not allowed is
refused, and never renamed or left out.
"""

from __future__ import annotations

import bz2
import fcntl
import gzip
import json
import lzma
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import IO, Any

from mmlab.plugin import DataError, explain, message_of, open_file
from mmlab_datasets.tar_headers import Tar, open_tar

CHUNK = 1 << 20
#: The flag of a zip's member whose name is UTF-8; without it zipfile reads code page 437.
_IS_UTF_8 = 0x800


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
    """One file or folder of an archive, its name as written in it; a zip's as a tar would say it.

    `handle` is how the kind of archive names the member.
    """

    header: tarfile.TarInfo
    handle: tarfile.TarInfo | zipfile.ZipInfo

    @property
    def name(self) -> str:
        return self.header.name


def _zip_member(info: zipfile.ZipInfo) -> _Member:
    header = tarfile.TarInfo(_zip_name(info))
    header.size = info.file_size
    mode = info.external_attr >> 16
    is_plain = stat.S_IFMT(mode) in (0, stat.S_IFREG) and not info.flag_bits & 1
    header.type = tarfile.REGTYPE if is_plain else tarfile.CHRTYPE
    if info.is_dir():
        header.type, header.name = tarfile.DIRTYPE, header.name.rstrip("/")
    return _Member(header, info)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name in a zip: UTF-8 also where macOS wrote it without saying so."""
    # zipfile shortens names at a NUL and turns backslashes; the written name decides.
    name = info.orig_filename
    if info.flag_bits & _IS_UTF_8 or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


def unpack(
    archive: Path, target: Path, limits: Limits | None = None, within: Path | None = None
) -> list[str]:
    """Unpack a tar (plain, gz, bz2, xz) or zip file into a folder; the names at its top.

    Raises DataError, and leaves the folder as it was, for anything but regular files and folders
    with plain names below the target, for repeated names, for what is there already, for damage,
    and beyond the limits. `within` is a folder of that disk for what is not whole yet.
    """
    target.mkdir(parents=True, exist_ok=True)
    inside = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=within or target))
    try:
        with _opened(archive) as (members, read):
            _write_all(archive, inside, members, read, limits or Limits())
        tops = sorted(entry.name for entry in inside.iterdir())
        _move(archive, inside, target, tops)
        return tops
    finally:
        shutil.rmtree(inside, ignore_errors=True)


class _Reader:
    """The two kinds of archive, read through one pair: members in order, and a member's bytes."""

    def __init__(self, file: Tar | zipfile.ZipFile) -> None:
        self.file = file

    def members(self) -> Iterator[_Member]:
        if isinstance(self.file, Tar):
            yield from (_Member(header, header) for header in self.file)
        else:
            yield from map(_zip_member, self.file.infolist())

    def open(self, member: _Member) -> IO[bytes]:
        """The bytes of the member that was given last."""
        if isinstance(self.file, Tar):
            assert isinstance(member.handle, tarfile.TarInfo), "a tar has its own members"
            return self.file.content(member.handle)
        assert isinstance(member.handle, zipfile.ZipInfo), "a zip has its own members"
        return self.file.open(member.handle)


#: How compressed files begin, and the module that opens them.
_PACKED: Mapping[bytes, Any] = {
    b"\x1f\x8b": gzip,
    b"BZh": bz2,
    b"\xfd7zXZ\0": lzma,
    b"\x5d\0\0": lzma,
}


@contextmanager
def _read(file: BufferedReader) -> Iterator[_Reader]:
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as found:
            yield _Reader(found)
        return
    file.seek(0)
    head = file.peek(16)
    module = next((module for magic, module in _PACKED.items() if head.startswith(magic)), None)
    with module.open(file) if module else file as plain, open_tar(plain) as tar:
        yield _Reader(tar)


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[Iterator[_Member], _Reader]]:
    try:
        with open_file(archive) as file, _read(file) as reader:
            yield reader.members(), reader
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        EOFError,
        LookupError,
        MemoryError,
        NotImplementedError,
        OSError,
        RuntimeError,
        ValueError,
    ) as error:
        found = message_of(error) or _SAID.get(type(error), type(error).__name__)
        raise _refused(archive, "it cannot be unpacked", found) from error


#: What errors mean that say nothing.
_SAID = {EOFError: "it ends early", MemoryError: "it needs more memory than there is"}


def _write_all(
    archive: Path, inside: Path, members: Iterator[_Member], reader: _Reader, limits: Limits
) -> None:
    allowed = min(limits.total_bytes, max(limits.free_bytes, limits.ratio * archive.stat().st_size))
    written, seen = 0, set[str]()
    for count, member in enumerate(members, start=1):
        if count > limits.members:
            raise _refused(archive, "it has too many members", f"more than {limits.members:,}")
        path = _safe(archive, member, inside)
        if not member.header.isdir():
            _require_new(archive, str(path), seen)
            if written + member.header.size > allowed:
                raise _too_large(archive, allowed)
            written += _write(archive, reader, member, inside / path, allowed - written)
        else:
            (inside / path).mkdir(parents=True, exist_ok=True)


def _safe(archive: Path, member: _Member, inside: Path) -> PurePosixPath:
    """The member's path below the folder. Raises DataError for any that is not plainly below."""
    name = member.name
    try:
        tarfile.data_filter(member.header, str(inside))
    except (tarfile.OutsideDestinationError, tarfile.AbsolutePathError, ValueError) as error:
        raise _leads_out(archive, name) from error  # a ValueError is a NUL in the name
    except tarfile.FilterError as error:
        raise _no_file(archive, name) from error
    if member.header.sparse is not None:  # whose size says nothing of what is read
        raise _no_file(archive, name)
    if not _is_plain(name, member.header.isdir()):
        raise _leads_out(archive, name)
    if not (member.header.isdir() or member.header.isreg()):  # a link that stays inside
        raise _no_file(archive, name)
    return PurePosixPath(name)


def _is_plain(name: str, is_folder: bool) -> bool:
    """Whether a name means one file on every system, where the filter would make it mean one."""
    path = PurePosixPath(name)
    return (
        bool(path.parts or is_folder)
        and not path.is_absolute()
        and ".." not in path.parts
        and not set(name) & {"\0", "\\"}
        and ":" not in (path.parts[0] if path.parts else "")
        and all(len(os.fsencode(part)) <= 255 for part in path.parts)
    )


def _leads_out(archive: Path, name: str) -> DataError:
    return _refused(archive, "a member's name leads out of the folder", repr(name[:200]))


def _no_file(archive: Path, name: str) -> DataError:
    return _refused(archive, "a member is neither a file nor a folder", repr(name[:200]))


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
    if written != member.header.size:
        raise _refused(archive, "a member is cut short", repr(member.name[:200]))
    return written


def _move(archive: Path, inside: Path, target: Path, tops: list[str]) -> None:
    """Give everything its final name, unless anything is there already."""
    there = [name for name in tops if os.path.lexists(target / name)]
    if there:
        raise _refused(archive, "what it holds is there already", str(target / there[0]))
    with _noted(target, tops):
        moved = list[str]()
        try:
            for name in tops:
                (inside / name).rename(target / name)
                moved.append(name)
        except BaseException:
            for name in moved:
                (target / name).rename(inside / name)
            raise


#: A note that lies in a folder while an archive's names appear in it; of a dead process it says
#: which may be there without the others.
_NOTE = ".mmlab-moving-"


@contextmanager
def _noted(target: Path, tops: list[str]) -> Iterator[None]:
    """Keep a note of these names, on the disk and locked, until all are there or none."""
    handle, path = tempfile.mkstemp(prefix=_NOTE, dir=target)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.write(handle, json.dumps(tops).encode())
        os.fsync(handle)
        yield
    finally:
        os.unlink(path)
        os.close(handle)


def clear_unfinished(target: Path) -> None:
    """Delete what killed processes have unpacked into a folder in part.

    That of living ones, and of other users, is left alone.
    """
    for note in target.glob(f"{_NOTE}*"):
        with suppress(OSError), note.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_uid == os.geteuid():
                for name in _names_in(file.read()):
                    _delete(target / name)
                note.unlink()


def _names_in(note: bytes) -> list[str]:
    """The names of a note; none where it was cut short, for nothing has its name then."""
    try:
        found = json.loads(note)
    except ValueError:
        return []
    names = found if isinstance(found, list) else []
    plain = [name for name in names if isinstance(name, str) and Path(name).name == name]
    return [name for name in plain if name not in ("", "..")]


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
