"""Linear probe: how well a linear classifier tells labels by the features of one encoder."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field

from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.evaluator import Learnt, ProtocolQuestion
from mmlab.evaluate.label_results import CardsOption, KeptOption, Labelling
from mmlab.evaluate.metrics import LABEL_METRICS, METRICS
from mmlab.evaluate.probes import (
    EncoderOption,
    Method,
    MethodOption,
    PenaltyOption,
    check_probe,
    choose_penalty,
    describe_probe,
    find_encoder,
    fit,
    known_penalty,
    learns_from,
    learnt_from,
    probe_result,
    read_others,
    take_examples,
)
from mmlab.evaluate.subject import EvaluatedModel
from mmlab.metric import Metric
from mmlab.plugin import Dataset
from mmlab.records import EvaluationResult


class LinearProbe:
    """Fit a linear classifier on the training split's features, judge it on the evaluated split.

    The encoder itself is not trained. "lbfgs" is the CLIP paper's: logistic regression to its
    minimum, scikit-learn's of C = 1 / penalty, the penalty chosen on the validation split among 97
    from 1e-6 to 1e6 by binary refinement, and the final fit on training and validation together.
    "adamw" is CLIP_benchmark's: normalised features, 10 epochs of AdamW, weight decay chosen in the
    same way from 1e-6 to 100. With `penalty` nothing is searched, and the fit is on the training
    split only; so it is, with a weight decay of 0, where "adamw" has no validation split.

    Features are those the encoder gives: an encoder whose towers end in a projection, such as
    open_clip's, is probed after it, while the CLIP paper probes before it.
    Source: Radford et al., arXiv:2103.00020, appendix A.3.
    """

    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset()
    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    label_metrics: ClassVar[tuple[Metric, ...]] = LABEL_METRICS

    def __init__(
        self,
        *,
        encoder: EncoderOption = None,
        method: MethodOption = "lbfgs",
        penalty: PenaltyOption = None,
        seed: Annotated[int, Field(ge=0, lt=2**32, description="of adamw's randomness")] = 0,
        k: KeptOption = 5,
        cards: CardsOption = 24,
    ) -> None:
        self.encoder = encoder
        self.method: Method = method
        self.penalty = penalty
        self.seed = seed
        self.k = k
        self.cards = cards

    @property
    def learns_from(self) -> list[Learnt]:
        """The splits that are read besides the evaluated one."""
        return learns_from(self.method, self.penalty)

    def check(self, subject: EvaluatedModel, dataset: Dataset, name: str) -> None:
        """Raise SpecError or DataError for what the model or the dataset lacks."""
        key = find_encoder(subject, self.encoder, name)
        check_probe(subject, dataset, key, name)

    @torch.no_grad()
    def __call__(
        self, subject: EvaluatedModel, encoded: Encoded, name: str
    ) -> list[EvaluationResult]:
        """One result."""
        self.check(subject, encoded.dataset, name)
        key = find_encoder(subject, self.encoder, name)
        given = known_penalty(self.penalty, encoded, name)
        asked, *learnt = (
            take_examples(each, key, self.method, name)
            for each in (encoded, *read_others(encoded, given))
        )
        examples, penalty = learnt[0].examples, given
        if penalty is None:
            train, validation = learnt
            penalty = choose_penalty(self.method, examples, validation, self.seed)
            examples = train.examples.join(validation.examples)
        probe = fit(self.method, examples, len(encoded.dataset.labels), penalty, self.seed)
        options: dict[str, object] = {
            "encoder": subject.modality(key),
            "method": self.method,
            "penalty": given,
            "seed": self.seed if self.method == "adamw" else None,
            "learnt_from": learnt_from(*learnt),
        }
        question = ProtocolQuestion("linear_probe", self.version, options, encoded.dataset.labels)
        described = describe_probe(subject, key, penalty)
        labelling = Labelling(name, question, encoded, asked.indexes, described, self.cards)
        return [probe_result(labelling, probe, asked, self.k)]
