"""Suites: one evaluation of several datasets, each of which gives a result of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select
from support.lab import PAIRED, TOY, Lab

from mmlab.cli import main
from mmlab.errors import MmlabError
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import plan_specs
from mmlab.plan.schema import spec_schema
from mmlab.store.views import run_evaluations

SUITE = """[[evaluate]]
use = "zero_shot"
name = "suite"
[evaluate.datasets.small]
use = "clusters"
count = 30
[evaluate.datasets.other]
use = "clusters"
count = 60
"""
ONE_BY_ONE = """[[evaluate]]
use = "zero_shot"
name = "alone"
[evaluate.dataset]
use = "clusters"
count = 60
"""


def test_each_dataset_has_a_result_with_the_protocol_that_it_has_alone(sqlite_lab: Lab) -> None:
    detail = sqlite_lab.run_one(sqlite_lab.write("pairs", (*PAIRED[:5], SUITE, ONE_BY_ONE)))
    found = {one.name: one for one in detail.evaluations}
    assert list(found) == ["suite/small", "suite/other", "alone"]
    assert found["suite/other"].protocol_hash == found["alone"].protocol_hash
    assert found["suite/small"].protocol_hash != found["alone"].protocol_hash
    assert found["suite/other"].metrics == found["alone"].metrics


def test_the_store_knows_which_datasets_were_asked_together(sqlite_lab: Lab) -> None:
    sqlite_lab.run_one(sqlite_lab.write("pairs", (*PAIRED[:5], SUITE, ONE_BY_ONE)))
    with sqlite_lab.store() as store:
        row = run_evaluations.c
        rows = store.frame(select(row.evaluation, row.suite).order_by(row.evaluation_id))
    named = json.dumps(["small", "other"])
    assert rows.rows() == [("suite/small", named), ("suite/other", named), ("alone", None)]


def test_a_suite_is_asked_of_a_finished_run_and_what_it_had_is_not_asked_again(
    sqlite_lab: Lab,
) -> None:
    spec = sqlite_lab.write("pairs")
    sqlite_lab.run_one(spec)
    more = sqlite_lab.folder / "more.toml"
    ask = ("evaluate", "pairs", str(more), "--db", sqlite_lab.db, "--in-process")
    suite = SUITE.replace("zero_shot", "classification")
    more.write_text(suite)
    assert CliRunner().invoke(main, ask).exit_code == 0
    more.write_text(f'{suite}[evaluate.datasets.third]\nuse = "clusters"\ncount = 45\n')
    assert CliRunner().invoke(main, ask).exit_code == 0
    names = [one.name for one in sqlite_lab.detail("@last").evaluations]
    assert names == ["classification", "suite/small", "suite/other", "suite/third"]


def test_one_dataset_of_a_suite_is_set_and_swept(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("pairs", (*PAIRED[:5], SUITE))
    (plan,) = plan_specs([spec], ["evaluate.0.datasets.small.count=33"])
    assert plan.evaluate_datasets["suite/small"].options["count"] == 33
    (plan,) = plan_specs([spec], ['evaluate.0.datasets.new={use="clusters", count=12}'])
    assert list(plan.evaluators) == ["suite/small", "suite/other", "suite/new"]
    sweep = '[sweep.axes]\n"evaluate.0.datasets.small.count" = [30, 36]\n'
    plans = plan_specs([sqlite_lab.write("swept", (*PAIRED[:5], SUITE, sweep))], [])
    counts = [plan.evaluate_datasets["suite/small"].options["count"] for plan in plans]
    assert counts == [30, 36]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (("[evaluate.datasets.small]", "[evaluate.datasets.small]\nuze = 1"), "uze"),
        (('use = "clusters"\ncount = 30', 'use = "clustres"'), "evaluate.0.datasets.small.use"),
        (("count = 30", "count = 30\nconut = 3"), "evaluate.0.datasets.small.conut"),
        (("[evaluate.datasets.small]", '[evaluate.datasets."a/b"]'), "evaluate.0.datasets"),
        (
            (
                "[evaluate.datasets.small]",
                '[evaluate.dataset]\nuse="clusters"\n[evaluate.datasets.a]',
            ),
            "an evaluation has one dataset, or a suite of them",
        ),
    ],
)
def test_what_is_wrong_in_a_suite_is_told_at_its_place(
    sqlite_lab: Lab, edit: tuple[str, str], says: str
) -> None:
    spec = sqlite_lab.write("pairs", (*PAIRED[:5], SUITE.replace(*edit, 1)))
    with pytest.raises(MmlabError) as caught:
        plan_specs([spec], [])
    text = str(caught.value)
    assert says in text
    assert text.count("found:") == text.count("allowed:") == text.count("next:") >= 1


def test_an_empty_suite_and_a_name_twice_are_refused(sqlite_lab: Lab) -> None:
    empty = '[[evaluate]]\nuse = "zero_shot"\n[evaluate.datasets]\n'
    with pytest.raises(MmlabError, match=r"evaluate\.0\.datasets"):
        plan_specs([sqlite_lab.write("pairs", (*PAIRED[:5], empty))], [])
    with pytest.raises(MmlabError, match="two of these tables have one name"):
        plan_specs([sqlite_lab.write("pairs", (*PAIRED[:5], SUITE, SUITE))], [])


def test_a_suite_does_not_choose_weights(sqlite_lab: Lab) -> None:
    tables = (*PAIRED[:4], PAIRED[4] + 'best = "suite/other/top1"\n', SUITE)
    with pytest.raises(MmlabError, match="names no loss and no evaluation of this spec") as caught:
        plan_specs([sqlite_lab.write("pairs", tables)], [])
    assert "EVALUATION/METRIC of" not in str(caught.value)


def test_the_model_is_told_once_what_it_lacks_for_a_suite(sqlite_lab: Lab) -> None:
    with pytest.raises(MmlabError, match="the evaluator 'suite'") as caught:
        plan_specs([sqlite_lab.write("toy", (*TOY[:5], SUITE))], [])
    assert str(caught.value).count("the evaluator 'suite'") == 1


def test_the_schema_checks_the_datasets_of_a_suite() -> None:
    schema = spec_schema(Registry.discover(BUILTINS))
    asked = schema["$defs"]["evaluator.zero_shot"]["properties"]["datasets"]
    assert asked["type"] == "object"
    assert (asked["minProperties"], asked["additionalProperties"]) == (1, False)
    assert [*asked["patternProperties"].values()] == [{"$ref": "#/$defs/dataset"}]


def test_export_names_the_dataset_of_a_suite(sqlite_lab: Lab, tmp_path: Path) -> None:
    sqlite_lab.run_one(sqlite_lab.write("pairs", (*PAIRED[:5], SUITE)))
    done = CliRunner().invoke(main, ["export", "clip-benchmark", "--db", sqlite_lab.db])
    assert done.exit_code == 0, done.output
    assert "clusters" in done.output
