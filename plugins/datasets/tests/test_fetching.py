"""Fetching: only https, only the bytes that are known, and whole or not at all."""

from __future__ import annotations

import hashlib
import io
import logging
import urllib.error
import zipfile
from pathlib import Path

import pytest
from mmlab_datasets.published import fetching
from mmlab_datasets.published.benchmark import Benchmark
from mmlab_datasets.published.catalogue import TEST_SETS, Description, describe

from mmlab.plugin import DataError

CONTENT = io.BytesIO()
with zipfile.ZipFile(CONTENT, "w") as _file:
    _file.writestr("2750/Forest/Forest_1.jpg", b"picture")
ADDRESS = "https://example.org/EuroSAT.zip"


def offered(**changes: object) -> Description:
    """A dataset of one archive, at an address that answers in these tests."""
    download = {
        "url": ADDRESS,
        "gives": "2750",
        "md5": hashlib.md5(CONTENT.getvalue()).hexdigest(),
        "megabytes": 1,
        **changes,
    }
    return Description("class_folders", "2750", "https://a", "h", [], [], {}, downloads=[download])


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A network in which one address has the archive; the addresses that were asked for."""
    asked: list[str] = []

    def answer(url: str) -> io.BytesIO:
        fetching.require_https(url)
        asked.append(url)
        if url != ADDRESS:
            raise urllib.error.URLError("no such host")
        return io.BytesIO(CONTENT.getvalue())

    monkeypatch.setattr(fetching, "open_https", answer)
    return asked


def test_an_archive_is_fetched_checked_and_unpacked_once(
    tmp_path: Path, network: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        fetching.fetch("eurosat/all", tmp_path / "data", offered())
        fetching.fetch("eurosat/all", tmp_path / "data", offered())
    assert (tmp_path / "data" / "2750" / "Forest" / "Forest_1.jpg").read_bytes() == b"picture"
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["2750"]
    assert network == [ADDRESS]
    (message,) = caplog.messages
    assert "1 MB" in message
    assert str(tmp_path / "data") in message


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"md5": "0" * 32}, "md5"),
        ({"url": "http://example.org/EuroSAT.zip"}, "is not https"),
        ({"url": "file:///etc/passwd"}, "is not https"),
        ({"url": "https://example.org/other.zip"}, "no such host"),
        ({"megabytes": 0}, "twice as large"),
    ],
)
def test_anything_else_is_refused_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, object], fault: str
) -> None:
    with pytest.raises(DataError, match=fault):
        fetching.fetch("eurosat/all", tmp_path, offered(**changes))
    assert list(tmp_path.iterdir()) == []


def test_a_redirection_away_from_https_is_refused() -> None:
    handler = fetching._HttpsOnly()
    with pytest.raises(urllib.error.URLError, match="is not https"):
        handler.redirect_request(
            urllib.request.Request(ADDRESS),
            io.BytesIO(),
            302,
            "Found",
            {},  # type: ignore[arg-type]
            "http://example.org/x",
        )


def test_without_download_nothing_is_asked_of_the_network(
    tmp_path: Path, network: list[str]
) -> None:
    with pytest.raises(DataError, match="incomplete"):
        Benchmark("test", test_set="eurosat/all", path=tmp_path)
    assert network == []


def test_where_no_address_is_known_the_user_is_told_what_to_fetch(
    tmp_path: Path, network: list[str]
) -> None:
    for test_set in TEST_SETS:
        description = describe(test_set.partition("/")[0])
        if not description.archives:
            with pytest.raises(DataError, match="fetched safely") as caught:
                Benchmark("test", test_set=test_set, path=tmp_path, download=True)
            assert description.hint in str(caught.value)
    assert network == []
