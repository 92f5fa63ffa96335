"""Whether a model fits into the memory is known before anything of it is made."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from support.lab import CLASSIFICATION, CONCAT, TOY, TRAIN, Lab
from torch import Tensor

from mmlab.data.splits import Splits
from mmlab.errors import RunError
from mmlab.model.build import build
from mmlab.model.components import make_encoder, make_encoders
from mmlab.model.room import Room, control_group_rooms, free_bytes
from mmlab.plan.plan import Plan
from mmlab.plan.resolve import plan_specs

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
EMOJI = '[dataset]\nuse = "emoji"\n'
VIT = '[encoders.image]\nuse = "vit"\nwidth = 64\ndepth = 3\nheads = 2\npatch_size = 8\n'
LOSS = '[[losses]]\nuse = "cross_entropy"\n'
#: More parameters than any machine holds: 12 * width ** 2 in each block.
ENORMOUS = VIT.replace("width = 64\ndepth = 3", "width = 10_000\ndepth = 60")


def plan_of(lab: Lab, *overrides: str, encoders: str = VIT) -> Plan:
    spec = lab.write("sized", (EMOJI, encoders, CONCAT, LOSS, TRAIN, CLASSIFICATION))
    (plan,) = plan_specs([spec], overrides)
    return plan


def fails(check: Callable[[], object]) -> str | None:
    """Why a check fails, which it does for lack of memory; None where it does not."""
    try:
        check()
    except RunError as error:
        return str(error) if error.reason == "oom" else None
    return None


def needs(check: Callable[[int], object], free: int) -> bool:
    """Whether a check needs just so many free bytes, and no byte less."""
    return fails(lambda: check(free)) is None and fails(lambda: check(free - 1)) is not None


@pytest.mark.parametrize(
    ("overrides", "copies"),
    [
        ((), 4),  # a weight, its gradient, and AdamW's two averages
        (("train.ema=0.9",), 5),
        (('train.optimizer={use="sgd"}',), 3),
        (('train.optimizer={use="sgd", momentum=0.0}',), 2),
        (('train.optimizer={use="adafactor"}',), 2),
        (('train.optimizer={use="muon"}',), 3),
        (("encoders.image.freeze=true",), 1),
        (("encoders.image.lora={rank=2}",), 1),
    ],
)
def test_encoders_need_each_number_as_often_as_training_keeps_it(
    sqlite_lab: Lab, overrides: tuple[str, ...], copies: int
) -> None:
    plan = plan_of(sqlite_lab, *overrides)
    count = sum(p.numel() for p in make_encoder(plan, "image").parameters())

    def check(free: int) -> None:
        make_encoders(plan, Room(plan, CPU, free=lambda device: free, unasked=0))

    assert needs(check, 4 * count * copies)


def tensors_in(state: object) -> Iterator[Tensor]:
    """All tensors of a state, however deep."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, dict | list):
        for value in state.values() if isinstance(state, dict) else state:
            yield from tensors_in(value)


def test_what_an_optimiser_keeps_is_what_is_said_of_it(sqlite_lab: Lab) -> None:
    """Two steps of each, and the bytes of its state are counted."""
    for use, copies in (("adamw", 2), ("sgd", 1), ("muon", 1), ("adafactor", 0)):
        plan = plan_of(sqlite_lab, f'train.optimizer={{use="{use}"}}')
        assert plan.optimizer is not None
        weight = torch.nn.Parameter(torch.ones(64, 32))
        group = {"params": [weight], "weight_decay": 0.0, "scale": 1.0}
        optimizer = plan.optimizer.make(groups=[group], lr=0.1, matrices={weight})
        for _ in range(2):
            weight.grad = torch.ones_like(weight)
            optimizer.step()
        kept = sum(x.numel() for x in tensors_in(optimizer.state_dict()))
        assert kept // weight.numel() == copies, use


def test_a_whole_model_is_refused_by_the_least_byte(sqlite_lab: Lab) -> None:
    plan, splits = plan_of(sqlite_lab), Splits()
    built = build(plan, splits, {})
    sizes = {
        "encoders": [built.model.encoders],
        "joint": [built.model.fusion, built.model.head],
        "losses": [built.step.losses],
    }
    count = {
        name: sum(p.numel() for m in modules if m is not None for p in m.parameters())
        for name, modules in sizes.items()
    }

    def making(free: int) -> None:
        room = Room(plan, CPU, free=lambda device: free, unasked=0)
        build(plan, splits, {}, room=room)

    # The encoders are there when the fusion is asked for, and have no gradient yet.
    needed = max(16 * count["encoders"], 12 * count["encoders"] + 16 * count["joint"])
    assert needs(making, needed)

    def training(free: int) -> None:
        room = Room(plan, CPU, free=lambda device: free)
        build(plan, splits, {}, room=room)  # all of it is small, and made unasked
        room.fits()

    assert needs(training, 12 * sum(count.values()))


def test_a_gpu_takes_all_and_the_cpu_what_is_made_on_it(sqlite_lab: Lab) -> None:
    plan = plan_of(sqlite_lab)
    count = sum(p.numel() for p in make_encoder(plan, "image").parameters())

    def check(there: int, here: int = 1 << 40, processes: int = 1) -> None:
        free = {"cuda": there, "cpu": here}
        room = Room(plan, CUDA, processes, lambda device: free[device.type], unasked=0)
        make_encoders(plan, room)

    assert needs(check, 16 * count)
    assert needs(lambda here: check(1 << 40, here), 4 * count)
    told = fails(lambda: check(16 * count - 1))
    assert told is not None
    assert f"allowed: {16 * count - 1:,} bytes: what is free on cuda" in told
    assert needs(lambda there: check(there, processes=4), 16 * count)  # each keeps all
    plan = plan_of(sqlite_lab, 'train.parallel="fsdp"')
    assert needs(lambda there: check(there, processes=4), 4 * count)


def test_an_enormous_model_is_told_at_its_line_before_any_of_it_is_made(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    enormous = lab.write("enormous", (EMOJI, ENORMOUS, CONCAT, LOSS, TRAIN, CLASSIFICATION))
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    failed, done = lab.run([enormous, lab.write("toy", TOY)], "train.epochs=1")
    assert time.perf_counter() - began < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kB
    assert (failed.status, done.status) == ("failed", "done")
    assert failed.error is not None
    assert failed.error.startswith(f"{enormous}:7:1: encoders.image: there is too little memory")
    assert "at least 1,15" in failed.error  # 12 * 10,000 ** 2 numbers, 60 times, 16 bytes each
    assert "bytes: what is free on cpu" in failed.error
    (attempt,) = lab.detail("enormous").attempts
    assert attempt.outcome == "oom"


def test_a_fusion_beyond_the_memory_is_told(sqlite_lab: Lab) -> None:
    """The toys before it have no option that is a `Size`: they are measured when they are there."""
    fusion = ('fusion.use="multiplicative_interactions"', "fusion.limit_mib=10_000_000")
    (plan,) = plan_specs([sqlite_lab.write("toy")], [*fusion, "fusion.dim=10_000"])
    room = Room(plan, CPU, free=lambda device: 1_000_000)
    told = fails(lambda: build(plan, Splits(), {}, room=room))
    assert told is None  # 8 * 8 * 10,000 numbers are few
    told = fails(room.fits)
    assert told is not None
    assert ": fusion: there is too little memory" in told
    room = Room(plan, CPU, free=lambda device: 1_000_000, unasked=1000)
    told = fails(lambda: build(plan, Splits(), {}, room=room))
    assert told is not None
    assert ": fusion: there is too little memory" in told


def test_a_component_that_is_small_is_made_once_and_a_large_one_draws_the_same(
    sqlite_lab: Lab,
) -> None:
    """Measuring takes nothing from anybody's random numbers."""
    plan, splits = plan_of(sqlite_lab), Splits()
    plain = build(plan, splits, {}).step.state_dict()
    for unasked in (1, 5000, 1 << 24):
        state = torch.random.get_rng_state()
        measured = build(plan, splits, {}, room=Room(plan, CPU, unasked=unasked)).step.state_dict()
        assert torch.equal(torch.random.get_rng_state(), state)
        assert measured.keys() == plain.keys()
        assert all(torch.equal(measured[name], x) for name, x in plain.items())


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: torch.empty(10, 10), 100),
        (lambda: torch.zeros((10, 10)), 100),
        (lambda: torch.ones(size=(10, 10)), 100),
        (lambda: torch.randn(10, 10), 100),
        (lambda: torch.full((10, 10), 3.0), 100),
        (lambda: torch.nn.Linear(9, 10), 100),
        (lambda: torch.nn.Embedding(10, 10), 100),
        (lambda: torch.nn.Conv2d(1, 10, 3), 100),
        (lambda: [torch.rand(5, 10) for _ in range(2)], 100),
    ],
)
def test_a_component_is_small_by_the_numbers_that_it_asks_for(
    sqlite_lab: Lab, make: Callable[[], object], count: int
) -> None:
    plan = plan_of(sqlite_lab)
    for unasked, is_made in ((count, True), (count - 1, False)):
        times = list[int]()

        def counted() -> object:
            times.append(1)  # noqa: B023
            return make()

        Room(plan, CPU, unasked=unasked).making("fusion", plan.fusion, counted)
        assert len(times) == (1 if is_made else 3)  # given up, measured, and made


def test_encoders_are_not_made_to_meet_a_budget_where_they_do_not_fit(sqlite_lab: Lab) -> None:
    """How wide the fusion may be is known for encoders that are there."""
    sweep = '[sweep]\nmatch = "parameters"\nbudget = 5000\n'
    fusion = '[fusion]\nuse = "concat"\n\n[head]\nuse = "linear"\n'
    spec = sqlite_lab.write("budget", (EMOJI, ENORMOUS, fusion, LOSS, TRAIN, CLASSIFICATION, sweep))
    (outcome,) = sqlite_lab.run(spec)
    assert outcome.error is not None
    assert "encoders.image: there is too little memory" in outcome.error


# --- what is free -----------------------------------------------------------------------------


def test_a_limit_of_the_address_space_counts() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 50_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        assert 30_000_000 < free_bytes(CPU) <= 50_000_000
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert free_bytes(CPU) > 50_000_000


def group(folder: Path, *, version: int, most: str, taken: int, cache: int = 0) -> None:
    """A control group with these figures, `cache` of them the files' that are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        2: ("memory.max", "memory.current", ""),
    }
    limit, used, prefix = names[version]
    (folder / limit).write_text(f"{most}\n")
    (folder / used).write_text(f"{taken}\n")
    facts = f"anon 5\n{prefix}inactive_file {cache}\n{prefix}active_file {cache}\n"
    (folder / "memory.stat").write_text(facts)


@pytest.mark.parametrize("version", [1, 2])
def test_limits_of_all_control_groups_around_us_count(tmp_path: Path, version: int) -> None:
    mount, own = tmp_path / "cgroup", tmp_path / "own"
    root = mount / "memory" if version == 1 else mount
    own.write_text(
        "3:cpu,cpuacct:/job\n" + ("4:memory:/job/step\n" if version == 1 else "0::/job/step")
    )
    group(root, version=version, most="max", taken=10**9)
    group(root / "job", version=version, most="1000", taken=400, cache=50)
    group(root / "job" / "step", version=version, most="9000", taken=300)
    assert sorted(control_group_rooms(mount, own)) == [700, 8700]


@pytest.mark.parametrize("text", ["", "0::/\n", "no such line\n", "0::/elsewhere/../..\n"])
def test_where_no_group_has_a_limit_nothing_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "own").write_text(text)
    assert list(control_group_rooms(tmp_path / "cgroup", tmp_path / "own")) == []
    assert list(control_group_rooms(tmp_path / "cgroup", tmp_path / "none")) == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_memory_that_is_taken_on_a_gpu_is_not_free_and_what_is_given_back_is() -> None:
    device = torch.device("cuda:0")
    before = free_bytes(device)
    taken = torch.empty(2**28, device=device, dtype=torch.uint8)
    assert before - free_bytes(device) >= 2**28
    del taken
    assert abs(free_bytes(device) - before) < 2**26
