"""Sweeps: which cells there are, in which order, what they are called, and faults at the axes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.specs import SPEC, places, refuse, write

from mmlab.spec import Cell, expand, load_spec
from mmlab.spec.faults import Fault
from mmlab.spec.places import render_located

AXES = """
[sweep]
[sweep.axes]
fusion = [{ use = "concat", dim = 8 }, { use = "gating", dim = 8 }]
"train.lr" = [1e-3, 1e-2]
"""


def cells(tmp_path: Path, sweep: str, *overrides: str) -> list[Cell]:
    return expand(load_spec(write(tmp_path, f"{SPEC}\n{sweep}"), overrides))


def rejected(tmp_path: Path, sweep: str) -> str:
    return refuse(write(tmp_path, f"{SPEC}\n{sweep}"))


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_a_spec_without_sweep_is_one_cell_with_seed_0(tmp_path: Path) -> None:
    (cell,) = cells(tmp_path, "")
    assert (cell.experiment, cell.index, cell.seed, cell.label, cell.axes) == ("tiny", 0, 0, "", {})


def test_seeds_change_fastest_and_then_the_last_axis(tmp_path: Path) -> None:
    found = cells(tmp_path, AXES.replace("[sweep]", "[sweep]\nseeds = [5, 3]"))
    assert [cell.index for cell in found] == list(range(8))
    assert [cell.seed for cell in found] == [5, 3] * 4
    assert [cell.spec.fusion.use for cell in found] == ["concat"] * 4 + ["gating"] * 4
    rates = [cell.spec.train.lr for cell in found if cell.spec.train]
    assert rates == [1e-3, 1e-3, 1e-2, 1e-2] * 2


def test_cells_have_no_sweep_and_know_what_differs(tmp_path: Path) -> None:
    cell = cells(tmp_path, AXES)[3]
    assert cell.spec.sweep is None
    assert cell.axes == {"fusion": {"use": "gating", "dim": 8}, "train.lr": 1e-2}
    assert cell.source.spec.sweep is not None


def test_a_whole_table_replaces_and_a_key_is_set(tmp_path: Path) -> None:
    found = cells(tmp_path, '[sweep.axes]\nfusion = [{ use = "gating" }]')
    assert found[0].spec.fusion.options == {}
    found = cells(tmp_path, '[sweep.axes]\n"fusion.use" = ["gating"]')
    assert found[0].spec.fusion.options == {"dim": 16}


def test_an_axis_may_lead_into_an_array_or_set_what_was_not_there(tmp_path: Path) -> None:
    sweep = (
        '[sweep.axes]\n"losses.0.weight" = [2]\n"encoders.text.depth" = [3]\n"train.workers" = [1]'
    )
    (cell,) = cells(tmp_path, sweep)
    assert cell.spec.losses[0].weight == 2.0
    assert cell.spec.encoders["text"].options == {"depth": 3}


def test_labels_say_what_differs_and_not_the_seed(tmp_path: Path) -> None:
    sweep = """
    [sweep]
    seeds = [0, 1]
    [sweep.axes]
    fusion = [
        { use = "low_rank", dim = 8, rank = 4 },
        { use = "low_rank", dim = 8, rank = 64 },
        { use = "concat", dim = 8, inputs = ["image"] },
        { use = "concat", dim = 8 },
        { use = "gating", dim = 8 },
    ]
    "train.lr" = [0.001]
    """
    assert [cell.label for cell in cells(tmp_path, sweep)][::2] == [
        "fusion=low_rank(rank=4), train.lr=0.001",
        "fusion=low_rank(rank=64), train.lr=0.001",
        "fusion=concat(image), train.lr=0.001",
        "fusion=concat, train.lr=0.001",
        "fusion=gating, train.lr=0.001",
    ]


def test_a_label_says_what_is_unimodal_though_nothing_else_is_like_it(tmp_path: Path) -> None:
    sweep = '[sweep.axes]\nfusion = [{ use = "concat", inputs = ["image"] }, { use = "sum" }]'
    labels = [cell.label for cell in cells(tmp_path, sweep)]
    assert labels == ["fusion=concat(image)", "fusion=sum"]


def test_zip_takes_members_side_by_side(tmp_path: Path) -> None:
    found = cells(tmp_path, AXES.replace("[sweep]\n", '[sweep]\nstrategy = "zip"\n', 1))
    assert [cell.label for cell in found] == [
        "fusion=concat, train.lr=0.001", "fusion=gating, train.lr=0.01",
    ]  # fmt: skip


RANDOM = """
[sweep]
strategy = "random"
samples = 20
[sweep.axes]
"fusion.dim" = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
"train.lr" = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
"encoders.text.width" = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
"""


def test_random_draws_different_points_decided_by_its_seed(tmp_path: Path) -> None:
    labels = [cell.label for cell in cells(tmp_path, RANDOM)]
    assert len(set(labels)) == 20
    assert labels == [cell.label for cell in cells(tmp_path, RANDOM)]
    assert labels != [cell.label for cell in cells(tmp_path, RANDOM, "sweep.seed=1")]


def test_a_longer_random_sweep_begins_with_the_shorter_one(tmp_path: Path) -> None:
    few = cells(tmp_path, RANDOM, "sweep.samples=5")
    assert [c.label for c in few] == [c.label for c in cells(tmp_path, RANDOM)][:5]


def test_random_may_draw_every_point(tmp_path: Path) -> None:
    found = cells(tmp_path, AXES.replace("[sweep]\n", '[sweep]\nstrategy="random"\nsamples=4\n', 1))
    assert len({cell.label for cell in found}) == 4


def test_a_sweep_expands_the_same_way_in_another_process(tmp_path: Path) -> None:
    path = write(tmp_path, f"{SPEC}\n{RANDOM}")
    code = f"from mmlab.spec import *; print([c.label for c in expand(load_spec({str(path)!r}))])"
    command = [sys.executable, "-c", code]
    outputs = {
        subprocess.run(command, env={"PYTHONHASHSEED": seed}, stdout=-1, check=True).stdout
        for seed in ("1", "2")
    }
    assert outputs == {(str([cell.label for cell in expand(load_spec(path))]) + "\n").encode()}


def test_excluded_points_are_left_out(tmp_path: Path) -> None:
    exclude = '[[sweep.exclude]]\n"fusion.use" = "gating"\n"train.lr" = 1e-2\n'
    assert [cell.label for cell in cells(tmp_path, AXES + exclude)] == [
        "fusion=concat, train.lr=0.001",
        "fusion=concat, train.lr=0.01",
        "fusion=gating, train.lr=0.001",
    ]


def test_a_table_is_excluded_by_some_of_its_keys(tmp_path: Path) -> None:
    exclude = '[[sweep.exclude]]\nfusion = { use = "gating" }\n'
    assert {c.spec.fusion.use for c in cells(tmp_path, AXES + exclude)} == {"concat"}


def test_included_points_come_last(tmp_path: Path) -> None:
    include = '[[sweep.include]]\n"fusion.dim" = 99\n"train.epochs" = 7\n'
    cell = cells(tmp_path, AXES + include)[-1]
    assert cell.label == "fusion.dim=99, train.epochs=7"
    assert cell.spec.fusion.use == "concat"
    assert cell.spec.train is not None
    assert (cell.index, cell.spec.train.epochs, cell.spec.train.lr) == (4, 7, 1e-3)


def test_axes_can_be_overridden(tmp_path: Path) -> None:
    found = cells(tmp_path, AXES, 'sweep.axes."train.lr"=[0.5]', "sweep.seeds=[7]")
    assert [cell.spec.train.lr for cell in found if cell.spec.train] == [0.5, 0.5]
    assert {cell.seed for cell in found} == {7}


def test_a_fault_inside_an_axis_is_shown_there(tmp_path: Path) -> None:
    sweep = AXES.replace("1e-2]", '"fast"]').replace('"gating", dim', '"gating", inputs = 3, dim')
    path = tmp_path / "tiny.toml"
    message = rejected(tmp_path, sweep)
    line = line_of(path.read_text(), "fusion = [{")
    assert places(message, path) == [f"{line}:67: fusion.inputs", f"{line + 1}:21: train.lr"]


def test_a_member_without_use_is_shown_as_a_whole(tmp_path: Path) -> None:
    message = rejected(tmp_path, "[sweep.axes]\nfusion = [{ dim = 3 }]")
    assert "fusion.use: missing" in message
    assert " | fusion = [{ dim = 3 }]\n" in message
    assert " |           ^^^^^^^^^^^\n" in message


def test_a_cell_that_is_invalid_elsewhere_is_shown_at_the_axis(tmp_path: Path) -> None:
    text = SPEC.replace("dim = 16", 'inputs = ["image", "text"]')
    path = write(tmp_path, f'{text}\n[sweep.axes]\nencoders = [{{ image = {{ use = "vit" }} }}]')
    message = refuse(path)
    assert "fusion.inputs.1: there is no such encoder" in message
    assert places(message, path) == [
        f"{line_of(path.read_text(), 'encoders = [')}:13: fusion.inputs.1"
    ]


def test_a_fault_of_the_spec_itself_is_reported_once(tmp_path: Path) -> None:
    text = SPEC.replace("batch_size = 8", "batch_size = 0") + AXES
    message = refuse(write(tmp_path, text))
    assert message.count("batch_size") == 2  # its path, and its line


def test_faults_of_axes_come_with_all_others(tmp_path: Path) -> None:
    text = SPEC.replace("batch_size = 8", "batch_size = 0") + AXES.replace("1e-2]", "-1]")
    path = write(tmp_path, text)
    assert [place.split(": ")[1] for place in places(refuse(path), path)] == [
        "train.batch_size", "train.lr",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ('[sweep.axes]\n"fusoin.dim" = [1]', 'did you mean "fusion"?'),
        ('[sweep.axes]\n"encoders.imag.width" = [1]', "encoders.imag: there is no such table (did"),
        ('[sweep.axes]\n"losses.1.weight" = [1]', "losses.1: there is no such element"),
        ('[sweep.axes]\n"head.use.x" = [1]', "head.use: is not a table"),
        ('[sweep.axes]\n"train.epoch" = [1]', 'train.epoch: unknown key (did you mean "epochs"?)'),
        ("[sweep.axes]\nseed = [1, 2]", "next: set seeds = [...] in [sweep]"),
        ('[sweep.axes]\n"sweep.seeds" = [[1], [2]]', "next: set seeds = [...] in [sweep]"),
        ('[sweep.axes]\nname = ["a", "b"]', "a sweep cannot vary this"),
        ('[sweep.axes]\n"a b" = [1]', "a sweep cannot vary this"),
        ('[sweep.axes]\n"" = [1]', "a sweep cannot vary this"),
        ('[sweep.axes]\n"train..lr" = [1]', "a sweep cannot vary this"),
        ("[sweep.axes]\n'train.lr' = []", 'sweep.axes."train.lr": '),
        ("[sweep.axes]\n'train.lr' = 3", 'sweep.axes."train.lr": wrong type'),
        ("[sweep.axes]\ntrain.lr = [1, 2]", "sweep.axes.train: wrong type"),
        ("[sweep.axes]\n'train.lr' = [1, nan]", "not a finite number"),
        ("[sweep.axes]\n'train.lr' = [1, 1.0]", "a cell that the sweep already has"),
        ("[[sweep.include]]\n'fusion.dim' = 16\n[sweep.axes]\n'fusion.dim' = [16]", "already has"),
        (
            "[sweep]\nstrategy = 'zip'\naxes = {'train.lr' = [1, 2], 'fusion.dim' = [1]}",
            "1 members",
        ),
        ("[sweep]\nstrategy = 'random'", "sweep.samples: a random sweep needs samples"),
        ("[sweep]\nsamples = 3", "sweep.samples: only a random sweep draws samples"),
        ("[sweep]\nstrategy = 'random'\nsamples = 3\naxes = {'train.lr' = [1, 2]}", "allowed: 2"),
        ("[sweep]\nmax_cells = 3\nseeds = [1, 2, 3, 4]", "sweep.max_cells: the sweep has too many"),
        ("[[sweep.exclude]]\n'train.lr' = 1", "no axis varies this"),
        ("[sweep.axes]\n'train.lr' = [1]\n[[sweep.exclude]]\n'train.l' = 1", 'mean "train.lr"?'),
        ("[sweep.axes]\n'train.lr' = [1.0]\n[[sweep.exclude]]\n'train.lr' = 1.0", "is excluded"),
        ("[[sweep.include]]\n'train.l' = 1", 'train.l: unknown key (did you mean "lr"?)'),
        ("[[sweep.include]]\n'trian.lr' = 1", "a sweep cannot vary this"),
        ("[[sweep.include]]\n'encoders.x.y' = 1", "encoders.x: there is no such table"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(tmp_path: Path, sweep: str, words: str) -> None:
    message = rejected(tmp_path, sweep)
    assert words in message
    first_line_of_sweep = SPEC.count("\n") + 2
    for place in places(message, tmp_path / "tiny.toml"):
        assert int(place.split(":")[0]) >= first_line_of_sweep


def test_a_grid_without_end_is_refused_before_it_is_made(tmp_path: Path) -> None:
    axes = "\n".join(f'"encoders.text.o{i}" = {list(range(10))}' for i in range(12))
    assert "1,000,000,000,000 cells" in rejected(tmp_path, f"[sweep.axes]\n{axes}")


def test_a_random_sweep_may_draw_from_a_grid_without_end(tmp_path: Path) -> None:
    axes = "\n".join(f'"encoders.text.o{i}" = {list(range(10))}' for i in range(12))
    sweep = f'[sweep]\nstrategy = "random"\nsamples = 3\n[sweep.axes]\n{axes}'
    assert len(cells(tmp_path, sweep)) == 3


def test_an_options_fault_of_a_cell_is_shown_at_its_axis(tmp_path: Path) -> None:
    cell = cells(tmp_path, AXES)[-1]
    fault = Fault(("dim",), "out of range", "8", ">= 16", "raise it").under("fusion")
    line = line_of(cell.source.text, "fusion = [{")
    place = cell.source.document.place
    assert render_located([(fault, place(fault.path))]).startswith(
        f"{cell.source.path}:{line}:64: fusion.dim: out of range"
    )
    missing = Fault(("rank",), "missing", "", "", "").under("fusion")
    assert f":{line}:40: fusion.rank: missing" in render_located([(missing, place(missing.path))])
