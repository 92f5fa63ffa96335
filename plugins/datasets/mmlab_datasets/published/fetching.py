"""Fetching what a spec says may be fetched: https only, checked, and told before it begins."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urljoin

from mmlab.plugin import DataError, Scratch, explain
from mmlab_datasets.archives import clear_unfinished, unpack
from mmlab_datasets.published.catalogue import Description, Download

if TYPE_CHECKING:
    from requests import Response

logger = logging.getLogger(__name__)

WAIT_SECONDS = 60
CHUNK = 1 << 20
MEGABYTE = 1_000_000
ARCHIVES = (".tar.gz", ".tgz", ".zip")


def fetch(name: str, folder: Path, description: Description) -> None:
    """Fetch and unpack what is not in the folder yet. Raises DataError where that cannot be.

    What killed processes left of that is cleared first.
    """
    if not description.archives:
        raise _no_address(name, description)
    clear_unfinished(folder)  # it may look complete
    missing = [one for one in description.archives if not os.path.exists(folder / one.gives)]
    if not missing:
        return
    total = sum(one.megabytes for one in missing)
    # A warning, so that it is seen without asking: it may be gigabytes on somebody's connection.
    logger.warning("downloading %s: %s MB into %s", name, f"{total:,}", folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _require_room(name, folder, total)
        with closing(Scratch(folder)) as scratch:
            for one in missing:
                _fetch_one(name, folder, one, scratch.path)
    except OSError as error:
        raise _failed(name, str(folder), error) from error


def _require_room(name: str, folder: Path, megabytes: int) -> None:
    """Room for the archives and for what they hold."""
    free = shutil.disk_usage(folder).free
    if free < 3 * megabytes * MEGABYTE:
        raise DataError(
            explain(
                f"{name} in {folder}",
                "there is not enough room on the disk",
                found=f"{free // MEGABYTE:,} MB",
                allowed=f"{3 * megabytes:,} MB: the archives and what they hold",
                next_step="free some space, or name a folder on another disk",
            )
        )


def _fetch_one(name: str, folder: Path, download: Download, scratch: Path) -> None:
    unfinished = scratch / download.url.rpartition("/")[2]
    _save(name, download, unfinished)
    if unfinished.name.endswith(ARCHIVES):
        unpack(unfinished, folder, within=scratch)
        unfinished.unlink()
    else:
        unfinished.replace(folder / download.gives)


def _save(name: str, download: Download, unfinished: Path) -> None:
    """Write the bytes of an address to a file. Raises DataError unless they have its md5."""
    # They take as long as all of mmlab's own modules, and few ask for a download.
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel(logging.WARNING)  # what is fetched has been told
    try:
        pooch.retrieve(
            download.url,
            f"md5:{download.md5}",  # the only sum that is published of most
            fname=unfinished.name,
            path=unfinished.parent,
            downloader=_Https(2 * download.megabytes * MEGABYTE),
        )
    except (RequestException, ValueError) as error:
        raise _failed(name, download.url, error) from error


class _Https:
    """pooch's way to fetch a file: from https alone, as it is stored, and up to a size."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Write the bytes of an address. Raises RequestException, or ValueError for another."""
        from pooch import HTTPDownloader

        _require_https(url)
        with open(output_file, "wb") as file, ExitStack() as answers:
            os.chmod(file.fileno(), 0o644)  # pooch keeps it to this user; others may share it
            download = HTTPDownloader(
                chunk_size=CHUNK,
                timeout=WAIT_SECONDS,
                headers={"Accept-Encoding": "identity"},
                hooks={"response": partial(_check_answer, answers)},
            )
            download(url, _Bounded(file, self.size_bytes), pooch)


@dataclass
class _Bounded:
    """A file that takes so many bytes and no more."""

    file: IO[bytes]
    size_bytes: int

    def write(self, content: bytes) -> None:
        """Write all of it. Raises ValueError where that is too much."""
        self.size_bytes -= len(content)
        if self.size_bytes < 0:
            raise ValueError("it is twice as large as it should be")
        self.file.write(content)

    def flush(self) -> None:
        """Nothing: pooch asks for it after every chunk."""


def _check_answer(answers: ExitStack, answer: Response, **_: object) -> None:
    """Follow redirections within https alone, and leave content as it is stored."""
    answers.callback(answer.close)  # pooch leaves one open that it does not read to its end
    if answer.is_redirect:
        _require_https(urljoin(answer.url, answer.headers["location"]))
    # Some servers call it an encoding that a file is a .tar.gz, and requests would undo it.
    answer.raw.headers.pop("Content-Encoding", None)


def _require_https(url: str) -> None:
    """Raise ValueError unless an address is one of https."""
    if not url.startswith("https://"):
        raise ValueError(f"{url[:200]} is not https")


def _failed(name: str, place: str, found: object) -> DataError:
    return DataError(
        explain(
            f"{name}: {place}",
            "the data cannot be fetched",
            found=found,
            allowed="an answer over https with the bytes that are known",
            next_step="try again, or fetch and unpack it yourself and leave out download = true",
        )
    )


def _no_address(name: str, description: Description) -> DataError:
    return DataError(
        explain(
            f"{name}: download",
            "no address is known from which it can be fetched safely",
            found="download = true",
            allowed="download = false, the default",
            next_step=f"{description.hint}, from {description.url}",
        )
    )
