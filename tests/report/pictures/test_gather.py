"""Which pictures a report has: those that the results have something for, on either database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from support.report_values import asked, identity, ranked, record, record_fusion
from support.svg import Drawn, outside, overlaps

from mmlab.cli import main
from mmlab.errors import UsageError
from mmlab.records import Confusions, EvaluationResult, MetricPoint, Reliability
from mmlab.report.page import gather as gather_page
from mmlab.report.pictures import gather
from mmlab.report.pictures.gather import read_pictures
from mmlab.report.pictures.picture import Picture
from mmlab.report.render.html import render_page
from mmlab.report.results import Results
from mmlab.store import Store, open_store

INPUTS = ("image", "text")


def calibrated() -> EvaluationResult:
    """A result with confusions and bins of probabilities."""
    ones = np.ones(1, dtype=np.float32)
    bins = Reliability(0 * ones, ones, np.array([4], dtype=np.int32), 0.7 * ones, 0.5 * ones)
    pair = Confusions(*(np.array([n], dtype=np.int32) for n in (0, 1, 2)))
    return replace(ranked([1, 2, 1, 3]), confusions=pair, reliability=bins)


def condition(name: str, hits: int, noise: Mapping[str, float] | None = None) -> EvaluationResult:
    present = INPUTS if noise else tuple(name.split("+"))
    options = {"present": list(present), "noise": dict(noise or {})}
    outcomes = [1.0] * hits + [0.0] * (10 - hits)
    return asked(outcomes, evaluator="missing_modality", condition=name, options=options)


def robust() -> list[EvaluationResult]:
    summary = asked(
        [],
        evaluator="missing_modality",
        metrics={"top1/subset_area": 0.5},
        options={"inputs": list(INPUTS)},
    )
    noisy = condition("text noise 0.5", 6, {"text": 0.5})
    return [summary, condition("image+text", 8), condition("image", 4), condition("text", 6), noisy]


def study() -> list[EvaluationResult]:
    shares = {"alone: {}": 2, "alone: a {}": 4, "without: {}": 4, "without: a {}": 2, "all": 5}
    return [
        replace(
            asked([1.0] * hits + [0.0] * (10 - hits), evaluator="prompts", condition=name),
            protocol={"evaluator": "prompts", "condition": name},
        )
        for name, hits in shares.items()
    ]


def names(store: Store, **options: list[str]) -> list[str]:
    return [picture.name for picture in read_pictures(store, **options)]  # type: ignore[arg-type]


def test_nothing_stored_is_nothing_drawn(sqlite_store: Store) -> None:
    assert read_pictures(sqlite_store) == []
    assert 'id="pictures"' not in render_page(gather_page(sqlite_store))


def test_a_recipe_alone_has_its_confusions_and_calibration(sqlite_store: Store) -> None:
    record(sqlite_store, calibrated(), cell="fusion=sum")
    assert names(sqlite_store) == [
        "confusion-zero-shot-test-fusion=sum",
        "reliability-zero-shot-test-fusion=sum",
    ]


def test_recipes_are_told_apart_and_stand_against_their_cost(sqlite_store: Store) -> None:
    for place, use in enumerate(("sum", "gating", "concat")):
        result = asked([1.0] * (20 + 15 * place) + [0.0] * (40 - 15 * place))
        summary = {"parameters": 10 + place, "seconds": 1.0}
        record_fusion(sqlite_store, use, INPUTS, result, summary=summary)
    assert names(sqlite_store) == [
        "ranks-classification-test",
        "cost-parameters-classification-test",
    ]


def test_missing_modalities_and_prompts_are_drawn_where_they_were_asked(
    sqlite_store: Store,
) -> None:
    record_fusion(sqlite_store, "sum", INPUTS, *robust(), *study())
    assert names(sqlite_store) == [
        "inputs-top1-missing-modality-test",
        "noise-text-top1-missing-modality-test",
        "prompts-prompts-test",
    ]


def record_curve(store: Store, cell: str, hits: int, seed: int = 0) -> str:
    result = replace(ranked([1] * hits + [3] * (9 - hits)), name="zero_shot")
    return record(store, result, cell=cell, seed=seed, curve=[2.0, 1.0])


def test_leaders_are_drawn_and_the_chosen_first(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "LEADERS", 2)
    runs = [record_curve(sqlite_store, f"fusion=r{hits}", hits) for hits in (2, 8, 5, 3)]

    def labels(chosen: list[str] | None = None) -> set[str]:
        (curves,) = [
            p for p in read_pictures(sqlite_store, None, chosen) if p.name.startswith("curves")
        ]
        assert f"{4 - 2 - len(chosen or [])} more groups are not drawn" in curves.caption
        return {text for text in Drawn(curves).texts() if text.startswith("r")}

    assert labels() == {"r8", "r5"}
    assert labels([runs[0]]) == {"r8", "r5", "r2"}


def test_the_main_metric_and_both_losses_come_before_the_rest(sqlite_store: Store) -> None:
    run = sqlite_store.submit(identity("e", "", 0))
    claim = sqlite_store.claim(run.run_id, "worker", 60, {})
    assert claim is not None
    metrics = ("train/lr", "train/loss", "validation/loss", "validation/zero_shot/top1")
    sqlite_store.record_points(
        claim, [MetricPoint(m, step, 0.5) for m in metrics for step in (0, 1)]
    )
    sqlite_store.finish(claim, [ranked([1, 2])], {"zero_shot": "e"})
    found = [(picture.name, picture.is_more) for picture in read_pictures(sqlite_store)]
    assert found == [
        ("curves-e-zero-shot-top1", False),
        ("curves-e-loss", False),
        ("curves-e-lr", True),
    ]


def planted(store: Store) -> list[Picture]:
    """All kinds of pictures, with names that are long, hostile and in other scripts."""
    awkward = ("<b>bold</b> & more " * 4, "文字の名前がとても長い場合" * 3, "a\x1b[31m\u202eb")
    for seed in range(2):
        for place, cell in enumerate(awkward):
            result = replace(calibrated(), name=f"zero {cell}"[:40])
            record(store, result, ranked([1 + place] * 30), cell=cell, seed=seed, curve=[2, 1])
    record_fusion(store, "sum", INPUTS, *robust(), *study(), summary={"parameters": 9})
    return read_pictures(store)


def test_every_kind_is_read_from_either_database(store: Store) -> None:
    kinds = {picture.name.split("-")[0] for picture in planted(store)}
    assert kinds == {"ranks", "confusion", "reliability", "inputs", "noise", "prompts", "curves"}


def test_a_page_shows_every_picture_and_no_text_over_another(sqlite_store: Store) -> None:
    made = planted(sqlite_store)
    assert len(made) > 10
    for picture in made:
        drawn = Drawn(picture)
        assert overlaps(drawn) == [], picture.name
        assert outside(drawn) == [], picture.name
        assert picture.caption.endswith("."), picture.caption
    text = render_page(gather_page(sqlite_store))
    assert text.count('<figure class="picture">') == len(made)
    assert all(picture.svg in text for picture in made)


def test_the_command_writes_pictures_into_a_folder(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(sqlite_url) as sqlite_store:
        runs = [record_curve(sqlite_store, f"fusion=r{hits}", hits) for hits in range(8)]
    folder, page = tmp_path / "figures", tmp_path / "report.html"
    told = ["report", "--db", sqlite_url, "--pictures", str(folder), "--out", str(page)]
    result = CliRunner().invoke(main, [*told, "--curves", runs[0]])
    assert result.exit_code == 0, result.output
    found = sorted(path.name for path in folder.iterdir())
    assert "curves-emoji-loss.svg" in found
    assert ">r0</text>" in (folder / "curves-emoji-loss.svg").read_text()
    assert ">r0</text>" in page.read_text()


def test_a_notebook_draws_pictures_that_python_asks_for(
    sqlite_store: Store, tmp_path: Path
) -> None:
    run = record_curve(sqlite_store, "fusion=r1", 1)
    results = Results(sqlite_store)
    (picture,) = results.pictures([run], curves=[run])
    (path,) = results.write_pictures(tmp_path, [run])
    assert path.read_text() == picture._repr_svg_()  # type: ignore[attr-defined]


@pytest.mark.parametrize("found", ["a file", "nothing to draw"])
def test_the_command_says_why_nothing_is_drawn(sqlite_url: str, tmp_path: Path, found: str) -> None:
    open_store(sqlite_url).close()
    folder = tmp_path / "figures"
    if found == "a file":
        folder.write_text("mine")
    result = CliRunner().invoke(main, ["report", "--db", sqlite_url, "--pictures", str(folder)])
    assert result.exit_code == (2 if found == "a file" else 0)
    if found == "a file":
        assert folder.read_text() == "mine"
    else:
        assert "there is nothing to draw" in result.output


def test_runs_whose_curves_are_not_in_the_report_are_refused(sqlite_store: Store) -> None:
    first = record_curve(sqlite_store, "fusion=r1", 1)
    other = record_curve(sqlite_store, "fusion=r2", 2)
    with pytest.raises(UsageError, match="nothing of these runs can be drawn"):
        read_pictures(sqlite_store, [first], [other])


def test_curves_are_chosen_for_drawings_alone(sqlite_url: str) -> None:
    open_store(sqlite_url).close()
    result = CliRunner().invoke(main, ["report", "--db", sqlite_url, "--curves", "@last"])
    assert result.exit_code == 2
    assert "--pictures DIR" in result.output
