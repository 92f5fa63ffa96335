from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sqlalchemy import select
from support.report_values import asked, beyond, ranked, record

from mmlab.metric import Metric
from mmlab.records import EvaluationResult
from mmlab.report.boards.board import boards
from mmlab.report.leaderboard import SCHEMA, leaderboard
from mmlab.statistics.crossed import measure, stacked
from mmlab.statistics.means import estimate_mean
from mmlab.statistics.quantiles import estimate_quantile
from mmlab.statistics.shares import estimate_share
from mmlab.statistics.variance import board_scatter
from mmlab.store import Store
from mmlab.store.views import sample_outcomes


def scored(top1: float, **metrics: float | None) -> EvaluationResult:
    """A result without samples whose metrics are as given."""
    return replace(
        ranked([1]), metrics={"top1": top1, **metrics}, samples=None, rankings=None, thumbnails={}
    )


def row(store: Store, metric: str = "top1") -> dict[str, object]:
    """The leaderboard's only row of a metric."""
    return leaderboard(store).row(by_predicate=pl.col("metric") == metric, named=True)


def draws(seed: int, count: int = 60, share: float = 0.7) -> list[int]:
    """Ranks of a seed: 1 for a hit, else 2 or 6. What is hard for one is hard for all."""
    easy = np.random.default_rng(1).random(count)
    shaken = easy + np.random.default_rng([2, seed]).normal(0, 0.05, count)
    return np.where(shaken < share, 1, np.where(np.arange(count) % 2, 2, 6)).tolist()


def hits(ranks: list[list[int]], k: int = 1) -> np.ndarray:
    return np.array([[rank <= k for rank in seed] for seed in ranks], dtype=np.float64)


@pytest.mark.parametrize(("metric", "k"), [("top1", 1), ("top5", 5)])
def test_several_seeds_have_the_interval_over_new_samples_and_new_seeds(
    store: Store, metric: str, k: int
) -> None:
    ranks = [draws(seed) for seed in range(3)]
    for seed, own in enumerate(ranks):
        record(store, ranked(own), seed=seed)
    found, expected = row(store, metric), estimate_share(hits(ranks, k))
    assert found["mean"] == pytest.approx(hits(ranks, k).mean())
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    assert (found["interval"], found["seeds"]) == ("seeds and samples", 3)


def test_seeds_of_three_rows_lend_each_other_what_they_scatter(store: Store) -> None:
    tables = {}
    for cell, share in {"a": 0.5, "b": 0.7, "c": 0.9}.items():
        tables[cell] = [draws(seed, share=share) for seed in range(2)]
        for seed, own in enumerate(tables[cell]):
            record(store, ranked(own), cell=cell, seed=seed)
    board = leaderboard(store).filter(pl.col("metric") == "top1")
    scatter = board_scatter(stacked([measure(hits(own)).squares for own in tables.values()]))
    for one in board.to_dicts():
        expected = estimate_share(hits(tables[one["cell"]]), scatter=scatter)
        assert (one["low"], one["high"]) == pytest.approx((expected.low, expected.high))


def test_metrics_without_samples_have_no_interval_and_say_why(store: Store) -> None:
    for seed, value in enumerate([0.5, 0.6, 0.9]):
        record(store, scored(value), seed=seed)
    found = row(store)
    assert found["mean"] == pytest.approx(2 / 3)
    assert (found["low"], found["high"], found["interval"]) == (None, None, "none")
    assert found["reason"] == "it is no mean over stored samples, the same for every seed"


def test_seeds_of_other_samples_have_no_interval(store: Store) -> None:
    for seed in range(2):
        ids = [f"sample-{seed + index}" for index in range(40)]
        result = asked([1.0, 0.0] * 20, ids=ids)
        record(store, replace(result, protocol={"samples": "any"}), seed=seed)
    assert row(store)["interval"] == "none"


def test_a_repeated_seed_counts_once(store: Store) -> None:
    record(store, scored(0.2), seed=0)
    record(store, scored(0.4), seed=0, rerun=True)
    record(store, scored(0.9), seed=1)
    found = row(store)
    assert found["mean"] == pytest.approx((0.3 + 0.9) / 2)
    assert found["seeds"] == 2


def test_a_truth_behind_imported_first_labels_is_a_miss_of_top5(store: Store) -> None:
    record(store, beyond([1, 6, 2, 6] * 10))
    found, expected = row(store, "top5"), estimate_share(np.array([[1.0, 0, 1, 0] * 10]))
    assert (found["mean"], found["interval"]) == (0.5, "samples")
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("metric", "k"), [("top1", 1), ("top5", 5)])
def test_one_seed_has_the_interval_over_new_samples(store: Store, metric: str, k: int) -> None:
    ranks = draws(0)
    record(store, ranked(ranks))
    found, expected = row(store, metric), estimate_share(hits([ranks], k))
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    assert (found["interval"], found["samples"]) == ("samples", 60)


def together(outcomes: list[float], size: int) -> EvaluationResult:
    """Outcomes of samples that were drawn so many together."""
    result = asked(outcomes)
    assert result.samples is not None
    clusters = [f"person {place // size}" for place in range(len(outcomes))]
    return replace(result, samples=replace(result.samples, clusters=clusters))


def test_samples_that_were_drawn_together_count_as_clusters(store: Store) -> None:
    """Five pictures of each of twenty persons, of whom the same model gets all or none right."""
    outcomes = [float(place // 5 % 2) for place in range(100)]
    record(store, together(outcomes, 5))
    found = row(store)
    clusters = [place // 5 for place in range(100)]
    expected, alone = estimate_share([outcomes], clusters), estimate_share([outcomes])
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    assert alone.low is not None
    assert alone.low - found["low"] > 0.05  # type: ignore[operator]


def test_what_was_drawn_together_is_known_once_and_stays(store: Store) -> None:
    record(store, asked([1.0, 0.0] * 10), seed=0)
    record(store, together([1.0, 0.0] * 10, 2), seed=1)
    record(store, together([1.0, 0.0] * 10, 4), seed=2)
    rows = store.frame(select(sample_outcomes.c.sample, sample_outcomes.c.cluster).distinct())
    found = dict(rows.sort("sample").iter_rows())
    assert found == {f"sample-{place:04d}": f"person {place // 2}" for place in range(20)}


def test_four_samples_are_too_few(store: Store) -> None:
    record(store, ranked([1, 1, 3, 6]))
    found = row(store)
    assert (found["mean"], found["low"], found["interval"]) == (0.5, None, "none")
    assert found["reason"] == "too few samples"
    assert found["advice"] == "it needs at least 5 samples, here are 4"


@pytest.mark.parametrize("unit", [1.0, 1e4])
def test_an_error_is_minus_its_outcomes_and_gets_their_interval(store: Store, unit: float) -> None:
    errors = (unit * np.random.default_rng(3).exponential(size=40)).astype(np.float32)
    metrics = {"r2": 0.5, "mse": float(errors.astype(np.float64).mean())}
    record(store, asked((-errors).tolist(), evaluator="regression", metrics=metrics))
    found, expected = row(store, "mse"), estimate_mean(errors[None].astype(np.float64))
    assert found["interval"] == "samples"
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high), rel=1e-4)
    assert row(store, "r2")["interval"] == "none"


def test_a_board_says_what_every_interval_it_shows_varies_over(store: Store) -> None:
    outcomes = [-1.0, -3.0] * 15
    metrics = {"r2": 0.5, "mse": 2.0}
    record(store, replace(asked(outcomes, evaluator="regression", metrics=metrics), skipped=1))
    (board,) = boards(store, leaderboard(store))
    assert board.notes == [
        "30 samples",
        "up to 1 sample could not take part",
        "ranked by r2",
        "r2: no interval (none of it is known to hold)",
        "mse: 95% over new samples; another seed is not in it",
        "time of a run, the median",
    ]


def test_a_perfect_regression_is_no_share_of_hits(store: Store) -> None:
    record(store, asked([0.0] * 30, evaluator="regression", metrics={"mse": 0.0}))
    found = row(store, "mse")
    assert (found["low"], found["reason"]) == (None, "too few different values")


def test_graded_outcomes_have_the_interval_of_bounded_means(store: Store) -> None:
    outcome = np.array([0.5, 0.25, 1.0, 0.25] * 10, dtype=np.float32)
    result = ranked([1, 1, 3, 6] * 10)
    assert result.samples is not None
    samples = replace(result.samples, outcome=outcome)
    record(store, replace(result, samples=samples, metrics={"top1": 0.5}))
    found, expected = row(store), estimate_share(outcome[None], scale="bounded")
    assert found["interval"] == "samples"
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("metric", ["mean_rank", "mean_per_class_recall", "mean_recall@1"])
def test_a_metric_that_happens_to_equal_the_mean_outcome_has_no_interval(
    store: Store, metric: str
) -> None:
    record(store, asked([1.0] * 40, evaluator="zero_shot", metrics={"top1": 1.0, metric: 1.0}))
    found = row(store, metric)
    assert (found["low"], found["high"], found["interval"]) == (None, None, "none")
    assert row(store)["interval"] == "samples"


def test_the_outcomes_of_retrieval_belong_to_recall_at_1(store: Store) -> None:
    metrics = {"recall@1": 0.5, "mean_recall@1": 0.5}
    condition = "image_to_text"
    outcomes = [1.0, 0.0] * 20
    record(store, asked(outcomes, evaluator="retrieval", condition=condition, metrics=metrics))
    assert row(store, "recall@1")["interval"] == "samples"
    assert row(store, "mean_recall@1")["interval"] == "none"


def test_an_mse_that_weighs_samples_otherwise_than_their_outcomes_has_no_interval(
    store: Store,
) -> None:
    record(store, asked([-1.0, -3.0], evaluator="regression", metrics={"mse": 2.5}))
    assert row(store, "mse")["interval"] == "none"


def test_a_metric_that_is_no_mean_over_samples_has_no_interval(store: Store) -> None:
    record(store, ranked([1, 2, 3]))
    found = row(store, "mean_rank")
    assert (found["low"], found["high"], found["interval"]) == (None, None, "none")
    assert found["reason"] == "none of it is known to hold"


FEW = {"top1": 0.2, "top1_low": 0.1, "top1_high": 0.3, "top5": 0.5, "top5_low": 0, "top5_high": 1}


def few_shot(metrics: dict[str, float]) -> EvaluationResult:
    return asked([0.2, 0.2], evaluator="few_shot", condition="1 shot", metrics=metrics)


def test_bounds_over_draws_belong_to_their_means_and_are_no_metrics(store: Store) -> None:
    record(store, few_shot(FEW))
    board = leaderboard(store)
    assert board["metric"].to_list() == ["top1", "top5"]
    assert board["interval"].to_list() == ["draws", "draws"]
    assert board["low"].to_list() == pytest.approx([0.1, 0.0])
    assert board["high"].to_list() == pytest.approx([0.3, 1.0])
    (shown,) = boards(store, board)
    assert [figure.text for figure in shown.entries[0].figures[:-1]] == [
        "20% [10, 30]",
        "50% [0, 100]",
    ]
    assert "95% Student t over draws (one seed)" in shown.notes


@pytest.mark.parametrize(
    ("mean", "low", "high", "text"),
    [(0.95, 0.85, 1.0, "95.0% [85.0, 100.0]"), (0.2, 0.0, 0.6, "20% [0, 60]")],
)
def test_bounds_that_were_cut_to_shares_stay_cut(
    store: Store, mean: float, low: float, high: float, text: str
) -> None:
    record(store, few_shot({"top1": mean, "top1_low": low, "top1_high": high}))
    found = row(store)
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    (shown,) = boards(store, leaderboard(store))
    assert shown.entries[0].figures[0].text == text


def test_a_board_says_that_more_ranks_begin_at_1_than_rows_are_tied_for_first(
    sqlite_store: Store,
) -> None:
    """Rank ranges hold for all rows at once, and are wider than the question of the best."""
    for place in range(4):
        record(sqlite_store, ranked(draws(0, share=0.9 - 0.04 * place)), cell=f"row {place}")
    (shown,) = boards(sqlite_store, leaderboard(sqlite_store))
    assert [entry.placing for entry in shown.entries] == ["1-3", "1-3", "1-4", "3-4"]
    assert [entry.figures[0].is_best for entry in shown.entries] == [True, False, False, False]
    said = "first: 1 of 4; ranks are 95% intervals for all rows at once, which begin at 1 for 3"
    assert f"ranked by top1, {said}" in shown.notes


def in_the_middle(ranks: list[int]) -> EvaluationResult:
    """With the median of its ranks."""
    result = ranked(ranks)
    return replace(result, metrics={**result.metrics, "median_rank": float(np.median(ranks))})


def test_a_median_over_seeds_is_that_of_all_their_samples_and_has_woodruff_s_interval(
    store: Store,
) -> None:
    ranks = [draws(seed, share=0.4) for seed in range(3)]
    for seed, own in enumerate(ranks):
        record(store, in_the_middle(own), seed=seed)
    found, expected = row(store, "median_rank"), estimate_quantile(ranks)
    assert (found["low"], found["high"]) == (expected.low, expected.high)
    assert found["mean"] == np.median(ranks)
    assert (found["interval"], found["is_tied"]) == ("seeds and samples", None)


def test_the_median_of_one_seed_is_its_own(store: Store) -> None:
    record(store, in_the_middle([1, 2, 3, 4] * 10))
    found = row(store, "median_rank")
    assert (found["mean"], found["interval"]) == (2.5, "samples")
    (shown,) = boards(store, leaderboard(store))
    place = shown.metrics.index("median_rank")
    assert shown.entries[0].figures[place].text == "2.50 [2.00, 3.00]"


def test_medians_of_seeds_that_answered_other_samples_have_no_interval(store: Store) -> None:
    for seed, own in enumerate([[1, 2, 3] * 10, [1, 2, 3, 4] * 10]):
        record(store, in_the_middle(own), seed=seed)
    found = row(store, "median_rank")
    assert (found["mean"], found["low"]) == (2.25, None)
    assert found["reason"] == "it is no mean over stored samples, the same for every seed"


def test_a_seed_without_a_median_leaves_none(store: Store) -> None:
    for seed, value in enumerate([2.0, math.nan]):
        result = in_the_middle([1, 2, 3] * 10)
        record(store, replace(result, metrics={**result.metrics, "median_rank": value}), seed=seed)
    found = row(store, "median_rank")
    assert (found["mean"], found["low"], found["undefined"]) == (None, None, 1)


def test_draws_that_all_agree_leave_no_interval(store: Store) -> None:
    record(store, few_shot({"top1": 0.2, "top1_low": 0.2, "top1_high": 0.2}))
    found = row(store)
    assert (found["low"], found["interval"]) == (None, "none")
    assert (found["reason"], found["advice"]) == ("too few different values", "more draws")


@pytest.mark.parametrize("seeds", [1, 3])
def test_errors_that_are_all_equal_leave_no_interval(store: Store, seeds: int) -> None:
    for seed in range(seeds):
        record(store, asked([-2.0] * 40, evaluator="regression"), seed=seed)
    found = row(store, "mse")
    assert (found["mean"], found["low"], found["interval"]) == (2.0, None, "none")
    (shown,) = boards(store, leaderboard(store))
    assert shown.entries[0].figures[0].text == "2"
    assert "no interval (too few different values; more samples)" in shown.notes


def test_several_seeds_of_few_shots_have_no_interval_over_draws(store: Store) -> None:
    """Draws are those of one seed."""
    for seed, top1 in enumerate([0.2, 0.4]):
        record(store, few_shot({**FEW, "top1": top1}), seed=seed)
    board = leaderboard(store)
    assert board["metric"].to_list() == ["top1", "top5"]
    assert set(board["interval"]) == {"none"}


def test_a_seed_without_a_value_leaves_no_mean(store: Store) -> None:
    for seed, value in enumerate([0.5, math.nan, 0.7]):
        record(store, scored(value), seed=seed)
    found = row(store)
    assert (found["mean"], found["low"], found["place"], found["undefined"]) == (
        None,
        None,
        None,
        1,
    )


def test_protocols_are_never_ranked_against_each_other(store: Store) -> None:
    record(store, scored(0.9), experiment="easy")
    record(store, replace(scored(0.2), protocol={"labels": "more"}), experiment="hard")
    board = leaderboard(store).filter(pl.col("metric") == "top1")
    assert board["place"].to_list() == [1, 1]
    apart = [part.apart for part in boards(store, board)]
    differs = "which differs in the evaluator and the labels"
    assert apart == [
        (f"not comparable with the table of {other}, {differs}",) for other in ("hard", "easy")
    ]


def test_a_board_says_with_which_others_it_is_not_comparable_and_why(store: Store) -> None:
    learnt = {"train": ["emoji-1", "aa"], "validation": ["emoji-1", "bb"]}
    other = {**learnt, "train": ["emoji-2", "aa"]}
    probes = {
        "first": {"options": {"penalty": None, "learnt_from": learnt}},
        "twin": {"options": {"penalty": None, "learnt_from": learnt}},
        "words": {"options": {"penalty": None, "learnt_from": other}},
        "deeds": {"options": {"penalty": None, "learnt_from": other}},
        "fixed": {"options": {"penalty": 1.0, "learnt_from": {"train": ["emoji-1", "cc"]}}},
    }
    for experiment, protocol in probes.items():
        value = 0.9 if experiment == "first" else 0.8
        record(store, replace(scored(value), protocol=protocol), experiment=experiment)
    found = {board.entries[0].label: board for board in boards(store, leaderboard(store))}
    assert set(found) == {"first", "deeds", "fixed"}
    beside = "not comparable with the table of"
    assert set(found["first"].apart) == {
        f"{beside} deeds, which differs in the revision of the train samples learnt from",
        f"{beside} fixed, which differs in the train samples learnt from, "
        "whether validation samples were learnt from and option penalty (not set here, 1.0 there)",
    }
    assert set(found["first"].apart) <= set(found["first"].notes)


def test_a_table_that_is_called_as_another_is_told_by_its_protocol(store: Store) -> None:
    first, second = ({"evaluator": "zero_shot", "options": {"scale": scale}} for scale in (1, 2))
    record(store, replace(scored(0.9), protocol=first), experiment="twice", rerun=True)
    record(store, replace(scored(0.8), protocol=second), experiment="twice", rerun=True)
    one, other = boards(store, leaderboard(store))
    for here, there in ((one, other), (other, one)):
        (told,) = here.apart
        table = f"the table of twice (protocol {there.protocol_hash[:8]})"
        assert told.startswith(f"not comparable with {table}, which differs in option scale (")


def test_rivals_of_one_name_are_told_by_their_protocols(store: Store) -> None:
    for experiment, scale in (("first", 1), ("twice", 2), ("twice", 3)):
        protocol = {"evaluator": "zero_shot", "options": {"scale": scale}}
        value = 0.9 if experiment == "first" else 0.8
        record(store, replace(scored(value), protocol=protocol), experiment=experiment, rerun=True)
    found = list(boards(store, leaderboard(store)))
    hashes = {board.protocol_hash[:8] for board in found if board.entries[0].label == "twice"}
    (first,) = (board for board in found if board.entries[0].label == "first")
    told = re.findall(r"twice \(protocol (\w{8})\)", "; ".join(first.apart))
    assert set(told) == hashes
    assert len(hashes) == 2


def test_tables_that_differ_alike_are_named_together_and_many_are_counted(store: Store) -> None:
    for number in range(3):
        protocol = {"dataset_revision": str(number)}
        record(store, replace(scored(0.5), protocol=protocol), experiment=f"data {number}")
    for seed in range(4):
        protocol = {"dataset_revision": "0", "options": {"seed": seed}}
        record(store, replace(scored(0.5), protocol=protocol), experiment=f"seed {seed}")
    found = {board.entries[0].label: board.apart for board in boards(store, leaderboard(store))}
    first, *_, last = found["data 0"]
    assert len(found["data 0"]) == 4
    assert set(re.findall(r"data \d", first)) == {"data 1", "data 2"}
    assert first.endswith(", which differ in the dataset's revision")
    assert last == "nor with 2 further tables of this name"


def test_places_follow_the_better_direction_and_ties_share_one(store: Store) -> None:
    for cell, top1, rank in (("a", 0.5, 3.0), ("b", 0.7, 1.0), ("c", 0.5, 2.0)):
        record(store, scored(top1, mean_rank=rank), cell=cell)
    board = leaderboard(store)
    places = {
        metric: dict(board.filter(pl.col("metric") == metric).select("cell", "place").iter_rows())
        for metric in ("top1", "mean_rank")
    }
    assert places == {"top1": {"a": 2, "b": 1, "c": 2}, "mean_rank": {"a": 3, "b": 1, "c": 2}}


def test_only_the_wanted_runs_are_shown(store: Store) -> None:
    wanted = record(store, scored(0.5), cell="a")
    record(store, scored(0.6), cell="b")
    assert leaderboard(store, [wanted])["cell"].to_list() == ["a"]


def test_an_empty_store_gives_an_empty_board_of_the_same_columns(store: Store) -> None:
    board = leaderboard(store)
    assert board.is_empty()
    assert list(board.schema) == list(SCHEMA)


#: Of one family, which is declared at once, and of which nobody declares anything.
FAMILIES = {f"{name}@{k}": 0.5 for name in ("recall", "found") for k in (10, 1, 100, 5)}
IN_NUMBER = [f"{name}@{k}" for name in ("recall", "found") for k in (1, 5, 10, 100)]


def test_metrics_of_a_family_stand_in_the_order_of_their_numbers(store: Store) -> None:
    family = Metric("recall@{k}", "higher")
    result = replace(scored(0.5), metrics=FAMILIES, declared=(family,))
    run_id = record(store, result)
    board = leaderboard(store)
    assert board["metric"].unique(maintain_order=True).to_list() == IN_NUMBER
    (shown,) = store.run_detail(run_id).evaluations
    assert list(shown.metrics) == IN_NUMBER


def test_conditions_stand_in_the_order_of_their_numbers(store: Store) -> None:
    for shots in (10, 2, 1):
        record(store, replace(scored(0.5), condition=f"{shots} shots"), cell=f"shots={shots}")
    conditions = leaderboard(store)["condition"].unique(maintain_order=True).to_list()
    assert conditions == ["1 shots", "2 shots", "10 shots"]
