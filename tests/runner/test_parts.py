"""Evaluations that are kept in parts: equal to the bit, and a killed process costs one part."""

from __future__ import annotations

import datetime
import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pytest
import torch
from sqlalchemy import Update, create_engine, update
from support import slow_data
from support.lab import ENCODERS, PAIRED, TOY, Lab, child_environment, here, install
from support.stopped import left, twin
from torch import Tensor

from mmlab.errors import RunError
from mmlab.evaluate import label_features, subject
from mmlab.evaluate.subject import Piece
from mmlab.plugin import Boxes, Sample
from mmlab.runner import keeper, kept_encode, parts, score
from mmlab.runner.evaluate_more import evaluate_runs
from mmlab.runner.garbage import delete, find_features, find_parts
from mmlab.store import Evaluating, Part
from mmlab.store.address import parse_address
from mmlab.store.tables import evaluation_parts, queue, runs

SLOW = '[dataset]\nuse = "slow"\ncount = 56\ncaptions = 2\n'
#: 56 samples in batches of 8, and 112 captions in batches of 16: seven of each.
TRAINED = (
    SLOW,
    ENCODERS,
    PAIRED[2],
    '[head]\nuse = "linear"\n',
    TOY[3],
    PAIRED[3],
    "[train]\nepochs = 2\nbatch_size = 8\nlr = 0.01\n",
)
ASKED = {
    "classification": "cards = 0\n",
    "zero_shot": "cards = 0\nscale = 100\n",
    "retrieval": 'cards = 0\nprefix = "a "\n',
    "prompts": "scale = 100\n",
    "regression": "",
    "linear_probe": "cards = 0\npenalty = 1.0\n",
    "few_shot": "shots = [1, 2]\nseeds = [0, 1]\npenalty = 1.0\n",
    "missing_modality": "noise_levels = [0.5]\n",
}
LABELLED = [name for name in ASKED if name != "regression"]
#: A thing, and a crowd whose outline covers less than its box.
BOXES = Boxes(
    ((0.0, 1.5, math.pi, 8.0), (2.0, 2.0, 5.0, 4.0)),
    (2, 0),
    crowd=(False, True),
    difficult=(True, False),
    areas=(0.1, 5.25),
)
#: 448 samples in batches of 64: seven.
UNTRAINED = (SLOW.replace("56", "448"), ENCODERS, PAIRED[2])
#: What is trained to predict how many letters a text has.
NUMBERS = (
    '[dataset]\nuse = "manifest"\npath = "rows.jsonl"\ntext_columns = ["text"]\n'
    'split_column = "part"\ntarget_columns = ["count"]\n',
    '[encoders.text]\nuse = "toy"\n',
    '[fusion]\nuse = "concat"\ndim = 8\n',
    '[head]\nuse = "linear"\n',
    '[[losses]]\nuse = "mse"\n',
    "[train]\nepochs = 1\nbatch_size = 8\n",
)


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tmp_path / "slow", "slow_data")
    monkeypatch.setattr(subject, "RAW_BATCH_SIZE", 16)
    monkeypatch.setattr(label_features, "PROMPTS_AT_ONCE", 2)
    monkeypatch.setenv(slow_data.LOG, str(tmp_path / "log"))


def asking(*names: str, size: int | None = None) -> list[str]:
    """Tables of evaluations, with parts of so many samples."""
    more = f"part_size = {size}\n" if size else ""
    return [f'[[evaluate]]\nuse = "{name}"\n{ASKED[name]}{more}' for name in names]


def stop_at(
    lab: Lab, spec: Path, sample: int, monkeypatch: pytest.MonkeyPatch, *overrides: str
) -> None:
    """Run a spec until a sample is read."""
    with monkeypatch.context() as patched:
        patched.setenv(slow_data.STOP, str(sample))
        with pytest.raises(KeyboardInterrupt):
            lab.run(spec, *overrides)
    clear_log()


def clear_log() -> None:
    Path(os.environ[slow_data.LOG]).write_text("")


def read_samples() -> list[int]:
    """The samples of the test split that were read since the log was cleared.

    Without the first two, at which building and counting costs look too.
    """
    lines = Path(os.environ[slow_data.LOG]).read_text().split()
    return [int(line) for line in lines if int(line) > 1]


def files(lab: Lab) -> list[Path]:
    """The files of parts."""
    return sorted(path for path in lab.runs.glob("*/parts/*/*") if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 2])
def test_two_and_seven_parts_give_what_one_gives(
    sqlite_lab: Lab, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = twin(sqlite_lab, "stopped")
    whole = sqlite_lab.run_one(sqlite_lab.write("cell", TRAINED, *asking(*LABELLED)))
    assert {e.evaluator for e in whole.evaluations} == set(LABELLED)
    spec = other.write("cell", TRAINED, *asking(*LABELLED, size=size))
    stop_at(other, spec, 40, monkeypatch)
    assert len(files(other)) == {32: 1, 2: 5}[size]
    other.run_one(spec)
    kept = {32: 32, 2: 40}[size]
    assert f"evaluate.classification: goes on, {kept} of 56 are kept (test)" in other.shown.notes
    assert left(other) == left(sqlite_lab)
    assert files(other) == []
    assert not list(other.runs.glob("*/parts"))


@pytest.mark.slow
def test_a_training_that_took_long_is_not_repeated_for_its_evaluation(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "LAST_SECONDS", 0.0)
    monkeypatch.setattr(keeper, "LAST", 0.0)
    other = twin(sqlite_lab, "stopped")
    more = ("train.epochs=9", "train.ema=0.5", "train.patience=2", "train.best=zero_shot/top1")
    tables = (*TRAINED, *asking("zero_shot", "classification"))
    sqlite_lab.run_one(sqlite_lab.write("cell", tables), *more)
    spec = other.write("cell", tables)
    stop_at(other, spec, 40, monkeypatch, *more)
    detail = other.run_one(spec, *more)
    (said,) = [note for note in other.shown.notes if note.startswith("goes on from")]
    steps = max(point.step for shown in sqlite_lab.shown.progressed for point in shown.points)
    assert said == f"goes on from step {steps} of 63"
    assert steps < 63
    assert [a.outcome for a in detail.attempts] == ["interrupted", "ok"]
    assert left(other) == left(sqlite_lab)


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["command", "child"])
def test_a_killed_process_costs_one_part(
    sqlite_lab: Lab, killed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = twin(sqlite_lab, "killed")
    tables = (*UNTRAINED, *asking("retrieval", size=64))
    sqlite_lab.run_one(sqlite_lab.write("cell", tables))
    spec = other.write("cell", tables)
    clear_log()
    monkeypatch.setenv(slow_data.SECONDS, "0.002")
    with command(other, "run", spec) as process:
        wait_for(lambda: len(files(other)) >= 3)
        victim = process.pid if killed == "command" else last_descendant(process.pid)
        os.kill(victim, SIGKILL)
        said = process.communicate()[1]
    if killed == "command":
        assert other.row_counts()["evaluations"] == 0
        expire_leases(other.db)
        other.run_one(spec)
        said = "\n".join(other.shown.notes)
    found = re.search(r"goes on, (\d+) of 448 are kept", said)
    assert found is not None, (said, process.returncode)
    kept, samples = int(found[1]), read_samples()
    assert kept in (128, 192, 256)
    assert samples[-448 + kept :] == list(range(kept, 448))
    assert len(samples) < 448 + 128
    outcomes = [a.outcome for a in other.detail("@last").attempts]
    assert outcomes == ["lost" if killed == "command" else "died", "ok"]
    assert left(other) == left(sqlite_lab)
    assert files(other) == []


def last_descendant(pid: int) -> int:
    """The child of the template that a command has started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    while children := [child for child, parent in parents.items() if parent == pid]:
        pid = max(children)
    return pid


def command(lab: Lab, *words: str | Path) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "mmlab", *words, "--db", lab.db, "--device", "cpu"],
        env={**child_environment(), "MMLAB_IN_PROCESS": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.005)


def expire_leases(db: str) -> None:
    """All that a killed process held is free."""
    past = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
    change(db, update(runs).where(runs.c.status == "running").values(lease_until=past))
    for table in (queue, evaluation_parts):
        under_way = table.c.status == "running"
        change(db, update(table).where(under_way).values(lease_until=past))


def change(db: str, statement: Update) -> None:
    engine = create_engine(parse_address(db).url)
    with engine.begin() as connection:
        connection.execute(statement)
    engine.dispose()


def test_what_is_short_has_neither_file_nor_row(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = sqlite_lab.write("cell", (*UNTRAINED, *asking("retrieval", size=448)))
    stop_at(sqlite_lab, spec, 447, monkeypatch)
    assert sqlite_lab.row_counts()["evaluation_parts"] == 0
    assert not list(sqlite_lab.runs.glob("*/parts"))


def test_by_default_a_part_is_what_takes_so_long(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_encode, "PART_SECONDS", 0.0)
    other = twin(sqlite_lab, "stopped")
    tables = (*UNTRAINED, *asking("retrieval"))
    sqlite_lab.run_one(sqlite_lab.write("cell", tables))
    spec = other.write("cell", tables)
    stop_at(other, spec, 240, monkeypatch)
    assert len(files(other)) == 3
    other.run_one(spec)
    assert read_samples() == list(range(192, 448))
    assert left(other) == left(sqlite_lab)


def interrupted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec of which five parts were made."""
    spec = lab.write("cell", (*UNTRAINED, *asking("retrieval", size=64)))
    stop_at(lab, spec, 360, monkeypatch)
    assert len(files(lab)) == 5
    return spec


def undisturbed(lab: Lab) -> dict[str, Sequence[object]]:
    lab.run_one(lab.write("cell", (*UNTRAINED, *asking("retrieval"))))
    return left(lab)


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_part_is_set_aside_and_made_again(
    sqlite_lab: Lab, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = undisturbed(twin(sqlite_lab, "whole"))
    spec = interrupted(sqlite_lab, monkeypatch)
    (path,) = [path for path in files(sqlite_lab) if "000000000128" in path.name]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flipped" else content[:100])
    sqlite_lab.run_one(spec)
    assert read_samples() == [*range(128, 192), *range(320, 448)]
    assert any("a part is made again" in note for note in sqlite_lab.shown.notes)
    assert left(sqlite_lab) == expected


def test_parts_of_other_weights_are_made_again(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = undisturbed(twin(sqlite_lab, "whole"))
    spec = interrupted(sqlite_lab, monkeypatch)
    own = "retrieval: 6 parts are made again, with the weights, the device and the code of now"
    shaken = {"weights": "others"}
    describe = score.describe_model
    with monkeypatch.context() as patched:
        patched.setattr(score, "describe_model", lambda *given: {**describe(*given), **shaken})
        stop_at(sqlite_lab, spec, 360, monkeypatch)
    assert f"evaluate.{own}" in sqlite_lab.shown.notes
    sqlite_lab.run_one(spec)
    assert sqlite_lab.shown.notes.count(f"evaluate.{own}") == 2
    assert read_samples() == list(range(2, 448))
    assert left(sqlite_lab) == expected


def test_a_frozen_process_that_comes_back_writes_no_part(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = sqlite_lab.write("cell", (*UNTRAINED, *asking("retrieval", size=64)))
    save, saved = parts.save_weights, list[Path]()

    def slow_save(path: Path, tensors: Mapping[str, Tensor]) -> str:
        saved.append(path)
        if len(saved) == 3:  # meanwhile another process has taken the run over
            taken = {"worker": "thief", "fence": runs.c.fence + 1}
            change(sqlite_lab.db, update(runs).values(taken))
        return save(path, tensors)

    monkeypatch.setattr(parts, "save_weights", slow_save)
    (outcome,) = sqlite_lab.run(spec)
    assert "no longer holds the run" in (outcome.error or "")
    assert files(sqlite_lab) == sorted(saved[:2])
    rows = sqlite_lab.dump()["evaluation_parts"]
    assert len([row for row in rows if "done" in row]) == 2


def test_a_disk_that_is_full_costs_no_evaluation(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = undisturbed(twin(sqlite_lab, "whole"))
    spec = sqlite_lab.write("cell", (*UNTRAINED, *asking("retrieval", size=64)))

    def full(path: Path, tensors: Mapping[str, Tensor]) -> str:
        raise RunError("no space left", "disk_full")

    monkeypatch.setattr(parts, "save_weights", full)
    sqlite_lab.run_one(spec)
    (told,) = [note for note in sqlite_lab.shown.notes if "a part is not kept" in note]
    assert told.endswith("would have to be made again: no space left")
    assert left(sqlite_lab) == expected


def test_a_finished_run_that_is_asked_more_goes_on_too(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = UNTRAINED
    sqlite_lab.run_one(sqlite_lab.write("cell", tables, *asking("zero_shot")))
    other = twin(sqlite_lab, "stopped")
    other.shown.notes.clear()
    assert ask(sqlite_lab, None) == "evaluated"
    with monkeypatch.context() as patched:
        patched.setenv(slow_data.STOP, "240")
        with pytest.raises(KeyboardInterrupt):
            ask(other, 64)
    assert len(files(other)) == 3
    clear_log()
    assert ask(other, 64) == "evaluated"
    assert read_samples() == list(range(192, 448))
    assert left(other) == left(sqlite_lab)
    assert not list(other.runs.glob("*/parts"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(SIGINT, 130), (SIGTERM, 75)])
def test_who_stops_evaluate_stops_all_that_it_was_to_ask(
    sqlite_lab: Lab, number: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = "[sweep]\nseeds = [0, 1]\n"
    sqlite_lab.run(sqlite_lab.write("cell", (*UNTRAINED, *asking("zero_shot"), seeds)))
    before = sqlite_lab.dump()
    more = sqlite_lab.folder / "more.toml"
    more.write_text("".join(asking("retrieval", size=64)))
    monkeypatch.setenv(slow_data.SECONDS, "0.02")
    with command(sqlite_lab, "evaluate", "cell", more, "--all") as process:
        wait_for(lambda: files(sqlite_lab))
        process.send_signal(number)
        said = process.communicate()[1]
    assert process.returncode == code, said
    assert "the same command asks what is left" in said
    assert "Traceback" not in said
    after = sqlite_lab.dump()
    assert all(after[name] == before[name] for name in ("runs", "evaluations", "metrics"))
    assert len({row[0] for row in after["evaluation_parts"]}) == 1


@pytest.mark.slow
def test_a_component_that_ends_the_process_of_evaluate_is_told_and_the_next_run_is_asked(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, seeds = sqlite_lab, "[sweep]\nseeds = [0, 1]\n"
    lab.run(lab.write("cell", (*UNTRAINED, *asking("zero_shot"), seeds)))
    before, more = lab.dump(), lab.folder / "more.toml"
    more.write_text("".join(asking("retrieval", size=64)))
    monkeypatch.setenv(slow_data.EXIT, "300")
    with command(lab, "evaluate", "cell", more, "--all") as process:
        said = process.communicate()[1]
    assert process.returncode == 1, said
    assert said.count("it died\n  found: exit code 0") == 1
    assert "2 failed" in said
    assert all(lab.dump()[name] == before[name] for name in ("runs", "evaluations", "metrics"))


def ask(lab: Lab, size: int | None) -> str:
    path = lab.folder / "more.toml"
    path.write_text("".join(asking("retrieval", size=size)))
    (outcome,) = evaluate_runs("cell", [path], here(lab.db), lab.shown)
    return outcome.status


def test_how_large_parts_are_is_no_part_of_what_an_evaluation_is(sqlite_lab: Lab) -> None:
    sqlite_lab.run_one(sqlite_lab.write("cell", (*UNTRAINED, *asking("retrieval"))))
    spec = sqlite_lab.write("cell", (*UNTRAINED, *asking("retrieval", size=64)))
    assert sqlite_lab.statuses(spec) == ["skipped"]


@pytest.mark.slow
def test_features_that_are_kept_are_made_in_parts_too(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amid the captions of a sample, for a chunk has five rows."""
    monkeypatch.setattr(kept_encode, "ROWS", 5)
    frozen = ENCODERS.replace('use = "toy"', 'use = "toy"\nfreeze = true')
    tables = (SLOW, frozen, PAIRED[2], *asking("zero_shot", "retrieval"))
    other = twin(sqlite_lab, "stopped")
    sqlite_lab.run_one(sqlite_lab.write("cell", tables))
    monkeypatch.setattr(kept_encode, "PART_SECONDS", 0.0)
    spec = other.write("cell", tables)
    stop_at(other, spec, 45, monkeypatch)
    cache = other.folder / "mmlab-cache"
    assert [found.kind for found in find_features(cache)] == ["features"]
    other.run_one(spec)
    assert read_samples()[0] in range(40, 46)
    assert left(other) == left(sqlite_lab)
    assert contents(other) == contents(sqlite_lab)
    assert not list(cache.glob("*.parts"))


def contents(lab: Lab) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (lab.folder / "mmlab-cache").iterdir()}


@pytest.mark.slow
def test_a_regression_in_parts_is_what_it_is_in_one(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"text": "a" * (i % 7) + "b" * (i % 3), "part": ("train", "test")[i % 2], "count": i % 7}
        for i in range(60)
    ]
    rows[3]["count"] = None
    found = []
    for name, size in (("whole", None), ("stopped", 1)):
        lab = twin(sqlite_lab, name)
        (lab.folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        spec = lab.write("cell", NUMBERS, *asking("regression", size=size))
        if size is not None:
            stop_while_saving(lab, spec, monkeypatch)
        lab.run_one(spec)
        found.append({key: x for key, x in left(lab).items() if key != "summary"})
    assert found[0] == found[1]


def stop_while_saving(lab: Lab, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes amid the second part."""
    save, saved = parts.save_weights, list[Path]()

    def stopped(path: Path, tensors: Mapping[str, Tensor]) -> str:
        saved.append(path)
        if len(saved) == 2:
            raise KeyboardInterrupt
        return save(path, tensors)

    with monkeypatch.context() as patched:
        patched.setattr(parts, "save_weights", stopped)
        with pytest.raises(KeyboardInterrupt):
            lab.run(spec)
    assert files(lab) == saved[:1]


def test_samples_are_read_back_as_they_were() -> None:
    samples = [
        Sample("🦜 1", {"text": ("one", "two"), "image": ()}, (0, 2), (1.5, math.inf)),
        Sample("2", {}, None, (math.pi,)),
        Sample("3", {"text": ("",)}, (), boxes=BOXES),
        Sample("4", {}, (), boxes=Boxes()),
    ]
    pieces = [
        Piece(2, {"x": torch.eye(4)[:2]}, samples[:2]),
        Piece(2, {"x": torch.eye(4)[2:]}, samples[2:]),
    ]
    read = parts._piece(4, parts._tensors(pieces))
    assert list(read.samples) == samples
    assert torch.equal(read.tensors["x"], torch.eye(4))


def test_leftover_parts_are_garbage(sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(sqlite_lab, monkeypatch)
    expire_leases(sqlite_lab.db)
    with sqlite_lab.store() as store:
        assert find_parts(sqlite_lab.runs, store) == []  # it may go on
        values = {"status": "failed", "finished_at": datetime.datetime.now(datetime.UTC)}
        change(sqlite_lab.db, update(runs).values(values))
        (found,) = find_parts(sqlite_lab.runs, store)
        assert (found.kind, found.reason) == ("parts", "a failed run")
        assert found.size_bytes > 1000
        delete(found)
        assert find_parts(sqlite_lab.runs, store) == []
    assert not found.path.parent.exists()


def test_parts_of_a_finished_run_stay_while_somebody_makes_more(sqlite_lab: Lab) -> None:
    detail = sqlite_lab.run_one(sqlite_lab.write("cell", (*UNTRAINED, *asking("zero_shot"))))
    folder = sqlite_lab.runs / detail.run.run_id / "parts" / "0123456789abcdef"
    folder.mkdir(parents=True)
    who = Evaluating(detail.run.run_id, "another", 60)
    with sqlite_lab.store() as store:
        held = store.claim_part(who, Part("more", "test a b", 0, 0, 8))
        assert held is not None
        assert find_parts(sqlite_lab.runs, store) == []
        store.finish_part(who, replace(held, path="path", sha256="0f"))
        (found,) = find_parts(sqlite_lab.runs, store)
    assert found.reason == "a done run"
