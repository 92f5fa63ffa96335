"""An average of the weights: what it is, and that it is what is judged and kept."""

from __future__ import annotations

import pytest
import torch
from support.lab import PAIRED, Lab
from support.small_training import make_step, run
from torch import nn

import mmlab
from mmlab.train.rule import Average


def test_the_average_follows_the_weights_by_its_formula() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    average, expected = Average([weight], 0.5), 1.0
    for step, value in enumerate((2.0, -3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 55.0), start=1):
        weight.data.fill_(value)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert float(average.values[0]) == pytest.approx(expected)


def test_the_average_is_in_the_model_for_as_long_as_it_is_asked_for() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    average = Average([weight], 0.9)
    weight.data.fill_(2.0)
    with average.in_place():
        assert float(weight.detach()) == 1.0
    assert float(weight.detach()) == 2.0


def test_training_steps_are_those_without_an_average() -> None:
    plain, averaged = make_step(), make_step()
    first, _ = run(plain, max_steps=5, lr=0.05)
    second, _ = run(averaged, max_steps=5, lr=0.05, ema=0.9)
    assert second.average is not None
    second.average.swap()
    pairs = zip(first.parameters, second.parameters, second.average.values, strict=True)
    for expected, found, average in pairs:
        assert torch.equal(expected, found)
        assert not torch.equal(found, average)


def test_a_training_counts_its_first_step_as_step_one() -> None:
    """(1 + 1) / (10 + 1) of the average are the weights of the start."""
    start = [p.detach().clone() for p in make_step().parameters()]
    trainer, _ = run(make_step(), max_steps=1, lr=0.05, ema=0.9)
    assert trainer.average is not None
    trainer.average.swap()  # the weights are in the model again
    pairs = zip(start, trainer.parameters, trainer.average.values, strict=True)
    for before, after, average in pairs:
        assert not torch.equal(before, after)
        torch.testing.assert_close(average, 2 / 11 * before + 9 / 11 * after)


def test_what_is_validated_kept_and_loaded_is_the_average(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("averaged", PAIRED)
    plain = sqlite_lab.weights(sqlite_lab.run_one(spec), "final")
    detail = sqlite_lab.run_one(spec, "train.ema=0.99")
    final = sqlite_lab.weights(detail, "final")
    assert any(not torch.equal(final[name], plain[name]) for name in plain)
    built = mmlab.load(detail.run.run_id, sqlite_lab.db, weights="final")
    assert all(torch.equal(x, final[f"{name}"]) for name, x in built.step.state_dict().items())
    with mmlab.results(sqlite_lab.db) as results:
        curves = results.curves("averaged")
    both = curves.filter(curves["metric"] == "validation/loss").sort("step")["value"].to_list()
    assert len(set(both)) == len(both), "the average is judged, not the weights of the step"
