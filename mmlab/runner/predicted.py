"""What somebody else's model was asked by a spec's dataset, and the results of its answers.

A spec is read as `mmlab evaluate` reads a file that asks more. Nothing is built, and nothing but
what a few cards show is read of the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from mmlab.data.samples import SampleIndex, known_labels
from mmlab.data.splits import Splits
from mmlab.errors import SpecError, explain
from mmlab.evaluate import Encoded
from mmlab.evaluate.evaluator import no_labels, nothing_left
from mmlab.evaluate.foreign_question import ForeignQuestion, ask
from mmlab.evaluate.label_results import Labelling
from mmlab.evaluate.predicted import make_foreign_result
from mmlab.plan.component import Resolved
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import Finder, component_faults
from mmlab.plugin import Dataset, Sectioned
from mmlab.records import EvaluationResult, Predictions, ScoreMeaning, WantedPictures
from mmlab.runner.score import of_section, with_declared, with_published
from mmlab.spec import Asked, DatasetTable, EvaluateTable, Override, Spec, asked_of
from mmlab.spec.checks import check_part
from mmlab.spec.load import Checked, read_tables
from mmlab.spec.overrides import Overridden
from mmlab.spec.tables import PredictionsFile
from mmlab.store.catalogue import place_of, room_bytes


@dataclass(frozen=True)
class AskedOfForeign:
    """An evaluation that somebody else's model is to have answered.

    `source` is the dataset's component. `takes_part` says of each sample of the split whether its
    truth is known and it has an input that was asked about, as of a model that mmlab evaluates.
    """

    name: str
    source: str
    evaluator: Resolved
    asked: ForeignQuestion
    encoded: Encoded
    takes_part: npt.NDArray[np.bool_]
    suite: tuple[str, ...] = ()

    @property
    def dataset(self) -> Dataset:
        """The split's data."""
        return self.encoded.dataset


def read_asked(
    path: Path,
    overrides: Sequence[Override],
    evaluation: str | None,
    note: Callable[[str], None],
) -> AskedOfForeign:
    """The evaluation of a spec that ranks labels: the named one, or the only one.

    A file without [[evaluate]] asks `classification` of the test split. Raises SpecError,
    PluginError or DataError.
    """
    registry = Registry.discover(BUILTINS)
    more_faults = partial(component_faults, registry, path)
    tables, overridden = read_tables(path, _check_file, overrides, more_faults)
    finder = Finder(path, overridden.document, registry)
    chosen = _chosen(path, asked_of(tables.evaluate), evaluation)
    table, name = chosen.table, chosen.name
    resolved = _find_dataset(path, finder, tables.dataset, chosen)
    evaluator = finder.find("evaluator", table, "evaluate", chosen.position)
    finder.raise_faults()
    splits = Splits(note)
    dataset = splits.get(resolved, table.split)
    if not dataset.labels:
        raise no_labels(name)
    asked = ask(evaluator.make(), _inputs(tables), dataset, name)
    encoded = _as_encoded(dataset, table, splits.index(dataset))
    takes_part = _take_part(encoded, splits.index(dataset), asked.needs)
    if not takes_part.any():
        needed = f"a known label and {' or '.join(sorted(asked.needs))}"
        raise nothing_left(name, len(takes_part), needed)
    parts = evaluator, asked, encoded, takes_part, chosen.suite
    return AskedOfForeign(name, resolved.entry.name, *parts)


def _check_file(overridden: Overridden) -> Checked[Spec | PredictionsFile]:
    return Checked(*check_part(overridden.document, PredictionsFile))


def _chosen(path: Path, asked: Sequence[Asked], name: str | None) -> Asked:
    """The evaluation of a name, or the only one that may rank labels."""
    if not asked and name is None:
        return Asked("classification", 0, EvaluateTable(use="classification"))
    named = {one.name: one for one in asked}
    if name is not None and name in named:
        return named[name]
    rankers = ("classification", "zero_shot")
    fitting = [each for each in named.values() if each.table.use in rankers]
    if name is None and len(fitting) == 1:
        return fitting[0]
    if name is None and len(named) == 1:
        return next(iter(named.values()))
    raise SpecError(
        explain(
            f"{path}: evaluate",
            "it is not clear which evaluation the predictions answer",
            found=f"no {name!r}" if name else f"{len(named)} evaluations",
            allowed=", ".join(named) or "none: the file has no [[evaluate]]",
            next_step="name one with --evaluation",
        )
    )


def _find_dataset(path: Path, finder: Finder, given: DatasetTable | None, asked: Asked) -> Resolved:
    """The evaluation's own dataset, or the file's."""
    if asked.table.dataset is not None:
        found = finder.find("dataset", asked.table.dataset, *asked.data)
    elif given is not None:
        found = finder.find("dataset", given, "dataset")
    else:
        raise _no_dataset(path)
    finder.raise_faults()
    return cast(Resolved, found)


def _no_dataset(path: Path) -> SpecError:
    return SpecError(
        explain(
            str(path),
            "it names no data",
            found="no [dataset]",
            allowed="a spec, or a [dataset] with or without [[evaluate]]",
            next_step="add [dataset]",
        )
    )


def _inputs(tables: Spec | PredictionsFile) -> dict[str, str] | None:
    """The modalities of a spec's fusion by the keys of its inputs; None where there is none."""
    if not isinstance(tables, Spec):
        return None
    keys = tables.fusion.inputs or list(tables.encoders)
    return {key: tables.encoders[key].modality or key for key in keys}


def _as_encoded(dataset: Dataset, table: EvaluateTable, index: SampleIndex) -> Encoded:
    """The split as evaluators know it, without any feature."""
    known = [known_labels(one, is_multi_label=dataset.is_multi_label) for one in index.samples]
    return Encoded(
        dataset=dataset,
        split=table.split,
        features={},
        ids=[sample.id for sample in index.samples],
        truths=known,
        captions={},
        targets=[sample.targets for sample in index.samples],
        wanted=lambda ids: WantedPictures(sorted(ids, key=place_of), room_bytes()),
    )


def _take_part(
    encoded: Encoded, index: SampleIndex, needs: frozenset[str]
) -> npt.NDArray[np.bool_]:
    pairs = zip(encoded.truths, index.samples, strict=True)
    return np.array([own is not None and not needs.isdisjoint(one.values) for own, one in pairs])


@dataclass(frozen=True)
class Answer:
    """What somebody else's model said of the samples that take part; `subject` is about it."""

    found: Predictions
    meaning: ScoreMeaning
    subject: Mapping[str, object]


def foreign_results(
    asked: AskedOfForeign, answer: Answer, note: Callable[[str], None]
) -> list[EvaluationResult]:
    """The result of all samples, and of each section of the data alone, as a run has them."""
    rows = np.flatnonzero(asked.takes_part)
    whole = with_published(_result(asked, asked.encoded, rows, answer), asked.dataset)
    return [replace(whole, suite=asked.suite), *_section_results(asked, answer, note)]


def _section_results(
    asked: AskedOfForeign, answer: Answer, note: Callable[[str], None]
) -> Iterator[EvaluationResult]:
    if not isinstance(asked.dataset, Sectioned):
        return
    place = np.cumsum(asked.takes_part) - 1  # of a sample among the answers
    bare = replace(asked, asked=replace(asked.asked, cards=0))
    for section, indexes in asked.dataset.sections.items():
        part = np.array(indexes, np.int64)
        inside = np.flatnonzero(asked.takes_part[part])
        if not len(inside):
            note(f"evaluate.{asked.name}: {section} has no result of its own: no sample takes part")
            continue
        own, found = place[part[inside]], answer.found
        chosen = replace(found, label=found.label[own], score=found.score[own])
        encoded = asked.encoded.section(indexes)
        result = _result(bare, encoded, inside, replace(answer, found=chosen))
        yield of_section(section, result)


def _result(
    asked: AskedOfForeign, encoded: Encoded, rows: npt.NDArray[np.int64], answer: Answer
) -> EvaluationResult:
    """The result of some rows of a split or of a section."""
    question, cards, about = asked.asked.question, asked.asked.cards, dict(answer.subject)
    labelling = Labelling(asked.name, question, encoded, rows.tolist(), about, cards)
    made = make_foreign_result(labelling, asked.asked, answer.found, answer.meaning)
    return with_declared(made, asked.evaluator)
