"""What is left without a modality, on planted data: one input knows all, the other nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pytest
import torch
from sklearn.metrics import auc
from support.evaluated import Words, encoded, letters, subject
from support.lab import TOY, Lab
from torch import Tensor, nn

from mmlab.errors import SpecError
from mmlab.evaluate import EvaluatedModel
from mmlab.evaluate.evaluators.missing_modality import Condition, MissingModality, add_noise, area
from mmlab.model.heads import Standardized
from mmlab.plugin import Features, Sample
from mmlab.records import EvaluationResult

NAMES = ("a", "b", "c")


class Total(nn.Module):
    """A vector fusion: the sum of what is present."""

    reads = frozenset({"pooled"})
    prompts = "features"
    dim = 256

    def project(self, position: int, features: Features) -> Features:
        return features

    def fuse(self, *features: Features) -> Tensor:
        return torch.stack([f.pooled * f.present[..., None] for f in features]).sum(0)


class Reads(nn.Module):
    """A head that counts a, b and c."""

    def forward(self, fused: Tensor) -> Tensor:
        return fused[..., [ord(name) for name in NAMES]]


def planted(count: int = 30, lacking: Sequence[int] = ()) -> Words:
    """Texts that are the label's letter, and pictures of nothing at all."""
    rows: list[dict[str, object]] = [
        {"image": letters("z"), "text": NAMES[index % 3]} for index in range(count)
    ]
    for index in lacking:
        del rows[index]["image"]
    return Words(rows, [(index % 3,) for index in range(count)], NAMES)


def model(
    inputs: Sequence[str] = ("image", "text"), head: nn.Module | None = None
) -> EvaluatedModel:
    return subject(Total(), head=head or Reads(), inputs=inputs)


def results(
    dataset: Words, what: EvaluatedModel | None = None, **options: object
) -> dict[str, EvaluationResult]:
    what = what or model()
    evaluator = MissingModality(**options)  # type: ignore[arg-type]
    found = evaluator(what, encoded(what, dataset), "lack")
    assert len({result.condition for result in found}) == len(found)
    return {result.condition: result for result in found}


def test_every_subset_and_every_noise_is_a_condition() -> None:
    assert list(results(planted(), noise_levels=(2.0, 0.5))) == [
        "",
        "image",
        "text",
        "image+text",
        "image noise 0.5",
        "image noise 2",
        "text noise 0.5",
        "text noise 2",
    ]
    sizes = [
        len(list(MissingModality(noise_levels=()).conditions("abcdef"[:n]))) for n in (1, 3, 6)
    ]
    assert sizes == [1, 7, 63]


def test_without_the_modality_that_knows_everything_nothing_is_left() -> None:
    found = results(planted())
    top1 = {name: result.metrics.get("top1") for name, result in found.items()}
    assert top1["image+text"] == top1["text"] == 1
    assert top1["image"] == pytest.approx(1 / 3)  # equal scores: the first label is always first
    assert top1["image noise 2"] == 1  # what does not vary has no deviation to be noisy by
    assert cast(float, top1["text noise 2"]) < 0.9
    summary = found[""].metrics
    assert summary["top1/subset_worst"] == top1["image"]
    assert summary["top1/noise_worst"] == top1["text noise 2"]


def test_areas_are_the_library_s() -> None:
    found = results(planted())
    top1 = {name: result.metrics.get("top1") for name, result in found.items()}
    summary = found[""].metrics
    means = [np.mean([top1["image"], top1["text"]]), top1["image+text"]]
    assert summary["top1/subset_area"] == pytest.approx(auc([1, 2], means))
    levels = [0, 0.5, 1, 2]
    curves = [
        [top1["image+text"], *(top1[f"{key} noise {level:g}"] for level in levels[1:])]
        for key in ("image", "text")
    ]
    expected = np.mean([auc(levels, curve) / 2 for curve in curves])
    assert summary["top1/noise_area"] == pytest.approx(expected)


def test_all_conditions_ask_the_samples_that_have_every_input() -> None:
    found = results(planted(lacking=(0, 4)))
    for name, result in found.items():
        assert result.skipped == 2
        if name:
            assert result.samples is not None
            assert len(result.samples.ids) == 28
            assert "word-0" not in result.samples.ids
    assert found[""].samples is None


def test_a_condition_is_part_of_its_protocol() -> None:
    found = results(planted())
    protocols = [json.dumps(result.protocol, sort_keys=True) for result in found.values()]
    assert len(set(protocols)) == len(found)
    again = results(planted(), noise_seed=1)
    same = [name for name in found if found[name].protocol == again[name].protocol]
    assert same == ["image", "text", "image+text"]


def test_a_unimodal_model_is_asked_what_the_subset_of_a_multimodal_one_is() -> None:
    alone = results(planted(), model(["text"]))["text"]
    together = results(planted())["text"]
    assert alone.protocol == together.protocol
    assert alone.samples is not None
    assert together.samples is not None
    np.testing.assert_array_equal(alone.samples.outcome, together.samples.outcome)


def test_one_input_is_judged_by_its_one_subset() -> None:
    found = results(planted(), model(["text"]), noise_levels=())
    assert list(found) == ["", "text"]
    assert found[""].metrics == {"top1/subset_area": 1.0, "top1/subset_worst": 1.0}


def test_noise_is_the_same_every_time_and_another_for_another_seed() -> None:
    first, again, other = (
        results(planted(300), noise_seed=seed)["text noise 2"].samples for seed in (0, 0, 1)
    )
    assert first is not None
    assert again is not None
    assert other is not None
    np.testing.assert_array_equal(first.outcome, again.outcome)
    assert (first.outcome != other.outcome).any()


def test_noise_has_the_deviation_it_says_of_every_feature() -> None:
    scale = torch.tensor([0.0, 1.0, 100.0])
    x = torch.randn(4000, 3) * scale
    asked = torch.arange(4000) % 2 == 0
    x[~asked] *= 50  # what is not asked is not measured
    tokens = x[:, None, :].repeat(1, 2, 1)
    mask = torch.tensor([True, False]).repeat(4000, 1)
    found = add_noise(Features(x, tokens, mask, asked), asked, 0.5, "seed")
    deviation = x[asked].std(0, correction=0)
    torch.testing.assert_close((found.pooled - x).std(0), 0.5 * deviation, rtol=0.05, atol=0)
    assert found.tokens is not None
    error = (found.tokens - tokens).flatten(0, 1).std(0)
    torch.testing.assert_close(error, 0.5 * deviation, rtol=0.05, atol=0)


def test_an_undefined_value_leaves_its_summary_undefined() -> None:
    values: Mapping[str, float | None] = {"image": None, "text": 1.0, "image+text": 1.0}
    found = MissingModality(noise_levels=()).sum_up(("image", "text"), values)
    assert found == {"subset_area": None, "subset_worst": None}
    assert area([1.0, 2.0, 3.0], [0.0, 1.0, 0.0]) == 0.5


class Numbers(Words):
    """Texts of a, b or c with how many letters there are; the picture says nothing."""

    target_names = ("length",)

    def __getitem__(self, index: int) -> Sample:
        row = self.rows[index]
        return Sample(f"word-{index}", row, (), (float(len(cast(str, row["text"]))),))


def test_a_regression_is_judged_by_r2() -> None:
    texts = ["a" * (1 + index % 5) for index in range(20)]
    rows = [{"image": letters("z"), "text": text} for text in texts]
    dataset = Numbers(rows, [()] * 20)

    class Sum(nn.Module):
        def forward(self, fused: Tensor) -> Tensor:
            return fused[..., [ord("a")]]

    found = results(dataset, model(head=Standardized(Sum(), (0.0,), (1.0,))))
    assert found["image+text"].metrics["r2"] == 1
    assert found["image"].metrics["r2"] == pytest.approx(-9 / 2)  # always 0: 1 - 11 / 2
    assert found[""].metrics["r2/subset_worst"] == found["image"].metrics["r2"]
    assert all(name == "" or result.samples is not None for name, result in found.items())


def test_too_many_inputs_are_refused_before_anything_is_read() -> None:
    keys = ["".join(pair) for pair in itertools.product("abc", "xyz")][:7]
    what = subject(Total(), head=Reads(), inputs=keys, modalities=dict.fromkeys(keys, "text"))
    with pytest.raises(SpecError, match="127 subsets"):
        MissingModality().check(what, planted(), "lack")


def test_conditions_are_stored_with_outcomes_and_protocols_of_their_own(lab: Lab) -> None:
    more = '[[evaluate]]\nuse = "missing_modality"\nnoise_levels = [1]\n'
    detail = lab.run_one(lab.write("lacking", TOY, more), "train.epochs=1")
    found = {it.condition: it for it in detail.evaluations if it.name == "missing_modality"}
    assert list(found) == ["", "image", "text", "image+text", "image noise 1", "text noise 1"]
    assert len({it.protocol_hash for it in found.values()}) == 6
    assert {it.sample_count for name, it in found.items() if name} == {24}
    (plain,) = [it for it in detail.evaluations if it.name == "classification"]
    assert found["image+text"].metrics["top1"] == plain.metrics["top1"]
    best = lab.run_one(
        lab.write("best", TOY, more), 'train.best="missing_modality/top1/subset_area"'
    )
    assert best.summary["best_value"] is not None


def test_condition_names_say_what_is_there() -> None:
    assert Condition(("image", "text")).name == "image+text"
    assert Condition(("image", "text"), {"text": 0.25}).name == "text noise 0.25"
