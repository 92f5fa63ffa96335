"""A misspelt `train.best` is found with the spec's other faults, wherever its name is declared."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.lab import PAIRED, RETRIEVAL, TOY, Lab

from mmlab.errors import SpecError
from mmlab.metric import find
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import plan_specs

SPEC = """\
schema_version = 1
name = "best"
[dataset]
use = "emoji"
[encoders.image]
use = "convnet"
[encoders.text]
use = "transformer"
[fusion]
use = "concat"
[head]
use = "linear"
[[losses]]
use = "cross_entropy"
[[losses]]
use = "info_nce"
[train]
epochs = 1
batch_size = 8
best = "loss"
[[evaluate]]
use = "classification"
[[evaluate]]
use = "retrieval"
[[evaluate]]
use = "missing_modality"
name = "lacking"
"""


def planned(folder: Path, best: str) -> None:
    path = folder / "best.toml"
    path.write_text(SPEC.replace('best = "loss"', f'best = "{best}"'))
    plan_specs([path], ())


@pytest.mark.parametrize(
    "best",
    [
        "loss",
        "info_nce/loss",
        "cross_entropy/accuracy",
        "classification/top1",
        "retrieval/image_to_text/recall@5",
        "lacking/top1/subset_area",
        "lacking/image noise 0.5/mean_rank",
    ],
)
def test_what_a_validation_may_give_is_accepted(tmp_path: Path, best: str) -> None:
    planned(tmp_path, best)


@pytest.mark.parametrize(
    ("best", "meant"),
    [
        ("classification/topp", "classification/top1"),
        ("clasification/top1", "classification/top1"),
        ("retrieval/image_to_text/recal@5", "retrieval/image_to_text/recall@5"),
        ("lacking/top1/subset_are", "lacking/top1/subset_area"),
        ("info_nec/loss", "info_nce/loss"),
        ("losss", "loss"),
        ("retrieval/recall@1", "retrieval/image_to_text/recall@1"),
        ("retrieval/*_to_*/recall@1", "retrieval/image_to_text/recall@1"),
        ("retrieval/image_to_txt/recall@1", "retrieval/image_to_text/recall@1"),
        ("retrieval/image_to_audio/recall@5", "retrieval/image_to_text/recall@5"),
        ("loss/info_nce", "info_nce/loss"),
        ("loss/top1", "loss"),
    ],
)
def test_a_misspelt_metric_is_a_fault_of_the_spec(tmp_path: Path, best: str, meant: str) -> None:
    with pytest.raises(SpecError, match=r"best\.toml:20:8: train\.best: ") as caught:
        planned(tmp_path, best)
    assert f'did you mean "{meant}"?' in str(caught.value)


@pytest.mark.parametrize(
    ("best", "mode", "right"),
    [
        ("loss", "max", "min"),
        ("info_nce/loss", "max", "min"),
        ("classification/top1", "min", "max"),
        ("classification/mean_rank", "max", "min"),
        ("retrieval/image_to_text/recall@5", "min", "max"),
    ],
)
def test_a_mode_against_the_declared_direction_is_refused(
    tmp_path: Path, best: str, mode: str, right: str
) -> None:
    with pytest.raises(SpecError, match=r"best\.toml:21:13: train\.best_mode: ") as caught:
        planned(tmp_path, f'{best}"\nbest_mode = "{mode}')
    assert f'allowed: "auto", "{right}"\n' in str(caught.value)
    assert f'next: remove it, or write "{right}"' in str(caught.value)
    planned(tmp_path, f'{best}"\nbest_mode = "{right}')


@pytest.mark.parametrize("best", ["classification/mAP", "lacking/mAP/subset_area"])
def test_a_metric_of_several_labels_is_refused_where_samples_have_one(
    tmp_path: Path, best: str
) -> None:
    with pytest.raises(SpecError, match=r"best\.toml:20:8: train\.best: ") as caught:
        planned(tmp_path, best)
    assert "of several labels a sample, the data have one" in str(caught.value)
    top1 = best.replace("mAP", "top1")
    assert f'next: write "{top1}"' in str(caught.value)


def test_a_metric_that_the_data_lack_is_refused_before_the_first_step(sqlite_lab: Lab) -> None:
    several = TOY[0] + "multi = true\n", *TOY[1:4], TOY[4] + 'best = "classification/mAP"\n'
    tables = (*several, TOY[5])
    (outcome,) = sqlite_lab.run(sqlite_lab.write("one", tables), "dataset.multi=false")
    assert outcome.status == "failed"
    assert "of several labels a sample, the data have one" in str(outcome.error)
    assert 'next: write "classification/top1"' in str(outcome.error)
    assert sqlite_lab.shown.progressed == []


def test_five_labels_are_needed_for_the_first_five(sqlite_lab: Lab) -> None:
    best = TOY[4] + 'best = "classification/top5"\n'
    (outcome,) = sqlite_lab.run(sqlite_lab.write("five", (*TOY[:4], best, TOY[5])))
    assert "this metric needs five labels, found " in str(outcome.error)
    assert sqlite_lab.shown.progressed == []


@pytest.mark.parametrize(
    "best", ["classification", "cross_entropy", "info_nce/*", "lacking/*/top1"]
)
def test_a_name_that_is_no_metric_is_a_fault_too(tmp_path: Path, best: str) -> None:
    with pytest.raises(SpecError, match=r"best\.toml:20:8: train\.best: "):
        planned(tmp_path, best)


@pytest.mark.parametrize(
    ("best", "said"),
    [
        (
            "info_nce",
            [
                '"info_nce" is a loss, not one of its scalars',
                'allowed: "loss"; LOSS/SCALAR of cross_entropy, info_nce; '
                "EVALUATION/METRIC of classification, retrieval, lacking",
                'next: write "info_nce/loss"',
            ],
        ),
        ("top1", ['next: write "loss", or name a metric such as "classification/top1"']),
        (
            "recal@5",
            ['next: write "loss", or name a metric such as "retrieval/image_to_text/recall@5"'],
        ),
        ("info_nec/loss", ['next: write "info_nce/loss"']),
    ],
)
def test_what_is_allowed_instead_is_of_this_spec(
    tmp_path: Path, best: str, said: list[str]
) -> None:
    with pytest.raises(SpecError) as caught:
        planned(tmp_path, best)
    for words in said:
        assert words in str(caught.value)


def test_where_nothing_but_a_loss_is_measured_it_is_what_is_to_be_written(tmp_path: Path) -> None:
    only = SPEC.replace('[[losses]]\nuse = "info_nce"\n', "").partition("[[evaluate]]")[0]
    for best in ("cross_entropy", "top1"):
        path = tmp_path / "best.toml"
        path.write_text(only.replace('best = "loss"', f'best = "{best}"'))
        with pytest.raises(SpecError) as caught:
            plan_specs([path], ())
        assert 'allowed: "loss"; LOSS/SCALAR of cross_entropy\n' in str(caught.value)
        assert 'next: write "loss"' in str(caught.value).splitlines()[-1]


def check_declared(lab: Lab, tables: tuple[str, ...], *more: str) -> set[str]:
    """Every metric of a run is one that its evaluator declares; gives the evaluators."""
    detail = lab.run_one(lab.write("declared", tables, *more))
    registry = Registry.discover(BUILTINS)
    for found in detail.evaluations:
        declared = registry.resolve("evaluator", found.evaluator).metrics  # type: ignore[attr-defined]
        assert [name for name in found.metrics if not find(declared, name, found.condition)] == []
    return {found.evaluator for found in detail.evaluations}


@pytest.mark.slow
def test_evaluators_of_labels_declare_what_they_give(sqlite_lab: Lab) -> None:
    probes = '[[evaluate]]\nuse = "linear_probe"\n[[evaluate]]\nuse = "few_shot"\nshots = [1, 2]\n'
    lacking = '[[evaluate]]\nuse = "missing_modality"\n'
    assert len(check_declared(sqlite_lab, TOY, probes, lacking)) == 4


@pytest.mark.slow
def test_evaluators_of_pairs_declare_what_they_give(sqlite_lab: Lab) -> None:
    prompts = '[[evaluate]]\nuse = "prompts"\n'
    assert len(check_declared(sqlite_lab, PAIRED, RETRIEVAL, prompts)) == 3
