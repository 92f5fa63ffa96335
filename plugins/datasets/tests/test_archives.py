"""Unpacking: what is plain comes out, and everything else leaves the folder as it was."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmlab_datasets.archives import Limits, clear_unfinished, unpack
from support.odd_paths import odd_path

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


LONG = "/".join(["n" * 200] * 4)  # more than the 100 bytes that a header has for a name


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_long_names_and_what_else_headers_tell_are_read(
    tmp_path: Path, target: Path, format: int, mode: str
) -> None:
    archive = tmp_path / "a"
    with tarfile.open(archive, mode, format=format) as file:  # type: ignore[call-overload]
        file.pax_headers = {"comment": "c" * 20_000} if format == tarfile.PAX_FORMAT else {}
        for name in (LONG, "short"):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            info.pax_headers = {"SCHILY.xattr.user.note": "x" * 20_000}
            file.addfile(info, io.BytesIO(name.encode()))
    unpack(archive, target)
    expected = {LONG: LONG.encode(), "short": b"short", "mine.txt": b"mine"}
    assert tree(target) == expected


def header(kind: bytes, size: int) -> bytes:
    """The block of a member of this kind that says it is so long."""
    info = tarfile.TarInfo("data/odd")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def endless(kind: bytes) -> Iterator[bytes]:
    """A header that goes on for 30 MB."""
    yield header(kind, 30_000_000)
    yield b"\0" * 30_000_000


def chained(kind: bytes) -> Iterator[bytes]:
    """Headers of headers, 2,000 of them."""
    yield from (header(kind, 4) + b"0\n".ljust(512, b"\0") for _ in range(2000))
    yield from (header(tarfile.REGTYPE, 1), b"a".ljust(512, b"\0"), bytes(1024))


def piled(kind: bytes) -> Iterator[bytes]:
    """A file for each of 20 headers that hold for all that follow."""
    for number in range(20):
        record = f"10000 k{number:02d}=".encode() + b"v" * (10_000 - 11) + b"\n"
        yield header(kind, len(record)) + record.ljust(10_240, b"\0")
        yield tarfile.TarInfo(f"data/{number}").tobuf()


@pytest.mark.parametrize("pack", [gzip.open, bz2.open, lzma.open], ids=["gz", "bz2", "xz"])
@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (endless, tarfile.GNUTYPE_LONGNAME),
        (endless, tarfile.GNUTYPE_LONGLINK),
        (endless, tarfile.XHDTYPE),
        (endless, tarfile.XGLTYPE),
        (endless, tarfile.SOLARIS_XHDTYPE),
        (chained, tarfile.XHDTYPE),
        (chained, tarfile.GNUTYPE_LONGNAME),
        (piled, tarfile.XGLTYPE),
    ],
)
def test_headers_that_take_more_than_headers_need_are_refused_unread(
    tmp_path: Path,
    target: Path,
    pack: Callable[..., BinaryIO],
    made: Callable[[bytes], Iterator[bytes]],
    kind: bytes,
) -> None:
    archive = tmp_path / "a"
    with pack(archive, "wb") as file:
        for block in made(kind):
            file.write(block)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"cannot be unpacked\n  found: (the|its) headers"):
        unpack(archive, target)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 12_000_000
    assert tree(target) == {"mine.txt": b"mine"}


@pytest.mark.parametrize(
    "told",
    [
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},  # a map in front of the content: none
        {"GNU.sparse.map": "0,a"},
        {"GNU.sparse.size": "1", "GNU.sparse.offset": "-"},
    ],
)
def test_headers_that_make_no_sense_are_refused(
    tmp_path: Path, target: Path, told: dict[str, str]
) -> None:
    info = tarfile.TarInfo("data/sparse")
    info.size, info.pax_headers = 3, told
    with tarfile.open(tmp_path / "a", "w", format=tarfile.PAX_FORMAT) as file:
        file.addfile(info, io.BytesIO(b"abc"))
    with pytest.raises(DataError, match="the archive is not used"):
        unpack(tmp_path / "a", target)
    assert tree(target) == {"mine.txt": b"mine"}


def test_a_sparse_file_is_refused_whatever_size_it_says(tmp_path: Path, target: Path) -> None:
    block = bytearray(header(tarfile.GNUTYPE_SPARSE, 10**12))
    block[483:495] = b"00000000001\0"  # the size of what it stands for
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    archive = tmp_path / "a"
    with gzip.open(archive, "wb") as file:
        file.write(bytes(block) + bytes(10_000_000))
    with pytest.raises(DataError, match="neither a file nor a folder"):
        unpack(archive, target)


@pytest.mark.parametrize("name", ["pipe", "device"])
def test_what_is_no_file_is_no_archive(tmp_path: Path, target: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"it is a {name}, not an ordinary file"):
        unpack(odd_path(tmp_path, name), target)


MEMORY_LIMITED = """
import resource, sys
from pathlib import Path
from mmlab.plugin import DataError
from mmlab_datasets.archives import unpack
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)
try:
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
except DataError as error:
    print(error)
"""


def test_an_archive_that_needs_more_memory_than_there_is_is_refused(
    tmp_path: Path, target: Path
) -> None:
    """xz may ask for a dictionary of 1.5 GB before it has given a byte."""
    archive = tmp_path / "a"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    packed = lzma.compress(b"a" * 100_000, filters=filters)
    flag, checked = packed.index(b"\x21\x01\x10"), packed[12 : 12 + 4 * (packed[12] + 1)]
    block = checked[: flag - 12] + b"\x21\x01\x25" + checked[flag - 9 : -4]
    block += zlib.crc32(block).to_bytes(4, "little")
    archive.write_bytes(packed[:12] + block + packed[12 + len(checked) :])
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_LIMITED, archive, target],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cannot be unpacked\n  found: it needs more memory than there is" in done.stdout, done
    assert tree(target) == {"mine.txt": b"mine"}


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


def test_a_name_that_cannot_be_given_takes_the_others_back(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tar(tmp_path / "a.tar", *PLAIN)
    rename = Path.rename

    def refuse(path: Path, to: Path) -> Path:
        if to == target / "data":  # "c" has its name by then
            raise OSError(28, "No space left on device")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="No space"):
        unpack(archive, target)
    assert tree(target) == {"mine.txt": b"mine"}
    assert [path.name for path in target.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "note", [b"", b'["mine', b'["../outside", "..", ".", "", "a/b"]', b"[1]", b"7"]
)
def test_a_note_that_names_nothing_of_the_folder_deletes_nothing(
    note: bytes, tmp_path: Path, target: Path
) -> None:
    (tmp_path / "outside").write_bytes(b"outside")
    (target / ".mmlab-moving-x").write_bytes(note)
    clear_unfinished(target)
    assert tree(target) == {"mine.txt": b"mine"}
    assert (tmp_path / "outside").exists()
