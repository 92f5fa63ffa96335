"""A study of templates: each alone, without each, all, and those selected on validation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.evaluated import Called, Cosine, Gate, Words, encoded, letters, pictures, subject
from support.lab import PAIRED, Lab
from torch import nn

from mmlab.errors import DataError
from mmlab.evaluate import Encoded, EvaluatedModel, encode_split
from mmlab.evaluate.evaluators.prompts import PromptStudy, select_templates
from mmlab.evaluate.evaluators.zero_shot import ZeroShot
from mmlab.plugin import Split
from mmlab.records import EvaluationResult

LABELS = ["crab", "owl", "elk", "ant", "bee", "yak"]
TEMPLATES = ("{}", "zzzzzzzzzzzzzzzzzz {} qqq crab", "many {}s, crab")


def shown(templates: tuple[str, ...]) -> Words:
    words = ["crabs", "an owl", "elk!", "pants", "bees", "yak"]
    rows = [{"image": letters(word), "text": word} for word in words]
    targets = [(place,) for place in range(6)]
    return Words(rows, targets, labels=tuple(LABELS), templates=templates)


def study(
    what: EvaluatedModel | None = None, templates: tuple[str, ...] = TEMPLATES, **options: object
) -> dict[str, EvaluationResult]:
    model = what or subject()
    dataset = shown(templates)

    def other(split: Split) -> Encoded:
        assert split == "validation"
        small = pictures(LABELS, LABELS, templates=templates, revision="words-2")
        return replace(encoded(model, small), split=split)

    asked = replace(encoded(model, dataset), other=other)
    results = PromptStudy(**options)(model, asked, "study")  # type: ignore[arg-type]
    return {result.condition: result for result in results}


def alone(templates: tuple[str, ...]) -> EvaluationResult:
    dataset = shown(templates)
    (result,) = ZeroShot()(subject(), encoded(subject(), dataset), "alone")
    return result


def test_every_condition_gives_what_zero_shot_gives_with_its_templates() -> None:
    found = study()
    assert list(found) == [
        *(f"alone: {template}" for template in TEMPLATES),
        *(f"without: {template}" for template in TEMPLATES),
        *("all", "selected"),
    ]
    for template in TEMPLATES:
        rest = tuple(other for other in TEMPLATES if other != template)
        for condition, used in (("alone", (template,)), ("without", rest)):
            result = found[f"{condition}: {template}"]
            assert result.templates == used
            assert result.metrics == pytest.approx(alone(used).metrics, rel=1e-5)
    assert found["all"].metrics == pytest.approx(alone(TEMPLATES).metrics, rel=1e-5)


def test_the_selection_is_made_on_validation_and_told() -> None:
    result = study()["selected"]
    assert result.templates == ("{}",)
    assert result.subject["selection"] == [{"template": "{}", "top1": 1.0}]
    assert result.protocol["templates"] == list(TEMPLATES)
    assert result.metrics == pytest.approx(alone(("{}",)).metrics, rel=1e-5)


def test_fusions_that_average_scores_are_studied_too() -> None:
    gate = subject(Gate(), scorer=nn.Linear(256, 1, bias=False))
    assert set(study(gate)) == set(study())
    one = study(subject(Cosine()), combine="scores")
    assert one["alone: {}"].metrics == pytest.approx(alone(("{}",)).metrics, rel=1e-5)


def test_what_is_averaged_is_told_of_conditions_with_several_templates() -> None:
    gate, cosine = study(subject(Gate(), scorer=nn.Linear(256, 1, bias=False))), study()
    combines = {
        condition: result.protocol["options"].get("combine")  # type: ignore[attr-defined]
        for condition, result in gate.items()
    }
    several = [condition for condition in gate if not condition.startswith("alone")]
    assert {c for c, combine in combines.items() if combine == "scores"} == set(several)
    for condition, result in cosine.items():
        assert (result.protocol == gate[condition].protocol) == (condition not in several)


def test_selection_adds_what_helps_most_and_stops_when_nothing_helps() -> None:
    worth = {(1,): 0.5, (1, 2): 0.7, (0,): 0.5, (2,): 0.4, (0, 2): 0.8, (0, 2, 1): 0.8}
    asked: list[tuple[int, ...]] = []

    def quality(chosen: object) -> float:
        asked.append(tuple(chosen))  # type: ignore[call-overload]
        return worth.get(asked[-1], 0.1)

    chosen, steps = select_templates(3, quality)
    assert chosen == (0, 2)
    assert steps == [(0, 0.5), (2, 0.8)]
    assert len(asked) == 3 + 2 + 1


def test_recall_of_labels_can_select() -> None:
    selection = study(by="mean_per_class_recall")["selected"].subject["selection"]
    assert selection == [{"template": "{}", "mean_per_class_recall": 1.0}]


@pytest.mark.parametrize("by", ["top1", "mean_per_class_recall"])
def test_what_selects_is_what_the_evaluation_says_of_validation(by: str) -> None:
    words = ["crab", "crab", "owl", "yak", "elk", "bee", "ant"]
    truths = [(0, 1), (0, 5), (1,), (5, 2), (2,), (3,), ()]
    rows = [{"image": letters(word), "text": word} for word in words]
    dataset = Words(rows, truths, tuple(LABELS), TEMPLATES, is_multi_label=True)
    validation = encode_split(subject(), dataset, "validation", 3)
    asked = replace(encoded(subject(), dataset), other=lambda split: validation)
    result = PromptStudy(by=by)(subject(), asked, "study")[-1]
    assert result.condition == "selected"
    step = result.subject["selection"][0]
    (alone,) = ZeroShot(templates=[step["template"]])(subject(), validation, "alone")
    assert step[by] == alone.metrics[by]
    assert 0 < step[by] < 1


def test_one_template_is_nothing_to_study() -> None:
    with pytest.raises(DataError, match=r"needs several(.|\n)*found: 1 template"):
        study(templates=("{}", "{}"))


def test_a_study_of_a_trained_model_is_stored(sqlite_lab: Lab) -> None:
    detail = sqlite_lab.run_one(
        sqlite_lab.write("pairs", PAIRED, '[[evaluate]]\nuse = "prompts"\n')
    )
    conditions = [e.condition for e in detail.evaluations if e.name == "prompts"]
    assert len(conditions) == 6
    assert "alone: a {}" in conditions


def test_prompts_of_a_study_call_labels_as_the_dataset_does() -> None:
    names = ("crab", "owl", "elk", "ant", "bee", "bee")

    def data(templates: tuple[str, ...]) -> Called:
        plain = shown(templates)
        return Called(
            plain.rows, plain.targets, labels=plain.labels, templates=templates, prompt_names=names
        )

    what = subject()
    asked = encoded(what, data(TEMPLATES))
    results = PromptStudy()(what, replace(asked, other=lambda split: asked), "study")
    by_condition = {result.condition: result for result in results}
    for condition, templates in (("all", TEMPLATES), (f"alone: {TEMPLATES[0]}", TEMPLATES[:1])):
        (alone,) = ZeroShot()(what, encoded(what, data(templates)), "alone")
        assert by_condition[condition].metrics["top1"] == alone.metrics["top1"]
        assert by_condition[condition].protocol["prompt_names"] == alone.protocol["prompt_names"]
        assert by_condition[condition].samples.rank[5] > 1
