"""The table of x-clip's arguments has all of them, and no other, with their defaults."""

from __future__ import annotations

import inspect
import re

import pytest
from documents import ROOT

x_clip = pytest.importorskip("x_clip")
mlm = pytest.importorskip("x_clip.mlm")


def documented() -> dict[str, str]:
    """Argument -> what the column of defaults says of its row."""
    text = (ROOT / "docs/contrastive.md").read_text(encoding="utf-8")
    table = text.split("| x-clip | default | here |\n")[1].split("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines()[1:]]
    return {name: row[1].strip() for row in rows for name in re.findall(r"`(\w+)`", row[0])}


def test_every_argument_of_x_clip_is_in_the_table() -> None:
    built = inspect.signature(x_clip.CLIP.__init__).parameters
    called = inspect.signature(x_clip.CLIP.forward).parameters
    masking = inspect.signature(mlm.MLM.__init__).parameters
    arguments = {*built, *called} - {"self", "kwargs"}
    # whatever is called mlm_... is passed on; the first three, x-clip gives itself
    arguments |= {f"mlm_{name}" for name in list(masking)[4:]}
    assert set(documented()) == arguments


@pytest.mark.parametrize("name", ["dim_latent", "visual_patch_dropout", "simclr_temperature"])
def test_defaults_are_x_clip_s(name: str) -> None:
    assert (
        float(documented()[name])
        == inspect.signature(x_clip.CLIP.__init__).parameters[name].default
    )
