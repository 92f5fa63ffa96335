"""What metrics of plugins are given: the very scores, probabilities, truths and presence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest
import torch
from support.evaluated import Gate, Words, encoded, pictures, subject
from torch import nn

from mmlab.errors import DataError, SpecError
from mmlab.evaluate import asked_metrics
from mmlab.evaluate.evaluators.classification import Classification
from mmlab.metric import Metric
from mmlab.plan.component import Part, Resolved
from mmlab.plan.registry import ComponentEntry
from mmlab.plugin import ScoredSamples

LABELS = ["crab", "owl", "elk", "ant", "bee", "yak"]


class Seen:
    """Keeps what it is given."""

    metrics = (Metric("count", unit="samples"),)
    given: ScoredSamples

    def __call__(self, samples: ScoredSamples) -> dict[str, float | None]:
        Seen.given = samples
        return {"count": float(len(samples.truths))}


def part(factory: Any, name: str = "seen", distribution: str = "a-mmlab") -> Part:
    entry = ComponentEntry("metric", name, "a:B", distribution, "1.0", "a")
    return Part(Resolved(entry, factory, {}), {})


def ask(dataset: Words, parts: Sequence[Part]) -> tuple[dict[str, Any], torch.Tensor]:
    torch.manual_seed(0)
    what = subject(Gate(), head=nn.Linear(256, len(dataset.labels)), calibration=None)
    data = encoded(what, dataset)
    (result,) = Classification(metrics=cast(Any, parts))(what, data, "labels")
    with torch.no_grad():
        prediction = what.model.outputs(data.features).prediction
    assert prediction is not None
    return {**result.metrics, "protocol": result.protocol}, prediction


def test_a_metric_is_given_what_the_evaluation_has_and_cannot_change_it() -> None:
    found, prediction = ask(pictures(LABELS, LABELS * 2), [part(Seen)])
    given = Seen.given
    assert found["count"] == 12
    np.testing.assert_allclose(given.scores, prediction.numpy(), rtol=1e-5)
    np.testing.assert_allclose(given.probabilities, prediction.softmax(1).numpy(), rtol=1e-5)
    assert [LABELS[one] for (one,) in given.truths] == LABELS * 2
    assert all(values.all() for values in given.present.values())
    assert set(given.present) == {"image", "text"}
    for values in (given.scores, given.probabilities, *given.present.values()):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0


def test_which_metrics_are_asked_for_is_part_of_the_protocol_where_any_is() -> None:
    dataset = pictures(LABELS, LABELS)
    assert ask(dataset, [])[0]["protocol"]["options"] == {}
    (told,) = ask(dataset, [part(Seen)])[0]["protocol"]["options"]["metrics"]
    assert (told["use"], told["distribution"], told["version"]) == ("seen", "a-mmlab", "1.0")


def test_two_metrics_of_one_name_are_refused_before_anything_is_asked() -> None:
    parts = [part(Seen), part(Seen, "also_seen")]
    with pytest.raises(SpecError, match="two metrics are called 'count'"):
        ask(pictures(LABELS, LABELS), parts)


def test_more_scores_than_are_kept_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked_metrics, "KEPT_ELEMENTS", 35)
    with pytest.raises(DataError, match="6 samples of 6 labels"):
        ask(pictures(LABELS, LABELS), [part(Seen)])
