"""From specs to rows: what is run, what is skipped, and what is kept when something goes wrong."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support.lab import (
    CLASSIFICATION,
    ENCODERS,
    PAIRED,
    RETRIEVAL,
    TOY,
    ZERO_SHOT,
    Lab,
    Shown,
    child_environment,
    here,
)
from support.stopped import expire_leases

from mmlab.errors import SpecError
from mmlab.runner.runner import run_specs
from mmlab.store.tables import metrics


def test_one_spec_becomes_one_done_run(lab: Lab) -> None:
    detail = lab.run_one(lab.write("toy"))
    assert (detail.run.status, detail.run.experiment, detail.run.seed) == ("done", "toy", 0)
    assert [attempt.outcome for attempt in detail.attempts] == ["ok"]
    (evaluation,) = detail.evaluations
    assert 0 <= evaluation.metrics["top1"] <= 1
    assert evaluation.sample_count == 24


def test_a_second_run_trains_nothing_and_adds_no_row(lab: Lab) -> None:
    spec, script = lab.write("toy"), lab.script()
    assert lab.statuses(spec, script) == ["done"]
    before, steps = lab.kept(), lab.trained_steps
    assert lab.statuses(spec, script) == ["skipped"]
    assert lab.kept() == before
    assert lab.trained_steps == steps == 6


def test_a_sweep_gives_a_run_for_every_cell(lab: Lab) -> None:
    sweep = '[sweep]\nseeds = [0, 1]\n[sweep.axes]\n"fusion.dim" = [4, 8]\n'
    spec = lab.write("toy", TOY, sweep)
    assert lab.statuses(spec) == ["done"] * 4
    assert lab.statuses(spec) == ["skipped"] * 4
    with lab.store() as store:
        rows = store.runs()
    assert {(row.cell, row.seed) for row in rows} == {
        (cell, seed) for cell in ("fusion.dim=4", "fusion.dim=8") for seed in (0, 1)
    }
    assert len({row.group_hash for row in rows}) == 2


def test_rerun_makes_a_new_replicate_with_equal_results(lab: Lab) -> None:
    spec = lab.write("toy")
    first, second = lab.run_one(spec), lab.run_one(spec, rerun=True)
    assert [first.run.replicate, second.run.replicate] == [0, 1]
    assert first.run.train_hash == second.run.train_hash
    assert first.evaluations[0].metrics == second.evaluations[0].metrics
    assert lab.statuses(spec) == ["skipped"]


def test_a_command_tells_once_how_its_data_were_read(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy", TOY, "[sweep]\nseeds = [0, 1]\n")
    sqlite_lab.run(spec, 'dataset.notes=["age: numbers", "{split}: read"]')
    told = [note for note in sqlite_lab.shown.notes if note.endswith((": numbers", ": read"))]
    assert told == ["age: numbers", "train: read", "validation: read", "test: read"]


@pytest.mark.parametrize("setting", ["emit_every = 3", "workers = 1"])
def test_what_changes_no_number_reruns_nothing(sqlite_lab: Lab, setting: str) -> None:
    spec = sqlite_lab.write("toy")
    assert sqlite_lab.statuses(spec) == ["done"]
    assert sqlite_lab.statuses(spec, f"train.{setting}") == ["skipped"]


def test_workers_change_no_number(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy")
    alone = sqlite_lab.run_one(spec)
    shared = sqlite_lab.run_one(spec, "train.workers=2", rerun=True)
    assert alone.evaluations[0].metrics == shared.evaluations[0].metrics
    assert alone.artifacts[0].sha256 == shared.artifacts[0].sha256


def test_an_added_evaluation_is_evaluated_without_training(lab: Lab) -> None:
    tables = (*PAIRED[:3], '[head]\nuse = "linear"\n', *TOY[3:5])
    zero_shot, script = ZERO_SHOT + "scale = 10.0\n", lab.script()
    lab.run_one(lab.write("pairs", tables, zero_shot), script)
    steps = lab.trained_steps
    more = lab.write("pairs", tables, zero_shot, RETRIEVAL, CLASSIFICATION)
    assert lab.statuses(more, script) == ["evaluated"]
    assert lab.trained_steps == steps
    added = {e.name: e for e in lab.detail("pairs").evaluations}
    assert lab.row_counts()["runs"] == 1
    at_once = lab.run_one(more, script, rerun=True)
    for evaluation in at_once.evaluations:
        if not evaluation.condition:
            assert added[evaluation.name].metrics == evaluation.metrics
            assert added[evaluation.name].step == evaluation.step
    assert lab.statuses(more, script) == ["skipped"]


def test_an_evaluation_that_cannot_be_added_leaves_the_run_as_it_was(lab: Lab) -> None:
    lab.run_one(lab.write("toy"))
    before = lab.kept()
    dataset = f'[evaluate.dataset]\nuse = "clusters"\nscript = "{lab.folder}/missing"\n'
    named = CLASSIFICATION + 'name = "other"\n' + dataset
    broken, fine = lab.write("toy", TOY, named), lab.write("fine", PAIRED)
    assert lab.statuses(broken) == ["failed"]
    assert lab.kept() == before
    assert lab.statuses([broken, fine]) == ["failed", "done"]


def test_a_component_that_raises_fails_its_cell_alone(lab: Lab) -> None:
    tables = (*TOY[:3], TOY[3] + f'script = "{lab.folder / "script"}"\n', *TOY[4:])
    lab.script("2 raise")
    outcomes = lab.run([lab.write("toy", tables), lab.write("pairs", PAIRED)])
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    detail = lab.detail("toy")
    assert detail.run.status == "failed"
    assert "toys-mmlab 1.0: ValueError was raised" in (detail.run.error or "")
    (attempt,) = detail.attempts
    assert attempt.outcome == "error"
    assert "in _obey" in (attempt.traceback or "")
    assert "this loss has had enough" in (attempt.traceback or "")
    assert "in _obey" in (outcomes[0].error or "")
    assert detail.evaluations == []


def test_the_cells_after_a_failed_one_go_on_unless_told_to_stop(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy", TOY, "[sweep]\nseeds = [0, 1, 2]\n")
    script = sqlite_lab.script("1 raise")
    assert sqlite_lab.statuses(spec, script) == ["failed"] * 3
    assert sqlite_lab.statuses(spec, script, fail_fast=True) == ["failed", "queued", "queued"]


def test_a_failed_cell_is_tried_again(lab: Lab) -> None:
    spec, script = lab.write("toy"), lab.script("4 raise")
    assert lab.statuses(spec, script) == ["failed"]
    lab.script("")
    assert lab.statuses(spec, script) == ["done"]
    detail = lab.detail("toy")
    assert [attempt.outcome for attempt in detail.attempts] == ["error", "ok"]
    assert (detail.run.status, detail.run.error) == ("done", None)
    assert lab.row_counts()["runs"] == 1


def test_a_dataset_that_cannot_be_made_fails_its_cells_alone(lab: Lab) -> None:
    (lab.folder / "edition").write_text("raise")
    tables = [DATASET_OF.format(lab.folder / "edition"), *TOY[1:]]
    outcomes = lab.run([lab.write("broken", tables), lab.write("toy")])
    assert [outcome.status for outcome in outcomes] == ["failed", "done"]
    assert "the disk of this dataset has gone away" in (outcomes[0].error or "")
    assert lab.row_counts()["runs"] == 1


DATASET_OF = '[dataset]\nuse = "clusters"\nscript = "{}"\n'


@pytest.mark.parametrize(("word", "outcome"), [("exit", "error"), ("memory", "oom")])
def test_the_outcome_says_how_a_run_failed(sqlite_lab: Lab, word: str, outcome: str) -> None:
    spec, script = sqlite_lab.write("toy"), sqlite_lab.script(f"2 {word}")
    assert sqlite_lab.statuses(spec, script) == ["failed"]
    (attempt,) = sqlite_lab.detail("toy").attempts
    assert attempt.outcome == outcome


def test_a_loss_that_is_not_finite_fails_the_run_with_its_step(lab: Lab) -> None:
    spec, script = lab.write("toy"), lab.script("5 nan")
    (outcome,) = lab.run(spec, script)
    assert outcome.status == "failed"
    assert "Traceback" not in (outcome.error or "")
    (attempt,) = lab.detail("toy").attempts
    assert attempt.outcome == "nan"
    message = attempt.message or ""
    assert "training step 5: the loss or its gradient is not finite" in message
    assert "last finite values: loss " in message
    with lab.store() as store:
        steps = store.frame(select(func.max(metrics.c.step).label("step")))["step"]
    assert steps.to_list() == [4]


def test_an_interrupted_run_goes_back_to_the_queue_and_is_done_next_time(lab: Lab) -> None:
    spec, script = lab.write("toy"), lab.script("4 interrupt")
    with pytest.raises(KeyboardInterrupt):
        lab.run(spec, script)
    detail = lab.detail("toy")
    assert detail.run.status == "queued"
    assert [attempt.outcome for attempt in detail.attempts] == ["interrupted"]
    assert detail.run.is_interrupted
    lab.script("")
    assert lab.statuses(spec, script) == ["done"]
    assert not lab.detail("toy").run.is_interrupted


def test_a_run_of_a_living_process_is_left_alone(lab: Lab) -> None:
    spec = lab.write("toy")
    with pytest.raises(KeyboardInterrupt):
        lab.run(spec, lab.script("1 interrupt"))
    with lab.store() as store:
        (row,) = store.runs()
        assert store.claim(row.run_id, "another", 60) is not None
    before = lab.kept()
    (held,) = lab.run(spec, f'losses.0.script="{lab.folder / "script"}"', waits=False)
    assert held.status == "held"
    expected = r"toy seed=0: another process has its run; .* free at \d\d:\d\d:\d\d at the latest"
    assert re.fullmatch(expected, str(held.error))
    assert lab.kept() == before


@dataclass
class Freeing(Shown):
    """Whoever holds runs is gone as soon as somebody waits for them."""

    db: str = ""

    def note(self, text: str) -> None:
        super().note(text)
        if "held by others" in text:
            expire_leases(self.db)


def test_whoever_waits_for_a_run_of_another_process_says_until_when(sqlite_lab: Lab) -> None:
    lab, spec = sqlite_lab, sqlite_lab.write("toy")
    with pytest.raises(KeyboardInterrupt):
        lab.run(spec, lab.script("1 interrupt"))
    with lab.store() as store:
        (row,) = store.runs()
        assert store.claim(row.run_id, "another", 600) is not None
    display = Freeing(db=lab.db)
    (outcome,) = run_specs([spec], here(lab.db, lab.script()), display)
    assert outcome.status == "done"
    (told,) = (note for note in display.notes if "held by others" in note)
    assert re.search(r"^1 cell is held by others: .* free at \d\d:\d\d:\d\d at the latest$", told)


CHILD = """
import sys
from support.lab import Lab
from pathlib import Path
lab = Lab(Path(sys.argv[1]), sys.argv[2])
print(lab.statuses(Path(sys.argv[3]), *sys.argv[4:-1], lease_seconds=float(sys.argv[-1])))
"""


def start(lab: Lab, spec: Path, *overrides: str, lease_seconds: float) -> subprocess.Popen[str]:
    """Another process that runs a spec and prints its outcomes."""
    arguments = [str(lab.folder), lab.db, str(spec), *overrides, str(lease_seconds)]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments],
        env=child_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_half_and_is_retried_after_its_lease(lab: Lab) -> None:
    spec, script = lab.write("toy"), lab.script("4 sleep")
    length = "train.epochs=20"
    with start(lab, spec, script, length, lease_seconds=4) as process:
        _wait_for_steps(lab, 8)
        process.kill()
    detail = lab.detail("toy")
    assert (detail.run.status, detail.evaluations, detail.artifacts) == ("running", [], [])
    lab.script("")
    (held,) = lab.run(spec, script, length, lease_seconds=4, waits=False)
    assert held.status == "held"
    assert re.match(r"toy seed=0: another process has it; .* free at \d\d:\d\d", str(held.error))
    assert lab.statuses(spec, script, length, lease_seconds=4) == ["done"]  # waits for the lease
    detail = lab.detail("toy")
    assert [attempt.outcome for attempt in detail.attempts] == ["lost", "ok"]
    assert detail.run.fence == 2


def _wait_for_steps(lab: Lab, count: int) -> None:
    deadline = time.monotonic() + 30
    while lab.trained_steps < count:
        assert time.monotonic() < deadline, "no training began"
        time.sleep(0.05)


def test_a_faulty_spec_stops_the_command_before_anything_is_written(sqlite_lab: Lab) -> None:
    before = sqlite_lab.dump()
    broken = sqlite_lab.write("broken", [*TOY[:4], "[train]\nepohcs = 2\nbatch_size = 8\n"])
    with pytest.raises(SpecError, match="epohcs"):
        sqlite_lab.run([sqlite_lab.write("toy"), broken])
    assert sqlite_lab.dump() == before


#: The text encoder learns words of which it reads few.
FEW_WORDS = ENCODERS.replace(
    '[encoders.text]\nuse = "toy"',
    '[encoders.text]\nuse = "transformer"\nlength = 5\nwidth = 8\nheads = 2\ndepth = 1',
)


def test_prompts_cut_before_their_label_fail_before_training(sqlite_lab: Lab) -> None:
    tables = [FEW_WORDS if table is ENCODERS else table for table in PAIRED]
    spec = sqlite_lab.write("cut", tables, 'templates = ["one two three four {}"]')
    (outcome,) = sqlite_lab.run(spec)
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert "4 labels, 'red 🟥', 'green\\'s \"x\"', '<b>blue</b>' and 1 more" in outcome.error
    assert sqlite_lab.shown.progressed == []


def test_what_an_encoder_cannot_read_is_said_once(sqlite_lab: Lab) -> None:
    tables = [FEW_WORDS if table is ENCODERS else table for table in PAIRED]
    spec = sqlite_lab.write("few", tables, 'templates = ["{}"]', "[sweep]\nseeds = [0, 1]\n")
    assert sqlite_lab.statuses(spec) == ["done", "done"]
    cut = "encoders.text reads 5 ids of a text: 16 of 24 texts, 67%, are longer, up to 11, and cut"
    assert [note for note in sqlite_lab.shown.notes if "encoders.text reads" in note] == [cut]
