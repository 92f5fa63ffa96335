"""Linear probes: scikit-learn's classifier on the same features, the search, and few shots."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sqlalchemy import func, select
from support.evaluated import Words, encoded, subject
from support.lab import PAIRED, TOY, Lab
from torch import Tensor

from mmlab.errors import DataError, RunError, SpecError
from mmlab.evaluate import Encoded, EvaluatedModel, logistic
from mmlab.evaluate.evaluators.few_shot import FewShot
from mmlab.evaluate.evaluators.linear_probe import LinearProbe
from mmlab.evaluate.probes import Examples, Probe, fit, grid, search
from mmlab.plugin import Split
from mmlab.records import EvaluationResult
from mmlab.store.tables import samples, shots

LABELS = ("round", "square", "striped", "plain")


def examples(count: int = 90, width: int = 6, seed: int = 0) -> Examples:
    random = torch.Generator().manual_seed(seed)
    target = torch.arange(count) % 3
    centres = torch.eye(3, width)
    return Examples(centres[target] + 0.5 * torch.randn(count, width, generator=random), target)


def separable(labels: int, count: int = 30, width: int = 100) -> Examples:
    """Fewer samples than numbers, which a plane always tells apart, away from zero."""
    random = torch.Generator().manual_seed(labels)
    target = torch.arange(count) % labels
    return Examples(torch.randn(count, width, generator=random) + 0.5, target)


def peer(data: Examples, penalty: float, target: Tensor | None = None) -> LogisticRegression:
    """scikit-learn's minimum, to the last step that rounding allows."""
    model = LogisticRegression(C=1 / penalty, solver="newton-cg", max_iter=10000, tol=1e-12)
    y = data.target if target is None else target
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a line search that gets no lower
        return model.fit(data.x.double().numpy(), y.numpy())


def excess(data: Examples, probe: Probe, of: LogisticRegression, penalty: float) -> float:
    """How far the objective of a probe is above scikit-learn's, as a share of it."""

    def objective(weight: Tensor, bias: Tensor) -> float:
        logits = data.x.double() @ weight.T + bias
        if len(weight) == 1:  # of a yes
            logits = torch.cat([torch.zeros_like(logits), logits], 1)
        losses = torch.nn.functional.cross_entropy(logits, data.target, reduction="sum")
        return float(losses + penalty / 2 * weight.square().sum())

    weight, bias = probe.weight.double(), probe.bias.double()
    if len(of.coef_) == 1:
        weight, bias = weight.diff(dim=0), bias.diff()
    least = objective(torch.from_numpy(of.coef_), torch.from_numpy(of.intercept_))
    return objective(weight, bias) / least - 1


@pytest.mark.parametrize("penalty", [1e-4, 1e-2, 1.0, 1e2])
@pytest.mark.parametrize("labels", [2, 3, 10])
def test_lbfgs_is_scikit_learns_logistic_regression_of_c_one_by_penalty(
    labels: int, penalty: float
) -> None:
    data = separable(labels)
    probe, model = fit("lbfgs", data, labels, penalty), peer(data, penalty)
    assert abs(excess(data, probe, model, penalty)) < 1e-6
    new = separable(labels, 50).x
    found, expected = torch.softmax(probe(new), 1), model.predict_proba(new.double().numpy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    weight = probe.weight.diff(dim=0) if labels == 2 else probe.weight
    np.testing.assert_allclose(weight, model.coef_, rtol=0, atol=1e-5)


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_lbfgs_finds_the_minimum_of_more_samples_than_numbers_too(penalty: float) -> None:
    data = examples()
    probe, model = fit("lbfgs", data, 3, penalty), peer(data, penalty)
    assert abs(excess(data, probe, model, penalty)) < 1e-9
    np.testing.assert_allclose(probe.weight, model.coef_, rtol=0, atol=1e-5)


def test_lbfgs_finds_the_minimum_of_features_of_very_different_sizes() -> None:
    data = examples(200, 20)
    uneven = Examples(data.x * torch.logspace(1, -2, 20) + 5, data.target)
    probe, model = fit("lbfgs", uneven, 3, 1e-3), peer(uneven, 1e-3)
    assert abs(excess(uneven, probe, model, 1e-3)) < 1e-6


@pytest.mark.parametrize("penalty", [1e-4, 2.0])
def test_several_labels_are_independent_logistic_regressions(penalty: float) -> None:
    data = examples(40, 60)
    target = torch.stack([data.x[:, 0] > 0.3, data.x[:, 1] + data.x[:, 2] > 0.5], 1)
    probe = fit("lbfgs", Examples(data.x, target.float()), 2, penalty)
    for label in range(2):
        model = peer(data, penalty, target[:, label])
        np.testing.assert_allclose(probe.weight[label], model.coef_[0], atol=2e-5)
        assert probe.bias[label].item() == pytest.approx(model.intercept_[0], abs=2e-5)


def test_a_fit_that_ends_before_its_minimum_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit("lbfgs", separable(3), 3, 1e-4)
    assert not caplog.messages
    monkeypatch.setattr(logistic, "PRODUCTS", 1)
    fit("lbfgs", separable(3), 3, 1e-4)
    assert caplog.messages == ["a probe's fit ended before its minimum: its penalty is very weak"]


def test_without_a_penalty_nothing_keeps_weights_small_and_all_are_told_apart() -> None:
    data = separable(3)
    probe = fit("lbfgs", data, 3, 0.0)
    assert (probe(data.x).argmax(1) == data.target).all()
    assert probe.weight.isfinite().all()


@pytest.mark.parametrize("several", [False, True])
def test_adamw_learns_what_can_be_told_apart_and_depends_on_its_seed_alone(several: bool) -> None:
    data = examples(300)
    target = torch.nn.functional.one_hot(data.target).float() if several else data.target
    torch.manual_seed(5)
    first = fit("adamw", Examples(data.x, target), 3, 0.01, seed=3)
    torch.manual_seed(6)
    second = fit("adamw", Examples(data.x, target), 3, 0.01, seed=3)
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, fit("adamw", Examples(data.x, target), 3, 0.01, 4).weight)
    new = examples(300, seed=1)
    assert (first(new.x).argmax(1) == new.target).double().mean() > 0.8


@pytest.mark.parametrize("peak", [0, 1, 7, 40, 48, 95, 96])
def test_the_search_finds_the_peak_of_a_hill_and_asks_once_for_each_value(peak: int) -> None:
    asked: Counter[int] = Counter()

    def height(place: int) -> float:
        asked[place] += 1
        return -abs(place - peak)

    assert search(height) == peak
    assert max(asked.values()) == 1
    assert len(asked) <= 7 + 2 * 4
    assert search(lambda place: 0.0) == 0


def test_the_grids_are_those_of_the_paper_and_of_clip_benchmark() -> None:
    np.testing.assert_allclose(grid("lbfgs")[::8], np.logspace(-6, 6, 13))
    np.testing.assert_allclose(grid("adamw"), np.logspace(-6, 2, 97))


def points(count: int, seed: int, labels: int = 3, **changes: object) -> Words:
    data = examples(count, 6, seed)
    rows = [{"image": row} for row in torch.nn.functional.pad(data.x, (0, 250)).tolist()]
    targets = [(label % labels,) for label in data.target.tolist()]
    given = {"rows": rows, "targets": targets, "labels": LABELS, "revision": f"points-{seed}"}
    return Words(**{**given, "modalities": ("image",), **changes})  # type: ignore[arg-type]


def ask(
    evaluator: LinearProbe | FewShot,
    others: Mapping[Split, Words],
    what: EvaluatedModel | None = None,
) -> list[EvaluationResult]:
    model = what or subject(inputs=["image"])

    def other(split: Split) -> Encoded:
        return replace(encoded(model, others[split]), split=split)

    lacking = frozenset({"train", "validation"} - others.keys())
    asked = replace(encoded(model, others["test"]), other=other, lacking=lacking)
    return evaluator(model, asked, "probe")


def splits(**changes: object) -> dict[Split, Words]:
    sizes: dict[Split, int] = {"train": 120, "validation": 45, "test": 60}
    return {
        split: points(size, seed, **changes) for seed, (split, size) in enumerate(sizes.items())
    }


@pytest.mark.parametrize("method", ["lbfgs", "adamw"])
def test_a_probe_tells_apart_what_a_line_can_tell_apart(method: str) -> None:
    (result,) = ask(LinearProbe(method=method), splits())  # type: ignore[arg-type]
    assert (result.metrics["top1"] or 0) > 0.8
    assert result.labels == LABELS
    penalty = result.subject["penalty"]
    assert any(penalty == pytest.approx(value) for value in grid(method))  # type: ignore[arg-type]
    assert result.protocol["options"]["learnt_from"].keys() == {"train", "validation"}


def test_the_final_fit_is_on_training_and_validation_together() -> None:
    data = splits()
    (result,) = ask(LinearProbe(), data)
    x, y = (
        np.concatenate([np.array(part) for part in parts])
        for parts in zip(
            *(
                ([row["image"] for row in data[split].rows], [t[0] for t in data[split].targets])
                for split in ("train", "validation")
            ),
            strict=True,
        )
    )
    penalty = result.subject["penalty"]
    assert isinstance(penalty, float)
    model = LogisticRegression(C=1 / penalty, max_iter=5000, tol=1e-8).fit(x, y)
    test = np.array([row["image"] for row in data["test"].rows])
    found = model.predict_proba(test).argmax(1)
    np.testing.assert_array_equal(result.samples.top_label, found)


def test_a_given_penalty_is_taken_and_only_training_samples_are_seen() -> None:
    data = splits()
    (result,) = ask(LinearProbe(penalty=3.0), {k: v for k, v in data.items() if k != "validation"})
    assert result.subject["penalty"] == 3.0
    assert result.protocol["options"]["learnt_from"].keys() == {"train"}


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
@pytest.mark.parametrize("evaluator", [LinearProbe(), FewShot(shots=[2], method="adamw")])
def test_features_that_are_not_finite_stop_the_evaluation(
    evaluator: LinearProbe | FewShot, split: Split, value: float
) -> None:
    data = splits()
    data[split].rows[3]["image"][2] = value  # type: ignore[index]
    with pytest.raises(RunError, match=r"encoders\.image: a feature is not a finite number"):
        ask(evaluator, data)


@pytest.mark.slow
@pytest.mark.parametrize("several", [False, True])
def test_a_penalty_under_which_the_fit_diverges_is_not_chosen(several: bool) -> None:
    """AdamW multiplies weights by 1 - rate * decay, -9 for a decay of 100: more every step."""
    data = splits(is_multi_label=several)
    data["train"] = points(900, 0, is_multi_label=several)
    probe = fit("adamw", examples(900), 3, 100.0)
    assert not probe.weight.isfinite().all()
    (result,) = ask(LinearProbe(method="adamw"), data)
    assert (result.metrics["top1"] or 0) > 0.7


def test_several_truths_are_probed_by_their_mean_average_precision() -> None:
    data = splits(is_multi_label=True)
    for words in data.values():
        words.targets = [(*own, 3) if own == (0,) else own for own in words.targets]
    (result,) = ask(LinearProbe(), data)
    assert (result.metrics["mAP"] or 0) > 0.8
    with pytest.raises(DataError, match="one label a sample"):
        ask(FewShot(shots=[1]), data)


def test_a_probe_learns_from_samples_of_no_label_and_is_judged_on_them() -> None:
    data = splits(is_multi_label=True)
    for words in data.values():
        words.targets = [() if own == (0,) else own for own in words.targets]
    (result,) = ask(LinearProbe(), data)
    asked = data["test"]
    assert len(result.samples.ids) == len(asked.targets)
    assert (result.label_metrics["support"][0], result.metrics["mAP"] or 0) > (-1, 0.8)
    has_none = np.array([own == () for own in asked.targets])
    assert ((result.samples.rank == 0) == has_none).all()
    # They lie where label 0 was, and no other label claims them.
    assert result.samples.top_probability[has_none].mean() < 0.5
    unknown = splits(is_multi_label=True)
    for words in unknown.values():
        words.targets = [None if own == (0,) else own for own in words.targets]
    (result,) = ask(LinearProbe(), unknown)
    assert result.skipped == has_none.sum()


def test_shots_are_so_many_of_each_label_and_more_shots_contain_fewer() -> None:
    results = ask(FewShot(shots=[1, 4], seeds=[0, 7], penalty=1.0), splits())
    found = {result.condition: result for result in results}
    assert list(found) == [
        *("1 shot", "1 shot, seed 0", "1 shot, seed 7"),
        *("4 shots", "4 shots, seed 0", "4 shots, seed 7"),
    ]
    train = splits()["train"]
    for seed in (0, 7):
        few, many = (found[f"{k}, seed {seed}"].shots for k in ("1 shot", "4 shots"))
        assert few is not None
        assert many is not None
        assert set(few.ids) < set(many.ids)
        labels = Counter(train.targets[int(sample.partition("-")[2])] for sample in many.ids)
        assert set(labels.values()) == {4}
        assert (many.split, many.dataset_revision) == ("train", train.revision)
    assert found["4 shots, seed 0"].protocol != found["4 shots, seed 7"].protocol


def test_the_mean_of_seeds_has_students_interval_and_the_samples_mean_hits() -> None:
    results = ask(FewShot(shots=[2], seeds=[0, 1, 2], penalty=1.0), splits())
    mean, *seeds = results
    values = np.array([result.metrics["top1"] for result in seeds], dtype=np.float64)
    half = 4.302652729911275 * values.std(ddof=1) / np.sqrt(3)  # t(0.975, 2)
    assert mean.metrics["top1"] == pytest.approx(values.mean())
    assert mean.metrics["top1_low"] == pytest.approx(values.mean() - half)
    assert mean.metrics["top1_high"] == pytest.approx(min(values.mean() + half, 1))
    assert mean.samples.outcome.mean() == pytest.approx(values.mean(), abs=1e-6)


def test_the_ends_of_a_wide_interval_are_shares_still() -> None:
    mean, *seeds = ask(FewShot(shots=[1], seeds=[1, 2], penalty=1.0), splits())
    values = np.array([result.metrics["top1"] for result in seeds], dtype=np.float64)
    assert values.mean() + 12.7 * values.std(ddof=1) / np.sqrt(2) > 1
    assert mean.metrics["top1_high"] == 1
    assert 0 <= (mean.metrics["top1_low"] or 0) < values.mean()


def test_a_wide_interval_of_few_hits_begins_at_none() -> None:
    data = splits()
    data["test"].targets = [((label + 1) % 3,) for (label,) in data["test"].targets]
    mean, *seeds = ask(FewShot(shots=[1], seeds=[1, 2], penalty=1.0), data)
    values = np.array([result.metrics["top1"] for result in seeds], dtype=np.float64)
    assert values.mean() - 12.7 * values.std(ddof=1) / np.sqrt(2) < 0
    assert mean.metrics["top1_low"] == 0
    assert values.mean() < (mean.metrics["top1_high"] or 0) <= 1


def test_one_seed_has_no_interval() -> None:
    mean, _ = ask(FewShot(shots=[2], seeds=[0], penalty=1.0), splits())
    assert mean.metrics["top1_low"] is None


def test_more_shots_than_a_label_has_are_refused() -> None:
    with pytest.raises(DataError, match=r"41 shots, and 40 training samples of 'round'"):
        ask(FewShot(shots=[41], seeds=[0], penalty=1.0), splits())


def test_an_encoder_that_is_no_input_is_refused() -> None:
    with pytest.raises(SpecError, match="allowed: image"):
        ask(LinearProbe(encoder="audio"), splits())


PROBES = """
[[evaluate]]
use = "linear_probe"
[[evaluate]]
use = "few_shot"
shots = [1, 2]
seeds = [0, 1]
penalty = 1.0
"""


def test_probes_of_a_trained_model_are_stored_with_the_samples_they_saw(lab: Lab) -> None:
    detail = lab.run_one(lab.write("pairs", PAIRED, PROBES))
    conditions = {e.condition: e.metrics for e in detail.evaluations if e.name == "few_shot"}
    assert len(conditions) == 6
    with lab.store() as store:
        query = (
            select(samples.c.split, func.count().label("n")).join(shots).group_by(samples.c.split)
        )
        assert store.frame(query).rows() == [("train", 2 * 3 * (1 + 2))]
    assert lab.statuses(lab.write("pairs", PAIRED, PROBES)) == ["skipped"]


EMPTY = '[dataset]\nuse = "clusters"\nempty = ["{}"]\n'


def test_a_probe_without_validation_samples_is_refused_before_training(sqlite_lab: Lab) -> None:
    probe = '[[evaluate]]\nuse = "linear_probe"\n'
    spec = sqlite_lab.write("toy", (EMPTY.format("validation"), *TOY[1:5]), probe)
    (outcome,) = sqlite_lab.run(spec, sqlite_lab.script())
    assert "the validation split is empty" in (outcome.error or "")
    assert "next: set `penalty` of this evaluation, or give" in (outcome.error or "")
    assert sqlite_lab.trained_steps == 0


def test_adamw_decays_no_weights_where_there_is_no_validation_split(
    sqlite_lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    probes = (
        '[[evaluate]]\nuse = "linear_probe"\nmethod = "adamw"\n'
        '[[evaluate]]\nuse = "linear_probe"\nname = "said"\nmethod = "adamw"\npenalty = 0.0\n'
        '[[evaluate]]\nuse = "few_shot"\nmethod = "adamw"\nshots = [1]\nseeds = [0, 1]\n'
    )
    parts = (EMPTY.format("validation"), *PAIRED[1:5])
    detail = sqlite_lab.run_one(sqlite_lab.write("pairs", parts, probes))
    found = {(e.name, e.condition): e for e in detail.evaluations}
    searched, said = found["linear_probe", ""], found["said", ""]
    assert searched.subject["penalty"] == 0.0
    assert searched.protocol == said.protocol
    assert searched.metrics == said.metrics
    assert found["few_shot", "1 shot"].subject["penalty"] == [0.0, 0.0]
    assert caplog.text.count("no validation split, so the weight decay is 0") == 2
