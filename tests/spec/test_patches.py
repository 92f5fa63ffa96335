"""`--set-file FILE`: what a patch changes, what wins, and faults that point into the patch."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.specs import SPEC, change, places, refuse, write

from mmlab.errors import SpecError, WeightsError
from mmlab.plan.plan import Plan
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import prepare
from mmlab.runner.initial_weights import WeightsFinder
from mmlab.spec import expand, load_spec
from mmlab.store import open_store

TRAIN = "[train]\nepochs = {}\n"


def patch(folder: Path, text: str, name: str = "patch.toml") -> Path:
    (folder / name).parent.mkdir(exist_ok=True)
    return write(folder, text, name)


def test_tables_merge_arrays_replace_and_new_tables_are_added(tmp_path: Path) -> None:
    text = """
        [train]
        lr = 2
        [encoders.sound]
        use = "spectrogram"
        [meta]
        note = "large"
        [sweep]
        seeds = [3]
        [[losses]]
        use = "info_nce"
        [[losses]]
        use = "cross_entropy"
        weight = 2.0
    """
    spec = load_spec(write(tmp_path), [patch(tmp_path, text)]).spec
    assert spec.train is not None
    assert (spec.train.epochs, spec.train.lr) == (2, 2.0)
    assert list(spec.encoders) == ["image", "text", "sound"]
    assert [(loss.use, loss.weight) for loss in spec.losses] == [
        ("info_nce", 1.0),
        ("cross_entropy", 2.0),
    ]
    assert spec.meta == {"note": "large"}
    assert spec.sweep is not None
    assert spec.sweep.seeds == [3]


def test_a_setting_wins_over_patches_a_later_patch_over_an_earlier_and_all_over_files(
    tmp_path: Path,
) -> None:
    write(tmp_path, SPEC + "[sweep]\nseeds = [1]\n", "other.toml")
    path = write(tmp_path, 'extends = ["other.toml"]\n' + TRAIN.format(3))
    first = patch(tmp_path, TRAIN.format(4) + "lr = 0.4\nwarmup_fraction = 0.4\n", "first.toml")
    second = patch(tmp_path, TRAIN.format(5) + "lr = 0.5\n", "second.toml")
    overrides = ["train.epochs=6", first, second]  # whichever stands first on the command line
    spec = load_spec(path, overrides).spec
    assert spec.train is not None
    assert (spec.train.epochs, spec.train.lr, spec.train.warmup_fraction) == (6, 0.5, 0.4)
    assert spec.sweep is not None
    assert spec.sweep.seeds == [1]


def test_a_patch_is_kept_apart_from_the_text_and_from_settings(tmp_path: Path) -> None:
    path, found = write(tmp_path), patch(tmp_path, TRAIN.format(9))
    spec_file = load_spec(path, [found, "train.lr=1"])
    assert spec_file.text == SPEC
    assert spec_file.overrides == ("train.lr=1",)
    assert [(one.name, one.text) for one in spec_file.patches] == [(str(found), TRAIN.format(9))]


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("[train]\nepoch = 9", '2:1: train.epoch: unknown key (did you mean "epochs"?)'),
        ("[trian]\nlr = 1", '1:2: trian: unknown key (did you mean "train"?)'),
        (
            "[encoders.imag]\nwidth = 1",
            '1:11: encoders.imag: there is no such table (did you mean "image"?)',
        ),
        ("[train]\nlr = 'fast'", "2:6: train.lr: wrong type"),
        ("train = 3", "1:9: train: wrong type"),
        ("[losses]\nuse = 'info_nce'", "1:1: losses: wrong type"),
        ("[dataset]\na = {b = [1, nan]}", "2:14: dataset.a.b.1: not a finite number"),
        ("extends = []", "1:1: extends: files are joined before"),
        ("a = = 1", "1:5: not valid TOML"),
        ("a = " + "[" * 50, "1:37: tables and arrays are nested too deeply"),
        ("[sweep]\nseeds = [1, 1]", "2:13: sweep.seeds.1: named twice"),
        ("[sweep.axes]\n'train.lr' = ['x']", "2:15: train.lr: wrong type"),
    ],
)
def test_a_fault_of_a_patch_points_into_it(tmp_path: Path, text: str, report: str) -> None:
    path, found = write(tmp_path), patch(tmp_path, text)
    message = refuse(path, found)
    assert message.startswith(f"{found}:{report}")
    assert "\n    | " in message


def test_what_a_patch_leaves_missing_is_shown_where_the_table_is(tmp_path: Path) -> None:
    path = change(tmp_path, "batch_size = 8", "")
    assert places(refuse(path, patch(tmp_path, TRAIN.format(3))), path) == [
        "25:1: train.batch_size"
    ]


def test_faults_of_all_patches_settings_and_files_come_together(tmp_path: Path) -> None:
    path = change(tmp_path, "batch_size = 8", "batch_size = 0")
    found = patch(tmp_path, "[train]\nepoch = 1\n[encoders.imag]\nwidth = 2\n")
    message = refuse(path, found, tmp_path / "nothing.toml", "train.lr=-1")
    assert message.startswith("--set #1, column 10: train.lr")
    assert places(message, found) == ["2:1: train.epoch", "3:11: encoders.imag"]
    assert places(message, path) == ["27:14: train.batch_size"]
    assert f"{tmp_path / 'nothing.toml'}: the file cannot be read" in message


@given(st.text(max_size=40))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_patch_escapes_as_another_error(tmp_path: Path, text: str) -> None:
    path, found = write(tmp_path), tmp_path / "patch.toml"
    found.write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(SpecError):
        load_spec(path, [found])


# --- paths ------------------------------------------------------------------------------------

FOLDER = '[dataset]\nuse = "benchmark"\ntest_set = "mnist/test"\npath = "data"\n'


def planned(path: Path, *overrides: str | Path) -> Plan:
    (cell,) = expand(load_spec(path, overrides))
    return prepare(cell, Registry.discover(BUILTINS))


def test_a_relative_path_begins_at_the_file_that_names_it(tmp_path: Path) -> None:
    own = change(tmp_path, '[dataset]\nuse = "emoji"\n', FOLDER)
    (tmp_path / "below").mkdir()
    child = write(tmp_path / "below", f'extends = ["../{own.name}"]\n', "child.toml")
    found = patch(tmp_path, FOLDER, "elsewhere/patch.toml")
    swept = patch(tmp_path, '[sweep.axes]\n"dataset.path" = ["data"]\n', "swept/patch.toml")

    def path(*given: str | Path) -> object:
        return planned(child, *given).dataset.options["path"]

    assert path() == tmp_path / "below" / ".." / "data"
    assert path(found) == tmp_path / "elsewhere" / "data"
    assert path(found, "dataset.path=data") == tmp_path / "below" / "data"
    assert path(found, swept) == tmp_path / "swept" / "data"
    assert path(f"dataset.path={tmp_path}") == tmp_path


def test_so_does_that_of_a_file_of_weights(tmp_path: Path) -> None:
    found = patch(tmp_path, 'encoders.text.weights.file = "no.safetensors"', "elsewhere/patch.toml")
    plan = planned(change(tmp_path, '"vit"', '"convnet"'), found)
    named = str(tmp_path / "elsewhere" / "no.safetensors")
    with (
        open_store(str(tmp_path / "mmlab.db"), create=True) as store,
        pytest.raises(WeightsError, match=re.escape(named)),
    ):
        WeightsFinder(store, tmp_path / "runs").find(plan)
