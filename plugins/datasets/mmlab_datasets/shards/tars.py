"""What is where in one tar: its samples in order, by the offsets of their members.

A sample is the members that share a key: the name up to the first dot after the last slash. What is
short and needed of every sample (labels, captions) is read at once; pictures stay where they are,
and a hash tells whether they are what they were.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from mmlab.plugin import DataError, explain, open_file
from mmlab_datasets.shards.names import is_clutter, plain_name, split_name
from mmlab_datasets.tar_headers import open_tar

TEXT_BYTES = 64 * 1024
BLOCK = 512
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a tar."""

    name: str
    offset: int
    size: int


#: The members of one sample by their endings.
Members = dict[str, Member]


@dataclass
class Unread:
    """How many members were not read, by what they are, each with the first one's name."""

    counts: dict[str, int] = field(default_factory=dict)
    firsts: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, name: str, count: int = 1) -> None:
        """One member more, or several."""
        self.counts[what] = self.counts.get(what, 0) + count
        self.firsts.setdefault(what, name)

    def add_all(self, other: Unread) -> None:
        """Those of another tar."""
        for what, count in other.counts.items():
            self.add(what, other.firsts[what], count)


def list_members(path: Path, unread: Unread) -> dict[str, Members]:
    """The samples of a tar by key, in the order of their first members.

    Raises DataError for a tar that is missing, compressed, cut short or damaged, for links, and
    where two members of one key have one ending.
    """
    samples: dict[str, Members] = {}
    try:
        with open_file(path) as file, open_tar(file) as tar:
            for header in tar:
                _add(path, samples, header, unread)
            end = tar.offset
        _require_end(path, end)
    except (tarfile.TarError, OSError, EOFError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    except MemoryError as error:
        raise unreadable(path, "its headers take more memory than there is") from error
    return samples


def _require_end(path: Path, offset: int) -> None:
    """A whole tar ends with two empty blocks or more, and nothing else.

    One that was cut between members has none; after a damaged header, or where two tars stand in
    one file, what follows would be lost.
    """
    with open_file(path) as file:
        file.seek(offset)
        while chunk := file.read(_CHUNK):
            if chunk.strip(b"\0"):
                place = file.tell() - len(chunk.lstrip(b"\0"))
                raise tarfile.ReadError(f"a header is damaged, or data follow its end ({place:,})")
        if file.tell() - offset < 2 * BLOCK:
            raise tarfile.ReadError("it is cut short: its end is missing")


def _add(path: Path, samples: dict[str, Members], header: tarfile.TarInfo, unread: Unread) -> None:
    name = plain_name(header.name)
    if header.isdir():
        return
    if is_clutter(name):
        unread.add("hidden or a system's", ascii(name)[1:-1])
        return
    if not header.isreg() or header.sparse is not None:
        found = "a link, a device or a sparse file"
        raise bad_member(path, header.name, "it is no regular file", found, "plain files only")
    _check_name(path, name)
    key, ending = split_name(name)
    if not ending:
        unread.add("without an ending", name)
        return
    members = samples.setdefault(key, {})
    if ending in members:
        fault = "two samples have this key, or the member is there twice"
        found = f"{name!r} after {members[ending].name!r}"
        raise bad_member(path, name, fault, found, "each key once, and each of its endings")
    members[ending] = Member(name, header.offset_data, header.size)


def _check_name(path: Path, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = ascii(name)[1:-1]
        raise bad_member(path, shown, "its name is no UTF-8", shown, "names in UTF-8") from error


class MemberReader:
    """Reads the bytes of members of one tar that is open."""

    def __init__(self, path: Path, file: io.BufferedReader) -> None:
        self.path, self._file = path, file

    def digest(self, member: Member) -> int:
        """The first 8 bytes of its sha256, as a number that a table can hold."""
        content = hashlib.sha256()
        self._file.seek(member.offset)
        for start in range(0, member.size, _CHUNK):
            content.update(self._read(member, min(_CHUNK, member.size - start)))
        return int.from_bytes(content.digest()[:8], "big", signed=True)

    def short(self, member: Member, limit: int = TEXT_BYTES) -> bytes:
        """All bytes. Raises DataError where they are more than a short member has."""
        if member.size > limit:
            found, allowed = f"{member.size:,} bytes", f"at most {limit:,} bytes"
            raise bad_member(self.path, member.name, "it is too long", found, allowed)
        self._file.seek(member.offset)
        return self._read(member, member.size)

    def _read(self, member: Member, size: int) -> bytes:
        content = self._file.read(size)
        if len(content) < size:
            raise unreadable(self.path, f"it ends within {member.name}")
        return content


def read_member(path: Path, offset: int, size: int) -> bytes:
    """The bytes of a member. Raises DataError where the tar is not what it was."""
    try:
        with open_file(path) as file:
            file.seek(offset)
            content = file.read(size)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(content) < size:
        raise unreadable(path, f"it ends before byte {offset + size:,}")
    return content


def unreadable(path: Path, found: object) -> DataError:
    """The error for a shard that cannot be used."""
    return DataError(
        explain(
            str(path),
            "the shard cannot be read",
            found=found,
            allowed="a whole tar file that is not compressed",
            next_step="fetch or write it again, or leave it out of the pattern",
        )
    )


def without_samples(path: Path, unread: Unread) -> DataError:
    """The error for shards of which no member belongs to a sample."""
    found = [f"{count:,} {what} ({unread.firsts[what]})" for what, count in unread.counts.items()]
    return DataError(
        explain(
            str(path),
            "no member of the shards belongs to a sample",
            found=", ".join(found[:10]),
            allowed=".jpg, .jpeg, .png, .webp, .txt, .cls, .json",
            next_step="name the picture's ending in dataset.image_endings, or write them again",
        )
    )


def bad_member(
    path: Path,
    name: str,
    fault: str,
    found: object,
    allowed: str,
    next_step: str = "write the shard again",
) -> DataError:
    """The error for a member that cannot be used."""
    return DataError(
        explain(
            f"{path}: member {name!r}", fault, found=found, allowed=allowed, next_step=next_step
        )
    )
