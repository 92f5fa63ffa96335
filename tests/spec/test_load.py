"""Spec files: what is read, and that every fault is named at its place, all at once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.checkout import EXPERIMENTS
from support.specs import SPEC, change, places, refuse, write

from mmlab.errors import SpecError
from mmlab.spec import Spec, load_spec
from mmlab.spec.checks import check_part
from mmlab.spec.document import Document
from mmlab.spec.faults import Fault
from mmlab.spec.load import Checked, read_tables
from mmlab.spec.overrides import Overridden
from mmlab.spec.places import render_located
from mmlab.spec.tables import DatasetFile


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
    assert spec.model_dump(mode="json")["fusion"] == {
        "use": "concat",
        "dim": 16,
        "inputs": None,
        "modality_dropout": 0.0,
    }


def test_integers_are_taken_for_floats(tmp_path: Path) -> None:
    train = load_spec(change(tmp_path, "epochs = 2", "epochs = 2\nlr = 1")).spec
    assert train.train is not None
    assert train.train.lr == 1.0


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


def test_a_fault_shows_the_line_and_points_at_the_key(tmp_path: Path) -> None:
    path = change(tmp_path, "epochs = 2", "epoch = 2")
    assert refuse(path).split("\n\n")[-1] == (
        f'{path}:26:1: train.epoch: unknown key (did you mean "epochs"?)\n'
        "  26 | epoch = 2\n"
        "     | ^^^^^\n"
        "  found: epoch\n"
        "  allowed: epochs, max_steps, batch_size, microbatch, lr, weight_decay, "
        "warmup_fraction, optimizer, schedule, clip_norm, precision, deterministic, ema, "
        "layer_decay, checkpoint_activations, compile, parallel, workers, "
        "evaluate_every, best, best_mode, patience, emit_every, checkpoint_every\n"
        '  next: rename it to "epochs", or remove it'
    )


def test_a_key_that_is_elsewhere_now_says_where(tmp_path: Path) -> None:
    path = change(tmp_path, "epochs = 2", "epochs = 2\nbetas = [0.9, 0.98]")
    message = refuse(path)
    assert f"{path}:27:1: train.betas: unknown key: this is train.optimizer.betas here\n" in message
    assert message.endswith("  next: write betas in [train.optimizer], which names `use`")


def test_a_wrong_value_is_pointed_at_itself(tmp_path: Path) -> None:
    path = change(tmp_path, "batch_size = 8", 'batch_size =  "8" # eight')
    assert refuse(path) == (
        f"{path}:27:15: train.batch_size: wrong type\n"
        '  27 | batch_size =  "8" # eight\n'
        "     |               ^^^\n"
        '  found: "8"\n'
        "  allowed: an integer >= 1 and <= 10000000\n"
        "  next: write a value of this type, without quotes"
    )


def test_a_missing_key_is_shown_at_its_tables_header(tmp_path: Path) -> None:
    message = refuse(change(tmp_path, "batch_size = 8", ""))
    assert places(message, tmp_path / "tiny.toml") == ["25:1: train.batch_size"]
    assert "  25 | [train]\n     | ^^^^^^^\n" in message


def test_every_fault_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    text = (
        SPEC.replace("schema_version = 1", "schema_version = 2")
        .replace('name = "tiny"', 'name = "a b"')
        .replace('use = "vit"', "use = 3\nfreeze = -1")
        .replace("[head]", "[haed]")
        .replace('use = "cross_entropy"', "weight = true")
        .replace("epochs = 2", 'epochs = 0\nlr = nan\nema = 2\nprecision = "bf61"')
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
        "29:7: train.ema",
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
        ("[train]", '[[losses]]\nuse = "cross_entropy"\n[train]', "losses.1.name: two of these"),
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
    assert words in refuse(change(tmp_path, old, new))


def test_nothing_to_do_is_a_fault(tmp_path: Path) -> None:
    assert "there is nothing to do" in refuse(write(tmp_path, SPEC[: SPEC.index("[[losses]]")]))


def test_an_empty_file_names_every_missing_key(tmp_path: Path) -> None:
    message = refuse(write(tmp_path, ""))
    for key in ("schema_version", "name", "dataset", "encoders", "fusion"):
        assert f"tiny.toml: {key}: missing" in message


def test_carets_keep_their_place_under_tabs_and_wide_characters(tmp_path: Path) -> None:
    path = change(tmp_path, "dim = 16", 'inputs = [\t"日本", 3]')
    lines = refuse(path).splitlines()
    row = next(i for i, line in enumerate(lines) if "日本" in line)
    assert lines[row + 1] == "     | " + " " * 10 + "\t" + "^" * 6
    assert any(line.endswith("\t" + " " * 8 + "^") for line in lines)


def test_a_long_line_is_cut_around_the_fault(tmp_path: Path) -> None:
    path = change(tmp_path, "dim = 16", f'a = {{ b = "{"x" * 9000}", c = nan }}')
    assert max(map(len, refuse(path).splitlines())) < 400
    assert "c = nan" in refuse(path)


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = write(tmp_path, "a = \x1b[31m\n")
    assert "\x1b" not in refuse(path)


def test_a_fault_found_later_is_rendered_in_the_same_form(tmp_path: Path) -> None:
    spec_file = load_spec(write(tmp_path))
    fault = Fault(("dmi",), "unknown option", "dmi", "dim", "rename it", at_key=True)
    place = spec_file.document.place
    found = fault.under("fusion")
    assert render_located([(found, place(found.path))]).startswith(
        f"{spec_file.path}:15:1: fusion.dmi: unknown option\n  15 | [fusion]\n"
    )
    several = Fault(("fusion", "dim"), "first line\n  more", "", "", "")
    assert render_located([(several, place(several.path))]) == (
        f"{spec_file.path}:17:7: fusion.dim: first line\n  17 | dim = 16\n     |       ^^\n  more"
    )


@pytest.mark.slow
def test_specs_import_neither_torch_nor_the_database() -> None:
    code = (
        "import sys, mmlab.spec, mmlab.plan.options, mmlab.plan.registry, mmlab.plan.schema\n"
        "print({'torch', 'sqlalchemy', 'polars'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(("microbatch", "step"), [("3", "= 2"), ("16", "= 8")])
def test_a_microbatch_divides_the_batch(tmp_path: Path, microbatch: str, step: str) -> None:
    path = change(tmp_path, "batch_size = 8", f"batch_size = 8\nmicrobatch = {microbatch}")
    message = refuse(path)
    assert "train.microbatch: does not divide train.batch_size" in message
    assert f"set microbatch {step}" in message
    load_spec(change(tmp_path, "batch_size = 8", "batch_size = 8\nmicrobatch = 4"), ())


def _check_dataset(overridden: Overridden) -> Checked[Spec | DatasetFile]:
    return Checked(*check_part(overridden.document, DatasetFile))


def test_a_part_of_a_spec_is_read_from_a_whole_one_or_alone(tmp_path: Path) -> None:
    alone = tmp_path / "dataset.toml"
    alone.write_text('[dataset]\nuse = "emoji"\nlabels = "coarse"\n')
    for path in (alone, write(tmp_path)):
        tables, overridden = read_tables(path, _check_dataset, ["dataset.labels=fine"])
        assert tables.dataset.options["labels"] == "fine"
        assert overridden.document.main.name == str(path)


def test_whatever_is_read_all_its_faults_are_told_at_their_places(tmp_path: Path) -> None:
    path = tmp_path / "dataset.toml"
    path.write_text('[dataset]\nlabels = "coarse"\n[datasets]\n')

    def more(document: Document) -> list[Fault]:
        strange = Fault(("dataset", "labels"), "unknown option", "labels", "none", "remove it")
        return [strange, replace(strange, path=("datasets",), message="told before")]

    with pytest.raises(SpecError) as caught:
        read_tables(path, _check_dataset, ["nothing"], more)
    message = str(caught.value)
    assert places(message, path) == [
        "1:1: dataset.use",
        "2:10: dataset.labels",
        "3:2: datasets",
    ]
    assert message.startswith("--set #1, column 1: ")
    assert "told before" not in message


@pytest.mark.parametrize(
    ("old", "new", "place", "step"),
    [
        ("[[losses]]", "[losses]", "22:1: losses", "write [[losses]], with two brackets"),
        ("[[evaluate]]", "[evaluate]", "29:1: evaluate", "write [[evaluate]], with two brackets"),
        ("[train]", "[[train]]", "25:1: train", "write [train], with single brackets"),
        ("[fusion]", "[[fusion]]", "15:1: fusion", "write [fusion], with single brackets"),
        ("[encoders.text]", "[[encoders.text]]", "12:1: encoders.text", "write [encoders.text],"),
        (
            "epochs = 2",
            'epochs = 2\noptimizer = "sgd"',
            "27:13: train.optimizer",
            'write [train.optimizer] and below it use = "sgd", or { use = "sgd" } in its place',
        ),
    ],
)
def test_a_table_of_the_wrong_form_is_told_how_it_is_written(
    tmp_path: Path, old: str, new: str, place: str, step: str
) -> None:
    message = refuse(change(tmp_path, old, new))
    assert f"{tmp_path / 'tiny.toml'}:{place}: wrong type" in message
    assert f"next: {step}" in message


@pytest.mark.parametrize(
    ("setting", "step"),
    [
        ('losses="info_nce"', 'write [[losses]] and below it use = "info_nce"'),
        ('losses=["info_nce"]', 'write [[losses]] and below it use = "info_nce"'),
        ('fusion="sum"', 'write [fusion] and below it use = "sum"'),
        ('encoders.image="vit"', 'write [encoders.image] and below it use = "vit"'),
        ('train.schedule="cosine"', 'write [train.schedule] and below it use = "cosine"'),
        ('train.ema="None"', "remove the key: what is left out has its default"),
    ],
)
def test_a_text_in_place_of_a_table_is_told_what_table(
    tmp_path: Path, setting: str, step: str
) -> None:
    assert f"next: {step}" in refuse(write(tmp_path), setting)
