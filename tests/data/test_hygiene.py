"""What splits share: files, contents, groups, ids; labels that no training sample has."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import pytest

from mmlab.data.hygiene import Finding, Hygiene, compare, compare_traces
from mmlab.data.samples import NamedSplit, SampleIndex, Traces
from mmlab.plugin import Dataset, Origin, Sample, Source, Traced


@dataclass(frozen=True)
class One:
    """A sample of a made-up split: the name and the content of its file, if it has one."""

    id: str
    name: str = ""
    content: bytes = b""
    group: str | None = None
    labels: tuple[int, ...] = ()
    text: str = ""


@dataclass
class Plain:
    """Samples that are known by heart, whose files nobody tells."""

    ones: Sequence[One]
    labels: tuple[str, ...] = ("cat", "dog", "eel")
    modalities: tuple[str, ...] = ("image", "text")
    templates: tuple[str, ...] = ("{}",)
    is_multi_label: bool = False
    revision: str = "plain"

    def __len__(self) -> int:
        return len(self.ones)

    def __getitem__(self, index: int) -> Sample:
        return self.outline(index)

    def outline(self, index: int) -> Sample:
        one = self.ones[index]
        values: dict[str, object] = {"image": None} if one.name else {}
        if one.text:
            values["text"] = (one.text,)
        return Sample(one.id, values, one.labels)


@dataclass
class Files(Plain):
    """The same, with files."""

    opened: list[str] = field(default_factory=list)

    def trace(self, index: int) -> Origin:
        one = self.ones[index]
        sources = {"image": Source(one.name, len(one.content))} if one.name else {}
        return Origin(sources, one.group)

    def open_source(self, index: int, modality: str) -> BinaryIO:
        assert modality == "image"
        one = self.ones[index]
        self.opened.append(one.name)
        if one.content == b"gone!":
            raise OSError("gone")
        return io.BytesIO(one.content)


def parts(**splits: Dataset) -> list[NamedSplit]:
    return [NamedSplit.of(name, "own", dataset) for name, dataset in splits.items()]


def compared(closed_by: str | None = None, **splits: Sequence[One]) -> Hygiene:
    made: Mapping[str, Dataset] = {name: Files(ones) for name, ones in splits.items()}
    return compare(parts(**made), closed_by=closed_by)


def only(hygiene: Hygiene) -> Finding:
    (finding,) = hygiene.findings
    return finding


def test_clean_splits_have_no_finding_and_no_line() -> None:
    hygiene = compared(
        train=[One("a", "a.jpg", b"one", "ann", (0,))],
        test=[One("b", "b.jpg", b"two", "bob", (0,))],
    )
    assert hygiene.findings == ()
    assert hygiene.lines() == []
    assert hygiene.unseen == ()
    told = "ids and labels of 2 samples, names of 2 files, bytes of 2 files of equal size"
    assert hygiene.compared == told


def test_a_file_in_two_splits_is_named_and_counted_by_pair() -> None:
    same = [One(f"x{n}", f"{n}.jpg", bytes([n, 1])) for n in range(1, 6)]
    again = [One(f"y{n}", f"{n}.jpg", bytes([n, 1])) for n in range(1, 6)]
    hygiene = compared(train=same, validation=[One("v", "v.jpg", b"v"), again[0]], test=again[1:])
    finding = only(hygiene)
    assert (finding.kind, finding.count) == ("file", 5)
    assert finding.splits == {"train and validation": 1, "train and test": 4}
    assert finding.examples == ("1.jpg", "2.jpg", "3.jpg")
    assert finding.parts == {"train", "validation", "test"}
    first, basis = hygiene.lines()
    assert first == (
        "files that two splits have: 5 (1 in train and validation, 4 in train and test), "
        "such as '1.jpg', '2.jpg', '3.jpg'"
    )
    assert basis.startswith("the splits were compared by ids and labels of 11 samples, ")
    assert basis.endswith("not looked at: groups, for none are named")


def test_a_file_of_one_name_is_not_read() -> None:
    train, test = (Files([One(name, "a.jpg", b"one")]) for name in ("a", "b"))
    assert only(compare(parts(train=train, test=test))).kind == "file"
    assert train.opened == test.opened == []


@pytest.mark.parametrize("length", [1, 4096, 4097, 100_000])
def test_the_same_bytes_under_another_name_are_found(length: int) -> None:
    copied = bytes(n % 251 for n in range(length))
    other = copied[:-1] + b"\xff"  # of the same size, and the same but for the end
    hygiene = compared(
        train=[One("a", "a.jpg", copied), One("b", "b.jpg", other)],
        test=[One("c", "c.jpg", copied), One("d", "d.jpg", copied + b"x")],
    )
    finding = only(hygiene)
    assert (finding.kind, finding.count, finding.splits) == ("content", 1, {"train and test": 1})
    assert finding.examples == ("a.jpg' and 'c.jpg",)
    assert "bytes of 3 files of equal size" in hygiene.compared


def test_the_same_bytes_within_one_split_are_no_finding_but_a_repeat() -> None:
    split = [One(f"{n}", f"{n}.jpg", b"same") for n in range(3)] + [One("3", "0.jpg", b"same")]
    made = parts(train=Files(split), test=Files([One("t", "t.jpg", b"else")]))
    assert compare(made).findings == ()
    hygiene = compare_traces([Traces.read(part) for part in made], repeats=True)
    assert hygiene.findings == ()
    assert hygiene.repeats == {"train": 3, "test": 0}


def test_a_file_that_cannot_be_read_is_told() -> None:
    hygiene = compared(train=[One("a", "a.jpg", b"gone!")], test=[One("b", "b.jpg", b"there")])
    assert hygiene.findings == ()
    assert hygiene.unseen == ("1 files that cannot be read", "groups, for none are named")


def test_a_group_in_two_splits_is_found() -> None:
    finding = only(
        compared(
            train=[One("a", "a", b"1", "ann"), One("b", "b", b"22", "ann")],
            test=[One("c", "c", b"333", "ann"), One("d", "d", b"4444", "bob")],
        )
    )
    assert (finding.kind, finding.count, finding.examples) == ("group", 1, ("ann",))


def test_an_id_in_two_splits_is_found_where_files_are_not_told() -> None:
    made = parts(train=Plain([One("a", "a"), One("b", "b")]), test=Plain([One("b", "c")]))
    hygiene = compare(made)
    finding = only(hygiene)
    assert (finding.kind, finding.count, finding.examples) == ("id", 1, ("b",))
    assert hygiene.unseen == ("files and groups of train, test, which the dataset does not tell",)


def test_a_text_without_a_file_in_two_splits_is_found() -> None:
    hygiene = compared(
        train=[One("a", text="good"), One("b", "b.jpg", b"1", text="a cat")],
        test=[One("c", text="good"), One("d", "d.jpg", b"22", text="a cat")],
    )
    finding = only(hygiene)
    assert (finding.kind, finding.count, finding.examples) == ("text", 1, ("good",))


def test_labels_that_only_held_out_samples_have_are_found_where_a_head_decides() -> None:
    splits = {
        "train": [One("a", labels=(0,))],
        "validation": [One("b", labels=(0, 2))],
        "test": [One("c", labels=(1,)), One("d", labels=(1, 2))],
    }
    finding = only(compared("train", **splits))
    assert (finding.kind, finding.count) == ("label", 2)
    assert finding.splits == {"validation": 1, "test": 2}
    assert finding.examples == ("dog", "eel")
    assert compared(**splits).findings == ()


def test_labels_that_look_alike_are_found() -> None:
    labels = ("Cat", "cat ", "hot dog", "hotdog", "e\u0301t\u00e9", "\u00e9t\u00e9", "dogs", "dog")
    finding = only(compare(parts(train=Plain([One("a")], labels))))
    assert (finding.kind, finding.count) == ("spelling", 6)
    assert str(finding).startswith(
        "labels that differ from another in case or blanks alone: 6, such as 'Cat' and 'cat ', "
        "'hot dog' and 'hotdog', "
    )


def test_other_data_are_compared_with_training_by_their_files_alone() -> None:
    own = parts(train=Files([One("1", "a", b"x", "g", (0,))]), test=Files([One("2", "b", b"yy")]))
    other = Files([One("1", "a", b"x", "g", (1,)), One("2", "b", b"yy", None, (1,))])
    finding = only(
        compare([*own, NamedSplit.of("the data of more", "other", other)], closed_by="train")
    )
    assert (finding.kind, finding.splits) == ("file", {"train and the data of more": 1})
    assert finding.examples == ("a",)


def test_findings_concern_the_splits_they_name() -> None:
    hygiene = compared(train=[One("a")], validation=[One("a")], test=[One("b")])
    assert [finding.kind for finding in hygiene.of(["train"])] == ["id"]
    assert hygiene.of(["test"]) == []


def test_samples_that_only_reading_tells_are_left_out_and_told() -> None:
    class Closed:
        labels, modalities, templates = ("cat",), ("image",), ("{}",)
        is_multi_label, revision = False, "closed"

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Sample:
            raise AssertionError("a comparison reads no sample")

    made = parts(train=Closed(), test=Closed())
    hygiene = compare(made, closed_by="train")
    assert hygiene.findings == ()
    assert "ids and labels of train, test, which only read samples tell" in hygiene.unseen
    index = SampleIndex([Sample("same", {}), Sample("else", {})])
    known = [NamedSplit.of(part.name, "own", part.dataset, index) for part in made]
    assert [finding.kind for finding in compare(known).findings] == ["id"]


def test_examples_cannot_steer_a_terminal() -> None:
    finding = Finding("id", "ids", 1, {}, ("\x1b[31mred\n",))
    assert str(finding) == r"ids: 1, such as '\x1b[31mred\n'"


def test_the_made_up_files_are_traced() -> None:
    assert isinstance(Files([]), Traced)
    assert not isinstance(Plain([]), Traced)
