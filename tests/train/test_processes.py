"""Two processes: the losses, gradients and weights of one process with the same global batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from safetensors.torch import load_file
from support import group_steps
from support.group_steps import MODES
from support.lab import PAIRED, Lab
from support.processes import start, wait
from support.rules import OPTIMIZERS
from torch import Tensor
from torch.distributed import HashStore

from mmlab.errors import GroupError, LostError, MmlabError, SpecError
from mmlab.model.build import InitialWeights
from mmlab.plan.resolve import plan_specs
from mmlab.runner.follow import Assignment, require_equal_plans
from mmlab.spec import Component
from mmlab.train.processes import ProcessGroup, require_equal, vote

T = TypeVar("T")


def both(act: Callable[[ProcessGroup], T], timeout_seconds: float = 5.0) -> list[T | MmlabError]:
    """What two processes get or meet; here they are threads with one store of messages."""
    store = HashStore()
    groups = [ProcessGroup(rank, 2, store, timeout_seconds) for rank in (0, 1)]

    def attempt(group: ProcessGroup) -> T | MmlabError:
        try:
            with group.showing_life():
                return act(group)
        except MmlabError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(attempt, groups))


def test_messages_of_the_main_process_arrive_in_their_order() -> None:
    def talk(group: ProcessGroup) -> list[str]:
        if group.is_main:
            group.broadcast("one")
            group.broadcast("two 🦜")
            return []
        return [group.receive(), group.receive()]

    assert both(talk) == [[], ["one", "two 🦜"]]


def test_everybody_gets_everybodys_text_by_rank() -> None:
    assert both(lambda group: group.exchange(f"from {group.rank}")) == [["from 0", "from 1"]] * 2


def test_processes_with_other_things_to_do_are_refused_on_both_sides() -> None:
    assert both(lambda group: require_equal(group, "same")) == [None, None]
    for error in both(lambda group: require_equal(group, f"own {group.rank}")):
        assert isinstance(error, GroupError)
        assert "rank 1 differs from rank 0" in str(error)


def test_a_process_that_fails_alone_ends_the_group_and_its_error_is_told() -> None:
    assert both(lambda group: vote(group, None)) == [None, None]
    for error in both(lambda group: vote(group, "no such file" if group.rank else None)):
        assert isinstance(error, GroupError)
        assert "rank 0 is done, rank 1 failed" in str(error)
        assert "no such file" in str(error)


def test_one_that_works_for_longer_than_the_timeout_is_waited_for() -> None:
    def work(group: ProcessGroup) -> list[str]:
        time.sleep(0.6 * group.rank)
        return group.exchange(str(group.rank))

    assert both(work, timeout_seconds=0.2) == [["0", "1"]] * 2


def test_one_that_has_gone_silent_is_given_up_after_the_timeout() -> None:
    def wait_or_vanish(group: ProcessGroup) -> list[str]:
        return group.exchange("here") if group.is_main else []

    waiting, vanished = both(wait_or_vanish, timeout_seconds=0.2)
    assert vanished == []
    assert isinstance(waiting, LostError)
    assert "rank 1" in str(waiting)


def test_a_batch_that_processes_cannot_divide_is_refused(sqlite_lab: Lab) -> None:
    plans = plan_specs([sqlite_lab.write("toy")], ["train.batch_size=7"])
    require_equal_plans(plans, ProcessGroup())
    for error in both(lambda group: require_equal_plans(plans, group)):
        assert isinstance(error, SpecError)
        assert "batch_size 7, 2 processes" in str(error)


def test_a_file_that_cannot_be_read_is_no_difference_between_processes(sqlite_lab: Lab) -> None:
    """Its cell fails when its turn comes; the others are executed."""
    spec = sqlite_lab.write("odd", PAIRED)
    plans = plan_specs([spec], [f'evaluate.0.prompts_file="{"n" * 300}.toml"'])
    assert both(lambda group: require_equal_plans(plans, group)) == [None, None]


def test_an_assignment_survives_as_a_message() -> None:
    source = InitialWeights(Path("a/b.safetensors"), "ab" * 32, "image", None)
    sent = Assignment("x.toml", 3, "hash", {"picture": source}, ("zero_shot", "retrieval"))
    assert Assignment.read(sent.to_json()) == sent


def test_a_process_alone_needs_no_store() -> None:
    group = ProcessGroup()
    group.broadcast("nobody listens")
    require_equal(group, "anything")
    vote(group, None)
    assert group.exchange("alone") == ["alone"]
    assert group.same({"loss": 1.5}) == {"loss": 1.5}


@pytest.fixture(scope="module")
def alone() -> dict[str, dict[str, Tensor]]:
    """What one process computes, by optimiser."""
    tables = {name: {"optimizer": Component(use=name)} for name in OPTIMIZERS}
    return {name: group_steps.train(ProcessGroup(), table) for name, table in tables.items()}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    """What two processes compute, by mode."""
    folder = tmp_path_factory.mktemp("group")
    script = ["-m", "support.group_steps", folder]
    for ended in wait(start([script, script], folder, TORCH_CPP_LOG_LEVEL="ERROR")):
        assert (ended.code, ended.stderr) == (0, "")
    return {mode: load_file(folder / f"{mode}.safetensors") for mode in MODES}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_two_processes_do_what_one_does(
    mode: str,
    alone: Mapping[str, Mapping[str, Tensor]],
    together: Mapping[str, Mapping[str, Tensor]],
) -> None:
    one = alone[mode.partition(" by ")[2] or "adamw"]
    assert together[mode].keys() == one.keys()
    for name, expected in one.items():
        # Scalars are reported in float32; all else is float64 from end to end.
        tolerance = 1e-6 if name.startswith("mean ") else 1e-10
        torch.testing.assert_close(
            together[mode][name].to(expected), expected, rtol=tolerance, atol=tolerance
        )


def test_all_that_is_compared_is_there(alone: Mapping[str, Mapping[str, Tensor]]) -> None:
    one = alone["adamw"]
    names = [name for name in one if name.startswith("gradient of losses.info_nce")]
    assert names, "the temperature"
    assert "gradient of model.encoders.text.first.weight" in one
    assert {"mean loss", "mean info_nce/loss", "mean grad_norm"} <= one.keys()
    assert all(bool(x.any()) for name, x in one.items() if name.startswith("gradient"))
