"""Files written whole or not at all (atomic writes), decoded as UTF-8, and hashed (sha256)."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from mmlab.errors import UsageError, explain


def size_text(size_bytes: int) -> str:
    """A file's size in MB, or in kB where that would be almost none.

    >>> size_text(580_000), size_text(4_210), size_text(12)
    ('0.6 MB', '4.2 kB', '0.0 kB')
    """
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"


#: Byte order marks of encodings other than UTF-8; the longer ones first.
_MARKS = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


def decode_text(content: bytes) -> str:
    """Text in UTF-8, without the byte order mark that it may begin with.

    Raises ValueError for any other encoding: which one it seems to be, and the first wrong byte.

    >>> decode_text(b"\xef\xbb\xbfa cat")
    'a cat'
    """
    mark = next((mark for mark in _MARKS if content.startswith(mark)), None)
    if mark is not None:
        raise ValueError(f"it is {_MARKS[mark]}, by its byte order mark, and not UTF-8")
    if 2 * max(content[::2].count(0), content[1::2].count(0)) > len(content) // 2 > 0:
        raise ValueError("every second byte is zero: it seems to be UTF-16, and not UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong, line = content[error.start], content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"byte 0x{wrong:02x} in line {line} is no UTF-8; it may be Latin-1 or Windows-1252"
        ) from error


def write_whole(path: Path, content: bytes, what: str = "file") -> None:
    """Write a file that a user has named, in one atomic step.

    Raises UsageError where that cannot be done, and where a folder or a device is in the place.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # both say no where the name is too long
        raise _unwritable(path, what, "a folder" if path.is_dir() else "a device or a pipe")

    def unwritable(error: OSError) -> UsageError:
        return _unwritable(path, what, error.strerror or type(error).__name__)

    with atomic_file(path, unwritable) as partial:
        partial.write_bytes(content)


@contextmanager
def atomic_file(
    path: Path, unwritable: Callable[[OSError], Exception] | None = None
) -> Iterator[Path]:
    """Atomic write: the block fills the file whose path it is given, which then takes the place.

    A reader sees what stood there or all of the new file, also after a power cut. Whatever goes
    wrong leaves what stood there, and nothing beside it. An OSError is raised as what `unwritable`
    makes of it.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        yield partial
        sync(partial)
        partial.replace(path)
        with suppress(OSError):  # it is there by now, and some file systems cannot
            sync(path.parent)
    except OSError as error:
        if unwritable is None:
            raise
        raise unwritable(error) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, if its file system can say when."""
    try:
        sync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def is_disk_full(error: BaseException) -> bool:
    """Whether it says that a disk, a quota or the largest size of a file left no space."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in full


class Scratch:
    """A new folder for temporary files, which may be large, until `close`.

    Whoever makes one clears those of killed processes first. A living process holds a lock on its
    own; of another user's none is touched.
    """

    def __init__(self) -> None:
        for path in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
            _remove_dead(path)
        self._folder = tempfile.TemporaryDirectory(prefix=_SCRATCH)
        self.path = Path(self._folder.name)
        self._handle = os.open(self.path, os.O_RDONLY)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """Delete it."""
        self._folder.cleanup()
        os.close(self._handle)


_SCRATCH = "mmlab-scratch-"
#: An empty folder of this age has not been locked yet, perhaps.
_NEW_SECONDS = 10


def _remove_dead(folder: Path) -> None:
    """Delete a scratch folder of this user that no process holds."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            made = os.fstat(handle)
            is_new = not os.listdir(handle) and time.time() - made.st_mtime < _NEW_SECONDS
            if made.st_uid == os.geteuid() and not is_new:
                shutil.rmtree(folder)
        finally:
            os.close(handle)


def _unwritable(path: Path, what: str, found: str) -> UsageError:
    return UsageError(
        explain(
            str(path),
            f"the {what} cannot be written",
            found=found,
            allowed="a file in a folder that exists, is writable and has space",
            next_step="name another file, or mend the folder",
        )
    )


#: A file changed so recently may change again within the same tick of its file system's clock.
_SETTLED_NS = 2_000_000_000


def file_sha256(path: Path) -> str:
    """Identity of a file: the sha256 of its bytes, in hexadecimal.

    A process reads a file once, and again where its size, time of change or inode is another.
    Raises OSError where it cannot be read.
    """
    stat = path.stat()
    if time.time_ns() - stat.st_mtime_ns < _SETTLED_NS:
        return _read_sha256(path)
    return _known_sha256(path, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1 << 20)  # as many as the pictures of a large dataset
def _known_sha256(path: Path, device: int, inode: int, size_bytes: int, changed_ns: int) -> str:
    """sha256 of a file; all but its path tell when it must be read again."""
    return _read_sha256(path)


def _read_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_sha256(path: Path) -> str:
    """Identity of a file, or of a folder: names, sizes and bytes of all files below it.

    Raises OSError where one cannot be read.
    """
    if not path.is_dir():
        return file_sha256(path)
    content = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        name = json.dumps(file.relative_to(path).as_posix())
        content.update(f"{name} {file.stat().st_size} {file_sha256(file)}\n".encode())
    return content.hexdigest()
