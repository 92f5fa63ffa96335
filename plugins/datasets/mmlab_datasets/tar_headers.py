"""A tar's members, one after the other, whose headers take no more memory than headers need.

`tarfile` reads the long names of members (GNU) and their extended headers (PAX) whole, however long
they say they are: a few megabytes of a compressed tar can say three gigabytes. It also keeps every
member that it has seen.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, cast

#: Bytes of the headers of one member: its name, and what else is told of it.
HEADER_BYTES = 64 * 1024


class _Bounded:
    """The bytes of a tar, of which nothing beyond `end` can be read."""

    def __init__(self, file: BinaryIO) -> None:
        self.end = HEADER_BYTES
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """So many bytes. Raises tarfile.ReadError beyond the end."""
        if size < 0 or self._file.tell() + size > self.end:
            raise tarfile.ReadError(
                f"the headers of a member take more than {HEADER_BYTES:,} bytes"
            )
        return self._file.read(size)

    def seek(self, offset: int) -> int:
        """Go to a place in it."""
        return self._file.seek(offset)

    def tell(self) -> int:
        """The place in it."""
        return self._file.tell()


class Tar:
    """A tar of a file that is open, plain or unpacked while it is read; `offset` is after all."""

    def __init__(self, tar: tarfile.TarFile, file: _Bounded) -> None:
        self._tar, self._file = tar, file

    @property
    def offset(self) -> int:
        """Where the next member begins."""
        return self._tar.offset

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """The headers in order; before the next one is asked for, its content can be read.

        Raises tarfile.TarError, also for headers that are too long.
        """
        while (header := self._next()) is not None:
            self._file.end = self._tar.offset
            yield header

    def content(self, header: tarfile.TarInfo) -> IO[bytes]:
        """The bytes of the regular file whose header was given last."""
        file = self._tar.extractfile(header)
        assert file is not None, "a regular file has content"
        return file

    def _next(self) -> tarfile.TarInfo | None:
        self._file.end = self._tar.offset + HEADER_BYTES
        header = self._tar.next()
        self._tar.members.clear()  # type: ignore[attr-defined]  # none is asked for again
        told = sum(len(key) + len(text) for key, text in self._tar.pax_headers.items())
        if told > HEADER_BYTES:  # those of all members together, one header after the other
            raise tarfile.ReadError(f"its headers for all members take more than {HEADER_BYTES:,}")
        return header


@contextmanager
def open_tar(file: BinaryIO) -> Iterator[Tar]:
    """The tar in these bytes, which are not compressed. Raises tarfile.TarError and OSError."""
    bounded = _Bounded(file)
    # It reads, seeks and tells, and asks for nothing else.
    with tarfile.open(fileobj=cast(BinaryIO, bounded), mode="r:") as tar:
        yield Tar(tar, bounded)
