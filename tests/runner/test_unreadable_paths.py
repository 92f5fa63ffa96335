"""A path at which nothing can be read costs the cell that names it, and no other."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from support.lab import CLASSIFICATION, CONCAT, SCRIPTED, TOY, TRAIN, Lab
from support.odd_paths import ODD, bound_by_permissions, odd_path

from mmlab.data.tables import read_table

LEARNT = (CONCAT, SCRIPTED, TRAIN, CLASSIFICATION)
WEIGHTS = (
    '[encoders.image]\nuse = "toy"\nweights = {{ file = "{}" }}\n[encoders.text]\nuse = "toy"\n'
)


def manifest(path: Path | str) -> str:
    """A dataset of texts of a manifest at this path."""
    return (
        f'[dataset]\nuse = "manifest"\npath = "{path}"\ntext_columns = ["words"]\n'
        'label_column = "label"\nvalidation_fraction = 0.3\ntest_fraction = 0.3\n'
    )


def texts(dataset: str) -> tuple[str, ...]:
    """The tables of a spec that learns the labels of texts."""
    return (dataset, '[encoders.text]\nuse = "toy"\n', *LEARNT)


def write_manifest(path: Path) -> None:
    rows = [["words", "label"], *([f"word {i}", f"label {i % 2}"] for i in range(60))]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_path_of_a_dataset_fails_its_cell_alone(sqlite_lab: Lab, name: str) -> None:
    lab = sqlite_lab
    path = odd_path(lab.folder, name)
    write_manifest(lab.folder / "good.csv")
    specs = [
        lab.write("odd", texts(manifest(path))),
        lab.write("good", texts(manifest("good.csv"))),
    ]
    odd, good = lab.run(specs)
    assert (odd.status, good.status) == ("failed", "done")
    assert odd.error is not None
    assert odd.error.startswith(f"{specs[0]}:6:8: dataset.path: the file or folder cannot be read")
    assert f"found: {path}: {ODD[name]}\n" in odd.error


@pytest.mark.parametrize("name", ODD)
def test_an_odd_path_of_weights_fails_its_cell_alone(sqlite_lab: Lab, name: str) -> None:
    lab = sqlite_lab
    path = odd_path(lab.folder, name)
    encoders = WEIGHTS.format(path)
    odd, good = lab.run(
        [lab.write("odd", (TOY[0], encoders, *LEARNT)), lab.write("good")], "train.epochs=1"
    )
    assert (odd.status, good.status) == ("failed", "done")
    assert odd.error is not None
    assert "encoders.image.weights.file: there is no such weights file" in odd.error
    assert f"found: {path}: {ODD[name]}\n" in odd.error


@pytest.mark.slow
def test_a_folder_that_may_not_be_entered_fails_its_cells_alone(sqlite_lab: Lab) -> None:
    lab = sqlite_lab
    closed = lab.folder / "closed"
    closed.mkdir()
    write_manifest(closed / "good.csv")
    encoders = WEIGHTS.format("closed/weights.safetensors")
    specs = [
        lab.write("file", texts(manifest("closed/good.csv"))),
        lab.write("weights", (TOY[0], encoders, *LEARNT)),
        lab.write("good"),
    ]
    closed.chmod(0)
    try:
        told = bound_by_permissions(
            ["-m", "mmlab", "run", *specs, "--db", "x.db", "--device", "cpu"], lab.folder
        )
        closed.chmod(0o700)
        assert lab.statuses(specs[0]) == ["done"]  # it was not the file
    finally:
        closed.chmod(0o700)
    assert told.returncode == 1, told.stderr
    assert "Traceback" not in told.stderr
    assert "dataset.path: the file or folder cannot be read" in told.stderr
    assert f"{closed / 'good.csv'}: Permission denied" in told.stderr
    assert f"{closed / 'weights.safetensors'}: Permission denied" in told.stderr
    assert "1 done, 2 failed" in told.stderr


def test_a_pipe_for_a_folder_of_kept_inputs_is_told_and_does_without(sqlite_lab: Lab) -> None:
    cache = sqlite_lab.folder / "cache"
    os.mkfifo(cache)
    assert sqlite_lab.statuses(sqlite_lab.write("toy"), cache=cache) == ["done"]
    (told,) = [note for note in sqlite_lab.shown.notes if "cannot be kept" in note]
    assert f"in {cache} (File exists)" in told


def test_a_pipe_in_the_place_of_kept_inputs_is_told_and_replaced(sqlite_lab: Lab) -> None:
    spec, cache = sqlite_lab.write("toy"), sqlite_lab.folder / "cache"
    first = sqlite_lab.run_one(spec, cache=cache)
    files = sorted(cache.glob("*.safetensors"))
    assert len(files) == 4
    for file in files:
        file.unlink()
        os.mkfifo(file)
    again = sqlite_lab.run_one(spec, cache=cache, rerun=True)
    damaged = [note for note in sqlite_lab.shown.notes if "is damaged, and made anew" in note]
    assert len(damaged) == 4
    assert all("(it is a pipe, not an ordinary file)" in note for note in damaged)
    assert again.evaluations[0].metrics == first.evaluations[0].metrics
    assert all(read_table(file) is not None for file in files)
