"""A split of a dataset as a model sees it, encoded once for all evaluators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import torch
from torch import Tensor

from mmlab.data.kept_batches import kept_evaluation_batches
from mmlab.data.loader import evaluation_batches, to_device
from mmlab.data.reader import Reader
from mmlab.data.samples import SampleIndex, check_sample, known_labels, target_names
from mmlab.data.skipped import SampleSubset
from mmlab.data.tables import CachedSplit, FeatureTable, join_rows, take_rows
from mmlab.errors import DataError, explain
from mmlab.evaluate.subject import EvaluatedModel, Piece, Work
from mmlab.plugin import Batch, Dataset, Features, Sample, Split
from mmlab.records import WantedPictures


def _no_other(split: Split) -> Encoded:
    raise AssertionError(f"the {split} split is given to evaluators that learn from it only")


@dataclass(frozen=True)
class Encoded:
    """A split as the model sees it: features by encoder key, float32 on the device, dataset order.

    `captions[key]` are all captions of each sample for an encoder that reads texts; the features
    are those of the first. Where a sample lacks an input, its features are marked absent. `targets`
    are those of each sample, as `Sample` has them; so are `truths`, the label ids: () where none of
    several is true, None where they are unknown.
    """

    dataset: Dataset
    split: Split
    features: Mapping[str, Features]
    ids: Sequence[str]
    truths: Sequence[tuple[int, ...] | None]
    captions: Mapping[str, Sequence[tuple[str, ...]]]
    targets: Sequence[tuple[float, ...]] = ()

    #: Another split of the same data, encoded when it is first asked for.
    other: Callable[[Split], Encoded] = _no_other
    #: Splits that an evaluator would read besides, and that have no samples.
    lacking: frozenset[Split] = frozenset()
    #: Of which of some samples, by id, whoever keeps results wants a small picture; where nobody
    #: says so, of as many as an evaluator's `cards` says.
    wanted: Callable[[Sequence[str]], WantedPictures] | None = None

    def section(self, rows: Sequence[int]) -> Encoded:
        """Some of the samples alone. Sections of other splits are not looked for."""
        index = torch.tensor(rows, dtype=torch.long)
        subset = SampleSubset(self.dataset, rows, self.dataset.revision)
        return replace(
            self,
            dataset=subset,
            features={key: take_rows(found, index) for key, found in self.features.items()},
            ids=[self.ids[row] for row in rows],
            truths=[self.truths[row] for row in rows],
            captions={key: [each[row] for row in rows] for key, each in self.captions.items()},
            targets=[self.targets[row] for row in rows],
        )

    def present(self, key: str) -> Tensor:
        """Which samples have this input, (n,) bool on the host."""
        return self.features[key].present.cpu()

    def labelled(self, has_input: Tensor) -> list[int]:
        """Positions of the samples whose labels are known and that have an input, (n,) bool."""
        pairs = zip(self.truths, has_input.tolist(), strict=True)
        return [index for index, (truths, has) in enumerate(pairs) if truths is not None and has]

    def known_truths(self, indexes: Sequence[int]) -> list[tuple[int, ...]]:
        """The label ids of samples whose labels are known."""
        return [truths for truths in map(self.truths.__getitem__, indexes) if truths is not None]


@torch.no_grad()  # inference_mode makes bf16 autocast ten times slower on CPU
def encode_split(
    subject: EvaluatedModel,
    dataset: Dataset,
    split: Split,
    batch_size: int,
    kept: CachedSplit | None = None,
) -> Encoded:
    """Encode all of the fusion's inputs whose features are not kept, each sample read once.

    Nothing is read where everything is kept.

    The model must be in eval mode. An input of a modality that the dataset does not have is absent
    from every sample. Raises DataError where there is no sample, or what `check_sample` refuses.
    """
    kept = kept or CachedSplit()
    assert not subject.model.training, "evaluators need a model in eval mode"
    if not len(dataset):
        raise empty_split(split)
    recorder = _Recorder(dataset)
    readers = {key: subject.readers[key] for key in subject.model.inputs}
    read = {key: r for key, r in readers.items() if r.modality in dataset.modalities}
    found = {key: _from_table(subject, kept.tables[key]) for key in read if key in kept.tables}
    rest = {key: reader for key, reader in read.items() if key not in found}
    is_known = kept.index is not None and kept.covers(read)
    if kept.index is not None and is_known:
        recorder.know(kept.index)

    def make(first: int) -> Iterator[Piece]:
        if is_known:
            batches = kept_evaluation_batches(kept, dataset, rest, batch_size, first)
        else:
            batches = evaluation_batches(recorder, rest, batch_size, first=first)
        for batch in batches:
            encoded = _encode_batch(subject, to_device(batch, subject.device), rest)
            samples = () if is_known else recorder.those(batch.index.tolist())
            yield Piece.of(len(batch.index), encoded, *samples)

    if rest or not is_known:
        work = Work(split, len(dataset), batch_size, lambda: _about(dataset, batch_size, rest))
        pieces = list(recorder.watch(subject.parts.each(work, make)))
        found |= {
            key: join_rows([piece.features(key, subject.device) for piece in pieces])
            for key in rest
        }
    features = {
        key: found[key] if key in read else _absent(subject, key, len(dataset)) for key in readers
    }
    return recorder.encoded(split, features, readers)


def _from_table(subject: EvaluatedModel, table: FeatureTable) -> Features:
    """The features of each sample's first value."""
    rows, present = table.first_rows(slice(None))
    features = replace(table.take(rows), present=present)
    return subject.as_read(features.map(lambda x: x.to(subject.device)))


def _encode_batch(
    subject: EvaluatedModel, batch: Batch, keys: Iterable[str]
) -> dict[str, Features]:
    return {key: subject.encode(key, batch.inputs[key], batch.present[key]) for key in keys}


def _about(dataset: Dataset, batch_size: int, keys: Iterable[str]) -> dict[str, object]:
    return {"revision": dataset.revision, "at_once": batch_size, "inputs": sorted(keys)}


def _absent(subject: EvaluatedModel, key: str, count: int) -> Features:
    """Features of `count` absent samples, from one pass over the placeholder, without copies."""
    placeholder = subject.readers[key].placeholder[None].to(subject.device)
    absent = torch.zeros(1, dtype=torch.bool, device=subject.device)
    one = subject.encode(key, placeholder, absent)
    return one.map(lambda x: x.expand(count, *x.shape[1:]))


@dataclass
class _Recorder:
    """A dataset that remembers of each sample it gave all but its heavy values.

    Reading ids and captions a second time would decode every image a second time.
    """

    dataset: Dataset
    samples: dict[int, Sample] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.modalities = self.dataset.modalities
        self.labels = self.dataset.labels
        self.templates = self.dataset.templates
        self.is_multi_label = self.dataset.is_multi_label
        self.revision = self.dataset.revision
        self.target_names = target_names(self.dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index]
        check_sample(sample, len(self.labels), len(self.target_names))
        self.samples[index] = _without_values(sample)
        return sample

    def know(self, index: SampleIndex) -> None:
        """Remember what an outline says; no sample is read."""
        self.samples = {i: _without_values(sample) for i, sample in enumerate(index.samples)}

    def those(self, indexes: Iterable[int]) -> list[Sample]:
        """What was remembered of some samples."""
        return [self.samples[index] for index in indexes]

    def watch(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """The pieces of all samples; what they say of these is remembered too."""
        first = 0
        for piece in pieces:
            self.samples |= dict(enumerate(piece.samples, start=first))
            first += piece.count
            yield piece

    def encoded(
        self, split: Split, features: Mapping[str, Features], readers: Mapping[str, Reader]
    ) -> Encoded:
        samples = [self.samples[index] for index in range(len(self))]
        captions = {key: _column(samples, reader.modality) for key, reader in readers.items()}
        return Encoded(
            dataset=self.dataset,
            split=split,
            features=features,
            ids=[sample.id for sample in samples],
            truths=[known_labels(each, is_multi_label=self.is_multi_label) for each in samples],
            captions={key: column for key, column in captions.items() if any(column)},
            targets=[sample.targets for sample in samples],
        )


def _without_values(sample: Sample) -> Sample:
    """A sample with nothing but its captions."""
    captions = {modality: _captions(raw) for modality, raw in sample.values.items()}
    return replace(sample, values=captions)


def _column(samples: Sequence[Sample], modality: str) -> list[tuple[str, ...]]:
    return [cast(tuple[str, ...], sample.values.get(modality, ())) for sample in samples]


def _captions(raw: object) -> tuple[str, ...]:
    """All captions of a raw value, none where it is no text."""
    if isinstance(raw, str):
        return (raw,)
    if isinstance(raw, tuple) and all(isinstance(each, str) for each in raw):
        return raw
    return ()


def empty_split(split: str) -> DataError:
    """There is nothing to evaluate on."""
    return DataError(
        explain(
            "evaluate.split",
            f"the {split} split is empty",
            found="0 samples",
            allowed="a split with samples",
            next_step="set `split` of this evaluation, or give the dataset such a split",
        )
    )
