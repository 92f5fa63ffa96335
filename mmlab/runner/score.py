"""Scoring a built cell: each evaluation on its split, and the validation of training."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import cast

import torch

from mmlab.data.kept_batches import kept_equal_batches
from mmlab.data.loader import equal_batches, evaluation_batches, to_device
from mmlab.data.splits import Splits, lacks_split
from mmlab.data.tables import CachedSplit
from mmlab.errors import DataError, SpecError
from mmlab.evaluate import Encoded, EvaluatedModel, Evaluator, encode_split, learnt_splits
from mmlab.evaluate.subject import Parts, Remembered
from mmlab.model.build import BuiltCell
from mmlab.model.width import count_flops
from mmlab.plan.best_metric import undefined_best
from mmlab.plan.component import Resolved
from mmlab.plan.plan import Plan
from mmlab.plugin import Batch, Dataset, Published, Sectioned, Split
from mmlab.records import EvaluationResult, WantedPictures
from mmlab.runner.coordinator import Coordinator
from mmlab.runner.kept import FeatureCacheForRun
from mmlab.runner.kept_encode import PART_SECONDS, Lasting, WhenLong, describe_model
from mmlab.train.loop import mean_losses

#: Samples encoded at a time where the spec has no [train] table to say so.
EVALUATION_BATCH_SIZE = 64
#: Samples whose arithmetic is counted: encoding a whole batch would cost a cell on kept features
#: more than an epoch.
COST_SAMPLES = 2


#: Options of evaluators in validation, whose results are only numbers.
UNKEPT: Mapping[str, object] = {"cards": 0, "keep_scores": False}


#: The folder of parts in that of a run.
PARTS_FOLDER = "parts"


@dataclass(frozen=True)
class PartsOfRun:
    """Where evaluations of a run keep what takes long until they are recorded.

    `hashes` are their identities by name; each has a folder of its own. `is_executed`: by this
    process, which alone is at it; else it is done, and asked more.
    """

    coordinator: Coordinator
    runs: Path
    run_id: str
    hashes: Mapping[str, str]
    is_executed: bool = False

    def of(
        self,
        name: str,
        made_with: Callable[[], Mapping[str, object]],
        tell: Callable[[str], None],
        size: int | None,
    ) -> Parts:
        """The parts of one evaluation; arguments as those of `KeptParts`."""
        folder = self._folder(name)

        def open_parts() -> Lasting:
            from mmlab.runner.parts import KeptParts, PartsOfEvaluation  # only where it takes long

            store = PartsOfEvaluation(self.coordinator, self.run_id, self.hashes[name])
            where = (self.runs, folder, f"evaluate.{name}")
            return KeptParts(store, *where, made_with, tell, PART_SECONDS, size)

        return WhenLong(folder, open_parts, size)

    def clear(self) -> None:
        """Delete the files of what is recorded by now; of a run that has just ended, all."""
        folder = self.runs / self.run_id / PARTS_FOLDER
        if not folder.is_dir():
            return
        for each in [folder] if self.is_executed else map(self._folder, self.hashes):
            shutil.rmtree(each, ignore_errors=True)
        with suppress(OSError):  # others are at it
            folder.rmdir()

    def _folder(self, name: str) -> Path:
        return self.runs / self.run_id / PARTS_FOLDER / self.hashes[name][:16]


#: Of which samples, by revision, split and ids, a small picture is wanted.
Pictures = Callable[[str, Split, Sequence[str]], WantedPictures]


class CellEvaluation:
    """Evaluators of one built cell; a split is encoded once however many evaluators read it.

    `pictures` says of which samples of a revision and a split a small picture is wanted.
    """

    def __init__(
        self,
        built: BuiltCell,
        splits: Splits,
        device: torch.device,
        precision: str,
        features: FeatureCacheForRun | None = None,
        note: Callable[[str], None] = lambda text: None,
        pictures: Pictures | None = None,
    ) -> None:
        self.pictures = pictures
        self.built = built
        self.note = note
        self.features = features
        self.plan = built.plan
        self.splits = splits
        self.device = device
        self.precision = precision
        table = self.plan.cell.spec.train
        self.batch_size = table.batch_size if table else EVALUATION_BATCH_SIZE
        self.remembered = Remembered()
        self.checked: set[tuple[str, ...]] = set()

    def check(self, names: Iterable[str]) -> None:
        """Raise, before anything is trained, what the named evaluations would raise after it."""
        subject = self._subject()
        for name in names:
            dataset, evaluator = self.splits.evaluated(self.plan, name), self._evaluator(name)
            learnt_data(self.plan, name, self.splits)
            evaluator.check(subject, dataset, name)

    def check_best(self) -> None:
        """Raise SpecError, before the first step, where validation will not give `train.best`."""
        table = self.plan.cell.spec.train
        name = table.best.partition("/")[0] if table else ""
        if name not in self.plan.evaluators:
            return
        dataset = self.splits.evaluated(self.plan, name, "validation")
        if said := undefined_best(self.plan, dataset.is_multi_label, len(dataset.labels)):
            raise SpecError(said)

    def evaluate(
        self, names: Iterable[str], split: Split | None = None, parts: PartsOfRun | None = None
    ) -> Iterator[EvaluationResult]:
        """Results of the named evaluations, each on its own split or on the given one."""
        self.built.step.eval()
        subject = self._subject()
        made_with = cache(lambda: describe_model(self.built, self.device, self.precision))
        known: dict[int, Encoded] = {}
        for name in names:
            if parts is not None:
                size = self.plan.evaluate_tables[name].part_size
                subject = replace(subject, parts=parts.of(name, made_with, self.note, size))
            encoded = self._encode(subject, known, name, split)
            evaluator = self._evaluator(name, cards=split is None)
            other = partial(self._encode, subject, known, name)
            lacking = lacking_splits(self.plan, name, self.splits)
            asked = replace(encoded, other=other, lacking=lacking, wanted=self._wanted(encoded))
            declared = self.plan.evaluators[name]
            suite = self.plan.asked[name].suite
            for result in evaluator(subject, asked, name):
                told = with_published(with_declared(result, declared), encoded.dataset)
                yield replace(told, suite=suite)
            if split is None:
                yield from self._sections(subject, asked, name)

    def _wanted(self, encoded: Encoded) -> Callable[[Sequence[str]], WantedPictures] | None:
        """Which samples of a split a small picture is wanted of, if somebody knows."""
        if self.pictures is None:
            return None
        return partial(self.pictures, encoded.dataset.revision, encoded.split)

    def _sections(
        self, subject: EvaluatedModel, encoded: Encoded, name: str
    ) -> Iterator[EvaluationResult]:
        """Results of an evaluation on each section of its data alone, where they have several.

        Evaluators that learn from other splits are asked of all: a probe is one for all sections.
        A section that cannot be asked, as none of its samples has a label, is told.
        """
        if not isinstance(encoded.dataset, Sectioned):
            return
        evaluator, declared = self._evaluator(name, cards=False), self.plan.evaluators[name]
        if learnt_splits(evaluator):
            return
        for section, rows in encoded.dataset.sections.items():
            try:
                found = evaluator(subject, encoded.section(rows), name)
            except DataError as error:  # the whole was asked, so the run goes on
                self.note(f"evaluate.{name}: {section} has no result of its own: {error}")
                continue
            for result in found:
                yield of_section(section, with_declared(result, declared))

    def validate(self) -> dict[str, float]:
        """Mean losses on the validation split, and the evaluation that `train.best` names."""
        table = self.plan.cell.spec.train
        dataset = self.splits.get(self.plan.dataset, "validation")
        if table is None or not len(dataset):
            return {}
        batches = self._equal_batches(dataset)
        values = mean_losses(self.built.step, batches, self.device, self.precision)
        name = table.best.partition("/")[0]
        if name not in self.plan.evaluators:
            return values
        for result in self.evaluate([name], "validation"):
            values |= _flat(result)
        return values

    def cost(self) -> dict[str, object]:
        """FLOPs of each part of the model for one sample, from the first samples of evaluation."""
        dataset = self.splits.reference(self.plan)
        batches = evaluation_batches(dataset, self.built.readers, COST_SAMPLES)
        batch = to_device(next(batches), self.device)
        return {"flops_per_sample": count_flops(self.built.model, batch)}

    def _equal_batches(self, dataset: Dataset) -> Iterator[Batch]:
        readers, kept = self.built.readers, self._kept(self.plan.dataset, "validation")
        if kept.covers(readers):
            return kept_equal_batches(kept, dataset, readers, self.batch_size)
        return equal_batches(
            dataset,
            readers,
            self.batch_size,
            views=self.built.step.views,
            seed=self.plan.cell.seed,
            tables=kept.tables,
        )

    def _kept(self, resolved: Resolved, split: Split) -> CachedSplit:
        return self.features.kept(resolved, split) if self.features else CachedSplit()

    def _subject(self) -> EvaluatedModel:
        return EvaluatedModel(
            model=self.built.model,
            calibration=self.built.calibration(),
            device=self.device,
            precision=self.precision,
            readers=self.built.readers,
            remembered=self.remembered,
            note=self.note,
            checked=self.checked,
        )

    def _evaluator(self, name: str, *, cards: bool = True) -> Evaluator:
        """The evaluator of a name; without `cards` it keeps nothing that only a reader looks at."""
        resolved = self.plan.evaluators[name]
        options = dict(resolved.options)
        if not cards:
            options |= {key: value for key, value in UNKEPT.items() if key in options}
        return cast(Evaluator, replace(resolved, options=options).make())

    def _encode(
        self, subject: EvaluatedModel, known: dict[int, Encoded], name: str, split: Split | None
    ) -> Encoded:
        """The data of an evaluation, encoded unless they are known already."""
        dataset = self.splits.evaluated(self.plan, name, split)
        if id(dataset) not in known:
            chosen = split or self.plan.evaluate_tables[name].split
            resolved = self.plan.evaluate_datasets.get(name, self.plan.dataset)
            kept = self._kept(resolved, chosen)
            known[id(dataset)] = encode_split(subject, dataset, chosen, self.batch_size, kept)
        return known[id(dataset)]


def with_declared(result: EvaluationResult, evaluator: Resolved) -> EvaluationResult:
    """The result with what its evaluator declares of its metrics."""
    labels = evaluator.label_metrics
    return replace(result, declared=evaluator.metrics, declared_of_labels=labels)


def of_section(section: str, result: EvaluationResult) -> EvaluationResult:
    """The result under the section's name, its metrics declared for that."""

    def within(condition: str) -> str:
        return f"{section}: {condition}" if condition else section

    declared = tuple(replace(one, condition=within(one.condition)) for one in result.declared)
    return replace(result, condition=within(result.condition), declared=declared)


def with_published(result: EvaluationResult, dataset: Dataset) -> EvaluationResult:
    """The result with what its samples are called where others publish figures on them."""
    if not isinstance(dataset, Published):
        return result
    return replace(result, test_set=dataset.test_set, main_metric=dataset.main_metric)


def _flat(result: EvaluationResult) -> dict[str, float]:
    """Metrics as "EVALUATION/METRIC", or "EVALUATION/CONDITION/METRIC" where it has conditions."""
    prefix = "/".join(filter(None, (result.name, result.condition)))
    return {f"{prefix}/{key}": value for key, value in _defined(result.metrics).items()}


def _defined(metrics: Mapping[str, float | None]) -> dict[str, float]:
    return {key: value for key, value in metrics.items() if value is not None}


def learnt_data(plan: Plan, name: str, splits: Splits) -> dict[Split, Dataset]:
    """Those of one evaluation that have samples.

    Raises DataError where one that it needs has none.
    """
    found: dict[Split, Dataset] = {}
    for learnt in learnt_splits(plan.evaluators[name].make()):
        dataset = splits.of_evaluation(plan, name, learnt.split)
        if len(dataset):
            found[learnt.split] = dataset
        elif learnt.is_needed:
            raise lacks_split(plan, name, learnt.split, learnt.instead)
    return found


def lacking_splits(plan: Plan, name: str, splits: Splits) -> frozenset[Split]:
    """Those of one evaluation that have no samples, and are not needed."""
    wanted = {learnt.split for learnt in learnt_splits(plan.evaluators[name].make())}
    return frozenset(wanted - learnt_data(plan, name, splits).keys())
