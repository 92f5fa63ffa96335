"""Comparisons of planted outcomes: what is better is said to be, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import binomtest
from support.report_values import identity, ranked, record

from mmlab.cli import main
from mmlab.errors import UsageError
from mmlab.report.compare.changes import Change
from mmlab.report.compare.comparison import Comparison, compare
from mmlab.report.compare.sides import find_sides
from mmlab.report.compare.tables import summary
from mmlab.report.render.compared import facts_of, to_markdown, write_comparison
from mmlab.statistics.differences import paired_difference
from mmlab.store import Store, open_store

COUNT = 120


def plant(
    store: Store,
    cell: str,
    share: float,
    seeds: Sequence[int] = (0, 1, 2),
    *,
    experiment: str = "emoji",
    wrong: int = 2,
    **given: object,
) -> list[str]:
    """Runs of a recipe that gets about this share right: the same samples easy for all recipes."""
    ids = []
    for seed in seeds:
        easy = np.random.default_rng(7).random(COUNT)
        shaken = np.random.default_rng([seed, len(cell)]).normal(0, 0.02, COUNT)
        ranks = np.where(easy + shaken < share, 1, wrong).tolist()
        result = ranked(ranks, **given)  # type: ignore[arg-type]
        ids.append(record(store, result, experiment=experiment, cell=cell, seed=seed))
    return ids


def words(found: Comparison) -> dict[str, str]:
    return {verdict.side: verdict.word for verdict in found.verdicts}


def test_what_is_better_is_said_to_be_and_what_is_not_is_not(store: Store) -> None:
    for cell, share in {"base": 0.6, "same": 0.6, "good": 0.9, "bad": 0.3}.items():
        plant(store, cell, share)
    found = compare(store, ["emoji:base", "emoji:same", "emoji:good", "emoji:bad"])
    assert words(found) == {"same": "no difference shown", "good": "better", "bad": "worse"}
    assert found.has_regression
    good = found.verdicts[1]
    assert good.mean - good.baseline_mean == pytest.approx(good.difference.value)
    assert good.difference.low is not None
    assert good.difference.high is not None
    assert 0.2 < good.difference.low < good.difference.value < good.difference.high < 0.4
    assert good.chance > 0.6
    assert good.difference.covers == "seeds and samples"


def test_an_experiment_is_a_side_for_each_of_its_groups_and_the_first_is_the_baseline(
    sqlite_store: Store,
) -> None:
    for cell in ("base", "good"):
        plant(sqlite_store, cell, 0.6 if cell == "base" else 0.9)
    plant(sqlite_store, "", 0.9, experiment="other")
    both = compare(sqlite_store, ["emoji"])
    assert [side.name for side in both.sides] == ["base", "good"]
    assert words(both) == {"good": "better"}
    assert words(compare(sqlite_store, ["other", "emoji:base"])) == {"emoji:base": "worse"}
    assert not compare(sqlite_store, ["emoji:base", "other"]).has_regression


def test_one_seed_each_is_of_these_models_and_has_the_exact_test(sqlite_store: Store) -> None:
    ranks = np.ones((2, 60), dtype=int)
    ranks[0, :9], ranks[1, 9:11] = 2, 2  # nine are gained and two are lost
    for cell, own in zip(("base", "good"), ranks, strict=True):
        record(sqlite_store, ranked(own.tolist()), cell=cell)
    found = compare(sqlite_store, ["emoji"])
    (verdict,) = found.verdicts
    assert verdict.difference.covers == "samples"
    assert verdict.mcnemar_p == pytest.approx(binomtest(2, 11).pvalue)
    assert "over new samples; another seed is not in them (60 samples, one seed each)" in (
        to_markdown(found)
    )


def test_clusters_widen_differences_and_forbid_mcnemars_test(sqlite_store: Store) -> None:
    ranks = np.ones((2, 60), dtype=int)
    ranks[0, :20] = 2  # four clusters of five are gained
    for place, cell in enumerate(("base", "good")):
        result = ranked(ranks[place].tolist())
        assert result.samples is not None
        clusters = [f"group {number // 5}" for number in range(60)]
        samples = replace(result.samples, clusters=clusters)
        record(sqlite_store, replace(result, samples=samples), cell=cell)
    (verdict,) = compare(sqlite_store, ["emoji"]).verdicts
    assert verdict.mcnemar_p is None
    assert (verdict.difference.samples, verdict.difference.clusters) == (60, 12)
    expected = paired_difference(ranks[1:] == 1, ranks[:1] == 1, np.arange(60) // 5)
    assert (verdict.difference.low, verdict.difference.high) == pytest.approx(
        (expected.low, expected.high)
    )


def test_a_run_beside_itself_or_alone_is_refused(sqlite_store: Store) -> None:
    (run, *_) = plant(sqlite_store, "base", 0.6)
    with pytest.raises(UsageError, match="compared with itself"):
        compare(sqlite_store, ["emoji:base", "emoji:base"])
    with pytest.raises(UsageError, match="nothing to compare it with"):
        compare(sqlite_store, ["emoji"])
    with pytest.raises(UsageError, match="no such run"):
        compare(sqlite_store, ["emoji", "nothing"])
    with pytest.raises(UsageError, match=r"no such cell\n  found: 'basse'; did you mean 'base'\?"):
        compare(sqlite_store, ["emoji:base", "emoji:basse"])
    assert len(find_sides(sqlite_store, ["emoji:base", run[:10]])) == 2


def test_other_protocols_are_refused_with_what_differs_and_forced_ones_are_marked(
    sqlite_store: Store,
) -> None:
    asked = {"evaluator": "zero_shot", "labels": "abc", "options": {"k": 5}}
    plant(sqlite_store, "base", 0.6, protocol=asked)
    plant(sqlite_store, "good", 0.9, protocol={**asked, "options": {"k": 3}})
    with pytest.raises(UsageError, match=r"option k \(5 here, 3 there\)(.|\n)*--force"):
        compare(sqlite_store, ["emoji"])
    found = compare(sqlite_store, ["emoji"], force=True)
    assert words(found) == {"good": "better"}
    assert "FORCED: they were not asked alike: option k (5 here, 3 there)" in to_markdown(found)


def test_a_side_that_was_asked_something_else_is_left_out_and_told(sqlite_store: Store) -> None:
    plant(sqlite_store, "base", 0.6)
    plant(sqlite_store, "good", 0.9)
    plant(sqlite_store, "odd", 0.9, protocol={"evaluator": "zero_shot", "labels": "x"})
    found = compare(sqlite_store, ["emoji"])
    assert words(found) == {"good": "better"}
    assert found.left_out == ("odd",)
    assert "left out, asked nothing that base was: odd" in to_markdown(found)


def test_another_metric_is_compared_by_name(sqlite_store: Store) -> None:
    plant(sqlite_store, "base", 0.6, wrong=6)
    plant(sqlite_store, "good", 0.6, wrong=3)
    assert words(compare(sqlite_store, ["emoji"])) == {"good": "no difference shown"}
    assert words(compare(sqlite_store, ["emoji"], metric="top5")) == {"good": "better"}
    with pytest.raises(UsageError, match=r"no such metric(.|\n)*top1, top5"):
        compare(sqlite_store, ["emoji"], metric="mean_rank")


def test_labels_confusions_and_flips_are_those_of_the_samples(sqlite_store: Store) -> None:
    """All that changes is that each owl, which was taken for a cat, is right."""
    ranks = np.ones(COUNT, dtype=int)
    owls = np.arange(COUNT) % 6 == 2
    for cell, rank in {"base": np.where(owls, 2, ranks), "good": ranks}.items():
        for seed in range(2):
            record(sqlite_store, ranked(rank.tolist()), cell=cell, seed=seed)
    found = compare(sqlite_store, ["emoji"], with_details=True)
    details = found.details[0]
    changed = [one for one in details.labels if one.difference.value]
    assert [(one.label, one.samples, one.before, one.after) for one in changed] == [
        ("owl", 20, 0.0, 1.0)
    ]
    assert changed[0].is_marked
    assert [vars(one) for one in details.confusions] == [
        {"truth": "owl", "predicted": "cat", "before": 20.0, "after": 0.0}
    ]
    assert [one.sample for one in details.flips] == [f"sample-{n:04d}" for n in range(2, COUNT, 6)]
    assert {(one.truths, one.first_before, one.first_after) for one in details.flips} == {
        (("owl",), "cat", "owl")
    }


def test_what_differs_is_told_and_nothing_else(sqlite_store: Store) -> None:
    for cell, dim in {"small": 8, "large": 64}.items():
        for seed in range(2):
            asked = replace(
                identity("emoji", cell, seed),
                resolved={"fusion": {"use": "concat", "dim": dim}, "seed": seed, "lr": 0.1},
            )
            run = sqlite_store.submit(asked)
            claim = sqlite_store.claim(run.run_id, "worker", 60, {"python": "3.11"})
            assert claim is not None
            sqlite_store.finish(claim, [ranked([1, 2] * 20)], {"zero_shot": f"{cell}{seed}"})
    assert compare(sqlite_store, ["emoji"]).changes == (Change("fusion.dim", ("8", "64")),)


def test_failed_seeds_are_told(sqlite_store: Store) -> None:
    plant(sqlite_store, "base", 0.6)
    plant(sqlite_store, "good", 0.9, [0, 1])
    claim = sqlite_store.claim(
        sqlite_store.submit(identity("emoji", "good", 2)).run_id, "worker", 60, {}
    )
    assert claim is not None
    sqlite_store.fail(claim, "nan", "diverged", "")
    found = compare(sqlite_store, ["emoji"])
    assert found.sides[1].lost == {"failed": 1}
    assert "good: 2 runs compared, 1 failed" in to_markdown(found)


def test_both_databases_and_every_call_say_the_same(sqlite_store: Store, postgres_url: str) -> None:
    with open_store(postgres_url) as other:
        for one in (sqlite_store, other):
            for cell, share in {"base": 0.6, "good": 0.9, "more": 0.7}.items():
                plant(one, cell, share)
        both = (sqlite_store, other, sqlite_store)
        assert len({to_markdown(compare(one, ["emoji"], with_details=True)) for one in both}) == 1


@pytest.mark.parametrize("ending", ["md", "html", "json"])
def test_files_hold_the_verdict_and_hostile_names_stay_text(
    sqlite_store: Store, tmp_path: Path, ending: str
) -> None:
    plant(sqlite_store, "base", 0.6)
    plant(sqlite_store, "<script>alert(1)</script>", 0.9)
    found = compare(sqlite_store, ["emoji"], with_details=True)
    path = tmp_path / f"found.{ending}"
    write_comparison(found, path)
    text = path.read_text()
    assert "better" in text
    if ending == "json":
        assert json.loads(text)["verdicts"][0]["verdict"] == "better"
    else:
        assert "<script>alert" not in text
    with pytest.raises(UsageError, match="no such format"):
        write_comparison(found, tmp_path / "found.xls")
    assert [one.name for one in tmp_path.iterdir() if one.suffix == ".xls"] == []


def test_the_command_is_a_gate_that_noise_does_not_close(
    sqlite_store: Store, sqlite_url: str
) -> None:
    plant(sqlite_store, "base", 0.6)
    plant(sqlite_store, "bad", 0.3)
    plant(sqlite_store, "same", 0.61)

    def code(*words: str) -> int:
        done = CliRunner().invoke(main, ["compare", *words, "--db", sqlite_url])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code

    gate = ("--fail-on", "regression")
    assert code("emoji:base", "emoji:bad") == 0
    assert code("emoji:base", "emoji:bad", *gate) == 1
    assert code("emoji:base", "emoji:same", *gate) == 0
    assert code("emoji:bad", "emoji:base", *gate) == 0
    assert code("emoji:base", "emoji:none", *gate) == 2


def test_json_has_all_of_it(sqlite_store: Store) -> None:
    plant(sqlite_store, "base", 0.6)
    plant(sqlite_store, "good", 0.9)
    found = compare(sqlite_store, ["emoji"], with_details=True)
    facts = facts_of(found)
    assert set(facts) == {"summary", "sides", "verdicts", "changes", "details", "left_out"}
    assert summary(found) == facts["summary"]
    json.dumps(facts)
