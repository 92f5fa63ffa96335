"""A finished run as Python objects: what is loaded computes what was stored."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch
from support.lab import CLASSIFICATION, DATASET, ENCODERS, PAIRED, RETRIEVAL, TOY, ZERO_SHOT, Lab
from support.opened import counted_opens
from support.toys import Clusters

import mmlab
from mmlab.data.loader import evaluation_batches
from mmlab.errors import UsageError, WeightsError
from mmlab.model.build import BuiltCell

UNTRAINED = (
    DATASET,
    '[encoders.image]\nuse = "toy"\nweights = { run = "first" }\n\n'
    '[encoders.text]\nuse = "toy"\nweights = { run = "first" }\n',
    '[fusion]\nuse = "inner_product"\n',
    ZERO_SHOT + "scale = 10.0\n",
)


@torch.no_grad()
def predict(built: BuiltCell) -> torch.Tensor:
    """The label that the loaded model gives each sample of the test split."""
    (batch,) = evaluation_batches(Clusters("test"), built.readers, 64)
    prediction = built.model(batch).prediction
    assert prediction is not None
    return prediction.argmax(dim=1)


def test_a_loaded_model_predicts_what_was_stored(lab: Lab) -> None:
    detail = lab.run_one(lab.write("toy"), "train.epochs=6")
    predicted = predict(mmlab.load("toy", lab.db))
    truths = torch.tensor([Clusters("test")[i].labels[0] for i in range(24)])
    top1 = (predicted == truths).double().mean().item()
    assert top1 == pytest.approx(detail.evaluations[0].metrics["top1"], abs=1e-12)
    with mmlab.results(lab.db) as results:
        first = results.rankings("toy").filter(pl.col("rank") == 1)
    labels = dict(zip(first["sample"], first["label"], strict=True))
    dataset = Clusters("test")
    assert [labels[dataset[i].id] for i in range(24)] == [dataset.labels[i] for i in predicted]


def test_a_loaded_fusion_has_its_inputs_in_the_order_of_the_spec(sqlite_lab: Lab) -> None:
    image, text = ENCODERS.split("\n\n")
    spec = sqlite_lab.write("toy", (DATASET, f"{text}\n{image}\n", *TOY[2:]))
    sqlite_lab.run_one(spec)
    assert mmlab.load("toy", sqlite_lab.db).model.inputs == ("text", "image")


def test_a_loaded_model_is_in_eval_mode_and_has_the_readers_of_its_encoders(
    sqlite_lab: Lab,
) -> None:
    sqlite_lab.run_one(sqlite_lab.write("toy"))
    built = mmlab.load("@last", sqlite_lab.db)
    assert not any(module.training for module in built.step.modules())
    x = built.readers["image"].encoder.transform([1.0, 0.0, 0.0, 0.0], train=False)
    assert built.model.encode("image", x[None]).pooled.shape == (1, 8)


def test_best_and_final_weights_are_loaded_as_they_were_kept(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    detail = lab.run_one(lab.write("toy"), lab.script("7 turn"), "train.epochs=5")
    for role in ("best", "final"):
        state = mmlab.load(detail.run.run_id[:8], lab.db, weights=role).step.state_dict()
        kept = lab.weights(detail, role)
        assert state.keys() == kept.keys()
        assert all(state[name].equal(kept[name]) for name in kept)
    assert not lab.weights(detail)["model.head.map.weight"].equal(
        lab.weights(detail, "final")["model.head.map.weight"]
    )


def test_weights_are_read_once_however_many_encoders_there_are(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    detail = lab.run_one(lab.write("toy"))
    with counted_opens(lab.runs / detail.artifacts[0].path) as opens:
        mmlab.load("toy", lab.db)
    assert detail.artifacts[0].role == "best"
    assert opens.count == 1


def test_the_database_may_be_named_by_the_environment(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sqlite_lab.run_one(sqlite_lab.write("toy"))
    monkeypatch.setenv("MMLAB_DB", sqlite_lab.db)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    mmlab.load("toy")


def test_data_and_weights_are_found_from_any_folder(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"number {i},{'even' if i % 2 == 0 else 'odd'},{_split(i)}" for i in range(30)]
    (sqlite_lab.folder / "rows.csv").write_text("\n".join(["text,label,split", *lines, ""]))
    dataset = (
        '[dataset]\nuse = "manifest"\npath = "rows.csv"\ntext_columns = ["text"]\n'
        'label_column = "label"\nsplit_column = "split"\n'
    )
    encoder = '[encoders.text]\nuse = "toy"\n'
    weights = sqlite_lab.weights(sqlite_lab.run_one(sqlite_lab.write("first")))
    prefix = "model.encoders.text."
    from safetensors.torch import save_file

    save_file(
        {n.removeprefix(prefix): x for n, x in weights.items() if n.startswith(prefix)},
        sqlite_lab.folder / "start.safetensors",
    )
    start = 'weights = { file = "start.safetensors" }\n'
    sqlite_lab.run_one(sqlite_lab.write("second", (dataset, encoder + start, *TOY[2:])))
    (sqlite_lab.folder / "elsewhere").mkdir()
    monkeypatch.chdir(sqlite_lab.folder / "elsewhere")
    assert mmlab.load("second", sqlite_lab.db).model.inputs == ("text",)


def _split(number: int) -> str:
    return ("train", "train", "validation", "test", "train")[number % 5]


def test_a_run_that_only_evaluated_loads_the_weights_it_evaluated(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = sqlite_lab
    first, spec = lab.write("first", PAIRED), lab.write("probe", UNTRAINED)
    lab.run_one(first)
    lab.run_one(spec)
    before = mmlab.load("probe", lab.db).step.state_dict()
    lab.run_one(first, "train.epochs=6")
    (lab.folder / "elsewhere").mkdir()
    monkeypatch.chdir(lab.folder / "elsewhere")
    after = mmlab.load("probe", lab.db).step.state_dict()
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)


def test_a_file_that_changed_since_it_was_evaluated_is_not_loaded(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    lab.run_one(lab.write("first", PAIRED))
    path = lab.runs / lab.detail("first").artifacts[0].path
    (lab.folder / "start.safetensors").write_bytes(path.read_bytes())
    tables = [table.replace('run = "first"', 'file = "start.safetensors"') for table in UNTRAINED]
    lab.run_one(lab.write("probe", tables))
    mmlab.load("probe", lab.db)
    lab.run_one(lab.write("first", PAIRED), "train.epochs=6")
    other = lab.runs / lab.detail("first").artifacts[0].path
    (lab.folder / "start.safetensors").write_bytes(other.read_bytes())
    with pytest.raises(WeightsError, match="not those that were evaluated"):
        mmlab.load("probe", lab.db)


def test_a_run_without_weights_is_not_loaded(sqlite_lab: Lab) -> None:
    spec, script = sqlite_lab.write("toy"), sqlite_lab.script("2 raise")
    sqlite_lab.run(spec, script)
    with pytest.raises(WeightsError, match="has no best weights") as caught:
        mmlab.load("toy", sqlite_lab.db)
    assert "status failed" in str(caught.value)
    with pytest.raises(UsageError, match="nobody"):
        mmlab.load("nobody", sqlite_lab.db)


def test_altered_weights_are_not_loaded(sqlite_lab: Lab) -> None:
    detail = sqlite_lab.run_one(sqlite_lab.write("toy"))
    path = sqlite_lab.runs / detail.artifacts[0].path
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="not those that were recorded"):
        mmlab.load("toy", sqlite_lab.db)


def test_axes_and_overrides_of_a_cell_are_in_what_is_loaded(sqlite_lab: Lab) -> None:
    sweep = '[sweep.axes]\n"fusion.dim" = [4, 6]\n'
    spec = sqlite_lab.write("toy", (TOY[0], ENCODERS, *TOY[2:5], CLASSIFICATION), sweep)
    for outcome in sqlite_lab.run(spec, "encoders.image.dim=3"):
        assert outcome.run_id is not None
        model = mmlab.load(outcome.run_id, sqlite_lab.db).model
        assert model.encoders["image"].dim == 3
        assert f"fusion.dim={model.fusion.dim} " in f"{outcome.cell} "


WORDS = (
    '[dataset]\nuse = "emoji"\n',
    '[encoders.image]\nuse = "convnet"\nimage_size = 16\nwidth = 8\nlevels = 1\n\n'
    '[encoders.text]\nuse = "transformer"\nwidth = 8\nheads = 1\ndepth = 1\nlength = 8\n',
    '[fusion]\nuse = "inner_product"\ndim = 8\n',
    '[[losses]]\nuse = "info_nce"\n',
    "[train]\nmax_steps = 2\nbatch_size = 64\n",
    ZERO_SHOT,
)


@pytest.mark.slow
def test_a_learnt_vocabulary_comes_back_with_the_weights(sqlite_lab: Lab) -> None:
    detail = sqlite_lab.run_one(sqlite_lab.write("words", WORDS))
    built = mmlab.load("words", sqlite_lab.db)
    ids = built.readers["text"].encoder.transform("grinning face", False)
    features = built.model.encode("text", ids[None]).pooled
    assert bool(torch.isfinite(features).all())
    with_retrieval = sqlite_lab.write("words", WORDS, RETRIEVAL)
    assert sqlite_lab.statuses(with_retrieval) == ["evaluated"]
    evaluations = {kept.name for kept in sqlite_lab.detail(detail.run.run_id).evaluations}
    assert evaluations == {"zero_shot", "retrieval"}
