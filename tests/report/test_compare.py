"""Comparisons of planted outcomes: what is better is said to be, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import binomtest
from support.published_figures import BENCHMARK, OPEN_CLIP, bring, write
from support.report_values import identity, picture, ranked, record

from mmlab.cli import main
from mmlab.errors import UsageError
from mmlab.report.compare.changes import Change
from mmlab.report.compare.comparison import Comparison, compare
from mmlab.report.compare.questions import Question
from mmlab.report.compare.sides import find_sides
from mmlab.report.compare.tables import sections, summary
from mmlab.report.compare.verdicts import Verdict
from mmlab.report.pictures.comparison import comparison_pictures
from mmlab.report.render.compared import facts_of, to_markdown, write_comparison
from mmlab.statistics.differences import paired_difference
from mmlab.statistics.digits import decimals_of
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
    costs: Mapping[str, object] | None = None,
    **given: object,
) -> list[str]:
    """Runs of a recipe that gets about this share right: the same samples easy for all recipes."""
    ids = []
    for seed in seeds:
        easy = np.random.default_rng(7).random(COUNT)
        shaken = np.random.default_rng([seed, len(cell)]).normal(0, 0.02, COUNT)
        ranks = np.where(easy + shaken < share, 1, wrong).tolist()
        result = ranked(ranks, **given)  # type: ignore[arg-type]
        names = {"experiment": experiment, "cell": cell}
        ids.append(record(store, result, seed=seed, summary=costs, **names))
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


def test_an_unknown_format_is_refused_before_anything_is_compared(sqlite_url: str) -> None:
    ask = ["compare", "no", "such", "--out", "found.pdf", "--db", sqlite_url]
    done = CliRunner().invoke(main, ask)
    assert done.exit_code == 2
    assert "found.pdf: no such format of comparisons" in done.output


def test_json_has_all_of_it(sqlite_store: Store) -> None:
    plant(sqlite_store, "base", 0.6)
    plant(sqlite_store, "good", 0.9)
    found = compare(sqlite_store, ["emoji"], with_details=True)
    facts = facts_of(found)
    told = {"summary", "sides", "verdicts", "ranks", "trade_offs", "published", "changes"}
    assert set(facts) == told | {"details", "left_out"}
    assert summary(found) == facts["summary"]
    json.dumps(facts)


KEYS = ("easy", "hard")


def plant_suite(
    store: Store, cell: str, share: float, keys: Sequence[str] = KEYS, seeds: int = 3
) -> None:
    """Runs of a recipe that was asked a suite of datasets."""
    for seed in range(seeds):
        results = []
        for place, key in enumerate(keys):
            easy = np.random.default_rng(place).random(COUNT)
            shaken = np.random.default_rng([seed, len(cell), place]).normal(0, 0.02, COUNT)
            ranks = np.where(easy + shaken < share - 0.1 * place, 1, 2).tolist()
            made = ranked(ranks, name=f"vtab/{key}", protocol={"data": key})
            results.append(replace(made, suite=KEYS))
        record(store, *results, cell=cell, seed=seed)


def test_the_mean_over_datasets_is_a_row_of_its_own(store: Store) -> None:
    plant_suite(store, "base", 0.6)
    plant_suite(store, "good", 0.8)
    found = compare(store, ["emoji"])
    assert [one.question.evaluation for one in found.verdicts] == ["vtab/easy", "vtab/hard", "vtab"]
    easy, hard, mean = found.verdicts
    assert mean.question.name == "vtab · mean over 2 datasets · test · top1"
    assert mean.difference.value == pytest.approx(
        (easy.difference.value + hard.difference.value) / 2
    )
    assert mean.difference.low is not None
    assert mean.difference.high is not None
    assert mean.difference.samples == 2 * COUNT
    assert (mean.word, mean.difference.covers) == ("better", "seeds and samples")
    assert "of these datasets, each weighing the same" in to_markdown(found)


def test_a_side_without_one_of_the_datasets_has_no_mean_and_words_say_so(
    sqlite_store: Store,
) -> None:
    plant_suite(sqlite_store, "base", 0.6)
    plant_suite(sqlite_store, "part", 0.8, KEYS[:1])
    plant_suite(sqlite_store, "good", 0.8)
    found = compare(sqlite_store, ["emoji"])
    of_mean = [one.side for one in found.verdicts if one.question.evaluation == "vtab"]
    assert of_mean == ["good"]
    assert found.lacking == {"vtab · mean over 2 datasets · test · top1": {"part": "lacks hard"}}
    assert "part has no mean, it lacks hard" in to_markdown(found)
    assert facts_of(found)["left_out"]["means"] == found.lacking  # type: ignore[index]


def test_three_sides_have_limits_that_hold_together_and_ranks(store: Store) -> None:
    for cell, share in {"base": 0.6, "good": 0.9, "best": 0.9, "bad": 0.3}.items():
        plant_suite(store, cell, share)
    found = compare(store, ["emoji"])
    joint = [one for one in found.verdicts if one.joint is not None]
    assert len(joint) == len(found.verdicts) == 9
    for verdict in joint:
        assert verdict.joint is not None
        assert verdict.difference.low is not None
        assert verdict.difference.high is not None
        assert verdict.joint[0] <= verdict.difference.low
        assert verdict.joint[1] >= verdict.difference.high
    assert words(found) == {"good": "better", "best": "better", "bad": "worse"}
    ranks = {one.question: one for one in found.ranks}
    assert [name.split(" · ")[0] for name in ranks] == ["vtab/easy", "vtab/hard", "vtab"]
    over = ranks["vtab · mean over 2 datasets · test · top1"]
    assert over.sides == ("base", "good", "best", "bad")
    assert over.standing.tied == (False, True, True, False)
    assert (over.standing.low, over.standing.high) == ((3, 1, 1, 4), (3, 2, 2, 4))
    text = to_markdown(found)
    assert "95%, all together" in text
    assert "tied for first: 2 of 4" in text
    assert "| good | 1-2\\* | 1-2\\* | 1-2\\* |" in text


def plant_costs(store: Store, spent: Mapping[str, tuple[float, int]]) -> None:
    """Cells of these shares right and parameters, with three seeds."""
    for cell, (share, parameters) in spent.items():
        plant(store, cell, share, costs={"parameters": parameters, "seconds": 5.0})


SPENT = {"base": (0.6, 10), "good": (0.9, 30), "same": (0.6, 20), "dear": (0.3, 40)}


def test_many_sides_have_a_pareto_front_of_quality_against_each_cost(store: Store) -> None:
    plant_costs(store, SPENT)
    found = compare(store, ["emoji"])
    (one,) = found.trade_offs
    assert one.sides == tuple(SPENT)
    assert [costs["parameters"] for costs in one.costs] == [10, 30, 20, 40]
    assert one.fronts == {"parameters": ("base", "good")}  # all take as long: no front of time
    for verdict, value in zip(found.verdicts, one.values[1:], strict=True):
        assert value.value == pytest.approx(verdict.mean)
        assert value.low is not None
        assert value.high is not None
        assert value.low < value.value < value.high
    rows = {row[0]: row for one in sections(found)[2:3] for row in one.rows}
    assert [rows[side][2] for side in SPENT] == ["10*", "30*", "20", "40"]
    assert not compare(store, ["emoji:base", "emoji:good"]).trade_offs


def test_groups_hold_the_sides_that_are_not_told_apart(store: Store) -> None:
    plant_costs(store, SPENT)
    (ranks,) = compare(store, ["emoji"]).ranks
    assert [ranks.sides[place] for place in ranks.order] in (
        ["good", "base", "same", "dear"],
        ["good", "same", "base", "dear"],
    )
    assert [sorted(group) for group in ranks.groups] == [["base", "same"]]
    assert ranks.over == "120 samples, 3 seeds each"


def test_ranks_and_costs_of_many_sides_are_in_every_form(
    sqlite_store: Store, tmp_path: Path
) -> None:
    plant_costs(sqlite_store, SPENT)
    found = compare(sqlite_store, ["emoji"])
    for ending in ("html", "md", "json"):
        write_comparison(found, tmp_path / f"found.{ending}")
    page = (tmp_path / "found.html").read_text()
    assert "What is told apart · zero_shot · test · top1" in page
    assert "top1 against parameters · zero_shot · test · top1" in page
    assert "top1 against time" not in page
    assert "not told apart:" in page
    assert "### Quality against cost: zero\\_shot" in (tmp_path / "found.md").read_text()
    facts = json.loads((tmp_path / "found.json").read_text())
    (one,) = facts["trade_offs"]
    assert one["fronts"] == {"parameters": ["base", "good"]}
    assert one["sides"][1]["costs"] == {"parameters": 30, "time": 5}
    assert [sorted(group) for group in facts["ranks"][0]["groups"]] == [["base", "same"]]


def test_ranks_over_datasets_have_groups_and_a_picture(sqlite_store: Store) -> None:
    for cell, share in {"base": 0.6, "good": 0.9, "best": 0.9, "bad": 0.3}.items():
        plant_suite(sqlite_store, cell, share)
    found = compare(sqlite_store, ["emoji"])
    over = found.ranks[-1]
    assert [sorted(group) for group in over.groups] == [["best", "good"]]
    assert over.over == "2 datasets, 240 samples, 3 seeds each"
    titles = [picture.title for picture in comparison_pictures(found)]
    assert titles[2] == "What is told apart · vtab · mean over 2 datasets · test · top1"


def test_a_difference_that_holds_alone_and_not_beside_others_is_not_called_real() -> None:
    """The verdict is of what holds for all sides together."""
    single = paired_difference(np.ones((1, 60)), np.r_[np.zeros(9), np.ones(51)][None])
    assert single.is_real
    question = Question("e", "", "test", "r", "top1", "share", "higher", "outcome", (0, 1), ())
    verdict = Verdict(question, "a", "b", 0.8, 1.0, single, None, None, None, 0.5, None)
    assert verdict.word == "better"
    assert replace(verdict, joint=(-0.01, 0.3)).word == "no difference shown"


def test_digits_follow_the_width_of_the_interval(sqlite_store: Store) -> None:
    plant(sqlite_store, "base", 0.6)
    plant(sqlite_store, "good", 0.9)
    found = compare(sqlite_store, ["emoji"])
    (verdict,) = found.verdicts
    difference = verdict.difference
    assert difference.low is not None
    assert difference.high is not None
    decimals = decimals_of(100 * difference.low, 100 * difference.high)
    assert decimals is not None
    row = sections(found)[0].rows[0]
    assert row[2] == f"{100 * difference.value:+.{decimals}f}"
    assert (
        row[3] == f"{100 * difference.low:+.{decimals}f} to {100 * difference.high:+.{decimals}f}"
    )


def test_label_sample_and_dataset_are_three_tables(sqlite_store: Store, sqlite_url: str) -> None:
    plant_suite(sqlite_store, "base", 0.6)
    plant_suite(sqlite_store, "good", 0.8)
    titles = {
        None: set(),
        "dataset": {"By dataset"},
        "label": {"Labels", "Confusions that changed"},
        "sample": {"Samples that flipped"},
    }
    found = compare(sqlite_store, ["emoji"], with_details=True)
    bare = {section.title for section in sections(replace(found, details={}))}
    for by, expected in titles.items():
        told = replace(found, details={}) if by is None else found
        shown = {one.title for one in sections(told, by)} - bare  # type: ignore[arg-type]
        assert {title.partition(":")[0] for title in shown} == expected
    table = next(one for one in sections(found, "dataset") if one.title.startswith("By dataset"))
    assert [row[0].split(" · ")[0] for row in table.rows] == ["vtab/easy", "vtab/hard", "vtab"]
    ask = ["compare", "emoji:base", "emoji:good", "--by", "sample", "--db", sqlite_url]
    done = CliRunner().invoke(main, ask)
    assert done.exit_code == 0, done.output
    assert found.details[0].flips[0].sample in done.output


def test_flipped_samples_have_their_pictures_on_a_page(sqlite_store: Store, tmp_path: Path) -> None:
    ranks = np.ones(COUNT, dtype=int)
    for cell, wrong in {"base": [3, 7], "good": [5]}.items():
        found = ranks.copy()
        found[wrong] = 2
        pictures = {f"sample-{n:04d}": picture("red") for n in (3, 5)}
        record(sqlite_store, ranked(found.tolist(), pictures=pictures), cell=cell)
    write_comparison(compare(sqlite_store, ["emoji"], with_details=True), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<img ") == 2
    for sample in ("sample-0003", "sample-0005"):
        assert f'alt="sample {sample}"' in page
    assert "sample-0007" in page
    assert 'alt="sample sample-0007"' not in page
    facts = facts_of(compare(sqlite_store, ["emoji"], with_details=True))
    assert "RIFF" not in json.dumps(facts)


def test_published_figures_are_told_apart_without_an_interval(
    sqlite_store: Store, sqlite_url: str, tmp_path: Path
) -> None:
    for seed in range(2):
        own = replace(ranked([1, 2] * 60), test_set="eurosat/vtab-test")
        record(sqlite_store, own, cell="own", seed=seed)
    bring(sqlite_url, "clip-benchmark", write(tmp_path / "figures.csv", BENCHMARK))
    theirs = "clip-benchmark:ViT-B-32 openai"
    found = compare(sqlite_store, ["emoji", theirs])
    assert found.verdicts == ()
    (published,) = found.published
    assert (published.test_set, published.metric) == ("eurosat/vtab-test", "top1")
    assert [(one.is_published, one.value) for one in published.values] == [
        (False, 0.5),
        (True, 0.50722),
    ]
    assert published.values[1].difference == pytest.approx(0.00722)
    text = to_markdown(found)
    assert "there is no interval, no test and no verdict" in text
    assert not found.has_regression
    both = compare(sqlite_store, [theirs, "emoji"])
    assert both.published[0].values[1].difference == pytest.approx(-0.00722)


def test_two_published_figures_are_compared_as_values(
    sqlite_store: Store, sqlite_url: str, tmp_path: Path
) -> None:
    bring(sqlite_url, "clip-benchmark", write(tmp_path / "figures.csv", BENCHMARK))
    bring(sqlite_url, "open-clip", write(tmp_path / "table.csv", OPEN_CLIP))
    sides = ["clip-benchmark:ViT-L-14-336 openai", "open-clip:ViT-L-14-336 openai"]
    (published, *_) = compare(sqlite_store, sides).published
    assert all(one.is_published for one in published.values)
    assert published.test_set.startswith("pets")
