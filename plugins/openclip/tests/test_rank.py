"""Labels ranked by a pretrained model that no run has: a spec in the place of one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from mmlab.cli import main

LABELS = ["guacamole", "ceviche", "edamame", "hummus"]
TEMPLATES = ["a photo of {}, a type of food.", "a bad photo of a {}."]
SPEC = """\
schema_version = 1
name = "pretrained"

[dataset]
use = "benchmark"
test_set = "food101/test"
path = "nowhere"

[encoders.image]
use = "open_clip"
architecture = "ARCHITECTURE"

[encoders.text]
use = "open_clip"
architecture = "ARCHITECTURE"

[fusion]
use = "inner_product"

[[evaluate]]
use = "zero_shot"
"""


@pytest.fixture
def spec(clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec of a tiny CLIP whose data are nowhere, beside a picture."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (45, 60, 3), np.uint8)
    Image.fromarray(pixels).save("lunch.png")
    path = tmp_path / "clip.toml"
    path.write_text(SPEC.replace("ARCHITECTURE", clip))
    return path


def rank(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["rank", *map(str, arguments), "--device", "cpu"])


@torch.no_grad()
def expected(clip: str) -> torch.Tensor:
    """The probabilities that open_clip itself gives the labels."""
    model, _, preprocess = open_clip.create_model_and_transforms(clip)
    model.eval()
    tokenizer = open_clip.get_tokenizer(clip)
    classifier = open_clip.build_zero_shot_classifier(model, tokenizer, LABELS, TEMPLATES)
    seen = model.encode_image(preprocess(Image.open("lunch.png"))[None], normalize=True)
    return (model.logit_scale.exp() * seen @ classifier).softmax(1)[0]


def test_a_spec_ranks_as_open_clip_does_without_its_data_and_a_database(
    spec: Path, clip: str
) -> None:
    templates = [text for template in TEMPLATES for text in ("--template", template)]
    result = rank(spec, "lunch.png", "--labels", ",".join(LABELS), *templates, "--json")
    assert result.exit_code == 0, result.output
    (card,) = json.loads(result.stdout)["cards"]
    wanted = expected(clip)
    order = wanted.argsort(descending=True).tolist()
    assert [bar["labels"] for bar in card["bars"]] == [[LABELS[label]] for label in order]
    scores = [bar["score"] for bar in card["bars"]]
    np.testing.assert_allclose(scores, wanted[order].numpy(), atol=1e-5)
    assert card["bars"][0]["before"] == "a photo of "
    assert "random" not in result.stderr
    assert sorted(path.name for path in spec.parent.glob("mmlab*")) == []


def test_random_weights_are_told(spec: Path) -> None:
    spec.write_text(spec.read_text().replace('"\n\n[fusion]', '"\npretrained = ""\n\n[fusion]'))
    result = rank(spec, "lunch.png", "--labels", "a,b")
    assert result.exit_code == 0, result.output
    assert "encoders.text: its weights are random" in result.stderr


def test_weights_that_are_not_there_are_told(spec: Path, clip: str) -> None:
    next(Path(clip.removeprefix("local-dir:")).glob("*.safetensors")).unlink()
    result = rank(spec, "lunch.png", "--labels", "a,b", "--out", "card.html")
    assert result.exit_code == 1
    assert all(part in result.stderr for part in ("found: ", "allowed: ", "next: "))
    assert not Path("card.html").exists()


def test_a_spec_that_trains_holds_no_weights(spec: Path) -> None:
    more = '[[losses]]\nuse = "info_nce"\n[train]\nepochs = 1\nbatch_size = 2\n'
    spec.write_text(spec.read_text() + more)
    result = rank(spec, "lunch.png", "--labels", "a,b")
    assert result.exit_code == 2
    assert "this spec trains its model" in result.stderr


def test_a_spec_of_several_cells_is_refused(spec: Path) -> None:
    axes = '[sweep.axes]\n"evaluate.0.scale" = [1.0, 2.0]\n'
    spec.write_text(spec.read_text() + axes)
    result = rank(spec, "lunch.png", "--labels", "a,b")
    assert result.exit_code == 2
    assert "several cells" in result.stderr
