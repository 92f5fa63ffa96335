"""`--set PATH=VALUE`: what it sets, and faults that point into the override."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.specs import change, refuse, write

from mmlab.errors import SpecError
from mmlab.spec import load_spec


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("train.epochs=9", ("train", "epochs"), 9),
        ("train.lr=1e-4", ("train", "lr"), 1e-4),
        ("fusion.use=gating", ("fusion", "use"), "gating"),
        ('fusion.use="gating"', ("fusion", "use"), "gating"),
        ('fusion={use="gating", dim=3}', ("fusion", "dim"), 3),
        ("losses.0.weight=2", ("losses", 0, "weight"), 2),
        ('encoders."text".width = 8', ("encoders", "text", "width"), 8),
        ("dataset.note=a=b c", ("dataset", "note"), "a=b c"),
        ("dataset.note=", ("dataset", "note"), ""),
        ("meta.note=hello", ("meta", "note"), "hello"),
        ("sweep.seeds=[1, 2]", ("sweep", "seeds"), [1, 2]),
        ('sweep.axes={"train.lr"=[1]}', ("sweep", "axes", "train.lr", 0), 1),
        ("dataset.day=2024-05-01", ("dataset", "day"), "2024-05-01"),
    ],
)
def test_an_override_sets_one_value(
    tmp_path: Path, override: str, path: tuple[str | int, ...], expected: object
) -> None:
    found = load_spec(write(tmp_path), [override]).document.look_up(path)
    assert str(found) == str(expected)
    assert type(found).__name__ in (type(expected).__name__, "date")


def test_later_overrides_win(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path), ["train.epochs=3", "train.epochs=4"]).spec
    assert spec.train is not None
    assert spec.train.epochs == 4


@pytest.mark.parametrize(
    ("override", "report"),
    [
        ("train.epoch=9", "--set #1, column 1: train.epoch: unknown key (did you mean"),
        ("trian.lr=1", '--set #1, column 1: trian: there is no such table (did you mean "train"?)'),
        ("encoders.imag.width=1", "--set #1, column 1: encoders.imag: there is no such table"),
        ("head.use.x=1", "--set #1, column 1: head.use: is not a table"),
        ("losses.3.weight=1", "--set #1, column 1: losses.3: there is no such element"),
        ("losses.first.weight=1", "--set #1, column 1: losses.first: there is no such element"),
        ("train.lr=fast", "--set #1, column 10: train.lr: wrong type"),
        ("sweep.seeds = [0, -1]", "--set #1, column 19: sweep.seeds.1: out of range"),
        ("train.betas=[0, 0.9]", "--set #1, column 1: train.betas: unknown key: this is train."),
        ("train.optimizer.betas=[0, 1]", "--set #1, column 23: train.optimizer.use: missing"),
        ("train = {lr = 1}", "--set #1, column 9: train.batch_size: missing"),
        ("dataset.a={b=[1, nan]}", "--set #1, column 18: dataset.a.b.1: not a finite number"),
        ("extends=[]", "--set #1, column 1: extends: files are joined before"),
        ("train.lr", "--set #1, column 1: an override is PATH=VALUE"),
        ("=3", "--set #1, column 1: an override is PATH=VALUE"),
        ("", "--set #1: an override is PATH=VALUE"),
        ("a b=3", "--set #1, column 1: an override is PATH=VALUE"),
        ("dataset.a=" + "[" * 50, "--set #1, column 11: tables and arrays are nested too deeply"),
        ("dataset.a=\udcff", "--set #1, column 11: dataset.a: holds a character"),
        (".".join("a" * 50) + "=1", "--set #1, column 1: an override is PATH=VALUE"),
    ],
)
def test_a_fault_of_an_override_points_into_it(tmp_path: Path, override: str, report: str) -> None:
    assert refuse(write(tmp_path), override).startswith(report)


def test_faults_of_overrides_come_by_number_and_with_those_of_the_file(tmp_path: Path) -> None:
    path = change(tmp_path, "batch_size = 8", "batch_size = 0")
    message = refuse(path, "train.lr=-1", "trian.lr=1", "train.x=1")
    starts = [line.split(", ")[0] for line in message.splitlines() if line.startswith("--set")]
    assert starts == ["--set #1", "--set #2", "--set #3"]
    assert message.split("\n\n")[-1].startswith(f"{path}:27:14: train.batch_size")


@given(st.text(max_size=30))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_override_escapes_as_another_error(tmp_path: Path, override: str) -> None:
    path = write(tmp_path)
    with suppress(SpecError):
        load_spec(path, [override])
