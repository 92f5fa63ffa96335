"""Samples that cannot be read: an error, or left out up to a share, recorded, never replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select
from support.lab import CONCAT, Lab

from mmlab.data.skipped import SampleSubset, without_unreadable
from mmlab.errors import DataError
from mmlab.plugin import Noted, Outlined, Published, Sample
from mmlab.store.tables import skipped_samples

LINE = '{{"id": "{id}", "split": "{split}", "image": "{id}.png", "label": "{label}"}}'
SPEC = (
    '[encoders.image]\nuse = "convnet"\nimage_size = 16\nwidth = 8\nlevels = 1\n',
    CONCAT,
    '[[losses]]\nuse = "cross_entropy"\n',
    "[train]\nepochs = 1\nbatch_size = 4\n",
    '[[evaluate]]\nuse = "classification"\n',
)


class Numbers:
    """Ten samples, of which some raise."""

    modalities, labels, templates = ("image",), ("even", "odd"), ("a {}",)
    is_multi_label, revision = False, "numbers"
    test_set, main_metric = "numbers/all", "top1"
    notes = ("ten numbers",)

    def __init__(self, *bad: int, error: Exception | None = None) -> None:
        self.bad, self.error = bad, error or OSError("image file is truncated")

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Sample:
        if index in self.bad:
            raise self.error
        return self.outline(index)

    def outline(self, index: int) -> Sample:
        return Sample(f"number-{index}", {"image": index}, (index % 2,))


def test_what_can_all_be_read_stays_as_it_is() -> None:
    dataset = Numbers()
    assert without_unreadable(dataset, "test", 0.0, "numbers") == (dataset, [])


def test_what_cannot_be_read_is_left_out_and_named() -> None:
    readable, skipped = without_unreadable(Numbers(3, 7), "test", 0.2, "numbers")
    assert [readable[index].id for index in range(len(readable))] == [
        f"number-{index}" for index in (0, 1, 2, 4, 5, 6, 8, 9)
    ]
    assert [(one.position, one.sample, one.split) for one in skipped] == [
        (3, "number-3", "test"),
        (7, "number-7", "test"),
    ]
    assert {one.reason for one in skipped} == {"image file is truncated"}
    assert {one.dataset_revision for one in skipped} == {readable.revision}
    assert isinstance(readable, Outlined)
    assert readable.outline(3).id == "number-4"
    assert isinstance(readable, Noted)
    assert readable.notes == ("ten numbers",)
    with pytest.raises(IndexError):
        readable[8]


def test_a_revision_names_what_is_left_out_and_no_published_set_is_claimed() -> None:
    revisions = {
        without_unreadable(Numbers(*bad), "test", 0.5, "numbers")[0].revision
        for bad in ((), (1,), (2,), (1, 2))
    }
    assert len(revisions) == 4
    assert isinstance(Numbers(), Published)
    readable, _ = without_unreadable(Numbers(1), "test", 0.5, "numbers")
    assert isinstance(readable, SampleSubset)
    assert not isinstance(readable, Published)


def test_more_than_the_share_is_an_error_that_names_the_first() -> None:
    with pytest.raises(
        DataError, match=r"3 of 10 samples; the first is 'number-1': image(.|\n)*at most 2: max"
    ):
        without_unreadable(Numbers(1, 2, 3), "test", 0.2, "numbers")


def test_a_fault_of_the_program_is_no_unreadable_sample() -> None:
    with pytest.raises(TypeError):
        without_unreadable(Numbers(1, error=TypeError("no such method")), "test", 0.5, "numbers")


def pictures(folder: Path, broken: str) -> str:
    """A manifest of 24 pictures, one of them no picture; its [dataset] table."""
    lines = []
    for number in range(24):
        split = ("train", "train", "validation", "test")[number % 4]
        name, label = f"p{number:02}", "light" if number // 4 % 2 else "dark"
        Image.new("RGB", (8, 8), "white" if label == "light" else "black").save(
            folder / f"{name}.png"
        )
        lines.append(LINE.format(id=name, split=split, label=label))
    (folder / f"{broken}.png").write_bytes(b"no picture")
    (folder / "list.jsonl").write_text("\n".join(lines))
    return (
        '[dataset]\nuse = "manifest"\npath = "list.jsonl"\nid_column = "id"\n'
        'image_column = "image"\nlabel_column = "label"\nsplit_column = "split"\n'
    )


@pytest.mark.parametrize(("broken", "split"), [("p01", "train"), ("p03", "test")])
def test_a_broken_picture_ends_the_run_or_is_left_out_as_the_spec_says(
    sqlite_lab: Lab, broken: str, split: str
) -> None:
    dataset = pictures(sqlite_lab.folder, broken)
    (outcome,) = sqlite_lab.run(sqlite_lab.write("strict", (dataset, *SPEC)))
    assert outcome.status == "failed"
    assert broken in (outcome.error or "")
    lenient = dataset + 'on_error = "skip"\nmax_skipped = 0.2\n'
    detail = sqlite_lab.run_one(sqlite_lab.write("lenient", (lenient, *SPEC)))
    assert detail.evaluations[0].sample_count == (5 if split == "test" else 6)
    with sqlite_lab.store() as store:
        rows = store.frame(
            select(skipped_samples.c.run_id, skipped_samples.c.split, skipped_samples.c.sample)
        ).rows()
    assert rows == [(detail.run.run_id, split, broken)]
    told = f"left out 1 sample of the {split} split that cannot be read"
    assert any(told in note for note in sqlite_lab.shown.notes)
    assert sqlite_lab.statuses(sqlite_lab.write("lenient", (lenient, *SPEC))) == ["skipped"]


def test_a_share_that_is_exceeded_ends_the_run(sqlite_lab: Lab) -> None:
    dataset = pictures(sqlite_lab.folder, "p01") + 'on_error = "skip"\n'
    (outcome,) = sqlite_lab.run(sqlite_lab.write("strict", (dataset, *SPEC)))
    said = outcome.error or ""
    assert "more of the train split cannot be read" in said
    assert [said.count(f"{part}: ") for part in ("found", "allowed", "next")] == [1, 1, 1]
    assert "row 2, column 'image'" in said
    assert "allowed: none: max_skipped = 0.001 of 12 samples is less than one" in said
