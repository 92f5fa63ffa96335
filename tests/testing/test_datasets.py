"""The dataset check passes a sound dataset and names the defect of each unsound one."""

from __future__ import annotations

import io
import os
import secrets
import sys
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, BinaryIO

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import Field

from mmlab.plugin import Dataset, Origin, Sample, Source, Split, Survey
from mmlab.testing import ContractError, check_dataset

SIZES = {"train": 4, "validation": 2, "test": 2}


class Sound:
    """Squares of one colour and its name, every second one without a picture."""

    modalities = ("image", "text")
    labels = ("dark", "bright")
    templates = ("a {} square",)
    is_multi_label = False
    revision = "squares-1"

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return SIZES[self.split]

    def __getitem__(self, index: int) -> Sample:
        values: dict[str, object] = {"text": (f"shade {index}", f"number {index} of {self.split}")}
        if index % 2 == 0:
            values["image"] = Image.new("RGB", (4, 4), (index, index, index))
        return Sample(f"{self.split}-{index}", values, (index % 2,))


def test_a_sound_dataset_passes() -> None:
    check_dataset(Sound)


@pytest.mark.parametrize("is_several", [False, True])
def test_labels_may_be_unknown_and_of_several_none_may_be_true(is_several: bool) -> None:
    class Sparse(Sound):
        is_multi_label = is_several

        def __getitem__(self, index: int) -> Sample:
            labels = [(0,), (), None][index % 3]
            return replace(super().__getitem__(index), labels=labels)

    check_dataset(Sparse)


class Changed(Sound):
    def change(self, sample: Sample, index: int) -> Sample:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Sample:
        return self.change(super().__getitem__(index), index)


class SameIds(Changed):
    def change(self, sample: Sample, index: int) -> Sample:
        return replace(sample, id=self.split)


class SharedIds(Changed):
    def change(self, sample: Sample, index: int) -> Sample:
        return replace(sample, id=str(index))


class NumbersAsIds(Changed):
    def change(self, sample: Sample, index: int) -> Sample:
        return replace(sample, id=index)  # type: ignore[arg-type]  # the defect


class NulInId(Changed):
    def change(self, sample: Sample, index: int) -> Sample:
        return replace(sample, id=f"{sample.id}\0")


class NewIdsEveryTime(Changed):
    def change(self, sample: Sample, index: int) -> Sample:
        return replace(sample, id=uuid.uuid4().hex)


class LabelOutOfRange(Changed):
    def change(self, sample: Sample, index: int) -> Sample:
        return replace(sample, labels=(2,))


class TwoLabels(Changed):
    def change(self, sample: Sample, index: int) -> Sample:
        return replace(sample, labels=(0, 1))


class LabelTwice(Changed):
    is_multi_label = True

    def change(self, sample: Sample, index: int) -> Sample:
        return replace(sample, labels=(1, 1))


class DrawsACaption(Changed):
    def change(self, sample: Sample, index: int) -> Sample:
        torch.manual_seed(index)
        return sample


class WithValues(Changed):
    def values(self, values: Mapping[str, object]) -> Mapping[str, object]:
        raise NotImplementedError

    def change(self, sample: Sample, index: int) -> Sample:
        return replace(sample, values=self.values(sample.values))


class Transparent(WithValues):
    def values(self, values: Mapping[str, object]) -> Mapping[str, object]:
        return {**values, "image": Image.new("RGBA", (4, 4))}


class ListOfCaptions(WithValues):
    def values(self, values: Mapping[str, object]) -> Mapping[str, object]:
        return {**values, "text": ["a", "b"]}


class NoCaptions(WithValues):
    def values(self, values: Mapping[str, object]) -> Mapping[str, object]:
        return {**values, "text": ()}


class UnknownModality(WithValues):
    def values(self, values: Mapping[str, object]) -> Mapping[str, object]:
        return {**values, "sound": "bang"}


class NeverAPicture(WithValues):
    def values(self, values: Mapping[str, object]) -> Mapping[str, object]:
        return {"text": values["text"]}


class HalfAnAudio(WithValues):
    modalities = ("image", "text", "audio")

    def values(self, values: Mapping[str, object]) -> Mapping[str, object]:
        return {**values, "audio": (torch.zeros(1, 8, dtype=torch.float64), 8000)}


class Outlined(Sound):
    def told(self, sample: Sample) -> Sample:
        raise NotImplementedError

    def outline(self, index: int) -> Sample:
        return self.told(self[index])


class OutlineWithoutLabels(Outlined):
    def told(self, sample: Sample) -> Sample:
        return replace(sample, labels=())


class OutlineOfNoLabel(Outlined):
    is_multi_label = True

    def __getitem__(self, index: int) -> Sample:
        return replace(super().__getitem__(index), labels=None)

    def told(self, sample: Sample) -> Sample:
        return replace(sample, labels=())


class OutlineWithoutPictures(Outlined):
    def told(self, sample: Sample) -> Sample:
        return replace(sample, values={"text": sample.values["text"]})


class OutlineOfOneCaption(Outlined):
    def told(self, sample: Sample) -> Sample:
        return replace(sample, values={**sample.values, "text": "shade"})


class NoPlaceholder(Sound):
    templates = ("a square",)


class TwoPlaceholders(Sound):
    templates = ("a {} {} square",)


class NamedPlaceholder(Sound):
    templates = ("a {c} square",)


class ListOfLabels(Sound):
    labels = ["dark", "bright"]  # type: ignore[assignment]  # noqa: RUF012  # the defect


class SameLabelTwice(Sound):
    labels = ("dark", "dark")


class EmptyTraining(Sound):
    def __len__(self) -> int:
        return 0


class LabelsOfTheSplit(Sound):
    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self.labels = ("dark", split)


class RevisionOfTheMoment(Sound):
    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self.revision = uuid.uuid4().hex


class ShufflesOnBuild(Sound):
    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self.order = torch.randperm(len(self)).tolist()

    def __getitem__(self, index: int) -> Sample:
        return super().__getitem__(self.order[index])


class Noting(Sound):
    notes = ("every second square has no picture",)


class NoteOfTwoLines(Sound):
    notes = ("age: numbers\ntown: categories",)


class NoteAlone(Sound):
    notes = "age: numbers"


class Tracing(Sound):
    """Every picture is a file of its own, read from here."""

    def trace(self, index: int) -> Origin:
        named = Source(f"/{self.split}/{index}", 3)
        return Origin({"image": named} if index % 2 == 0 else {}, f"who {index}")

    def open_source(self, index: int, modality: str) -> BinaryIO:
        return io.BytesIO(b"abc")

    def sibling(self, split: Split) -> Dataset:
        return type(self)(split)


class Surveying(Tracing):
    """Tells of all samples what it tells of each, but for what a subclass changes."""

    def changed(self, told: Survey) -> Survey:
        return told

    def outline(self, index: int) -> Sample:
        sample = self[index]
        return replace(
            sample, values={k: v if k == "text" else None for k, v in sample.values.items()}
        )

    def survey(self) -> Survey:
        samples = [self.outline(index) for index in range(len(self))]
        sources = [self.trace(index).sources.get("image") for index in range(len(self))]
        told = Survey(
            ids=[sample.id for sample in samples],
            labels=Counter(sample.labels for sample in samples),
            modalities=Counter(tuple(sample.values) for sample in samples),
            targets=[],
            groups=[self.trace(index).group for index in range(len(self))],
            sources={
                "image": (
                    [s and s.name for s in sources],
                    [s.size_bytes if s else -1 for s in sources],
                )
            },
            texts=[s.values["text"] if "image" not in s.values else None for s in samples],
        )
        return self.changed(told)


class SurveysOtherIds(Surveying):
    def changed(self, told: Survey) -> Survey:
        return replace(told, ids=["a"])


class SurveysOtherLabels(Surveying):
    def changed(self, told: Survey) -> Survey:
        return replace(told, labels={(0,): 4})


class SurveysOtherModalities(Surveying):
    def changed(self, told: Survey) -> Survey:
        return replace(told, modalities={("text", "image"): 4})


class SurveysOtherGroups(Surveying):
    def changed(self, told: Survey) -> Survey:
        return replace(told, groups=[None] * 4)


class SurveysOtherSources(Surveying):
    def changed(self, told: Survey) -> Survey:
        return replace(told, sources={"image": ([None] * 4, [-1] * 4)})


class SurveysEqualTexts(Surveying):
    def changed(self, told: Survey) -> Survey:
        return replace(told, texts=[None, "same", None, "same"])


class TracesWhatIsNotThere(Tracing):
    def trace(self, index: int) -> Origin:
        return Origin({"image": Source("/all", 3)})


class TracesOtherSizes(Tracing):
    def open_source(self, index: int, modality: str) -> BinaryIO:
        return io.BytesIO(b"ab")


class TracesOnceOnly(Tracing):
    def trace(self, index: int) -> Origin:
        return Origin({}, uuid.uuid4().hex)


class NamelessGroups(Tracing):
    def trace(self, index: int) -> Origin:
        return Origin({}, "")


class SameSiblings(Tracing):
    def sibling(self, split: Split) -> Dataset:
        return self


class OneNameForTwoLabels(Sound):
    prompt_names = ("grey",)


class PromptNamesOfTheSplit(Sound):
    @property
    def prompt_names(self) -> tuple[str, ...]:
        return ("dark", self.split)


class OneNameTwice(Sound):
    prompt_names = ("grey", "grey")


def test_a_dataset_may_tell_of_its_reading() -> None:
    check_dataset(Noting)


def test_a_dataset_may_trace_its_samples_and_have_siblings() -> None:
    check_dataset(Tracing)
    check_dataset(Surveying)


def test_names_in_prompts_may_repeat() -> None:
    check_dataset(OneNameTwice)


class NotANumber(WithValues):
    modalities = ("image", "text", "audio")

    def values(self, values: Mapping[str, object]) -> Mapping[str, object]:
        return {**values, "audio": (torch.full((1, 8), torch.nan), 8000)}


class CounterInValues(WithValues):
    """How often it was read is in the text."""

    count = 0

    def values(self, values: Mapping[str, object]) -> Mapping[str, object]:
        self.count += 1
        return {**values, "text": f"reading {self.count} of {self.split}"}


class OwnGenerator(WithValues):
    """Noise from a generator that is seeded, and goes on from sample to sample."""

    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self.source = np.random.default_rng(0)

    def values(self, values: Mapping[str, object]) -> Mapping[str, object]:
        noise = self.source.integers(0, 255, (4, 4, 3)).astype(np.uint8)
        return {**values, "image": Image.fromarray(noise)}


class LabelsOfTheMoment(Changed):
    def change(self, sample: Sample, index: int) -> Sample:
        return replace(sample, labels=(secrets.randbits(60) % 2,))

    def __len__(self) -> int:
        return 40


class DrawsFromTorch(Changed):
    def change(self, sample: Sample, index: int) -> Sample:
        torch.rand(())
        return sample


class SameValuesInTwoSplits(WithValues):
    """Told apart by their ids alone."""

    def values(self, values: Mapping[str, object]) -> Mapping[str, object]:
        return {**values, "text": str(values["text"]).replace(self.split, "")}


class Prints(Changed):
    def change(self, sample: Sample, index: int) -> Sample:
        print(f"reading {index}")
        return sample


class PrintsToStderr(Changed):
    def change(self, sample: Sample, index: int) -> Sample:
        print("careful", file=sys.stderr)
        return sample


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        (SameIds, "are not unique"),
        (SharedIds, "both in train and in validation"),
        (NumbersAsIds, "is no id"),
        (NulInId, "holds a NUL"),
        (NewIdsEveryTime, "same order every time"),
        (ShufflesOnBuild, "same order every time"),
        (LabelOutOfRange, "ids below 2"),
        (TwoLabels, "2 labels in a single-label dataset"),
        (LabelTwice, "given twice"),
        (DrawsACaption, "must not seed"),
        (Transparent, "must be an RGB PIL image"),
        (ListOfCaptions, "must be a str or a tuple"),
        (NoCaptions, "must be a str or a tuple"),
        (UnknownModality, "not all in `modalities`"),
        (NeverAPicture, r"no training sample has the modalities \{'image'\}"),
        (HalfAnAudio, "float32"),
        (OutlineWithoutLabels, "must have the sample's id, labels"),
        (OutlineOfNoLabel, "must have the sample's id, labels"),
        (OutlineWithoutPictures, "must name the modalities that the sample has"),
        (OutlineOfOneCaption, "must have the texts of the sample"),
        (NoPlaceholder, "must hold one {} exactly"),
        (TwoPlaceholders, "must hold one {} exactly"),
        (NamedPlaceholder, "must hold one {} exactly"),
        (ListOfLabels, "`labels` must be a tuple"),
        (SameLabelTwice, "`labels` must not repeat"),
        (EmptyTraining, "the training split is empty"),
        (LabelsOfTheSplit, "differs from the training split's"),
        (NoteOfTwoLines, "`notes` must be texts of one line each"),
        (NoteAlone, "`notes` must be texts of one line each"),
        (TracesWhatIsNotThere, "the source of 'image' is of no value of the sample"),
        (TracesOtherSizes, "the source of 'image' has 2 bytes, not 3"),
        (TracesOnceOnly, "`trace` must say the same every time"),
        (NamelessGroups, "a group must be a text that is not empty, or None"),
        (SameSiblings, "samples must come in the same order every time"),
        (SurveysOtherIds, "the ids of `survey` are others"),
        (SurveysOtherLabels, "the labels of `survey` are others"),
        (SurveysOtherModalities, "the modalities of `survey` are others"),
        (SurveysOtherGroups, "the groups of `survey` are others"),
        (SurveysOtherSources, "the sources of 'image' in `survey` are others"),
        (SurveysEqualTexts, "the texts of `survey` are others"),
        (OneNameForTwoLabels, "1 `prompt_names` for 2 labels"),
        (PromptNamesOfTheSplit, "`prompt_names` of the split 'validation' differ"),
        (RevisionOfTheMoment, "`revision` must be the same"),
        (NotANumber, "must be finite float32"),
        (CounterInValues, r"every reading[\s\S]*\(`__getitem__`\)[\s\S]*values differ[\s\S]*mend"),
        (OwnGenerator, r"every reading[\s\S]*values differ at a second reading"),
        (LabelsOfTheMoment, r"every reading[\s\S]*labels differ at a second reading"),
        (DrawsFromTorch, r"draws from torch's generator[\s\S]*mend: decide it once"),
        (SameValuesInTwoSplits, r"in one split alone[\s\S]*of the split 'validation' has the val"),
        (Prints, r"prints nothing[\s\S]*'reading 0'[\s\S]*mend: give `notes`"),
        (PrintsToStderr, r"prints nothing[\s\S]*'careful'"),
    ],
)
def test_a_defect_of_a_dataset_is_named(defect: type[Sound], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_dataset(defect)


def test_a_dataset_that_writes_while_it_is_read_is_named(tmp_path: Path) -> None:
    class Writes(Changed):
        def change(self, sample: Sample, index: int) -> Sample:
            (tmp_path / "cache").write_text("seen")
            return sample

    with pytest.raises(ContractError, match=r"writes no file[\s\S]*cache is written") as caught:
        check_dataset(Writes)
    assert "mmlab.plugin.atomic_file" in str(caught.value)


class OfASize(Sound):
    """As many samples as an option says, which the revision leaves out."""

    def __init__(
        self, split: Split, *, count: Annotated[int, Field(ge=4, description="samples")] = 4
    ) -> None:
        super().__init__(split)
        self.count = count

    def __len__(self) -> int:
        return self.count


class OfANamedSize(OfASize):
    def __init__(
        self, split: Split, *, count: Annotated[int, Field(ge=4, description="samples")] = 4
    ) -> None:
        super().__init__(split, count=count)
        self.revision = f"squares {count}"


def test_other_content_of_an_equal_revision_is_named() -> None:
    with pytest.raises(ContractError, match=r"\(`revision`\)[\s\S]*with count = 5") as caught:
        check_dataset(OfASize)
    assert "mend: make `revision` a hash" in str(caught.value)
    check_dataset(OfANamedSize)


class IdsByHashSeed(Changed):
    """`hash` of a text is another in every process."""

    def change(self, sample: Sample, index: int) -> Sample:
        return replace(sample, id=f"{sample.id} {hash(sample.id)}")


class OrderOfASet(Changed):
    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self.names = list({f"{split} {index}" for index in range(9)})

    def __len__(self) -> int:
        return 9

    def change(self, sample: Sample, index: int) -> Sample:
        return replace(sample, id=self.names[index])


class LabelsOfASet(Sound):
    labels = tuple({"dark", "bright", "grey", "red", "blue"})


class RevisionOfTheFolder(Sound):
    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self.revision = f"in {Path.cwd()}"


class ValuesOfTheProcess(WithValues):
    def values(self, values: Mapping[str, object]) -> Mapping[str, object]:
        return {**values, "text": f"{self.split} in {os.getpid()} of {values['text']}"}


class ReadsARelativePath(Sound):
    def __init__(self, split: Split) -> None:
        super().__init__(split)
        self.text = Path("pyproject.toml").read_text("utf-8")


class SourcesOfTheFolder(Tracing):
    def trace(self, index: int) -> Origin:
        named = Source(str(Path(f"{index}").absolute()), 3)
        return Origin({"image": named} if index % 2 == 0 else {})


@pytest.mark.parametrize(
    ("defect", "method", "found"),
    [
        (IdsByHashSeed, "__getitem__", "ids of the split 'train'"),
        (OrderOfASet, "__getitem__", "in another order"),
        (LabelsOfASet, "labels", "`labels` of the split 'train' differs"),
        (RevisionOfTheFolder, "revision", "in another"),
        (ValuesOfTheProcess, "__getitem__", "train-0 of the split 'train': its values differ"),
        (ReadsARelativePath, "__init__", "FileNotFoundError"),
        (SourcesOfTheFolder, "trace", "the sources of the split 'train' differ"),
    ],
)
def test_what_depends_on_the_process_is_named(defect: type[Sound], method: str, found: str) -> None:
    with pytest.raises(ContractError, match="is the same in every process") as caught:
        check_dataset(defect)
    first, told, mend = str(caught.value).splitlines()
    assert f"(`{method}`)" in first
    assert found in told
    assert "sort what comes from sets" in mend
