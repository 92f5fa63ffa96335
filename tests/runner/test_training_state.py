"""A training saved amid its steps and taken up in fresh objects goes on bit for bit."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from support.lab import PAIRED, TOY, Lab, install
from support.resumed import STEPS_BEFORE, Left, Training, plan_of

from mmlab.errors import RunError
from mmlab.plan.plan import Plan
from mmlab.runner.execute import Summary
from mmlab.train.progress import DeviceMeter
from mmlab.train.state import pack, unpack

TEXTS = "encoders.text={use = 'transformer', width = 8, depth = 1, heads = 2, length = 8}"
EVERYTHING = ("train.ema=0.9", "train.patience=3", "fusion.modality_dropout=0.3")

CASES = {
    "adamw": (),
    "sgd": ("train.optimizer.use=sgd", "train.schedule.use=one_cycle"),
    "muon": ("train.optimizer.use=muon",),
    "adafactor": ("train.optimizer.use=adafactor", "train.schedule.use=inverse_sqrt"),
    "an average and patience": ("train.ema=0.9", "train.patience=3"),
    "microbatches": ("train.microbatch=4", "train.optimizer.use=sgd"),
    "inputs that tremble": ("encoders.image.use=shaky", "fusion.modality_dropout=0.3"),
    "a vocabulary": (TEXTS, "train.ema=0.5"),
    "adapters": ("encoders.image.lora={rank = 2}", "train.optimizer.use=muon"),
    "frozen, with kept inputs": ("encoders.image.freeze=true", "train.layer_decay=0.5"),
}


@pytest.fixture
def plan(request: pytest.FixtureRequest, sqlite_lab: Lab) -> Plan:
    """The plan of a case."""
    return plan_of(sqlite_lab.write("resumed", PAIRED), request.param)


def whole_run(plan: Plan, folder: Path) -> tuple[Left, Training]:
    """A training from its start to its end, with the state amid it."""
    training = Training(plan, folder)
    return training.run(), training


@pytest.mark.parametrize("plan", CASES.values(), ids=CASES, indirect=True)
def test_it_goes_on_bit_for_bit(plan: Plan, tmp_path: Path) -> None:
    expected, first = whole_run(plan, tmp_path / "a")
    assert {("train/loss", 12), ("validation/seen/loss", 15)} <= expected.points.keys()
    again = Training(plan, tmp_path / "a", STEPS_BEFORE)
    again.state.load_state_dict(first.states[STEPS_BEFORE])
    assert again.run() == expected


@pytest.mark.parametrize("plan", [EVERYTHING], indirect=True)
@pytest.mark.parametrize(
    "part", ["model", "losses", "optimizer", "average", "best", "meter", "summary", "files"]
)
def test_leaving_any_part_out_is_noticed(plan: Plan, part: str, tmp_path: Path) -> None:
    expected, first = whole_run(plan, tmp_path)
    assert part in first.state.parts
    again = Training(plan, tmp_path, STEPS_BEFORE)
    again.restore(first.states[STEPS_BEFORE], without=part)
    assert again.run() != expected


def test_leaving_the_generators_out_is_noticed_where_a_loss_draws_from_them(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, sqlite_lab.folder / "keeping", "keeping")
    plan = plan_of(sqlite_lab.write("resumed", TOY), ["losses.0.use=gambling"])
    expected, first = whole_run(plan, sqlite_lab.folder)
    for part, is_equal in (("", True), ("generators", False)):
        again = Training(plan, sqlite_lab.folder, STEPS_BEFORE)
        again.restore(first.states[STEPS_BEFORE], without=part)
        assert (again.run() == expected) is is_equal


@pytest.mark.parametrize("plan", [EVERYTHING], indirect=True)
def test_there_is_no_other_part(plan: Plan, tmp_path: Path) -> None:
    parts = {"model", "losses", "optimizer", "average", "best", "meter", "summary", "files"}
    assert Training(plan, tmp_path).state.parts.keys() == {*parts, "generators"}


@pytest.mark.parametrize("plan", [EVERYTHING], indirect=True)
def test_the_step_that_follows_counts(plan: Plan, tmp_path: Path) -> None:
    expected, first = whole_run(plan, tmp_path)
    again = Training(plan, tmp_path, STEPS_BEFORE - 1)
    again.state.load_state_dict(first.states[STEPS_BEFORE])
    assert again.run() != expected


@pytest.mark.parametrize("plan", [EVERYTHING], indirect=True)
def test_a_training_that_patience_has_ended_does_not_go_on(plan: Plan, tmp_path: Path) -> None:
    expected, first = whole_run(plan, tmp_path)
    assert expected.steps == 15
    again = Training(plan, tmp_path, expected.steps)
    again.state.load_state_dict(first.state.state_dict())
    left = again.run()
    assert left.points == {}
    left.points = expected.points
    assert left == expected


@pytest.mark.parametrize("plan", [EVERYTHING], indirect=True)
def test_a_state_is_plain_values_and_tensors(plan: Plan, tmp_path: Path) -> None:
    expected, first = whole_run(plan, tmp_path)
    files = pack(first.states[STEPS_BEFORE])
    again = Training(plan, tmp_path, STEPS_BEFORE)
    again.state.load_state_dict(unpack(files))
    assert again.run() == expected
    assert pack(unpack(files)) == files


ODD = {"a": {0: torch.zeros(()), "-": (-0.0, math.inf, None, [True, 1, "ü\ud800"], ())}, "b": {}}


def test_every_value_comes_back_as_it_was() -> None:
    again = unpack(pack(ODD))
    assert repr(again) == repr(ODD)
    nan = unpack(pack({"a": {"b": math.nan, "c": torch.full((2,), math.nan)}}))["a"]
    assert math.isnan(nan["b"])
    assert nan["c"].isnan().all()
    for x in (
        torch.arange(6).view(2, 3).t(),
        torch.ones(2, dtype=torch.bfloat16),
        torch.ones(0, 3),
    ):
        (y,) = unpack(pack({"a": {"x": x}}))["a"].values()
        assert torch.equal(x, y)
        assert x.dtype == y.dtype


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "builtins.object at losses.a.0"),
        ({1}, "builtins.set"),
        (np.float64(1), "numpy.float64"),
        (np.zeros(2), "numpy.ndarray"),
        (torch.eye(2).to_sparse(), "torch.sparse_coo"),
        (torch.ones(2, dtype=torch.complex128), "torch.complex128"),
    ],
)
def test_what_no_file_holds_is_named(value: object, said: str) -> None:
    with pytest.raises(RunError, match="part 'losses'") as caught:
        pack({"losses": {"a": [value]}})
    assert said in str(caught.value)


@pytest.mark.parametrize("plan", [EVERYTHING], indirect=True)
def test_it_is_the_weights_also_where_the_average_is_in_the_model(
    plan: Plan, tmp_path: Path
) -> None:
    training = Training(plan, tmp_path)
    taken = []
    for progress in training.progresses():
        if progress.step == 12:  # a validation
            in_model = [x.clone() for x in training.trainer.parameters]
            taken.append(training.state.state_dict())
            assert all(map(torch.equal, in_model, training.trainer.parameters))
    expected, _ = whole_run(plan, tmp_path)
    again = Training(plan, tmp_path, 12)
    again.state.load_state_dict(taken[0])
    left = again.run()
    expected.points = {key: x for key, x in expected.points.items() if key[1] > 12}
    assert left == expected


@pytest.mark.parametrize("plan", [EVERYTHING], indirect=True)
def test_a_state_of_other_parts_is_refused_and_changes_nothing(plan: Plan, tmp_path: Path) -> None:
    training = Training(plan, tmp_path)
    states = training.state.state_dict()
    del states["average"]
    before = [x.clone() for x in training.trainer.parameters]
    with pytest.raises(RunError, match="other parts have a state") as caught:
        training.state.load_state_dict({**states, "cache": {}})
    assert "cache" in str(caught.value)
    assert all(map(torch.equal, before, training.trainer.parameters))


def test_the_time_a_training_took_before_counts() -> None:
    before, after = (Summary(torch.device("cpu"), None) for _ in range(2))
    after.load_state_dict({**before.state_dict(), "seconds": 100.0})
    assert after.state_dict()["seconds"] >= 100.0


def test_a_meter_on_a_device_goes_on_too() -> None:
    meter, other = (DeviceMeter(torch.device("cpu")) for _ in range(2))
    for value in (1.0, 2.0):
        meter.add({"loss": torch.tensor(value)})
    other.load_state_dict(meter.state_dict())
    for each in (meter, other):
        each.add({"loss": torch.tensor(float("nan"))})
    assert other.first_broken_step() == meter.first_broken_step() == 2
    assert other.last_finite() == meter.last_finite() == {"loss": 2.0}
