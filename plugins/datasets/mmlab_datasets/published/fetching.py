"""Fetching what a spec says may be fetched: https only, checked, and told before it begins."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import shutil
import urllib.error
import urllib.request
from contextlib import suppress
from email.message import Message
from pathlib import Path
from typing import IO

from mmlab.plugin import DataError, explain
from mmlab_datasets.archives import unpack
from mmlab_datasets.published.catalogue import Description, Download

logger = logging.getLogger(__name__)

WAIT_SECONDS = 60
CHUNK = 1 << 20
MEGABYTE = 1_000_000
ARCHIVES = (".tar.gz", ".tgz", ".zip")


def fetch(name: str, folder: Path, description: Description) -> None:
    """Fetch and unpack what is not in the folder yet. Raises DataError where that cannot be."""
    if not description.archives:
        raise _no_address(name, description)
    missing = [one for one in description.archives if not (folder / one.gives).exists()]
    if not missing:
        return
    total = sum(one.megabytes for one in missing)
    # A warning, so that it is seen without asking: it may be gigabytes on somebody's connection.
    logger.warning("downloading %s: %s MB into %s", name, f"{total:,}", folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _require_room(name, folder, total)
        for one in missing:
            _fetch_one(name, folder, one)
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


def _fetch_one(name: str, folder: Path, download: Download) -> None:
    file_name = download.url.rpartition("/")[2]
    partial = folder / f".{file_name}.{os.getpid()}"
    try:
        _save(name, download, partial)
        if file_name.endswith(ARCHIVES):
            unpack(partial, folder)
        else:
            partial.replace(folder / download.gives)
    finally:
        with suppress(OSError):
            partial.unlink()


def _save(name: str, download: Download, partial: Path) -> None:
    """Write the bytes of an address to a file. Raises DataError unless they have its md5."""
    md5 = hashlib.md5(usedforsecurity=False)  # the only sum that is published of most
    left = 2 * download.megabytes * MEGABYTE
    try:
        with open_https(download.url) as source, partial.open("wb") as file:
            while chunk := source.read(CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise _failed(name, download.url, "it is twice as large as it should be")
                md5.update(chunk)
                file.write(chunk)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise _failed(name, download.url, error) from error
    if md5.hexdigest() != download.md5:
        raise _failed(name, download.url, f"md5 {md5.hexdigest()}, not {download.md5}")


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but never away from https."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The next request. Raises URLError for another scheme."""
        require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def require_https(url: str) -> None:
    """Raise URLError unless an address is one of https."""
    if not url.startswith("https://"):
        raise urllib.error.URLError(f"{url[:200]} is not https")


def open_https(url: str) -> http.client.HTTPResponse:
    """The open answer of an https address."""
    require_https(url)
    opener = urllib.request.build_opener(_HttpsOnly)
    answer: http.client.HTTPResponse = opener.open(url, timeout=WAIT_SECONDS)
    return answer


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
