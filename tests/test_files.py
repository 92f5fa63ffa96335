"""Files written whole or not at all, and the sha256 that tells one from another."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from support.full_disk import largest_file
from support.odd_paths import ODD, bound_by_permissions, odd_path

from mmlab.errors import DataError, UsageError
from mmlab.files import (
    atomic_file,
    decode_text,
    file_sha256,
    kind_at,
    open_file,
    path_fault,
    read_file,
    said_of,
    tree_sha256,
    write_whole,
)

#: Long before any tick of a clock that two writes could share.
LONG_AGO_NS = time.time_ns() - 3_600_000_000_000


def written(path: Path, content: bytes, changed_ns: int = LONG_AGO_NS) -> Path:
    """A file of this content that says it was changed then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(changed_ns, changed_ns))
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_that_has_not_changed_is_read_once(tmp_path: Path) -> None:
    path = written(tmp_path / "a", b"first")
    assert file_sha256(path) == sha256(b"first")
    written(path, b"other")  # same size, time and inode: nothing tells that it changed
    assert file_sha256(path) == sha256(b"first")


@pytest.mark.parametrize(
    "changed_ns", [LONG_AGO_NS, LONG_AGO_NS + 1], ids=["another size", "another time"]
)
def test_a_file_of_another_size_or_time_is_read_again(tmp_path: Path, changed_ns: int) -> None:
    path = written(tmp_path / "a", b"first")
    assert file_sha256(path) == sha256(b"first")
    content = b"longer" if changed_ns == LONG_AGO_NS else b"other"
    assert file_sha256(written(path, content, changed_ns)) == sha256(content)


def test_another_file_in_the_place_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a", b"first")
    assert file_sha256(path) == sha256(b"first")
    written(tmp_path / "b", b"other").replace(path)
    assert file_sha256(path) == sha256(b"other")


def test_a_file_changed_just_now_is_read_every_time(tmp_path: Path) -> None:
    now = time.time_ns()
    path = written(tmp_path / "a", b"first", now)
    assert file_sha256(path) == sha256(b"first")
    assert file_sha256(written(path, b"other", now)) == sha256(b"other")


def test_a_folder_is_the_names_sizes_and_bytes_below_it(tmp_path: Path) -> None:
    written(tmp_path / "x" / "b.txt", b"bb")
    written(tmp_path / "x" / "a" / 'quoted".txt', b"a")
    lines = f'"a/quoted\\".txt" 1 {sha256(b"a")}\n"b.txt" 2 {sha256(b"bb")}\n'
    assert tree_sha256(tmp_path / "x") == sha256(lines.encode())
    assert tree_sha256(tmp_path / "x" / "b.txt") == sha256(b"bb")


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    for identify in (file_sha256, tree_sha256):
        with pytest.raises(FileNotFoundError):
            identify(tmp_path / "missing")


def test_a_reader_sees_the_old_file_until_all_of_the_new_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with atomic_file(path) as partial:
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert partial.parent == tmp_path
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_at_once_each_write_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with atomic_file(path) as first:
        first.write_bytes(b"first")
        with atomic_file(path) as second:
            second.write_bytes(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_is_interrupted_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with atomic_file(path) as partial:
            partial.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file_and_is_told_in_the_callers_words(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with (
        largest_file(1000),
        pytest.raises(DataError, match="no room: File too large"),
        atomic_file(path, lambda error: DataError(f"no room: {error.strerror}")) as partial,
    ):
        partial.write_bytes(b"x" * 2000)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_and_its_name_are_on_the_disk_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsync of content before the rename, of the folder after it: a power cut loses neither."""
    seen = []
    fsync = os.fsync

    def note(handle: int) -> None:
        seen.append((Path(f"/proc/self/fd/{handle}").readlink().name, (tmp_path / "a").exists()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    with atomic_file(tmp_path / "a") as partial:
        partial.write_bytes(b"new")
    assert seen == [(partial.name, False), (tmp_path.name, True)]


@pytest.mark.parametrize("name", [".", "missing/a", "a" * 300])
def test_a_file_that_cannot_be_written_is_an_error_in_plain_words(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError, match="the report cannot be written") as caught:
        write_whole(tmp_path / name, b"content", "report")
    assert "next: name another file" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"caf\xc3\xa9\n", b"\xef\xbb\xbfcaf\xc3\xa9\n"])
def test_a_byte_order_mark_is_no_part_of_a_text(content: bytes) -> None:
    assert decode_text(content) == "café\n"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("café".encode("utf-16"), "UTF-16"),
        ("cafe".encode("utf-16-le"), "UTF-16"),
        ("cafe".encode("utf-16-be"), "UTF-16"),
        (b"\xff\xfe\0\0" + "cafe".encode("utf-32-le"), "UTF-32"),
        ("x\ncafé".encode("latin-1"), "byte 0xe9 in line 2 is no UTF-8"),
        (b"\xed\xa0\xbd", "byte 0xed in line 1"),
    ],
)
def test_another_encoding_is_named(content: bytes, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        decode_text(content)


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_file_is_told_at_once(tmp_path: Path, name: str) -> None:
    path = odd_path(tmp_path, name)
    assert path_fault(path) == ODD[name]
    for read in (open_file, read_file, file_sha256, tree_sha256):
        with pytest.raises(OSError, match=f"{ODD[name]}|No such device") as told:
            read(path)
        assert said_of(told.value).startswith(f"{path}: ")


def test_what_is_at_a_path_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a", b"content")
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    assert [kind_at(one) for one in (path, tmp_path / "link", tmp_path)] == [
        "a file",
        "a file",
        "a folder",
    ]
    for nothing in (tmp_path / "nothing", path / "below a file", tmp_path / "broken"):
        assert (kind_at(nothing), path_fault(nothing)) == (None, None)
    assert (path_fault(path), path_fault(tmp_path)) == (None, None)
    assert path_fault(tmp_path / "a\0b") is not None
    assert read_file(path) == b"content"
    with pytest.raises(IsADirectoryError, match="it is a folder, not an ordinary file"):
        open_file(tmp_path)
    with pytest.raises(OSError, match="null"):
        open_file("a\0b")


def test_a_folder_is_identified_without_what_is_no_file(tmp_path: Path) -> None:
    """Links to folders and in circles, pipes and sockets are not there, as in every version."""
    folder = tmp_path / "data"
    written(folder / "b" / "c.txt", b"c")
    written(folder / "a.txt", b"a")
    alone = tree_sha256(folder)
    lines = [f'"a.txt" 1 {sha256(b"a")}', f'"b/c.txt" 1 {sha256(b"c")}']
    assert alone == sha256("".join(f"{line}\n" for line in lines).encode())
    for name in ("loop", "pipe", "socket"):
        odd_path(folder, name)
    (folder / "again").symlink_to(folder / "b")
    assert tree_sha256(folder) == alone
    (folder / "a link").symlink_to(folder / "a.txt")
    assert tree_sha256(folder) != alone


def test_a_folder_with_one_that_may_not_be_entered_has_no_identity(tmp_path: Path) -> None:
    closed = tmp_path / "data" / "closed"
    written(closed / "a.txt", b"a")
    closed.chmod(0)
    code = "import sys; from mmlab.files import *; print(tree_sha256(Path(sys.argv[1])))"
    told = bound_by_permissions(["-c", code, tmp_path / "data"], tmp_path)
    closed.chmod(0o700)
    assert told.stderr.endswith(f"PermissionError: [Errno 13] Permission denied: '{closed}'\n")
    assert tree_sha256(tmp_path / "data") == sha256(f'"closed/a.txt" 1 {sha256(b"a")}\n'.encode())
