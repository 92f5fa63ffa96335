"""A stored cell is the whole cell: from the database alone comes the same run."""

from __future__ import annotations

import json

import pytest
from support.lab import (
    CONCAT,
    DATASET,
    ENCODERS,
    PAIRED,
    RETRIEVAL,
    SCRIPTED,
    ZERO_SHOT,
    Lab,
)
from support.stored_cells import (
    IMAGE,
    MANIFEST,
    ONE_EPOCH,
    TEXT,
    check_runs,
    leave,
    toy,
    write_rows,
)
from support.toys import LABELS

from mmlab.plan.registry import BUILTINS, Registry
from mmlab.runner.cells import plan_of

FUSIONS = '{ use = "sum" }, { use = "concat", inputs = ["text"] }, { use = "modulation" }'

#: Specs by what is particular about them: tables, overrides.
CASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "nothing": (toy(), ()),
    "the order of encoders": (toy(encoders=f"{TEXT}\n{IMAGE}\n"), ()),
    "a budget": (
        (*toy(), f'[sweep]\nmatch = "parameters"\nbudget = 900\naxes.fusion = [{FUSIONS}]\n'),
        (),
    ),
    "overrides": (toy(), ("train.lr=2e-3", "encoders.image.dim=3", 'meta.why="🦜"')),
    "zip": (
        (*toy(), '[sweep]\nstrategy = "zip"\naxes."train.lr" = [0.1, 1e-3]\n'),
        ('sweep.axes."fusion.dim"=[4, 6]',),
    ),
    "include": (
        (
            *toy(),
            "[sweep]\nseeds = [3, 1]\n"
            '[[sweep.include]]\nfusion = { use = "sum", dim = 4 }\n"train.ema" = 0.5\n'
            '[[sweep.include]]\n"losses.0.weight" = 0.5\n',
        ),
        ("sweep.axes={ 'encoders.image.freeze' = [1] }",),
    ),
    "exclude": (
        (
            *toy(),
            '[sweep.axes]\n"train.weight_decay" = [0.0, 0.2]\n"fusion.dim" = [4, 6]\n'
            '[[sweep.exclude]]\n"fusion.dim" = 6\n"train.weight_decay" = 0.2\n',
        ),
        (),
    ),
    "random": (
        (
            *toy(),
            '[sweep]\nstrategy = "random"\nsamples = 3\nseed = 5\n'
            'axes."train.lr" = [1e-1, 1e-2, 1e-3]\naxes."encoders.text.dim" = [4, 5, 6]\n',
        ),
        (),
    ),
    "tables of encoders": (
        toy(
            encoders='[encoders.one]\nuse = "toy"\nmodality = "text"\nlora = { rank = 2 }\n'
            '[encoders.another]\nuse = "toy"\nmodality = "image"\nfreeze = 1\nlr_scale = 0.5\n'
            '[encoders.image]\nuse = "toy"\nfreeze = true\n'
        ),
        (),
    ),
    "an encoder that nothing reads": (
        toy(fusion=CONCAT.replace("dim = 8", 'dim = 8\ninputs = ["text"]')),
        (),
    ),
    "modality dropout and skipped samples": (
        toy(
            dataset=DATASET + 'on_error = "skip"\nmax_skipped = 0.25\n',
            fusion=CONCAT.replace("dim = 8", "dim = 8\nmodality_dropout = 0.25"),
        ),
        (),
    ),
    "losses with names and weights": (
        toy(losses=f'{SCRIPTED}weight = 0.25\nname = "second"\n\n{SCRIPTED}weight = 2.0\n'),
        (),
    ),
    "notes of every kind": (
        toy(),
        ("meta={ when = 2026-01-02T03:04:05Z, sizes = [1, 1.0, true], deep = { z = 1, a = 2 } }",),
    ),
    "training keys": (
        toy(),
        (
            "train.max_steps=2",
            "train.microbatch=4",
            "train.patience=3",
            "train.layer_decay=0.5",
            'train.best="classification/top1"',
            'train.best_mode="max"',
            "train.clip_norm=0.0",
        ),
    ),
    "no training": (
        (
            DATASET,
            ENCODERS,
            '[fusion]\nuse = "inner_product"\n',
            ZERO_SHOT + "scale = 10.0\n",
            RETRIEVAL,
        ),
        (),
    ),
    "evaluations with data of their own": (
        (
            *PAIRED[:4],
            ONE_EPOCH,
            ZERO_SHOT + 'name = "mine"\nsplit = "validation"\ntemplates = ["{}"]\n',
            ZERO_SHOT + 'dataset = { use = "clusters", count = 5 }\n',
        ),
        (),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_database_alone_gives_the_same_runs(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    tables, overrides = CASES[case]
    outcomes = sqlite_lab.run(sqlite_lab.write("toy", tables), *overrides)
    assert [outcome.error for outcome in outcomes] == [None] * len(outcomes)
    leave(sqlite_lab.folder, monkeypatch)
    with sqlite_lab.store() as store:
        assert check_runs(store, sqlite_lab.runs) == len(outcomes)


def test_both_databases_give_the_same_runs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.run([lab.write("first", toy()), lab.write("second", CASES["a budget"][0])])
    leave(lab.folder, monkeypatch)
    with lab.store() as store:
        assert check_runs(store, lab.runs) == 4


def test_a_failed_run_is_identified_too(sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = sqlite_lab.write("toy", CASES["a budget"][0])
    assert set(sqlite_lab.statuses(spec, sqlite_lab.script("1 raise"))) == {"failed"}
    leave(sqlite_lab.folder, monkeypatch)
    with sqlite_lab.store() as store:
        assert check_runs(store, sqlite_lab.runs) == 3


def test_relative_paths_lead_where_they_led(
    sqlite_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of datasets, evaluators, weights, an extended file elsewhere, and a dataset of its own."""
    lab, base = sqlite_lab, sqlite_lab.folder / "base"
    write_rows(base)
    detail = lab.run_one(lab.write("first", toy()))
    (base / "start.safetensors").write_bytes((lab.runs / detail.artifacts[0].path).read_bytes())
    prompts = {str(label): [f"some {label}"] for label in map(repr, LABELS[:2])}
    (lab.folder / "prompts.json").write_text(json.dumps(prompts))
    encoder = f'{TEXT}weights = {{ file = "start.safetensors" }}\n'
    spare = '[encoders.other]\nuse = "toy"\nmodality = "text"\n'
    (base / "base.toml").write_text("\n".join([MANIFEST, spare, encoder]))
    own = MANIFEST.replace("[dataset]", "[evaluate.dataset]").replace('"rows', '"base/rows')
    asked = ZERO_SHOT + 'prompts = "text"\nprompts_file = "prompts.json"\n'
    tables = (
        'extends = ["base/base.toml"]\n',
        '[fusion]\nuse = "inner_product"\ndim = 8\n\n',
        '[[losses]]\nuse = "info_nce"\n',
        ONE_EPOCH,
        asked,
        f'{asked}name = "own"\n{own}',
    )
    monkeypatch.chdir(lab.folder.parent)
    spec = lab.write("second", tables)
    (outcome,) = lab.run(spec.relative_to(lab.folder.parent))
    assert outcome.error is None, outcome.error
    leave(lab.folder, monkeypatch)
    with lab.store() as store:
        assert check_runs(store, lab.runs) == 2
        detail = store.run_detail(outcome.run_id or "")
    plan = plan_of(detail, Registry.discover(BUILTINS))
    assert list(plan.encoders) == ["other", "text"]
    assert plan.dataset.options["path"] == base / "rows.csv"
