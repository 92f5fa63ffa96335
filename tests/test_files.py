"""The identity of files: sha256 of what is there now, read once while nothing changes."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from mmlab.files import file_sha256, tree_sha256

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


@pytest.mark.parametrize("changed_ns", [LONG_AGO_NS, LONG_AGO_NS + 1])
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
