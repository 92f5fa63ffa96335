"""A plugin distribution `acme-toys` that is released again and again in the course of a test."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path

HOOKS = """
from mmlab.plugin import hookimpl


@hookimpl
def mmlab_encoders():
    return {encoders}


@hookimpl
def mmlab_losses():
    return {{"acme_loss": "acme_toys.parts:Loss"}}
"""

PARTS = """
from typing import Annotated

from pydantic import Field
from torch import nn

from mmlab.plugin import Added
from support.toys import Scripted, Toy


class Encoder(Toy):
    {numerics}

    def __init__(self, modality: str, *, dim: int = {dim}{encoder_options}) -> None:
        super().__init__(modality, dim=dim)


class Loss(Scripted):
    {numerics}

    def __init__(self, shapes, *, script: str = ""{loss_options}) -> None:
        super().__init__(shapes, script=script)


class Another(Toy):
    {numerics}
"""


@dataclass(frozen=True)
class Release:
    """What a version of the distribution has; options are text behind the signatures' last one."""

    version: str = "1.0"
    numerics: int | None = 1
    dim: int = 8
    encoder_options: str = ""
    loss_options: str = ""
    encoders: tuple[str, ...] = ("Encoder",)

    def install(self, site: Path) -> None:
        """Put it into a folder that is on the path, in place of what was there."""
        package, record = site / "acme_toys", site / "acme_toys.dist-info"
        package.mkdir(parents=True, exist_ok=True)
        record.mkdir(exist_ok=True)
        metadata = f"Metadata-Version: 2.1\nName: acme-toys\nVersion: {self.version}\n"
        (record / "METADATA").write_text(metadata)
        (record / "entry_points.txt").write_text("[mmlab]\nacme = acme_toys\n")
        names = {f"acme_{name.lower()}": f"acme_toys.parts:{name}" for name in self.encoders}
        (package / "__init__.py").write_text(HOOKS.format(encoders=names))
        (package / "parts.py").write_text(self._parts())
        forget()

    def _parts(self) -> str:
        return PARTS.format(
            numerics="pass" if self.numerics is None else f"numerics = {self.numerics}",
            dim=self.dim,
            encoder_options=self.encoder_options,
            loss_options=self.loss_options,
        )


def forget() -> None:
    """Have the modules of the distribution imported anew."""
    for name in [name for name in sys.modules if name.split(".")[0] == "acme_toys"]:
        del sys.modules[name]
    importlib.invalidate_caches()
