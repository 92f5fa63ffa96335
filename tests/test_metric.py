"""A declaration says what a metric is, of one name or of a family, and never contradicts itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmlab.errors import PluginError
from mmlab.metric import SHARE, Metric, find, under

RECALL = Metric("recall@{k}", "higher", SHARE, mean_of="rank<={k}")


@given(st.integers(0, 10**9))
def test_a_member_of_a_family_is_the_same_by_its_name_and_by_its_word(k: int) -> None:
    assert RECALL.of(f"recall@{k}") == RECALL.bind(k=k)
    assert RECALL.bind(k=k).mean_of == f"rank<={k}"


@pytest.mark.parametrize("name", ["recall@", "recall@five", "recall@5/low", "mean_recall@5", ""])
def test_other_names_are_of_no_family(name: str) -> None:
    assert RECALL.of(name) is None
    assert not RECALL.covers(name)


@given(st.text(min_size=1), st.text(min_size=1))
def test_any_text_may_stand_for_a_word_and_keeps_its_place(target: str, inputs: str) -> None:
    error = Metric("{target}/mse", "lower", condition="{inputs}")
    found = error.of(f"{target}/mse", inputs)
    assert found == Metric(f"{target}/mse", "lower", condition=inputs)
    assert error.covers(f"{inputs}/{target}/mse")
    assert error.of(f"{target}/mse") is None


def test_ends_of_an_interval_may_be_a_family_too() -> None:
    low = Metric("{of}_low", low_of="{of}")
    assert low.of("top1_low") == Metric("top1_low", low_of="top1")


def test_a_word_that_comes_twice_means_one_text() -> None:
    pair = Metric("{a}-{a}")
    assert pair.covers("x-x")
    assert not pair.covers("x-y")


def test_the_first_declaration_of_a_name_counts_and_its_place_is_told() -> None:
    declared = (Metric("mAP"), Metric("top1", "higher"), Metric("top{k}", "lower"))
    assert find(declared, "top1") == (1, declared[1])
    assert find(declared, "top5") == (2, Metric("top5", "lower"))
    assert find(declared, "top") is None


def test_under_conditions_metrics_are_the_same_but_tell_no_gain() -> None:
    (one,) = under("{way}", [Metric("hits", "higher", mean_of="outcome", has_gain=True)])
    assert one == Metric("hits", "higher", mean_of="outcome", condition="{way}")
    assert one.path == "{way}/hits"


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "has no name"),
    ({"better": "up"}, 'allowed: "higher", "lower", or None'),
    ({"mean_of": "hits"}, 'allowed: "outcome", "-outcome", "rank<={k}" or "median rank"'),
    ({"better": "lower", "mean_of": "outcome"}, "contradict"),
    ({"better": "higher", "mean_of": "-outcome"}, "contradict"),
    ({"better": "lower", "mean_of": "rank<=5"}, "contradict"),
    ({"better": "higher", "mean_of": "median rank"}, "contradict"),
    ({"better": "higher", "has_gain": True}, "gains are of outcomes"),
    ({"better": "higher", "mean_of": "rank<=1", "has_gain": True}, "gains are of outcomes"),
    ({"board": "front"}, 'allowed: "leaderboard" or "robustness"'),
]


@pytest.mark.parametrize(("fields", "says"), CONTRADICTIONS)
def test_a_contradiction_is_told_where_it_is_declared(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(PluginError) as caught:
        Metric(**{"name": "odd", **fields})
    assert says in str(caught.value)
    assert "next: correct the declaration" in str(caught.value)
