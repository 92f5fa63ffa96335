"""Fusion gains of hand-made outcomes, whose figures can be worked out on paper."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from support.report_values import asked, record_fusion

from mmlab.report.boards.gain import gain_boards
from mmlab.report.contents import all_boards, read_contents
from mmlab.report.gain import SCHEMA, fusion_gain
from mmlab.report.gain_runs import costs_of
from mmlab.report.render.files import to_csv, to_json, to_markdown
from mmlab.report.results import Results
from mmlab.statistics.differences import paired_difference
from mmlab.statistics.standing import joint_differences
from mmlab.store import Store

IMAGE = [1.0, 0, 0, 1, 0, 0, 0, 0]
TEXT = [1.0, 1, 0, 0, 1, 0, 1, 0]
BOTH = [1.0, 1, 1, 1, 1, 0, 1, 0]

SUMMARY = {
    "parameters_by_part": {"encoders": 1000, "fusion": 30, "head": 12, "losses": 1},
    "flops_per_sample": {"encoders": 5000, "fusion": 60, "head": 24},
    "samples_per_second": 100.0,
}


def one(frame: pl.DataFrame) -> dict[str, object]:
    (row,) = frame.to_dicts()
    return row


def record_three(store: Store, **summaries: dict[str, object]) -> None:
    """Picture, text, and both; one seed."""
    rows = {
        "image": (IMAGE, ["image"]),
        "text": (TEXT, ["text"]),
        "both": (BOTH, ["image", "text"]),
    }
    for name, (outcomes, inputs) in rows.items():
        record_fusion(store, "concat", inputs, asked(outcomes), summary=summaries.get(name))


def test_the_gain_is_over_the_best_input_alone_paired_by_sample(store: Store) -> None:
    record_three(store)
    row = one(fusion_gain(store))
    assert (row["fusion"], row["inputs"], row["best_unimodal"]) == ("concat", "image+text", "text")
    assert (row["mean"], row["best_mean"], row["gain"]) == (6 / 8, 4 / 8, 2 / 8)
    assert (row["seeds"], row["samples"], row["interval"]) == (1, 8, "samples")
    expected = paired_difference([BOTH], [TEXT])
    single = (row["single_low"], row["single_high"])
    assert single == pytest.approx((expected.low, expected.high))
    assert row["reason"] == "too few differences to tell"
    assert row["measure"] == "top1"


def test_without_validation_the_best_input_is_chosen_on_the_split_itself(
    sqlite_store: Store,
) -> None:
    record_three(sqlite_store)
    assert one(fusion_gain(sqlite_store))["chosen_on"] == "test"


@pytest.mark.parametrize(
    ("direction", "image", "text", "best"), [("max", 0.9, 0.1, "image"), ("min", 0.9, 0.1, "text")]
)
def test_the_best_input_is_chosen_on_validation_where_every_run_has_it(
    sqlite_store: Store, direction: str, image: float, text: float, best: str
) -> None:
    def summary(value: float) -> dict[str, object]:
        return {"best": "loss", "best_direction": direction, "best_value": value}

    record_three(sqlite_store, image=summary(image), text=summary(text))
    row = one(fusion_gain(sqlite_store))
    assert (row["best_unimodal"], row["chosen_on"]) == (best, "validation")


def test_a_metric_that_only_some_have_chooses_nothing(sqlite_store: Store) -> None:
    record_three(sqlite_store, image={"best": "loss", "best_direction": "min", "best_value": 0.0})
    assert one(fusion_gain(sqlite_store))["chosen_on"] == "test"


def planted(inputs: int, gain: float = 0.0, count: int = 80) -> dict[str, np.ndarray]:
    """Outcomes (seeds, samples) of the text alone, and of so many fusions that gain this much."""
    easy = np.random.default_rng(0).random(count)
    names = ["text", *(f"fusion {number}" for number in range(inputs))]
    return {
        name: np.array(
            [
                easy + np.random.default_rng([place, seed]).normal(0, 0.1, count)
                < 0.6 + gain * bool(place)
                for seed in range(3)
            ],
            dtype=np.float64,
        )
        for place, name in enumerate(names)
    }


def record_planted(store: Store, tables: dict[str, np.ndarray]) -> None:
    for name, table in tables.items():
        inputs = ["text"] if name == "text" else ["image", "text"]
        for seed, outcomes in enumerate(table):
            record_fusion(store, name, inputs, asked(list(outcomes)), seed=seed)


def test_one_fusion_has_the_interval_of_the_paired_difference(store: Store) -> None:
    tables = planted(1, 0.2)
    record_planted(store, tables)
    expected = paired_difference(tables["fusion 0"], tables["text"])
    row = one(fusion_gain(store))
    assert row["interval"] == "seeds and samples"
    assert (row["seeds"], row["samples"]) == (3, 80)
    found = (row["gain"], row["single_low"], row["single_high"])
    assert found == pytest.approx((expected.value, expected.low, expected.high))


def test_intervals_of_many_fusions_hold_together_and_are_wider_than_one_by_one(
    sqlite_store: Store,
) -> None:
    tables = planted(6, 0.1)
    record_planted(sqlite_store, tables)
    rows = fusion_gain(sqlite_store).to_dicts()
    names = list(tables)
    order = [names.index(str(row["fusion"])) for row in rows]
    expected = joint_differences(list(tables.values()), [(place, 0) for place in order])
    for row, joint in zip(rows, expected, strict=True):
        assert (row["low"], row["high"]) == pytest.approx((joint.low, joint.high), abs=0.01)
        wide, narrow = row["high"] - row["low"], row["single_high"] - row["single_low"]
        assert wide > narrow
    (board,) = gain_boards(fusion_gain(sqlite_store))
    assert board.metrics[:2] == ("gain", "one by one")
    assert "intervals of gains hold together, those one by one for a single row" in board.notes


def test_samples_that_were_drawn_together_count_as_clusters(sqlite_store: Store) -> None:
    tables, clusters = planted(1, 0.2), [place // 4 for place in range(80)]
    for name, table in tables.items():
        inputs = ["text"] if name == "text" else ["image", "text"]
        for seed, outcomes in enumerate(table):
            result = asked(list(outcomes))
            assert result.samples is not None
            samples = replace(result.samples, clusters=[f"person {one}" for one in clusters])
            given = replace(result, samples=samples)
            record_fusion(sqlite_store, name, inputs, given, seed=seed)
    row = one(fusion_gain(sqlite_store))
    expected = paired_difference(tables["fusion 0"], tables["text"], clusters)
    found = (row["single_low"], row["single_high"])
    assert found == pytest.approx((expected.low, expected.high))


def test_all_seeds_of_both_sides_count_and_none_is_paired(sqlite_store: Store) -> None:
    for seed in (0, 1):
        record_fusion(sqlite_store, "sum", ["text"], asked(TEXT), seed=seed)
    for seed in (1, 2):
        outcomes = BOTH if seed == 1 else IMAGE
        record_fusion(sqlite_store, "sum", ["image", "text"], asked(outcomes), seed=seed)
    row = one(fusion_gain(sqlite_store))
    assert (row["seeds"], row["interval"]) == (2, "seeds and samples")
    assert row["gain"] == pytest.approx(np.mean([*BOTH, *IMAGE]) - np.mean(TEXT))


def test_one_seed_of_a_side_leaves_its_other_seeds_out(sqlite_store: Store) -> None:
    record_fusion(sqlite_store, "sum", ["text"], asked(TEXT), seed=0)
    record_fusion(sqlite_store, "sum", ["image", "text"], asked(BOTH), seed=1)
    record_fusion(sqlite_store, "sum", ["image", "text"], asked(IMAGE), seed=2)
    row = one(fusion_gain(sqlite_store))
    assert (row["seeds"], row["interval"]) == (1, "samples")


def test_repetitions_of_a_seed_count_once_with_their_mean(sqlite_store: Store) -> None:
    record_fusion(sqlite_store, "sum", ["text"], asked(TEXT))
    record_fusion(sqlite_store, "sum", ["image", "text"], asked(BOTH))
    record_fusion(sqlite_store, "sum", ["image", "text"], asked(TEXT), rerun=True)
    row = one(fusion_gain(sqlite_store))
    assert (row["seeds"], row["gain"]) == (1, 1 / 8)


def test_samples_that_an_input_lacks_are_not_paired(sqlite_store: Store) -> None:
    """The text is asked of four samples alone: the protocols differ in nothing else."""
    ids = [f"sample-{index:04d}" for index in (1, 3, 5, 7)]
    record_fusion(sqlite_store, "sum", ["text"], asked([0, 0, 1, 0], ids=ids))
    record_fusion(sqlite_store, "sum", ["image", "text"], asked(BOTH))
    row = one(fusion_gain(sqlite_store))
    assert row["samples"] == 4
    assert row["gain"] == np.mean([1, 1, 0, 0]) - 1 / 4


def test_another_protocol_is_another_question(sqlite_store: Store) -> None:
    record_fusion(sqlite_store, "sum", ["text"], asked(TEXT, options={"k": 1}))
    record_fusion(sqlite_store, "sum", ["image", "text"], asked(BOTH))
    assert fusion_gain(sqlite_store).is_empty()


def test_what_judges_encoders_alone_says_nothing_of_a_fusion(sqlite_store: Store) -> None:
    for inputs in (["text"], ["image", "text"]):
        record_fusion(sqlite_store, "sum", inputs, asked(TEXT, evaluator="linear_probe"))
    assert fusion_gain(sqlite_store).is_empty()


def test_a_run_without_outcomes_takes_no_part(sqlite_store: Store) -> None:
    record_three(sqlite_store)
    record_fusion(sqlite_store, "gating", ["image", "text"], asked([math.nan] * 8))
    record_fusion(sqlite_store, "gating", ["text"], asked([math.nan] * 8))
    assert one(fusion_gain(sqlite_store))["gain"] == 2 / 8


def test_the_rest_of_the_sweep_must_be_equal(sqlite_store: Store) -> None:
    for lr, outcomes in ((0.1, IMAGE), (0.2, TEXT)):
        record_fusion(sqlite_store, "sum", ["text"], asked(outcomes), settings={"train.lr": lr})
    record_fusion(sqlite_store, "sum", ["image", "text"], asked(BOTH), settings={"train.lr": 0.1})
    row = one(fusion_gain(sqlite_store))
    assert row["best_cell"] == "fusion=sum(text), train.lr=0.1"
    assert row["gain"] == 4 / 8


def test_a_fusion_is_compared_with_its_own_inputs(sqlite_store: Store) -> None:
    record_fusion(sqlite_store, "sum", ["audio"], asked([1.0] * 8))
    record_fusion(sqlite_store, "sum", ["text"], asked(TEXT))
    record_fusion(sqlite_store, "sum", ["image", "text"], asked(BOTH))
    record_fusion(sqlite_store, "sum", ["image", "text", "audio"], asked(BOTH))
    best = dict(fusion_gain(sqlite_store).select("inputs", "best_unimodal").rows())
    assert best == {"image+text": "text", "image+text+audio": "audio"}


def test_inputs_that_were_not_run_alone_are_named(store: Store, tmp_path: Path) -> None:
    record_fusion(store, "concat", ["image"], asked(IMAGE))
    record_fusion(store, "sum", ["image", "text"], asked(BOTH))
    record_fusion(store, "sum", ["image", "text", "audio"], asked(BOTH))
    gains = fusion_gain(store)
    missing = dict(gains.select("inputs", "unimodal_missing").rows())
    assert missing == {"image+text": "text", "image+text+audio": "text+audio"}
    two, several = "text alone was not run, and may", "text alone and audio alone were not run, and"
    (board,) = gain_boards(gains.filter(pl.col("inputs") == "image+text"))
    assert any(note.startswith(two) for note in board.notes)
    contents = read_contents(store)
    assert several in to_markdown(all_boards(store, contents))
    assert json.loads(to_json(contents))["fusion_gain"][0]["unimodal_missing"] == "text"
    Results(store).write(tmp_path / "report.html")
    assert several in (tmp_path / "report.html").read_text()


def test_nothing_is_said_to_be_missing_where_every_input_was_run(store: Store) -> None:
    record_three(store)
    gains = fusion_gain(store)
    assert one(gains)["unimodal_missing"] is None
    (board,) = gain_boards(gains)
    assert not any("not run" in note for note in board.notes)


def test_a_regression_gains_squared_error(sqlite_store: Store) -> None:
    record_fusion(sqlite_store, "sum", ["text"], asked([-4.0, -2.0], evaluator="regression"))
    record_fusion(
        sqlite_store, "sum", ["image", "text"], asked([-1.0, -1.0], evaluator="regression")
    )
    row = one(fusion_gain(sqlite_store))
    assert (row["measure"], row["gain"]) == ("-mse", 2.0)


def test_costs_are_those_of_fusion_and_head(sqlite_store: Store) -> None:
    match = {"budget": 40, "parameters": 42, "option": "dim", "value": 3}
    found = costs_of([SUMMARY | {"match": match}, SUMMARY | {"samples_per_second": 300.0}])
    assert (found.parameters, found.flops, found.samples_per_second) == (42, 84, 200.0)
    assert (found.budget, found.width) == (40, "dim = 3")
    assert found.gap == pytest.approx(0.05)
    empty = costs_of([{}])
    assert (empty.parameters, empty.flops, empty.gap, empty.width) == (None, None, None, None)


def test_nothing_to_compare_is_an_empty_frame_with_its_columns(store: Store) -> None:
    assert dict(fusion_gain(store).schema) == dict(pl.DataFrame(schema=SCHEMA).schema)
    record_fusion(store, "sum", ["image", "text"], asked(BOTH))
    assert fusion_gain(store).is_empty()
    assert list(gain_boards(fusion_gain(store))) == []


def test_the_board_says_what_was_gained_at_what_cost(sqlite_store: Store) -> None:
    match = {"budget": 40, "parameters": 42, "option": "dim", "value": 3}
    shared = SUMMARY | {"match": match, "function_class": "sums of maps"}
    record_fusion(sqlite_store, "concat", ["text"], asked(TEXT))
    record_fusion(sqlite_store, "concat", ["image", "text"], asked(TEXT), summary=shared)
    record_fusion(sqlite_store, "sum", ["image", "text"], asked(BOTH), summary=shared)
    record_fusion(sqlite_store, "gating", ["image", "text"], asked(IMAGE), summary=SUMMARY)
    (board,) = gain_boards(fusion_gain(sqlite_store))
    assert board.metrics == (
        "gain",
        "one by one",
        "top1",
        "best unimodal",
        "parameters",
        "gap",
        "FLOPs",
        "samples/s",
    )
    assert [entry.label for entry in board.entries] == [
        "sum(image+text)",
        "concat(image+text)",
        "gating(image+text)",
    ]
    texts = [figure.text for figure in board.entries[0].figures]
    assert texts[0].startswith("+25 [")
    assert texts[2:] == ["75.0%", "text 50.0%", "42", "+5.0%", "84", "100"]
    assert not board.entries[0].figures[0].is_best  # eight samples show no gain
    notes = "; ".join(board.notes)
    assert "sum and concat are one function class (sums of maps)" in notes
    assert "chosen on test, so that gains look smaller" in notes
    assert "the budget of 40" in notes


def test_every_format_has_the_gains(store: Store) -> None:
    record_three(store)
    contents = read_contents(store)
    gain = json.loads(to_json(contents))["fusion_gain"][0]["gain"]
    assert gain == 0.25
    assert "+25 [" in to_markdown(all_boards(store, contents))
    assert to_csv(contents.table("fusion_gain")).splitlines()[1].startswith("emoji,fusion=concat(")


def test_python_and_the_page_have_the_gains(sqlite_store: Store, tmp_path: Path) -> None:
    record_three(sqlite_store)
    found = Results(sqlite_store)
    assert found.fusion_gain()["gain"].to_list() == [0.25]
    assert found.fusion_gain(["emoji"]).equals(found.fusion_gain())
    assert "fusion gain · emoji" in found._repr_html_()
    found.write(tmp_path / "gain.parquet", table="fusion_gain")
    assert pl.read_parquet(tmp_path / "gain.parquet").equals(found.fusion_gain())
    found.write(tmp_path / "report.html")
    assert '+25 <span class="ends">[' in (tmp_path / "report.html").read_text()


def test_a_value_that_is_not_finite_validates_nothing(sqlite_store: Store) -> None:
    nan = {"best": "loss", "best_direction": "min", "best_value": math.nan}
    record_three(sqlite_store, text=nan, image={**nan, "best_value": 1.0})
    assert one(fusion_gain(sqlite_store))["chosen_on"] == "test"
