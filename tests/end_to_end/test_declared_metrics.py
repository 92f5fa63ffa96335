"""From somebody else's evaluator and loss to stored results: a declaration decides all the way."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import select
from support.lab import CONCAT, DATASET, ENCODERS, SCRIPTED, TRAIN, Lab, install
from support.odd import WITH_ODD

from mmlab.errors import PluginError, SpecError
from mmlab.plan.best_metric import train_table
from mmlab.plan.registry import Registry
from mmlab.plan.resolve import prepare
from mmlab.report.leaderboard import leaderboard
from mmlab.spec import expand, load_spec
from mmlab.store import views

ODD = '[[evaluate]]\nuse = "odd"\nname = "asked"\n'


@pytest.fixture
def lab(sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    """A lab where the odd evaluators and losses are installed."""
    install(monkeypatch, tmp_path / "odd-site", "odd")
    monkeypatch.setattr("mmlab.plan.resolve.BUILTINS", WITH_ODD)
    return sqlite_lab


def spec(lab: Lab, best: str, *, mode: str = "auto", asked: str = ODD, loss: str = "odd") -> Path:
    train = f'{TRAIN}best = "{best}"\nbest_mode = "{mode}"\n'
    losses = f'[[losses]]\nuse = "{loss}"\n\n{SCRIPTED}'
    return lab.write("declared", (DATASET, ENCODERS, CONCAT, losses, train, asked))


def direction(path: Path) -> str:
    (cell,) = expand(load_spec(path, ()))
    table = train_table(prepare(cell, Registry.discover(WITH_ODD)))
    assert table is not None
    return table.best_mode


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        ("loss", "min"),
        ("odd/loss", "min"),
        ("odd/rank", "max"),
        ("asked/score", "min"),
        ("asked/x/error", "max"),
    ],
)
def test_auto_is_as_declared_whatever_the_name_says(lab: Lab, best: str, expected: str) -> None:
    assert direction(spec(lab, best)) == expected


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("best", ["odd/rank", "odd/depth", "odd/perplexity", "asked/score"])
def test_a_spec_may_say_the_direction_itself(lab: Lab, best: str, mode: str) -> None:
    named = '[[evaluate]]\nuse = "undeclared"\nname = "asked"\n'
    assert direction(spec(lab, best, mode=mode, asked=named)) == mode


@pytest.mark.parametrize("best", ["odd/depth", "odd/perplexity", "asked/score"])
def test_what_has_no_declared_direction_needs_one_in_the_spec(lab: Lab, best: str) -> None:
    named = '[[evaluate]]\nuse = "undeclared"\nname = "asked"\n'
    path = spec(lab, best, asked=named)
    giver = "undeclared" if best.startswith("asked") else "odd"
    with pytest.raises(SpecError, match=r"declared\.toml:\d+:8: train\.best: ") as caught:
        direction(path)
    assert f"{giver} does not declare which way this metric is better" in str(caught.value)
    assert 'set train.best_mode to "min" or to "max"' in str(caught.value)


@pytest.mark.parametrize(
    ("evaluator", "loss", "says"),
    [
        ("old_fashioned", "odd", "`metrics` must declare metrics"),
        ("odd", "climbing", '"loss" is minimised'),
    ],
)
def test_a_declaration_that_is_none_is_the_plugins_fault(
    lab: Lab, evaluator: str, loss: str, says: str
) -> None:
    best = f"{evaluator}/score" if loss == "odd" else f"{loss}/loss"
    named = f'[[evaluate]]\nuse = "{evaluator}"\n'
    with pytest.raises(PluginError, match=says):
        direction(spec(lab, best, asked=named, loss=loss))


@pytest.mark.slow
def test_one_declaration_decides_from_the_best_weights_to_the_leaderboard(lab: Lab) -> None:
    detail = lab.run_one(spec(lab, "asked/score"))
    assert detail.summary["best_direction"] == "min"
    with lab.store() as store:
        curves = store.frame(select(views.curves))
        board = leaderboard(store)
    kinds = {row["metric"]: (row["better"], row["unit"]) for row in curves.to_dicts()}
    assert kinds["validation/asked/score"] == ("lower", "share")
    assert kinds["validation/odd/rank"] == ("higher", "")
    assert kinds["train/odd/rank"] == ("higher", "")
    assert kinds["validation/odd/perplexity"] == (None, None)
    assert kinds["train/loss"] == ("lower", "")
    assert kinds["train/lr"] == (None, "")
    assert board["metric"].to_list() == ["score", "x/error", "extra"]
    assert board["better"].to_list() == ["lower", "higher", None]
    judged = curves.filter(pl.col("metric") == "validation/asked/score")["value"]
    assert detail.summary["best_value"] == judged.min()


@pytest.mark.slow
def test_a_result_of_a_plugin_that_is_gone_still_ranks_in_its_direction(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run_one(lab.write("kept", (DATASET, ENCODERS, CONCAT, SCRIPTED, TRAIN, ODD)))
    monkeypatch.undo()
    with lab.store() as store:
        found = leaderboard(store).select("metric", "better", "place").rows()
        shown = store.run_detail(store.find_run("kept").run_id).evaluations[0].metrics
    assert found == [("score", "lower", 1), ("x/error", "higher", 1), ("extra", None, None)]
    assert list(shown) == ["score", "x/error", "extra"]
