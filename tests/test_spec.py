"""Spec files: what is read, and that every fault is named at its place, all at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from specs import SPEC, places, refuse, write

from mmlab.errors import SpecError
from mmlab.limits import FILE_BYTES
from mmlab.spec import Fault, canonical_json, digest, load_spec, render_faults

EXPERIMENTS = sorted((Path(__file__).parent.parent / "experiments").glob("**/*.toml"))


def changed(tmp_path: Path, old: str, new: str) -> Path:
    assert old in SPEC
    return write(tmp_path, SPEC.replace(old, new))


# --- what is read ---------------------------------------------------------------------------


def test_a_spec_is_read_with_its_defaults(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path)).spec
    assert spec.encoders["image"].use == "vit"
    assert spec.encoders["image"].options == {"width": 32}
    assert spec.encoders["image"].freeze is False
    assert spec.train is not None
    assert (spec.train.epochs, spec.train.lr, spec.train.best) == (2, 1e-3, "loss")
    assert spec.evaluate[0].split == "test"
    assert spec.sweep is None


def test_options_are_the_keys_that_mmlab_does_not_read(tmp_path: Path) -> None:
    text = SPEC.replace(
        "width = 32", 'options = 1\ncopy = 2\nmodality = "image"\nfreeze = 3\nmodel_config = 4'
    )
    table = load_spec(write(tmp_path, text)).spec.encoders["image"]
    assert table.options == {"options": 1, "copy": 2, "model_config": 4}
    assert (table.modality, table.freeze) == ("image", 3)


def test_a_spec_can_be_dumped_and_read_again(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path)).spec
    assert type(spec).model_validate_json(spec.model_dump_json()) == spec
    assert spec.model_dump(mode="json")["fusion"] == {"use": "concat", "dim": 16, "inputs": None}


def test_integers_are_taken_for_floats_and_arrays_for_pairs(tmp_path: Path) -> None:
    train = load_spec(changed(tmp_path, "epochs = 2", "epochs = 2\nlr = 1\nbetas = [0, 0.9]")).spec
    assert train.train is not None
    assert train.train.lr == 1.0
    assert train.train.betas == (0.0, 0.9)


def test_a_spec_without_train_evaluates_only(tmp_path: Path) -> None:
    text = SPEC[: SPEC.index("[[losses]]")] + SPEC[SPEC.index("[[evaluate]]") :]
    assert load_spec(write(tmp_path, text)).spec.train is None


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SPEC.replace("\n", "\r\n").encode())
    assert load_spec(path).spec == load_spec(write(tmp_path)).spec


def test_the_text_is_kept_without_overrides(tmp_path: Path) -> None:
    spec_file = load_spec(write(tmp_path), ["train.epochs=9"])
    assert spec_file.text == SPEC
    assert spec_file.overrides == ("train.epochs=9",)
    assert spec_file.spec.train is not None
    assert spec_file.spec.train.epochs == 9


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_the_projects_experiments_are_valid(path: Path) -> None:
    assert load_spec(path).spec.name


def test_there_are_experiments() -> None:
    assert len(EXPERIMENTS) >= 4


# --- faults ---------------------------------------------------------------------------------


def test_a_fault_shows_the_line_and_points_at_the_key(tmp_path: Path) -> None:
    path = changed(tmp_path, "epochs = 2", "epoch = 2")
    assert refuse(path).split("\n\n")[-1] == (
        f'{path}:26:1: train.epoch: unknown key (did you mean "epochs"?)\n'
        "  26 | epoch = 2\n"
        "     | ^^^^^\n"
        "  found: epoch\n"
        "  allowed: epochs, max_steps, batch_size, lr, weight_decay, betas, warmup_fraction, "
        "clip_norm, precision, deterministic, compile, workers, evaluate_every, best, best_mode, "
        "patience, emit_every\n"
        '  next: rename it to "epochs", or remove it'
    )


def test_a_wrong_value_is_pointed_at_itself(tmp_path: Path) -> None:
    path = changed(tmp_path, "batch_size = 8", 'batch_size =  "8" # eight')
    assert refuse(path) == (
        f"{path}:27:15: train.batch_size: wrong type\n"
        '  27 | batch_size =  "8" # eight\n'
        "     |               ^^^\n"
        '  found: "8"\n'
        "  allowed: an integer >= 1\n"
        "  next: write a value of this type, without quotes"
    )


def test_a_missing_key_is_shown_at_its_tables_header(tmp_path: Path) -> None:
    message = refuse(changed(tmp_path, "batch_size = 8", ""))
    assert places(message, tmp_path / "tiny.toml") == ["25:1: train.batch_size"]
    assert "  25 | [train]\n     | ^^^^^^^\n" in message


def test_every_fault_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    text = (
        SPEC.replace("schema_version = 1", "schema_version = 2")
        .replace('name = "tiny"', 'name = "a b"')
        .replace('use = "vit"', "use = 3\nfreeze = -1")
        .replace("[head]", "[haed]")
        .replace('use = "cross_entropy"', "weight = true")
        .replace("epochs = 2", 'epochs = 0\nlr = nan\nbetas = [0.9]\nprecision = "bf61"')
    )
    path = write(tmp_path, text)
    message = refuse(path)
    assert places(message, path) == [
        "2:18: schema_version",
        "3:8: name",
        "9:7: encoders.image.use",
        "10:10: encoders.image.freeze",
        "20:2: haed",
        "23:1: losses.0.use",
        "24:10: losses.0.weight",
        "27:10: train.epochs",
        "28:6: train.lr",
        "29:9: train.betas.1",
        "30:13: train.precision",
    ]
    assert 'unknown key (did you mean "head"?)' in message
    assert '(did you mean "bf16"?)' in message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("epochs = 2\n", "", "train.epochs: missing: [train] does not say"),
        ("epochs = 2", "epochs = true", "train.epochs: wrong type"),
        ("dim = 16", 'inputs = ["image", "txt"]', 'no such encoder (did you mean "text"?)'),
        ("dim = 16", 'inputs = ["image", "image"]', "fusion.inputs.1: named twice"),
        ("dim = 16", "inputs = []", "fusion.inputs: "),
        ("[train]", '[[losses]]\nuse = "cross_entropy"\n[train]', "losses.1.use: two of these"),
        ("width = 32", "weights = {}", "encoders.image.weights: names no source"),
        ("width = 32", 'weights = { run = "a", file = "b" }', "weights.file: names two sources"),
        ("width = 32", "modality = 3", "encoders.image.modality: wrong type"),
        ("[encoders.image]", '[encoders."a.b"]', 'encoders."a.b"'),
        ("[encoders.image]", "[encoder.image]", 'unknown key (did you mean "encoders"?)'),
        ("schema_version = 1\n", "", "schema_version: missing"),
        ('[fusion]\nuse = "concat"\ndim = 16', "", "fusion: missing"),
        ('[[losses]]\nuse = "cross_entropy"', "", "losses: missing: a spec with [train]"),
        ("dim = 16", "dim = inf", "fusion.dim: not a finite number"),
        ("dim = 16", "dim = [1, { a = nan }]", "fusion.dim.1.a: not a finite number"),
        ("dim = 16", "dim = 9223372036854775808", "fusion.dim: the integer is too large"),
        ("dim = 16", 'dim = "\\u0000"', "fusion.dim: holds a character"),
        ("dim = 16", '"a\\u0000" = 1', "U+0000"),
        ("[head]", "[meta]\nnan = -nan\n[head]", "meta.nan: not a finite number"),
        ("[head]", "[sweep]\nseeds = []\n[head]", "sweep.seeds: "),
        ("[head]", "[sweep]\nseeds = [1, 1]\n[head]", "sweep.seeds.1: named twice"),
        ("[head]", "[sweep]\nseeds = [-1]\n[head]", "sweep.seeds.0: out of range"),
        ("[head]", '[sweep]\nstrategy = "gird"\n[head]', '(did you mean "grid"?)'),
    ],
)
def test_what_is_invalid_is_said_at_its_place(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert words in refuse(changed(tmp_path, old, new))


def test_nothing_to_do_is_a_fault(tmp_path: Path) -> None:
    assert "there is nothing to do" in refuse(write(tmp_path, SPEC[: SPEC.index("[[losses]]")]))


def test_an_empty_file_names_every_missing_key(tmp_path: Path) -> None:
    message = refuse(write(tmp_path, ""))
    for key in ("schema_version", "name", "dataset", "encoders", "fusion"):
        assert f"tiny.toml: {key}: missing" in message


def test_carets_keep_their_place_under_tabs_and_wide_characters(tmp_path: Path) -> None:
    path = changed(tmp_path, "dim = 16", 'inputs = [\t"日本", 3]')
    lines = refuse(path).splitlines()
    row = next(i for i, line in enumerate(lines) if "日本" in line)
    assert lines[row + 1] == "     | " + " " * 10 + "\t" + "^" * 6
    assert any(line.endswith("\t" + " " * 8 + "^") for line in lines)


def test_a_long_line_is_cut_around_the_fault(tmp_path: Path) -> None:
    path = changed(tmp_path, "dim = 16", f'a = {{ b = "{"x" * 9000}", c = nan }}')
    assert max(map(len, refuse(path).splitlines())) < 400
    assert "c = nan" in refuse(path)


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = write(tmp_path, "a = \x1b[31m\n")
    assert "\x1b" not in refuse(path)


def test_a_fault_found_later_is_rendered_in_the_same_form(tmp_path: Path) -> None:
    spec_file = load_spec(write(tmp_path))
    fault = Fault(("dmi",), "unknown option", "dmi", "dim", "rename it", at_key=True)
    assert render_faults(spec_file, [fault.under("fusion")]).startswith(
        f"{spec_file.path}:15:1: fusion.dmi: unknown option\n  15 | [fusion]\n"
    )
    several = [Fault(("fusion", "dim"), "first line\n  more", "", "", "")]
    assert render_faults(spec_file, several) == (
        f"{spec_file.path}:17:7: fusion.dim: first line\n  17 | dim = 16\n     |       ^^\n  more"
    )


# --- files that cannot be read -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a = 1\nb = = 2\n", "2:5", "not valid TOML: Invalid value"),
        ("a = 1\na = 2\n", "2:6", "not valid TOML: Cannot overwrite a value"),
        ("a = 'x", "1:7", "not valid TOML: Expected"),
        ('a = "\x00"', "1:6", "not valid TOML: Illegal character"),
        ("a = " + "1" * 5000, "1:5", "the integer is too large"),
        ("a = 2024-02-31\n", "1:", "not valid TOML"),
        ("x = " + "[" * 40, "1:37", "nested too deeply"),
        (".".join("a" * 40) + " = 1", "1:66", "nested too deeply"),
        ("x = " + "{a.b.c.d.e.f.g = " * 8 + "1" + "}" * 8, "1:1", "nested too deeply"),
        ("\n".join(f"a{i} = 1" for i in range(10_001)), "10001:8", "too many keys"),
        ("x = [" + "1, " * 60_000 + "]", "1:", "too many keys or values"),
    ],
)
def test_what_cannot_be_parsed_is_said_at_its_place(
    tmp_path: Path, text: str, place: str, words: str
) -> None:
    path = write(tmp_path, text)
    message = refuse(path)
    assert message.startswith(f"{path}:{place}")
    assert words in message


def test_a_file_that_is_not_utf_8_is_shown_at_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'a = 1\r\nb = "\xe9"\n')
    message = refuse(path)
    assert message.startswith(f"{path}:2:6: the file is not UTF-8 text")
    assert "byte 0xe9" in message


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, SPEC + "#" + "x" * FILE_BYTES)
    assert "the file is too large for a spec" in refuse(path)


@pytest.mark.parametrize("name", ["nope.toml", ".", "a\x00b.toml"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    assert "the file cannot be read" in refuse(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    assert "it is not an ordinary file" in refuse(tmp_path / "pipe.toml")


CRAFTED = {
    "dotted keys": "a." * 500_000 + "a = 1",
    "repeated prefixes": "\n".join(f"a{i}." + ".".join("k" * 30) + " = 1" for i in range(9_000)),
    "brackets": "x = " + "[" * 1_000_000,
    "quotes": '"' * 1_000_000,
    "escaped quotes": 'x = "' + '\\"' * 500_000,
    "backslashes": 'x = """' + "\\" * 1_000_000,
    "hexadecimal": "x = 0x" + "f" * 1_000_000,
    "unknown keys": "\n".join(f"trian{i} = {i}" for i in range(4_000)),
    "headers": "\n".join("[[" + ".".join("k" * 31) + "]]" for _ in range(9_000)),
    "spaces": " " * 1_000_000,
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_file_is_refused_quickly(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, CRAFTED[name])
    started = time.process_time()
    refuse_any(path)
    assert time.process_time() - started < 2  # tomllib alone would take up to 4 s


def refuse_any(path: Path, *overrides: str) -> None:
    with pytest.raises(SpecError):
        load_spec(path, overrides)


@given(st.binary(max_size=200))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_bytes_escape_as_another_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.toml"
    path.write_bytes(content)
    refuse_any(path)


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_mutation_of_a_spec_escapes_as_another_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(SPEC)))
    stop = start + data.draw(st.integers(0, 20))
    piece = data.draw(st.sampled_from(['"', "[", "]", "=", ".", "nan", "{", "\n", "-1", "a", "\\"]))
    path = write(tmp_path, SPEC[:start] + piece + SPEC[stop:])
    with suppress(SpecError):
        load_spec(path)


# --- extends ------------------------------------------------------------------------------------


def test_extending_merges_tables_and_replaces_arrays(tmp_path: Path) -> None:
    write(tmp_path, SPEC.replace("epochs = 2", "epochs = 2\nbetas = [0.1, 0.2]"), "base.toml")
    text = 'extends = ["base.toml"]\nname = "child"\n[train]\nlr = 2\nbetas = [0.3, 0.4]\n'
    spec = load_spec(write(tmp_path, text)).spec
    assert spec.train is not None
    assert (spec.name, spec.train.epochs, spec.train.lr) == ("child", 2, 2.0)
    assert spec.train.betas == (0.3, 0.4)
    assert spec.fusion.options == {"dim": 16}


def test_a_later_file_wins_and_the_extending_one_over_all(tmp_path: Path) -> None:
    write(tmp_path, SPEC, "base.toml")
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", 'name = "b"\n[train]\nepochs = 3\nlr = 3\n', "b.toml")
    write(tmp_path, 'extends = ["base.toml", "sub/b.toml"]\n[train]\nlr = 4\n', "c.toml")
    spec = load_spec(write(tmp_path, 'extends = ["c.toml"]')).spec
    assert spec.train is not None
    assert (spec.name, spec.train.epochs, spec.train.lr) == ("b", 3, 4.0)


def test_a_fault_is_shown_in_the_file_it_comes_from(tmp_path: Path) -> None:
    base = write(tmp_path, SPEC.replace("epochs = 2", "epoch = 2"), "base.toml")
    text = 'extends = ["base.toml"]\n[train]\nlr = "x"\n'
    path = write(tmp_path, text)
    message = refuse(path)
    assert places(message, base) == ["26:1: train.epoch"]
    assert places(message, path) == ["2:1: train.epochs", "3:6: train.lr"]


def test_an_array_that_replaces_takes_its_places_along(tmp_path: Path) -> None:
    write(tmp_path, SPEC.replace("epochs = 2", 'epochs = 2\nbetas = ["x", 1]'), "base.toml")
    path = write(tmp_path, 'extends = ["base.toml"]\n[train]\nbetas = [1]\n')
    assert places(refuse(path), path) == ["3:10: train.betas.0", "3:9: train.betas.1"][::-1]


@pytest.mark.parametrize("target", ["tiny.toml", "../{}/tiny.toml", "other.toml"])
def test_a_circle_of_files_is_shown_where_it_closes(tmp_path: Path, target: str) -> None:
    other = write(tmp_path, 'extends = ["tiny.toml"]\n', "other.toml")
    path = write(tmp_path, f'extends = ["{target.format(tmp_path.name)}"]\n' + SPEC)
    message = refuse(path)
    closing = other if target == "other.toml" else path
    assert message.startswith(f"{closing}:1:12: files extend each other in a circle")
    assert "tiny.toml -> " in message


def test_files_that_cannot_be_read_are_shown_where_they_are_named(tmp_path: Path) -> None:
    broken = write(tmp_path, "a = = 1", "broken.toml")
    path = write(tmp_path, 'extends = ["nope.toml", "broken.toml"]\n' + SPEC)
    message = refuse(path)
    assert f"{path}:1:12: the file cannot be read" in message
    assert f"{broken}:1:5: not valid TOML" in message


def test_files_that_extend_each_other_without_end_are_stopped(tmp_path: Path) -> None:
    for depth in range(9):
        text = f'extends = ["{depth + 1}.toml", "{depth + 1}.toml"]\n'
        write(tmp_path, text, f"{depth}.toml")
    write(tmp_path, SPEC, "9.toml")
    assert "too many files" in refuse(tmp_path / "0.toml")


@pytest.mark.parametrize("value", ['"base.toml"', "[1]", "{}"])
def test_extends_is_an_array_of_names(tmp_path: Path, value: str) -> None:
    path = write(tmp_path, f"extends = {value}\n" + SPEC)
    assert refuse(path).startswith(f"{path}:1:11: extends: wrong type")


# --- overrides ----------------------------------------------------------------------------------


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
        ("train.betas = [0.9, 2]", "--set #1, column 21: train.betas.1: out of range"),
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
    path = changed(tmp_path, "batch_size = 8", "batch_size = 0")
    message = refuse(path, "train.lr=-1", "trian.lr=1", "train.x=1")
    starts = [line.split(", ")[0] for line in message.splitlines() if line.startswith("--set")]
    assert starts == ["--set #1", "--set #2", "--set #3"]
    assert message.split("\n\n")[-1].startswith(f"{path}:27:14: train.batch_size")


@given(st.text(max_size=30))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_override_escapes_as_another_error(tmp_path: Path, override: str) -> None:
    refuse_any(write(tmp_path), override.replace("meta", "x"))


# --- hashes -------------------------------------------------------------------------------------


def test_equal_content_has_one_digest() -> None:
    assert digest({"a": 1, "b": [2.0, None]}) == digest({"b": (2.0, None), "a": 1})
    assert digest({"a": 1}) != digest({"a": 1.0})
    assert canonical_json({"é": {2, 1}, "p": Path("a") / "b"}) == '{"p":"a/b","é":[1,2]}'


def test_a_digest_refuses_what_has_no_one_spelling() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest(float("nan"))


@pytest.mark.slow
def test_specs_import_neither_torch_nor_the_database() -> None:
    code = (
        "import sys, mmlab.spec, mmlab.options, mmlab.registry, mmlab.schema\n"
        "print({'torch', 'sqlalchemy', 'polars'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
