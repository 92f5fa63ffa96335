"""Files written whole or not at all, and the sha256 that tells one from another."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from support.full_disk import largest_file

from mmlab.errors import DataError, UsageError
from mmlab.files import atomic_file, decode_text, file_sha256, tree_sha256, write_whole

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
