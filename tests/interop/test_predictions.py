"""Files of predictions: every form read, and every fault told with file, row and column."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mmlab.errors import DataError, UsageError
from mmlab.interop import prediction_blocks
from mmlab.interop.predictions import Expected, content_of, read_predictions
from mmlab.records import Predictions

IDS, LABELS = ["a", "b", "c"], ["cat", "dog", "owl"]
#: The scores of sample i and label j: of "c", whose truth is unknown, nothing is needed.
SCORES = np.array([[0.5, 0.25, 0.125], [1.0, 3.0, 2.0]])
LONG = "sample,label,score\n" + "".join(
    f"{IDS[i]},{LABELS[j]},{SCORES[i, j]}\n" for i, j in np.ndindex(2, 3)
)
WIDE = "sample,cat,dog,owl\na,0.5,0.25,0.125\nb,1,3,2\n"
TWO = "sample,label,score\nb,dog,3\na,dog,0.25\nb,owl,2\na,cat,0.5\n"


def read(path: Path, top: int | None = None) -> Predictions:
    takes_part = np.array([True, True, False])
    return read_predictions(path, Expected("test", IDS, takes_part, LABELS), top)


def written(folder: Path, text: str | bytes, name: str = "scores.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def arrays(folder: Path, **changes: object) -> Path:
    path = folder / "scores.npz"
    given = {"ids": np.array(IDS[:2]), "labels": np.array(LABELS), "scores": SCORES, **changes}
    np.savez(path, **{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    return path


def fault(path: Path, top: int | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read(path, top)
    assert str(path) in str(caught.value)
    return str(caught.value).replace(f"{path}", path.name)


@pytest.mark.parametrize("text", [LONG, WIDE, "\ufeff" + WIDE, WIDE.replace("\n", "\r\n")])
@pytest.mark.parametrize("kind", [".csv", ".parquet"])
def test_all_scores_are_read_in_the_order_of_samples_and_labels(
    tmp_path: Path, text: str, kind: str
) -> None:
    path = written(tmp_path, text)
    if kind == ".parquet":
        pl.read_csv(path).sample(fraction=1, shuffle=True, seed=1).write_parquet(
            path := tmp_path / "scores.parquet"
        )
    found = read(path)
    assert found.label.tolist() == [[0, 1, 2]] * 2
    assert found.score.tolist() == SCORES.tolist()
    assert found.unused == 0
    assert content_of(found) == content_of(read(arrays(tmp_path)))


def test_blocks_of_a_file_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in (LONG, WIDE):
        path = written(tmp_path, text)
        pl.read_csv(path).write_parquet(other := tmp_path / "scores.parquet")
        monkeypatch.setattr(prediction_blocks, "BLOCK_SCORES", 2)
        for each in (path, other, arrays(tmp_path)):
            assert read(each).score.tolist() == SCORES.tolist()


def test_the_first_labels_of_each_sample_are_read(tmp_path: Path) -> None:
    wide = written(tmp_path, "sample,cat,dog,owl\na,0.5,0.25,\nb,,3,2\n", "wide.csv")
    pl.read_csv(wide).write_parquet(tmp_path / "wide.parquet")
    own = np.array([["dog", "cat"], ["owl", "dog"]])
    npz = arrays(tmp_path, labels=own, scores=np.array([[0.25, 0.5], [2.0, 3.0]]))
    for path in (written(tmp_path, TWO), wide, tmp_path / "wide.parquet", npz):
        found = read(path, top=2)
        assert found.label.tolist() == [[0, 1], [1, 2]]
        assert found.score.tolist() == [[0.5, 0.25], [3.0, 2.0]]


def test_samples_that_take_no_part_may_be_there(tmp_path: Path) -> None:
    found = read(written(tmp_path, WIDE + "c,1,2,3\n"))
    assert (found.score.tolist(), found.unused) == (SCORES.tolist(), 1)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (LONG + "d,cat,1\n", "row 7, column 'sample'", "no sample has this id\n  found: 'd'"),
        (LONG + ",cat,1\n", "row 7, column 'sample'", "the sample's id is missing"),
        (LONG + "a,cow,1\n", "row 7, column 'label'", "no such label\n  found: 'cow'"),
        (LONG + "a,,1\n", "row 7, column 'label'", "the label is missing"),
        (LONG + "a,cat,nan\n", "row 7, column 'score'", "the score is not finite"),
        (LONG + "a,cat,-inf\n", "row 7, column 'score'", "the score is not finite"),
        (LONG + "a,cat,1e39\n", "row 7, column 'score'", "the score is not finite"),
        (LONG + "a,cat,\n", "row 7, column 'score'", "the score is missing"),
        (LONG + "a,cat,high\n", "row 7, column 'score'", "it is no number\n  found: 'high'"),
        (LONG + "a,cat,1_0\n", "row 7, column 'score'", "it is no number\n  found: '1_0'"),
        (LONG + "a,cat,1\n", "row 7", "sample 'a' has a score of label 'cat' already"),
        (LONG + "a,cat\n", "row 7", "not as many cells as there are columns\n  found: 2"),
        (LONG + "\n", "row 7", "not as many cells as there are columns\n  found: 0"),
        (LONG[: LONG.index("b,")], "", "1 samples of the test split have no scores"),
        (LONG.replace("b,owl,2.0\n", ""), "sample 'b'", "the label 'owl' has no score"),
        (WIDE + "a,1,2,3\n", "row 3", "sample 'a' has a score of label 'cat' already"),
        (WIDE.replace(",2\n", ",\n"), "row 2, column 'owl'", "the score is missing"),
        (WIDE.replace(",2\n", ",x\n"), "row 2, column 'owl'", "it is no number"),
        (WIDE.replace("owl", "cow"), "header", "no such label\n  found: 'cow'"),
        (WIDE.replace("owl", "cow"), "header", "the label 'owl' has no score"),
        (WIDE.replace("owl", "dog"), "header", "the column 'dog' is there twice"),
        (WIDE.replace("sample", "id"), "header", "there is no column 'sample'"),
        (LONG.replace("score\n", "score,rank\n", 1), "header", "the column 'rank' has no meaning"),
        ("sample\na\n", "header", "there is no column of scores"),
        ("", "", "it is empty"),
        ("sample,cat,dog,owl\n", "", "it is empty"),
        (WIDE + 'c,"1,2,3\n', "near line", "it is no CSV file"),
        (WIDE.encode() + b"\xff,1,2,3\n", "near line", "it is no CSV file"),
    ],
)
def test_every_fault_names_its_place(
    tmp_path: Path, text: str | bytes, place: str, message: str
) -> None:
    told = fault(written(tmp_path, text))
    assert f"scores.csv: {place}" in told if place else told.startswith("scores.csv: ")
    assert message in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TWO.replace("a,cat,0.5\n", ""), "sample 'a': it has not as many labels as --top says"),
        (TWO + "a,owl,1\n", "sample 'a': it has not as many labels as --top says\n  found: 3"),
        (TWO + "a,cat,1\n", "row 5: sample 'a' has a score of label 'cat' already"),
        ("sample,cat,dog\na,1,\nb,1,2\n", "sample 'a': it has not as many labels"),
    ],
)
def test_another_number_of_first_labels_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in fault(written(tmp_path, text), top=2)


def test_more_first_labels_than_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at most 3"):
        read(written(tmp_path, LONG), top=4)


def test_all_faults_of_a_block_are_told_and_many_are_counted(tmp_path: Path) -> None:
    told = fault(written(tmp_path, WIDE + "d,1,2,nan\n" + "e,1,2,3\n" * 300))
    assert "row 3, column 'sample'" in told
    assert "row 202, column 'sample'" in told
    assert "row 203, column 'sample'" not in told
    assert "more faults" in told


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pl.Series("sample", [1.5, 2.5]), "column 'sample': its type does not fit"),
        (pl.Series("cat", ["1", "2"]), "column 'cat': its type does not fit\n  found: String"),
        (pl.Series("cat", [True, False]), "column 'cat': its type does not fit"),
        (pl.Series("cat", [1.0, None]), "row 2, column 'cat': the score is missing"),
        (pl.Series("cat", [float("nan"), 1]), "row 1, column 'cat': the score is not finite"),
        (pl.Series("sample", ["a", None]), "row 2, column 'sample': the sample's id is missing"),
    ],
)
def test_columns_of_parquet_have_their_types(
    tmp_path: Path, column: pl.Series, message: str
) -> None:
    frame = pl.read_csv(written(tmp_path, WIDE)).with_columns(column)
    frame.write_parquet(path := tmp_path / "scores.parquet")
    assert message in fault(path)


def test_labels_of_parquet_are_names_and_ids_may_be_numbers(tmp_path: Path) -> None:
    frame = pl.DataFrame({"sample": [7, 7], "label": ["x", "y"], "score": [1, 2]})
    frame.with_columns(pl.col("label").cast(pl.Categorical)).write_parquet(
        path := tmp_path / "scores.parquet"
    )
    expected = Expected("test", ["7"], np.array([True]), ["x", "y"])
    assert read_predictions(path, expected, None).score.tolist() == [[1, 2]]
    frame.with_columns(label=pl.Series([0, 1])).write_parquet(path)
    with pytest.raises(DataError, match="the labels by their names"):
        read_predictions(path, expected, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": None}, "there is no array 'ids'"),
        ({"ids": np.array(["a"])}, "its arrays do not fit each other"),
        ({"scores": np.zeros(2)}, "its arrays do not fit each other"),
        ({"labels": np.arange(3)}, "labels: its type does not fit"),
        ({"scores": SCORES.astype(str)}, "scores: its type does not fit"),
        ({"ids": np.array(IDS[:2], object)}, "it holds pickled objects"),
        ({"ids": np.array(["a", "x"])}, "row 2, column 'sample': no sample has this id"),
        ({"labels": np.array(["cat", "dog", "dog"])}, "the label 'dog' is there twice"),
        ({"scores": np.full((2, 3), np.nan)}, "row 1, column 'cat': the score is not finite"),
        ({"ids": np.array(["a", "a"])}, "row 2: sample 'a' has a score of label 'cat' already"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    assert message in fault(arrays(tmp_path, **changes))


class Trap:
    """Its unpickling makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return (Path.mkdir, (self.path,))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    fault(written(tmp_path, trap, "scores.npz"))
    fault(arrays(tmp_path, ids=np.array([Trap(tmp_path / "sprung")] * 2)))
    with zipfile.ZipFile(tmp_path / "scores.npz", "w") as file:
        for name in ("ids", "labels", "scores"):
            file.writestr(f"{name}.npy", trap)
    assert "no whole npz file" in fault(tmp_path / "scores.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["scores.parquet", "scores.npz"])
def test_a_damaged_file_is_refused_wherever_it_is_cut(tmp_path: Path, name: str) -> None:
    pl.read_csv(written(tmp_path, WIDE)).write_parquet(tmp_path / "scores.parquet")
    content = (tmp_path / "scores.parquet" if "parquet" in name else arrays(tmp_path)).read_bytes()
    for size in range(0, len(content), 37):
        fault(written(tmp_path, content[:size], name))


@pytest.mark.parametrize("name", ["scores.txt", "scores", "nothing.csv", "."])
def test_what_is_no_file_of_predictions_is_refused(tmp_path: Path, name: str) -> None:
    written(tmp_path, LONG, "scores.txt")
    written(tmp_path, LONG, "scores")
    fault(tmp_path / name)
