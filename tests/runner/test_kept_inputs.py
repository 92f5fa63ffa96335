"""Kept inputs of encoders that are trained: the same training, to the bit, without reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.lab import CLASSIFICATION, CONCAT, DATASET, ENCODERS, SCRIPTED, TRAIN, Lab
from support.toys import Clusters, Scripted

from mmlab.data.splits import Splits
from mmlab.hashing import digest
from mmlab.model.build import BuiltCell, build
from mmlab.plan.resolve import plan_specs
from mmlab.runner import kept as cache_of_runs
from mmlab.runner.execute import start_training
from mmlab.runner.kept import FeatureCache, FeatureCacheForRun
from mmlab.runner.kept_encode import describe_transform
from mmlab.runner.score import CellEvaluation

TABLES = (DATASET, ENCODERS, CONCAT, SCRIPTED, TRAIN, CLASSIFICATION)
CPU = torch.device("cpu")


def write(lab: Lab, encoders: str = ENCODERS) -> Path:
    return lab.write("trained", (DATASET, encoders, *TABLES[2:]))


def kept_notes(lab: Lab) -> list[str]:
    return [note for note in lab.shown.notes if note.startswith("inputs of")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("dataset.captions=3",),
        ("dataset.multi=true",),
        ("dataset.captions=2", "encoders.image.freeze=1", 'train.best="classification/top1"'),
        ("train.microbatch=2",),
        ("train.workers=2",),
    ],
)
def test_training_on_kept_inputs_is_the_same_to_the_bit(
    sqlite_lab: Lab, overrides: tuple[str, ...]
) -> None:
    spec = write(sqlite_lab)
    kept = sqlite_lab.run_one(spec, *overrides)
    assert len(kept_notes(sqlite_lab)) == 4  # of two encoders, training and validation
    anew = sqlite_lab.run_one(spec, *overrides, rerun=True, keeps_features=False)
    assert kept.run.train_hash == anew.run.train_hash
    for role in ("best", "final"):
        expected = sqlite_lab.weights(anew, role)
        for name, x in sqlite_lab.weights(kept, role).items():
            assert torch.equal(x, expected[name]), name
    for a, b in zip(kept.evaluations, anew.evaluations, strict=True):
        assert a.metrics == b.metrics


@pytest.mark.slow
def test_inputs_of_one_encoder_and_features_of_another_go_together(sqlite_lab: Lab) -> None:
    encoders = ENCODERS.replace(
        '[encoders.text]\nuse = "toy"', '[encoders.text]\nuse = "toy"\nfreeze = true'
    )
    detail = sqlite_lab.run_one(write(sqlite_lab, encoders))
    assert detail.summary["kept_features"] == ["text"]
    assert kept_notes(sqlite_lab) == [
        "inputs of encoders.image (train): 24 samples, 0.4 kB",
        "inputs of encoders.image (validation): 24 samples, 0.4 kB",
    ]


def test_no_sample_is_read_where_all_inputs_are_kept(sqlite_lab: Lab) -> None:
    built, splits, features = parts(sqlite_lab)
    trainer, batches = start_training(built, splits, CPU, features=features)
    evaluation = CellEvaluation(built, splits, CPU, "fp32", features)
    evaluation.validate()
    dataset = built.plan.dataset
    made = [splits.get(dataset, split) for split in ("train", "validation")]
    before = [data.reads for data in made if isinstance(data, Clusters)]
    assert all(before)
    built.model.train()
    for index in range(6):
        trainer.update(next(batches), index)
    evaluation.validate()
    list(evaluation.evaluate(["classification"], "validation"))
    assert [data.reads for data in made if isinstance(data, Clusters)] == before


def parts(
    lab: Lab, *overrides: str, trains: bool = True
) -> tuple[BuiltCell, Splits, FeatureCacheForRun]:
    (plan,) = plan_specs([write(lab)], overrides)
    splits = Splits()
    built = build(plan, splits, {})
    cache = FeatureCache(lab.folder / "mmlab-cache", lab.shown.note)
    return built, splits, FeatureCacheForRun(cache, built, splits, CPU, "fp32", trains)


# --- when they are not kept -------------------------------------------------------------------


def test_where_one_encoder_augments_only_validation_is_kept(sqlite_lab: Lab) -> None:
    encoders = ENCODERS.replace('[encoders.image]\nuse = "toy"', '[encoders.image]\nuse = "shaky"')
    sqlite_lab.run_one(write(sqlite_lab, encoders))
    assert [note.partition(": ")[0] for note in kept_notes(sqlite_lab)] == [
        "inputs of encoders.image (validation)",
        "inputs of encoders.text (validation)",
    ]


def test_a_single_epoch_a_view_and_an_evaluation_keep_none(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_lab.run_one(write(sqlite_lab), "train.epochs=1")
    sqlite_lab.run_one(write(sqlite_lab), "train.max_steps=3")
    for run_features in (parts(sqlite_lab, trains=False)[2], parts(sqlite_lab)[2]):
        dataset = run_features.built.plan.dataset
        assert run_features.kept(dataset, "test").inputs == {}
    monkeypatch.setattr(Scripted, "views", 1)
    sqlite_lab.run_one(write(sqlite_lab))
    assert kept_notes(sqlite_lab) == []


def test_inputs_that_take_too_much_are_read_and_that_is_said(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write(sqlite_lab)
    kept = sqlite_lab.run_one(spec)
    sqlite_lab.shown.notes.clear()
    monkeypatch.setattr(cache_of_runs, "INPUT_BYTES", 24 * 4 * 4 - 1)  # 24 vectors
    read = sqlite_lab.run_one(spec, rerun=True)
    assert kept_notes(sqlite_lab) == [
        f"inputs of encoders.image ({split}) are read at every epoch: 0.00 GiB, more than the "
        "0.00 GiB that are kept"
        for split in ("train", "validation")
    ]
    for name, x in sqlite_lab.weights(kept).items():
        assert torch.equal(x, sqlite_lab.weights(read)[name])


# --- the key ----------------------------------------------------------------------------------


def prepare_otherwise(built: BuiltCell) -> None:
    """Another transform of the same encoder."""
    built.model.encoders["image"].preprocessing = "another"  # type: ignore[assignment]


def learn_otherwise(built: BuiltCell) -> None:
    """What an encoder holds beside its parameters: a vocabulary, say."""
    built.model.encoders["image"].register_buffer("words", torch.ones(1))


def compute_otherwise(built: BuiltCell) -> None:
    """What an encoder holds and does not save: a filter bank, say."""
    encoder = built.model.encoders["image"]
    encoder.register_buffer("bands", torch.ones(1), persistent=False)


def edit(built: BuiltCell) -> None:
    """The plugin's source, of an editable installation."""
    resolved = built.plan.encoders["image"]
    entry = replace(resolved.entry)
    object.__setattr__(entry, "source_hash", "another")
    encoders = {**built.plan.encoders, "image": replace(resolved, entry=entry)}
    object.__setattr__(built, "plan", replace(built.plan, encoders=encoders))


def key(lab: Lab, *overrides: str, change: Callable[[BuiltCell], None] | None = None) -> str:
    built, _, _ = parts(lab, *overrides)
    if change is not None:
        change(built)
    return digest(describe_transform(built, "image"))


@pytest.mark.parametrize("change", [prepare_otherwise, learn_otherwise, compute_otherwise, edit])
def test_a_changed_transform_has_another_key(
    sqlite_lab: Lab, change: Callable[[BuiltCell], None]
) -> None:
    assert key(sqlite_lab, change=change) != key(sqlite_lab)


def test_weights_are_no_part_of_the_key(sqlite_lab: Lab) -> None:
    assert key(sqlite_lab, "sweep.seeds=[1]", "encoders.image.freeze=1") == key(sqlite_lab)
    assert key(sqlite_lab, "encoders.image.dim=4") != key(sqlite_lab)


def test_other_data_is_another_file(sqlite_lab: Lab) -> None:
    for overrides in ((), ("dataset.captions=2",), ("dataset.count=25",)):
        built, _, features = parts(sqlite_lab, *overrides)
        features.kept(built.plan.dataset, "train")
    files = list((sqlite_lab.folder / "mmlab-cache").glob("*.safetensors"))
    assert len(files) == 6
