"""Weights bring what was read of the training data: what is trained loads where these are gone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sqlalchemy import create_engine, update
from support.lab import CLASSIFICATION, RETRIEVAL, TOY, Lab, here
from torch import Tensor

import mmlab
from mmlab.errors import DataError, WeightsError
from mmlab.model.build import BuiltCell
from mmlab.runner.evaluate_more import evaluate_runs
from mmlab.store import RunDetail
from mmlab.store.tables import artifacts

pytestmark = pytest.mark.slow

#: Pictures and words of three labels; of 24 rows every eighth has no picture.
MANIFEST = (
    '[dataset]\nuse = "manifest"\npath = "data/rows.jsonl"\nimage_column = "picture"\n'
    'text_columns = ["text"]\nlabel_column = "label"\nsplit_column = "part"\n'
)
IMAGES = '[encoders.image]\nuse = "convnet"\nimage_size = 16\nwidth = 8\nlevels = 1\n\n'
WORDS = (
    '[encoders.text]\nuse = "transformer"\nwidth = 8\nheads = 1\ndepth = 1\nlength = 8\n'
    'vocabulary = "words"\nvocabulary_size = 60\n\n'
)
CONCAT = '[fusion]\nuse = "concat"\ndim = 8\n\n[head]\nuse = "linear"\n\n'
LABELS = '[[losses]]\nuse = "cross_entropy"\nlabel_weight = "balanced"\n\n'
MASKED = '[[losses]]\nuse = "masked_language_modelling"\n\n'
TRAIN = "[train]\nmax_steps = 3\nbatch_size = 6\n"
CLASSES = (MANIFEST, IMAGES, WORDS, CONCAT, LABELS, TRAIN, CLASSIFICATION)


def write_data(lab: Lab) -> Path:
    """The files of a dataset in a folder of their own."""
    folder = lab.folder / "data"
    folder.mkdir()
    rows = []
    for number in range(24):
        name = f"{number}.png"
        colour = (number * 10, 255 - number * 10, 90)
        Image.new("RGB", (20 + number, 20), colour).save(folder / name)
        label = ("red", "green", "blue")[min(number % 4, 2)]
        part = ("train", "train", "validation", "test")[number // 6]
        row = {"text": f"word{number} is {label}", "label": label, "part": part}
        rows.append({**row, "weight": 5000.0 + number, "picture": name if number % 8 else None})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    return folder


def remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@torch.no_grad()
def outputs(cell: BuiltCell) -> dict[str, Tensor]:
    """Features of given raw values, the prediction, and all that the model holds."""
    picture = Image.new("RGB", (31, 17), (9, 200, 30))
    raws = {"image": picture, "text": "word3 is blue and unknown"}
    features = {
        key: cell.model.encode(key, reader.encoder.transform(raws[key], False)[None])
        for key, reader in cell.readers.items()
    }
    joined = cell.model.outputs(features)
    found = {f"features of {key}": each.pooled for key, each in features.items()}
    found |= {f"placeholder of {key}": cell.readers[key].placeholder for key in cell.readers}
    if joined.prediction is not None:
        found["prediction"] = joined.prediction
    return {**found, **cell.step.state_dict()}


def assert_same(first: BuiltCell, second: BuiltCell) -> None:
    one, other = outputs(first), outputs(second)
    assert one.keys() == other.keys()
    for name, x in one.items():
        assert x.dtype == other[name].dtype, name
        assert torch.equal(x, other[name]), name
    assert first.data == second.data
    assert first.description() == second.description()


def run_and_lose_data(lab: Lab, tables: tuple[str, ...]) -> tuple[RunDetail, BuiltCell]:
    """A finished run and what it loads as, the dataset's files being deleted afterwards."""
    folder = write_data(lab)
    detail = lab.run_one(lab.write("first", tables))
    before = mmlab.load("first", lab.db)
    remove(folder)
    return detail, before


def test_a_classifier_of_pictures_and_words_loads_without_its_data(sqlite_lab: Lab) -> None:
    detail, before = run_and_lose_data(sqlite_lab, CLASSES)
    for role in ("best", "final"):
        loaded = mmlab.load("first", sqlite_lab.db, weights=role)  # type: ignore[arg-type]
        assert loaded.data.labels == ("blue", "green", "red")
        assert loaded.data.statistics is not None
        assert sum(loaded.data.statistics.label_counts) == 12
        assert loaded.readers["image"].placeholder.dtype == torch.uint8
    assert_same(before, mmlab.load(detail.run.run_id, sqlite_lab.db))
    (again,) = sqlite_lab.run(sqlite_lab.write("second", CLASSES))  # the data are really gone
    assert "rows.jsonl: this is no manifest: it cannot be read" in (again.error or "")


def test_a_regression_and_a_loss_of_words_load_without_their_data(sqlite_lab: Lab) -> None:
    dataset = MANIFEST + 'target_columns = ["weight"]\n'
    losses = '[[losses]]\nuse = "mse"\n\n' + MASKED
    evaluate = '[[evaluate]]\nuse = "regression"\n'
    tables = (dataset, IMAGES, WORDS, CONCAT, losses, TRAIN, evaluate)
    _, before = run_and_lose_data(sqlite_lab, tables)
    loaded = mmlab.load("first", sqlite_lab.db)
    assert_same(before, loaded)
    assert loaded.data.targets == ("weight",)
    assert loaded.data.statistics is not None
    assert loaded.data.statistics.target_means == (pytest.approx(5005.5),)
    assert outputs(loaded)["prediction"].item() == pytest.approx(5005.5, abs=20)


def test_a_run_whose_data_are_gone_is_asked_on_another_dataset(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    run_and_lose_data(lab, CLASSES)
    (lab.folder / "other").mkdir()
    write_data(lab).rename(lab.folder / "other" / "data")
    more = lab.folder / "other" / "more.toml"
    more.write_text(MANIFEST + CLASSIFICATION.replace("\n", '\nname = "elsewhere"\n', 1))
    (outcome,) = evaluate_runs("first", [more], here(lab.db), lab.shown)
    assert (outcome.status, outcome.error) == ("evaluated", None)
    found = {e.name: e for e in lab.detail("first").evaluations}
    assert found["elsewhere"].metrics == found["classification"].metrics  # equal pictures


@pytest.mark.parametrize("named", ["run", "file"])
def test_encoders_start_from_weights_whose_data_are_gone(sqlite_lab: Lab, named: str) -> None:
    lab = sqlite_lab
    detail, before = run_and_lose_data(lab, CLASSES)
    path = lab.runs / next(kept.path for kept in detail.artifacts if kept.role == "best")
    (lab.folder / "start.safetensors").write_bytes(path.read_bytes())
    start = {"run": '{ run = "first" }', "file": '{ file = "start.safetensors" }'}[named]
    text = f"{WORDS.strip()}\nweights = {start}\nfreeze = true\n\n"
    clusters = '[dataset]\nuse = "clusters"\n\n'
    lab.run_one(lab.write("second", (clusters, text, CONCAT, LABELS, TRAIN, CLASSIFICATION)))
    started = mmlab.load("second", lab.db).model.encoders["text"].state_dict()
    for name, x in before.model.encoders["text"].state_dict().items():
        assert torch.equal(x, started[name]), name


def forget_description(lab: Lab, detail: RunDetail) -> None:
    """Make a run's weights those of before: the same tensors without a description."""
    engine = create_engine(lab.db)
    for kept in detail.artifacts:
        path = lab.runs / kept.path
        save_file(load_file(path), path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with engine.begin() as connection:
            changed = update(artifacts).where(artifacts.c.path == kept.path)
            connection.execute(changed.values(sha256=digest))
    engine.dispose()


def test_weights_of_before_load_with_their_data_and_say_so_without(sqlite_lab: Lab) -> None:
    folder = write_data(sqlite_lab)
    detail = sqlite_lab.run_one(sqlite_lab.write("first", CLASSES))
    before = mmlab.load("first", sqlite_lab.db)
    forget_description(sqlite_lab, detail)
    assert_same(before, mmlab.load("first", sqlite_lab.db))
    remove(folder)
    with pytest.raises(DataError, match=r"rows\.jsonl"):
        mmlab.load("first", sqlite_lab.db)


def test_the_description_is_in_the_header_and_under_the_files_hash(sqlite_lab: Lab) -> None:
    detail, _ = run_and_lose_data(sqlite_lab, CLASSES)
    path = sqlite_lab.runs / detail.artifacts[0].path
    with safe_open(path, "pt") as file:
        said = json.loads(file.metadata()["mmlab"])
    assert said["data"]["labels"] == ["blue", "green", "red"]
    assert said["inputs"]["image"] == {"sizes": [3, 16, 16], "dtype": "uint8"}
    path.write_bytes(path.read_bytes().replace(b"green", b"grey!"))
    with pytest.raises(WeightsError, match="not those that were recorded"):
        mmlab.load("first", sqlite_lab.db)


def test_equal_runs_leave_equal_files(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy", TOY)
    first, second = sqlite_lab.run_one(spec), sqlite_lab.run_one(spec, rerun=True)
    hashes = [sorted((kept.role, kept.sha256) for kept in d.artifacts) for d in (first, second)]
    assert hashes[0] == hashes[1]


def test_a_contrastive_run_without_labels_loads_without_its_data(sqlite_lab: Lab) -> None:
    dataset = MANIFEST.replace('label_column = "label"\n', "")
    pairs = '[fusion]\nuse = "inner_product"\ndim = 8\n\n[[losses]]\nuse = "info_nce"\n\n'
    _, before = run_and_lose_data(sqlite_lab, (dataset, IMAGES, WORDS, pairs, TRAIN, RETRIEVAL))
    assert before.data.labels == ()
    assert_same(before, mmlab.load("first", sqlite_lab.db))
