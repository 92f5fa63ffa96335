"""How each encoder's input is read from a sample: its modality, its transform, its caption."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mmlab.data.samples import SampleIndex, captions_of
from mmlab.errors import DataError, explain
from mmlab.plugin import GENERATED, Dataset, Encoder, Measured, Outlined, Sample, Tokenized

#: Samples whose texts are measured, at most.
TEXTS_LOOKED_AT = 5_000


@dataclass(frozen=True)
class Reader:
    """How one encoder's input is read: modality, transform, and a stand-in where missing."""

    modality: str
    encoder: Encoder
    placeholder: Tensor

    def read(self, sample: Sample, train: bool) -> Tensor | None:
        """The encoder's input for this sample, or None where it lacks the modality."""
        if self.modality not in sample.values:
            return None
        return self.encoder.transform(one_caption(sample.values[self.modality], train), train)


def one_caption(raw: object, train: bool) -> object:
    """One of several captions: drawn in training, the first in evaluation; other values as is."""
    captions = captions_of(raw)
    return captions[int(torch.randint(len(captions), ())) if train and len(captions) > 1 else 0]


def make_readers(
    dataset: Dataset,
    encoders: Mapping[str, Encoder],
    modalities: Mapping[str, str],
    *,
    is_trained: bool = True,
) -> dict[str, Reader]:
    """One reader an encoder; the placeholder has the shape of the dataset's first present value.

    Raises DataError where the dataset lacks a modality altogether. A text encoder that is not
    trained needs no text of the dataset: it reads prompts.
    """
    readers = {}
    for key, encoder in encoders.items():
        raw = _first_present(dataset, modalities[key])
        if raw is None:
            if is_trained or not isinstance(encoder, Tokenized):
                raise lacks_modality(dataset, modalities[key], key)
            raw = ""
        placeholder = torch.zeros_like(encoder.transform(one_caption(raw, False), False))
        readers[key] = Reader(modalities[key], encoder, placeholder)
    return readers


def readers_of(
    placeholders: Mapping[str, Tensor],
    encoders: Mapping[str, Encoder],
    modalities: Mapping[str, str],
) -> dict[str, Reader]:
    """One reader an encoder, with placeholders that are known: no dataset is looked at."""
    return {
        key: Reader(modalities[key], encoder, placeholders[key])
        for key, encoder in encoders.items()
    }


def _first_present(dataset: Dataset, modality: str) -> object | None:
    if modality not in dataset.modalities:
        return None
    look = dataset.outline if isinstance(dataset, Outlined) else dataset.__getitem__
    has_it = (index for index in range(len(dataset)) if modality in look(index).values)
    index = next(has_it, None)
    return None if index is None else dataset[index].values[modality]


def lacks_modality(dataset: Dataset, modality: str, key: str) -> DataError:
    """No sample of a dataset has what an encoder reads, or a generator is to make."""
    place, option = f"encoders.{key}", f"encoders.{key}.modality"
    if key == GENERATED:
        place = option = "generator.target"
    return DataError(
        explain(
            place,
            f"no sample of the dataset has the modality {modality!r}",
            found=f"modalities {', '.join(dataset.modalities) or 'none'}; {len(dataset)} samples",
            allowed="a modality of the dataset",
            next_step=f"set {option}, or choose a dataset that has it",
        )
    )


def fills_input(encoder: Encoder, row: Tensor) -> bool:
    """Whether a text's ids (N,) reach the end of the encoder's input, so that it may be cut."""
    return isinstance(encoder, Tokenized) and int(row[-1]) != encoder.vocabulary.pad


def is_cut(encoder: Encoder, text: str) -> bool:
    """Whether an encoder reads the beginning of a text alone.

    Of one that does not say how long a text is, a text that fills its input counts as cut.
    """
    if isinstance(encoder, Measured):
        return encoder.count_ids(text) > encoder.length
    return fills_input(encoder, encoder.transform(text, False))


def describe_cut_texts(readers: Mapping[str, Reader], samples: SampleIndex) -> Iterator[str]:
    """What is said of each encoder whose input cuts off texts of a split.

    At most TEXTS_LOOKED_AT samples are looked at, spread evenly, and those texts alone that an
    outline knows.
    """
    step = -(-len(samples.samples) // TEXTS_LOOKED_AT) or 1
    for key, reader in readers.items():
        if not isinstance(encoder := reader.encoder, Measured):
            continue
        raws = (sample.values.get(reader.modality) for sample in samples.samples[::step])
        texts = [text for raw in raws for text in captions_of(raw) if isinstance(text, str)]
        counts = [encoder.count_ids(text) for text in texts]
        cut = sum(count > encoder.length for count in counts)
        if cut:
            some = f" (of one sample in {step})" if step > 1 else ""
            share = f"{cut / len(texts):.0%}" if cut * 100 >= len(texts) else "under 1%"
            yield (
                f"encoders.{key} reads {encoder.length} ids of a text: {cut:,} of {len(texts):,} "
                f"texts{some}, {share}, are longer, up to {max(counts)}, and cut"
            )
