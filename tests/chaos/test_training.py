"""Commands that train, or their children, are killed at random: the numbers are the same."""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from support.chaos.commands import Commands, commands, marked, wait_until
from support.chaos.verdict import rows_of
from support.lab import TOY, TRAIN, Lab, Shown, here

from mmlab.runner.runner import run_specs

pytestmark = pytest.mark.slow

CELLS, KILLS = 4, 10
IS_LONG = os.environ.get("MMLAB_CHAOS") == "long"
#: Two loader workers would be four processes more to start; one shows whether any is left.
SLOW_TRAIN = TRAIN.replace("epochs = 2", "epochs = 8") + "checkpoint_every = 2\nworkers = 1\n"
#: Curves that say how fast it went.
_CLOCKS = ("samples_per_second", "seconds")


def spec_of(lab: Lab) -> Path:
    tables = [SLOW_TRAIN if table == TRAIN else table for table in TOY]
    return lab.write("toy", tables, f"[sweep]\nseeds = {[*range(CELLS)]}\n")


def numbers(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All that runs have left, apart from how long they took."""
    rows = rows_of(url)
    rows["curves"] = [r for r in rows["curves"] if not str(r[1]).endswith(_CLOCKS)]
    rows["runs"] = [(*r[:-2], r[-1]) for r in rows["runs"]]
    return rows


class Storm:
    """What kills commands and their children, at random."""

    def __init__(self, group: Commands, seed: int) -> None:
        self.group = group
        self.random = random.Random(seed)
        self.asked: dict[int, tuple[object, ...]] = {}

    def start(self, *arguments: object) -> None:
        """Start a command that is started again whenever it is killed."""
        self.asked[self.group.start(*arguments).pid] = arguments

    def strike(self, blow: str) -> None:
        """Kill a child, a template or a command, some time after something is executed."""
        group = self.group
        assert wait_until(group.children, 120), group.said
        time.sleep(self.random.uniform(0.1, 1.0))
        if blow == "command":
            victim = self.random.choice(group.living())
            victim.kill()
            victim.wait()
            self.start(*self.asked[victim.pid])
        elif found := group.children() if blow == "child" else group.templates():
            with suppress(ProcessLookupError):
                os.kill(self.random.choice(found).number, signal.SIGKILL)


def test_whoever_is_killed_each_cell_is_done_once_and_with_the_same_numbers(
    lab: Lab, tmp_path: Path
) -> None:
    if not IS_LONG and lab.db.startswith("postgresql"):
        pytest.skip("make chaos tries it on Postgres too")
    spec, script = spec_of(lab), lab.script()
    (tmp_path / "undisturbed").mkdir()
    undisturbed = f"sqlite:///{tmp_path / 'undisturbed' / 'mmlab.db'}"
    outcomes = run_specs([spec], here(undisturbed, script), Shown())
    assert {one.status for one in outcomes} == {"done"}
    lab.script("1 sleep")

    blows = ["child"] * (KILLS - 3) + ["command", "command", "template"]
    with commands(lab, uuid.uuid4().hex) as group:
        storm = Storm(group, seed=1)
        storm.random.shuffle(blows)
        storm.start("run", spec.name, "--set", script)
        storm.start("work", "--forever")
        for blow in blows:
            storm.strike(blow)
        lab.script()  # the rest goes fast
        run, worker = (
            one for verb in ("run", "work") for one in group.living() if verb in one.args
        )
        assert run.wait(120) == 0, group.said
        worker.terminate()
        assert worker.wait(60) == 75, group.said
        assert wait_until(lambda: not marked(group.mark), 10), marked(group.mark)
    assert numbers(lab.db) == numbers(undisturbed)
    with lab.store() as store:
        details = [store.run_detail(run_id) for run_id in store.run_statuses()]
    ends = [attempt.outcome for one in details for attempt in one.attempts]
    assert ends.count("ok") == CELLS
    assert set(ends) <= {"ok", "died", "lost"}
    assert len(ends) > CELLS, "it has met nobody at work"
