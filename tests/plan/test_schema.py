"""The schema that editors use agrees with what mmlab says of a spec."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from support.checkout import EXPERIMENTS
from support.specs import SPEC

from mmlab.plan.registry import BUILTINS, ComponentEntry, Registry
from mmlab.plan.schema import TABLES, spec_schema


@cache
def validator() -> Draft202012Validator:
    schema = spec_schema(Registry.discover(BUILTINS))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def faults(text: str) -> list[tuple[tuple[object, ...], str]]:
    found = validator().iter_errors(tomllib.loads(text))
    return [(tuple(error.absolute_path), error.message) for error in found]


def test_a_valid_spec_is_valid() -> None:
    assert faults(SPEC) == []


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_the_projects_experiments_are_valid(path: Path) -> None:
    assert faults(path.read_text()) == []


def test_there_are_experiments() -> None:
    assert len(EXPERIMENTS) >= 4


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        ("dim = 16", "dmi = 16", ("fusion",), "'dmi' was unexpected"),
        ("dim = 16", 'dim = "x"', ("fusion", "dim"), "is not of type 'integer'"),
        ("dim = 16", "dim = 0", ("fusion", "dim"), "less than the minimum"),
        ('"linear"', '"linaer"', ("head", "use"), "is not one of ['identity', 'linear'"),
        ("epochs = 2", "epoch = 2", ("train",), "'epoch' was unexpected"),
        (
            "epochs = 2",
            'epochs = 2\noptimizer = { use = "sgd", betas = [0.9] }',
            ("train", "optimizer"),
            "'betas' was unexpected",
        ),
        (
            "epochs = 2",
            'epochs = 2\nschedule = { use = "cosin" }',
            ("train", "schedule", "use"),
            "is not one of ['constant', 'cosine'",
        ),
        ("[head]", "[haed]", (), "'haed' was unexpected"),
        ('use = "vit"', "freeze = -1", ("encoders", "image"), "'use' is a required property"),
        ('"cross_entropy"', '"cross_entropy"\nweight = -1', ("losses", 0, "weight"), "minimum"),
        (
            '"classification"',
            '"classification"\nsplit = "x"',
            ("evaluate", 0, "split"),
            "is not one of",
        ),
    ],
)
def test_each_fault_is_found_once(old: str, new: str, path: tuple[object, ...], words: str) -> None:
    assert old in SPEC
    ((where, message),) = faults(SPEC.replace(old, new))
    assert where == path
    assert words in message


def test_members_of_an_axis_are_checked_as_the_tables_they_replace() -> None:
    sweep = '\n[sweep.axes]\nfusion = [{ use = "concat", dim = 0 }]\n"train.lr" = [1]\n'
    ((where, _),) = faults(SPEC + sweep)
    assert where == ("sweep", "axes", "fusion", 0, "dim")
    sweep = '\n[sweep.axes]\n"train.optimizer" = [{ use = "sgd", momentum = 2 }]\n'
    ((where, _),) = faults(SPEC + sweep)
    assert where == ("sweep", "axes", "train.optimizer", 0, "momentum")


def test_a_file_that_extends_another_may_leave_out_tables() -> None:
    assert faults('extends = ["base.toml"]\n[fusion]\nuse = "gating"\n') == []
    assert faults('name = "x"\n') != []


def test_every_installed_component_is_in_the_schema() -> None:
    registry = Registry.discover(BUILTINS)
    definitions = spec_schema(registry)["$defs"]
    assert registry.entries()
    for entry in registry.entries():
        table = definitions[f"{entry.kind}.{entry.name}"]
        assert table["description"]
        assert table["properties"]["use"] == {"const": entry.name}
        assert table["additionalProperties"] is False


def test_a_component_that_does_not_import_may_have_any_option_and_says_why() -> None:
    broken = ComponentEntry("fusion", "gone", "no_such_module:Gone", "acme", "1.0", "fusions")
    table = spec_schema(Registry([broken], []))["$defs"]["fusion.gone"]
    assert "No module named 'no_such_module'" in table["description"]
    assert "additionalProperties" not in table


def test_an_installation_without_plugins_has_a_schema() -> None:
    schema = spec_schema(Registry([], []))
    Draft202012Validator.check_schema(schema)
    assert set(TABLES) <= set(schema["$defs"])


def test_metrics_of_an_evaluation_are_closed_tables_of_their_own() -> None:
    definitions = spec_schema(Registry.discover(BUILTINS))["$defs"]
    for name in ("classification", "zero_shot"):
        own = definitions[f"evaluator.{name}"]["properties"]["metrics"]
        assert own["items"] == {"$ref": "#/$defs/metric"}
    assert set(definitions["metric.hits"]["properties"]) == {"use", "k"}
    assert definitions["metric.hits"]["additionalProperties"] is False
    assert {"brier", "hits"} <= set(definitions["metric"]["properties"]["use"]["enum"])
