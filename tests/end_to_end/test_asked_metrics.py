"""Metrics of plugins that an evaluation names: stored, declared, identified, refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.lab import CONCAT, DATASET, ENCODERS, PAIRED, SCRIPTED, TRAIN, Lab, install

from mmlab.errors import PluginError
from mmlab.plan.content import hashed
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import prepare
from mmlab.report.leaderboard import leaderboard
from mmlab.spec import expand, load_spec

OWN = '[{ use = "brier" }, { use = "hits", k = 2 }, { use = "hits", k = 9 }, { use = "spread" }]'


@pytest.fixture
def lab(sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    """A lab where the odd metrics are installed."""
    install(monkeypatch, tmp_path / "odd-site", "odd_metrics")
    return sqlite_lab


def spec(lab: Lab, metrics: str, best: str = "loss") -> Path:
    asked = f'[[evaluate]]\nuse = "classification"\nmetrics = {metrics}\n'
    train = f'{TRAIN}best = "{best}"\n'
    return lab.write("asked", (DATASET, ENCODERS, CONCAT, SCRIPTED, train, asked))


@pytest.mark.slow
def test_values_are_stored_declared_and_ask_again_where_they_change(lab: Lab) -> None:
    path = spec(lab, OWN, best="classification/brier")
    detail = lab.run_one(path)
    assert detail.summary["best_direction"] == "min"
    found = detail.evaluations[0].metrics
    assert list(found)[-4:] == ["brier", "hits@2", "hits@9", "spread"]
    assert 0 <= found["top1"] <= found["hits@2"] <= 1
    assert found["hits@9"] is None  # of four labels
    with lab.store() as store:
        board = leaderboard(store).rows_by_key("metric", named=True, unique=True)
    assert (board["brier"]["better"], board["spread"]["better"]) == ("lower", None)
    assert (board["hits@2"]["better"], board["hits@2"]["unit"]) == ("higher", "share")
    assert board["hits@2"]["low"] <= found["hits@2"] <= board["hits@2"]["high"]


@pytest.mark.slow
def test_another_metric_asks_again_and_trains_nothing(lab: Lab) -> None:
    first = lab.run_one(spec(lab, '[{ use = "hits", k = 2 }]'))
    second = lab.run_one(spec(lab, '[{ use = "hits", k = 3 }]'))
    assert second.run.run_id == first.run.run_id
    assert len(second.attempts) == len(first.attempts)
    names = [[key for key in one.metrics if "hits" in key] for one in second.evaluations]
    assert sorted(names) == [["hits@2"], ["hits@3"]]
    assert lab.statuses(spec(lab, '[{ use = "hits", k = 2 }]')) == ["skipped"]


def test_an_evaluation_without_metrics_is_identified_as_before_there_were_any(lab: Lab) -> None:
    def content(metrics: str) -> object:
        (cell,) = expand(load_spec(spec(lab, metrics), ()))
        plan = prepare(cell, Registry.discover(BUILTINS))
        return hashed(plan.evaluators["classification"].content())

    assert "metrics" not in str(content("[]"))
    assert content('[{ use = "hits" }]') == content('[{ use = "hits", k = 10 }]')
    assert content('[{ use = "hits" }]') != content('[{ use = "hits", k = 3 }]')


def test_an_unknown_metric_is_told_at_its_line_with_what_was_meant(lab: Lab) -> None:
    (cell,) = expand(load_spec(spec(lab, '[{ use = "brire" }]'), ()))
    with pytest.raises(PluginError, match=r'asked\.toml:\d+:.*did you mean "brier"') as caught:
        prepare(cell, Registry.discover(BUILTINS))
    assert "evaluate.0.metrics.0.use" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "says"),
    [
        ("undeclared_value", "gives an undeclared value"),
        ("nan", "no finite number"),
        ("top_again", "two metrics are called 'top1'"),
    ],
)
def test_a_metric_that_breaks_its_contract_fails_the_run_in_words(
    lab: Lab, metric: str, says: str
) -> None:
    (outcome,) = lab.run(spec(lab, f'[{{ use = "{metric}" }}]'))
    assert outcome.status == "failed"
    assert says in str(outcome.error)
    assert metric in str(outcome.error)


@pytest.mark.slow
def test_zero_shot_has_them_too(lab: Lab) -> None:
    *rest, _ = PAIRED
    asked = '[[evaluate]]\nuse = "zero_shot"\nmetrics = [{ use = "hits", k = 1 }]\n'
    found = lab.run_one(lab.write("paired", (*rest, asked))).evaluations[0].metrics
    assert found["hits@1"] == pytest.approx(found["top1"])
