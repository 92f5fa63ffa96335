"""What an execution leaves: stored exactly or not at all, on SQLite and on Postgres."""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
import pytest
from sqlalchemy import select
from support.store_values import LABELS, artifact, claimed, dump, evaluation, finish, points

from mmlab.errors import KEPT_BYTES, DataError, UsageError
from mmlab.metric import Metric
from mmlab.records import EvaluationResult, MetricPoint, SkippedSample
from mmlab.store import BestWeights, Claim, Store, open_store, tables, views


def test_a_done_run_has_all_that_was_handed_over(store: Store) -> None:
    held = claimed(store)
    finish(store, held)
    detail = store.run_detail(held.run_id)
    assert detail.run.status == "done"
    assert detail.spec_text == 'name = "emoji" # one 🦜\n'
    assert detail.summary == {"seconds": 1.5}
    assert [a.outcome for a in detail.attempts] == ["ok"]
    assert [a.path for a in detail.artifacts] == [f"{held.run_id}/best.safetensors"]
    (row,) = detail.evaluations
    assert (row.name, row.step, row.sample_count, row.skipped_count) == ("zero_shot", 7, 3, 1)
    assert row.protocol == {"evaluator": "zero_shot", "labels": "abc", "k": 5}


def test_final_metrics_keep_nan_infinity_and_undefined_apart(store: Store) -> None:
    held = claimed(store)
    finish(store, held)
    metrics = store.run_detail(held.run_id).evaluations[0].metrics
    assert math.isnan(metrics["nan"] or 0)
    assert {**metrics, "nan": 0} == {
        "top1": 0.5,
        "top5": None,
        "up": math.inf,
        "down": -math.inf,
        "nan": 0,
    }
    kinds = store.frame(select(views.leaderboard.c.metric, views.leaderboard.c.value_kind))
    assert dict(kinds.rows())["top5"] == "undefined"
    assert dict(kinds.rows())["nan"] == "nan"


def test_labels_come_back_exactly(store: Store) -> None:
    finish(store, claimed(store))
    stored = store.frame(select(tables.labels.c.text).order_by(tables.labels.c.position))
    assert tuple(stored["text"]) == LABELS


def test_the_ranking_view_names_run_sample_label_and_truth(store: Store) -> None:
    held = claimed(store)
    finish(store, held)
    view = views.label_rankings
    columns = (view.c.sample, view.c.rank, view.c.label, view.c.score, view.c.is_truth)
    rows = store.frame(select(*columns).order_by(view.c.sample, view.c.rank)).rows()
    scores = np.linspace(0.9, 0.1, 9, dtype=np.float32).tolist()
    assert rows[0] == ("a", 1, LABELS[0], pytest.approx(scores[0]), True)
    assert rows[2] == ("a", 3, LABELS[2], None, False)
    assert [row[4] for row in rows] == [True, False, False, *[False] * 6]
    assert store.frame(select(view.c.experiment, view.c.seed, view.c.axes)).row(0) == (
        "emoji",
        0,
        '{"fusion": {"use": "gating"}}',
    )


def test_every_ranking_refers_to_rows_that_are_there(store: Store) -> None:
    finish(store, claimed(store))
    table = tables.rankings
    for column, target in (
        (table.c.evaluation_id, tables.evaluations),
        (table.c.sample_id, tables.samples),
        (table.c.label_id, tables.labels),
    ):
        lost = select(column).where(column.not_in(select(target.c.id)))
        assert store.frame(lost).is_empty()


def test_rank_probability_and_outcome_are_null_where_there_is_no_truth(store: Store) -> None:
    finish(store, claimed(store))
    table = tables.sample_results
    query = select(table.c.rank, table.c.probability, table.c.outcome, table.c.has_tie)
    rows = store.frame(query.order_by(table.c.sample_id)).rows()
    assert rows == [(1, 0.25, 1.0, False), (2, 0.125, 0.0, True), (None, None, None, False)]


def test_comparisons_pair_samples_of_runs_with_one_protocol(store: Store) -> None:
    left, right = claimed(store, "left"), claimed(store, "right")
    finish(store, left)
    finish(store, right)
    view = views.comparisons
    query = select(view).where(
        view.c.left_run_id == left.run_id, view.c.right_run_id == right.run_id
    )
    frame = store.frame(query)
    assert sorted(frame["sample"]) == ["a", "b 🦜", "c"]
    assert frame["left_outcome"].equals(frame["right_outcome"], null_equal=True)


def test_views_show_done_runs_only(store: Store) -> None:
    store.record_points(claimed(store), points(1.0, 0.5))
    assert store.frame(select(views.curves)).is_empty()


def test_a_curve_keeps_its_last_values_and_says_which_are_not_finite(store: Store) -> None:
    held = claimed(store)
    store.record_points(held, points(9.0, math.nan))
    store.record_points(held, [*points(1.0), MetricPoint("train/loss", 3, math.inf)])
    finish(store, held)
    view = views.curves
    query = select(view.c.step, view.c.value, view.c.value_kind).order_by(view.c.step)
    expected = [(1, 1.0, "finite"), (2, None, "nan"), (3, None, "inf")]
    assert store.frame(query).rows() == expected


def test_what_metrics_are_is_stored_once_with_each_value_and_curve(store: Store) -> None:
    held = claimed(store)
    declared = [Metric("{stage}/loss", "lower", "nats")]
    store.record_points(held, [*points(1.0), MetricPoint("train/other", 1, 2.0)], declared)
    store.record_points(held, points(0.5), declared)
    finish(store, held)
    finish(store, claimed(store, "two"))
    kinds = store.frame(select(tables.metric_declarations)).drop("id", "hash")
    rows = kinds.select("name", "better", "unit", "position", "mean_of").rows()
    assert sorted(rows) == [
        ("down", "lower", "🦜", 1, None),
        ("recall", "higher", "share", 0, None),
        ("top1", "higher", "share", 0, "rank<=1"),
        ("top5", "higher", "share", 0, "rank<=5"),
        ("train/loss", "lower", "nats", 0, None),
    ]
    curves = store.frame(select(views.curves.c.metric, views.curves.c.better)).unique().rows()
    assert sorted(curves) == [("train/loss", "lower"), ("train/other", None)]
    finals = store.frame(select(views.leaderboard.c.metric, views.leaderboard.c.unit)).unique()
    assert dict(finals.rows()) == {
        "top1": "share",
        "top5": "share",
        "down": "🦜",
        "up": None,
        "nan": None,
    }


def test_a_unit_that_no_database_holds_is_refused_before_anything_is_written(
    store: Store, database_url: str
) -> None:
    held = claimed(store)
    before = dump(database_url)
    result = dataclasses.replace(evaluation(), declared=(Metric("top1", unit="a\0b"),))
    with pytest.raises(DataError, match="unit of a metric"):
        finish(store, held, result)
    assert dump(database_url) == before


def test_an_evaluation_is_added_to_a_done_run_once(store: Store, database_url: str) -> None:
    held = claimed(store)
    finish(store, held)
    more = evaluation("retrieval", labels=("x", "y", "z"), sample_ids=("c", "d", "e"))
    store.add_evaluations(held.run_id, [more], {"retrieval": "hash-2"})
    before = dump(database_url)
    store.add_evaluations(held.run_id, [more], {"retrieval": "hash-2"})
    assert dump(database_url) == before
    assert store.evaluation_hashes(held.run_id) == {f"evaluation-{held.run_id}", "hash-2"}
    assert len([row for row in before["samples"] if "test" in row]) == 5


def test_an_evaluation_is_not_added_to_an_unfinished_run(store: Store) -> None:
    held = claimed(store)
    with pytest.raises(UsageError, match="finished run only"):
        store.add_evaluations(held.run_id, [evaluation()], {"zero_shot": "hash"})


def test_confusions_bins_and_shots_are_read_with_their_texts(store: Store) -> None:
    finish(store, claimed(store))
    view = views.label_confusions.c
    rows = store.frame(select(view.truth, view.predicted, view.sample_count)).rows()
    assert sorted(rows) == [(LABELS[0], LABELS[1], 2), (LABELS[1], LABELS[1], 1)]
    bins = views.reliability_bins.c
    found = store.frame(select(bins.bin, bins.low, bins.sample_count, bins.probability))
    assert found.rows() == [(0, 0.0, 3, 0.25), (1, 0.5, 0, None)]
    learnt = select(tables.samples.c.stable_id, tables.samples.c.split).join(tables.shots)
    assert set(store.frame(learnt).rows()) == {("seen 🦜", "train"), ("also seen", "train")}


def test_targets_are_read_with_their_names_to_the_last_digit(store: Store) -> None:
    finish(store, claimed(store))
    view = views.target_predictions.c
    found = store.frame(select(view.sample, view.target, view.truth, view.prediction))
    (age, height, *_) = (
        found.sort("sample", "target").select("target", "truth", "prediction").rows()
    )
    assert age == ("age", 0.1, 40.5)
    assert height == ("height 📏", None, 1.0 / 3)


def test_samples_left_out_are_recorded_once(store: Store) -> None:
    held, skipped = claimed(store), SkippedSample("revision-1", "test", 3, "d", "no picture")
    store.finish(held, [], {}, skipped=[skipped])
    store.add_evaluations(held.run_id, [], {}, skipped=[skipped])
    rows = store.frame(select(tables.skipped_samples)).rows()
    assert rows == [(held.run_id, "revision-1", "test", 3, "d", "no picture")]


def test_why_a_sample_was_left_out_is_kept_as_far_as_a_database_takes_it(store: Store) -> None:
    held = claimed(store)
    odd = SkippedSample("revision-1", "test", 3, "d", "a\0b\ud800")
    long = dataclasses.replace(odd, position=4, sample="e", reason="a" * 30_000_000)
    store.finish(held, [], {}, skipped=[odd, long])
    rows = store.frame(select(tables.skipped_samples.c.reason)).rows()
    first, second = sorted((reason for (reason,) in rows), key=len)
    assert first == "a\\x00b\\ud800"
    assert len(second) <= KEPT_BYTES
    assert "of 30,000,000 characters are left out" in second


def test_a_file_belongs_to_its_evaluation(store: Store) -> None:
    held = claimed(store)
    file = dataclasses.replace(artifact(held.run_id), role="scores", path="scores.safetensors")
    finish(store, held, dataclasses.replace(evaluation(), artifacts=[file]))
    rows = store.frame(select(tables.artifacts.c.role, tables.artifacts.c.evaluation_id)).rows()
    assert sorted(rows) == [("best", None), ("scores", 1)]


def test_results_without_labels_or_samples_are_stored(store: Store) -> None:
    held = claimed(store)
    bare = EvaluationResult("probe", "probe", "", "test", "revision-1", {}, {}, {"top1": 1.0})
    finish(store, held, bare)
    assert store.run_detail(held.run_id).evaluations[0].metrics == {"top1": 1.0}


def test_best_weights_are_found_by_experiment_and_by_run(store: Store) -> None:
    held = claimed(store)
    finish(store, held)
    assert store.present_runs("emoji") == store.present_runs(held.run_id) == [held.run_id]
    (by_experiment,) = store.best_weights([held.run_id])
    summary = store.run_detail(held.run_id).summary
    assert summary
    assert by_experiment == BestWeights(held.run_id, artifact(held.run_id).path, "ab" * 32, summary)
    assert store.present_runs("another") == []
    assert store.best_weights([]) == []
    assert not store.are_running([held.run_id])


def test_a_run_is_found_by_id_prefix_name_and_last(store: Store) -> None:
    held = claimed(store)
    for name in (held.run_id, held.run_id[:8], "emoji", "@last"):
        assert store.find_run(name).run_id == held.run_id


def test_a_run_that_does_not_exist_is_a_usage_error(store: Store) -> None:
    claimed(store)
    for name in ("zzz", "", "%", "_", "'; DROP TABLE runs; --"):
        with pytest.raises(UsageError, match="no such run") as caught:
            store.find_run(name)
        assert all(part in str(caught.value) for part in ("found:", "allowed:", "next:", "emoji"))


def test_an_ambiguous_prefix_names_the_runs(store: Store) -> None:
    ids = [claimed(store, seed=seed).run_id for seed in range(17)]
    first = sorted(ids, key=lambda run_id: [other[0] for other in ids].count(run_id[0]))[-1][0]
    with pytest.raises(UsageError, match="several runs"):
        store.find_run(first)


def _with(**fields: Any) -> EvaluationResult:
    return dataclasses.replace(evaluation(), **fields)


REFUSED = {
    "label with a NUL": (evaluation(labels=("a", "b\0", "c")), "NUL"),
    "label with half a surrogate pair": (evaluation(labels=("a", "\ud800", "c")), "surrogate"),
    "label twice": (evaluation(labels=("a", "b", "a")), "twice"),
    "sample id with a NUL": (evaluation(sample_ids=("a", "b\0", "c")), "NUL"),
    "sample id twice": (evaluation(sample_ids=("a", "b", "b")), "twice"),
    "sample id too long": (evaluation(sample_ids=("a", "b" * 3000, "c")), "too long"),
    "template with a NUL": (_with(templates=("a\0",)), "NUL"),
    "metric with a NUL": (_with(metrics={"top\0": 1.0}), "NUL"),
}


def test_text_that_cannot_be_kept_exactly_is_refused_before_any_write(
    store: Store, database_url: str
) -> None:
    held = claimed(store)
    before = dump(database_url)
    for result, word in REFUSED.values():
        with pytest.raises(DataError, match=word) as caught:
            finish(store, held, result)
        assert all(part in str(caught.value) for part in ("found:", "allowed:", "next:"))
    assert dump(database_url) == before


class _Bomb(Mapping[str, object]):
    """Label metrics that go off when they are written, after much else has been."""

    def __init__(self, kills: bool) -> None:
        self.kills = kills

    def __iter__(self) -> Iterator[str]:
        return iter(["recall"])

    def __len__(self) -> int:
        return 1

    def __getitem__(self, name: str) -> NoReturn:
        if self.kills:
            os._exit(9)
        raise RuntimeError("went off")


def test_an_exception_half_way_leaves_nothing(store: Store, database_url: str) -> None:
    held = claimed(store)
    before = dump(database_url)
    with pytest.raises(RuntimeError, match="went off"):
        finish(store, held, evaluation(label_metrics=_Bomb(kills=False)))
    assert dump(database_url) == before


def _finish_and_die(url: str, held: Claim) -> None:
    finish(open_store(url), held, evaluation(label_metrics=_Bomb(kills=True)))


@pytest.mark.slow
def test_a_process_killed_half_way_leaves_nothing(store: Store, database_url: str) -> None:
    held = claimed(store)
    before = dump(database_url)
    process = multiprocessing.get_context("spawn").Process(
        target=_finish_and_die, args=(database_url, held)
    )
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert dump(database_url) == before
    finish(store, held)
    assert store.run_detail(held.run_id).run.status == "done"
