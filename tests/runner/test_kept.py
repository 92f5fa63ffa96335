"""The feature cache: equal results without reading, a key that covers everything, faults."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.full_disk import largest_file
from support.lab import CLASSIFICATION, CONCAT, DATASET, SCRIPTED, TRAIN, Lab
from support.toys import Clusters, Scripted

from mmlab.data.splits import Splits
from mmlab.hashing import digest
from mmlab.model.build import BuiltCell, build
from mmlab.plan.plan import Plan
from mmlab.plan.resolve import plan_specs
from mmlab.runner import kept_encode as feature_encoding
from mmlab.runner.execute import start_training
from mmlab.runner.kept import FeatureCache, FeatureCacheForRun
from mmlab.runner.kept_encode import describe_computing, describe_encoder, describe_split
from mmlab.runner.score import CellEvaluation

FROZEN = (
    '[encoders.image]\nuse = "toy"\nfreeze = true\n\n[encoders.text]\nuse = "toy"\nfreeze = true\n'
)
TABLES = (DATASET, FROZEN, CONCAT, SCRIPTED, TRAIN, CLASSIFICATION)
CPU = torch.device("cpu")


def write(lab: Lab, encoders: str = FROZEN, *more: str) -> Path:
    return lab.write("frozen", (DATASET, encoders, *TABLES[2:]), *more)


def cached(lab: Lab) -> list[Path]:
    return sorted((lab.folder / "mmlab-cache").glob("*.safetensors"))


def features_notes(lab: Lab) -> list[str]:
    return [note for note in lab.shown.notes if note.startswith("features of")]


# --- equal results ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("dataset.captions=3",),
        ("dataset.multi=true",),
        ("encoders.image.freeze=false", "dataset.captions=2"),
        ("encoders.text.freeze=false", "dataset.multi=true"),
        ("train.microbatch=2",),
        ('train.precision="bf16"',),
    ],
)
def test_training_on_kept_features_gives_what_recomputing_gives(
    sqlite_lab: Lab, overrides: tuple[str, ...]
) -> None:
    """Only the batches of the frozen encoders differ, and with them the order of float sums."""
    spec = write(sqlite_lab)
    kept = sqlite_lab.run_one(spec, *overrides)
    anew = sqlite_lab.run_one(spec, *overrides, rerun=True, keeps_features=False)
    assert kept.summary["kept_features"] != []
    assert anew.summary["kept_features"] == []
    assert kept.run.train_hash == anew.run.train_hash
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if "bf16" in str(overrides) else RECOMPUTED
    for role in ("best", "final"):
        expected = sqlite_lab.weights(anew, role)
        for name, x in sqlite_lab.weights(kept, role).items():
            torch.testing.assert_close(x, expected[name], **tolerance, msg=name)
    for a, b in zip(kept.evaluations, anew.evaluations, strict=True):
        assert a.metrics == pytest.approx(b.metrics, abs=1e-5)
        assert a.protocol_hash == b.protocol_hash


#: A sum of some tens of float32 in another order, through a dozen optimiser steps.
RECOMPUTED = {"rtol": 1e-4, "atol": 1e-5}


def parts(
    lab: Lab, spec: Path, *overrides: str
) -> tuple[Plan, Splits, BuiltCell, FeatureCacheForRun, FeatureCache]:
    (plan,) = plan_specs([spec], overrides)
    splits = Splits()
    built = build(plan, splits, {})
    cache = FeatureCache(lab.folder / "mmlab-cache", lab.shown.note)
    return (
        plan,
        splits,
        built,
        FeatureCacheForRun(cache, built, splits, CPU, "fp32"),
        cache,
    )


def test_no_sample_is_read_where_all_features_are_kept(sqlite_lab: Lab) -> None:
    spec = write(sqlite_lab)
    _, splits, built, features, _ = parts(sqlite_lab, spec, "evaluate.0.cards=0")
    trainer, batches = start_training(built, splits, CPU, features=features)
    evaluation = CellEvaluation(built, splits, CPU, "fp32", features)
    evaluation.validate()
    list(evaluation.evaluate(["classification"]))
    plan = built.plan
    made = [splits.get(plan.dataset, split) for split in ("train", "validation", "test")]
    before = [data.reads for data in made if isinstance(data, Clusters)]
    assert len(before) == 3
    assert all(before)
    built.model.train()
    for index in range(6):
        trainer.update(next(batches), index)
    evaluation.validate()
    list(evaluation.evaluate(["classification"]))
    assert [data.reads for data in made if isinstance(data, Clusters)] == before


@pytest.mark.slow
def test_a_later_cell_and_a_later_command_find_what_was_kept(sqlite_lab: Lab) -> None:
    weights = sqlite_lab.run_one(sqlite_lab.write("toy"), "train.max_steps=1").run.run_id
    start = f'weights = {{ run = "{weights}" }}\n'
    encoders = FROZEN.replace("freeze = true\n", f"freeze = true\n{start}")
    spec = write(
        sqlite_lab, encoders, '[sweep]\nseeds = [0, 1]\n[sweep.axes]\n"fusion.dim"=[4,8]\n'
    )
    assert sqlite_lab.statuses(spec) == ["done"] * 4
    files = {path: path.stat().st_mtime_ns for path in cached(sqlite_lab)}
    assert len(files) == 6  # two encoders, three splits; one file for all cells and seeds
    assert len(features_notes(sqlite_lab)) == 6
    assert features_notes(sqlite_lab)[0] == "features of encoders.image (train): 24 samples, 0.8 kB"
    assert sqlite_lab.statuses(spec, rerun=True) == ["done"] * 4
    assert {path: path.stat().st_mtime_ns for path in cached(sqlite_lab)} == files
    assert len(features_notes(sqlite_lab)) == 6


def test_the_cache_has_no_part_in_what_a_run_is(sqlite_lab: Lab) -> None:
    spec, elsewhere = write(sqlite_lab), sqlite_lab.folder / "elsewhere"
    assert sqlite_lab.statuses(spec) == ["done"]
    assert sqlite_lab.statuses(spec, cache=elsewhere) == ["skipped"]
    assert sqlite_lab.statuses(spec, keeps_features=False) == ["skipped"]
    assert sqlite_lab.statuses(spec, cache=elsewhere, rerun=True) == ["done"]
    assert len(list(elsewhere.glob("*.safetensors"))) == 6


def test_an_encoding_that_takes_long_says_how_far_it_is(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_encoding, "NOTE_SECONDS", 0.0)
    sqlite_lab.run_one(write(sqlite_lab), "encoders.text.freeze=false", "train.workers=0")
    notes = sqlite_lab.shown.notes
    assert "features of encoders.image (train): 24 of 24 samples" in notes
    assert "inputs of encoders.text (validation): 1 of 24 samples" in notes


# --- when features are not kept ---------------------------------------------------------------


def test_an_augmented_encoder_is_not_kept_and_that_is_said_once(sqlite_lab: Lab) -> None:
    encoders = FROZEN.replace('[encoders.image]\nuse = "toy"', '[encoders.image]\nuse = "shaky"')
    spec = write(sqlite_lab, encoders, "[sweep]\nseeds = [0, 1]\n")
    assert sqlite_lab.statuses(spec) == ["done", "done"]
    (note,) = [note for note in sqlite_lab.shown.notes if "not kept" in note]
    assert note == (
        "encoders.image is frozen, but its features are not kept: "
        "its training inputs are augmented at random"
    )
    assert len(features_notes(sqlite_lab)) == 6  # the text encoder's, random weights of two seeds


def test_an_encoder_that_does_not_say_is_not_kept(sqlite_lab: Lab) -> None:
    spec = write(sqlite_lab, FROZEN.replace('"toy"', '"silent"'))
    assert sqlite_lab.run_one(spec).summary["kept_features"] == []
    assert any("does not say" in note for note in sqlite_lab.shown.notes)


def test_a_loss_that_asks_for_views_gets_them(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scripted, "views", 1)
    assert sqlite_lab.run_one(write(sqlite_lab)).summary["kept_features"] == []
    assert any("losses.scripted asks for further views" in n for n in sqlite_lab.shown.notes)
    assert cached(sqlite_lab) == []


def test_a_loss_that_looks_at_inputs_gets_those_it_names(sqlite_lab: Lab) -> None:
    curious = '[[losses]]\nuse = "curious"\n'
    spec = sqlite_lab.write("frozen", [curious if one == SCRIPTED else one for one in TABLES])
    assert sqlite_lab.run_one(spec).summary["kept_features"] == ["image"]
    note = "encoders.text is frozen, but its features are not kept: losses.curious looks at its"
    assert any(note in said for said in sqlite_lab.shown.notes)


@pytest.mark.slow
def test_losses_that_compare_or_change_texts_train_on_frozen_encoders(sqlite_lab: Lab) -> None:
    encoders = (
        '[encoders.image]\nuse = "convnet"\nwidth = 8\nlevels = 1\nfreeze = true\n'
        '[encoders.text]\nuse = "transformer"\nvocabulary = "bytes"\nwidth = 16\nfreeze = true\n'
    )
    losses = (
        '[[losses]]\nuse = "info_nce"\npositives = "text"\n'
        '[[losses]]\nuse = "masked_language_modelling"\n'
    )
    fusion = '[fusion]\nuse = "inner_product"\ndim = 8\n'
    train = "[train]\nmax_steps = 1\nbatch_size = 64\n"
    tables = ('[dataset]\nuse = "emoji"\n', encoders, fusion, losses, train)
    detail = sqlite_lab.run_one(sqlite_lab.write("texts", tables))
    assert detail.summary["kept_features"] == ["image"]


def test_an_encoder_that_is_trained_is_not_kept(sqlite_lab: Lab) -> None:
    for freeze in ("false", "1"):
        spec = write(sqlite_lab, FROZEN.replace("freeze = true", f"freeze = {freeze}"))
        assert sqlite_lab.run_one(spec).summary["kept_features"] == []
    assert features_notes(sqlite_lab) == []


# --- the key ----------------------------------------------------------------------------------


def key(
    lab: Lab,
    *overrides: str,
    change: Callable[[BuiltCell], None] = lambda built: None,
    split: str = "train",
    computing: Mapping[str, object] | None = None,
) -> str:
    """The key of the image encoder's features, as the cache makes it."""
    _, splits, built, _, _ = parts(lab, write(lab), *overrides)
    change(built)
    resolved = built.plan.dataset
    dataset = splits.get(resolved, split)  # type: ignore[arg-type]
    about = {
        **(computing or describe_computing(CPU, "fp32")),
        "encoder": describe_encoder(built, "image"),
        "dataset": describe_split(resolved, dataset, split),  # type: ignore[arg-type]
    }
    return digest(about)


def nudge(built: BuiltCell) -> None:
    """One weight by the least there is."""
    with torch.no_grad():
        weight = next(built.model.encoders["image"].parameters()).view(-1)
        weight[0] = torch.nextafter(weight[0], torch.tensor(9.0))


def prepare_otherwise(built: BuiltCell) -> None:
    """Another transform of the same encoder."""
    built.model.encoders["image"].preprocessing = "another"  # type: ignore[assignment]


def edit(built: BuiltCell) -> None:
    """The plugin's source, of an editable installation."""
    _change_entry(built, source_hash="another")


def upgrade(built: BuiltCell) -> None:
    """The plugin's version."""
    _change_entry(built, version="1.1")


def _change_entry(built: BuiltCell, source_hash: str | None = None, version: str = "1.0") -> None:
    resolved = built.plan.encoders["image"]
    entry = replace(resolved.entry, version=version)
    object.__setattr__(entry, "source_hash", source_hash)
    encoders = {**built.plan.encoders, "image": replace(resolved, entry=entry)}
    object.__setattr__(built, "plan", replace(built.plan, encoders=encoders))


def test_the_key_is_the_same_every_time(sqlite_lab: Lab) -> None:
    assert key(sqlite_lab) == key(sqlite_lab)
    assert key(sqlite_lab, "fusion.dim=4", "train.epochs=7", "head.use=mlp") == key(sqlite_lab)


@pytest.mark.parametrize("change", [nudge, prepare_otherwise, edit, upgrade])
def test_a_changed_encoder_has_another_key(
    sqlite_lab: Lab, change: Callable[[BuiltCell], None]
) -> None:
    assert key(sqlite_lab, change=change) != key(sqlite_lab)


@pytest.mark.parametrize(
    "override",
    ["encoders.image.dim=4", "dataset.count=25", "dataset.captions=2", "sweep.seeds=[1]"],
)
def test_changed_options_data_or_random_weights_have_another_key(
    sqlite_lab: Lab, override: str
) -> None:
    assert key(sqlite_lab, override) != key(sqlite_lab)


def test_another_revision_of_the_data_has_another_key(sqlite_lab: Lab) -> None:
    script = sqlite_lab.folder / "edition"
    keys = set()
    for edition in ("1", "2"):
        script.write_text(edition)
        keys.add(key(sqlite_lab, f'dataset.script="{script}"'))
    assert len(keys) == 2


def test_split_precision_device_and_libraries_are_in_the_key(sqlite_lab: Lab) -> None:
    here = describe_computing(CPU, "fp32")
    others = [
        describe_computing(CPU, "bf16"),
        describe_computing(torch.device("cuda"), "fp32"),
        {**here, "libraries": {**here["libraries"], "torch": "0"}},  # type: ignore[dict-item]
        {**here, "layout": 0},
    ]
    keys = {key(sqlite_lab, computing=computing) for computing in (here, *others)}
    keys |= {key(sqlite_lab, split=split) for split in ("validation", "test")}
    assert len(keys) == 7


def test_a_fusion_that_reads_tokens_has_another_key(sqlite_lab: Lab) -> None:
    (plan,) = plan_specs([write(sqlite_lab)], ())
    assert plan.reads == {"pooled"}
    _, _, built, _, _ = parts(sqlite_lab, write(sqlite_lab))
    pooled = describe_encoder(built, "image")
    fusion = replace(plan.fusion, factory=ReadsTokens)
    object.__setattr__(built, "plan", replace(plan, fusion=fusion))
    assert describe_encoder(built, "image") != pooled


class ReadsTokens:
    reads = frozenset({"pooled", "tokens"})


# --- faults -----------------------------------------------------------------------------------


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("spoil", [damage, cut, empty])
def test_a_damaged_file_is_made_anew_and_that_is_said(
    sqlite_lab: Lab, spoil: Callable[[Path], None]
) -> None:
    spec = write(sqlite_lab)
    first = sqlite_lab.run_one(spec)
    content = {path: path.read_bytes() for path in cached(sqlite_lab)}
    for path in content:
        spoil(path)
    second = sqlite_lab.run_one(spec, rerun=True)
    assert (
        len([note for note in sqlite_lab.shown.notes if "is damaged, and made anew" in note]) == 6
    )
    assert {path: path.read_bytes() for path in cached(sqlite_lab)} == content
    assert first.evaluations[0].metrics == second.evaluations[0].metrics
    assert first.artifacts[0].sha256 == second.artifacts[0].sha256


def test_an_emptied_folder_is_filled_again(sqlite_lab: Lab) -> None:
    spec = write(sqlite_lab)
    sqlite_lab.run_one(spec)
    content = {path: path.read_bytes() for path in cached(sqlite_lab)}
    for path in content:
        path.unlink()
    sqlite_lab.run_one(spec, rerun=True)
    assert {path: path.read_bytes() for path in cached(sqlite_lab)} == content


def test_a_folder_that_cannot_be_made_stops_nothing_and_is_said_once(sqlite_lab: Lab) -> None:
    spec, blocked = write(sqlite_lab), sqlite_lab.folder / "file"
    blocked.write_text("no folder")
    plain = sqlite_lab.run_one(spec)
    found = sqlite_lab.run_one(spec, rerun=True, cache=blocked / "cache")
    assert found.artifacts[0].sha256 == plain.artifacts[0].sha256
    (note,) = [note for note in sqlite_lab.shown.notes if "cannot be kept" in note]
    assert "Not a directory" in note
    assert "--cache" in note


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_stops_nothing(sqlite_lab: Lab) -> None:
    sealed = sqlite_lab.folder / "sealed"
    sealed.mkdir(mode=0o555)
    assert sqlite_lab.statuses(write(sqlite_lab), cache=sealed) == ["done"]
    assert any("cannot be kept" in note for note in sqlite_lab.shown.notes)


def test_a_full_disk_stops_nothing_and_leaves_nothing_behind(sqlite_lab: Lab) -> None:
    _, _, built, features, cache = parts(sqlite_lab, write(sqlite_lab))
    with largest_file(500):
        kept = features.kept(built.plan.dataset, "train")
    assert len(kept.tables["image"].starts) == 25
    assert list(cache.folder.iterdir()) == []
    (note,) = [note for note in sqlite_lab.shown.notes if "cannot be kept" in note]
    assert "too large" in note
    again = features.kept(built.plan.dataset, "train")
    assert again.tables["image"] is kept.tables["image"]
