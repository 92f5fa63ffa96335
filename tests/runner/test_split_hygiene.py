"""What `mmlab run` says of splits that share something, and what it refuses before it trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select
from support.lab import CLASSIFICATION, TRAIN, Lab
from support.manifests import write_csv

from mmlab.store.views import sample_outcomes

ENCODER = '[encoders.image]\nuse = "convnet"\nwidth = 8\nimage_size = 16\n'
HEAD = '[fusion]\nuse = "concat"\n\n[head]\nuse = "linear"\n'
LOSS = '[[losses]]\nuse = "cross_entropy"\n'
SHORT = TRAIN.replace("epochs = 2", "max_steps = 1").replace("batch_size = 8", "batch_size = 4")
DATASET = (
    '[dataset]\nuse = "manifest"\npath = "index.csv"\nid_column = "id"\nimage_column = "file"\n'
    'label_column = "kind"\nsplit_column = "part"\ngroup_column = "who"\nrows = "samples"\n'
)
SPEC = (DATASET, ENCODER, HEAD, LOSS, SHORT, CLASSIFICATION)


def write_pictures(folder: Path) -> None:
    for number, name in enumerate("abcdefgh"):
        Image.new("RGB", (9 + number, 9), (30 * number, 60, 90)).save(folder / f"{name}.png")


def row(name: str, kind: str, part: str, who: str = "", sample: str = "") -> dict[str, str]:
    return {
        "id": sample or f"{part}-{name}",
        "file": f"{name}.png",
        "kind": kind,
        "part": part,
        "who": who,
    }


CLEAN = [
    *(row(name, "cat" if name in "ab" else "dog", "train", "ann") for name in "abcd"),
    row("e", "cat", "validation", "bob"),
    row("f", "dog", "test", "cid"),
]


@pytest.fixture
def lab(sqlite_lab: Lab) -> Lab:
    write_pictures(sqlite_lab.folder)
    return sqlite_lab


def run(lab: Lab, rows: Sequence[dict[str, str]], *overrides: str) -> list[str]:
    """Write the index and run the spec; what was noted of the splits."""
    write_csv(lab.folder / "index.csv", rows)
    spec = lab.write("pets", SPEC)
    for outcome in lab.run(spec, *overrides, keeps_features=False):
        assert outcome.error is None, outcome.error
    words = ("two splits have", "no training sample has", "case or blanks", "were compared")
    return [note for note in lab.shown.notes if any(word in note for word in words)]


def test_clean_splits_are_not_spoken_of(lab: Lab) -> None:
    assert run(lab, CLEAN, "dataset.strict_splits=true") == []


def test_all_that_splits_share_is_told_once_a_command(lab: Lab) -> None:
    (lab.folder / "copy.png").write_bytes((lab.folder / "b.png").read_bytes())
    rows = [
        *CLEAN,
        row("a", "cat", "validation"),
        row("copy", "cat", "test"),
        row("g", "emu", "test", "ann"),
        row("h", "Cat", "test"),
    ]
    told = run(lab, rows, "sweep.seeds=[0, 1]")
    folder = lab.folder
    assert told == [
        f"files that two splits have: 1 (1 in train and validation), such as '{folder}/a.png'",
        "contents that two splits have in files of different names: 1 (1 in train and test), "
        f"such as '{folder}/b.png' and '{folder}/copy.png'",
        "groups that two splits have: 1 (1 in train and test), such as 'ann'",
        "labels that no training sample has, so that the head cannot learn them: 2 (2 in test), "
        "such as 'Cat', 'emu'",
        "labels that differ from another in case or blanks alone: 2, such as 'Cat' and 'cat'",
        "the splits were compared by ids and labels of 10 samples, names of 10 files, bytes of "
        f"{told[-1].split('bytes of ')[1]}",
    ]


def test_strict_splits_refuses_with_the_same_words_before_anything_is_stored(lab: Lab) -> None:
    rows = [*CLEAN, row("a", "cat", "test", "ann")]
    write_csv(lab.folder / "index.csv", rows)
    spec = lab.write("pets", SPEC)
    (outcome,) = lab.run(spec, "dataset.strict_splits=true")
    assert (outcome.status, outcome.run_id) == ("failed", None)
    assert outcome.error is not None
    place, _, parts = outcome.error.partition("  found: ")
    assert "dataset.strict_splits: the splits share what they should not" in place
    told = [note for note in lab.shown.notes if "two splits have" in note]
    assert len(told) == 2
    assert parts.startswith("\n    ".join(told) + "\n  allowed: ")
    assert "\n  next: mend the data" in parts
    assert lab.row_counts()["runs"] == 0


def test_a_run_is_the_same_with_and_without_strict_splits(lab: Lab) -> None:
    run(lab, CLEAN)
    spec = lab.folder / "pets.toml"
    assert lab.statuses(spec, "dataset.strict_splits=true") == ["skipped"]


def test_data_of_an_evaluation_are_compared_with_training(lab: Lab) -> None:
    write_csv(lab.folder / "more.csv", [row("a", "cat", "test"), row("g", "dog", "test")])
    write_csv(lab.folder / "index.csv", CLEAN)
    own = '[[evaluate]]\nuse = "classification"\nname = "more"\n\n[evaluate.dataset]\n'
    options = DATASET.removeprefix("[dataset]\n").replace("index.csv", "more.csv")
    spec = lab.write("pets", (*SPEC, own + options))
    assert lab.statuses(spec, keeps_features=False) == ["done"]
    expected = "files that two splits have: 1 (1 in train and the data of more), such as "
    assert f"{expected}'{lab.folder}/a.png'" in lab.shown.notes
    (outcome,) = lab.run(spec, "evaluate.1.dataset.strict_splits=true")
    assert outcome.error is not None
    assert "evaluate.1.dataset.strict_splits: the splits share" in outcome.error
    assert expected in outcome.error


def test_labels_that_differ_in_case_are_told_where_nothing_else_is_known(sqlite_lab: Lab) -> None:
    spec = sqlite_lab.write("toy")
    sqlite_lab.run(spec)
    assert not [note for note in sqlite_lab.shown.notes if "splits" in note]


def test_groups_of_evaluated_samples_are_kept_as_clusters(sqlite_lab: Lab) -> None:
    write_pictures(sqlite_lab.folder)
    people = {"f": "cid", "g": "cid", "h": ""}
    test = [row(name, "dog", "test", who) for name, who in people.items()]
    write_csv(sqlite_lab.folder / "index.csv", [*CLEAN[:-1], *test])
    sqlite_lab.run_one(sqlite_lab.write("groups", SPEC))
    query = select(sample_outcomes.c.sample, sample_outcomes.c.cluster)
    with sqlite_lab.store() as store:
        kept = store.frame(query.order_by(sample_outcomes.c.sample))
    assert kept.rows() == [("test-f", "cid"), ("test-g", "cid"), ("test-h", None)]
