"""What an axis replaces: an override of it is refused, and a mistake in it is found anyway."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.specs import SPEC, refuse, write

from mmlab.errors import PluginError, SpecError
from mmlab.plan.resolve import plan_specs
from mmlab.spec import expand, load_spec

FUSIONS = '\n[sweep.axes]\nfusion = [{ use = "gating" }, { use = "concat", dim = 8 }]\n'
WIDTHS = '\n[sweep.axes]\n"fusion.dim" = [4, 8]\n"losses.0.weight" = [1, 2]\n'
INCLUDED = '\n[[sweep.include]]\n"train.lr" = 0.1\n"fusion.dim" = 7\n'


@pytest.mark.parametrize(
    ("sweep", "override", "axis", "path"),
    [
        (FUSIONS, "fusion.use=sum", "fusion", "fusion.use"),
        (FUSIONS, "fusion.dim=4", "fusion", "fusion.dim"),
        (FUSIONS, 'fusion={use="sum", dim=4}', "fusion", "fusion"),
        (WIDTHS, "fusion.dim=4", "fusion.dim", "fusion.dim"),
        (WIDTHS, 'fusion={use="sum", dim=4}', "fusion.dim", "fusion.dim"),
        (WIDTHS, "losses.0.weight=3", "losses.0.weight", "losses.0.weight"),
        (WIDTHS, 'losses=[{use="mse", weight=3}]', "losses.0.weight", "losses.0.weight"),
    ],
)
def test_an_override_that_an_axis_sets_again_is_refused(
    tmp_path: Path, sweep: str, override: str, axis: str, path: str
) -> None:
    message = refuse(write(tmp_path, SPEC + sweep), "train.epochs=1", override)
    column = 1 if override.startswith(path) else override.index(path.rpartition(".")[2]) + 1
    assert message.startswith(f'--set #2, column {column}: {path}: the axis "{axis}" of the sweep')
    assert message.count("\n\n") == 0


def test_an_override_that_an_included_point_sets_again_is_refused(tmp_path: Path) -> None:
    message = refuse(write(tmp_path, SPEC + INCLUDED), "train.epochs=1", "fusion.dim=9")
    assert message.startswith(
        '--set #2, column 1: fusion.dim: included point 0 ("fusion.dim") of the sweep sets this '
        "again in its cell"
    )
    assert "--set 'sweep.include.0.\"fusion.dim\"=...'" in message
    assert message.endswith("with --set 'sweep.include=[]'")


def test_an_override_is_refused_though_an_included_point_keeps_it(tmp_path: Path) -> None:
    included = '[[sweep.include]]\n"train.lr" = 0.1\n'
    path = write(tmp_path, SPEC + FUSIONS + included)
    message = refuse(path, "fusion.use=sum")
    assert 'the axis "fusion" of the sweep sets this again in every cell of the axes' in message
    assert message.endswith("with --set 'sweep.axes={}' --set 'sweep.include=[]'")
    cells = expand(load_spec(path, ["fusion.use=sum", "sweep.axes={}", "sweep.include=[]"]))
    assert [cell.spec.fusion.use for cell in cells] == ["sum"]


@pytest.mark.parametrize(
    ("sweep", "overrides"),
    [
        (WIDTHS, ["fusion.use=sum"]),
        (WIDTHS, ['fusion={use="sum"}']),
        (WIDTHS, ["fusion.inputs=['image']"]),
        (WIDTHS, ["losses.0.use=mse"]),
        (FUSIONS, ["head.use=mlp"]),
        (FUSIONS, ["fusion.use=sum", "sweep.axes={}"]),
        (FUSIONS, ['sweep.axes.fusion=[{use="sum"}]']),
        (FUSIONS, ["fusion.use=max", 'sweep.axes.fusion=[{use="sum"}]']),
        (INCLUDED, ["fusion.use=sum"]),
        (INCLUDED, ["fusion.dim=9", "sweep.include=[]"]),
        (INCLUDED, ["fusion.dim=9", 'sweep.include.0."fusion.dim"=5']),
        (INCLUDED, ['sweep.include.0."fusion.dim"=9']),
    ],
)
def test_an_override_that_no_cell_loses_unasked_is_set(
    tmp_path: Path, sweep: str, overrides: list[str]
) -> None:
    path = write(tmp_path, SPEC + sweep)
    before = [cell.spec for cell in expand(load_spec(path))]
    assert [cell.spec for cell in expand(load_spec(path, overrides))] != before


def test_the_order_on_the_command_line_decides(tmp_path: Path) -> None:
    path, axis = write(tmp_path, SPEC), 'sweep.axes={fusion=[{use="sum"}]}'
    assert refuse(path, axis, "fusion.use=max").startswith("--set #2, column 1: fusion.use: the")
    first = write(tmp_path, '[fusion]\nuse = "max"\n', "first.toml")
    second = write(tmp_path, '[sweep.axes]\nfusion = [{ use = "sum" }]\n', "second.toml")
    assert [cell.label for cell in expand(load_spec(path, [first, second]))] == ["fusion=sum"]
    assert refuse(path, second, first).startswith(f"{first}:2:1: fusion.use: the axis")


def test_what_a_patch_sets_may_be_lost_only_to_its_own_axis(tmp_path: Path) -> None:
    path, fusion = write(tmp_path, SPEC + FUSIONS), '[fusion]\nuse = "sum"\n'
    patch = write(tmp_path, fusion, "patch.toml")
    assert refuse(path, patch).startswith(f"{patch}:2:1: fusion.use: the axis")
    patch = write(tmp_path, f'{fusion}[sweep.axes]\nfusion = [{{ use = "sum" }}]', "patch.toml")
    assert [cell.label for cell in expand(load_spec(path, [patch]))] == ["fusion=sum"]


def planned(tmp_path: Path, base: str, sweep: str) -> str:
    """What is said of a spec whose fusion is written in another way."""
    spec = SPEC.replace('use = "concat"\ndim = 16', base)
    path = write(tmp_path, spec.replace('use = "vit"\nwidth = 32', 'use = "convnet"') + sweep)
    try:
        plan_specs([path], ())
    except (SpecError, PluginError) as error:
        return str(error).replace(str(path), "tiny.toml")
    return "valid"


def test_a_table_that_an_axis_replaces_is_checked(tmp_path: Path) -> None:
    message = planned(tmp_path, 'use = "gatng"\nwidht = 3', FUSIONS)
    assert message.startswith('tiny.toml:15:7: fusion.use: fusion "gatng"')
    assert 'did you mean "gating"?' in message
    message = planned(tmp_path, 'use = "gating"\nwidht = 3', FUSIONS)
    assert message.startswith("tiny.toml:16:1: fusion.widht: unknown option")


def test_a_replaced_table_and_a_member_are_faulted_together(tmp_path: Path) -> None:
    message = planned(tmp_path, 'use = "gatng"', FUSIONS.replace("dim = 8", "dmi = 8"))
    assert '"gatng"' in message
    assert "fusion.dmi" in message


def test_a_table_is_checked_as_the_cells_have_it_where_an_axis_is_inside(tmp_path: Path) -> None:
    base = 'use = "gating"\nrank = 4'
    assert planned(tmp_path, base, '\n[sweep.axes]\n"fusion.use" = ["low_rank_bilinear"]') == (
        "valid"
    )
