"""Few-shot: a linear probe that sees a few samples of each label, several times over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field

from mmlab.errors import DataError, explain
from mmlab.evaluate.encode import Encoded
from mmlab.evaluate.evaluator import Learnt, ProtocolQuestion, hash_texts, make_protocol
from mmlab.evaluate.label_results import KeptOption, Labelling
from mmlab.evaluate.metrics import METRICS
from mmlab.evaluate.probes import (
    EncoderOption,
    Method,
    MethodOption,
    PenaltyOption,
    Taken,
    check_probe,
    choose_penalty,
    describe_probe,
    find_encoder,
    fit,
    known_penalty,
    learns_from,
    learnt_from,
    mean_and_interval,
    probe_result,
    read_others,
    take_examples,
    without_details,
)
from mmlab.evaluate.subject import EvaluatedModel
from mmlab.metric import SHARE, Metric, under
from mmlab.plugin import Dataset
from mmlab.records import EvaluationResult, SampleResults, Shots

#: Metrics of which the seeds' mean and interval are given.
_AVERAGED = ("top1", "top5", "mean_per_class_recall")
#: The ends of these intervals.
_ENDS = (
    *(Metric(f"{name}_low", "higher", SHARE, low_of=name) for name in _AVERAGED),
    *(Metric(f"{name}_high", "higher", SHARE, high_of=name) for name in _AVERAGED),
)


@dataclass(frozen=True)
class _Trial:
    """One probe: how many samples of each label it may see, which, and its penalty if known."""

    shots: int
    seed: int
    positions: Sequence[int]
    penalty: float | None


class FewShot:
    """Linear probes of a few training samples a label, drawn anew with every seed.

    For each number of shots there is one result a seed, "4 shots, seed 0", with the samples it
    learnt from in the table `shots`, and one over the seeds, "4 shots": the means of their top-1,
    top-5 and mean per-class recall, the ends of their 95 % intervals, "top1_low" and "top1_high"
    (Student's t over seeds, on one test set; cut to [0, 1]), and per sample the mean of the hits. A
    seed's smaller draws are part of its larger ones. The fit is that of
    `linear_probe`, on the shots alone; the penalty is chosen on the whole validation split, unless
    it is given, or 0 where "adamw" has none.
    """

    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset()
    metrics: ClassVar[tuple[Metric, ...]] = under("{shots}", (*METRICS, *_ENDS))
    label_metrics: ClassVar[tuple[Metric, ...]] = ()

    def __init__(
        self,
        *,
        shots: Annotated[
            Sequence[Annotated[int, Field(ge=1, le=10**6)]],
            Field(min_length=1, description="training samples a label, each number by itself"),
        ] = (1, 2, 4, 8, 16),
        seeds: Annotated[
            Sequence[Annotated[int, Field(ge=0, lt=2**32)]],
            Field(min_length=1, description="each draws its own samples"),
        ] = (0, 1, 2, 3, 4),
        encoder: EncoderOption = None,
        method: MethodOption = "lbfgs",
        penalty: PenaltyOption = None,
        k: KeptOption = 5,
    ) -> None:
        self.shots = tuple(dict.fromkeys(shots))
        self.seeds = tuple(dict.fromkeys(seeds))
        self.encoder = encoder
        self.method: Method = method
        self.penalty = penalty
        self.k = k

    @property
    def learns_from(self) -> list[Learnt]:
        """The splits that are read besides the evaluated one."""
        return learns_from(self.method, self.penalty)

    def check(self, subject: EvaluatedModel, dataset: Dataset, name: str) -> None:
        """Raise SpecError or DataError for what the model or the dataset lacks."""
        key = find_encoder(subject, self.encoder, name)
        check_probe(subject, dataset, key, name)
        if dataset.is_multi_label:
            raise several_truths(name)

    @torch.no_grad()
    def __call__(
        self, subject: EvaluatedModel, encoded: Encoded, name: str
    ) -> list[EvaluationResult]:
        """For each number of shots the mean of the seeds, then the seeds."""
        self.check(subject, encoded.dataset, name)
        key = find_encoder(subject, self.encoder, name)
        given = known_penalty(self.penalty, encoded, name)
        asked, train, *rest = (
            take_examples(each, key, self.method, name)
            for each in (encoded, *read_others(encoded, given))
        )
        results = []
        for shots in self.shots:
            trials = [
                _Trial(shots, seed, draw_shots(train, shots, seed, name), given)
                for seed in self.seeds
            ]
            found = [self._result(subject, key, name, asked, train, rest, one) for one in trials]
            learnt = {
                "seeds": list(self.seeds),
                "learnt_from": learnt_from(train, *rest),
            }
            question = self._question(subject.modality(key), asked, shots, given, learnt)
            results += [_mean_result(question, asked, _in_words(shots), found), *found]
        return results

    def _result(
        self,
        subject: EvaluatedModel,
        key: str,
        name: str,
        asked: Taken,
        train: Taken,
        rest: Sequence[Taken],
        trial: _Trial,
    ) -> EvaluationResult:
        examples, penalty = train.examples.take(trial.positions), trial.penalty
        if penalty is None:
            penalty = choose_penalty(self.method, examples, rest[0], trial.seed)
        count = len(asked.encoded.dataset.labels)
        probe = fit(self.method, examples, count, penalty, trial.seed)
        ids = [train.ids[position] for position in trial.positions]
        more = {
            "seed": trial.seed,
            "shots": hash_texts(ids),
            "learnt_from": learnt_from(*rest),
        }
        modality = subject.modality(key)
        question = self._question(modality, asked, trial.shots, trial.penalty, more)
        labelling = Labelling(
            name,
            question,
            asked.encoded,
            asked.indexes,
            describe_probe(subject, key, penalty),
            cards=0,
            condition=f"{_in_words(trial.shots)}, seed {trial.seed}",
        )
        result = without_details(probe_result(labelling, probe, asked, self.k))
        return replace(result, shots=Shots(train.encoded.dataset.revision, "train", ids))

    def _question(
        self,
        modality: str,
        asked: Taken,
        shots: int,
        penalty: float | None,
        more: Mapping[str, object],
    ) -> ProtocolQuestion:
        options = {
            "encoder": modality,
            "method": self.method,
            "shots_per_label": shots,
            "penalty": penalty,
            **more,
        }
        dataset = asked.encoded.dataset
        return ProtocolQuestion("few_shot", self.version, options, dataset.labels)


def _in_words(shots: int) -> str:
    return "1 shot" if shots == 1 else f"{shots} shots"


def _mean_result(
    question: ProtocolQuestion, asked: Taken, condition: str, found: Sequence[EvaluationResult]
) -> EvaluationResult:
    """What the seeds have in common: means with intervals, and per sample the mean of the hits."""
    penalties = [result.subject["penalty"] for result in found]
    return replace(
        found[0],
        condition=condition,
        protocol=make_protocol(question, asked.encoded, asked.ids, condition),
        subject={**found[0].subject, "penalty": penalties},
        metrics=_mean_metrics(found),
        samples=_mean_samples(found),
        shots=None,
    )


def draw_shots(train: Taken, shots: int, seed: int, name: str) -> list[int]:
    """Positions of so many training samples of each label that has any, in the order drawn.

    Raises DataError where a label has some, but fewer.
    """
    target = train.examples.target.tolist()
    counts = Counter(target)
    label, least = min(counts.items(), key=lambda item: (item[1], item[0]))
    if least < shots:
        raise too_few_shots(name, shots, train.encoded.dataset.labels[label], least)
    order = torch.randperm(len(target), generator=torch.Generator().manual_seed(seed))
    drawn: Counter[int] = Counter()
    positions = []
    for position in order.tolist():
        if drawn[target[position]] < shots:
            drawn[target[position]] += 1
            positions.append(position)
    return positions


def _mean_metrics(found: Sequence[EvaluationResult]) -> dict[str, float | None]:
    metrics: dict[str, float | None] = {}
    for key in _AVERAGED:
        values = [result.metrics[key] for result in found]
        defined = [value for value in values if value is not None]
        if not defined:
            metrics[key] = None
            continue
        mean, low, high = mean_and_interval(defined)
        metrics |= {
            key: mean,
            f"{key}_low": None if low is None else max(low, 0.0),
            f"{key}_high": None if high is None else min(high, 1.0),
        }
    return metrics


def _mean_samples(found: Sequence[EvaluationResult]) -> SampleResults:
    samples = [result.samples for result in found if result.samples is not None]
    count = len(samples[0].ids)
    unknown = np.full(count, np.nan, dtype=np.float32)
    return replace(
        samples[0],
        rank=np.zeros(count, dtype=np.int32),
        probability=unknown,
        top_label=np.full(count, -1, dtype=np.int32),
        top_probability=unknown,
        has_tie=np.zeros(count, dtype=bool),
        outcome=np.stack([each.outcome for each in samples]).mean(0, dtype=np.float32),
    )


def several_truths(name: str) -> DataError:
    """Samples with several labels cannot be drawn label by label."""
    return DataError(
        explain(
            f"evaluate.{name}",
            "so many samples of each label are drawn from data of one label a sample only",
            found="a multi-label dataset",
            allowed="a dataset with one label a sample",
            next_step="use linear_probe",
        )
    )


def too_few_shots(name: str, shots: int, label: str, count: int) -> DataError:
    """A label has not enough training samples."""
    return DataError(
        explain(
            f"evaluate.{name}.shots",
            "a label has fewer training samples than are to be drawn",
            found=f"{shots} shots, and {count} training samples of {label!r}",
            allowed=f"1 to {count}",
            next_step="lower the largest number of shots, or choose other labels",
        )
    )
