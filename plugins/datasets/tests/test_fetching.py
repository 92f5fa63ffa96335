"""Fetching: only https, only the bytes that are known, and whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import os
import signal
import socket
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from mmlab_datasets.published import fetching
from mmlab_datasets.published.benchmark import Benchmark
from mmlab_datasets.published.catalogue import TEST_SETS, Description, describe
from support.https_server import CERTIFICATE, Answer, Server, serving

from mmlab.plugin import DataError, Scratch


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"picture")
    return file.getvalue()


ARCHIVE = zipped("2750/Forest/Forest_1.jpg")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on this machine that has the archive."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with serving({"/EuroSAT.zip": Answer(ARCHIVE)}) as running:
        yield running


def offered(server: Server, path: str = "/EuroSAT.zip", **changes: object) -> Description:
    """A dataset of one file, at an address that answers in these tests."""
    download = {
        "url": server.address + path,
        "gives": "2750",
        "md5": hashlib.md5(ARCHIVE).hexdigest(),
        "megabytes": 1,
        **changes,
    }
    return Description("class_folders", "2750", "https://a", "h", [], [], {}, downloads=[download])


def test_an_archive_is_fetched_checked_and_unpacked_once(
    tmp_path: Path,
    server: Server,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.WARNING):
        fetching.fetch("eurosat/all", tmp_path / "data", offered(server))
        fetching.fetch("eurosat/all", tmp_path / "data", offered(server))
    assert (tmp_path / "data" / "2750" / "Forest" / "Forest_1.jpg").read_bytes() == b"picture"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["2750"]
    assert server.asked == ["/EuroSAT.zip"]
    (message,) = [r.getMessage() for r in caplog.records if r.name.startswith("mmlab")]
    assert "1 MB" in message
    assert str(tmp_path / "data") in message
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "amid",
    [
        "mmlab_datasets.published.fetching._Bounded.write",
        "mmlab_datasets.published.fetching.unpack",
        "mmlab_datasets.archives._move",
    ],
)
def test_what_a_killed_process_left_goes_with_the_next_one(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, amid: str
) -> None:
    offer = offered(server)
    if not (child := os.fork()):
        monkeypatch.setattr(amid, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
        try:
            fetching.fetch("eurosat/all", tmp_path, offer)
        finally:  # nothing of the tests may go on here
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert [path.name[:1] for path in tmp_path.iterdir()] == ["."]
    living = Scratch(tmp_path)
    fetching.fetch("eurosat/all", tmp_path, offer)
    assert {path.name for path in tmp_path.iterdir()} == {"2750", living.path.name}
    living.close()


@pytest.mark.parametrize("gives", ["a", "b", "c"])
@pytest.mark.parametrize("count", [1, 2])
def test_what_was_unpacked_in_part_is_cleared_and_fetched_again(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, gives: str, count: int
) -> None:
    content = zipped("a/one", "b", "c/two")
    server.answers["/several.zip"] = Answer(content)
    offer = offered(server, "/several.zip", gives=gives, md5=hashlib.md5(content).hexdigest())
    (tmp_path / "mine").write_bytes(b"mine")
    if not (child := os.fork()):
        monkeypatch.setattr(Path, "rename", killing(Path.rename, count))
        try:
            fetching.fetch("eurosat/all", tmp_path, offer)
        finally:  # as above
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert len([path for path in tmp_path.iterdir() if path.name in "abc"]) == count
    fetching.fetch("eurosat/all", tmp_path, offer)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "c", "mine"}
    assert (tmp_path / "c" / "two").read_bytes() == b"picture"


def killing(rename: Callable[[Path, Path], Path], count: int) -> Callable[[Path, Path], Path]:
    """A rename after so many of which the process is killed."""
    calls = list[Path]()

    def counted(path: Path, target: Path) -> Path:
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        calls.append(path)
        return rename(path, target)

    return counted


def test_a_file_that_is_no_archive_is_fetched_as_others_may_read_it(
    tmp_path: Path, server: Server
) -> None:
    content = gzip.compress(b"picture")
    # A server may say that an ending is an encoding; the sum is of the file all the same.
    server.answers["/a.gz"] = Answer(content, headers={"Content-Encoding": "gzip"})
    sum_of_it = hashlib.md5(content).hexdigest()
    fetching.fetch("a", tmp_path, offered(server, "/a.gz", gives="a.gz", md5=sum_of_it))
    (path,) = tmp_path.iterdir()
    assert (path.name, path.read_bytes()) == ("a.gz", content)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_redirection_within_https_is_followed(tmp_path: Path, server: Server) -> None:
    server.answers["/old.zip"] = Answer(status=302, headers={"Location": "/EuroSAT.zip"})
    fetching.fetch("eurosat/all", tmp_path, offered(server, "/old.zip"))
    assert server.asked == ["/old.zip", "/EuroSAT.zip"]
    assert [path.name for path in tmp_path.iterdir()] == ["2750"]


def test_a_redirection_away_from_https_is_refused_before_it_is_asked(
    tmp_path: Path, server: Server
) -> None:
    for place in ("http://127.0.0.1:1/x", "//127.0.0.1:1/x", "file:///etc/passwd"):
        server.answers["/old.zip"] = Answer(status=302, headers={"Location": place})
        fault = "is not https" if ":/" in place else "refused"
        with pytest.raises(DataError, match=fault):
            fetching.fetch("eurosat/all", tmp_path, offered(server, "/old.zip"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"md5": "0" * 32}, "(?i)md5 .*0{32} but got [0-9a-f]{32}"),
        ({"url": "http://example.org/EuroSAT.zip"}, "is not https"),
        ({"url": "file:///etc/passwd"}, "is not https"),
        ({"path": "/other.zip"}, "404"),
        ({"path": "/half.zip"}, "(?i)incomplete|md5"),
        ({"megabytes": 0}, "twice as large"),
    ],
)
def test_anything_else_is_refused_and_leaves_nothing(
    tmp_path: Path, server: Server, changes: dict[str, str], fault: str
) -> None:
    server.answers["/half.zip"] = Answer(ARCHIVE, sent=50)
    with pytest.raises(DataError, match=fault) as caught:
        fetching.fetch("eurosat/all", tmp_path, offered(server, **changes))
    assert "next: try again" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_nobody_vouches_for_is_refused(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(DataError, match=r"(?i)certificate"):
        fetching.fetch("eurosat/all", tmp_path, offered(server))
    assert server.asked == []


def test_without_download_nothing_is_asked_of_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", no_network)
    with pytest.raises(DataError, match="incomplete"):
        Benchmark("test", test_set="eurosat/all", path=tmp_path)


def test_where_no_address_is_known_the_user_is_told_what_to_fetch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", no_network)
    unknown = [name for name in TEST_SETS if not describe(name.partition("/")[0]).archives]
    assert unknown
    for test_set in unknown:
        with pytest.raises(DataError, match="fetched safely") as caught:
            Benchmark("test", test_set=test_set, path=tmp_path, download=True)
        assert describe(test_set.partition("/")[0]).hint in str(caught.value)


def no_network(*_: object, **__: object) -> NoReturn:
    raise AssertionError("the network was asked")
