"""Meters: sums and the first step that was not finite, on the host and on a device alike."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from mmlab.train.progress import Clock, DeviceMeter, HostMeter, make_meter

CPU = torch.device("cpu")


#: Tensors of the CPU stand for those of any device.
MAKERS: dict[str, Callable[[], HostMeter | DeviceMeter]] = {
    "host": HostMeter,
    "device": lambda: DeviceMeter(CPU),
}
each_meter = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def add(meter: HostMeter | DeviceMeter, loss: float, norm: float) -> None:
    meter.add({"loss": torch.tensor(loss), "norm": torch.tensor(norm)})


@each_meter
def test_means_are_those_since_the_last_reading(
    make: Callable[[], HostMeter | DeviceMeter],
) -> None:
    meter = make()
    for value in (1.0, 2.0, 6.0):
        add(meter, value, -value)
    assert meter.take() == {"loss": 3.0, "norm": -3.0}
    add(meter, 0.5, 4.0)
    assert meter.take() == {"loss": 0.5, "norm": 4.0}
    assert meter.first_broken_step() is None
    assert meter.last_finite() == {"loss": 0.5, "norm": 4.0}


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@each_meter
def test_the_first_broken_step_is_kept_whatever_follows(
    make: Callable[[], HostMeter | DeviceMeter], broken: float
) -> None:
    meter = make()
    add(meter, 1.0, 2.0)
    add(meter, 3.0, 4.0)
    add(meter, broken, 5.0)
    add(meter, 6.0, 7.0)
    assert meter.first_broken_step() == 2
    assert meter.last_finite() == {"loss": 3.0, "norm": 4.0}


@each_meter
def test_a_first_step_that_is_broken_tells_what_was_finite_of_it(
    make: Callable[[], HostMeter | DeviceMeter],
) -> None:
    meter = make()
    add(meter, math.nan, 5.0)
    assert meter.first_broken_step() == 0
    assert meter.last_finite() == {"norm": 5.0}


def test_the_host_is_asked_on_the_cpu_alone() -> None:
    assert isinstance(make_meter(CPU), HostMeter)
    assert isinstance(make_meter(torch.device("meta")), DeviceMeter)


def test_what_lies_between_stretches_of_steps_takes_no_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([100.0, 103.0, 900.0, 901.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    clock = Clock()
    for _ in range(6):
        clock.count(32)
    clock.stop()
    assert (clock.rate, clock.seconds_for(10)) == (64.0, 5.0)
    clock.restart()
    clock.count(32)
    clock.count(32)
    clock.stop()
    assert (clock.rate, clock.seconds_for(10)) == (64.0, 5.0)
