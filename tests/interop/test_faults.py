"""Bad files of figures: every fault is named at its place, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.published_figures import BENCHMARK, DOCUMENT, OPEN_CLIP, call, write
from support.store_values import dump

from mmlab.errors import DataError
from mmlab.interop.faults import SHOWN, Faults

BAD = {
    "no number": (".csv", BENCHMARK.replace("0.50722", "high"), "row 1, acc1", "'high'"),
    "above one": (".csv", BENCHMARK.replace("0.93721", "93.7"), "row 2, mean_per", "'93.7'"),
    "a row cut short": (".csv", BENCHMARK + "0.5,0.6\n", "row 6", "cells"),
    "no column": (".csv", BENCHMARK.replace("pretrained,task", "tag,task"), "'pretrained'", ""),
    "another table": (".csv", "a,b\n1,2\n", "lacks the column", "found: a,b\n  allowed"),
    "no model": (".csv", BENCHMARK.replace(",RN50,", ",,"), "row 5, model", "''"),
    "nothing": (".csv", "", "empty", ""),
    "half a document": (".json", '{"dataset": "food101"', "damaged", ""),
    "deep nesting": (".json", "[" * 100_000, "damaged", ""),
    "no metrics": (".json", {**DOCUMENT, "metrics": {}}, "no metrics", ""),
    "a truth": (".json", {**DOCUMENT, "metrics": {"acc1": True}}, "acc1", "True"),
    "no table": (".json", {**DOCUMENT, "mmlab": ["first"]}, "mmlab", "['first']"),
    "a table within": (
        ".json",
        {**DOCUMENT, "mmlab": {"protocol_hash": {}}},
        "protocol_hash",
        "{}",
    ),
    "a list": (".json", {**DOCUMENT, "model": ["ViT"]}, "model", "['ViT']"),
    "a contradiction": (
        ".json",
        [DOCUMENT, {**DOCUMENT, "metrics": {"acc1": 0.1}}],
        "document 2: it contradicts",
        "{'acc1': 0.1}",
    ),
    "half a surrogate pair": (
        ".json",
        {**DOCUMENT, "pretrained": "a\ud800"},
        "pretrained",
        "ud800",
    ),
    "a metric without a name": (".json", {**DOCUMENT, "metrics": {"": 0.1}}, "metrics", "''"),
    "a number beyond all": (".json", {**DOCUMENT, "metrics": {"x": 10**400}}, "x", "1000"),
    "infinity": (".json", {**DOCUMENT, "metrics": {"x": float("inf")}}, "x", "inf"),
    "a NUL": (".json", {**DOCUMENT, "model": "a\0b"}, "model", r"a\x00b"),
    "another ending": (".txt", BENCHMARK, "ending", ".txt"),
}


@pytest.mark.parametrize(("ending", "content", "place", "found"), BAD.values(), ids=BAD)
def test_bad_input_names_its_place_and_writes_nothing(
    sqlite_url: str, tmp_path: Path, ending: str, content: object, place: str, found: str
) -> None:
    good = write(tmp_path / "good.json", DOCUMENT)
    bad = write(tmp_path / f"bad{ending}", content)
    before = dump(sqlite_url)
    result = call(sqlite_url, "import", "clip-benchmark", good, bad)
    assert result.exit_code == 1, result.output
    for part in (str(bad), place, found, "next:"):
        assert part in result.stderr
    assert dump(sqlite_url) == before


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (OPEN_CLIP.replace("EuroSAT", "EuroSat"), "column 'EuroSat'"),
        (OPEN_CLIP.replace("0.6144", "61.44"), "row 1, column 'EuroSAT'"),
        (OPEN_CLIP.replace("name,", "title,"), "columns are not open_clip's"),
        ("", "columns are not open_clip's"),
    ],
)
def test_a_table_that_is_not_open_clips_is_refused(
    sqlite_url: str, tmp_path: Path, content: str, place: str
) -> None:
    result = call(sqlite_url, "import", "open-clip", write(tmp_path / "bad.csv", content))
    assert result.exit_code == 1
    assert place in result.stderr


def test_faults_of_all_files_are_told_at_once(sqlite_url: str, tmp_path: Path) -> None:
    bad = [write(tmp_path / f"{n}.csv", OPEN_CLIP.replace("0.6144", "no")) for n in range(2)]
    result = call(sqlite_url, "import", "open-clip", *bad, tmp_path / "absent.csv")
    assert all(name in result.stderr for name in ("0.csv", "1.csv", "absent.csv"))


def test_every_fault_of_every_row_is_told(sqlite_url: str, tmp_path: Path) -> None:
    content = BENCHMARK.replace("0.50722", "high").replace("0.93721", "93.7")
    bad = write(tmp_path / "bad.csv", content.replace(",RN50,", ",,"))
    said = call(sqlite_url, "import", "clip-benchmark", bad).stderr
    for place in ("row 1, acc1", "row 2, mean_per_class_recall", "row 5, model"):
        assert f"{bad}: {place}: " in said
    document = {**DOCUMENT, "model": 1, "metrics": {"acc1": "no", "acc5": 2.0}}
    lines = write(tmp_path / "bad.json", [document, {**document, "task": ""}])
    said = call(sqlite_url, "import", "clip-benchmark", lines).stderr
    assert said.count("found: ") == 3 + 4
    table = write(
        tmp_path / "table.csv", OPEN_CLIP.replace("0.6144", "no").replace("GeoDE", "GeoD")
    )
    said = call(sqlite_url, "import", "open-clip", table).stderr
    assert "row 1, column 'EuroSAT'" in said
    assert "column 'GeoD': these are no results" in said


def test_of_very_many_faults_the_first_are_told() -> None:
    faults = Faults()
    for number in range(SHOWN + 3):
        with faults.kept():
            raise DataError(f"fault {number}")
    with pytest.raises(DataError, match=r"fault 199\n\nand 3 more faults$"):
        faults.raise_all()
