"""Label changes, missing modalities and prompt studies: where planted values stand."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner
from support.report_values import ranked, record
from support.svg import Drawn, at, corners, outside, overlaps, told

from mmlab.cli import main
from mmlab.report.compare.labels import LabelChange
from mmlab.report.compare.questions import Question
from mmlab.report.compare.verdicts import Verdict
from mmlab.report.pictures.label_changes import label_changes_picture
from mmlab.report.pictures.missing import missing_pictures
from mmlab.report.pictures.prompts import prompts_picture
from mmlab.statistics.differences import paired_difference
from mmlab.store import open_store


def verdict(better: str = "higher") -> Verdict:
    question = Question(
        "zero_shot", "", "test", "r", "top1", "share", better, "outcome", (0, 1), ({}, {})
    )
    none = paired_difference([[1.0] * 9], [[0.0] * 9])
    return Verdict(question, "old", "new", 0.5, 0.6, none, None, None, None, 0.5, None)


def change(label: str, before: float, after: float, p: float = 0.5) -> LabelChange:
    count = 20
    left = [[float(n < before * count) for n in range(count)]]
    right = [[float(n < after * count) for n in range(count)]]
    return LabelChange(label, count, before, after, paired_difference(right, left), p)


LABELS = ("cat", "dog", "owl", "fox")
CHANGES = [change("owl", 0.8, 0.3, 0.001), change("cat", 0.5, 0.5), change("dog", 0.2, 0.4)]


def test_changes_of_labels_stand_at_their_points_and_real_ones_are_filled() -> None:
    picture = label_changes_picture(CHANGES, verdict())
    assert picture is not None
    drawn = Drawn(picture)
    owl, dog = drawn.all("circle", "mark")
    assert drawn.x_value(at(owl, "cx")) == pytest.approx(-50, abs=0.5)
    assert drawn.x_value(at(dog, "cx")) == pytest.approx(20, abs=0.5)
    assert owl.get("class") == "mark down"
    assert dog.get("class") == "mark up unsure"
    assert told(owl)[1:] == ["80.0% before, 30.0% after", "-50, real"]
    assert "1 of 3 labels" in picture.caption
    assert overlaps(drawn) == []
    assert outside(drawn) == []


def test_where_less_is_better_a_rise_is_a_loss() -> None:
    picture = label_changes_picture(CHANGES, verdict("lower"))
    assert picture is not None
    assert Drawn(picture).all("circle", "mark")[1].get("class") == "mark down unsure"
    assert "new does worse than old" in picture.caption


def test_labels_that_did_not_change_are_no_picture() -> None:
    assert label_changes_picture([change("cat", 0.5, 0.5)], verdict()) is None


def test_a_comparison_as_a_page_draws_its_labels(sqlite_url: str, tmp_path: Path) -> None:
    with open_store(sqlite_url) as store:
        for cell, ranks in {"old": [2, 1] * 12, "new": [1, 1] * 12}.items():
            record(store, ranked(ranks, LABELS), experiment=cell)
    page = tmp_path / "x.html"
    told = ["compare", "old", "new", "--db", sqlite_url, "--out", str(page)]
    result = CliRunner().invoke(main, told)
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert text.count('<figure class="picture">') == 1
    assert "Filled marks are real changes" in text
    assert "cat: 6 samples\n0.0% before, 100.0% after" in text


def robust(cell: str, condition: str, mean: float, **more: object) -> dict[str, object]:
    row = {"experiment": "e", "cell": cell, "group_hash": cell, "condition": condition}
    row |= {"present": condition, "noisy": None, "level": None, "unit": "share"}
    row |= {"better": "higher", "mean": mean, "low": mean - 0.05, "high": mean + 0.05}
    return row | more


ROBUST = pl.DataFrame(
    [
        *(
            robust(cell, name, value)
            for cell, values in (("a", (0.9, 0.5, 0.8)), ("b", (0.7, 0.6, 0.65)))
            for name, value in zip(("image+text", "image", "text"), values, strict=True)
        ),
        *(
            robust("a", f"text noise {level:g}", 0.9 - level / 10, present="image+text")
            | {"noisy": "text", "level": level}
            for level in (0.5, 2.0)
        ),
        robust("c", "image", 0.55),
    ],
    infer_schema_length=None,
)


def test_lines_fall_from_all_inputs_to_fewer_and_from_no_noise_to_most() -> None:
    subsets, noise = missing_pictures(ROBUST, "top1", "t")
    drawn = Drawn(subsets)
    (line,) = drawn.all("path", "line", "k0")
    heights = [drawn.y_value(y) for _, y in corners(line.get("d", ""))]
    assert heights == pytest.approx([0.9, 0.8, 0.5], abs=0.003)  # all, then the better one
    assert [told(one) for one in drawn.all("circle", "k2")] == [["c", "image: 55.0% [50.0, 60.0]"]]
    assert {"image+text", "text", "image", "a", "b", "c"} <= set(drawn.texts())
    assert overlaps(drawn) == []
    drawn = Drawn(noise)
    (line,) = drawn.all("path", "line")
    places = corners(line.get("d", ""))
    assert [drawn.x_value(x) for x, _ in places] == pytest.approx([0, 0.5, 2], abs=0.01)
    assert [drawn.y_value(y) for _, y in places] == pytest.approx([0.9, 0.85, 0.7], abs=0.003)
    assert "about 10 points wide" in noise.caption
    assert overlaps(drawn) == []
    assert outside(drawn) == []


def test_of_many_subsets_the_means_by_how_many_inputs_are_there_are_drawn() -> None:
    names = ["a", "b", "c", "d"]
    subsets = [
        "+".join(name for bit, name in enumerate(names) if mask >> bit & 1) for mask in range(1, 16)
    ]
    frame = pl.DataFrame(
        [robust("x", one, one.count("+") / 10 + 0.1 + 0.01 * ("a" in one)) for one in subsets]
    )
    (picture,) = missing_pictures(frame, "top1", "t")
    drawn = Drawn(picture)
    (line,) = drawn.all("path", "line")
    heights = [drawn.y_value(y) for _, y in corners(line.get("d", ""))]
    assert heights == pytest.approx([0.41, 0.3075, 0.205, 0.1025], abs=0.003)
    assert {"4", "3", "2", "1"} <= set(drawn.texts())


def study(condition: str, mean: float) -> dict[str, object]:
    return {
        "condition": condition,
        "metric": "top1",
        "unit": "share",
        "better": "higher",
        "mean": mean,
        "low": None,
        "high": None,
    }


STUDY = pl.DataFrame(
    [
        study("alone: {}", 0.3),
        study("alone: a picture of {}", 0.5),
        study("without: {}", 0.55),
        study("without: a picture of {}", 0.4),
        study("all", 0.52),
        study("selected", 0.56),
    ],
    schema_overrides={"low": pl.Float64, "high": pl.Float64},
)


def test_templates_stand_by_their_worth_beside_what_the_others_do_without_them() -> None:
    picture = prompts_picture(STUDY, "g", "t")
    assert picture is not None
    drawn = Drawn(picture)
    marks = [one for one in drawn.all("circle", "mark") if told(one)]
    assert [told(one)[0] for one in marks] == ["alone: a picture of {}", "alone: {}"]
    assert [drawn.x_value(at(one, "cx")) for one in marks] == pytest.approx([0.5, 0.3], abs=0.002)
    rings = [one for one in drawn.all("circle", "ring") if told(one)]
    assert [drawn.x_value(at(one, "cx")) for one in rings] == pytest.approx([0.4, 0.55], abs=0.002)
    assert [at(one, "cy") for one in rings] == [at(one, "cy") for one in marks]
    together = [drawn.x_value(at(one, "x1")) for one in drawn.all("line", "together")]
    assert together == pytest.approx([0.52, 0.56], abs=0.002)
    assert overlaps(drawn) == []
    assert outside(drawn) == []


def test_no_template_is_no_picture() -> None:
    assert prompts_picture(STUDY.filter(pl.col("condition") == "all"), "g", "t") is None
