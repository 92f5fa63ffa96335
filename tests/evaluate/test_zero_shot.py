"""Zero-shot: prompts, the classifier, ranks and probabilities, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support.evaluated import Broken, Cosine, Gate, Words, encoded, letters, pictures, subject
from torch import Tensor, nn

from mmlab.errors import DataError, RunError, SpecError
from mmlab.evaluate import EvaluatedModel
from mmlab.evaluate import rank_labels as ranking_of_labels
from mmlab.evaluate import ranked as ranking
from mmlab.evaluate.evaluators.zero_shot import ZeroShot
from mmlab.evaluate.label_features import mean_sigmoids
from mmlab.evaluate.prompts import write_prompts
from mmlab.plugin import Calibration
from mmlab.records import EvaluationResult

LABELS = ["crab", "owl", "elk", "ant", "bee", "yak", "carb"]


def ask(what: EvaluatedModel, dataset: Words, **options: object) -> EvaluationResult:
    (result,) = ZeroShot(**options)(what, encoded(what, dataset), "labels")  # type: ignore[arg-type]
    return result


def slow_scores(shown: list[str], labels: list[str], templates: tuple[str, ...]) -> Tensor:
    """normalise - mean - normalise, one label at a time."""
    queries = F.normalize(torch.tensor([letters(word) for word in shown]), dim=1)
    columns = []
    for label in labels:
        prompts = [template.replace("{}", label) for template in templates]
        mean = F.normalize(torch.tensor([letters(p) for p in prompts]), dim=1).mean(0)
        columns.append(queries @ F.normalize(mean, dim=0))
    return torch.stack(columns, 1)


def test_pictures_of_their_own_labels_are_all_found() -> None:
    result = ask(subject(), pictures(LABELS[:6], LABELS[:6]))
    assert result.metrics["top1"] == result.metrics["mean_per_class_recall"] == 1.0
    assert result.metrics["mean_rank"] == result.metrics["median_rank"] == 1.0
    assert result.samples.rank.tolist() == [1] * 6


def test_features_of_prompts_are_normalised_averaged_and_normalised() -> None:
    shown, templates = ["crabs", "a yak", "elk!"], ("a photo of many {}s!", "{}")
    targets = [(0,), (5,), (2,)]
    dataset = pictures(LABELS[:6], LABELS[:3], targets=targets, templates=templates)
    dataset.rows = [{"image": letters(word)} for word in shown]
    result = ask(subject(), dataset, k=6)
    scores = slow_scores(shown, LABELS[:6], templates)
    expected = torch.softmax(10 * scores, 1)
    assert result.rankings.label.tolist() == scores.argsort(dim=1, descending=True).tolist()
    np.testing.assert_allclose(
        result.rankings.score, expected.sort(dim=1, descending=True).values, rtol=1e-5
    )
    truths = torch.tensor(targets)
    np.testing.assert_allclose(
        result.samples.probability, expected.gather(1, truths)[:, 0], rtol=1e-5
    )


def test_scores_of_prompts_are_averaged_where_the_fusion_says_so() -> None:
    torch.manual_seed(0)
    scorer = nn.Linear(256, 1, bias=False)
    what = subject(Gate(), scorer=scorer)
    dataset = pictures(LABELS[:6], LABELS[:6])
    result = ask(what, dataset, k=6)
    pictured = torch.tensor([letters(word) for word in LABELS[:6]])
    columns = []
    for label in LABELS[:6]:
        prompts = torch.tensor([letters(p) for p in write_prompts([label], dataset.templates)])
        columns.append(torch.stack([scorer(pictured * p.sigmoid())[:, 0] for p in prompts]).mean(0))
    expected = torch.softmax(10 * torch.stack(columns, 1), 1).sort(dim=1, descending=True)
    np.testing.assert_allclose(result.rankings.score, expected.values.detach(), rtol=1e-3)


def test_equal_scores_are_ordered_by_label_id_and_marked() -> None:
    # "crab" and "carb" have the same letters, so this model cannot tell them apart.
    result = ask(subject(), pictures(LABELS, ["carb", "crab", "owl"]))
    assert result.samples.rank.tolist() == [2, 1, 1]
    assert result.samples.has_tie.tolist() == [True, True, False]
    assert result.rankings.label[0, :2].tolist() == [0, 6]
    assert result.samples.top_label.tolist() == [0, 0, 1]
    assert result.label_metrics["recall"][[0, 6]].tolist() == [1.0, 0.0]


def test_any_of_several_truths_is_a_hit() -> None:
    targets = [(5, 0), (1, 2)]
    dataset = pictures(LABELS[:6], ["crab", "elk"], targets=targets, is_multi_label=True)
    result = ask(subject(), dataset)
    assert result.samples.rank.tolist() == [1, 1]
    assert result.samples.truths == targets
    assert 0 < result.metrics["mAP"] <= 1
    assert np.isnan(result.label_metrics["average_precision"][[3, 4]]).all()


def test_blocks_of_labels_know_samples_of_no_label_too(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [(5, 0), (), (1, 2), None]
    shown = ["crab", "elk", "owl", "crab"]
    dataset = pictures(LABELS[:6], shown, targets=targets, is_multi_label=True)
    whole = ask(subject(), dataset)
    assert whole.samples.rank.tolist() == [1, 0, 1]
    assert (whole.metrics["top1"], whole.skipped) == (1.0, 1)
    monkeypatch.setattr(ranking_of_labels, "BLOCK_LABELS", 3)
    parts = ask(subject(), dataset)
    for key in ("rank", "probability", "has_tie", "outcome", "top_label"):
        np.testing.assert_allclose(
            getattr(parts.samples, key), getattr(whole.samples, key), rtol=1e-6
        )
    assert parts.metrics["top1"] == 1.0


def test_labels_may_hold_braces_quotes_emoji_and_newlines() -> None:
    labels = ["{}", "{0} {name}", 'the "best" <b>crab</b>', "🦀 crab", "two\nlines", "%s"]
    result = ask(subject(), pictures(labels, labels))
    assert result.metrics["top1"] == 1.0
    assert result.labels == tuple(labels)


def test_fewer_than_five_labels_have_no_top5() -> None:
    result = ask(subject(), pictures(LABELS[:4], LABELS[:4]))
    assert result.metrics["top5"] is None
    assert result.rankings.label.shape == (4, 4)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("block_labels", [1 << 16, 4])
def test_scores_that_are_not_finite_stop_the_evaluation_in_blocks_too(
    value: float, block_labels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking_of_labels, "BLOCK_LABELS", block_labels)
    with pytest.raises(RunError, match="a score is not a finite number") as caught:
        ask(subject(Broken(value)), pictures(LABELS[:6], LABELS[:6]))
    assert caught.value.reason == "nan"


def test_averaged_sigmoids_are_finite_however_sure_each_is() -> None:
    scores = torch.tensor([[3.0, 3.0, -3.0, -3.0, 3.0, -3.0], [0.1, 0.3, 0.0, 0.2, -0.1, 0.4]])
    counts = torch.tensor([2, 2, 2])
    found = mean_sigmoids(scores, counts, 100.0, -10.0)
    exact = (100.0 * scores - 10.0).double().reshape(2, 3, 2)
    yes, no = (torch.sigmoid(each).mean(2) for each in (exact, -exact))
    torch.testing.assert_close(found, (yes.log() - no.log()).float())


def test_sigmoid_probabilities_are_each_labels_own() -> None:
    calibration = Calibration(10.0, -10.0, "sigmoid")
    result = ask(
        subject(calibration=calibration), pictures(LABELS[:6], ["crab"], templates=("{}",))
    )
    assert result.samples.probability.tolist() == [pytest.approx(0.5, abs=1e-5)]
    assert result.subject["probability"] == {"kind": "sigmoid", "scale": 10.0, "bias": -10.0}


def test_chunks_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = pictures(LABELS, LABELS * 3)
    whole = ask(subject(), dataset)
    monkeypatch.setattr(ranking, "CHUNK_ELEMENTS", 15)
    monkeypatch.setattr("mmlab.evaluate.label_features.PROMPTS_AT_ONCE", 5)
    parts = ask(subject(), dataset)
    assert parts.metrics == pytest.approx(whole.metrics)
    np.testing.assert_array_equal(parts.rankings.label, whole.rankings.label)
    np.testing.assert_array_equal(parts.samples.rank, whole.samples.rank)
    np.testing.assert_allclose(parts.rankings.score, whole.rankings.score, rtol=1e-6)


def test_too_many_scores_to_keep_leave_average_precision_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranking_of_labels, "KEPT_ELEMENTS", 10)
    result = ask(subject(), pictures(LABELS, LABELS, is_multi_label=True))
    assert "average_precision" not in result.label_metrics
    assert result.metrics["mAP"] is None
    assert result.metrics["top1"] > 0.8


def test_samples_without_a_query_or_a_label_are_skipped() -> None:
    rows = [{"image": letters("owl")}, {"text": "crab"}, {"image": letters("crab"), "text": "x"}]
    dataset = Words(rows, [(1,), (0,), ()], labels=("crab", "owl"))
    result = ask(subject(), dataset)
    assert result.samples.ids == ["word-0"]
    assert result.skipped == 2


def test_queries_and_prompts_follow_modalities_whatever_the_order_of_inputs() -> None:
    dataset = pictures(LABELS[:6], LABELS[:6])
    first = ask(subject(), dataset)
    turned = subject(inputs=["words", "vision"], modalities={"words": "text", "vision": "image"})
    second = ask(turned, dataset)
    assert first.metrics == pytest.approx(second.metrics)
    assert first.protocol == second.protocol


def test_text_can_ask_over_text_when_prompts_are_named() -> None:
    both = subject(inputs=["a", "b"], modalities={"a": "text", "b": "text"})
    dataset = pictures(LABELS[:6], LABELS[:6])
    with pytest.raises(SpecError, match=r"prompts: exactly one input must read text(.|\n)*2 text"):
        ask(both, dataset)
    assert ask(both, dataset, prompts="b").metrics["top1"] == 1.0
    assert ask(both, dataset, queries="a").metrics["top1"] == 1.0


def test_no_text_encoder_is_refused() -> None:
    what = subject(inputs=["image", "audio"])
    with pytest.raises(SpecError, match="0 text encoders among image, audio"):
        ask(what, pictures(LABELS, LABELS))


@pytest.mark.parametrize(
    "options", [{"queries": "audio"}, {"prompts": "audio"}, {"queries": "text", "prompts": "text"}]
)
def test_options_must_name_the_two_inputs(options: dict[str, str]) -> None:
    with pytest.raises(SpecError, match="must be the two inputs of the fusion"):
        ask(subject(), pictures(LABELS, LABELS), **options)


def test_a_model_without_similarity_is_refused() -> None:
    with pytest.raises(SpecError, match="reads the similarity of two inputs"):
        ask(subject(Gate(), head=nn.Linear(256, 2)), pictures(LABELS, LABELS))


def test_without_a_temperature_a_scale_is_asked_for_and_used() -> None:
    what, dataset = subject(calibration=None), pictures(LABELS[:6], LABELS[:6])
    with pytest.raises(SpecError, match="nothing says how scores become probabilities"):
        ask(what, dataset)
    given, own = ask(what, dataset, scale=10.0), ask(subject(), dataset)
    np.testing.assert_array_equal(given.rankings.score, own.rankings.score)


@pytest.mark.parametrize("templates", [("a photo.",), ("{} and {}",), ("{0}",), ("{}", "x")])
def test_a_template_needs_exactly_one_placeholder(templates: tuple[str, ...]) -> None:
    dataset = pictures(LABELS, LABELS, templates=templates)
    with pytest.raises(DataError, match=r"exactly one \{\} for the label"):
        ask(subject(), dataset)
    assert ask(subject(), dataset, templates=["a {}"]).templates == ("a {}",)


def test_a_dataset_without_templates_or_labels_or_pictures_is_refused() -> None:
    with pytest.raises(DataError, match="found: no template"):
        ask(subject(), pictures(LABELS, LABELS, templates=()))
    with pytest.raises(DataError, match="no labels to rank"):
        ask(subject(), Words([{"image": letters("a")}], [()]))
    with pytest.raises(DataError, match="the dataset has no image"):
        ask(subject(), pictures(LABELS, LABELS, modalities=("text",)))
    with pytest.raises(DataError, match="all without a known label and image"):
        ask(subject(), pictures(LABELS, LABELS, targets=[()] * 7))


def test_scores_are_float32_where_encoders_run_in_bf16() -> None:
    class Watched(Cosine):
        def score(self, u, v):  # type: ignore[no-untyped-def]
            assert not torch.is_autocast_enabled("cpu")
            scores = super().score(u, v)
            assert scores.forward.dtype == torch.float32
            return scores

    what = replace(subject(Watched()), precision="bf16")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ask(what, pictures(LABELS[:6], LABELS[:6])).metrics["top1"] == 1.0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_ranks_as_the_cpu_does() -> None:
    dataset = pictures(LABELS, LABELS * 5)
    found = [ask(subject(device=device), dataset) for device in ("cpu", "cuda")]
    np.testing.assert_array_equal(found[0].samples.rank, found[1].samples.rank)
    np.testing.assert_allclose(found[0].rankings.score, found[1].rankings.score, rtol=1e-4)
    assert found[0].metrics == pytest.approx(found[1].metrics, rel=1e-4)
