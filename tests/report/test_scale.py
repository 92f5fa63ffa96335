"""Large databases: what a page does not show is not read, and no board looks at all others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.report_values import asked, ranked, record
from support.svg import Drawn

from mmlab.report.contents import all_boards, read_contents
from mmlab.report.frames import curve_metrics, drawn_curves
from mmlab.report.pictures import gather
from mmlab.report.pictures.gather import read_pictures
from mmlab.store import Store


def test_of_many_boards_of_one_name_each_counts_all_the_others(sqlite_store: Store) -> None:
    for number in range(20):
        result = replace(asked([1, 0], options={"k": number}), name="same")
        record(sqlite_store, result, cell=f"cell {number}")
    shown = list(all_boards(sqlite_store, read_contents(sqlite_store)))
    assert len(shown) == 20
    for board in shown:
        *told, rest = board.apart
        assert len(told) == 3
        assert all("option k" in reason for reason in told)
        assert rest == "nor with 16 further tables of this name"


def test_a_page_draws_curves_of_so_many_experiments_and_seeds(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "CURVED", 2)
    monkeypatch.setattr(gather, "DRAWN_SEEDS", 2)
    for experiment in ("first", "second", "third"):
        for seed in range(3):
            curve = [0.0, 100.0 if seed == 2 else 1.0]
            record(sqlite_store, ranked([1]), experiment=experiment, seed=seed, curve=curve)
    made = [one for one in read_pictures(sqlite_store) if one.name.startswith("curves")]
    assert [one.name for one in made] == ["curves-first-loss", "curves-second-loss"]
    assert "100" not in Drawn(made[0]).texts()  # the third seed is not read
    for one in made:
        assert "Of each group the 2 lowest seeds are drawn." in one.caption
    assert "Curves of 1 more experiment are not drawn." in made[0].caption


def test_curves_that_are_not_drawn_are_known_by_name_alone(store: Store) -> None:
    for seed in range(2):
        record(store, ranked([1]), seed=seed, curve=[2.0, 1.0])
    assert curve_metrics(store)["metric"].to_list() == ["train/loss"]
    assert drawn_curves(store, metrics=[]).is_empty()
    assert drawn_curves(store, metrics=["train/loss"])["mean"].to_list() == [2.0, 1.0]


def test_curves_of_unequal_length_are_averaged_over_the_same_steps(store: Store) -> None:
    record(store, ranked([1]), seed=0, curve=[float(step) for step in range(100)])
    record(store, ranked([1]), seed=1, curve=[float(step) for step in range(0, 100)][:50])
    drawn = drawn_curves(store, points=10)
    assert drawn["low"].to_list() == drawn["high"].to_list()
    assert drawn["mean"].to_list() == [4.5 + 10 * index for index in range(10)]
