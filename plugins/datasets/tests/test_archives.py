"""Unpacking: what is plain comes out, and everything else leaves the folder as it was."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmlab_datasets.archives import Limits, unpack

from mmlab.plugin import DataError

Entry = tuple[str, bytes]
PLAIN = (("data/a.txt", b"a"), ("data/deep/b.bin", b"\0" * 3000), ("c", b""))


def tar(path: Path, *entries: Entry | tarfile.TarInfo, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                file.addfile(entry)
                continue
            info = tarfile.TarInfo(entry[0])
            info.size = len(entry[1])
            file.addfile(info, io.BytesIO(entry[1]))
    return path


def zipped(path: Path, *entries: Entry) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def special(kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo("data/special")
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file in it, which no refused archive may change."""
    folder = tmp_path / "target"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    yield folder
    assert (folder / "mine.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["target"]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_comes_out_as_it_went_in(tmp_path: Path, target: Path, mode: str) -> None:
    assert unpack(tar(tmp_path / "a.tar", *PLAIN, mode=mode), target) == ["c", "data"]
    assert tree(target) == {**dict(PLAIN), "mine.txt": b"mine"}


def test_a_zip_comes_out_as_it_went_in(tmp_path: Path, target: Path) -> None:
    assert unpack(zipped(tmp_path / "a.zip", *PLAIN), target) == ["c", "data"]
    assert tree(target) == {**dict(PLAIN), "mine.txt": b"mine"}


@pytest.mark.parametrize("says_so", [True, False])
def test_names_of_a_zip_are_utf_8_whether_or_not_it_says_so(
    tmp_path: Path, target: Path, says_so: bool
) -> None:
    path = zipped(tmp_path / "a.zip", ("café.txt", b"x"))
    content = bytearray(path.read_bytes())
    assert zipfile.ZipFile(path).infolist()[0].flag_bits & 0x800
    if not says_so:  # as macOS writes it
        local, central = content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8
        for place in (local, central):
            content[place + 1] &= ~0x08
        path.write_bytes(content)
        assert zipfile.ZipFile(path).namelist() == ["caf├⌐.txt"]
    assert unpack(path, target) == ["café.txt"]


def test_no_file_can_be_executed_and_no_right_is_taken_over(tmp_path: Path, target: Path) -> None:
    info = tarfile.TarInfo("run")
    info.mode = 0o6777
    unpack(tar(tmp_path / "a.tar", info), target)
    assert stat.S_IMODE(os.stat(target / "run").st_mode) & 0o6111 == 0


def cut(path: Path) -> Path:
    return written(path, path.read_bytes()[: path.stat().st_size // 2])


def changed(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("a", b"before")
    return written(path, path.read_bytes().replace(b"before", b"behind"))


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def linked(path: Path) -> Path:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(info, "/etc/passwd")
    return path


NAMES = (
    "../evil",
    "/evil",
    "data/../../evil",
    "..",
    "a\\..\\evil",
    "C:evil",
    "x" * 300,
    "a/" * 3 + "..",
)
BAD: dict[str, Callable[[Path], Path]] = {
    **{f"tar {n[:12]}": lambda p, n=n: tar(p, ("good", b"1"), (n, b"x")) for n in NAMES},  # type: ignore[misc]
    **{f"zip {n[:12]}": lambda p, n=n: zipped(p, ("good", b"1"), (n, b"x")) for n in NAMES},  # type: ignore[misc]
    "a symbolic link": lambda p: tar(p, special(tarfile.SYMTYPE, "/etc/passwd")),
    "a link": lambda p: tar(p, ("good", b"1"), special(tarfile.LNKTYPE, "good")),
    "a pipe": lambda p: tar(p, special(tarfile.FIFOTYPE)),
    "a device": lambda p: tar(p, special(tarfile.CHRTYPE)),
    "a name twice in a tar": lambda p: tar(p, ("a", b"1"), ("./a", b"2")),
    "a file that is a folder": lambda p: tar(p, ("a", b"1"), ("a/b", b"2")),
    "what is there": lambda p: tar(p, ("mine.txt", b"theirs")),
    "half a tar": lambda p: cut(tar(p, ("a", os.urandom(5000)))),
    "half a zip": lambda p: cut(zipped(p, ("a", os.urandom(5000)))),
    "no archive": lambda p: written(p, b"hello"),
    "nothing": lambda p: written(p, b""),
    "a zip of another sum": changed,
    "a link in a zip": linked,
    "a NUL": lambda p: written(p, zipped(p, ("a@b", b"1")).read_bytes().replace(b"@", b"\0")),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_what_is_not_plain_is_refused_and_leaves_nothing(
    tmp_path: Path, target: Path, make: Callable[[Path], Path]
) -> None:
    archive = make(tmp_path / "archive")
    with pytest.raises(DataError) as caught:
        unpack(archive, target)
    assert str(archive) in str(caught.value)
    assert tree(target) == {"mine.txt": b"mine"}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_out_is_told_as_it_is_written(
    tmp_path: Path, target: Path, name: str
) -> None:
    for archive in (tar(tmp_path / "a", (name, b"x")), zipped(tmp_path / "b", (name, b"x"))):
        with pytest.raises(DataError, match="a member's name leads out of the folder") as caught:
            unpack(archive, target)
        assert f"found: {name[:200]!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "../../mine.txt"),
        (tarfile.SYMTYPE, "b.txt"),
        (tarfile.LNKTYPE, "data/a.txt"),
        (tarfile.LNKTYPE, "../mine.txt"),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_a_link_is_no_file_wherever_it_leads(
    tmp_path: Path, target: Path, kind: bytes, link: str
) -> None:
    archive = tar(tmp_path / "a", *PLAIN, special(kind, link))
    with pytest.raises(DataError, match="neither a file nor a folder\n  found: 'data/special'"):
        unpack(archive, target)
    assert tree(target) == {"mine.txt": b"mine"}


def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path, target: Path) -> None:
    zeros = b"\0" * 50_000_000
    for archive in (
        tar(tmp_path / "a.tar", ("a", zeros)),
        zipped(tmp_path / "a.zip", ("a", zeros)),
    ):
        assert archive.stat().st_size < 100_000
        with pytest.raises(DataError, match="too much"):
            unpack(archive, target)


def test_a_size_that_lies_is_found_while_writing(tmp_path: Path, target: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("a", b"\0" * 4_000_000))
    content = archive.read_bytes().replace((4_000_000).to_bytes(4, "little"), b"\x10\0\0\0")
    archive.write_bytes(content)
    with pytest.raises(DataError):
        unpack(archive, target)


@pytest.mark.parametrize(
    ("limits", "fault"),
    [(Limits(members=2), "too many members"), (Limits(total_bytes=10), "too much")],
)
def test_limits_hold(tmp_path: Path, target: Path, limits: Limits, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        unpack(tar(tmp_path / "a.tar", *PLAIN), target, limits)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(st.sampled_from("a./\\:\0 ~é"), min_size=1, max_size=12), st.booleans())
def test_whatever_a_name_is_nothing_leaves_the_folder(
    tmp_path_factory: pytest.TempPathFactory, name: str, is_tar: bool
) -> None:
    folder = tmp_path_factory.mktemp("outer")
    (folder / "inner").mkdir()
    try:
        archive = (tar if is_tar else zipped)(folder / "archive", (name, b"x"))
    except (ValueError, IndexError):  # not a name that an archive can hold
        return
    try:
        unpack(archive, folder / "inner")
    except DataError:
        assert tree(folder / "inner") == {}
    assert {path.name for path in folder.iterdir()} == {"archive", "inner"}


def test_a_member_that_is_gzip_itself_stays_as_it_is(tmp_path: Path, target: Path) -> None:
    inner = gzip.compress(b"hello")
    unpack(zipped(tmp_path / "a.zip", ("a.gz", inner)), target)
    assert (target / "a.gz").read_bytes() == inner
