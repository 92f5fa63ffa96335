"""Weights that encoders start from: other experiments' runs, and files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file
from support.lab import DATASET, TOY, Lab
from support.opened import counted_opens
from support.store_values import identity

from mmlab.errors import SpecError
from mmlab.plan.resolve import plan_specs
from mmlab.runner.initial_weights import WeightsFinder

TRAINED = "[train]\nepochs = 1\nbatch_size = 8\n"


def starting(lab: Lab, name: str, weights: str, *, freeze: bool = True) -> Path:
    """A spec whose image encoder starts from weights and stays so; another learns the texts."""
    image = f'[encoders.image]\nuse = "toy"\nfreeze = {str(freeze).lower()}\nweights = {weights}\n'
    tables = (DATASET, image, '[encoders.text]\nuse = "toy"\n', *TOY[2:4], TRAINED, TOY[5])
    return lab.write(name, tables)


def test_an_experiment_waits_for_the_one_it_starts_from(lab: Lab) -> None:
    second = starting(lab, "second", '{ run = "first" }')
    outcomes = lab.run([second, lab.write("first")])
    assert [outcome.experiment for outcome in outcomes] == ["first", "second"]
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    first, started = (lab.weights(lab.detail(name)) for name in ("first", "second"))
    names = [name for name in first if name.startswith("model.encoders.image.")]
    assert len(names) == 4
    assert all(first[name].equal(started[name]) for name in names)
    assert lab.statuses([second, lab.folder / "first.toml"]) == ["skipped", "skipped"]


def test_the_best_run_is_that_of_the_best_validation(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    first = lab.write("first", TOY, "[sweep]\nseeds = [0, 1, 2]\n")
    details = [lab.detail(outcome.run_id or "") for outcome in lab.run(first)]
    (best,) = sorted(details, key=lambda detail: detail.summary["best_value"])[:1]
    (plan,) = plan_specs([starting(lab, "second", '{ run = "first" }')], ())
    with lab.store() as store:
        source = WeightsFinder(store, lab.runs).find(plan)["image"]
    assert source.run_id == best.run.run_id
    assert source.sha256 == {kept.role: kept.sha256 for kept in best.artifacts}["best"]


def test_a_newer_version_of_the_first_experiment_runs_the_second_again(sqlite_lab: Lab) -> None:
    first, second = sqlite_lab.write("first"), starting(sqlite_lab, "second", '{ run = "first" }')
    assert sqlite_lab.statuses([first, second]) == ["done", "done"]
    assert sqlite_lab.statuses([first], "train.epochs=6") == ["done"]
    assert sqlite_lab.statuses([second]) == ["done"]
    assert sqlite_lab.statuses([first, second]) == ["skipped", "skipped"]  # the former's own


def started_from(lab: Lab, second: Path) -> str:
    """The run whose weights a spec would take now."""
    (plan,) = plan_specs([second], ())
    with lab.store() as store:
        return str(WeightsFinder(store, lab.runs).find(plan)["image"].run_id)


def test_a_former_version_is_not_taken_however_good_it_was(sqlite_lab: Lab) -> None:
    first, second = sqlite_lab.write("first"), starting(sqlite_lab, "second", '{ run = "first" }')
    good = sqlite_lab.run_one(first, "train.epochs=6")
    poor = sqlite_lab.run_one(first, "train.max_steps=1")
    assert good.summary["best_value"] < poor.summary["best_value"]  # a loss
    assert started_from(sqlite_lab, second) == poor.run.run_id


def test_seeds_that_were_run_before_belong_to_the_present_version(sqlite_lab: Lab) -> None:
    first, second = sqlite_lab.write("first"), starting(sqlite_lab, "second", '{ run = "first" }')
    runs = [sqlite_lab.run_one(first, f"sweep.seeds=[{seed}]") for seed in range(3)]
    best = min(runs, key=lambda detail: detail.summary["best_value"])
    assert started_from(sqlite_lab, second) == best.run.run_id


def test_a_cell_waits_while_another_process_trains_what_it_starts_from(lab: Lab) -> None:
    first, second = lab.write("first"), starting(lab, "second", '{ run = "first" }')
    group = lab.run_one(first).run.group_hash
    of_first = replace(identity().cell, experiment="first")
    other_seed = replace(identity(), cell=of_first, group_hash=group)
    with lab.store() as store:
        claim = store.claim(store.submit(other_seed).run_id, "another process", 60, {})
        assert claim is not None
        before = lab.kept()
        (held,) = lab.run(second, waits=False)
        assert held.status == "held"
        assert re.search(
            r"another process has what it starts from; .* free at \d\d:", str(held.error)
        )
        assert "another process is training 'first'" in lab.shown.notes[-1]
        assert lab.kept() == before
        assert lab.statuses([first, second]) == ["skipped", "done"]  # its own seed is there
        store.fail(claim, "error", "stopped", "")
    assert lab.statuses(second) == ["skipped"]


def test_one_run_may_be_meant_by_its_id(sqlite_lab: Lab) -> None:
    first = sqlite_lab.run_one(sqlite_lab.write("first"))
    sqlite_lab.run_one(starting(sqlite_lab, "second", f'{{ run = "{first.run.run_id}" }}'))


def test_another_encoder_of_the_other_experiment_may_be_taken(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    images = '[encoders.a]\nuse = "toy"\nmodality = "image"\n\n[encoders.text]\nuse = "toy"\n'
    first = lab.weights(lab.run_one(lab.write("first", (DATASET, images, *TOY[2:]))))
    spec = starting(lab, "second", '{ run = "first", encoder = "a" }')
    second = lab.weights(lab.run_one(spec))
    for part in ("first.weight", "second.bias"):
        assert first[f"model.encoders.a.{part}"].equal(second[f"model.encoders.image.{part}"])


def test_a_file_holds_a_whole_model_or_the_encoder_alone(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    whole = lab.weights(lab.run_one(lab.write("first")))
    prefix = "model.encoders.image."
    alone = {n.removeprefix(prefix): x for n, x in whole.items() if n.startswith(prefix)}
    save_file(whole, lab.folder / "whole.safetensors")
    save_file(alone, lab.folder / "alone.safetensors")
    for name in ("whole", "alone"):
        spec = starting(lab, name, f'{{ file = "{name}.safetensors" }}')
        started = lab.weights(lab.run_one(spec))
        assert all(started[prefix + part].equal(alone[part]) for part in alone)


def test_a_file_that_two_encoders_start_from_is_opened_once_to_identify_and_to_build(
    sqlite_lab: Lab,
) -> None:
    lab, path = sqlite_lab, sqlite_lab.folder / "start.safetensors"
    save_file(lab.weights(lab.run_one(lab.write("first"))), path)
    start = 'use = "toy"\nweights = { file = "start.safetensors" }\n\n'
    encoders = f"[encoders.image]\n{start}[encoders.text]\n{start}"
    spec = lab.write("second", (DATASET, encoders, *TOY[2:]))
    with counted_opens(path) as opens:
        lab.run_one(spec)
    assert opens.count == 2  # to submit the cell, and to execute it


def test_changed_bytes_of_a_file_run_again(lab: Lab) -> None:
    weights = lab.weights(lab.run_one(lab.write("first")))
    path = lab.folder / "start.safetensors"
    save_file(weights, path)
    spec = starting(lab, "second", '{ file = "start.safetensors" }')
    assert lab.statuses(spec) == ["done"]
    save_file({name: x.clone() for name, x in weights.items()}, path)
    assert lab.statuses(spec) == ["skipped"]
    save_file({name: x + 1 for name, x in weights.items()}, path)
    assert lab.statuses(spec) == ["done"]


def test_weights_that_are_trained_on_start_from_what_was_given(sqlite_lab: Lab) -> None:
    first = sqlite_lab.weights(sqlite_lab.run_one(sqlite_lab.write("first")))
    spec = starting(sqlite_lab, "second", '{ run = "first" }', freeze=False)
    second = sqlite_lab.weights(sqlite_lab.run_one(spec, "train.max_steps=1", "train.lr=1e-7"))
    name = "model.encoders.image.first.weight"
    assert not first[name].equal(second[name])
    assert first[name].allclose(second[name], atol=1e-5)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ('{ run = "nothing" }', "no finished run of 'nothing' has weights"),
        ('{ file = "nothing.safetensors" }', "there is no such weights file"),
        ('{ file = "second.toml" }', "cannot be read as safetensors"),
    ],
)
def test_weights_that_are_not_there_fail_the_cell_and_store_nothing(
    sqlite_lab: Lab, weights: str, says: str
) -> None:
    before = sqlite_lab.kept()
    (outcome,) = sqlite_lab.run(starting(sqlite_lab, "second", weights))
    assert outcome.status == "failed"
    assert says in (outcome.error or "")
    for part in ("found: ", "allowed: ", "next: "):
        assert part in (outcome.error or "")
    assert sqlite_lab.kept() == before


def test_runs_judged_by_another_metric_than_the_newest_are_not_compared(sqlite_lab: Lab) -> None:
    source = sqlite_lab.write("first")
    sqlite_lab.run_one(source, 'train.best="classification/top1"')
    newest = sqlite_lab.run_one(source, "train.epochs=1")
    second = sqlite_lab.run_one(starting(sqlite_lab, "second", '{ run = "first" }'))
    assert second.resolved["encoders"]["image"]["weights"]["run"] == newest.run.run_id


def test_weights_that_do_not_fit_name_the_tensors(sqlite_lab: Lab) -> None:
    sqlite_lab.run_one(sqlite_lab.write("first"), "encoders.image.dim=5")
    (outcome,) = sqlite_lab.run(starting(sqlite_lab, "second", '{ run = "first" }'))
    assert outcome.status == "failed"
    assert "first.weight is (5, 4), not (8, 4)" in (outcome.error or "")


def test_weights_whose_file_has_gone_or_changed_are_not_used(sqlite_lab: Lab) -> None:
    first = sqlite_lab.run_one(sqlite_lab.write("first"))
    path = sqlite_lab.runs / first.artifacts[0].path
    second = starting(sqlite_lab, "second", '{ run = "first" }')
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (changed,) = sqlite_lab.run(second)
    assert "not those that were recorded" in (changed.error or "")
    path.unlink()
    (gone,) = sqlite_lab.run(second)
    assert "does not exist" in (gone.error or "")


def test_experiments_that_wait_for_each_other_are_an_error(sqlite_lab: Lab) -> None:
    specs = [
        starting(sqlite_lab, "one", '{ run = "two" }'),
        starting(sqlite_lab, "two", '{ run = "one" }'),
    ]
    before = sqlite_lab.kept()
    with pytest.raises(SpecError, match="wait for each other's weights") as caught:
        sqlite_lab.run(specs)
    assert "one, two" in str(caught.value)
    with pytest.raises(SpecError, match="wait for each other's weights"):
        sqlite_lab.run(starting(sqlite_lab, "self", '{ run = "self" }'))
    assert sqlite_lab.kept() == before
