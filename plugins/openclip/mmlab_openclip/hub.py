"""Files of a model repository: from the local cache, or downloaded after saying so."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from mmlab.plugin import WeightsError, explain

logger = logging.getLogger(__name__)


def hub_file(repository: str, names: Sequence[str]) -> Path:
    """The first of these files that the repository has. Raises WeightsError where none comes.

    A copy in the hub's cache is used as it is, without asking the network for a newer one.
    """
    from huggingface_hub import try_to_load_from_cache

    for name in names:
        cached = try_to_load_from_cache(repository, name)
        if isinstance(cached, str):
            return Path(cached)
    try:
        return _download(repository, names)
    except (OSError, ValueError) as error:  # ValueError: not a repository's name
        raise _unreachable(repository, names, error) from error


def _download(repository: str, names: Sequence[str]) -> Path:
    from huggingface_hub.errors import RemoteEntryNotFoundError

    for name in names[:-1]:
        try:
            return _announced(repository, name)
        except RemoteEntryNotFoundError:
            logger.debug("%s has no %s", repository, name)
    return _announced(repository, names[-1])


def _announced(repository: str, name: str) -> Path:
    """Say what will be downloaded and how large it is, then download it."""
    from huggingface_hub import hf_hub_download

    logger.info("looking for %s in %s", name, repository)
    size = hf_hub_download(repository, name, dry_run=True).file_size
    # A warning, so that it is seen without asking: it may be gigabytes on somebody's connection.
    logger.warning("downloading %s of %s: %s", name, repository, _readable(size))
    return Path(hf_hub_download(repository, name))


def _readable(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "of a size that the hub does not tell"
    if size_bytes < 1e6:
        return f"{size_bytes / 1e3:.0f} kB"
    return f"{size_bytes / 1e6:,.0f} MB"


def _unreachable(repository: str, names: Sequence[str], error: Exception) -> WeightsError:
    return WeightsError(
        explain(
            f"open_clip: {repository}",
            "the model's files are not in the local cache and cannot be downloaded",
            found=" ".join(str(error).split())[:300] or type(error).__name__,
            allowed=f"network access to the hub, or a cached {' or '.join(names)}",
            next_step="run once where there is a network, copy the cache (HF_HOME) here, or name a "
            "local file with `checkpoint`",
        )
    )
