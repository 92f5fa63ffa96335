"""What is planned: components that something reads, with every fault of a cell at once."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mmlab.errors import PluginError, SpecError
from mmlab.plan.checks import contradictions
from mmlab.plan.plan import Plan
from mmlab.plan.registry import BUILTINS, Registry
from mmlab.plan.resolve import plan_specs, prepare
from mmlab.spec import expand, load_spec

SPEC = """
schema_version = 1
name = "planned"
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
[train]
epochs = 1
batch_size = 8
[[evaluate]]
use = "classification"
"""


FOLDER = '{use = "benchmark", test_set = "mnist/test", path = "%s"}'


def plan(tmp_path: Path, *overrides: str, text: str = SPEC) -> Plan:
    path = tmp_path / "spec.toml"
    path.write_text(text)
    (cell,) = expand(load_spec(path, overrides))
    return prepare(cell, Registry.discover(BUILTINS))


def test_options_have_their_defaults_and_the_order_of_inputs_is_the_encoders(
    tmp_path: Path,
) -> None:
    planned = plan(tmp_path)
    assert planned.inputs == ("image", "text")
    assert planned.fusion.options["dim"] == 256
    assert not planned.needs_similarity


def test_a_fusion_of_one_input_is_told_in_the_singular(tmp_path: Path) -> None:
    planned = plan(tmp_path)

    class Alone:
        input_range = (1, 1)
        reads: frozenset[str] = frozenset()

        def fuse(self) -> None: ...

    alone = replace(planned, fusion=replace(planned.fusion, factory=Alone))
    (fault,) = contradictions(alone)
    assert (fault.message, fault.allowed) == (
        "concat joins exactly one input",
        "exactly one encoder",
    )
    assert fault.next_step == (
        "name exactly one encoder in fusion.inputs, or choose a fusion that joins two inputs: "
        "mmlab plugins list --kind fusion"
    )


def test_a_unimodal_baseline_leaves_out_the_encoders_that_nothing_reads(tmp_path: Path) -> None:
    planned = plan(tmp_path, 'fusion.inputs=["text"]')
    assert list(planned.encoders) == ["text"]


def test_faults_of_several_tables_are_reported_together(tmp_path: Path) -> None:
    text = SPEC.replace('"concat"', '"concat"\ndmi = 3').replace(
        '"convnet"', '"convnet"\nwidth = 1'
    )
    with pytest.raises(SpecError) as caught:
        plan(tmp_path, text=text)
    assert "fusion.dmi" in str(caught.value)
    assert 'did you mean "dim"' in str(caught.value)
    assert "encoders.image.width" in str(caught.value)


def test_an_unknown_component_is_a_fault_of_plugins(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="convnet"):
        plan(tmp_path, text=SPEC.replace("convnet", "convnut"))


def test_what_a_loss_reads_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="reads the model's prediction"):
        plan(tmp_path, text=SPEC.replace('[head]\nuse = "linear"\n', ""))
    with pytest.raises(SpecError, match="reads the model's similarity"):
        plan(tmp_path, 'fusion.inputs=["text"]', text=SPEC.replace("cross_entropy", "info_nce"))


def test_the_best_metric_must_come_from_this_spec(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"train\.best"):
        plan(tmp_path, 'train.best="zero_shot/top1"')


def test_an_evaluator_of_pairs_needs_scores_that_a_loss_has_trained(tmp_path: Path) -> None:
    text = SPEC + '[[evaluate]]\nuse = "retrieval"\n'
    with pytest.raises(SpecError, match="'retrieval' reads the model's trained similarity"):
        plan(tmp_path, text=text)
    assert not plan(tmp_path, 'fusion.use="inner_product"', text=text).needs_similarity
    paired = text + '[[losses]]\nuse = "info_nce"\n'
    assert plan(tmp_path, text=paired).needs_similarity


def test_an_evaluator_of_predictions_needs_a_head_that_a_loss_has_trained(tmp_path: Path) -> None:
    text = SPEC.replace('"cross_entropy"', '"info_nce"')
    with pytest.raises(SpecError, match="'classification' reads the model's trained prediction"):
        plan(tmp_path, text=text)
    untrained = SPEC.replace('[[losses]]\nuse = "cross_entropy"\n', "")
    untrained = untrained.replace("[train]\nepochs = 1\nbatch_size = 8\n", "")
    with pytest.raises(SpecError, match="'classification' reads the model's trained prediction"):
        plan(tmp_path, text=untrained)


REGRESSION = SPEC.replace('"cross_entropy"', '"mse"').replace('"classification"', '"regression"')


def test_a_loss_of_targets_makes_a_head_of_targets(tmp_path: Path) -> None:
    assert plan(tmp_path, text=REGRESSION).predicts_targets
    assert not plan(tmp_path).predicts_targets


def test_one_head_does_not_predict_both_labels_and_targets(tmp_path: Path) -> None:
    text = REGRESSION + '[[losses]]\nuse = "cross_entropy"\n[[evaluate]]\nuse = "classification"\n'
    with pytest.raises(SpecError) as caught:
        plan(tmp_path, text=text)
    message = str(caught.value)
    assert "the loss 'cross_entropy' reads a head that predicts labels" in message
    assert "the evaluator 'classification' reads a head that predicts labels" in message


def test_a_regression_needs_a_loss_of_targets(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="'regression' reads a head that predicts targets"):
        plan(tmp_path, text=SPEC.replace('"classification"', '"regression"'))


def test_every_fault_of_a_count_of_inputs_is_told_with_the_others(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        plan(tmp_path, 'fusion={use = "gating", inputs = ["text"]}', "train.best=nothing")
    assert "--set #1, column 34: fusion.inputs: gating joins two or more inputs" in str(
        caught.value
    )
    assert "names no loss and no evaluation" in str(caught.value)


@pytest.mark.parametrize("found", [2, (2,), ("two", None), (1, 2.0)])
def test_a_fusion_that_declares_no_range_of_inputs_breaks_its_contract(
    tmp_path: Path, found: object
) -> None:
    fusion = plan(tmp_path).fusion
    factory = type("Odd", (), {"input_range": found})
    with pytest.raises(PluginError, match="`input_range` must be two numbers"):
        _ = replace(fusion, factory=factory).input_range


def test_a_folder_of_data_is_left_to_the_revision_but_not_mistaken_for_another(
    tmp_path: Path,
) -> None:
    plans = [plan(tmp_path, f"dataset={FOLDER % name}") for name in ("one", "two")]
    identities = [each.dataset.identity() for each in plans]
    assert identities[0] == identities[1]
    assert plans[0].dataset.locality() != plans[1].dataset.locality()


def test_a_file_of_data_is_known_by_its_bytes(tmp_path: Path) -> None:
    identities = []
    for content in ("a,b\n1,2\n", "a,b\n1,3\n"):
        (tmp_path / "index.csv").write_text(content)
        given = '{use = "manifest", path = "index.csv", text_columns = ["a"]}'
        identities.append(plan(tmp_path, f"dataset={given}").dataset.identity())
    assert identities[0] != identities[1]


KEYS = """\
schema_version = 1
name = "keys"
dataset.use = "emoji"
encoders.image.use = "convnet"
encoders.text.use = "transformer"
fusion.use = "concat"
head.use = "linear"
[train]
epochs = 1
batch_size = 8
[[losses]]
use = "cross_entropy"
weight = 1

"""


@pytest.mark.parametrize(
    ("table", "place", "said"),
    [
        ('[[losses]]\nuse = "simclr"\nencoder = "imge"', "losses.1.encoder", '"image"?'),
        ('[[losses]]\nuse = "simsiam"\nencoder = "imge"', "losses.1.encoder", '"image"?'),
        ('[[losses]]\nuse = "info_nce"\nalike = "tex"', "losses.1.alike", '"text"?'),
        (
            '[[losses]]\nuse = "masked_language_modelling"\nencoder = "tetx"',
            "losses.1.encoder",
            '"text"?',
        ),
        ('[[evaluate]]\nuse = "linear_probe"\nencoder = "imge"', "evaluate.0.encoder", '"image"?'),
        ('[[evaluate]]\nuse = "few_shot"\nencoder = "tex"', "evaluate.0.encoder", '"text"?'),
    ],
)
def test_an_option_that_names_no_encoder_is_a_fault_before_anything_is_built(
    tmp_path: Path, table: str, place: str, said: str
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(KEYS + table)
    with pytest.raises(SpecError, match=rf"keys\.toml:17:\d+: {re.escape(place)}: ") as caught:
        plan_specs([path], ())
    assert f"did you mean {said}" in str(caught.value)
    assert 'allowed: "image", "text"' in str(caught.value)


def test_optimiser_and_schedule_are_adamw_and_a_cosine_unless_named(tmp_path: Path) -> None:
    planned = plan(tmp_path)
    assert planned.optimizer is not None
    assert planned.schedule is not None
    assert planned.optimizer.entry.name == "adamw"
    assert planned.optimizer.options == {"betas": (0.9, 0.98), "eps": 1e-8}
    assert planned.schedule.entry.name == "cosine"
    places = [where for where, _ in planned.components()]
    assert {("train", "optimizer"), ("train", "schedule")} <= set(places)


def test_their_options_are_those_of_their_signatures(tmp_path: Path) -> None:
    planned = plan(
        tmp_path,
        "train.optimizer.use=adamw",
        "train.optimizer.betas=[0, 0.9]",
        "train.schedule={use = 'step', at = [0.5]}",
    )
    assert planned.optimizer is not None
    assert planned.schedule is not None
    assert planned.optimizer.options["betas"] == (0.0, 0.9)
    assert planned.schedule.options == {"factor": 0.1, "at": (0.5,)}


def test_without_training_there_is_neither(tmp_path: Path) -> None:
    text = SPEC[: SPEC.index("[head]")] + '[[evaluate]]\nuse = "linear_probe"\n'
    planned = plan(tmp_path, text=text)
    assert (planned.optimizer, planned.schedule) == (None, None)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.optimizer.use=adam", r'optimizer "adam": no installed .*mean "adamw"'),
        ("train.schedule.use=cosin", r'schedule "cosin": no installed .*mean "cosine"'),
        ("train.optimizer={use = 'sgd', betas = [0.9, 0.98]}", r"train.optimizer.betas: unknown"),
        ("train.schedule={use = 'cosine', end = 2}", r"train.schedule.end: out of range"),
    ],
)
def test_what_is_wrong_with_them_is_told_at_their_tables(
    tmp_path: Path, override: str, said: str
) -> None:
    with pytest.raises((SpecError, PluginError), match=said):
        plan_specs_of(tmp_path, override)
    broken = SPEC.replace("epochs = 1", "epoch = 1")  # told with the file's other faults too
    with pytest.raises((SpecError, PluginError), match=said):
        plan_specs_of(tmp_path, override, text=broken)


def plan_specs_of(tmp_path: Path, *overrides: str, text: str = SPEC) -> list[Plan]:
    path = tmp_path / "spec.toml"
    path.write_text(text)
    return plan_specs([path], overrides)


@pytest.mark.parametrize("optimizer", ["muon", "adafactor"])
def test_an_optimiser_that_needs_parameters_whole_refuses_fsdp(
    tmp_path: Path, optimizer: str
) -> None:
    settings = (f"train.optimizer.use={optimizer}", "train.parallel=fsdp")
    with pytest.raises(SpecError, match=rf'train.parallel: the optimiser "{optimizer}" does not'):
        plan_specs_of(tmp_path, *settings)
    plan_specs_of(tmp_path, settings[0])


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_an_optimiser_of_single_numbers_goes_with_fsdp(tmp_path: Path, optimizer: str) -> None:
    plan_specs_of(tmp_path, f"train.optimizer.use={optimizer}", "train.parallel=fsdp")


def test_an_axis_may_vary_the_optimiser_and_is_checked(tmp_path: Path) -> None:
    axis = '\n[sweep.axes]\n"train.optimizer" = [{ use = "adamw" }, { use = "sgd", lr = 1 }]\n'
    with pytest.raises(SpecError, match=r"spec.toml:\d+:\d+: train.optimizer.lr: unknown option"):
        plan_specs_of(tmp_path, text=SPEC + axis)
    good = axis.replace("lr = 1", "nesterov = true")
    plans = plan_specs_of(tmp_path, text=SPEC + good)
    assert [p.optimizer.entry.name for p in plans if p.optimizer] == ["adamw", "sgd"]


def test_nesterov_without_momentum_is_refused(tmp_path: Path) -> None:
    settings = ("train.optimizer.use=sgd", "train.optimizer.nesterov=true")
    with pytest.raises(SpecError, match=r"train\.optimizer\.nesterov: without momentum") as caught:
        plan_specs_of(tmp_path, *settings, "train.optimizer.momentum=0.0")
    assert "next: set momentum = 0.9, say, or remove nesterov" in str(caught.value)
    plan_specs_of(tmp_path, *settings)
    plan_specs_of(tmp_path, settings[0], "train.optimizer.momentum=0.0")


FAULTS = [
    ('use = "concat"', 'kind = "concat"', "fusion.use: missing", "bilinear", "add use = ..."),
    ('use = "concat"', 'type = "concat"', "fusion.use: missing", "gating", "rename type to use"),
]


@pytest.mark.parametrize(("old", "new", "wrong", "allowed", "step"), FAULTS)
def test_a_table_without_use_names_what_there_is(
    tmp_path: Path, old: str, new: str, wrong: str, allowed: str, step: str
) -> None:
    with pytest.raises(SpecError) as caught:
        plan_specs_of(tmp_path, text=SPEC.replace(old, new))
    report = next(part for part in str(caught.value).split("\n\n") if wrong in part)
    assert allowed in report.partition("allowed: ")[2]
    assert step in report
    assert str(caught.value).count(wrong) == 1


def test_the_options_of_a_misspelt_component_are_checked_too(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        plan_specs_of(tmp_path, 'fusion={ use = "gatng", widht = 3, dim = 0 }')
    message = str(caught.value)
    assert 'did you mean "gating"?' in message
    assert 'fusion.widht: unknown option of the fusion "gating"' in message
    assert "fusion.dim: out of range" in message


@pytest.mark.parametrize(
    ("setting", "never"),
    [
        ("train.optimizer.lrr=1", "lora"),
        ("train.optimizer.epsi=1", "epochs"),
        ("train.schedule.splitt=1", "split"),
        ("head.weigt=1", "weight"),
    ],
)
def test_a_key_of_another_kind_of_table_is_never_suggested(
    tmp_path: Path, setting: str, never: str
) -> None:
    with pytest.raises(SpecError) as caught:
        plan_specs_of(tmp_path, setting)
    assert f'"{never}"' not in str(caught.value)


def test_a_key_that_is_read_beside_the_options_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match='did you mean "weight"'):
        plan_specs_of(tmp_path, "losses.0.weigt=1")


@pytest.mark.parametrize(
    ("setting", "allowed"),
    [
        ("train.lr=inf", "a finite number > 0"),
        ("train.ema=nan", "a finite number > 0 and < 1"),
        ("train.optimizer.eps=nan", "a finite number > 0"),
        ("train.optimizer.betas=[0.9]", "an array of 2, each a number >= 0 and < 1"),
        ("train.optimizer.betas=[0.9, 0.9, 0.9]", "an array of 2, each a number >= 0 and < 1"),
    ],
)
def test_a_number_keeps_the_range_of_its_key(tmp_path: Path, setting: str, allowed: str) -> None:
    with pytest.raises(SpecError) as caught:
        plan_specs_of(tmp_path, "train.optimizer.use=adamw", setting)
    assert f"  allowed: {allowed}\n" in str(caught.value)
    assert "add 1" not in str(caught.value)
