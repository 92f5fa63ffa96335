"""Names of other tools: each is told what it is here, and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.specs import SPEC, refuse, write

from mmlab.errors import PluginError, SpecError
from mmlab.plan.resolve import plan_specs
from mmlab.spec.synonyms import SYNONYMS

TRAIN = "batch_size = 8\n"
TOP = "schema_version = 1\n"
OPTIMIZER = '[train.optimizer]\nuse = "adamw"\n'
SPLIT = 'use = "classification"\n'
FUSION = 'use = "concat"\n'

#: Name -> what stands before it, how it is written, and what is told of it and to be written.
WRITTEN = {
    "learning_rate": (TRAIN, "learning_rate = 0.1", "this is `lr` here", "write lr"),
    "early_stopping": (TRAIN, "early_stopping = 3", "`patience` here", "write patience = 5, say"),
    "gradient_accumulation": (TRAIN, "gradient_accumulation = 4", "`microbatch` how", "batch_size"),
    "gradient_accumulation_steps": (
        *(TRAIN, "gradient_accumulation_steps = 4"),
        *("the other way round here", "write microbatch = samples at a time, batch_size = that"),
    ),
    "num_workers": (TRAIN, "num_workers = 4", "`train.workers` here", "write workers in [train]"),
    "num_epochs": (TRAIN, "num_epochs = 4", "`epochs` here", "write epochs"),
    "max_epochs": (TRAIN, "max_epochs = 4", "`epochs` here", "write epochs"),
    "bs": (TRAIN, "bs = 4", "`batch_size` here", "write batch_size"),
    "wd": (TRAIN, "wd = 0.1", "`weight_decay` here", "write weight_decay"),
    "warmup": (TRAIN, "warmup = 100", "a share of all steps", "warm-up steps / all steps"),
    "warmup_steps": (TRAIN, "warmup_steps = 100", "`warmup_fraction` here", "warmup_fraction = "),
    "amp": (TRAIN, "amp = true", "`precision` here", 'write precision = "bf16"'),
    "fp16": (TRAIN, "fp16 = true", "fp16 is not offered", 'write precision = "bf16"'),
    "max_grad_norm": (TRAIN, "max_grad_norm = 1.0", "`clip_norm` here", "write clip_norm"),
    "lr_scheduler": (TRAIN, 'lr_scheduler = "cosine"', "[train.schedule] here", "[train.schedule]"),
    "momentum": (TRAIN, "momentum = 0.9", "train.optimizer.momentum here", "momentum in [train.op"),
    "betas": (TRAIN, "betas = [0.9, 0.9]", "train.optimizer.betas here", "betas in [train.optim"),
    "eps": (TRAIN, "eps = 1e-8", "train.optimizer.eps here", "write eps in [train.optimizer]"),
    "lr": (TRAIN, f"{OPTIMIZER}lr = 0.1", "train.lr here", "write lr in [train]"),
    "weight_decay": (
        TRAIN,
        f"{OPTIMIZER}weight_decay = 1",
        "train.weight_decay here",
        "in [train]",
    ),
    "random_seed": (TOP, "random_seed = 1", "each seed is a cell of its own", "[sweep] and below"),
    "seed": (TRAIN, "seed = 1", "each seed is a cell of its own", "below it seeds = [0]"),
    "model": (TOP, 'model = "vit"', "[fusion] and [head] here", "write [encoders.image] for each"),
    "metrics": (TOP, 'metrics = ["top1"]', "gives all its metrics", "write [[evaluate]] and below"),
    "val": (SPLIT, 'split = "val"', 'the split "validation" here', 'write split = "validation"'),
    "type": (FUSION, 'type = "concat"', "fusion.use: missing", "rename type to use"),
    "name": (FUSION, 'name = "concat"', "fusion.use: missing", "rename name to use"),
    "_target_": (FUSION, '_target_ = "a.B"', "fusion.use: missing", "write use = the component's"),
    "class": (FUSION, 'class = "Concat"', "fusion.use: missing", "rename class to use"),
    "adam": (TRAIN, 'optimizer = "adam"', "train.optimizer: wrong type", 'use = "adamw"'),
}


def planned(path: Path) -> str:
    """What is said of a spec and of its components."""
    try:
        plan_specs([path], ())
    except (SpecError, PluginError) as error:
        return str(error).replace(str(path), "tiny.toml")
    return "valid"


def test_the_table_of_synonyms_is_small_and_each_is_asked_for() -> None:
    names = [synonym.name for synonym in SYNONYMS]
    assert len(names) == len(set(names)) <= 30
    assert set(names) == WRITTEN.keys()


@pytest.mark.parametrize("name", WRITTEN)
def test_the_word_of_another_tool_is_told_at_its_place(tmp_path: Path, name: str) -> None:
    before, written, meaning, step = WRITTEN[name]
    assert SPEC.count(before) == 1
    after = "" if before == FUSION else before
    text = SPEC.replace(before, f"{after}{written}\n")
    message = planned(write(tmp_path, text.replace('use = "vit"\nwidth = 32', 'use = "convnet"')))
    (report,) = message.split("\n\n")
    headline, shown, carets, *parts = report.splitlines()
    assert headline.startswith("tiny.toml:")
    assert meaning in headline
    assert step in parts[-1]
    assert [part.strip().partition(":")[0] for part in parts] == ["found", "allowed", "next"]
    under = shown[carets.index("^") :][: carets.count("^")]
    assert under.strip('"') in (name, "[fusion]")


def test_a_table_of_another_tool_is_told_too(tmp_path: Path) -> None:
    for header, step in {
        "[val]": 'write split = "validation"',
        "[model]": "write [encoders.image] for each input",
        "[lr_scheduler]": "write [train.schedule]",
    }.items():
        assert step in refuse(write(tmp_path, f'{SPEC}{header}\nuse = "x"\n'))


@pytest.mark.parametrize(
    ("axis", "step"),
    [
        ("train.learning_rate", "write lr"),
        ("train.lrr", 'rename it to "lr"'),
        ("fusion.dmi", 'rename it to "dim"'),
        ("train.optimizer.lr", "write lr in [train]"),
    ],
)
def test_an_axis_of_another_name_is_told_once_at_its_key(
    tmp_path: Path, axis: str, step: str
) -> None:
    text = SPEC.replace('use = "vit"\nwidth = 32', 'use = "convnet"')
    if "optimizer" in axis:
        text = text.replace(TRAIN, f"{TRAIN}{OPTIMIZER}")
    axes = f'[sweep.axes]\n"{axis}" = [4, 8]\n"head.use" = ["linear", "mlp"]\n'
    sweep = f"[sweep]\nseeds = [0, 1]\n{axes}"
    message = planned(write(tmp_path, f"{text}{sweep}"))
    (report,) = message.split("\n\n")
    _, shown, carets, *_, told = report.splitlines()
    assert shown[carets.index("^") :][: carets.count("^")] == f'"{axis}"'
    assert step in told


def test_an_included_point_is_told_at_its_key(tmp_path: Path) -> None:
    sweep = '[[sweep.include]]\n"train.learning_rate" = 0.1\n'
    report = refuse(write(tmp_path, SPEC + sweep))
    assert '"train.learning_rate" = 0.1\n' in report
    assert report.count("write lr") == 1
    assert "| " + "^" * len('"train.learning_rate"') + "\n" in report
