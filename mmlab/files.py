"""Files written whole or not at all (atomic writes), decoded as UTF-8, and hashed (sha256).

Nothing here waits for what is no file: a pipe would be waited for until somebody writes to it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

from mmlab.errors import UsageError, explain, message_of


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
    r"""Text in UTF-8, without the byte order mark that it may begin with.

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
    path: Path,
    unwritable: Callable[[OSError], Exception] | None = None,
    within: Path | None = None,
) -> Iterator[Path]:
    """Atomic write: the block fills the file whose path it is given, which then takes the place.

    A reader sees what stood there or all of the new file, also after a power cut. Whatever goes
    wrong leaves what stood there, and nothing beside it. An OSError is raised as what `unwritable`
    makes of it. The file is filled beside its place, or `within` another folder of that disk.
    """
    partial = (within or path.parent) / f".{path.name}.{uuid.uuid4().hex[:12]}.partial"
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

    It is in the system's place for such, or hidden in the folder `within` which the files shall
    get names. Whoever makes one clears those of killed processes first. A living process holds a
    lock on its own; of another user's none is touched.
    """

    def __init__(self, within: Path | None = None) -> None:
        place, name = within or Path(tempfile.gettempdir()), f"{'.' if within else ''}{_SCRATCH}"
        for path in place.glob(f"{name}*"):
            _remove_dead(path)
        self._folder = tempfile.TemporaryDirectory(prefix=name, dir=place)
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


#: What may stand in the place of a file, by the type in its mode.
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def kind_at(path: Path | str) -> str | None:
    """What is at a path: "a file", "a folder", "a pipe", "a socket", "a device"; None for nothing.

    Raises OSError where that cannot be known: in a folder that may not be entered, for a name that
    is too long, or holds a NUL, and for links in a circle.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), ascii(str(path))) from error
    return _KINDS.get(stat.S_IFMT(mode), "a file")


def path_fault(path: Path | str) -> str | None:
    """Why nothing can be read at a path; None for a file, a folder, and where nothing is.

    >>> path_fault("/dev/null"), path_fault("/"), path_fault("n" * 300)
    ('a device', None, 'File name too long')
    """
    try:
        kind = kind_at(path)
    except OSError as error:
        return error.strerror or str(error)
    return None if kind in (None, "a file", "a folder") else kind


def said_of(error: OSError) -> str:
    """The file that an error is about, if it names one, and what is wrong with it.

    >>> said_of(PermissionError(13, "Permission denied", "a.txt"))
    'a.txt: Permission denied'
    """
    said, name = error.strerror or message_of(error), error.filename
    if name is None:
        return said
    return f"{os.fsdecode(name) if isinstance(name, bytes) else name}: {said}"


def open_file(path: Path | str) -> BufferedReader:
    """A file of bytes, open. Raises OSError for whatever is no file, and for what no name is."""
    try:
        # A pipe is open at once then; of a file it says nothing.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), ascii(str(path))) from error
    try:
        kind = _KINDS.get(stat.S_IFMT(os.fstat(handle).st_mode))
        if kind is not None:
            number = errno.EISDIR if kind == "a folder" else errno.EINVAL
            raise OSError(number, f"it is {kind}, not an ordinary file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_file(path: Path | str) -> bytes:
    """All bytes of a file. Raises as `open_file` does."""
    with open_file(path) as file:
        return file.read()


#: A zip may say that it holds so many bytes for each of its own, and this much in any case.
ZIP_RATIO, ZIP_FREE_BYTES = 100, 1 << 20


def check_zip(path: Path) -> None:
    """Raise ValueError for a zip, as torch's files are, that unpacks to far more than it is.

    Of what is no zip nothing is said. Raises OSError as `open_file` does.
    """
    import struct
    import zipfile  # which costs as long as all of this module, and few ask for

    with open_file(path) as file:
        allowed = max(ZIP_FREE_BYTES, ZIP_RATIO * os.fstat(file.fileno()).st_size)
        try:
            if not zipfile.is_zipfile(file):
                return
            with zipfile.ZipFile(file) as found:
                size = sum(member.file_size for member in found.infolist())
        except (zipfile.BadZipFile, NotImplementedError, struct.error) as error:
            raise ValueError(f"a damaged zip: {error}") from error
    if size > allowed:
        raise ValueError(f"a zip that unpacks to {size:,} bytes; at most {allowed:,} are read")


#: Where Linux tells what is mounted where.
MOUNTS = Path("/proc/self/mountinfo")
#: File systems that lie on another machine; what FUSE mounts is named after a dot. Not 9p, through
#: which sandboxes and virtual machines see disks of their own machine.
_NETWORKED = (
    *("afs", "beegfs", "ceph", "cifs", "coda", "gfs", "gfs2", "glusterfs", "gpfs", "lustre"),
    *("ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "rclone", "s3fs"),
    *("smb3", "smbfs", "sshfs", "wekafs"),
)


def network_file_system(path: Path) -> str | None:
    """The kind of file system of a path, if it is one of another machine: "nfs4", "fuse.sshfs".

    None for a local one, and where the system does not tell. The path need not be there.
    """
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    real, found, length = os.path.realpath(path), "", -1
    for mount, _, kind in (line.partition(" - ") for line in lines):
        fields = mount.split(" ")
        point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]) if len(fields) > 4 else "?"
        is_above = real == point or real.startswith(point.rstrip("/") + "/")
        if is_above and len(point) >= length:  # of two at one place the later lies above
            found, length = kind.split(" ")[0], len(point)
    return found if found.removeprefix("fuse.") in _NETWORKED else None


_OCTAL = re.compile(r"\\([0-7]{3})")

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
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_sha256(path: Path) -> str:
    """Identity of a file, or of a folder: names, sizes and bytes of all files below it.

    Links to folders are not followed. Raises OSError where a file or a folder cannot be read.
    """
    if kind_at(path) != "a folder":
        return file_sha256(path)
    content = hashlib.sha256()
    for file in sorted(_files_below(path)):
        name = json.dumps(file.relative_to(path).as_posix())
        content.update(f"{name} {file.stat().st_size} {file_sha256(file)}\n".encode())
    return content.hexdigest()


def _files_below(folder: Path) -> Iterator[Path]:
    for inside, _, names in os.walk(folder, onerror=_refuse):
        yield from filter(_is_file, (Path(inside, name) for name in names))


def _is_file(path: Path) -> bool:
    try:
        return kind_at(path) == "a file"
    except OSError as error:
        if error.errno == errno.ELOOP:  # links that lead nowhere
            return False
        raise


def _refuse(error: OSError) -> NoReturn:
    """A folder that cannot be listed is no empty one."""
    raise error
