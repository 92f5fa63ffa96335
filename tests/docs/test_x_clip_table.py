"""The table of x-clip's arguments has all of them, and no other, with their defaults."""

from __future__ import annotations

import inspect
import re
import tomllib
from typing import Any

import pytest
from mmlab_losses.simsiam import SimSiam
from support.checkout import ROOT
from torch import Tensor, nn
from torchvision import transforms

from mmlab.plugin import Shapes

x_clip = pytest.importorskip("x_clip")
mlm = pytest.importorskip("x_clip.mlm")
visual_ssl = pytest.importorskip("x_clip.visual_ssl")


def documented() -> dict[str, str]:
    """Argument -> what the column of defaults says of its row."""
    text = (ROOT / "docs/reference/x-clip.md").read_text(encoding="utf-8")
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


# Any: values of TOML.
def lecture() -> dict[str, Any]:
    """The example of the lecture as a spec."""
    return tomllib.loads((ROOT / "experiments/contrastive/x-clip-lecture.toml").read_text("utf-8"))


def test_pictures_of_the_example_change_as_x_clip_changes_them() -> None:
    colour, grey, flip, blur, crop, _ = visual_ssl.get_default_aug(64)
    jitter = transforms.ColorJitter(0.8, 0.8, 0.8, 0.2)
    options = lecture()["encoders"]["image"]
    assert vars(colour.fn) == vars(jitter)
    assert (options["jitter"], options["jitter_share"]) == (1.0, colour.p)
    assert (options["grey"], options["blur"], options["crop"]) == (grey.p, blur.p, crop.scale[0])
    assert options["flip"] is (flip.p == 0.5)


def test_the_example_s_self_supervision_has_x_clip_s_layers() -> None:
    _, options = lecture()["losses"]
    width = options["hidden"]
    made = SimSiam(
        Shapes({"image": 128}, None, (), (), False, {}),
        hidden=width,
        predictor=options["predictor"],
    )
    theirs = visual_ssl.SimSiamMLP(128, 256, width), visual_ssl.MLP(256, 256, width)
    expected = [shape for module in theirs for shape in shapes_of(module)]
    assert shapes_of(made) == expected


def shapes_of(module: nn.Module) -> list[tuple[int, ...]]:
    """Shapes of its maps' weights, in order."""
    weights: list[Tensor] = [m.weight for m in module.modules() if isinstance(m, nn.Linear)]
    return [tuple(weight.shape) for weight in weights]
