"""The names of open_clip's architectures, known without importing it (which takes seconds)."""

from __future__ import annotations

import difflib
from importlib.util import find_spec
from pathlib import Path
from typing import cast

HUB = "hf-hub:"
FOLDER = "local-dir:"


class LocalFolder(str):
    """`local-dir:/A/FOLDER`, also as that folder's path, so that mmlab hashes what it holds."""

    def __fspath__(self) -> str:
        """The folder."""
        return self.removeprefix(FOLDER)


def architectures() -> list[str]:
    """Names of the architectures that the installed open_clip can build by name."""
    spec = find_spec("open_clip")
    assert spec is not None, "open_clip_torch is a dependency"
    folder = Path(cast(str, spec.origin)).parent / "model_configs"
    return sorted(path.stem for path in folder.glob("*.json"))


def nearest(name: str, known: list[str]) -> str:
    """The few known names most like this one, or the first few where none is alike."""
    folded = {one.casefold(): one for one in known}
    alike = difflib.get_close_matches(name.casefold(), folded, n=5, cutoff=0.5)
    return ", ".join([folded[one] for one in alike] or known[:5]) or "none"


def checked_architecture(name: str) -> str:
    """The name as open_clip spells it. Raises ValueError, with the nearest names, for a wrong one.

    `ViT-B/32` is `ViT-B-32`. What follows `hf-hub:` or `local-dir:` is looked at when it is used.
    """
    if name.startswith(HUB):
        return name
    if name.startswith(FOLDER):
        return LocalFolder(name)
    spelled = name.replace("/", "-")
    if spelled not in (known := architectures()):
        raise ValueError(
            f"open_clip has no architecture {name!r}; nearest names: {nearest(spelled, known)}; "
            f"or {HUB}ORGANISATION/REPOSITORY, or {FOLDER}/A/FOLDER"
        )
    return spelled
