"""Published test sets, from tiny folders in their true layouts; MNIST whole where it lies near."""

from __future__ import annotations

import gzip
import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmlab_datasets.published.benchmark import READERS, Benchmark
from mmlab_datasets.published.catalogue import TEST_SETS, describe
from mmlab_datasets.published.pickled import PickleError, read_pickle
from support import layouts
from support.layouts import LAYOUTS

from mmlab.plugin import DataError, Published
from mmlab.testing import check_dataset

MNIST = Path(__file__).parents[4] / "shared" / "data" / "mnist"
#: Sets that are judged whole have no pictures left to train on.
WHOLE = ("caltech101/all", "eurosat/all", "sun397/all")
#: From the papers and from DataComp's list of tasks.
SIZES = {
    "caltech101/all": (102, 9144),
    "cifar10/test": (10, 10000),
    "cifar100/test": (100, 10000),
    "dtd/split1-test": (47, 1880),
    "eurosat/all": (10, 27000),
    "eurosat/vtab-test": (10, 5400),
    "fashion-mnist/test": (10, 10000),
    "flowers102/test": (102, 6149),
    "food101/test": (101, 25250),
    "imagenet/validation": (1000, 50000),
    "mnist/test": (10, 10000),
    "pets/test": (37, 3669),
    "stl10/test": (10, 8000),
    "sun397/all": (397, 108754),
}
TEMPLATES = {"imagenet": 80, "cifar10": 18, "cifar100": 18, "caltech101": 34, "dtd": 8}


def made(folder: Path, test_set: str, split: Any = "test", **options: Any) -> Benchmark:
    """A split of a tiny folder."""
    if not folder.joinpath("data").exists():
        LAYOUTS[test_set](folder / "data")
    return Benchmark(split, test_set=test_set, path=folder / "data", is_part=True, **options)


def truths(dataset: Benchmark) -> list[str]:
    return [dataset.labels[dataset.outline(i).labels[0]] for i in range(len(dataset))]


# --- what is known of each ------------------------------------------------------------------


def test_every_test_set_is_described_and_has_a_layout_here() -> None:
    assert sorted(SIZES) == sorted(TEST_SETS) == sorted(LAYOUTS)
    for test_set, (labels, pictures) in SIZES.items():
        dataset, _, name = test_set.partition("/")
        description = describe(dataset)
        wanted = description.test_set(name)
        assert description.reader in READERS
        assert len(description.labels) == len(set(description.labels)) == labels
        assert wanted.counts["test"] == pictures
        assert all(template.count("{}") == 1 for template in description.templates)
        assert all(url.url.startswith("https://") for url in description.archives)
        assert len(description.templates) == TEMPLATES.get(dataset, len(description.templates))


def test_where_classes_are_few_mean_recall_is_the_main_metric() -> None:
    quoted = {name: describe(name.split("/")[0]).test_set(name.split("/")[1]) for name in SIZES}
    per_class = {name for name, one in quoted.items() if one.main_metric != "top1"}
    assert per_class == {"caltech101/all", "flowers102/test", "pets/test"}


# --- every layout ---------------------------------------------------------------------------


@pytest.mark.parametrize("test_set", sorted(set(TEST_SETS) - set(WHOLE)))
def test_every_test_set_keeps_the_contract(tmp_path: Path, test_set: str) -> None:
    LAYOUTS[test_set](tmp_path)
    # The layouts of CIFAR draw pictures of several colours, the others of one.
    equal = {} if test_set.startswith("cifar") else {"disjoint_contents": "one picture for all"}
    check_dataset(
        Benchmark,
        expected_failed_checks=equal,
        test_set=test_set,
        path=tmp_path,
        is_part=True,
    )


@pytest.mark.parametrize("test_set", WHOLE)
def test_a_set_that_is_judged_whole_leaves_nothing_to_train_on(
    tmp_path: Path, test_set: str
) -> None:
    assert len(made(tmp_path, test_set)) > 0
    assert len(made(tmp_path, test_set, "train")) == 0
    assert made(tmp_path, test_set)[0].values["image"].size == (5, 4)


@pytest.mark.parametrize(
    ("test_set", "first"),
    [
        ("caltech101/all", ["background", "background", "off-center face"]),
        ("dtd/split1-test", ["banded", "blotchy", "braided"]),
        ("flowers102/test", ["globe thistle"]),
        ("food101/test", ["apple pie", "baby back ribs", "baklava"]),
        ("imagenet/validation", ["tench", "goldfish", "great white shark"]),
        ("mnist/test", ["9", "0"]),
        ("pets/test", ["Abyssinian", "Bengal", "Yorkshire Terrier"]),
        ("stl10/test", ["car", "bird", "airplane"]),
        ("sun397/all", ["abbey", "airplane cabin"]),
        ("cifar10/test", ["airplane", "dog", "truck"]),
        ("cifar100/test", ["motorcycle"]),
    ],
)
def test_labels_are_those_of_the_pictures(tmp_path: Path, test_set: str, first: list[str]) -> None:
    found = truths(made(tmp_path, test_set))
    if test_set == "flowers102/test":
        assert found == [describe("flowers102").labels[4], describe("flowers102").labels[0]]
    elif test_set == "cifar100/test":
        assert found == [describe("cifar100").labels[50]]
    else:
        assert found[: len(first)] == first


def test_two_pairs_of_imagenets_labels_have_one_name_in_prompts(tmp_path: Path) -> None:
    dataset = made(tmp_path, "imagenet/validation")
    differ = {
        label: name
        for label, name in zip(dataset.labels, dataset.prompt_names, strict=True)
        if label != name
    }
    assert differ == {"projectile": "missile", "dark glasses": "sunglasses"}


def test_pixels_of_arrays_lie_where_they_belong(tmp_path: Path) -> None:
    pixels = np.asarray(made(tmp_path / "a", "cifar10/test")[1].values["image"])
    batch = layouts.cifar_pixels(3, 7)
    assert (pixels == batch[1].reshape(3, 32, 32).transpose(1, 2, 0)).all()
    digits = np.asarray(made(tmp_path / "b", "mnist/test")[1].values["image"])
    assert (digits == (np.arange(784, 1568).reshape(28, 28, 1) % 251)).all()
    photo = np.asarray(made(tmp_path / "c", "stl10/test")[0].values["image"])
    assert photo[2, 1, 0] == (1 * 96 + 2) % 253  # column 1, row 2 of the first channel
    assert photo[2, 1, 2] == (2 * 96 * 96 + 1 * 96 + 2) % 253


@pytest.mark.parametrize("test_set", ["mnist/test", "pets/test"])
def test_a_dataset_may_be_sent_to_another_process(tmp_path: Path, test_set: str) -> None:
    dataset = made(tmp_path, test_set)
    sent = pickle.loads(pickle.dumps(dataset))
    assert sent[0].values["image"].tobytes() == dataset[0].values["image"].tobytes()


def test_files_of_mnist_may_be_compressed_or_not(tmp_path: Path) -> None:
    layouts.mnist(tmp_path / "a", compressed=True)
    layouts.mnist(tmp_path / "b", compressed=False)
    one, two = (
        Benchmark("test", test_set="mnist/test", path=tmp_path / name, is_part=True)
        for name in "ab"
    )
    assert one.revision == two.revision


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_dir(), reason=f"there is no {MNIST}")
def test_mnist_whole_is_complete() -> None:
    test = Benchmark("test", test_set="mnist/test", path=MNIST)
    train = Benchmark("train", test_set="mnist/test", path=MNIST)
    assert (len(train), len(test)) == (60000, 10000)
    assert truths(test)[:5] == ["7", "2", "1", "0", "4"]
    assert isinstance(test, Published)
    assert (test.test_set, test.main_metric) == ("mnist/test", "top1")


# --- splits and revisions -------------------------------------------------------------------


def test_vtab_takes_the_last_fifth_by_the_md5_of_a_name(tmp_path: Path) -> None:
    parts = {
        split: made(tmp_path, "eurosat/vtab-test", split)
        for split in ("train", "validation", "test")
    }
    ids = {split: [part.outline(i).id for i in range(len(part))] for split, part in parts.items()}
    assert {split: len(part) for split, part in ids.items()} == {
        "train": 30,
        "validation": 10,
        "test": 10,
    }
    order = [name for part in ids.values() for name in part]
    keys = [f"train{name.replace('/', '_')}" for name in order]
    sums = [hashlib.md5(key.encode()).hexdigest() for key in keys]
    assert sums == sorted(sums)


def test_a_part_is_no_published_test_set(tmp_path: Path) -> None:
    assert made(tmp_path, "pets/test").test_set == "pets/test (part)"


def test_the_folder_may_be_the_one_within(tmp_path: Path) -> None:
    outer = made(tmp_path, "food101/test")
    inner = Benchmark(
        "test", test_set="food101/test", path=tmp_path / "data" / "food-101", is_part=True
    )
    assert inner.revision == outer.revision


def test_the_revision_changes_with_the_split_and_with_a_picture(tmp_path: Path) -> None:
    before = {made(tmp_path, "pets/test", split).revision for split in ("train", "test")}
    assert len(before) == 2
    picture = tmp_path / "data" / "images" / "beagle_6.jpg"
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert made(tmp_path, "pets/test").revision not in before


# --- what is missing or damaged -------------------------------------------------------------


@pytest.mark.parametrize("test_set", TEST_SETS)
def test_a_folder_that_is_incomplete_says_what_is_missing(tmp_path: Path, test_set: str) -> None:
    LAYOUTS[test_set](tmp_path)
    with pytest.raises(DataError) as caught:
        Benchmark("test", test_set=test_set, path=tmp_path)
    description = describe(test_set.split("/")[0])
    assert "incomplete" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert description.url in str(caught.value)


@pytest.mark.parametrize("test_set", TEST_SETS)
@pytest.mark.parametrize("is_part", [False, True])
def test_an_empty_folder_says_what_to_fetch(tmp_path: Path, test_set: str, is_part: bool) -> None:
    with pytest.raises(DataError, match="incomplete") as caught:
        Benchmark("test", test_set=test_set, path=tmp_path / "nope", is_part=is_part)
    assert describe(test_set.split("/")[0]).hint in str(caught.value)


def test_missing_files_are_named_and_counted(tmp_path: Path) -> None:
    layouts.food101(tmp_path)
    with pytest.raises(DataError) as caught:
        Benchmark("test", test_set="food101/test", path=tmp_path)
    assert "no images/beef_tartare/2.jpg" in str(caught.value)
    assert "and 94 more" in str(caught.value)


LISTS = {
    "dtd/split1-test": "dtd/labels/test1.txt",
    "food101/test": "food-101/meta/test.txt",
    "pets/test": "annotations/test.txt",
}


@pytest.mark.parametrize(("test_set", "file"), LISTS.items())
def test_a_byte_order_mark_and_line_ends_change_no_list(
    tmp_path: Path, test_set: str, file: str
) -> None:
    plain = made(tmp_path, test_set)
    path = tmp_path / "data" / file
    content = path.read_text()
    for ending in ("\r\n", "\r"):
        path.write_bytes(b"\xef\xbb\xbf" + content.replace("\n", ending).encode())
        assert made(tmp_path, test_set).revision == plain.revision
    path.write_bytes(content.encode("utf-16"))
    with pytest.raises(DataError, match="it is UTF-16"):
        made(tmp_path, test_set)


DAMAGE = {
    "a NUL in a name": ("food101/test", "food-101/meta/test.txt", b"apple_pie/a\0b"),
    "idx without pictures": ("mnist/test", "t10k-images-idx3-ubyte.gz", b""),
    "half a gzip file": ("mnist/test", "t10k-images-idx3-ubyte.gz", gzip.compress(b"0" * 99)[:20]),
    "a shape that lies": (
        "mnist/test",
        "t10k-images-idx3-ubyte.gz",
        gzip.compress(b"\0\0\x08\3" + b"\xff" * 12 + b"0" * 50),
    ),
    "a label out of range": (
        "mnist/test",
        "t10k-labels-idx1-ubyte.gz",
        gzip.compress(layouts.idx_bytes(np.array([9, 10]))),
    ),
    "a label too many": (
        "mnist/test",
        "t10k-labels-idx1-ubyte.gz",
        gzip.compress(layouts.idx_bytes(np.array([9, 1, 2]))),
    ),
    "half a record": ("stl10/test", "stl10_binary/test_X.bin", b"0" * 100),
    "a pickle of something else": (
        "cifar10/test",
        "cifar-10-batches-py/test_batch",
        pickle.dumps([1, 2]),
    ),
    "no pickle": ("cifar10/test", "cifar-10-batches-py/test_batch", b"\x80\x02}q"),
    "another class": ("pets/test", "annotations/test.txt", b"beagle_1 38 1 1\n"),
    "a path out of the folder": ("dtd/split1-test", "dtd/labels/test1.txt", b"banded/../../x.jpg"),
    "a matrix of something else": ("flowers102/test", "setid.mat", b"MATLAB"),
    "other scenes": ("sun397/all", "SUN397/ClassName.txt", b"/a/abbey\n"),
    "no text": ("food101/test", "food-101/meta/test.txt", b"\xff\xfe\xff"),
}


@pytest.mark.parametrize(("test_set", "file", "content"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_named_with_its_file(
    tmp_path: Path, test_set: str, file: str, content: bytes
) -> None:
    LAYOUTS[test_set](tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError) as caught:
        Benchmark("test", test_set=test_set, path=tmp_path, is_part=True)
    assert "next:" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


# --- pickles --------------------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_calls_something_is_refused_and_not_followed(protocol: int) -> None:
    with pytest.raises(PickleError):
        read_pickle(pickle.dumps({"data": Evil()}, protocol))


@pytest.mark.parametrize("protocol", range(5))
def test_plain_values_come_out_of_a_pickle_as_they_went_in(protocol: int) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    value = {"a": [1, -5, 2**40, 1.5, None, True], "b": ("x", "é"), "data": pixels, "c": {"d": []}}
    found = read_pickle(pickle.dumps(value, protocol))
    assert isinstance(found, dict)
    assert (found.pop("data") == pixels).all()
    del value["data"]
    assert found == value


@pytest.mark.parametrize(
    "value",
    [
        np.arange(3.0),
        np.array(["x"]),
        np.array([object()], dtype=object),
        {1: 2},
        {(1,): 2},
        Path(),
    ],
    ids=["floats", "texts", "objects", "a number as key", "a tuple as key", "a path"],
)
def test_a_pickle_of_anything_else_is_refused(value: object) -> None:
    with pytest.raises(PickleError):
        read_pickle(pickle.dumps(value, 2))


def itself() -> dict[str, object]:
    """A dict that holds itself, in a list."""
    value: dict[str, object] = {"labels": [1]}
    value["data"] = [value]
    return value


def deep(levels: int) -> list[object]:
    """Lists in lists."""
    value: list[object] = []
    for _ in range(levels):
        value = [value]
    return value


def test_a_pickle_that_holds_itself_is_told() -> None:
    with pytest.raises(PickleError, match="it holds itself"):
        read_pickle(pickle.dumps(itself(), 2))
    nested = b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b"."
    with pytest.raises(PickleError, match="it is nested too deeply"):
        read_pickle(nested)
    assert read_pickle(pickle.dumps(deep(50))) == deep(50)


def test_what_a_pickle_says_over_and_over_is_made_once() -> None:
    value: list[object] = [1]
    for _ in range(40):  # 2 ** 40 numbers, were each list another
        value = [value, value]
    found = read_pickle(pickle.dumps({"data": value}))
    assert isinstance(found, dict)
    inner = found["data"]
    for _ in range(40):
        assert inner[0] is inner[1]
        inner = inner[0]
    assert inner == [1]


def test_a_pickle_cut_anywhere_is_refused() -> None:
    whole = pickle.dumps({"data": np.arange(4, dtype=np.uint8), "labels": [1, 2]}, 2)
    for size in range(len(whole)):
        with pytest.raises(PickleError):
            read_pickle(whole[:size])


BAD_LINES = {
    "Bengal_1 " + "9" * 5000: "names no class",
    "Bengal_1 6\nBengal_1 6": "a picture is listed twice",
}


@pytest.mark.parametrize(("lines", "fault"), BAD_LINES.items(), ids=["endless", "twice"])
def test_lines_of_lists_that_cannot_be_are_refused(tmp_path: Path, lines: str, fault: str) -> None:
    made(tmp_path, "pets/test")
    (tmp_path / "data" / "annotations" / "test.txt").write_text(lines)
    with pytest.raises(DataError, match=f"pets/test in {tmp_path / 'data'}: .*{fault}"):
        made(tmp_path, "pets/test")


def test_a_part_tells_how_many_listed_pictures_are_not_there(tmp_path: Path) -> None:
    assert made(tmp_path, "pets/test").notes == ()
    (tmp_path / "data" / "images" / "beagle_6.jpg").unlink()
    (note,) = made(tmp_path, "pets/test").notes
    assert note.endswith(": test: 1 of 3 listed pictures are not there")


def test_a_picture_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    made(tmp_path, "eurosat/all")
    layouts.write_picture(tmp_path / "data" / "2750" / "Forest" / "Forest_\udce9.jpg")
    with pytest.raises(DataError, match="the name of a picture is no UTF-8"):
        made(tmp_path, "eurosat/all")
